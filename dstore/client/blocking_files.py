"""Files as objects, for callers that block: what ``io`` and ``shutil`` expect."""

import io
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from dstore.client.files import AsyncReadFile, AsyncWriteFile, as_bytes_view, closed_file
from dstore.client.loop_thread import LoopThread
from dstore.client.ranges import Range
from dstore.core.files import FileInfo
from dstore.core.limits import KIB, MIB

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

#: Small reads are served from a buffer of this size: one hop to the other thread costs as much as copying it.
READ_BUFFER_SIZE_BYTES = 128 * KIB
#: Small writes are gathered up to this size, for the same reason.
WRITE_BUFFER_SIZE_BYTES = MIB


class RawReadFile(io.RawIOBase):
    """One version of a file, open for reading; ``Client.open`` puts an ``io.BufferedReader`` around it."""

    def __init__(self, loop_thread: LoopThread, file: AsyncReadFile) -> None:
        """Made by ``Client.open``."""
        super().__init__()
        self._loop_thread = loop_thread
        self._file = file
        self.name = file.info.path

    @property
    def info(self) -> FileInfo:
        """What was opened; size and times are the writer's own words."""
        return self._file.info

    @property
    def attributes(self) -> dict[str, bytes]:
        """What the writer said of the file; see ``AsyncWriteFile.set_attributes``."""
        return self._file.attributes

    @property
    def mode(self) -> str:
        """Always ``rb``."""
        return "rb"

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill ``buffer``; see ``AsyncReadFile.readinto``."""
        self._check_open()
        return self._loop_thread.run(self._file.readinto(memoryview(buffer)))

    def readall(self) -> bytes:
        """Return all that is left."""
        self._check_open()
        return self._loop_thread.run(self._file.read())

    def read_ranges(self, ranges: Sequence[Range]) -> list[bytes]:
        """Return the bytes of each range; see ``AsyncReadFile.read_ranges``."""
        self._check_open()
        return self._loop_thread.run(self._file.read_ranges(ranges))

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Set the position and return it; see ``AsyncReadFile.seek``."""
        self._check_open()
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        self._check_open()
        return self._file.tell()

    def close(self) -> None:
        """Stop reading ahead. Closing twice is fine, also after the client was closed."""
        if not self.closed:
            super().close()
            self._loop_thread.clean_up(self._file.close)

    def _check_open(self) -> None:
        if self.closed:
            raise closed_file(self.name)


class WriteFile(io.RawIOBase):
    """A file that is being written from front to back; it appears under its name when it is closed.

    Leaving a ``with`` block through an exception discards it, and so does forgetting to close it: what is incomplete
    never becomes visible.
    """

    def __init__(self, loop_thread: LoopThread, file: AsyncWriteFile, path: str, mode: str) -> None:
        """Made by ``Client.open``."""
        super().__init__()
        self._loop_thread = loop_thread
        self._file = file
        self._gathered = bytearray()
        self.name = path
        self._mode = mode

    @property
    def info(self) -> FileInfo | None:
        """What was committed; None until the file is closed."""
        return self._file.info

    def set_attributes(self, attributes: Mapping[str, bytes]) -> None:
        """Say more of the file than its content; see ``AsyncWriteFile.set_attributes``."""
        self._check_open()
        self._file.set_attributes(attributes)

    @property
    def mode(self) -> str:
        """``wb`` or ``xb``."""
        return self._mode

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        """Take all of ``data``; see ``AsyncWriteFile.write``."""
        self._check_open()
        view = as_bytes_view(data)
        if len(self._gathered) + len(view) <= WRITE_BUFFER_SIZE_BYTES:
            self._gathered += view
        else:
            self._pass_on()
            self._loop_thread.run(self._file.write(view))
        return len(view)

    def tell(self) -> int:
        """Return how many bytes were written."""
        self._check_open()
        return self._file.tell() + len(self._gathered)

    def flush(self) -> None:
        """Send what was gathered. It becomes visible and durable only with ``close``."""
        if not self.closed:
            self._pass_on()

    def close(self) -> None:
        """Wait until everything is durable, and commit; after a failure nothing is visible. Closing twice is fine.

        Raises:
            DstoreError: as ``Client.put``.
        """
        if self.closed:
            return
        try:
            self._pass_on()
            self._loop_thread.run(self._file.close())
        finally:
            self._end()

    def discard(self) -> None:
        """Give up the write: nothing becomes visible."""
        if not self.closed:
            try:
                self._loop_thread.clean_up(self._file.discard)
            finally:
                self._end()

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        # IOBase closes what is forgotten, which would commit it.
        self.discard()

    def _pass_on(self) -> None:
        if self._gathered:
            gathered, self._gathered = self._gathered, bytearray()
            self._loop_thread.run(self._file.write(gathered))

    def _end(self) -> None:
        # Past RawIOBase.close, which would flush.
        self._gathered = bytearray()
        super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise closed_file(self.name)
