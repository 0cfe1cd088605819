"""The client of Ceph: its own ``rados bench``, which knows objects alone."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.clients.processes import run_measured
from benchmarks.clients.protocol import Moved, Request
from benchmarks.systems.ceph import POOL
from benchmarks.workloads import MIB

OBJECT_SIZE_BYTES = 4 * MIB
#: It stops after so many objects long before.
_TIME_LIMIT_S = "600"
_DURATION = re.compile(rb"Total time run:\s+([\d.]+)")
_DONE = re.compile(rb"Total (?:writes|reads) made:\s+(\d+)")


class CephClient:
    """Writes and reads objects."""

    def __init__(self, configuration: str) -> None:
        self._rados = ("rados", "-c", configuration, "-p", POOL)

    async def run(self, request: Request) -> Moved:
        """Do what is asked, once.

        Raises:
            RuntimeError: it failed.
        """
        match request.verb:
            case "drop-large":
                await self._cleanup(request.tag)
                return Moved(0.0)
            case "drop-source":
                return Moved(0.0)
            case "write-large" | "read-large":
                threads = 1 if request.variant.startswith("one") else 16
                count = max(1, request.size_bytes // OBJECT_SIZE_BYTES)
                return await self._bench(request, OBJECT_SIZE_BYTES, count, threads)
            case "write-small" | "read-small":
                return await self._bench(request, request.size_bytes, request.count, request.callers)
            case _:
                raise ValueError(f"rados bench cannot {request.verb}.")

    async def _bench(self, request: Request, size_bytes: int, count: int, threads: int) -> Moved:
        if request.verb.startswith("write"):
            arguments = ["write", "-b", str(size_bytes), "--max-objects", str(count), "--no-cleanup"]
        else:
            arguments = ["seq"]
        command = (*self._rados, "bench", _TIME_LIMIT_S, *arguments, "-t", str(threads), "--run-name", request.tag)
        output, peak_bytes = await run_measured(*command)
        duration, done = _DURATION.search(output), _DONE.search(output)
        if duration is None or done is None:
            raise RuntimeError(f"rados bench said something else: {output[-300:]!r}")
        operations = int(done[1])
        large = size_bytes == OBJECT_SIZE_BYTES
        return Moved(float(duration[1]), operations * size_bytes, 0 if large else operations, 0, peak_bytes)

    async def _cleanup(self, tag: str) -> None:
        await run_measured(*self._rados, "cleanup", "--run-name", tag)


@asynccontextmanager
async def open_client(configuration: str) -> AsyncIterator[CephClient]:
    """Give a client of a running cluster."""
    yield CephClient(configuration)
