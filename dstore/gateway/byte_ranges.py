"""The ``Range`` header, as RFC 9110 section 14 has it, for one range. No I/O."""

import re
from dataclasses import dataclass

from dstore.core.errors import InvalidRequest

_RANGE = re.compile(r"[ \t]*bytes[ \t]*=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)
#: Longer numbers than this are past the end of every file, and are not even read.
_DIGITS_MAX = 19


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A part of a file of ``size_bytes`` bytes."""

    offset: int
    length: int
    size_bytes: int

    @property
    def content_range(self) -> str:
        """The ``Content-Range`` of the answer."""
        return f"bytes {self.offset}-{self.offset + self.length - 1}/{self.size_bytes}"


def parse_range(value: str | None, size_bytes: int) -> ByteRange | None:
    """Return the part that is asked for; None for the whole file.

    What is no range of bytes, or several of them, is answered with the whole file, as the standard allows.

    Raises:
        InvalidRequest: reason ``RANGE_NOT_SATISFIABLE``: no byte of the file is in it.
    """
    match = None if value is None else _RANGE.fullmatch(value)
    if match is None or not (match[1] or match[2]):
        return None
    first, last = _number(match[1]), _number(match[2])
    if first is None:
        assert last is not None
        length = min(last, size_bytes)
        offset = size_bytes - length
    elif last is not None and last < first:
        # The standard calls this invalid, and what is invalid is ignored.
        return None
    else:
        offset = first
        length = (size_bytes if last is None else min(last + 1, size_bytes)) - first
    if length <= 0:
        raise InvalidRequest(
            f"No byte of the file is in the range {match[0].strip()[:100]!r}: it has {size_bytes} bytes. Ask for less, "
            "or leave out Range.",
            reason="RANGE_NOT_SATISFIABLE",
            metadata={"size_bytes": str(size_bytes)},
        )
    return ByteRange(offset, length, size_bytes)


def _number(digits: str) -> int | None:
    if not digits:
        return None
    return int(digits) if len(digits) <= _DIGITS_MAX else 10**_DIGITS_MAX
