"""A range of one chunk that comes before anybody has a place for it.

What comes over the network is kept as it came and decrypted when it is wanted, straight into its place: that saves a
copy of each byte. Invariant 5: nothing is handed out but what authenticated decryption gave.
"""

import asyncio
from collections import deque

from dstore.client.chunk_cursor import ChunkCursor, check_place, opener_of
from dstore.client.opening import VerifiedFile, chunk_length
from dstore.core.chunks import Frame
from dstore.core.files import ChunkRecord
from dstore.core.limits import (
    SEGMENT_SEALED_SIZE_BYTES,
    SEGMENT_SIZE_BYTES,
    SEGMENT_TAG_SIZE_BYTES,
)
from dstore.crypto.cobblestone import last_segment_index, sealed_range


class HeldRange:
    """Filled by one task, in order, and emptied by another one, in order.

    Attributes:
        position: where what is still to come starts, in the chunk's ciphertext.
        end: where it ends.
        taken: where what is still to be handed out starts, in the chunk's plaintext.
    """

    __slots__ = (
        "_arrival",
        "_file",
        "_frames",
        "_last_segment",
        "_length",
        "_offset",
        "_opener",
        "_plain",
        "_plain_cursor",
        "_plain_start",
        "_record",
        "_segment",
        "end",
        "position",
        "taken",
    )

    def __init__(self, file: VerifiedFile, record: ChunkRecord, offset: int, length: int) -> None:
        chunk_plaintext = chunk_length(file.manifest, record.index)
        start, size_bytes, self._segment = sealed_range(offset, length, chunk_plaintext)
        self._file = file
        self._record = record
        self._offset = offset
        self._length = length
        self._opener = opener_of(file, record)
        self._last_segment = last_segment_index(chunk_plaintext)
        self.position = start
        self.end = start + size_bytes
        self.taken = offset
        #: Ciphertext from segment ``_segment`` on.
        self._frames: deque[memoryview] = deque()
        #: Plaintext from ``_plain_start`` on: of a segment of which only a part was wanted, or what was read on this
        #: machine, which comes before all that comes over the network.
        self._plain = bytearray()
        self._plain_start = offset
        self._plain_cursor: ChunkCursor | None = None
        self._arrival: asyncio.Future[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether ``take`` has something to do."""
        return bool(self._frames) or self._plain_ready() > 0

    @property
    def is_taken(self) -> bool:
        """Whether everything was handed out; the end, which has no bytes, may still lack its proof."""
        return self.taken == self._offset + self._length

    @property
    def is_over(self) -> bool:
        """Whether everything came, was authenticated, and was handed out."""
        return self.is_taken and self.position == self.end and not self._frames

    def accept(self, frame: Frame) -> None:
        """Keep the next frame.

        Raises:
            Corrupt: it is not what was asked for.
        """
        check_place(frame, self.position, self.end)
        self._frames.append(memoryview(frame.data))
        self.position += len(frame.data)
        self.wake()

    def decrypt(self, sealed: memoryview) -> None:
        """Take the next segments, which are in a buffer of somebody else; blocks, and may be called by a thread.

        Raises:
            Corrupt: they do not authenticate.
        """
        if self._plain_cursor is None:
            self._plain = bytearray(self._length)
            self._plain_cursor = ChunkCursor(self._file, self._record, self._offset, memoryview(self._plain))
        self._plain_cursor.decrypt(sealed)
        self._segment += -(-len(sealed) // SEGMENT_SEALED_SIZE_BYTES)
        self.position = self._plain_cursor.position

    def wake(self) -> None:
        """Have ``arrival`` return, because there is something new."""
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def arrival(self) -> None:
        """Wait for something new."""
        self._arrival = asyncio.get_running_loop().create_future()
        await self._arrival

    def take(self, out: memoryview) -> int:
        """Put what is there of the next bytes into ``out``, a frame at most, and return how many that were.

        Raises:
            Corrupt: they do not authenticate.
        """
        ready = self._plain_ready()
        if ready > 0:
            start = self.taken - self._plain_start
            size = min(ready, len(out))
            out[:size] = memoryview(self._plain)[start : start + size]
        elif self._frames:
            size = self._open(out)
        else:
            return 0
        self.taken += size
        return size

    def _plain_ready(self) -> int:
        """Return how many of the next bytes are there as plaintext."""
        end = self._plain_start + len(self._plain)
        if self._plain_cursor is not None:
            end = min(end, self._segment * SEGMENT_SIZE_BYTES)
        return end - self.taken

    def _open(self, out: memoryview) -> int:
        """Decrypt what fits of the first frame, or one segment of it, aside, of which a part fits."""
        self._plain_cursor, self._plain = None, bytearray()
        frame = self._frames[0]
        segment_count = -(-len(frame) // SEGMENT_SEALED_SIZE_BYTES)
        length = len(frame) - segment_count * SEGMENT_TAG_SIZE_BYTES
        skipped = self.taken - self._segment * SEGMENT_SIZE_BYTES
        if skipped == 0 and length > len(out):
            segment_count = len(out) // SEGMENT_SIZE_BYTES
            length = segment_count * SEGMENT_SIZE_BYTES
        if skipped or not segment_count:
            size = min(SEGMENT_SEALED_SIZE_BYTES, len(frame))
            self._plain = bytearray(size - SEGMENT_TAG_SIZE_BYTES)
            self._plain_start = self._segment * SEGMENT_SIZE_BYTES
            self._open_segments(frame[:size], memoryview(self._plain))
            wanted = min(len(self._plain) - skipped, len(out))
            out[:wanted] = memoryview(self._plain)[skipped : skipped + wanted]
            return wanted
        self._open_segments(frame[: length + segment_count * SEGMENT_TAG_SIZE_BYTES], out[:length])
        return length

    def _open_segments(self, sealed: memoryview, out: memoryview) -> None:
        self._opener.open_segments(sealed, self._segment, out, last_segment_index=self._last_segment)
        self._segment += -(-len(sealed) // SEGMENT_SEALED_SIZE_BYTES)
        rest = self._frames[0][len(sealed) :]
        if len(rest):
            self._frames[0] = rest
        else:
            self._frames.popleft()
