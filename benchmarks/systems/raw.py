"""The machine by itself: one copy on its file system, and bytes over loopback that nobody keeps."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from benchmarks.systems.base import REPOSITORY, ClientProcess, Variant, open_client_process
from benchmarks.workloads import Workload

LARGE = Variant("disk", "1 copy: fsync of file and directory; nothing sent")
SMALL = Variant("disk", "1 copy: fsync, rename, fsync of directory; nothing sent")
NAMES = Variant("disk", "1 copy: not synced; nothing sent")
LOOPBACK = Variant("loopback", "nothing stored: bytes over one TCP connection")
CALLS = Variant("loopback", "nothing stored: the bytes there and back over TCP")


class RawSession:
    """A directory, and a server that takes, gives and returns bytes."""

    name = "raw"
    copies = 1

    def __init__(self, client: ClientProcess, pid: int) -> None:
        self.client = client
        self._pid = pid

    def pids(self) -> Mapping[str, int]:
        """Return the pid of the server of the loopback."""
        return {"loopback": self._pid}

    def variants(self, workload: Workload) -> tuple[Variant, ...]:
        """Return what of the workload the machine can do by itself."""
        match workload.verb:
            case "write-large" | "read-large":
                return (LOOPBACK, LARGE)
            case "read-ranges":
                return (LARGE,)
            case "write-small" | "read-small":
                return (CALLS, SMALL)
            case "create" | "stat" | "list" | "rename" | "remove":
                return (NAMES,)
            case _:
                return ()

    async def reclaim(self) -> None:
        """Do nothing: files go when they are dropped."""


@asynccontextmanager
async def open_raw(directory: Path) -> AsyncIterator[RawSession]:
    """Start the server of the loopback and the client, and end both with the block.

    Raises:
        RuntimeError: one of them did not start.
    """
    directory.mkdir()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.loopback"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=REPOSITORY,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        ports = (await process.stdout.readline()).split()
        if len(ports) != 2:
            raise RuntimeError(f"The server of the loopback ended with code {await process.wait()}.")
        settings = {"directory": str(directory), "bulk_port": int(ports[0]), "echo_port": int(ports[1])}
        async with open_client_process("raw", settings) as client:
            yield RawSession(client, process.pid)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
