"""``dstore fsck``, ``collection`` and ``safe-mode``: what they do and what they say."""

import asyncio
import os
from collections.abc import Awaitable, Callable

from dstore.cli.exit_codes import ExitCode
from dstore.cli.master_calls import ask, ask_async
from dstore.cli.output import Output
from dstore.cli.target import Target
from dstore.cli.upkeep_text import collection_lines, finding_line, safe_mode_lines, summary_line
from dstore.client.profile import resolve_profile
from dstore.core.checking import CheckSummary, CollectionStatus, Finding, SafeModeStatus
from dstore.core.errors import Unavailable
from dstore.core.interfaces import Admin
from dstore.rpc.channel import Connection


def fsck(target: Target, *, repair: bool) -> int:
    """Check a cluster, and show each finding as it is made."""
    output = Output(as_json=target.as_json)
    summary = asyncio.run(_fsck(_endpoint(target), output, repair=repair))
    output.result({"summary": summary, "is_clean": summary.is_clean}, summary_line(summary, output.style))
    return ExitCode.OK if summary.is_clean else ExitCode.FAILED


def collection_status(target: Target) -> int:
    """Show how far deleted chunks are."""
    return _show_collection(target, lambda admin: admin.get_collection())


def approve_collection(target: Target) -> int:
    """Let through what the collection stopped at."""
    return _show_collection(target, lambda admin: admin.approve_collection())


def safe_mode_status(target: Target) -> int:
    """Show whether safe mode is on."""
    return _show_safe_mode(target, lambda admin: admin.get_safe_mode())


def leave_safe_mode(target: Target) -> int:
    """Leave safe mode."""
    return _show_safe_mode(target, lambda admin: admin.leave_safe_mode())


def _show_collection(target: Target, call: Callable[[Admin], Awaitable[CollectionStatus]]) -> int:
    output = Output(as_json=target.as_json)
    status = ask(_endpoint(target), call)
    output.result(status, "\n".join(collection_lines(status, output.style)))
    return ExitCode.OK


def _show_safe_mode(target: Target, call: Callable[[Admin], Awaitable[SafeModeStatus]]) -> int:
    output = Output(as_json=target.as_json)
    status = ask(_endpoint(target), call)
    output.result(status, "\n".join(safe_mode_lines(status, output.style)))
    return ExitCode.OK


async def _fsck(endpoint: str, output: Output, *, repair: bool) -> CheckSummary:
    summary: CheckSummary | None = None
    # The stream is not repeated, so whether there is a master at all is found out before it.
    await ask_async(endpoint, lambda admin: admin.get_collection())
    connection = Connection(endpoint)
    try:
        async for message in connection.admin.check_cluster(repair=repair):
            if isinstance(message, Finding):
                output.result(message, finding_line(message, output.style))
            else:
                summary = message
    finally:
        await connection.close()
    if summary is None:
        raise Unavailable(
            "The check broke off before it was complete: the master ended it. Run `dstore fsck` again.",
            reason="CHECK_INCOMPLETE",
        )
    return summary


def _endpoint(target: Target) -> str:
    return resolve_profile(os.environ, endpoint=target.endpoint, profile=target.profile).endpoint
