"""Durations as people write them."""

import pytest

from dstore.core.durations import parse_duration
from dstore.core.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("1s", 1),
        ("90s", 90),
        ("10min", 600),
        ("10m", 600),
        ("24h", 86_400),
        (" 7 D ", 7 * 86_400),
        ("2w", 14 * 86_400),
    ],
)
def test_what_can_be_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "1", "-1s", "1.5h", "1h30min", "1y", "h1", "0x1s", "1 s s", "٣s", "9" * 13 + "s"]
)
def test_what_cannot(text: str) -> None:
    with pytest.raises(InvalidRequest, match="24h") as caught:
        parse_duration(text)
    assert caught.value.reason == "DURATION_INVALID"
