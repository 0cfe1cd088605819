"""What has to be done to make one tree like another: a pure function of the two.

Nothing is deleted because it is unknown (as Invariant 9 says of the cluster): as soon as a part of the source could not
be looked at, nothing is deleted at all; what is there and cannot be copied keeps what has its name on the other side.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from dstore.cli.tree_listing import EntryKind, Listing


class Action(Enum):
    """What is done with one path."""

    MAKE_DIRECTORY = "make_directory"
    COPY = "copy"
    DELETE = "delete"
    SKIP = "skip"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Attributes:
        path: relative to both trees.
        reason: ``missing``, ``size``, ``newer``, ``content`` (the contents differ), ``extra``, ``link``, ``special``;
            for a conflict the kind of what is in the way.
        size_bytes: of the file that is copied or deleted.
        modified_ns: of the source, where a file is copied.
    """

    action: Action
    path: str
    reason: str
    kind: EntryKind
    size_bytes: int = 0
    modified_ns: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is to be done.

    Attributes:
        steps: parents are made before what is in them; deletions come last, and delete parents last.
        unchanged_files: files that need nothing.
        is_delete_withheld: something would be deleted, had all of the source been seen.
    """

    steps: tuple[Step, ...]
    unchanged_files: int
    is_delete_withheld: bool = False


def same_size(source: Listing, target: Listing) -> list[str]:
    """Return the files of which only the content can tell whether they differ."""
    return [
        path
        for path, entry in source.entries.items()
        if entry.kind is EntryKind.FILE
        and (other := target.entries.get(path)) is not None
        and other.kind is EntryKind.FILE
        and other.size_bytes == entry.size_bytes
    ]


def make_plan(source: Listing, target: Listing, *, different: Collection[str] | None, delete: bool) -> Plan:
    """Return the steps that make ``target`` like ``source``.

    Args:
        different: of the files that have the same size, those whose content differs; None to go by the time instead: a
            source that was changed after the target is newer.
        delete: what the source does not have goes.
    """
    steps: list[Step] = []
    unchanged, blocked = 0, set[str]()
    for path, entry in source.entries.items():
        if _is_within(path, blocked):
            continue
        step = _step(path, source, target, different)
        if step is None:
            unchanged += entry.kind is EntryKind.FILE
            continue
        steps.append(step)
        if step.action is Action.CONFLICT:
            blocked.add(path)
    deletions = _deletions(source, target) if delete else []
    if source.problems and deletions:
        return Plan(tuple(steps), unchanged, is_delete_withheld=True)
    return Plan((*steps, *deletions), unchanged)


def _step(path: str, source: Listing, target: Listing, different: Collection[str] | None) -> Step | None:
    entry, there = source.entries[path], target.entries.get(path)
    if entry.kind in (EntryKind.LINK, EntryKind.SPECIAL):
        return Step(Action.SKIP, path, entry.kind.value, entry.kind)
    if there is not None and there.kind is not entry.kind:
        return Step(Action.CONFLICT, path, there.kind.value, entry.kind)
    if entry.kind is EntryKind.DIRECTORY:
        return None if there is not None else Step(Action.MAKE_DIRECTORY, path, "missing", entry.kind)
    if there is None:
        reason = "missing"
    elif there.size_bytes != entry.size_bytes:
        reason = "size"
    elif different is not None:
        reason = "content" if path in different else ""
    else:
        reason = "newer" if entry.modified_ns > there.modified_ns else ""
    if not reason:
        return None
    return Step(Action.COPY, path, reason, entry.kind, entry.size_bytes, entry.modified_ns)


def _deletions(source: Listing, target: Listing) -> list[Step]:
    """Return what the source does not have, files before the directories that they are in."""
    kept = {path for path, entry in source.entries.items() if entry.kind is not EntryKind.DIRECTORY}
    extra = [
        Step(Action.DELETE, path, "extra", entry.kind, entry.size_bytes)
        for path, entry in target.entries.items()
        if path not in source.entries and entry.kind is not EntryKind.SPECIAL and not _is_within(path, kept)
    ]
    return extra[::-1]


def _is_within(path: str, places: Collection[str]) -> bool:
    end = path.find("/")
    while end >= 0:
        if path[:end] in places:
            return True
        end = path.find("/", end + 1)
    return False
