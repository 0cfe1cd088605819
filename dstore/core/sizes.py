"""Bytes as people read and write them."""

from dstore.core.errors import InvalidRequest

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def format_size(size_bytes: int) -> str:
    """Return a size with a binary unit, for example ``"64.0 MiB"``; bytes are exact, for example ``"512 B"``."""
    size = float(size_bytes)
    for unit in _UNITS:
        if size < 1023.95 or unit == _UNITS[-1]:
            return f"{size_bytes} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("the last unit always returns")


def parse_size(text: str) -> int:
    """Return the bytes that ``text`` names: a whole number with an optional unit (B, KiB, MiB, GiB, TiB).

    Raises:
        InvalidRequest: SIZE_INVALID when it is anything else.
    """
    stripped = text.strip()
    digits = stripped.rstrip("BKMGTPEibkmgtpe ")
    unit = stripped[len(digits) :].strip().lower() or "b"
    factors = {name.lower(): 1 << (10 * power) for power, name in enumerate(_UNITS)}
    factors |= {name[0].lower(): 1 << (10 * power) for power, name in enumerate(_UNITS)}
    if not digits.isascii() or not digits.isdigit() or unit not in factors:
        raise InvalidRequest(
            f"{text!r} is not a size; write bytes or a binary unit, for example 65536, 64KiB or 16MiB.",
            reason="SIZE_INVALID",
        )
    return int(digits) * factors[unit]
