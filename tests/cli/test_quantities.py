"""Durations, times, counts and names as people see them."""

import pytest

from dstore.cli.quantities import count, format_duration, format_time, parse_duration
from dstore.core.errors import InvalidRequest


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (0, "0 ms"),
        (0.018, "18 ms"),
        (0.0994, "99 ms"),
        (0.0996, "0.1 s"),
        (0.34, "0.3 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7169, "119 min"),
        (7200, "2 h"),
        (170_999, "47 h"),
        (172_800, "2 d"),
    ],
)
def test_durations(duration_s: float, text: str) -> None:
    assert format_duration(duration_s) == text


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_700_000_000_999_999_999, "2023-11-14T22:13:20Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (10**40, f"{10**40} ns"),
    ],
)
def test_times(time_ns: int, text: str) -> None:
    assert format_time(time_ns) == text


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(0, "file", "0 files"), (1, "file", "1 file"), (2, "file", "2 files"), (2, "directory", "2 directories")],
)
def test_counts(number: int, noun: str, text: str) -> None:
    assert count(number, noun) == text


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [("0s", 0), ("500ms", 0.5), ("1.5s", 1.5), ("30 s", 30), ("10min", 600), ("2h", 7200), ("14d", 1_209_600)],
)
def test_durations_are_read(text: str, duration_s: float) -> None:
    assert parse_duration(text) == duration_s


@pytest.mark.parametrize("text", ["", "10", "s", "-1s", "1e3s", "1m", "10 minutes", "1.2345s", "9999999999s", "٣s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_duration(text)
    assert caught.value.reason == "DURATION_INVALID"
