"""Servers of other systems: started with a log, looked at until they answer, ended with the block."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

#: Below the ports that Linux hands out by itself, also with 10,000 more.
PORTS = range(12_000, 22_000)
_READY_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 10.0


@asynccontextmanager
async def open_process(
    command: Sequence[str], log: Path, *, environ: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a server in the directory of its log, and end it with the block.

    Raises:
        OSError: the program cannot be started.
    """
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=log.parent,
            env=environ,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        # On uvloop the process can be gone before its return code is known.
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def wait_until(is_ready: Callable[[], Awaitable[bool]], what: str, logs: Path) -> None:
    """Ask again and again until the answer is yes.

    Raises:
        RuntimeError: the time for that is over.
    """
    try:
        async with asyncio.timeout(_READY_TIMEOUT_S):
            while not await is_ready():
                await asyncio.sleep(0.2)
    except TimeoutError:
        tails = [f"{log.name}: {log.read_text(errors='replace')[-400:]}" for log in sorted(logs.glob("*.log"))]
        raise RuntimeError(f"{what} did not become ready.\n" + "\n".join(tails)) from None


def free_ports(count: int, *, also_above: int = 0) -> list[int]:
    """Return ports that are free now, each also with ``also_above`` more.

    Raises:
        RuntimeError: there are not so many.
    """
    found: list[int] = []
    for port in random.sample(PORTS, 2_000):
        if _is_free(port) and (not also_above or _is_free(port + also_above)):
            found.append(port)
            if len(found) == count:
                return found
    raise RuntimeError("No free ports were found; stop what holds them.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
