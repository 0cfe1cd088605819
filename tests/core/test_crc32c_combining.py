"""Sums of parts give the sum of the whole, as the package that sums it in one go says."""

import crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstore.core.crc32c_combining import Shift, combined

LENGTHS = (0, 1, 2, 3, 4, 55, 56, 255, 256, 257, 65_535, 65_536, 65_537, 2_099_200, 2_099_256)
CHECK = b"123456789"
CHECK_CRC = 0xE3069283


def pattern(length: int) -> bytes:
    return (bytes(range(251)) * (length // 251 + 1))[:length]


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_parts_of_any_size(parts: list[bytes]) -> None:
    whole = 0
    for part in parts:
        whole = combined(whole, crc32c.crc32c(part), len(part))
    assert whole == crc32c.crc32c(b"".join(parts))


@given(st.binary(), st.binary())
def test_a_fixed_shift_is_the_same(first: bytes, second: bytes) -> None:
    shifted = Shift(len(second))(crc32c.crc32c(first))
    assert shifted ^ crc32c.crc32c(second) == crc32c.crc32c(first + second)


@pytest.mark.parametrize("length", LENGTHS)
def test_lengths_at_the_boundaries(length: int) -> None:
    second = pattern(length)
    whole = crc32c.crc32c(CHECK + second)
    assert combined(CHECK_CRC, crc32c.crc32c(second), length) == whole
    assert Shift(length)(CHECK_CRC) ^ crc32c.crc32c(second) == whole


@pytest.mark.parametrize("crc", [0, 1, 0x80, 0x100, 0x8000_0000, 0xFFFF_FFFF, CHECK_CRC])
def test_every_byte_of_a_sum_counts(crc: int) -> None:
    zeros = bytes(65_536)
    expected = crc32c.crc32c(zeros, crc)
    assert combined(crc, crc32c.crc32c(zeros), len(zeros)) == expected
    assert Shift(len(zeros))(crc) ^ crc32c.crc32c(zeros) == expected


def test_nothing_changes_nothing() -> None:
    assert combined(CHECK_CRC, 0, 0) == CHECK_CRC
    assert combined(0, CHECK_CRC, len(CHECK)) == CHECK_CRC
    assert Shift(0)(CHECK_CRC) == CHECK_CRC
