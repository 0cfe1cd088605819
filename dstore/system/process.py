"""A server process: its loop, its signals, its log."""

import asyncio
import logging
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable

import uvloop

from dstore.core.errors import DstoreError

_INTERRUPTED_EXIT_CODE = 130


def setup_logging(level: str) -> None:
    """Log to stderr, one line each, from ``level`` on."""
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )


def run_server(main: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run ``main`` on an event loop until it returns; return the exit code.

    ``main`` gets an event that is set by SIGTERM or SIGINT; a second signal ends the process at once. A
    ``DstoreError`` that leaves ``main`` is printed as a sentence and gives exit code 1.
    """
    # A core dump would write whatever is in memory to a disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        uvloop.run(_run_until_stopped(main))
    except DstoreError as error:
        print(f"error: {error} [{error.reason}]", file=sys.stderr, flush=True)  # noqa: T201 - the process' last word
        return 1
    return 0


async def _run_until_stopped(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stopping = asyncio.Event()

    def on_signal() -> None:
        if stopping.is_set():
            os._exit(_INTERRUPTED_EXIT_CODE)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    await main(stopping)
