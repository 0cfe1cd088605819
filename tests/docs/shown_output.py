"""Whether a program printed what a page shows.

Everything has to be equal but for what differs from run to run: times, sizes in KiB and above, rates and percentages
(with any unit of their kind), process ids, ids and digests in hexadecimal, versions of files, and the width of spaces.
``…`` stands for any text, and a line that is nothing else for any number of lines.
"""

import re
from collections.abc import Sequence

_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_TIME = r"(?:ns|µs|ms|s|min|h|d)\b"
_SIZE = r"(?:B|KiB|MiB|GiB|TiB)(?:/s)?\b"
_HEX = r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b"

#: Each is found in what is shown, and stands for what fits the second.
_VARYING = (
    (r"…", r".*"),
    (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z", r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z"),
    (r'"etag": "\\"\d+\\""', r'"etag": "\\"\d+\\""'),
    (r'(?:\bpid|\bversion)"?:?\s+\d+', r'(?:pid|version)"?:?\s+\d+'),
    (_HEX, r"[0-9a-f]{8,}"),
    (rf"\b{_NUMBER} ?{_TIME}", rf"{_NUMBER} ?{_TIME}"),
    (rf"\b{_NUMBER} ?(?!B\b){_SIZE}", rf"{_NUMBER} ?{_SIZE}"),
    (rf"\b{_NUMBER} ?%", rf"{_NUMBER} ?%"),
    (r"\s+", r"\s+"),
)
_ANY_OF_THEM = re.compile("|".join(f"({each})" for each, _ in _VARYING))


def fits(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Return whether these lines are what the page shows, up to what varies."""
    parts = [r"(?:.*\n)*" if line.strip() == "…" else _pattern(line.rstrip()) + "\n" for line in shown]
    return re.fullmatch("".join(parts), "".join(line.rstrip() + "\n" for line in printed)) is not None


def _pattern(line: str) -> str:
    pattern, position = "", 0
    for found in _ANY_OF_THEM.finditer(line):
        assert found.lastindex is not None, "one alternative was found"
        pattern += re.escape(line[position : found.start()]) + _VARYING[found.lastindex - 1][1]
        position = found.end()
    return pattern + re.escape(line[position:])
