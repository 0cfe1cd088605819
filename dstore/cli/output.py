"""Where the results and the errors of a command go: stdout for data, stderr for everything else."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath

from dstore.cli.exit_codes import exit_code
from dstore.cli.quantities import format_time
from dstore.core.errors import DstoreError
from dstore.core.ids import ChunkId
from dstore.core.request_ids import current_request

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


class Output:
    """Writes for people, or one JSON value per line.

    Attributes:
        as_json: whether ``--json`` was given.
        colour: whether text for people may be coloured: stdout is a terminal and ``NO_COLOR`` is not set.
    """

    def __init__(self, *, as_json: bool):
        self.as_json = as_json
        self.colour = not as_json and wants_colour(os.environ, is_terminal=sys.stdout.isatty())

    def result(self, value: object, text: str) -> None:
        """Write the result of a command, or one entry of it: as one line of JSON, or as ``text``."""
        print(to_json_line(value) if self.as_json else text, flush=True)

    def text(self, text: str) -> None:
        """Write a line for people; nothing under ``--json``."""
        if not self.as_json:
            print(text, flush=True)

    def json(self, value: object) -> None:
        """Write a value as one line of JSON; nothing without ``--json``."""
        if self.as_json:
            print(to_json_line(value), flush=True)

    def style(self, text: str, style: str) -> str:
        """Return ``text`` in a style, where the terminal shows them."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.colour else text


def wants_colour(environ: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Return whether colour is wanted, by the rules of no-color.org."""
    return is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def show_error(error: DstoreError, *, as_json: bool) -> None:
    """Write an error to stderr: a sentence with its reason, or ``{"error": …}``."""
    if as_json:
        print(to_json_line({"error": error_value(error)}), file=sys.stderr)
    else:
        print(f"dstore: {error.message} [{error.reason}]", file=sys.stderr)


def error_value(error: DstoreError) -> dict[str, object]:
    """Return what ``--json`` says of an error."""
    value: dict[str, object] = {
        "reason": error.reason,
        "message": error.message,
        "metadata": error.metadata,
        "exit_code": int(exit_code(error)),
    }
    request_id = current_request().request_id
    return {**value, "request_id": request_id} if request_id else value


def to_json_line(value: object) -> str:
    """Return a value as one line of JSON in ASCII, which every terminal and every pipe carries."""
    return json.dumps(to_json(value))


def to_json(value: object) -> object:
    """Turn values of ``dstore.core`` into what JSON knows.

    Dataclasses become objects with the same names; a field ``modified_ns`` is joined by ``modified``, the
    same time in ISO 8601; bytes become hex digits, enums their values, chunk ids their text.
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, (ChunkId, PurePath)):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _object_to_json({field.name: getattr(value, field.name) for field in fields(value)})
    if isinstance(value, Mapping):
        return _object_to_json(value)
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    raise AssertionError(f"no JSON form for {type(value).__name__}: commands build their results from known values")


def _object_to_json(items: Mapping[str, object]) -> dict[str, object]:
    result: dict[str, object] = {}
    for name, value in items.items():
        result[name] = to_json(value)
        if name.endswith("_ns") and isinstance(value, int):
            result[name.removesuffix("_ns")] = format_time(value)
    return result
