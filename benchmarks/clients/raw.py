"""What the machine gives without any store: files on its file system, and bytes over loopback."""

import asyncio
import os
import random
import shutil
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from benchmarks.clients.pacing import timed
from benchmarks.clients.protocol import Moved, Request
from benchmarks.loopback import GIVE, TAKE, give, take
from benchmarks.workloads import MIB

T = TypeVar("T")
BLOCK_SIZE_BYTES = MIB
RENAMED = "-renamed"


class RawClient:
    """Does what a file system and a socket can."""

    def __init__(self, directory: Path, bulk_port: int, echo_port: int) -> None:
        self._directory = directory
        self._bulk_port = bulk_port
        self._echo_port = echo_port
        self._block = os.urandom(BLOCK_SIZE_BYTES)

    async def run(self, request: Request) -> Moved:
        """Do what is asked, once."""
        verb = request.verb.replace("-", "_")
        if request.variant == "loopback":
            if request.verb.endswith("small"):
                return await self._echo(request)
            return await asyncio.to_thread(self._bulk, request)
        if request.verb == "list":
            return await asyncio.to_thread(self._list, request)
        moved: Moved = await asyncio.to_thread(getattr(self, f"_{verb}"), request)
        return moved

    # --- Loopback ----------------------------------------------------------------------------------------------

    def _bulk(self, request: Request) -> Moved:
        verb = TAKE if request.verb == "write-large" else GIVE
        with socket.create_connection(("127.0.0.1", self._bulk_port)) as connection:
            start_s = time.perf_counter()
            connection.sendall(verb + request.size_bytes.to_bytes(8))
            if verb == TAKE:
                give(connection, request.size_bytes)
                take(connection, 1)
            else:
                take(connection, request.size_bytes)
            return Moved(time.perf_counter() - start_s, request.size_bytes)

    async def _echo(self, request: Request) -> Moved:
        message = os.urandom(request.size_bytes)
        async with AsyncExitStack() as stack:
            idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
            for _ in range(request.callers):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._echo_port)
                stack.callback(writer.close)
                idle.append((reader, writer))

            async def call(_: int) -> None:
                reader, writer = idle.pop()
                writer.write(message)
                await reader.readexactly(len(message))
                idle.append((reader, writer))

            duration_s = await timed(range(request.count), request.callers, call)
        return Moved(duration_s, request.count * len(message), request.count)

    # --- One large file ----------------------------------------------------------------------------------------

    def _write_large(self, request: Request) -> Moved:
        start_s = time.perf_counter()
        file = os.open(self._large(request), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            block = memoryview(self._block)
            for start in range(0, request.size_bytes, len(block)):
                os.write(file, block[: request.size_bytes - start])
            os.fsync(file)
        finally:
            os.close(file)
        self._sync_directory(self._directory)
        return Moved(time.perf_counter() - start_s, request.size_bytes)

    def _read_large(self, request: Request) -> Moved:
        buffer = bytearray(BLOCK_SIZE_BYTES)
        start_s = time.perf_counter()
        received = 0
        with self._large(request).open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                received += count
        if received != request.size_bytes:
            raise RuntimeError(f"{received} bytes came back instead of {request.size_bytes}.")
        return Moved(time.perf_counter() - start_s, received)

    def _read_ranges(self, request: Request) -> Moved:
        file = os.open(self._large(request), os.O_RDONLY)
        try:
            size_bytes = os.fstat(file).st_size
            chosen = random.Random(request.seed)
            offsets = [chosen.randrange(size_bytes - request.size_bytes) for _ in range(request.count)]
            duration_s = _in_threads(
                offsets, request.callers, lambda offset: os.pread(file, request.size_bytes, offset)
            )
        finally:
            os.close(file)
        return Moved(duration_s, request.count * request.size_bytes, request.count)

    def _drop_large(self, request: Request) -> Moved:
        # The loopback leaves no file behind.
        self._large(request).unlink(missing_ok=True)
        return Moved(0.0)

    def _drop_source(self, _: Request) -> Moved:
        return Moved(0.0)

    # --- Many small files --------------------------------------------------------------------------------------

    def _write_small(self, request: Request) -> Moved:
        self._make_directory(request)
        data = os.urandom(request.size_bytes)

        def write(path: Path) -> None:
            new = path.with_suffix(".new")
            file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                os.write(file, data)
                os.fsync(file)
            finally:
                os.close(file)
            new.rename(path)
            self._sync_directory(path.parent)

        return self._each(request, write, size_bytes=len(data))

    def _read_small(self, request: Request) -> Moved:
        return self._each(request, Path.read_bytes, size_bytes=request.size_bytes)

    def _create(self, request: Request) -> Moved:
        self._make_directory(request)
        return self._each(request, lambda path: path.touch(exist_ok=False))

    def _stat(self, request: Request) -> Moved:
        return self._each(request, os.stat)

    def _list(self, request: Request) -> Moved:
        start_s = time.perf_counter()
        with os.scandir(self._files(request)) as entries:
            count = sum(1 for entry in entries if entry.stat())
        return Moved(time.perf_counter() - start_s, 0, count)

    def _rename(self, request: Request) -> Moved:
        return self._each(request, lambda path: path.rename(f"{path}{RENAMED}"))

    def _remove(self, request: Request) -> Moved:
        return self._each(request, lambda path: os.unlink(f"{path}{RENAMED}"))

    def _each(self, request: Request, work: Callable[[Path], object], *, size_bytes: int = 0) -> Moved:
        directory = self._files(request)
        paths = [directory / f"{index:06}" for index in range(request.count)]
        duration_s = _in_threads(paths, request.callers, work)
        return Moved(duration_s, request.count * size_bytes, request.count)

    def _make_directory(self, request: Request) -> None:
        directory = self._files(request)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()

    def _files(self, request: Request) -> Path:
        return self._directory / f"files-{request.tag}"

    def _large(self, request: Request) -> Path:
        return self._directory / f"large-{request.tag}"

    @staticmethod
    def _sync_directory(directory: Path) -> None:
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _in_threads(items: Sequence[T], callers: int, work: Callable[[T], object]) -> float:
    """Work on all items in so many threads, and return the seconds that it took."""
    queue = iter(items)

    def call() -> None:
        for item in queue:
            work(item)

    with ThreadPoolExecutor(callers) as threads:
        start_s = time.perf_counter()
        for future in [threads.submit(call) for _ in range(callers)]:
            future.result()
        return time.perf_counter() - start_s


@asynccontextmanager
async def open_client(directory: str, bulk_port: int, echo_port: int) -> AsyncIterator[RawClient]:
    """Give a client."""
    yield RawClient(Path(directory), bulk_port, echo_port)
