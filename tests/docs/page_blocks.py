"""The code blocks of a Markdown page, and what each of them claims.

Three kinds are run, in the order in which they stand on the page:

- `console`: lines that begin with ``$ `` are commands, ``>`` or a backslash at the end of the line before goes on with
  one; every other line is what the command printed, errors included. No such line: it prints nothing.
- `python`: a program of its own. A `text` block right after it is what it printed.
- `text`: only as the output of a program.

Comments, which no reader of the page sees, say what is special:

- ``<!-- first: COMMAND -->`` runs commands that make what the next block takes for granted; what they print is ignored.
- ``<!-- not run: REASON -->`` on the line before a block leaves it alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w.-]*)\s*$")
_FIRST = re.compile(r"<!-- first: (.*?) -->", re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run: ((?:(?!-->).)*) -->\s*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; ``line`` is where it begins, ``before`` the text since the block before it."""

    line: int
    language: str
    lines: tuple[str, ...]
    before: str

    @property
    def is_first_told(self) -> str:
        """Commands that are run before, or nothing."""
        return "\n".join(_FIRST.findall(self.before))

    @property
    def reason_not_run(self) -> str:
        """Why it is not run; empty when it is."""
        found = _NOT_RUN.search(self.before)
        return " ".join(found[1].split()) if found else ""


@dataclass(frozen=True, slots=True)
class Step:
    """A command, or a program, and what the page says that it prints; ``None``: anything."""

    line: int
    command: str
    shown: tuple[str, ...] | None
    is_python: bool = False


def blocks(page: Path) -> list[Block]:
    """Return every fenced block of a page.

    Raises:
        ValueError: a block does not end.
    """
    found, before, inside = [], list[str](), list[str]()
    start, opening = 0, None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if opening is None:
            opening = _FENCE.match(line)
            start = number
            if opening is None:
                before.append(line)
        elif line.strip() == "```":
            found.append(Block(start, opening["language"], tuple(inside), "\n".join(before)))
            before, inside, opening = [], [], None
        else:
            inside.append(line.removeprefix(opening["indent"]))
    if opening is not None:
        raise ValueError(f"{page}:{start}: this block does not end")
    return found


def steps(page: Path) -> Iterator[Step]:
    """Yield what is to be run for one page, in order.

    Raises:
        ValueError: a block is of a kind that nobody runs, or a console block begins with output.
    """
    every = blocks(page)
    for block, following in zip(every, [*every[1:], None], strict=True):
        if block.is_first_told:
            yield Step(block.line, block.is_first_told, None)
        if block.reason_not_run or block.language == "text":
            continue
        if block.language == "console":
            yield from _console_steps(page, block)
        elif block.language == "python":
            is_shown = following is not None and following.language == "text" and not following.before.strip()
            shown = following.lines if following is not None and is_shown else ()
            yield Step(block.line, "\n".join(block.lines), shown, is_python=True)
        else:
            raise ValueError(f"{page}:{block.line}: a block of the kind {block.language!r} is not run")


def _console_steps(page: Path, block: Block) -> Iterator[Step]:
    command, shown, start = "", list[str](), 0
    for number, line in enumerate(block.lines, start=block.line + 1):
        if line.startswith("$ "):
            if command:
                yield Step(start, command, tuple(shown))
            command, shown, start = line[2:], [], number
        elif command and not shown and (line.startswith(">") or command.endswith("\\")):
            command += "\n" + line.removeprefix(">").removeprefix(" ")
        elif command:
            shown.append(line)
        else:
            raise ValueError(f"{page}:{number}: a console block begins with a command after `$ `")
    if command:
        yield Step(start, command, tuple(shown))
