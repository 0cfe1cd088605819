"""The chunk file: one header page, the ciphertext, a footer of checksums. Pure functions over bytes.

The layout is specified byte by byte in docs/format.md, section "Chunk file". There is one valid encoding, and
every byte of the file is covered by a CRC32C (Invariant 12); the footer's covers the header page too, so that
the two cannot come from different files. All integers are unsigned and big-endian.
"""

import struct
from dataclasses import dataclass, field

from dstore.core.checksum import crc32c
from dstore.core.crc32c_combining import Shift, combined
from dstore.core.environment import Buffer
from dstore.core.errors import Corrupt
from dstore.core.ids import ChunkId, ClusterId, GroupId, uuid_bytes, uuid_from_bytes
from dstore.core.limits import (
    CHECKSUM_BLOCK_SIZE_BYTES,
    CHUNK_FILE_HEADER_SIZE_BYTES,
    CHUNK_HEADER_SIZE_BYTES,
    CHUNK_SIZE_BYTES_MAX,
    DESCRIPTOR_SIZE_BYTES_MAX,
    SEGMENT_SIZE_BYTES,
    SEGMENT_TAG_SIZE_BYTES,
)

HEADER_MAGIC = b"dstoreCH"
FOOTER_MAGIC = b"dstoreCF"
FORMAT_VERSION = 1

#: The longest ciphertext: that of the largest chunk, whose last segment is empty but for its tag.
LENGTH_BYTES_MAX = (
    CHUNK_HEADER_SIZE_BYTES
    + CHUNK_SIZE_BYTES_MAX
    + (CHUNK_SIZE_BYTES_MAX // SEGMENT_SIZE_BYTES + 1) * SEGMENT_TAG_SIZE_BYTES
)
GROUP_ID_MAX = 2**32 - 1
SEQUENCE_MAX = 2**63 - 1

_shift_by_block = Shift(CHECKSUM_BLOCK_SIZE_BYTES)
_HEADER = struct.Struct(">8sI16sIQQI")
_FOOTER_TAIL = struct.Struct(">IIQ8s")
_CRC = struct.Struct(">I")
_HEADER_BODY_SIZE_BYTES = CHUNK_FILE_HEADER_SIZE_BYTES - _CRC.size

assert _HEADER.size == 52
assert _FOOTER_TAIL.size == 24
assert _HEADER.size + DESCRIPTOR_SIZE_BYTES_MAX <= _HEADER_BODY_SIZE_BYTES


@dataclass(frozen=True, slots=True)
class ChunkHeader:
    """What the header page says.

    Attributes:
        length_bytes: of the ciphertext, at least 1.
        descriptor: opaque, encrypted by the client.
    """

    cluster_id: ClusterId
    chunk_id: ChunkId
    length_bytes: int
    descriptor: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChunkFooter:
    """The checksums of the ciphertext: one for each block of 64 KiB, the last one shorter, and one of all."""

    block_crcs: tuple[int, ...] = field(repr=False)
    crc32c: int


def block_count(length_bytes: int) -> int:
    """Return how many checksum blocks a ciphertext of this length has."""
    return -(-length_bytes // CHECKSUM_BLOCK_SIZE_BYTES)


def footer_size_bytes(length_bytes: int) -> int:
    """Return the size of the footer behind a ciphertext of this length."""
    return _CRC.size * block_count(length_bytes) + _FOOTER_TAIL.size + _CRC.size


def file_size_bytes(length_bytes: int) -> int:
    """Return the size of the file that holds a ciphertext of this length."""
    return CHUNK_FILE_HEADER_SIZE_BYTES + length_bytes + footer_size_bytes(length_bytes)


def encode_header(header: ChunkHeader) -> bytes:
    """Return the header page. The fields must be in range: they are checked when a write begins."""
    assert 1 <= header.length_bytes <= LENGTH_BYTES_MAX
    assert len(header.descriptor) <= DESCRIPTOR_SIZE_BYTES_MAX
    fixed = _HEADER.pack(
        HEADER_MAGIC,
        FORMAT_VERSION,
        uuid_bytes(header.cluster_id),
        header.chunk_id.group_id,
        header.chunk_id.sequence,
        header.length_bytes,
        len(header.descriptor),
    )
    body = (fixed + header.descriptor).ljust(_HEADER_BODY_SIZE_BYTES, b"\0")
    return body + _CRC.pack(crc32c(body))


def decode_header(page: bytes) -> ChunkHeader:
    """Read a header page.

    Raises:
        Corrupt: reason ``CHUNK_CORRUPT``, when it is anything but what ``encode_header`` returns.
    """
    if len(page) != CHUNK_FILE_HEADER_SIZE_BYTES:
        raise _corrupt(f"the header page has {len(page)} bytes instead of {CHUNK_FILE_HEADER_SIZE_BYTES}")
    body = page[:_HEADER_BODY_SIZE_BYTES]
    if page[_HEADER_BODY_SIZE_BYTES:] != _CRC.pack(crc32c(body)):
        raise _corrupt("the checksum of the header page does not match")
    magic, version, cluster, group_id, sequence, length_bytes, descriptor_size = _HEADER.unpack_from(body)
    if magic != HEADER_MAGIC:
        raise _corrupt("the header page does not start with the magic of a chunk file")
    if version != FORMAT_VERSION:
        raise _corrupt(f"the header page has version {version}, this server reads {FORMAT_VERSION}")
    if not (1 <= group_id <= GROUP_ID_MAX and 1 <= sequence <= SEQUENCE_MAX):
        raise _corrupt("the chunk id in the header page is out of range")
    if not 1 <= length_bytes <= LENGTH_BYTES_MAX:
        raise _corrupt(f"the length {length_bytes} in the header page is out of range")
    if descriptor_size > DESCRIPTOR_SIZE_BYTES_MAX:
        raise _corrupt(f"the descriptor length {descriptor_size} in the header page is out of range")
    end = _HEADER.size + descriptor_size
    if body.count(0, end) != len(body) - end:
        raise _corrupt("the padding of the header page is not zero")
    return ChunkHeader(
        cluster_id=ClusterId(uuid_from_bytes(cluster)),
        chunk_id=ChunkId(GroupId(group_id), sequence),
        length_bytes=length_bytes,
        descriptor=body[_HEADER.size : end],
    )


def encode_footer(header_page: bytes, length_bytes: int, footer: ChunkFooter) -> bytes:
    """Return the footer of the file that starts with ``header_page``."""
    count = len(footer.block_crcs)
    assert count == block_count(length_bytes)
    body = struct.pack(f">{count}I", *footer.block_crcs) + _FOOTER_TAIL.pack(
        footer.crc32c, count, length_bytes, FOOTER_MAGIC
    )
    return body + _CRC.pack(crc32c(body, crc32c(header_page)))


def decode_footer(header_page: bytes, header: ChunkHeader, raw: bytes) -> ChunkFooter:
    """Read the footer of the file that starts with ``header_page``, which says ``header``.

    ``raw`` is everything behind the ciphertext; it has to be asked for with one byte more than the footer's
    size, so that a file with something behind its footer is noticed.

    Raises:
        Corrupt: reason ``CHUNK_CORRUPT``, when it is anything but what ``encode_footer`` returns.
    """
    expected_size = footer_size_bytes(header.length_bytes)
    if len(raw) != expected_size:
        comparison = "shorter" if len(raw) < expected_size else "longer"
        raise _corrupt(f"the file is {comparison} than its header says")
    body = raw[: -_CRC.size]
    if raw[-_CRC.size :] != _CRC.pack(crc32c(body, crc32c(header_page))):
        raise _corrupt("the checksum of the footer does not match")
    count = block_count(header.length_bytes)
    whole_crc, stored_count, length_bytes, magic = _FOOTER_TAIL.unpack_from(body, _CRC.size * count)
    if (stored_count, length_bytes, magic) != (count, header.length_bytes, FOOTER_MAGIC):
        raise _corrupt("the footer does not fit the header page")
    return ChunkFooter(struct.unpack_from(f">{count}I", body), whole_crc)


def check_blocks(
    footer: ChunkFooter, first_block: int, data: Buffer, *, before: Buffer = b"", after: Buffer = b""
) -> int:
    """Check ciphertext that lies in blocks from ``first_block`` on, and return its checksum.

    Every byte is read once, but for those of blocks of which the ciphertext has a part.

    Args:
        before: what the first block has before it.
        after: what the last block has after it.

    Raises:
        Corrupt: reason ``CHUNK_CORRUPT``, naming the first block that differs.
    """
    view = memoryview(data)
    block, block_crc, range_crc = first_block, crc32c(before), 0
    start, end = 0, CHECKSUM_BLOCK_SIZE_BYTES - len(before)
    while start < len(view):
        piece = view[start:end]
        if len(piece) == CHECKSUM_BLOCK_SIZE_BYTES:
            block_crc = crc32c(piece)
            range_crc = _shift_by_block(range_crc) ^ block_crc
        else:
            range_crc = crc32c(piece, range_crc)
            block_crc = crc32c(piece, block_crc)
            if end >= len(view):
                block_crc = crc32c(after, block_crc)
        if block_crc != footer.block_crcs[block]:
            raise _corrupt(f"the checksum of block {block} does not match")
        block, block_crc = block + 1, 0
        start, end = end, end + CHECKSUM_BLOCK_SIZE_BYTES
    return range_crc


class BlockSums:
    """Computes the footer of a ciphertext that arrives in pieces of any size, and the checksum of each piece.

    Every byte is read once, but for those of blocks that begin in one piece and end in another: they are read twice.

    Attributes:
        length_bytes: of everything so far.
    """

    __slots__ = ("_block_crcs", "_open_crc", "_whole_crc", "length_bytes")

    def __init__(self) -> None:
        self.length_bytes = 0
        self._block_crcs: list[int] = []
        self._open_crc = 0
        self._whole_crc = 0

    @property
    def crc32c(self) -> int:
        """The checksum of everything so far."""
        return self._whole_crc

    def update(self, data: Buffer) -> int:
        """Take the next piece, and return its checksum."""
        view = memoryview(data)
        # The end of a block that began in an earlier piece.
        position = min(-self.length_bytes % CHECKSUM_BLOCK_SIZE_BYTES, len(view))
        piece_crc = crc32c(view[:position])
        self._open_crc = crc32c(view[:position], self._open_crc)
        if position and (self.length_bytes + position) % CHECKSUM_BLOCK_SIZE_BYTES == 0:
            self._block_crcs.append(self._open_crc)
            self._open_crc = 0
        while (end := position + CHECKSUM_BLOCK_SIZE_BYTES) <= len(view):
            block_crc = crc32c(view[position:end])
            self._block_crcs.append(block_crc)
            piece_crc = _shift_by_block(piece_crc) ^ block_crc
            position = end
        # The beginning of a block that ends in a later one.
        if position < len(view):
            piece_crc = crc32c(view[position:], piece_crc)
            self._open_crc = crc32c(view[position:])
        self._whole_crc = combined(self._whole_crc, piece_crc, len(view)) if self.length_bytes else piece_crc
        self.length_bytes += len(view)
        return piece_crc

    def footer(self) -> ChunkFooter:
        """Return the checksums of everything so far."""
        unfinished = [self._open_crc] if self.length_bytes % CHECKSUM_BLOCK_SIZE_BYTES else []
        return ChunkFooter((*self._block_crcs, *unfinished), self._whole_crc)


def _corrupt(problem: str) -> Corrupt:
    return Corrupt(
        f"The chunk file is damaged: {problem}. Use another replica.",
        reason="CHUNK_CORRUPT",
        metadata={"problem": problem},
    )
