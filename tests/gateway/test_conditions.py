"""What conditional requests decide, as tables."""

import pytest

from dstore.core.errors import InvalidRequest
from dstore.core.files import FileInfo, FileKind
from dstore.core.ids import FileId, Version
from dstore.gateway.conditions import (
    Conditions,
    Verdict,
    entity_tag,
    http_date,
    iso_date,
    judge,
    may_use_range,
    parse_conditions,
)

S = 1_000_000_000
FILE = FileInfo("/a", FileKind.FILE, FileId(7), 10, Version(42), 1_000 * S, 2_000 * S + 5)
GO, SAME, FAILED = Verdict.PROCEED, Verdict.NOT_MODIFIED, Verdict.FAILED


@pytest.mark.parametrize(
    ("headers", "read", "write", "read_nothing", "write_nothing"),
    [
        ({}, GO, GO, GO, GO),
        ({"if-match": '"42"'}, GO, GO, FAILED, FAILED),
        ({"if-match": '"41"'}, FAILED, FAILED, FAILED, FAILED),
        ({"if-match": '"41", "42"'}, GO, GO, FAILED, FAILED),
        ({"if-match": 'W/"42"'}, FAILED, FAILED, FAILED, FAILED),
        ({"if-match": "*"}, GO, GO, FAILED, FAILED),
        ({"if-none-match": '"42"'}, SAME, FAILED, GO, GO),
        ({"if-none-match": 'W/"42"'}, SAME, FAILED, GO, GO),
        ({"if-none-match": '"41" , "43"'}, GO, GO, GO, GO),
        ({"if-none-match": "*"}, SAME, FAILED, GO, GO),
        ({"if-modified-since": "Thu, 01 Jan 1970 00:33:19 GMT"}, GO, GO, GO, GO),
        ({"if-modified-since": "Thu, 01 Jan 1970 00:33:20 GMT"}, SAME, GO, GO, GO),
        ({"if-modified-since": "yesterday"}, GO, GO, GO, GO),
        ({"if-unmodified-since": "Thu, 01 Jan 1970 00:33:19 GMT"}, FAILED, FAILED, FAILED, FAILED),
        ({"if-unmodified-since": "Thu, 01 Jan 1970 00:33:20 GMT"}, GO, GO, FAILED, FAILED),
        # The tags win over the dates.
        ({"if-none-match": '"1"', "if-modified-since": "Thu, 01 Jan 1970 00:33:20 GMT"}, GO, GO, GO, GO),
        ({"if-match": '"42"', "if-unmodified-since": "Thu, 01 Jan 1970 00:00:00 GMT"}, GO, GO, FAILED, FAILED),
    ],
)
def test_verdicts(
    headers: dict[str, str], read: Verdict, write: Verdict, read_nothing: Verdict, write_nothing: Verdict
) -> None:
    conditions = parse_conditions(headers)
    assert judge(conditions, FILE, is_read=True) is read
    assert judge(conditions, FILE, is_read=False) is write
    assert judge(conditions, None, is_read=True) is read_nothing
    assert judge(conditions, None, is_read=False) is write_nothing


def test_no_conditions_are_none() -> None:
    assert parse_conditions({"host": "x", "if-modified-since": "no date"}).is_none
    assert not Conditions(if_match=frozenset()).is_none


@pytest.mark.parametrize("value", ["", "42", '"42', '42"', '"a" "b"', '"a";', 'w/"42"', '"4"2"', "*,*"])
def test_tags_that_are_none(value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_conditions({"if-match": value})
    assert caught.value.reason == "CONDITION_INVALID"


def test_what_a_file_shows() -> None:
    assert entity_tag(FILE) == '"42"'
    assert http_date(FILE) == "Thu, 01 Jan 1970 00:33:20 GMT"
    assert iso_date(FILE.modified_ns) == "1970-01-01T00:33:20Z"
    assert iso_date(-1) == "1969-12-31T23:59:59Z"
    assert iso_date((1 << 63) - 1) == "2262-04-11T23:47:16Z"
    assert iso_date(253_402_300_800 * S) is None


@pytest.mark.parametrize(("if_range", "may"), [(None, True), ('"42"', True), ('"41"', False), ('W/"42"', False)])
def test_if_range(if_range: str | None, may: bool) -> None:
    assert may_use_range(if_range, FILE) is may
