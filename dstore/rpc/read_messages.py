"""Answers to reads whose data is read from the disk straight into its place in the message.

``BytesIO`` gives out its buffer for writing and then the same memory as ``bytes``, which gRPC wants. When nobody has
those bytes any more it gives out the buffer again, and a copy of it otherwise: so the memory of one message serves the
next ones, and what was handed out never changes.
"""

import io
import sys
from collections import deque

from dstore.core.chunks import Frame
from dstore.core.limits import KIB
from dstore.rpc.frames import read_frame_prefix

#: Messages whose memory is kept: for each stream one that gRPC has, one that waits, and one that is being filled.
_SPARE_MAX = 8
#: The stream's own, and those of the function that counts.
_REFERENCES_OF_FREE = 3
#: Less is not worth keeping.
_SPARE_SIZE_BYTES_MIN = 512 * KIB


class ReadMessages:
    """Makes the messages of one server."""

    def __init__(self) -> None:
        #: Those that were used longest ago first.
        self._spare: deque[tuple[int, io.BytesIO]] = deque(maxlen=_SPARE_MAX)

    def begin(self, offset: int, length_bytes: int) -> "ReadMessage":
        """Return a message for so much of a chunk; one that is not finished is simply dropped."""
        prefix_size = len(read_frame_prefix(offset, 0, length_bytes))
        size_bytes = prefix_size + length_bytes
        return ReadMessage(self, offset, prefix_size, self._take(size_bytes))

    def _take(self, size_bytes: int) -> io.BytesIO:
        # The one that was used last is still in the core's cache.
        for index in reversed(range(len(self._spare))):
            spare_size_bytes, stream = self._spare[index]
            if spare_size_bytes == size_bytes and _is_free(stream):
                del self._spare[index]
                return stream
        return io.BytesIO(bytes(size_bytes))

    def keep(self, stream: io.BytesIO, size_bytes: int) -> None:
        """Keep the memory of a message that was finished."""
        if size_bytes >= _SPARE_SIZE_BYTES_MIN:
            self._spare.append((size_bytes, stream))


def _is_free(stream: io.BytesIO) -> bool:
    """Tell whether nobody has the bytes of a stream any more. A wrong answer costs time and nothing else."""
    message = stream.getvalue()
    return sys.getrefcount(message) <= _REFERENCES_OF_FREE


class ReadMessage:
    """A message that is being made; ``data`` is to be filled."""

    __slots__ = ("_messages", "_offset", "_prefix_size", "_stream", "_view", "data")

    def __init__(self, messages: ReadMessages, offset: int, prefix_size: int, stream: io.BytesIO) -> None:
        self._messages = messages
        self._offset = offset
        self._prefix_size = prefix_size
        self._stream = stream
        self._view = stream.getbuffer()
        self.data = self._view[prefix_size:]

    def finish(self, crc32c: int) -> Frame:
        """Return the frame, whose data has this checksum and which holds the message; ``data`` is gone."""
        length_bytes = len(self.data)
        self._view[: self._prefix_size] = read_frame_prefix(self._offset, crc32c, length_bytes)
        self.data.release()
        self._view.release()
        message = self._stream.getvalue()
        self._messages.keep(self._stream, len(message))
        return Frame(self._offset, crc32c, memoryview(message)[self._prefix_size :], message)
