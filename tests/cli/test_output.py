"""What --json writes, when colour is wanted, and how errors look."""

import json
from pathlib import Path

import pytest

from dstore.cli.output import Output, show_error, to_json_line, wants_colour
from dstore.core.errors import NotFound
from dstore.core.files import FileInfo, FileKind
from dstore.core.ids import ChunkId, FileId, GroupId, Version

INFO = FileInfo("/é\udcff", FileKind.FILE, FileId(7), 11, Version(9), 0, 1_700_000_000_500_000_000, 1)


def test_values_of_core_as_json() -> None:
    line = to_json_line({"info": INFO, "ids": (ChunkId(GroupId(42), 499),), "raw": b"\x00\xff", "at": Path("/a")})
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line) == {
        "info": {
            "path": "/é\udcff",
            "kind": "file",
            "file_id": 7,
            "size_bytes": 11,
            "version": 9,
            "created_ns": 0,
            "created": "1970-01-01T00:00:00Z",
            "modified_ns": 1_700_000_000_500_000_000,
            "modified": "2023-11-14T22:13:20Z",
            "chunk_count": 1,
        },
        "ids": ["0000002a-00000000000001f3"],
        "raw": "00ff",
        "at": "/a",
    }


def test_a_value_without_a_json_form_is_a_defect() -> None:
    with pytest.raises(AssertionError, match="object"):
        to_json_line({"what": object()})


@pytest.mark.parametrize(
    ("environ", "is_terminal", "wanted"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": ""}, True, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "xterm"}, True, True),
    ],
)
def test_colour(environ: dict[str, str], is_terminal: bool, wanted: bool) -> None:
    assert wants_colour(environ, is_terminal=is_terminal) is wanted


def test_people_get_text_and_programs_get_json(capsys: pytest.CaptureFixture[str]) -> None:
    for as_json in (False, True):
        output = Output(as_json=as_json)
        output.text("for people")
        output.json({"for": "programs"})
        output.result({"both": 1}, "both")
    assert capsys.readouterr().out.splitlines() == ["for people", "both", '{"for": "programs"}', '{"both": 1}']


def test_style_only_where_it_is_shown() -> None:
    output = Output(as_json=False)
    output.colour = False
    assert output.style("x", "red") == "x"
    output.colour = True
    assert output.style("x", "red") == "\x1b[31mx\x1b[0m"


def test_errors(capsys: pytest.CaptureFixture[str]) -> None:
    error = NotFound("No such file: /a.", metadata={"path": "/a"})
    show_error(error, as_json=False)
    show_error(error, as_json=True)
    text, line = capsys.readouterr().err.splitlines()
    assert text == "dstore: No such file: /a. [FILE_NOT_FOUND]"
    assert json.loads(line) == {
        "error": {
            "reason": "FILE_NOT_FOUND",
            "message": "No such file: /a.",
            "metadata": {"path": "/a"},
            "exit_code": 10,
        }
    }
