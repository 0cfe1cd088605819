"""The chunk file: one encoding, and no byte that may change unnoticed."""

import random
from dataclasses import replace

import pytest

from dstore.chunkserver.chunkfile import (
    LENGTH_BYTES_MAX,
    BlockSums,
    ChunkFooter,
    ChunkHeader,
    block_count,
    check_blocks,
    decode_footer,
    decode_header,
    encode_footer,
    encode_header,
    file_size_bytes,
    footer_size_bytes,
)
from dstore.core.checksum import crc32c
from dstore.core.errors import Corrupt
from dstore.core.ids import ChunkId, ClusterId, GroupId
from dstore.core.limits import (
    CHECKSUM_BLOCK_SIZE_BYTES,
    CHUNK_FILE_HEADER_SIZE_BYTES,
    DESCRIPTOR_SIZE_BYTES_MAX,
)

BLOCK = CHECKSUM_BLOCK_SIZE_BYTES
HEADER = ChunkHeader(ClusterId("6f2c1a52-93b1-4d1f-8a57-0f9be7d9a001"), ChunkId(GroupId(42), 499), 11, b"descriptor")


def content(length_bytes: int) -> bytes:
    return bytes((7 * index + index // 251) % 256 for index in range(length_bytes))


def encode(header: ChunkHeader, data: bytes) -> bytes:
    page = encode_header(header)
    sums = BlockSums()
    sums.update(data)
    return page + data + encode_footer(page, len(data), sums.footer())


def verify(raw: bytes) -> ChunkHeader:
    """Check a whole file as a reader does."""
    page = raw[:CHUNK_FILE_HEADER_SIZE_BYTES]
    header = decode_header(page)
    end = CHUNK_FILE_HEADER_SIZE_BYTES + header.length_bytes
    footer = decode_footer(page, header, raw[end : end + footer_size_bytes(header.length_bytes) + 1])
    check_blocks(footer, 0, raw[CHUNK_FILE_HEADER_SIZE_BYTES:end])
    return header


def test_the_worked_example_of_the_format_page() -> None:
    raw = encode(HEADER, b"hello chunk")
    assert len(raw) == file_size_bytes(11) == 4096 + 11 + 32
    assert raw[:62].hex(" ") == (
        "64 73 74 6f 72 65 43 48 00 00 00 01 6f 2c 1a 52 93 b1 4d 1f 8a 57 0f 9b e7 d9 a0 01 "
        "00 00 00 2a 00 00 00 00 00 00 01 f3 00 00 00 00 00 00 00 0b 00 00 00 0a "
        "64 65 73 63 72 69 70 74 6f 72"
    )
    assert raw[62:4092] == bytes(4030)
    assert raw[4092:4096].hex() == "d016e33c"
    assert (
        raw[4107:].hex(" ")
        == "b2 55 6a a0 b2 55 6a a0 00 00 00 01 00 00 00 00 00 00 00 0b 64 73 74 6f 72 65 43 46 99 fc d1 06"
    )


@pytest.mark.parametrize("length_bytes", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 1])
@pytest.mark.parametrize("descriptor", [b"", b"x", bytes(DESCRIPTOR_SIZE_BYTES_MAX)])
def test_what_is_written_is_read(length_bytes: int, descriptor: bytes) -> None:
    header = replace(HEADER, length_bytes=length_bytes, descriptor=descriptor)
    raw = encode(header, content(length_bytes))
    assert len(raw) == file_size_bytes(length_bytes)
    assert verify(raw) == header


@pytest.mark.parametrize("piece_size", [1, 7, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_block_sums_do_not_depend_on_the_pieces(piece_size: int) -> None:
    data = content(2 * BLOCK + 5)
    sums = BlockSums()
    for start in range(0, len(data), piece_size):
        piece = data[start : start + piece_size]
        assert sums.update(piece) == crc32c(piece)
    blocks = tuple(crc32c(data[start : start + BLOCK]) for start in range(0, len(data), BLOCK))
    assert sums.footer() == ChunkFooter(blocks, crc32c(data))
    assert sums.crc32c == crc32c(data)


def test_every_flipped_byte_is_detected() -> None:
    raw = bytearray(encode(HEADER, b"hello chunk"))
    verify(bytes(raw))
    for index in range(len(raw)):
        for mask in (0x01, 0x80, 0xFF):
            raw[index] ^= mask
            with pytest.raises(Corrupt):
                verify(bytes(raw))
            raw[index] ^= mask


def test_every_other_length_is_detected() -> None:
    raw = encode(HEADER, b"hello chunk")
    for length_bytes in range(len(raw)):
        with pytest.raises(Corrupt):
            verify(raw[:length_bytes])
    with pytest.raises(Corrupt, match="longer"):
        verify(raw + b"\0")


def test_header_and_footer_belong_together() -> None:
    mine = encode(HEADER, b"hello chunk")
    other = encode(replace(HEADER, chunk_id=ChunkId(GroupId(42), 500)), b"hello chunk")
    with pytest.raises(Corrupt, match="footer"):
        verify(mine[:CHUNK_FILE_HEADER_SIZE_BYTES] + other[CHUNK_FILE_HEADER_SIZE_BYTES:])


@pytest.mark.parametrize(
    ("offset", "value", "problem"),
    [
        (0, b"D", "magic"),
        (11, b"\x02", "version 2"),
        (28, b"\0\0\0\0", "chunk id"),
        (32, bytes(8), "chunk id"),
        (32, b"\x80", "chunk id"),
        (40, bytes(8), "length 0"),
        (40, (LENGTH_BYTES_MAX + 1).to_bytes(8, "big"), "length"),
        (48, (DESCRIPTOR_SIZE_BYTES_MAX + 1).to_bytes(4, "big"), "descriptor length"),
        (48, (9).to_bytes(4, "big"), "padding"),
        (4091, b"\x01", "padding"),
    ],
)
def test_a_header_with_a_good_checksum_and_bad_fields_is_refused(offset: int, value: bytes, problem: str) -> None:
    body = bytearray(encode_header(HEADER)[:-4])
    body[offset : offset + len(value)] = value
    with pytest.raises(Corrupt, match=problem):
        decode_header(bytes(body) + crc32c(body).to_bytes(4, "big"))


def test_a_footer_with_a_good_checksum_and_bad_fields_is_refused() -> None:
    page = encode_header(HEADER)
    good = encode_footer(page, 11, ChunkFooter((1,), 1))
    for index in range(8, len(good) - 4):
        body = bytearray(good[:-4])
        body[index] ^= 1
        with pytest.raises(Corrupt, match="does not fit"):
            decode_footer(page, HEADER, bytes(body) + crc32c(body, crc32c(page)).to_bytes(4, "big"))


@pytest.mark.parametrize(
    ("length_bytes", "count"),
    [(1, 1), (BLOCK - 1, 1), (BLOCK, 1), (BLOCK + 1, 2), (LENGTH_BYTES_MAX, LENGTH_BYTES_MAX // BLOCK + 1)],
)
def test_block_count(length_bytes: int, count: int) -> None:
    assert block_count(length_bytes) == count


def test_the_descriptor_stays_out_of_the_repr() -> None:
    assert "descriptor" not in repr(HEADER)


RANGE_DATA = random.Random(3).randbytes(4 * BLOCK + 100)


@pytest.mark.parametrize("start", [0, 1, 56, BLOCK - 1, BLOCK, BLOCK + 1])
@pytest.mark.parametrize("length", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, len(RANGE_DATA)])
def test_a_range_is_checked_with_the_rest_of_its_blocks_and_summed_alone(start: int, length: int) -> None:
    sums = BlockSums()
    sums.update(RANGE_DATA)
    footer = sums.footer()
    end = min(start + length, len(RANGE_DATA))
    block, skipped = divmod(start, BLOCK)
    around = min(-(-end // BLOCK) * BLOCK, len(RANGE_DATA))
    before, data, after = RANGE_DATA[start - skipped : start], RANGE_DATA[start:end], RANGE_DATA[end:around]
    assert check_blocks(footer, block, data, before=before, after=after) == crc32c(data)
    parts = [bytearray(part) for part in (before, data, after)]
    for part in parts:
        for position in {0, len(part) // 2, len(part) - 1} if part else ():
            part[position] ^= 4
            with pytest.raises(Corrupt):
                check_blocks(footer, block, parts[1], before=parts[0], after=parts[2])
            part[position] ^= 4
