"""Which master runs the planners: a lease without clocks, by a beat that the others watch.

    WAITING ──(no holder, or the beat stood still for the lease)──► take ──► LEADING ──(release)──► nobody leads
       ▲                                                                       │
       └─────────────────────(the beat finds another holder)──────────────────┘

The row holds who leads, an epoch that goes up whenever somebody takes over, and a beat. How long the beat stood still
is measured on the watcher's own clock, so that no clocks are compared. A leader that was slow and does not know yet
that it was replaced does no harm: every transaction of a planner compares the epoch (``require``), and chunkservers
refuse orders of an older one (Invariant 7).
"""

from dataclasses import dataclass
from enum import Enum

from dstore.core.errors import Conflict
from dstore.core.limits import LEADER_BEAT_S, LEADER_LEASE_S
from dstore.master.store.base import Transaction


@dataclass(frozen=True, slots=True)
class LeaderRow:
    """What is stored. ``holder`` is empty when nobody leads."""

    holder: str
    epoch: int
    beat: int


class Action(Enum):
    """What a master should do about the lead now."""

    WAIT = "wait"
    TAKE = "take"
    BEAT = "beat"


class Leadership:
    """What one master knows of the lead; ``name`` is of this run of it, and no other has it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._row = LeaderRow("", 0, 0)
        self._changed_s: float | None = None

    @property
    def epoch(self) -> int:
        """The newest epoch that is known, whoever leads."""
        return self._row.epoch

    @property
    def is_leading(self) -> bool:
        """Whether this master leads, as far as it knows."""
        return self._row.holder == self.name

    @property
    def row(self) -> LeaderRow:
        """The row as it was seen last."""
        return self._row

    def quiet_s(self, now_s: float) -> float:
        """Return for how long nobody was seen leading; 0 while this master leads."""
        if self.is_leading or self._changed_s is None:
            return 0.0
        return now_s - self._changed_s

    def see(self, row: LeaderRow, now_s: float) -> None:
        """Take note of the row, read after ``now_s`` or written."""
        if (row.epoch, row.beat) < (self._row.epoch, self._row.beat):
            # Read before what was seen already.
            return
        if row != self._row or self._changed_s is None:
            self._row, self._changed_s = row, now_s

    def decide(self, now_s: float) -> Action:
        """Return what to do now; the row must have been seen."""
        assert self._changed_s is not None, "look at the row first"
        if self.is_leading:
            return Action.BEAT if now_s - self._changed_s >= LEADER_BEAT_S else Action.WAIT
        if not self._row.holder or now_s - self._changed_s >= LEADER_LEASE_S:
            return Action.TAKE
        return Action.WAIT


def read(tx: Transaction) -> LeaderRow:
    """Return the row."""
    return LeaderRow(*tx.execute("SELECT holder, epoch, beat FROM leader")[0])


def take(tx: Transaction, name: str, seen: LeaderRow) -> LeaderRow:
    """Take the lead if the row is still as it was seen; return the row as it is then."""
    tx.execute(
        "UPDATE leader SET holder = ?, epoch = epoch + 1, beat = beat + 1 WHERE holder = ? AND epoch = ? AND beat = ?",
        (name, seen.holder, seen.epoch, seen.beat),
    )
    return read(tx)


def beat(tx: Transaction, name: str, epoch: int) -> LeaderRow:
    """Show that this master leads; return the row, which tells whether it does."""
    tx.execute("UPDATE leader SET beat = beat + 1 WHERE holder = ? AND epoch = ?", (name, epoch))
    return read(tx)


def release(tx: Transaction, name: str) -> LeaderRow:
    """Give up the lead, so that another master need not wait; one that does not lead changes nothing."""
    tx.execute("UPDATE leader SET holder = '', beat = beat + 1 WHERE holder = ?", (name,))
    return read(tx)


def require(tx: Transaction, epoch: int) -> None:
    """Refuse the work of a planner that does not lead any more (Invariant 7).

    Raises:
        Conflict: reason ``LEADER_CHANGED``.
    """
    row = read(tx)
    if row.epoch != epoch or not row.holder:
        raise Conflict(
            f"Another master leads since (epoch {row.epoch}, this planner had {epoch}); nothing was changed.",
            reason="LEADER_CHANGED",
            metadata={"epoch": str(row.epoch), "planner_epoch": str(epoch)},
        )
