"""The screen of ``dstore top``: a pure function from what the master says to lines that fit the terminal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dstore.cli.quantities import count, format_duration
from dstore.cli.status_text import groups_line, health_style, moving_lines, phase_style
from dstore.core.groups import Duty, ServerPhase
from dstore.core.sizes import format_size
from dstore.core.status import ClusterStatus, ServerStatus
from dstore.core.text import printable

_BAR_WIDTH = 10
_CHECKS_SHOWN_MAX = 4


@dataclass(frozen=True, slots=True)
class Line:
    """One line; ``style`` is a name of ``dstore.cli.output``, or empty."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Screen:
    """What there is to show, and where.

    Attributes:
        title: what stands above everything.
        failure: why there is nothing newer to show; empty when there is.
        width, height: of the terminal; a height of 0 is no limit.
        is_unicode: whether bars can be drawn with blocks.
    """

    title: str
    failure: str
    width: int
    height: int = 0
    is_unicode: bool = True


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the table; of a narrow terminal, those of the lowest ``rank`` are left."""

    name: str
    rank: int
    cell: Callable[[ServerStatus, Screen], str]


def screen_lines(status: ClusterStatus, screen: Screen) -> list[Line]:
    """Return the lines, none of them wider than the terminal, and no more than fit."""
    lines = [Line(screen.title, "bold")]
    if screen.failure:
        lines.append(Line(printable(screen.failure), "red"))
    lines.append(Line(f"{status.health.value}  {status.summary}", health_style(status.health)))
    lines += [
        Line(f"  {check.code}  {check.message}", health_style(check.severity))
        for check in status.checks[:_CHECKS_SHOWN_MAX]
    ]
    if len(status.checks) > _CHECKS_SHOWN_MAX:
        lines.append(Line(f"  and {count(len(status.checks) - _CHECKS_SHOWN_MAX, 'more reason')}: dstore status"))
    lines.append(Line(""))
    lines += [Line(line) for line in (*moving_lines(status, is_always=True), groups_line(status))]
    lines.append(
        Line(
            f"  space:   {format_size(status.capacity.used_bytes)} of {format_size(status.capacity.total_bytes)} used "
            f"({status.capacity.fill:.0%}), {count(status.file_count, 'file')}, "
            f"{count(status.chunk_count, 'chunk')}, {count(status.writes_in_progress, 'write')} in progress"
        )
    )
    lines.append(Line(""))
    lines += _node_lines(status.servers, screen)
    if screen.height and len(lines) > screen.height:
        hidden = len(lines) - screen.height + 1
        lines = [*lines[: screen.height - 1], Line(f"… {count(hidden, 'more line')}", "dim")]
    return [Line(_cut(line.text, screen.width), line.style) for line in lines]


def _node_lines(servers: Sequence[ServerStatus], screen: Screen) -> list[Line]:
    columns = list(_COLUMNS)
    while True:
        rows = [
            tuple(column.name for column in columns),
            *(tuple(column.cell(server, screen) for column in columns) for server in servers),
        ]
        widths = [max(len(row[index]) for row in rows) for index in range(len(columns))]
        if sum(widths) + 2 * (len(widths) - 1) <= screen.width or len(columns) <= 3:
            break
        columns.remove(max(columns, key=lambda column: column.rank))
    texts = [_row(row, widths) for row in rows]
    styles = ["bold", *(phase_style(server.phase) for server in servers)]
    return [Line(text, style) for text, style in zip(texts, styles, strict=True)]


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    # Names, states and bars begin under each other, numbers end so.
    padded = [
        cell.ljust(width) if index < 3 else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"


def _state(server: ServerStatus, _: Screen) -> str:
    duty = "" if server.duty is Duty.ACTIVE else f", {server.duty.value}"
    return f"{server.phase.value}{duty}"


def _fill(server: ServerStatus, screen: Screen) -> str:
    full, empty = ("█", "·") if screen.is_unicode else ("#", ".")
    filled = round(_BAR_WIDTH * min(1.0, server.capacity.fill))
    return f"{full * filled}{empty * (_BAR_WIDTH - filled)} {server.capacity.fill:4.0%}"


def _heard(server: ServerStatus, _: Screen) -> str:
    age_s = server.last_heartbeat_age_s
    if age_s is None:
        return "never"
    # Below a second it is always true, and would only flicker.
    return "now" if server.phase is ServerPhase.UP and age_s < 2 else f"{format_duration(age_s)} ago"


def _rate(bytes_per_s: int) -> str:
    return f"{format_size(bytes_per_s)}/s" if bytes_per_s else "-"


_COLUMNS = (
    _Column("NAME", 0, lambda server, _: printable(server.name)),
    _Column("STATE", 1, _state),
    _Column("FILL", 4, _fill),
    _Column("READ", 2, lambda server, _: _rate(server.traffic.per_s.read_bytes)),
    _Column("WRITE", 3, lambda server, _: _rate(server.traffic.per_s.write_bytes)),
    _Column("COPY", 6, lambda server, _: _rate(server.traffic.per_s.copied_bytes)),
    _Column("SCRUB", 9, lambda server, _: _rate(server.traffic.per_s.scrubbed_bytes)),
    _Column("CHUNKS", 7, lambda server, _: str(server.chunk_count)),
    _Column("MISSING", 5, lambda server, _: str(server.missing_chunk_count)),
    _Column("HEARD", 8, _heard),
)
