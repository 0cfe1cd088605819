"""``dstore doctor``: measures, and says what is wrong and what to do."""

import asyncio
import os
import platform
import resource
import time

import dstore
from dstore.cli.diagnosis import Check, Measured, Verdict, diagnose, open_files
from dstore.cli.exit_codes import ExitCode
from dstore.cli.key_files import choose_passphrase, show_key_file
from dstore.cli.master_calls import ASK_PATIENCE_S
from dstore.cli.output import Output
from dstore.cli.target import Target
from dstore.client.profile import Profile, resolve_profile
from dstore.client.retries import Retries
from dstore.client.retrying import RetryingAdmin
from dstore.core.errors import DeadlineExceeded, DstoreError, NotReady, Unavailable
from dstore.core.ids import ChunkId, GroupId
from dstore.core.text import printable
from dstore.rpc.channel import Connections
from dstore.system.environment import SystemClock, SystemRandom

#: The first call also connects; of the others the fastest counts, since a busy client makes all of them slower.
_CALLS = 4
_CALL_TIMEOUT_S = 5.0
_STYLES = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.ERROR: "red"}
#: Of all chunks that a server may be asked for; whether it has it does not matter.
_ANY_CHUNK = ChunkId(GroupId(1), 1)


def doctor(target: Target) -> int:
    """Look at this machine, the key, the master and every chunkserver; one JSON object per check, then a summary."""
    output, counts = Output(as_json=target.as_json), dict.fromkeys(Verdict, 0)

    def tell(check: Check) -> None:
        counts[check.verdict] += 1
        word = output.style(f"{check.verdict.value:<5}", _STYLES[check.verdict])
        hint = f"\n         → {printable(check.hint)}" if check.hint else ""
        output.result(check, f"  {word}  {printable(check.subject)}: {printable(check.message)}{hint}")

    versions = f"dstore {dstore.__version__}, Python {platform.python_version()}"
    tell(Check("version", "this machine", Verdict.OK, versions))
    soft_limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    tell(open_files(soft_limit if soft_limit != resource.RLIM_INFINITY else 2**31))
    try:
        profile = resolve_profile(
            os.environ, endpoint=target.endpoint, profile=target.profile, key_file=target.key_file
        )
        tell(_key(profile))
        for check in diagnose(asyncio.run(_measure(profile.endpoint))):
            tell(check)
    except DstoreError as error:
        # Without a profile or a master there is nothing more to look at.
        subject = "master" if isinstance(error, (Unavailable, NotReady, DeadlineExceeded)) else "settings"
        tell(Check("reach", subject, Verdict.ERROR, error.message, "dstore config show --origin"))
    summary = {verdict.value: number for verdict, number in counts.items()}
    found = ", ".join(f"{counts[each]} {each.value}" for each in Verdict)
    output.result({"summary": summary}, f"\n  {found}")
    return ExitCode.FAILED if counts[Verdict.ERROR] else ExitCode.OK


def _key(profile: Profile) -> Check:
    if profile.key_file is None:
        message = "no key file is configured; names can be listed, files neither read nor written"
        return Check("key", "key file", Verdict.WARN, message, "dstore key init, or --key-file")
    try:
        key = show_key_file(profile.key_file.expanduser(), choose_passphrase(os.environ, None))
    except DstoreError as error:
        return Check("key", "key file", Verdict.ERROR, error.message, "dstore config show --origin")
    message = f"{key.path} is readable, private, and has the fingerprint {key.fingerprint}"
    return Check("key", "key file", Verdict.OK, message)


async def _measure(endpoint: str) -> Measured:
    connections = Connections()
    retries = Retries(endpoint=endpoint, clock=SystemClock(), random=SystemRandom(), patience_s=ASK_PATIENCE_S)
    admin = RetryingAdmin(connections.connection(endpoint).admin, retries)
    try:
        status, best_s, ahead_s = await admin.get_status(), float("inf"), 0.0
        for _ in range(_CALLS - 1):
            asked_ns, started_s = time.time_ns(), time.monotonic()
            status = await admin.get_status()
            took_s = time.monotonic() - started_s
            if took_s < best_s:
                best_s = took_s
                ahead_s = (asked_ns - status.time_ns) / 1e9 + took_s / 2 if status.time_ns else 0.0
        round_trips_s = await asyncio.gather(*(_round_trip(connections, server.address) for server in status.servers))
        names = [server.name for server in status.servers]
        return Measured(status, dstore.__version__, best_s, ahead_s, dict(zip(names, round_trips_s, strict=True)))
    finally:
        await connections.close()


async def _round_trip(connections: Connections, address: str) -> float | None:
    """Return the shortest time that a server took to answer; None when it did not."""
    best_s: float | None = None
    for _ in range(_CALLS):
        started_s = time.monotonic()
        try:
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                await connections.chunks(address).stat_chunk(_ANY_CHUNK)
        except (Unavailable, DeadlineExceeded, TimeoutError):
            return best_s
        except DstoreError:
            # It has no such chunk; that is an answer too.
            pass
        took_s = time.monotonic() - started_s
        best_s = took_s if best_s is None else min(best_s, took_s)
    return best_s
