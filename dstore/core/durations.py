"""Durations as people write them."""

import re

from dstore.core.errors import InvalidRequest

_DURATION = re.compile(r"([0-9]{1,12}) *([a-z]*)")
_UNITS_S = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def parse_duration(text: str) -> int:
    """Return the seconds that ``text`` names: a whole number with a unit (s, min, h, d, w); 0 needs none.

    Raises:
        InvalidRequest: DURATION_INVALID when it is anything else.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    if match is not None:
        number, unit = int(match[1]), match[2]
        if unit in _UNITS_S:
            return number * _UNITS_S[unit]
        if number == 0 and not unit:
            return 0
    raise InvalidRequest(
        f"{text[:40]!r} is not a duration; write a whole number and a unit, for example 90s, 10min, 24h or 7d.",
        reason="DURATION_INVALID",
    )
