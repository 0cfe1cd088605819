"""Which entries ``dstore find`` takes."""

import pytest

from dstore.cli.finding import Conditions, conditions
from dstore.core.errors import InvalidRequest
from dstore.core.files import FileInfo, FileKind
from dstore.core.ids import FileId, Version

FILE = FileInfo("/d/part-1.txt", FileKind.FILE, FileId(7), 1024, Version(9), 0, 1_000_000_000, 0)
DIRECTORY = FileInfo("/d", FileKind.DIRECTORY, FileId(6), 0, Version(8), 0, 1_000_000_000)


@pytest.mark.parametrize(
    ("wanted", "file_fits", "directory_fits"),
    [
        (Conditions(), True, True),
        (Conditions(name="*.txt"), True, False),
        (Conditions(name="*.TXT"), False, False),
        (Conditions(name="part-[0-9].???"), True, False),
        (Conditions(name="/d/*"), False, False),
        (Conditions(kind=FileKind.FILE), True, False),
        (Conditions(kind=FileKind.DIRECTORY), False, True),
        (Conditions(larger_than_bytes=1023), True, False),
        (Conditions(larger_than_bytes=1024), False, False),
        (Conditions(smaller_than_bytes=1025), True, False),
        (Conditions(smaller_than_bytes=1024), False, False),
        (Conditions(newer_than_ns=999_999_999), True, True),
        (Conditions(newer_than_ns=1_000_000_000), False, False),
        (Conditions(older_than_ns=1_000_000_001), True, True),
        (Conditions(older_than_ns=1_000_000_000), False, False),
        (Conditions(name="*.txt", kind=FileKind.DIRECTORY), False, False),
    ],
)
def test_conditions(wanted: Conditions, file_fits: bool, directory_fits: bool) -> None:
    assert (wanted.fit(FILE), wanted.fit(DIRECTORY)) == (file_fits, directory_fits)


def test_conditions_as_they_are_written() -> None:
    wanted = conditions(name="*", kind="file", larger="1KiB", smaller="2M", newer="1970-01-02", older="2h")
    assert (wanted.kind, wanted.larger_than_bytes, wanted.smaller_than_bytes) == (FileKind.FILE, 1024, 2 * 1024**2)
    assert wanted.newer_than_ns == 86_400_000_000_000
    assert wanted.older_than_ns is not None
    assert wanted.newer_than_ns < wanted.older_than_ns


@pytest.mark.parametrize("text", ["", "soon", "2h ago", "2026-13-01", "99999-01-01"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(InvalidRequest, match="no time"):
        conditions(name=None, kind=None, larger=None, smaller=None, newer=text, older=None)
