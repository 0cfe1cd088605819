"""What was done and not yet told: kept until a report that carried it was answered."""

from collections.abc import Collection, Iterable
from itertools import islice
from typing import TypeVar

from dstore.core.ids import ChunkId, GroupId
from dstore.core.limits import CORRUPT_REPORTED_MAX, DISCARDS_PER_ORDER_MAX, MISSING_PER_ORDER_MAX
from dstore.core.upkeep import Filled, Outcomes

T = TypeVar("T")

#: Groups of one list in a report; the rest comes with the next ones.
_GROUPS_REPORTED_MAX = 1_000


class OutcomeBox:
    """Collects outcomes. What is collected follows from orders, which are bounded, so this is, too."""

    def __init__(self, corrupt: Collection[ChunkId]) -> None:
        """Take the chunks that failed a check, as they change; they are told with every report."""
        self._corrupt = corrupt
        self._filled: dict[GroupId, Filled] = {}
        self._held: dict[ChunkId, None] = {}
        self._discarded: dict[ChunkId, None] = {}
        self._dropped: dict[GroupId, None] = {}

    def add_filled(self, filled: Filled) -> None:
        """Tell that a group is filled; replaces what was to be told of the same group."""
        self._filled[filled.group_id] = filled

    def add_held(self, chunk_id: ChunkId) -> None:
        """Tell that an ordered chunk is there, intact."""
        self._held[chunk_id] = None

    def is_held_untold(self, chunk_id: ChunkId) -> bool:
        """Tell whether it is still to be told that this chunk is there."""
        return chunk_id in self._held

    def add_discarded(self, chunk_ids: Iterable[ChunkId]) -> None:
        """Tell that chunks are in the trash."""
        self._discarded.update(dict.fromkeys(chunk_ids))

    def add_dropped(self, group_id: GroupId) -> None:
        """Tell that nothing is held of a group any more."""
        self._dropped[group_id] = None

    def report(self) -> Outcomes:
        """Return what is to be told, up to the bounds of a report."""
        return Outcomes(
            filled=_first(self._filled.values(), _GROUPS_REPORTED_MAX),
            # A chunk that failed its check since it was copied is not held.
            held=tuple(each for each in _first(self._held, MISSING_PER_ORDER_MAX) if each not in self._corrupt),
            corrupt=_first(self._corrupt, CORRUPT_REPORTED_MAX),
            discarded=_first(self._discarded, DISCARDS_PER_ORDER_MAX),
            dropped=_first(self._dropped, _GROUPS_REPORTED_MAX),
        )

    def forget(self, told: Outcomes) -> None:
        """Drop what a report told that was answered; what changed since it was made stays."""
        for filled in told.filled:
            if self._filled.get(filled.group_id) is filled:
                del self._filled[filled.group_id]
        for chunk_id in told.held:
            self._held.pop(chunk_id, None)
        for chunk_id in told.discarded:
            self._discarded.pop(chunk_id, None)
        for group_id in told.dropped:
            self._dropped.pop(group_id, None)
        for chunk_id in [each for each in self._held if each in self._corrupt]:
            del self._held[chunk_id]


def _first(values: Iterable[T], count: int) -> tuple[T, ...]:
    return tuple(islice(values, count))
