"""Files as objects, asynchronous: one to read and seek in, one to write from front to back."""

import io
import operator
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from dstore.client.arguments import check_range
from dstore.client.operating import as_opened
from dstore.client.ranges import Range, check_ranges, read_ranges
from dstore.client.read_ahead import ReadAhead
from dstore.client.reader import FileReader
from dstore.client.writer import FileWriter
from dstore.core.errors import InvalidRequest
from dstore.core.files import FileInfo
from dstore.core.manifest import sorted_attributes
from dstore.core.request_ids import current_request

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class AsyncReadFile:
    """One version of a file, open for reading. Not for several tasks at once: they would share the position."""

    def __init__(self, reader: FileReader) -> None:
        """Made by ``AsyncClient.open``."""
        self._request = current_request()
        self._reader = reader
        self._ahead = ReadAhead(reader)
        self._position = 0
        self._is_closed = False

    @property
    def info(self) -> FileInfo:
        """What was opened; size and times are the writer's own words."""
        return self._reader.file.info

    @property
    def attributes(self) -> dict[str, bytes]:
        """What the writer said of the file besides, as sealed with it."""
        return dict(self._reader.file.manifest.attributes)

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._is_closed

    @as_opened
    async def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, fewer only at the end of the file; all that is left when negative.

        Raises:
            DstoreError: as ``AsyncClient.get``.
        """
        self._check_open()
        left = max(0, self._reader.size_bytes - self._position)
        length = left if size < 0 else min(size, left)
        return await collect(length, self._fill)

    @as_opened
    async def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill ``buffer`` and return how many bytes that were; fewer than it holds only at the end of the file.

        Raises:
            DstoreError: as ``AsyncClient.get``; what is in the buffer then must not be used.
        """
        self._check_open()
        target = memoryview(buffer).cast("B")
        target = target[: max(0, self._reader.size_bytes - self._position)]
        await self._fill(target)
        return len(target)

    @as_opened
    async def read_ranges(self, ranges: Sequence[Range]) -> list[bytes]:
        """Return the bytes of each range, as ``AsyncClient.get``; the position neither matters nor changes.

        Any number of tasks may call this at once.
        """
        self._check_open()
        return await read_ranges(self._reader, check_ranges(ranges))

    @as_opened
    async def read_at(self, offset: int, length: int) -> bytes:
        """Return up to ``length`` bytes from ``offset`` on, of any size; the position neither matters nor changes.

        Any number of tasks may call this at once.

        Raises:
            DstoreError: as ``AsyncClient.get``.
        """
        self._check_open()
        check_range(offset, length)
        left = max(0, self._reader.size_bytes - offset)
        return await collect(min(length, left), lambda target: self._reader.read_into(offset, target))

    async def _fill(self, target: memoryview) -> None:
        if len(target):
            await self._ahead.read_into(self._position, target)
            self._position += len(target)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position and return it; past the end is allowed, reading there gives nothing.

        Raises:
            InvalidRequest: reason ``SEEK_INVALID``.
        """
        self._check_open()
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._reader.size_bytes}
        try:
            position = bases[whence] + operator.index(offset)
        except (KeyError, TypeError):
            position = -1
        if position < 0:
            raise InvalidRequest(
                f"Cannot seek to {offset!r:.100} from {whence!r:.100}: the position is a whole number, not negative, "
                "and whence is 0, 1 or 2.",
                reason="SEEK_INVALID",
            )
        self._position = position
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    async def close(self) -> None:
        """Stop reading ahead. Closing twice is fine."""
        self._is_closed = True
        await self._ahead.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise closed_file(self.info.path)


class AsyncWriteFile:
    """A file that is being written from front to back; it appears under its name when it is closed.

    Leaving an ``async with`` block through an exception discards it.
    """

    def __init__(self, path: str, writer: FileWriter) -> None:
        """Made by ``AsyncClient.open``."""
        self._request = current_request()
        self._path = path
        self._writer = writer
        #: None until something comes to fill it: a file that waits for its next piece holds no memory for it.
        self._buffer: bytearray | None = None
        self._filled = 0
        self._position = 0
        self._is_closed = False
        self._is_settled = False
        self._has_failed = False
        self._info: FileInfo | None = None

    @property
    def info(self) -> FileInfo | None:
        """What was committed; None until then."""
        return self._info

    @property
    def closed(self) -> bool:
        """Whether the file is closed or discarded."""
        return self._is_closed

    def set_attributes(self, attributes: Mapping[str, bytes]) -> None:
        """Say more of the file than its content; sealed with it when it is closed, in place of what was said before.

        Names are free, in UTF-8 and up to 255 bytes. They stay with the file when it is renamed or restored.

        Raises:
            InvalidRequest: reason ``ATTRIBUTES_INVALID``.
            LimitExceeded: reason ``ATTRIBUTES_TOO_LARGE``.
        """
        if self._is_closed:
            raise closed_file(self._path)
        self._writer.attributes = sorted_attributes(attributes)

    @as_opened
    async def write(self, data: "ReadableBuffer") -> int:
        """Take all of ``data`` and return its size; waits while too much is in flight.

        Raises:
            DstoreError: as ``AsyncClient.put``; the file can only be discarded then.
        """
        if self._is_closed:
            raise closed_file(self._path)
        source = as_bytes_view(data)
        if self._is_settled and len(source):
            raise InvalidRequest(
                f"Everything of {self._path} was said to be written, so nothing can follow; write it again.",
                reason="FILE_SETTLED",
                metadata={"path": self._path},
            )
        try:
            await self._take(source)
        except BaseException:
            # Nobody knows how much of the data was taken, so what is there must never be committed.
            self._has_failed = True
            await self._writer.discard()
            raise
        self._position += len(source)
        return len(source)

    async def _take(self, source: memoryview) -> None:
        taken = 0
        while taken < len(source):
            # A full chunk is sent only when more follows or the file is closed, so that no empty one is written.
            if self._filled == self._writer.chunk_size_bytes:
                await self._send()
            if self._buffer is None:
                self._buffer = await self._writer.take_buffer()
            size = min(len(source) - taken, self._writer.chunk_size_bytes - self._filled)
            self._buffer[self._filled : self._filled + size] = source[taken : taken + size]
            self._filled += size
            taken += size

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._position

    @as_opened
    async def settle(self) -> None:
        """Wait until everything is durable; it becomes visible when it is closed, and until then little memory is held.

        So that several files can be committed one right after the other. Nothing may be written afterwards.

        Raises:
            DstoreError: as ``AsyncClient.put``; the file can only be discarded then.
        """
        if self._is_closed:
            raise closed_file(self._path)
        if self._is_settled:
            return
        self._is_settled = True
        try:
            if self._filled:
                await self._send()
            await self._writer.settle()
        except BaseException:
            self._has_failed = True
            await self._writer.discard()
            raise
        self._buffer = None

    @as_opened
    async def close(self) -> None:
        """Wait until everything is durable, and commit; after a failure nothing is visible. Closing twice is fine.

        Raises:
            DstoreError: as ``AsyncClient.put``.
        """
        if self._is_closed:
            return
        self._is_closed = True
        if self._has_failed:
            raise InvalidRequest(
                f"An earlier write to {self._path} failed, so the file was discarded and is not visible; write all "
                "of it again.",
                reason="FILE_DISCARDED",
                metadata={"path": self._path},
            )
        async with self._writer:
            if self._filled:
                await self._send()
            self._info = await self._writer.finish()

    async def discard(self) -> None:
        """Give up the write: nothing becomes visible."""
        self._is_closed = True
        await self._writer.discard()

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
        elif not self._is_closed:
            await self.discard()

    async def _send(self) -> None:
        buffer, filled = self._buffer, self._filled
        assert buffer is not None, "what is filled is a buffer"
        self._buffer, self._filled = None, 0
        await self._writer.write_chunk(memoryview(buffer)[:filled], buffer=buffer)


async def collect(length: int, fill: Callable[[memoryview], Awaitable[None]]) -> bytes:
    """Return ``length`` bytes that ``fill`` puts in place.

    ``BytesIO`` gives out its buffer for writing and then turns it into ``bytes`` without copying it again, which
    a ``bytearray`` does not. It takes over bytes that nobody else has; those the system gives zeroed, untouched, and
    page by page where they are first written.
    """
    if length == 0:
        return b""
    stream = io.BytesIO(bytes(length))
    with stream.getbuffer() as target:
        await fill(target)
    return stream.getvalue()


def as_bytes_view(data: "ReadableBuffer") -> memoryview:
    """Return ``data`` as a view of bytes.

    Raises:
        InvalidRequest: reason ``DATA_NOT_BYTES``.
    """
    try:
        view = memoryview(data)
        return view.cast("B") if view.c_contiguous else memoryview(view.tobytes())
    except (TypeError, ValueError, BufferError):
        # ValueError: it was released, or has items of a format of its own.
        raise InvalidRequest(
            f"Data must be bytes, bytearray, memoryview or another buffer that can be read as bytes, not "
            f"{type(data).__name__}; encode text first.",
            reason="DATA_NOT_BYTES",
        ) from None


def closed_file(path: str) -> InvalidRequest:
    """Return the error for the use of a file that is closed."""
    return InvalidRequest(f"The file {path} is closed; open it again.", reason="FILE_CLOSED")
