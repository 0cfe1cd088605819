"""Drains, balancing and the scrub as text: pure functions of what the master says."""

from collections.abc import Callable, Sequence

from dstore.cli.quantities import count, format_duration
from dstore.cli.status_text import table
from dstore.core.operations import BalanceState, DutyChange, MemberMove, ScrubState
from dstore.core.sizes import format_size
from dstore.core.status import ServerStatus
from dstore.core.text import printable

Style = Callable[[str, str], str]

#: Moves that a person reads; ``--json`` has more.
_MOVES_SHOWN_MAX = 20


def drain_lines(change: DutyChange) -> list[str]:
    """Return the lines of ``dstore node drain``; a dry run lists the moves."""
    name = printable(change.name)
    what = f"{count(change.move_count, 'placement group')}, {format_size(change.copied_bytes)} to copy"
    if not change.is_applied:
        return [f"{name} can be drained: {what}. Nothing was changed.", *_move_lines(change.moves, change.move_count)]
    how = f"`dstore status` shows how far it is, `dstore node activate {name}` stops it."
    if not change.move_count:
        what = "nothing has to be begun any more"
    return [f"{name} is being drained: {what}.", how]


def balance_lines(state: BalanceState, style: Style, *, list_moves: bool) -> list[str]:
    """Return the lines of ``dstore balance``."""
    word = style("paused", "yellow") + " (dstore balance --resume)" if state.is_paused else style("on", "green")
    lines = [f"  balance: {word}", f"  fill:    at most {state.spread_before:.1%} of a disk from the mean"]
    if state.move_count:
        lines.append(
            f"  to move: {count(state.move_count, 'copy')} of placement groups, {format_size(state.copied_bytes)}; "
            f"then at most {state.spread_after:.1%} from the mean"
        )
    else:
        lines.append("  to move: nothing")
    if state.refusal:
        lines.append(f"  {style('uneven', 'yellow')}:  {printable(state.refusal)}")
    return lines + (_move_lines(state.moves, state.move_count) if list_moves else [])


def scrub_lines(state: ScrubState, servers: Sequence[ServerStatus], style: Style) -> list[str]:
    """Return the lines of ``dstore scrub``."""
    if not state.period_s:
        return [f"  scrub: {style('off', 'yellow')} (the master was started with --scrub-period 0s)"]
    word = style("paused", "yellow") + " (dstore scrub resume)" if state.is_paused else style("on", "green")
    rows = [("NAME", "DONE", "LAST PASS", "CORRUPT"), *map(_scrub_row, servers)]
    return [
        f"  scrub: {word}, every chunk within {format_duration(state.period_s)}",
        *(f"  {line}" for line in table(rows)),
    ]


def _scrub_row(server: ServerStatus) -> tuple[str, ...]:
    age_s = server.scrub_age_s
    since = "-" if age_s is None else f"{format_duration(age_s)} ago"
    return printable(server.name), f"{server.scrub_position:.0%}", since, str(server.corrupt_chunk_count)


def _move_lines(moves: Sequence[MemberMove], move_count: int) -> list[str]:
    if not moves:
        return []
    shown = [
        (str(move.group_id), printable(move.source) or "-", printable(move.target) or "-", format_size(move.size_bytes))
        for move in moves[:_MOVES_SHOWN_MAX]
    ]
    lines = [f"  {line}" for line in table([("GROUP", "FROM", "TO", "SIZE"), *shown])]
    more = move_count - len(shown)
    return [*lines, f"  … and {more} more"] if more else lines
