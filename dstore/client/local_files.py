"""Files of the local file system, for transfers: blocking calls, all of them in threads.

Errors of the local file system are what Python raises for them: ``FileNotFoundError``, ``PermissionError`` and so on,
with the local path.
"""

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeVar

from dstore.core.environment import Random

T = TypeVar("T")


async def run_blocking(call: Callable[..., T], *arguments: object) -> T:
    """Run a blocking call in a thread. A caller that is cancelled waits for its end all the same.

    Otherwise a file could be closed, and its descriptor given to another file, under a thread that still uses it.
    """
    future = asyncio.get_running_loop().run_in_executor(None, call, *arguments)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.gather(future, return_exceptions=True)
        raise


class LocalSource:
    """A local file that is read from front to back. Use as an asynchronous context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: BinaryIO | None = None
        #: Its size when it was opened; None for pipes and devices. It may be changed while it is read.
        self.size_bytes: int | None = None

    async def __aenter__(self) -> Self:
        try:
            await run_blocking(self._open)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._stream is not None:
            await run_blocking(self._stream.close)

    async def fill(self, buffer: bytearray | memoryview) -> int:
        """Fill ``buffer`` and return how many bytes that were; fewer than it holds only at the end of the file."""
        return await run_blocking(self._fill, buffer)

    def _open(self) -> None:
        self._stream = self._path.open("rb", buffering=0)
        status = os.fstat(self._stream.fileno())
        self.size_bytes = status.st_size if stat.S_ISREG(status.st_mode) else None

    def _fill(self, buffer: bytearray | memoryview) -> int:
        assert self._stream is not None
        view = memoryview(buffer)
        filled = 0
        # A signal or a pipe may give less than there is.
        while filled < len(view) and (count := os.readv(self._stream.fileno(), [view[filled:]])):
            filled += count
        return filled


class LocalTarget:
    """A local file that appears, whole and durable, or not at all. Use as an asynchronous context manager.

    The content goes to a temporary name in the same directory; ``finish`` syncs and renames it.
    """

    def __init__(self, path: Path, random: Random) -> None:
        self._path = path
        self._temporary = path.with_name(f".dstore-{random.token_bytes(8).hex()}.part")
        self._descriptor = -1

    async def __aenter__(self) -> Self:
        try:
            await run_blocking(self._open)
        except BaseException:
            self._release()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Not in a thread: a second cancellation must not leave the temporary file behind.
        self._release()

    async def write_at(self, offset: int, data: memoryview) -> None:
        """Write ``data`` at ``offset``; several may run at once."""
        await run_blocking(self._write_at, offset, data)

    async def finish(self) -> None:
        """Make the file durable under its name."""
        await run_blocking(self._finish)

    def _open(self) -> None:
        if self._path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self._path))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            self._descriptor = os.open(self._temporary, flags, 0o666)
        except OSError as error:
            # People know the name that they gave, not the temporary one.
            error.filename = str(self._path)
            raise

    def _write_at(self, offset: int, data: memoryview) -> None:
        while len(data):
            written = os.pwrite(self._descriptor, data, offset)
            offset += written
            data = data[written:]

    def _finish(self) -> None:
        os.fsync(self._descriptor)
        self._temporary.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            with contextlib.suppress(FileNotFoundError):
                self._temporary.unlink()
