"""Frames of a write, made in place: encrypted straight into the message that gRPC takes."""

from io import SEEK_END, BytesIO

from dstore.core.chunks import Frame
from dstore.rpc.frames import write_frame_prefix


class WriteFrameBuffer:
    """Memory for one frame after the other, where the data is put in the place that it has in the message.

    Nothing is copied as long as each frame is gone before the next one is begun; one that is still there keeps its
    content, and the next one gets other memory.
    """

    __slots__ = ("_memory", "_offset", "_size_bytes", "_view")

    def __init__(self) -> None:
        # gRPC takes bytes alone, and this is how Python gives out bytes that were written in place.
        self._memory = BytesIO()
        self._view = memoryview(b"")
        self._offset = 0
        self._size_bytes = 0

    def begin(self, offset: int, size_bytes: int) -> memoryview:
        """Return the place of the data of the next frame; for use until ``end``, with which it must be released."""
        message_size_bytes = len(write_frame_prefix(offset, 0, size_bytes)) + size_bytes
        self._view.release()
        missing = message_size_bytes - self._memory.seek(0, SEEK_END)
        if missing > 0:
            self._memory.write(bytes(missing))
        else:
            self._memory.truncate(message_size_bytes)
        self._view = self._memory.getbuffer()
        self._offset, self._size_bytes = offset, size_bytes
        return self._view[message_size_bytes - size_bytes :]

    def end(self, crc32c: int) -> Frame:
        """Return the frame, whose data is complete and has this checksum."""
        prefix = write_frame_prefix(self._offset, crc32c, self._size_bytes)
        self._view[: len(prefix)] = prefix
        self._view.release()
        message = self._memory.getvalue()
        return Frame(self._offset, crc32c, memoryview(message)[len(prefix) :], message)
