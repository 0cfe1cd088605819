"""How durations, times, counts and names are written for people; sizes are in ``dstore.core.sizes``."""

import re
import time

from dstore.core.errors import InvalidRequest

_UNITS_S = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(ms|s|min|h|d)")


def format_duration(duration_s: float) -> str:
    """Write a duration with the unit that fits: ``18 ms``, ``0.3 s``, ``4 min``, ``3 h``, ``2 d``."""
    if duration_s < 0.0995:
        return f"{duration_s * 1000:.0f} ms"
    if duration_s < 9.95:
        return f"{duration_s:.1f} s"
    for limit_s, unit_s, unit in ((119.5, 1, "s"), (7170, 60, "min"), (171_000, 3600, "h")):
        if duration_s < limit_s:
            return f"{duration_s / unit_s:.0f} {unit}"
    return f"{duration_s / 86_400:.0f} d"


def parse_duration(text: str) -> float:
    """Read a duration with its unit: ``500ms``, ``30s``, ``10min``, ``2h``, ``14d``; in seconds.

    Raises:
        InvalidRequest: reason ``DURATION_INVALID``.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise InvalidRequest(
            f"{text[:40]!r} is no duration; one looks like 30s, 10min, 2h or 14d.", reason="DURATION_INVALID"
        )
    return float(match[1]) * _UNITS_S[match[2]]


def parse_moment(text: str, now_ns: int) -> int:
    """Read a time: a duration before now, or a date with or without a time as in ISO 8601, in UTC unless it says else.

    Returns nanoseconds since 1970.

    Raises:
        InvalidRequest: reason ``TIME_INVALID``.
    """
    if _DURATION.fullmatch(text):
        return now_ns - int(parse_duration(text) * 1e9)
    # Only this command line needs it, and it takes its time to load.
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 1_000_000_000
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{text[:40]!r} is no time; write how long ago, as 30s, 2h or 14d, or a date, as 2026-11-23 or "
            "2026-11-23T07:00:00Z.",
            reason="TIME_INVALID",
        ) from None


def parse_count(text: str, what: str) -> int:
    """Read a number of things; ``what`` names it in the error.

    Raises:
        InvalidRequest: reason ``COUNT_INVALID``.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > 15:
        raise InvalidRequest(f"{what} is a whole number, not {text[:40]!r}; write 0 or more.", reason="COUNT_INVALID")
    return int(text)


def format_time(time_ns: int) -> str:
    """Write nanoseconds since 1970 as date and time in UTC, to the second, as in ISO 8601."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ns // 1_000_000_000))
    except (OverflowError, OSError, ValueError):
        # Times are the writer's claim; one that is no date must not keep a file from being listed.
        return f"{time_ns} ns"


def count(number: int, noun: str) -> str:
    """Write a number with its noun: ``1 file``, ``2 files``, ``2 directories``."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y"):
        return f"{number} {noun[:-1]}ies"
    return f"{number} {noun}s"
