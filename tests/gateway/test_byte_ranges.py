"""The Range header, at every boundary."""

import pytest

from dstore.core.errors import InvalidRequest
from dstore.gateway.byte_ranges import parse_range


@pytest.mark.parametrize(
    ("value", "offset", "length"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-8", 0, 9),
        ("bytes=0-9", 0, 10),
        ("bytes=0-10", 0, 10),
        ("bytes=9-", 9, 1),
        ("bytes=9-9", 9, 1),
        ("bytes=-1", 9, 1),
        ("bytes=-10", 0, 10),
        ("bytes=-11", 0, 10),
        ("BYTES = 3-4 ", 3, 2),
        (f"bytes=3-{'9' * 5000}", 3, 7),
    ],
)
def test_a_range(value: str, offset: int, length: int) -> None:
    part = parse_range(value, 10)
    assert part is not None
    assert (part.offset, part.length) == (offset, length)
    assert part.content_range == f"bytes {offset}-{offset + length - 1}/10"


@pytest.mark.parametrize(
    "value", [None, "", "bytes", "bytes=-", "bytes=3-2", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b"]
)
def test_the_whole_file(value: str | None) -> None:
    assert parse_range(value, 10) is None


@pytest.mark.parametrize(
    ("value", "size_bytes"),
    [
        ("bytes=10-", 10),
        ("bytes=10-11", 10),
        ("bytes=-0", 10),
        ("bytes=0-", 0),
        ("bytes=-5", 0),
        (f"bytes={'9' * 99}-", 10),
    ],
)
def test_no_byte_is_in_it(value: str, size_bytes: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_range(value, size_bytes)
    assert caught.value.reason == "RANGE_NOT_SATISFIABLE"
    assert caught.value.metadata["size_bytes"] == str(size_bytes)
