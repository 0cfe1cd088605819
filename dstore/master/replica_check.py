"""Holds what servers list of a group against its rows: pure, for one range of sequences at a time.

Only chunks below the settled sequence are judged: no write can be under way there, so what the rows name was on the
disks before they were read, and what they do not name never will be.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from dstore.core.digests import HeldChunk
from dstore.core.groups import MemberState
from dstore.core.ids import FileId, GroupId, ServerId
from dstore.master.store.base import Transaction

#: By server that answered, what it holds in the range.
Listings = Mapping[ServerId, Mapping[int, HeldChunk]]


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A chunk of a file."""

    file_id: FileId
    length_bytes: int
    crc32c: int
    has_inode: bool


@dataclass(frozen=True, slots=True)
class Window:
    """The rows of a group in a range of sequences, read in one transaction.

    Attributes:
        missing: replicas that are known to be missing.
        deleted: chunks that are deleted, as far as their rows are still there.
        planned: chunks that belong to a write in progress.
        members: of the whole group.
    """

    rows: Mapping[int, ChunkRow]
    missing: frozenset[tuple[int, ServerId]]
    deleted: frozenset[int]
    planned: frozenset[int]
    members: Mapping[ServerId, MemberState]

    def knows(self, sequence: int) -> bool:
        """Whether any row names the chunk."""
        return sequence in self.rows or sequence in self.deleted or sequence in self.planned


class Trouble(Enum):
    """What can be wrong about a chunk, or one copy of it."""

    MISSING = "missing"
    LOST = "lost"
    DIFFERS = "differs"
    CORRUPT = "corrupt"
    GONE = "gone"
    UNKNOWN = "unknown"
    ORPHANED = "orphaned"

    @property
    def is_passing(self) -> bool:
        """Whether it can come from looking at rows and disks at different moments."""
        return self in (Trouble.LOST, Trouble.DIFFERS, Trouble.GONE, Trouble.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong; ``server_id`` is None when it is about all copies."""

    trouble: Trouble
    sequence: int
    server_id: ServerId | None


def judge(
    window: Window, listings: Listings, corrupt: Mapping[ServerId, frozenset[int]], settled_sequence: int
) -> tuple[Problem, ...]:
    """Return what is wrong in a range, in order of the sequences.

    Args:
        corrupt: by server, the chunks that failed a check.
    """
    problems: list[Problem] = []
    for sequence, row in window.rows.items():
        if sequence >= settled_sequence:
            continue
        if not row.has_inode:
            problems.append(Problem(Trouble.ORPHANED, sequence, None))
        if listings and not any(_matches(held.get(sequence), row) for held in listings.values()):
            problems.append(Problem(Trouble.GONE, sequence, None))
        problems += _about_members(window, sequence, row, listings, corrupt)
    for server_id, held in listings.items():
        for sequence in held:
            if sequence < settled_sequence and not window.knows(sequence):
                problems.append(Problem(Trouble.UNKNOWN, sequence, server_id))
    return tuple(sorted(problems, key=lambda each: (each.sequence, each.trouble.value, each.server_id or "")))


def confirm(problems: Iterable[Problem], again: Iterable[Problem], before: Window) -> tuple[Problem, ...]:
    """Return the problems that lasted.

    Args:
        problems: as they were found first.
        again: as they are after rows and listings were read anew.
        before: the rows as they were before the listings were read anew: a chunk whose last row went in between was
            discarded in between.
    """
    lasting = set(again)
    return tuple(
        each
        for each in problems
        if each in lasting and not (each.trouble is Trouble.UNKNOWN and before.knows(each.sequence))
    )


def read_window(tx: Transaction, group_id: GroupId, after: int, last: int) -> Window:
    """Return the rows of a group with sequences above ``after``, up to ``last``."""
    span = (group_id, after, last)
    return Window(
        rows={
            sequence: ChunkRow(FileId(file_id), length_bytes, crc32c, bool(has_inode))
            for sequence, file_id, length_bytes, crc32c, has_inode in tx.execute(
                "SELECT c.sequence, c.file_id, c.length_bytes, c.crc32c, "
                "EXISTS (SELECT 1 FROM inodes i WHERE i.file_id = c.file_id) FROM chunks c "
                "WHERE c.group_id = ? AND c.sequence > ? AND c.sequence <= ? ORDER BY c.sequence",
                span,
            )
        },
        missing=frozenset(
            tx.execute(
                "SELECT sequence, server_id FROM missing_replicas "
                "WHERE group_id = ? AND sequence > ? AND sequence <= ?",
                span,
            )
        ),
        deleted=_sequences(
            tx,
            "SELECT sequence FROM deleted_chunks WHERE group_id = ? AND sequence > ? AND sequence <= ? "
            "UNION SELECT sequence FROM owed_discards WHERE group_id = ? AND sequence > ? AND sequence <= ?",
            (*span, *span),
        ),
        planned=_sequences(
            tx, "SELECT sequence FROM intent_chunks WHERE group_id = ? AND sequence > ? AND sequence <= ?", span
        ),
        members={
            server_id: MemberState(state)
            for server_id, state in tx.execute(
                "SELECT server_id, state FROM group_members WHERE group_id = ?", (group_id,)
            )
        },
    )


def _about_members(
    window: Window,
    sequence: int,
    row: ChunkRow,
    listings: Listings,
    corrupt: Mapping[ServerId, frozenset[int]],
) -> list[Problem]:
    problems: list[Problem] = []
    for server_id, state in window.members.items():
        trouble: Trouble | None = None
        if sequence in corrupt.get(server_id, ()):
            trouble = Trouble.CORRUPT
        elif server_id not in listings:
            trouble = Trouble.MISSING if (sequence, server_id) in window.missing else None
        elif sequence in listings[server_id]:
            trouble = None if _matches(listings[server_id][sequence], row) else Trouble.DIFFERS
        elif (sequence, server_id) in window.missing:
            trouble = Trouble.MISSING
        elif state is not MemberState.FILLING:
            # Others are filled from one that is leaving, too.
            trouble = Trouble.LOST
        if trouble is not None:
            problems.append(Problem(trouble, sequence, server_id))
    return problems


def _matches(held: HeldChunk | None, row: ChunkRow) -> bool:
    return held is not None and (held.length_bytes, held.crc32c) == (row.length_bytes, row.crc32c)


def _sequences(tx: Transaction, sql: str, values: tuple[int, ...]) -> frozenset[int]:
    return frozenset(sequence for (sequence,) in tx.execute(sql, values))
