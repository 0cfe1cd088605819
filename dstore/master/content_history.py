"""How much the files had within the last hour, with their kept versions, as it is stored: whoever leads can tell.

A few samples, by the running time of the masters. What shrinks is noticed against the oldest: what is written and
removed again within the hour, or replaced by as much, is the life of a cluster.
"""

from dataclasses import dataclass

from dstore.core.limits import COLLECTION_LOSS_WINDOW_S
from dstore.master import codec, counters
from dstore.master.store.base import Transaction

_KEY = "content_history"
_INTERVAL_S = 600


@dataclass(frozen=True, slots=True)
class Sample:
    """What the files had at a time.

    Attributes:
        running_s: of the masters.
        content_bytes: plaintext of all files and kept versions.
    """

    running_s: int
    content_bytes: int


@dataclass(frozen=True, slots=True)
class ContentHistory:
    """The samples, oldest first."""

    samples: tuple[Sample, ...] = ()


def read(tx: Transaction) -> ContentHistory:
    """Return what is stored."""
    rows = tx.execute("SELECT value FROM meta WHERE name = ?", (_KEY,))
    return codec.decode(ContentHistory, rows[0][0]) if rows else ContentHistory()


def is_due(tx: Transaction) -> bool:
    """Whether it is time for another sample."""
    samples = read(tx).samples
    return not samples or counters.read(tx, "running_s") - samples[-1].running_s >= _INTERVAL_S


def advance(tx: Transaction) -> None:
    """Take a sample, and forget those that are not needed any more."""
    now = _now(tx)
    # The oldest that stays is at least as old as the window, once there is one.
    old = [each for each in read(tx).samples if now.running_s - each.running_s < COLLECTION_LOSS_WINDOW_S + _INTERVAL_S]
    tx.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (_KEY, codec.encode(ContentHistory((*old, now)))),
    )


def shrinkage(tx: Transaction) -> float:
    """Return which share of what there was at the oldest sample is not there any more; 0.0 when it grew."""
    samples = read(tx).samples
    if not samples or not samples[0].content_bytes:
        return 0.0
    return max(0.0, 1.0 - _now(tx).content_bytes / samples[0].content_bytes)


def _now(tx: Transaction) -> Sample:
    content_bytes = counters.read(tx, "logical_bytes") + counters.read(tx, "retained_bytes")
    return Sample(counters.read(tx, "running_s"), content_bytes)
