"""Pieces of Markdown."""

import re


def cell(text: str) -> str:
    """Return a text that fits into a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def prose(text: str) -> str:
    """Return the text of a docstring or a comment: double backticks are single ones in Markdown, ``<`` is no HTML."""
    single = re.sub(r"``([^`]+)``", r"`\1`", text)
    return re.sub(r"(`[^`]*`)|<", lambda found: found[1] or "\\<", single)


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table; no rows, no table."""
    if not rows:
        return ""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell(each) for each in line)} |" for line in lines) + "\n"
