"""Findings, the collection and safe mode as text: pure functions of what the master says."""

from collections.abc import Callable

from dstore.cli.quantities import count
from dstore.core.checking import (
    CheckSummary,
    CollectionState,
    CollectionStatus,
    Finding,
    SafeModeStatus,
    Severity,
)
from dstore.core.text import printable

Style = Callable[[str, str], str]

_SEVERITY_STYLES = {Severity.INFO: "dim", Severity.WARN: "yellow", Severity.ERROR: "red"}


def finding_line(finding: Finding, style: Style) -> str:
    """Return a finding as one line: how bad, what kind, where, what, what helps."""
    where = [printable(finding.path)] if finding.path else []
    if finding.chunk_id is not None:
        where.append(f"chunk {finding.chunk_id}")
    place = f"{', '.join(where)}: " if where else ""
    done = " [repair begun]" if finding.is_repaired else ""
    severity = style(f"{finding.severity.value.upper():<5}", _SEVERITY_STYLES[finding.severity])
    return f"{severity} {finding.kind.value}  {place}{printable(finding.what)} → {printable(finding.hint)}{done}"


def summary_line(summary: CheckSummary, style: Style) -> str:
    """Return the end of a check as one line."""
    looked_at = (
        f"{count(summary.files, 'file')}, {count(summary.directories, 'directory')}, "
        f"{count(summary.chunks, 'chunk')}, {count(summary.replicas, 'copy')}"
    )
    if summary.is_clean:
        return f"{style('OK', 'green')}: {looked_at}; nothing is wrong."
    found = [
        f"{number} {name}{'' if number == 1 else 's'}"
        for number, name in ((summary.errors, "error"), (summary.warnings, "warning"))
        if number
    ]
    word = style("DAMAGED" if summary.errors else "NOT OK", "red" if summary.errors else "yellow")
    repaired = f"; {summary.repaired} being repaired" if summary.repaired else ""
    incomplete = "" if summary.is_complete else "; not everything could be looked at"
    return f"{word}: {looked_at}; {' and '.join(found)}{repaired}{incomplete}."


def collection_lines(status: CollectionStatus, style: Style) -> list[str]:
    """Return the lines of ``dstore collection status``."""
    is_running = status.state is CollectionState.RUNNING
    word = style(status.state.value, "green" if is_running else "yellow")
    lines = [f"  collection: {word}" + (f" — {printable(status.reason)}" if status.reason else "")]
    lines.append(
        f"  deleted:    {count(status.deleted_chunks, 'chunk')} still on disks, {status.ordered_chunks} being discarded"
    )
    if status.owed_chunks:
        lines.append(f"  owed:       {count(status.owed_chunks, 'copy')} on servers that are away")
    if status.stray_groups:
        lines.append(f"  stray:      {count(status.stray_groups, 'copy')} of groups on servers that are no members")
    hints = {
        CollectionState.STOPPED: "look at what was removed (dstore trash), then: dstore collection approve",
        CollectionState.SAFE_MODE: "dstore safe-mode status",
    }
    if status.state in hints:
        lines.append(f"             → {hints[status.state]}")
    return lines


def safe_mode_lines(status: SafeModeStatus, style: Style) -> list[str]:
    """Return the lines of ``dstore safe-mode status``."""
    if not status.is_on:
        return [f"  safe mode: {style('off', 'green')}", f"  history:   {status.history_id}"]
    return [
        f"  safe mode: {style('on', 'yellow')} — {printable(status.reason)}",
        f"  history:   {status.history_id}",
        "  Nothing is deleted. Reads, writes and repairs go on. Chunks that this metadata does not know stay on the",
        "  disks; `dstore fsck` lists them. If a newer copy of the metadata exists, stop the master and restore it.",
        "  If this is the newest, go on with it: dstore safe-mode leave",
    ]
