"""The client of SeaweedFS: its own ``weed benchmark`` for small files, HTTP to the filer for all else."""

import asyncio
import os
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TypeVar

from benchmarks.clients.http import HttpConnection, download, open_connections, upload
from benchmarks.clients.pacing import timed
from benchmarks.clients.processes import run_measured
from benchmarks.clients.protocol import Moved, Request
from benchmarks.workloads import MIB

PATTERN_SIZE_BYTES = 16 * MIB
RENAMED = "-renamed"
_DURATION = re.compile(rb"Time taken for tests:\s+([\d.]+) seconds")
T = TypeVar("T")
_FAILED = re.compile(rb"Failed requests:\s+(\d+)")


class SeaweedClient:
    """Does what SeaweedFS can."""

    def __init__(self, weed: str, master: str, filer: str, replication: str, directory: str) -> None:
        self._weed = weed
        self._master = master
        self._filer = filer
        self._replication = replication
        self._directory = Path(directory)
        self._pattern = os.urandom(PATTERN_SIZE_BYTES)

    async def run(self, request: Request) -> Moved:
        """Do what is asked, once.

        Raises:
            RuntimeError: it failed.
        """
        verb: Callable[[Request], Awaitable[Moved]] = getattr(self, f"_{request.verb.replace('-', '_')}")
        return await verb(request)

    # --- One large file, through the filer ---------------------------------------------------------------------

    async def _write_large(self, request: Request) -> Moved:
        target = _large(request) + ("?fsync=true" if request.variant == "synced" else "")
        start_s = time.perf_counter()
        await asyncio.to_thread(upload, self._filer, target, self._pattern, request.size_bytes)
        return Moved(time.perf_counter() - start_s, request.size_bytes, caller_bytes=len(self._pattern))

    async def _drop_large(self, request: Request) -> Moved:
        async with open_connections(self._filer, 1) as pool:
            await pool.get_nowait().request("DELETE", _large(request))
        return Moved(0.0)

    async def _drop_source(self, request: Request) -> Moved:
        return Moved(0.0)

    async def _read_large(self, request: Request) -> Moved:
        start_s = time.perf_counter()
        received = await asyncio.to_thread(download, self._filer, _large(request))
        duration_s = time.perf_counter() - start_s
        if received != request.size_bytes:
            raise RuntimeError(f"{received} bytes came back instead of {request.size_bytes}.")
        return Moved(duration_s, received, caller_bytes=len(self._pattern))

    async def _read_ranges(self, request: Request) -> Moved:
        size_bytes = await asyncio.to_thread(_length, self._filer, _large(request))
        chosen = random.Random(request.seed)
        offsets = [chosen.randrange(size_bytes - request.size_bytes) for _ in range(request.count)]

        async def read(connection: HttpConnection, offset: int) -> None:
            span = f"Range: bytes={offset}-{offset + request.size_bytes - 1}"
            if len(await connection.request("GET", _large(request), span)) != request.size_bytes:
                raise RuntimeError("A range came back short.")

        duration_s = await self._pooled(request, offsets, read)
        return Moved(duration_s, request.count * request.size_bytes, request.count, caller_bytes=len(self._pattern))

    # --- Small files, with its own benchmark -------------------------------------------------------------------

    async def _write_small(self, request: Request) -> Moved:
        more = ("-fsync",) if request.variant == "synced" else ()
        return await self._benchmark(request, "-writeOnly", f"-replication={self._replication}", *more)

    async def _read_small(self, request: Request) -> Moved:
        return await self._benchmark(request, "-readOnly")

    async def _benchmark(self, request: Request, *arguments: str) -> Moved:
        output, peak_bytes = await run_measured(
            *(self._weed, "benchmark", f"-master={self._master}", f"-c={request.callers}", f"-n={request.count}"),
            *(f"-size={request.size_bytes}", f"-list={self._directory / f'list-{request.tag}'}", *arguments),
            directory=self._directory,
            environ={**os.environ, "HOME": str(self._directory)},
        )
        duration, failed = _DURATION.search(output), _FAILED.search(output)
        if duration is None or failed is None or int(failed[1]):
            raise RuntimeError(f"weed benchmark did not write or read all: {output[-300:]!r}")
        size_bytes = request.count * request.size_bytes
        return Moved(float(duration[1]), size_bytes, request.count, child_peak_bytes=peak_bytes)

    # --- Names, through the filer ------------------------------------------------------------------------------

    async def _create(self, request: Request) -> Moved:
        return await self._names(request, lambda connection, path: connection.request("PUT", path))

    async def _stat(self, request: Request) -> Moved:
        return await self._names(request, lambda connection, path: connection.request("HEAD", path))

    async def _rename(self, request: Request) -> Moved:
        def rename(connection: HttpConnection, path: str) -> Awaitable[bytes]:
            return connection.request("POST", f"{path}{RENAMED}?mv.from={path}")

        return await self._names(request, rename)

    async def _remove(self, request: Request) -> Moved:
        return await self._names(request, lambda connection, path: connection.request("DELETE", f"{path}{RENAMED}"))

    async def _list(self, request: Request) -> Moved:
        async with open_connections(self._filer, 1) as pool:
            connection = pool.get_nowait()
            start_s = time.perf_counter()
            target = f"{_directory(request)}/?limit={request.count + 1}"
            content = await connection.request("GET", target, "Accept: application/json")
            duration_s = time.perf_counter() - start_s
        if content.count(b'"FullPath"') != request.count:
            raise RuntimeError(f"{content.count(b'FullPath')} entries were listed instead of {request.count}.")
        return Moved(duration_s, 0, request.count)

    async def _names(self, request: Request, work: Callable[[HttpConnection, str], Awaitable[bytes]]) -> Moved:
        directory = _directory(request)
        paths = [f"{directory}/{index:06}" for index in range(request.count)]
        return Moved(await self._pooled(request, paths, work), 0, request.count)

    async def _pooled(
        self, request: Request, items: list[T], work: Callable[[HttpConnection, T], Awaitable[object]]
    ) -> float:
        async with open_connections(self._filer, request.callers) as pool:

            async def one(item: T) -> None:
                connection = pool.get_nowait()
                await work(connection, item)
                pool.put_nowait(connection)

            return await timed(items, request.callers, one)


def _large(request: Request) -> str:
    return f"/large-{request.tag}"


def _directory(request: Request) -> str:
    return f"/files-{request.tag}"


def _length(address: str, target: str) -> int:
    connection = HTTPConnection(address)
    try:
        connection.request("HEAD", target)
        return int(connection.getresponse().headers["Content-Length"])
    finally:
        connection.close()


@asynccontextmanager
async def open_client(
    weed: str, master: str, filer: str, replication: str, directory: str
) -> AsyncIterator[SeaweedClient]:
    """Give a client of a running cluster."""
    yield SeaweedClient(weed, master, filer, replication, directory)
