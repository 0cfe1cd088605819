"""The steps and the summary of ``dstore sync`` as text."""

from dataclasses import dataclass

from dstore.cli.quantities import count, format_duration
from dstore.cli.sync_plan import Action, Step
from dstore.cli.tree_listing import EntryKind
from dstore.core.sizes import format_size
from dstore.core.text import printable

_DONE = {Action.COPY: "copied", Action.MAKE_DIRECTORY: "made", Action.DELETE: "deleted", Action.SKIP: "skipped"}
_PLANNED = {
    Action.COPY: "would copy",
    Action.MAKE_DIRECTORY: "would make",
    Action.DELETE: "would delete",
    Action.SKIP: "would skip",
}


@dataclass(slots=True)
class SyncSummary:
    """What was done, or with ``is_dry_run`` what would be.

    Attributes:
        skipped: links that lead to no file, and special files.
        failed: steps that failed, conflicts, and what could not be read.
        is_delete_withheld: something was to be deleted, and was not, because not all else succeeded.
    """

    is_dry_run: bool
    copied_files: int = 0
    copied_bytes: int = 0
    made_directories: int = 0
    deleted_files: int = 0
    deleted_directories: int = 0
    unchanged_files: int = 0
    skipped: int = 0
    failed: int = 0
    is_delete_withheld: bool = False
    duration_s: float = 0.0

    def count(self, step: Step, *, is_failed: bool) -> None:
        """Count one step."""
        if is_failed:
            self.failed += 1
        elif step.action is Action.COPY:
            self.copied_files += 1
            self.copied_bytes += step.size_bytes
        elif step.action is Action.MAKE_DIRECTORY:
            self.made_directories += 1
        elif step.action is Action.SKIP:
            self.skipped += 1
        elif step.kind is EntryKind.DIRECTORY:
            self.deleted_directories += 1
        else:
            self.deleted_files += 1


def step_line(step: Step, *, is_dry_run: bool) -> str:
    """Return the line for one step."""
    verb = (_PLANNED if is_dry_run else _DONE)[step.action]
    slash = "/" if step.kind is EntryKind.DIRECTORY else ""
    what = f"{format_size(step.size_bytes)}, {step.reason}" if step.kind is EntryKind.FILE else step.reason
    return f"{verb}  {printable(step.path)}{slash}  ({what})"


def summary_line(summary: SyncSummary) -> str:
    """Return the line at the end."""
    head = "nothing was changed; this would be " if summary.is_dry_run else ""
    parts = [f"{count(summary.copied_files, 'file')} copied ({format_size(summary.copied_bytes)})"]
    if summary.made_directories:
        parts.append(f"{count(summary.made_directories, 'directory')} made")
    if summary.deleted_files or summary.deleted_directories:
        parts.append(f"{count(summary.deleted_files, 'file')} deleted")
    if summary.deleted_directories:
        parts.append(f"{count(summary.deleted_directories, 'directory')} deleted")
    parts.append(f"{summary.unchanged_files} unchanged")
    if summary.skipped:
        parts.append(f"{summary.skipped} skipped")
    if summary.failed:
        parts.append(f"{summary.failed} failed")
    if summary.is_delete_withheld:
        parts.append("nothing deleted, because not all else succeeded")
    return f"{head}{', '.join(parts)}  {format_duration(summary.duration_s)}"
