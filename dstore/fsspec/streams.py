"""Files for callers that are asynchronous themselves; ``DstoreFileSystem.open_async`` opens them."""

import io
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fsspec.asyn import AbstractAsyncStreamedFile

from dstore.client.files import AsyncReadFile, as_bytes_view, closed_file
from dstore.fsspec.entries import Entry, entry_of
from dstore.fsspec.files import BLOCK_SIZE_BYTES
from dstore.fsspec.uploads import Upload

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Stream(AbstractAsyncStreamedFile):
    """What both directions share. fsspec's own constructor would make blocking calls."""

    def __init__(self, fs: Any, path: str, mode: str) -> None:
        self.fs = fs
        self.path = path
        self.mode = mode
        self.blocksize = BLOCK_SIZE_BYTES
        self.autocommit = True
        self.closed = False

    def _check_open(self) -> None:
        if self.closed:
            raise closed_file(self.path)

    def __del__(self) -> None:
        """Leave it to the loop: there is nobody to wait here."""


class ReadStream(_Stream):
    """One version of a file, with the next bytes on their way while it is read in sequence. For one task at a time."""

    def __init__(self, fs: Any, path: str, file: AsyncReadFile) -> None:
        """Made by ``DstoreFileSystem.open_async``."""
        super().__init__(fs, path, "rb")
        self._file = file
        self._details = entry_of(file.info)
        self.size = file.info.size_bytes

    @property
    def details(self) -> Entry:
        """What was opened, as ``info`` says it."""
        return self._details

    async def read(self, length: int | None = -1) -> bytes:
        """Return up to ``length`` bytes, fewer only at the end; all that is left when negative or None."""
        self._check_open()
        return await self._file.read(-1 if length is None else length)

    def seek(self, loc: int, whence: int = io.SEEK_SET) -> int:
        """Set the position and return it."""
        self._check_open()
        return self._file.seek(loc, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    async def close(self) -> None:
        """Stop reading ahead. Closing twice is fine."""
        self.closed = True
        await self._file.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class WriteStream(_Stream):
    """A file that is being written; it appears when it is closed, and an exception in ``async with`` discards it."""

    def __init__(self, fs: Any, path: str, mode: str, upload: Upload) -> None:
        """Made by ``DstoreFileSystem.open_async``."""
        super().__init__(fs, path, mode)
        self._upload = upload
        self._gathered = bytearray()
        self._written = 0

    async def write(self, data: "ReadableBuffer") -> int:
        """Take all of ``data``; waits while too much is in flight.

        Raises:
            DstoreError: as ``AsyncWriteFile.write``; the file can only be discarded then.
        """
        self._check_open()
        view = as_bytes_view(data)
        if len(self._gathered) + len(view) <= self.blocksize:
            self._gathered += view
        else:
            gathered, self._gathered = self._gathered, bytearray()
            await self._upload.write(memoryview(gathered))
            await self._upload.write(view)
        self._written += len(view)
        return len(view)

    async def flush(self, force: bool = False) -> None:
        """Do nothing: what was gathered goes when there is enough of it, and all of it when the file is closed."""

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._written

    async def close(self) -> None:
        """Wait until everything is durable, and make it visible. Closing twice is fine.

        Raises:
            DstoreError: as ``AsyncClient.put``; nothing is visible.
        """
        if not self.closed:
            self.closed = True
            gathered, self._gathered = self._gathered, bytearray()
            await self._upload.commit(memoryview(gathered))
            self.fs.invalidate_cache(self.path)

    async def discard(self) -> None:
        """Give up: nothing becomes visible. Does nothing after it was closed."""
        if not self.closed:
            self.closed = True
            self._gathered = bytearray()
            await self._upload.discard()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            await self.close()
        else:
            await self.discard()
