"""Sizes, ranges, bindings and damage of the chunk encryption."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dstore.core.errors import Corrupt, InvalidRequest
from dstore.core.ids import ClusterId, FileId
from dstore.core.limits import CHUNK_SIZE_BYTES_DEFAULT, FRAME_SEGMENTS, SEGMENT_SEALED_SIZE_BYTES
from dstore.crypto import cobblestone
from dstore.crypto.cobblestone import (
    ChunkOpener,
    ChunkSealer,
    chunk_context,
    last_segment_index,
    open_sealed,
    plaintext_length,
    seal,
    sealed_length,
    sealed_range,
)

CLUSTER = ClusterId("6b1f8a52-0c3d-4e9f-8a7b-112233445566")
OTHER_CLUSTER = ClusterId("6b1f8a52-0c3d-4e9f-8a7b-112233445567")
KEY = bytes(range(32))
SALT = bytes(range(100, 124))
CONTEXT = chunk_context(CLUSTER, FileId(42), 0)
SEGMENT = 16_384
HEADER = 56
BOUNDARIES = [
    0,
    1,
    SEGMENT - 1,
    SEGMENT,
    SEGMENT + 1,
    2 * SEGMENT - 1,
    2 * SEGMENT,
    2 * SEGMENT + 1,
    CHUNK_SIZE_BYTES_DEFAULT - 1,
    CHUNK_SIZE_BYTES_DEFAULT,
    CHUNK_SIZE_BYTES_DEFAULT + 1,
]


def make_plaintext(length: int) -> bytes:
    pattern = bytes(index * 31 % 251 for index in range(251))
    return (pattern * (length // 251 + 1))[:length]


def flip(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


@pytest.mark.parametrize("length", BOUNDARIES)
def test_round_trip_and_sizes(length: int) -> None:
    plaintext = make_plaintext(length)
    sealed = seal(KEY, CONTEXT, SALT, plaintext)
    assert len(sealed) == sealed_length(length) == HEADER + length + 16 * (length // SEGMENT + 1)
    assert plaintext_length(len(sealed)) == length
    assert open_sealed(KEY, CONTEXT, sealed) == plaintext


@pytest.mark.parametrize("length", BOUNDARIES)
def test_frames_give_the_same_bytes_as_the_whole(length: int) -> None:
    plaintext = make_plaintext(length)
    sealer = ChunkSealer(KEY, CONTEXT, SALT)
    frames = [sealer.header]
    step = FRAME_SEGMENTS * SEGMENT
    for start in range(0, length + 1, step):
        piece = plaintext[start : start + step]
        out = bytearray(len(piece) + 16 * (FRAME_SEGMENTS + 1))
        written = sealer.seal_segments(piece, start // SEGMENT, out, last=start + step > length)
        frames.append(bytes(out[:written]))
    sealed = b"".join(frames)
    assert sealed == seal(KEY, CONTEXT, SALT, plaintext)
    opener = ChunkOpener(KEY, CONTEXT, sealed[:HEADER])
    opened = b""
    body, last = sealed[HEADER:], last_segment_index(length)
    for start in range(0, len(body), FRAME_SEGMENTS * SEGMENT_SEALED_SIZE_BYTES):
        frame = body[start : start + FRAME_SEGMENTS * SEGMENT_SEALED_SIZE_BYTES]
        room = bytearray(step)
        first = start // SEGMENT_SEALED_SIZE_BYTES
        opened += room[: opener.open_segments(frame, first, room, last_segment_index=last)]
    assert opened == plaintext


@pytest.mark.parametrize("sealed_size", [-1, 0, 55, 56, 71, 56 + 16_400, 56 + 16_400 + 15, 1 << 60])
def test_impossible_sizes_are_refused(sealed_size: int) -> None:
    with pytest.raises(Corrupt) as caught:
        plaintext_length(sealed_size)
    assert caught.value.reason == "SEALED_LENGTH_INVALID"


@pytest.mark.parametrize("length", [-1, (1 << 52) + 1])
def test_plaintexts_that_cannot_be_one_message(length: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sealed_length(length)
    assert caught.value.reason == "PLAINTEXT_LENGTH_INVALID"


@pytest.mark.parametrize(
    ("offset", "length", "size", "expected"),
    [
        (0, 0, 0, (56, 16, 0)),
        (0, 1, 1, (56, 17, 0)),
        (0, 1, 2 * SEGMENT, (56, 16_400, 0)),
        (0, SEGMENT, 2 * SEGMENT, (56, 16_400, 0)),
        (0, SEGMENT + 1, 3 * SEGMENT, (56, 32_800, 0)),
        (SEGMENT - 1, 2, 3 * SEGMENT, (56, 32_800, 0)),
        (SEGMENT, 1, 3 * SEGMENT, (56 + 16_400, 16_400, 1)),
        (SEGMENT, 0, 3 * SEGMENT, (56 + 16_400, 0, 1)),
        (0, SEGMENT, SEGMENT, (56, 16_416, 0)),
        (SEGMENT, 0, SEGMENT, (56 + 16_400, 16, 1)),
        (SEGMENT, 5, SEGMENT + 5, (56 + 16_400, 21, 1)),
        (SEGMENT, 1, SEGMENT + 5, (56 + 16_400, 21, 1)),
        (0, 1, 5, (56, 21, 0)),
    ],
)
def test_ranges(offset: int, length: int, size: int, expected: tuple[int, int, int]) -> None:
    assert sealed_range(offset, length, size) == expected


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, -1), (0, 11), (10, 1), (11, 0)])
def test_ranges_outside_are_refused(offset: int, length: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sealed_range(offset, length, 10)
    assert caught.value.reason == "RANGE_INVALID"


RANGE_PLAINTEXT = make_plaintext(5 * SEGMENT)
RANGE_SEALED = {size: seal(KEY, CONTEXT, SALT, RANGE_PLAINTEXT[:size]) for size in (4 * SEGMENT, 5 * SEGMENT - 7)}


@settings(max_examples=200)
@given(st.sampled_from(sorted(RANGE_SEALED)), st.data())
def test_any_range_reads_as_a_slice(size: int, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, size))
    length = data.draw(st.integers(0, size - offset))
    sealed = RANGE_SEALED[size]
    start, count, first = sealed_range(offset, length, size)
    if count == 0:
        assert length == 0
        return
    opener = ChunkOpener(KEY, CONTEXT, sealed[:HEADER])
    out = bytearray(count)
    part = memoryview(sealed)[start : start + count]
    assert len(part) == count
    opener.open_segments(part, first, out, last_segment_index=last_segment_index(size))
    skip = offset - first * SEGMENT
    assert out[skip : skip + length] == RANGE_PLAINTEXT[offset : offset + length]


def test_every_flipped_byte_is_detected() -> None:
    sealed = seal(KEY, CONTEXT, SALT, b"a small chunk")
    for position in range(len(sealed)):
        with pytest.raises(Corrupt) as caught:
            open_sealed(KEY, CONTEXT, flip(sealed, position))
        assert caught.value.reason == ("COMMITMENT_MISMATCH" if position < HEADER else "SEGMENT_CORRUPT")


def test_every_truncation_and_extension_is_detected() -> None:
    sealed = seal(KEY, CONTEXT, SALT, b"a small chunk")
    for wrong in [sealed[:length] for length in range(len(sealed))] + [
        sealed + b"\0",
        sealed + sealed[HEADER:],
    ]:
        with pytest.raises(Corrupt):
            open_sealed(KEY, CONTEXT, wrong)


def test_cut_at_a_segment_boundary_is_detected() -> None:
    sealed = seal(KEY, CONTEXT, SALT, make_plaintext(3 * SEGMENT))
    for segment_count in (1, 2, 3):
        with pytest.raises(Corrupt) as caught:
            open_sealed(KEY, CONTEXT, sealed[: HEADER + segment_count * 16_400])
        assert caught.value.reason == "SEALED_LENGTH_INVALID"
        with pytest.raises(Corrupt) as caught:
            open_sealed(KEY, CONTEXT, sealed[: HEADER + segment_count * 16_400 - 1])
        assert caught.value.reason == "SEGMENT_CORRUPT"


@pytest.mark.parametrize(
    "context",
    [
        chunk_context(CLUSTER, FileId(42), 1),
        chunk_context(CLUSTER, FileId(43), 0),
        chunk_context(OTHER_CLUSTER, FileId(42), 0),
        b"",
    ],
)
def test_a_chunk_opens_only_in_its_place(context: bytes) -> None:
    sealed = seal(KEY, CONTEXT, SALT, b"bound")
    with pytest.raises(Corrupt) as caught:
        open_sealed(KEY, context, sealed)
    assert caught.value.reason == "COMMITMENT_MISMATCH"


def test_segments_of_two_writes_do_not_mix() -> None:
    plaintext = make_plaintext(2 * SEGMENT)
    one = seal(KEY, CONTEXT, SALT, plaintext)
    two = seal(KEY, CONTEXT, SALT[::-1], plaintext)
    with pytest.raises(Corrupt) as caught:
        open_sealed(KEY, CONTEXT, one[: HEADER + 16_400] + two[HEADER + 16_400 :])
    assert caught.value.metadata == {"segment_index": "1"}


def test_failure_names_the_segment_and_leaves_zeros() -> None:
    plaintext = make_plaintext(4 * SEGMENT)
    sealed = flip(seal(KEY, CONTEXT, SALT, plaintext), HEADER + 2 * 16_400)
    opener = ChunkOpener(KEY, CONTEXT, sealed[:HEADER])
    out = bytearray(b"\xaa" * (3 * SEGMENT + 10))
    with pytest.raises(Corrupt) as caught:
        opener.open_segments(sealed[HEADER + 16_400 : HEADER + 4 * 16_400], 1, out, last_segment_index=4)
    assert caught.value.reason == "SEGMENT_CORRUPT"
    assert caught.value.metadata == {"segment_index": "2"}
    assert "Segment 2" in caught.value.message
    assert out == bytes(3 * SEGMENT) + b"\xaa" * 10


@pytest.mark.parametrize(
    ("size", "first", "last", "segment_index"),
    [
        (0, 0, 1, 0),
        (16_400, 0, 0, 0),
        (16_400, 2, 1, 2),
        (16_400 + 20, 0, 0, 0),
        (2 * 16_400, 0, 1, 1),
        (16_399, 0, 1, 0),
        (16_400 + 100, 0, 2, 1),
        (15, 0, 0, 0),
        (16_400 + 15, 0, 1, 1),
        (16, -1, 0, -1),
    ],
)
def test_shapes_that_cannot_be_are_refused(size: int, first: int, last: int, segment_index: int) -> None:
    opener = ChunkOpener(KEY, CONTEXT, seal(KEY, CONTEXT, SALT, b"")[:HEADER])
    with pytest.raises(Corrupt) as caught:
        opener.open_segments(bytes(size), first, bytearray(2 * SEGMENT), last_segment_index=last)
    assert caught.value.reason == "SEGMENT_CORRUPT"
    assert caught.value.metadata == {"segment_index": str(segment_index)}


def test_misuse_of_the_sealer_is_refused() -> None:
    sealer = ChunkSealer(KEY, CONTEXT, SALT)
    out = bytearray(2 * 16_400)
    for plaintext, first in ((b"x", 0), (bytes(SEGMENT + 1), 0), (bytes(SEGMENT), -1)):
        with pytest.raises(InvalidRequest) as caught:
            sealer.seal_segments(plaintext, first, out, last=False)
        assert caught.value.reason == "SEGMENTS_MISALIGNED"
    with pytest.raises(InvalidRequest) as caught:
        sealer.seal_segments(bytes(SEGMENT), 0, bytearray(16_399), last=False)
    assert caught.value.reason == "BUFFER_TOO_SMALL"
    with pytest.raises(InvalidRequest) as caught:
        sealer.seal_segments(bytes(SEGMENT), 0, bytearray(16_415), last=True)
    assert caught.value.reason == "BUFFER_TOO_SMALL"
    assert sealer.seal_segments(b"", 0, out, last=False) == 0
    assert out == bytes(len(out))


def test_room_for_the_plaintext_is_checked_first() -> None:
    sealed = seal(KEY, CONTEXT, SALT, b"12345")
    opener = ChunkOpener(KEY, CONTEXT, sealed[:HEADER])
    with pytest.raises(InvalidRequest) as caught:
        opener.open_segments(sealed[HEADER:], 0, bytearray(4), last_segment_index=0)
    assert caught.value.reason == "BUFFER_TOO_SMALL"


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_other_key_sizes_are_refused(size: int) -> None:
    for make in (
        lambda: ChunkSealer(bytes(size), CONTEXT, SALT),
        lambda: ChunkOpener(bytes(size), CONTEXT, bytes(56)),
    ):
        with pytest.raises(InvalidRequest) as caught:
            make()
        assert caught.value.reason == "KEY_SIZE_INVALID"


@pytest.mark.parametrize("size", [0, 23, 25])
def test_other_salt_sizes_are_refused(size: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ChunkSealer(KEY, CONTEXT, bytes(size))
    assert caught.value.reason == "SALT_SIZE_INVALID"


def test_secrets_stay_out_of_repr() -> None:
    sealer = ChunkSealer(KEY, CONTEXT, SALT)
    assert repr(sealer) == "ChunkSealer(salt=64656667…)"
    assert repr(ChunkOpener(KEY, CONTEXT, sealer.header)) == "ChunkOpener()"


def test_one_sealer_and_one_opener_serve_several_threads() -> None:
    plaintext = make_plaintext(64 * SEGMENT)
    sealer = ChunkSealer(KEY, CONTEXT, SALT)

    def work(first: int) -> bytes:
        sealed = bytearray(8 * 16_400)
        sealer.seal_segments(plaintext[first * SEGMENT : (first + 8) * SEGMENT], first, sealed, last=False)
        out = bytearray(8 * SEGMENT)
        ChunkOpener(KEY, CONTEXT, sealer.header).open_segments(sealed, first, out, last_segment_index=64)
        return bytes(out)

    with ThreadPoolExecutor(4) as pool:
        assert b"".join(pool.map(work, range(0, 64, 8))) == plaintext


def test_module_constants_match_the_specification() -> None:
    assert cobblestone.SALT_SIZE_BYTES == 24
    assert bytes.fromhex(
        "0000000f" + b"dstore/chunk/v1".hex() + "00000010" + CLUSTER.replace("-", "")
        + "00000008" + "000000000000002a" + "00000008" + "0000000000000000"
    ) == CONTEXT  # fmt: skip
