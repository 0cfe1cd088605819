"""Where a range of one chunk stands: what came is checked and decrypted into place, in order.

Invariant 5: a byte gets into the destination only through authenticated decryption under the identity that the
manifest names.
"""

from dstore.client.opening import VerifiedFile, chunk_length
from dstore.core.checksum import crc32c
from dstore.core.chunks import Frame
from dstore.core.environment import Buffer
from dstore.core.errors import Corrupt
from dstore.core.files import ChunkRecord
from dstore.core.limits import (
    CHUNK_HEADER_SIZE_BYTES,
    FRAME_SIZE_BYTES,
    SEGMENT_SEALED_SIZE_BYTES,
    SEGMENT_SIZE_BYTES,
    SEGMENT_TAG_SIZE_BYTES,
)
from dstore.crypto.cobblestone import ChunkOpener, chunk_context, last_segment_index, sealed_range

#: Openers that an open file keeps; each is about a KiB.
_OPENERS_MAX = 256


class ChunkCursor:
    """What is still to come of one range: whole sealed segments, in order."""

    __slots__ = ("_chunk_plaintext", "_last_segment", "_offset", "_opener", "_out", "end", "position")

    def __init__(self, file: VerifiedFile, record: ChunkRecord, offset: int, out: memoryview) -> None:
        self._chunk_plaintext = chunk_length(file.manifest, record.index)
        start, size_bytes, _ = sealed_range(offset, len(out), self._chunk_plaintext)
        self._opener = opener_of(file, record)
        self._last_segment = last_segment_index(self._chunk_plaintext)
        self._offset = offset
        self._out = out
        #: In the chunk's ciphertext.
        self.position = start
        self.end = start + size_bytes

    def accept(self, frame: Frame) -> None:
        """Decrypt the next frame.

        Raises:
            Corrupt: it is not what was asked for; the cursor stays where it is.
        """
        check_place(frame, self.position, self.end)
        try:
            self.decrypt(frame.data)
        except Corrupt:
            # The tags say all that the checksum says, and more: it only tells the way from the disk.
            if crc32c(frame.data) != frame.crc32c:
                raise Corrupt(
                    "A frame was altered on its way. Use another replica.", reason="FRAME_CRC_MISMATCH"
                ) from None
            raise

    def decrypt(self, sealed: Buffer) -> None:
        """Decrypt the next whole segments into place.

        Raises:
            Corrupt: they do not authenticate; the cursor stays where it is.
        """
        first_segment = (self.position - CHUNK_HEADER_SIZE_BYTES) // SEGMENT_SEALED_SIZE_BYTES
        segment_count = -(-len(sealed) // SEGMENT_SEALED_SIZE_BYTES)
        self._open(sealed, first_segment, len(sealed) - segment_count * SEGMENT_TAG_SIZE_BYTES)
        self.position += len(sealed)

    def _open(self, sealed: Buffer, first_segment: int, length: int) -> None:
        # Where the plaintext starts and ends in the destination; it may stick out on both sides.
        start = first_segment * SEGMENT_SIZE_BYTES - self._offset
        end = start + length
        if start >= 0 and end <= len(self._out):
            target = self._out[start:end]
            self._opener.open_segments(sealed, first_segment, target, last_segment_index=self._last_segment)
            return
        whole = bytearray(length)
        self._opener.open_segments(sealed, first_segment, whole, last_segment_index=self._last_segment)
        clipped_start, clipped_end = max(start, 0), min(end, len(self._out))
        if clipped_start < clipped_end:
            wanted = memoryview(whole)[clipped_start - start : clipped_end - start]
            self._out[clipped_start:clipped_end] = wanted


def check_place(frame: Frame, position: int, end: int) -> None:
    """Check that a frame is the next one of what was asked for: from ``position``, up to ``end`` at most.

    Raises:
        Corrupt: reason ``FRAME_MISPLACED``.
    """
    size_bytes = min(FRAME_SIZE_BYTES, end - position)
    if frame.offset != position or len(frame.data) != size_bytes:
        raise Corrupt(
            f"A frame of {len(frame.data)} bytes from {frame.offset} came in place of {size_bytes} bytes from "
            f"{position}. Use another replica.",
            reason="FRAME_MISPLACED",
        )


def opener_of(file: VerifiedFile, record: ChunkRecord) -> ChunkOpener:
    """Return what decrypts a chunk; it is kept with the file."""
    opener = file.openers.get(record.index)
    if opener is None:
        context = chunk_context(file.cluster_id, file.manifest.file_id, record.index)
        opener = ChunkOpener(file.dek, context, record.header)
        if len(file.openers) >= _OPENERS_MAX:
            file.openers.clear()
        file.openers[record.index] = opener
    return opener
