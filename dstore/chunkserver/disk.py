"""A directory of the real machine as the core ``Disk``; blocking calls run in a small pool of threads."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

from dstore.chunkserver.quick_reads import QuickReads
from dstore.core.environment import Buffer, DiskFile
from dstore.core.groups import Capacity
from dstore.core.limits import DISK_THREADS

T = TypeVar("T")

_IOV_MAX = 1024
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_DIRECTORY = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY


class LocalDisk:
    """The tree below ``root``, which must exist."""

    def __init__(self, root: Path, *, threads: int = DISK_THREADS) -> None:
        self._root = root
        self._threads = _Threads(threads)
        self._quick_reads = QuickReads(root)

    @property
    def queue_depth(self) -> int:
        """See ``Disk.queue_depth``."""
        return self._threads.queue_depth

    async def create(self, path: str) -> DiskFile:
        """See ``Disk.create``. Chunks are readable by the owner alone."""
        return await self._run(self._open, path, _CREATE)

    async def open(self, path: str) -> DiskFile:
        """See ``Disk.open``."""
        return await self._run(self._open, path, _OPEN)

    async def rename(self, source: str, target: str) -> None:
        """See ``Disk.rename``."""
        await self._run(os.replace, self._root / source, self._root / target)

    async def remove(self, path: str) -> None:
        """See ``Disk.remove``."""
        await self._run(os.unlink, self._root / path)

    async def make_directory(self, path: str) -> None:
        """See ``Disk.make_directory``."""
        await self._run(self._make_directory, path)

    async def sync_directory(self, path: str) -> None:
        """See ``Disk.sync_directory``."""
        await self._run(_sync_directory, self._root / path)

    async def list(self, path: str) -> tuple[str, ...]:
        """See ``Disk.list``."""
        return await self._run(self._list, path)

    async def capacity(self) -> Capacity:
        """See ``Disk.capacity``."""
        return await self._run(self._capacity)

    def close(self) -> None:
        """End the threads once their calls are over; open files stay usable for nothing but ``close``."""
        self._threads.shutdown()

    async def _run(self, function: Callable[..., T], *args: object) -> T:
        return await self._threads.call(function, *args)

    def _open(self, path: str, flags: int) -> "LocalDiskFile":
        descriptor = os.open(self._root / path, flags, 0o600)
        return LocalDiskFile(descriptor, self._threads, self._quick_reads, self._root / path)

    def _make_directory(self, path: str) -> None:
        # Syncing the parent even when the directory is there: whoever made it may not have come to its sync.
        parents = [self._root / part for part in accumulate(path.split("/"), lambda a, b: f"{a}/{b}")]
        for directory in parents:
            try:
                os.mkdir(directory, 0o700)
            except FileExistsError:
                if not directory.is_dir():
                    raise
            _sync_directory(directory.parent)

    def _list(self, path: str) -> tuple[str, ...]:
        try:
            return tuple(sorted(os.listdir(self._root / path)))
        except FileNotFoundError:
            return ()

    def _capacity(self) -> Capacity:
        status = os.statvfs(self._root)
        # What is reserved for root counts as used, as df does: it is not there for us.
        usable = status.f_blocks - status.f_bfree + status.f_bavail
        return Capacity(
            total_bytes=usable * status.f_frsize,
            used_bytes=(status.f_blocks - status.f_bfree) * status.f_frsize,
        )


class _Threads:
    """Threads for blocking calls, which count what waits for them."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="disk")
        self._lock = threading.Lock()
        self._unfinished = 0

    @property
    def queue_depth(self) -> int:
        """Calls that wait for a thread."""
        return max(0, self._unfinished - self._count)

    def call(self, function: Callable[..., T], *args: object) -> "asyncio.Future[T]":
        """Have a thread call the function; one that has begun comes to its end even when nobody waits."""
        with self._lock:
            self._unfinished += 1
        call = self._pool.submit(function, *args)
        call.add_done_callback(self._note_end)
        return asyncio.wrap_future(call)

    def shutdown(self) -> None:
        """Wait for the calls under way, and take no more."""
        self._pool.shutdown(wait=True)

    def _note_end(self, call: "Future[T]") -> None:
        with self._lock:
            self._unfinished -= 1


class LocalDiskFile:
    """An open file of a ``LocalDisk``.

    A call that was cancelled goes on in its thread, so the descriptor is closed by whoever leaves last: it
    must never be given to another file while a thread still writes to it.
    """

    def __init__(self, descriptor: int, threads: "_Threads", quick_reads: QuickReads, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path
        self._threads = threads
        self._quick_reads = quick_reads
        self._lock = threading.Lock()
        self._users = 1
        self._closed = False

    def __del__(self) -> None:
        # An open whose caller was cancelled leaves a file that nobody has.
        if not self._closed:
            os.close(self._descriptor)

    def fileno(self) -> int:
        """Return the descriptor, which is open until ``close`` is called."""
        if self._closed:
            raise ValueError("The file is closed.")
        return self._descriptor

    async def write_at(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """See ``DiskFile.write_at``."""
        await self._run(self._write, offset, buffers)

    async def read_at(self, offset: int, length_bytes: int) -> bytearray:
        """See ``DiskFile.read_at``."""
        buffer = bytearray(length_bytes)
        size = await self.read_into(offset, (buffer,))
        del buffer[size:]
        return buffer

    async def read_into(self, offset: int, buffers: Sequence[bytearray | memoryview]) -> int:
        """See ``DiskFile.read_into``."""
        # The descriptor is open until ``close`` was called, which only this thread does.
        if not self._closed and self._quick_reads.read_into(self._descriptor, buffers, offset):
            return sum(map(len, buffers))
        return await self._run(self._read, offset, buffers)

    async def sync(self) -> None:
        """See ``DiskFile.sync``."""
        await self._run(os.fsync, self._descriptor)

    async def size_bytes(self) -> int:
        """See ``DiskFile.size_bytes``."""
        return (await self._run(os.fstat, self._descriptor)).st_size

    async def close(self) -> None:
        """See ``DiskFile.close``."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        # Shielded: a close that is cancelled before its thread starts would leak the descriptor.
        await asyncio.shield(self._threads.call(self._leave))

    async def _run(self, function: Callable[..., T], *args: object) -> T:
        return await self._threads.call(self._use, function, *args)

    def _use(self, function: Callable[..., T], *args: object) -> T:
        with self._lock:
            if self._closed:
                raise ValueError("The file is closed.")
            self._users += 1
        try:
            with _naming(self._path):
                return function(*args)
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if last:
            os.close(self._descriptor)

    def _write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        views = [memoryview(buffer) for buffer in buffers if len(buffer)]
        while views:
            written = os.pwritev(self._descriptor, views[:_IOV_MAX], offset)
            offset += written
            while views and written >= len(views[0]):
                written -= len(views.pop(0))
            if written:
                views[0] = views[0][written:]

    def _read(self, offset: int, buffers: Sequence[bytearray | memoryview]) -> int:
        views = [memoryview(buffer) for buffer in buffers if len(buffer)]
        size = 0
        # A short read is rare: a signal, the end of the file.
        while views and (count := os.preadv(self._descriptor, views[:_IOV_MAX], offset + size)):
            size += count
            while views and count >= len(views[0]):
                count -= len(views.pop(0))
            if count:
                views[0] = views[0][count:]
        return size


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, _DIRECTORY)
    try:
        with _naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Have errors say which file failed: those of calls on descriptors do not."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
