"""The ends of files: the right bytes, and few of them read."""

import pytest

from dstore.cli.file_ends import PIECE_SIZE_BYTES_MAX, PIECE_SIZE_BYTES_MIN, first_lines, pieces, start_of_last_lines


class Reading:
    """A file in memory that knows what was read of it."""

    def __init__(self, data: bytes):
        self.data = data
        self.read_bytes = 0

    async def read(self, offset: int, length: int) -> bytes:
        assert length > 0
        assert offset + length <= len(self.data)
        self.read_bytes += length
        return self.data[offset : offset + length]


SHORT = [b"", b"\n", b"\n\n", b"a", b"a\n", b"a\nb", b"a\nb\n", b"a\n\nb\n", b"\na", b"x\r\ny\r\n"]
#: With line ends at, before and after the border of the first and of the second piece.
LONG = [
    b"a" * (size - 1) + b"\n" + b"b" * PIECE_SIZE_BYTES_MIN + b"\nend\n"
    for piece in (PIECE_SIZE_BYTES_MIN, 3 * PIECE_SIZE_BYTES_MIN)
    for size in (piece - 1, piece, piece + 1)
]


@pytest.mark.parametrize("lines", [0, 1, 2, 3, 10])
@pytest.mark.parametrize("index", range(len(SHORT + LONG)))
async def test_lines(index: int, lines: int) -> None:
    data = (SHORT + LONG)[index]
    all_lines = data.split(b"\n")
    all_lines = [line + b"\n" for line in all_lines[:-1]] + [line for line in all_lines[-1:] if line]
    reading = Reading(data)
    assert b"".join([piece async for piece in first_lines(reading.read, len(data), lines)]) == b"".join(
        all_lines[:lines]
    )
    start = await start_of_last_lines(reading.read, len(data), lines)
    assert data[start:] == b"".join(all_lines[-lines:] if lines else [])


async def test_a_few_lines_of_a_long_file_take_one_short_read() -> None:
    data = b"a line of text\n" * 1_000_000
    reading = Reading(data)
    assert len([piece async for piece in first_lines(reading.read, len(data), 10)]) == 1
    assert reading.read_bytes == PIECE_SIZE_BYTES_MIN
    start = await start_of_last_lines(reading.read, len(data), 10)
    assert len(data) - start == 150
    assert reading.read_bytes == 2 * PIECE_SIZE_BYTES_MIN


@pytest.mark.parametrize("size", [0, 1, PIECE_SIZE_BYTES_MAX - 1, PIECE_SIZE_BYTES_MAX, PIECE_SIZE_BYTES_MAX + 1])
async def test_pieces(size: int) -> None:
    reading = Reading(b"ab" + bytes(size) + b"c")
    got = [piece async for piece in pieces(reading.read, 2, 2 + size)]
    assert b"".join(got) == bytes(size)
    assert len(got) == -(-size // PIECE_SIZE_BYTES_MAX)
    assert reading.read_bytes == size
