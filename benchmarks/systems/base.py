"""What the benchmark knows of a system: its processes, what it can do, and in which variants."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.clients.protocol import Moved, Request
from benchmarks.workloads import Workload

REPOSITORY = Path(__file__).parents[2]
_CLOSE_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Variant:
    """One way in which a system does a workload.

    Attributes:
        durability: what is true when a write returns; what is read was written like this; for people.
    """

    name: str
    durability: str


class Session(Protocol):
    """A running system."""

    @property
    def name(self) -> str:
        """Stable; results of many commits are compared by it."""
        ...

    @property
    def copies(self) -> int:
        """How many copies of each byte it keeps."""
        ...

    @property
    def client(self) -> "ClientProcess":
        """The process that does the client's part."""
        ...

    def pids(self) -> Mapping[str, int]:
        """Return the pid of every server by its name."""
        ...

    def variants(self, workload: Workload) -> tuple[Variant, ...]:
        """Return the ways in which it does the workload; none when it cannot.

        What comes later reads what the last one left behind.
        """
        ...

    async def reclaim(self) -> None:
        """Return when the space of large files that were dropped is free again, or will not become so."""
        ...


class ClientProcess:
    """A running client process; made by ``open_client_process``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        self._process = process

    async def run(self, request: Request) -> Moved:
        """Let it do one run.

        Raises:
            RuntimeError: the run failed, with the reason.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(request.to_line())
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The client process ended with code {await self._process.wait()}.")
        return Moved.from_line(line)


@asynccontextmanager
async def open_client_process(
    name: str, settings: Mapping[str, Any], *, environ: Mapping[str, str] | None = None
) -> AsyncIterator[ClientProcess]:
    """Start ``benchmarks.clients.<name>`` and end it with the block.

    Raises:
        RuntimeError: it did not start; its traceback is on standard error.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.clients", name, json.dumps(settings)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=REPOSITORY,
        env={**os.environ, **(environ or {})},
        start_new_session=True,  # Ctrl-C is for the benchmark alone, which ends its processes in order
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if not await process.stdout.readline():
            raise RuntimeError(f"The client of {name} ended with code {await process.wait()} before it was ready.")
        yield ClientProcess(process)
        process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await process.wait()
    finally:
        # On uvloop the process can be gone before its return code is known.
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()


def disk_usage_bytes(directory: Path) -> int:
    """Return the space that the files below ``directory`` take; files that vanish meanwhile count nothing."""
    total = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
    return total


async def wait_for_space(directory: Path, most_bytes: int, patience_s: float) -> None:
    """Return when the files below ``directory`` take at most ``most_bytes``, or patience is over."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + patience_s
    while disk_usage_bytes(directory) > most_bytes and loop.time() < end_s:
        await asyncio.sleep(0.2)
