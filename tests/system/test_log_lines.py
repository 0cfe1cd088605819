"""The lines of a log: for programs one JSON object each, for people one line that nothing can split."""

import json
import logging
import sys

import pytest

from dstore.core.ids import ChunkId, GroupId
from dstore.core.request_ids import RequestContext, bound
from dstore.system.logs import JsonFormatter, TextFormatter

CONTEXT = RequestContext("id-1", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", ChunkId(GroupId(42), 7))


def record(message: str = "hello %s", *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("dstore.some", logging.WARNING, "file.py", 1, message, arguments, None)
    made.created = 1_700_000_000.25
    made.__dict__.update(extra)
    return made


def test_a_line_of_json_says_what_where_and_on_whose_behalf() -> None:
    formatter = JsonFormatter("chunkserver", "cs-1")
    with bound(CONTEXT):
        line = json.loads(formatter.format(record("hello %s", "world", method="A/B", outcome=None, other=1)))
    assert line == {
        "time": "2023-11-14T22:13:20.250000Z",
        "level": "warning",
        "logger": "dstore.some",
        "message": "hello world",
        "role": "chunkserver",
        "node": "cs-1",
        "request_id": "id-1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "chunk": "0000002a-0000000000000007",
        "group": 42,
        "method": "A/B",
    }
    assert "request_id" not in json.loads(formatter.format(record("none")))


@pytest.mark.parametrize("formatter", [JsonFormatter("master", "m"), TextFormatter()])
def test_nothing_that_is_logged_can_begin_a_line(formatter: logging.Formatter) -> None:
    line = formatter.format(record("%s", "a\nb\r\x1b[2J\u2028c", identity="d\ne"))
    assert line.isprintable() and "a" in line and "d" in line


def test_an_exception_is_told_whole() -> None:
    try:
        raise ValueError("of some kind")
    except ValueError:
        made = record("failed", exc_info=sys.exc_info())
    value = json.loads(JsonFormatter("master", "m").format(made))
    assert value["exception"].startswith("Traceback") and value["exception"].endswith("ValueError: of some kind")
    assert TextFormatter().format(made).splitlines()[-1] == "ValueError: of some kind"


def test_people_see_the_fields_behind_the_message() -> None:
    with bound(CONTEXT):
        line = TextFormatter().format(record("slow", duration_s=3.5))
    assert line.endswith(
        "WARNING dstore.some: slow duration_s=3.5 request_id=id-1 trace_id=0af7651916cd43dd8448eb211c80319c "
        "chunk=0000002a-0000000000000007 group=42"
    )
