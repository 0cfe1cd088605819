"""The page of the command line, from the parser that reads it."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from dstore.cli.command_tree import command_tree
from scripts.reference.markdown import table

_INTRODUCTION = """\
# Every command and option

What `dstore COMMAND --help` shows, on one page. How commands behave, settings, exit codes and JSON are in
[the command](../cli.md). `--json`, which every command has, and `--help` are left out here.
"""


def command_page(root: Path) -> str:
    """Return the page."""
    os.environ["COLUMNS"] = "100"
    return _INTRODUCTION + "".join(_sections(command_tree()))


def _sections(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                if not any(isinstance(each, argparse._SubParsersAction) for each in below._actions):
                    yield _section(below)
                yield from _sections(below)


def _section(parser: argparse.ArgumentParser) -> str:
    parts = [f"\n## {parser.prog}\n", f"\n{parser.description}\n"]
    rows = [
        [_name(action), (action.help or "") % {"default": action.default, "prog": parser.prog}]
        for action in parser._actions
        if action.dest not in ("help", "as_json") and action.help != argparse.SUPPRESS
    ]
    if rows:
        parts.append("\n" + table(["argument", "meaning"], rows))
    if parser.epilog:
        parts.append(f"\n{parser.epilog}\n")
    return "".join(parts)


def _name(action: argparse.Action) -> str:
    value = str(action.metavar or action.dest.upper())
    if action.choices is not None and not action.metavar:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    if not action.option_strings:
        return f"`{value}{'…' if action.nargs in ('*', '+') else ''}`"
    options = ", ".join(action.option_strings)
    return f"`{options}`" if action.nargs == 0 else f"`{options} {value}`"
