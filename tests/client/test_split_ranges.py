"""A range in parts, none of which crosses a chunk."""

import pytest

from dstore.client.reader import split_range


@pytest.mark.parametrize("offset", [0, 1, 99, 100, 101, 250])
@pytest.mark.parametrize("length", [0, 1, 99, 100, 101, 749])
@pytest.mark.parametrize("part_size", [None, 100, 1_000])
def test_parts_of_a_range_follow_each_other_within_chunks(offset: int, length: int, part_size: int | None) -> None:
    pieces = list(split_range(offset, length, 400, part_size_bytes=part_size))
    covered = [offset + piece.start + shift for piece in pieces for shift in range(piece.length)]
    assert covered == list(range(offset, offset + length))
    for piece in pieces:
        assert piece.chunk_index * 400 + piece.offset == offset + piece.start
        assert piece.offset // (part_size or 400) == (piece.offset + piece.length - 1) // (part_size or 400)
