"""The stop of the collection as it is stored, so that it lasts until an operator approves, whichever master leads."""

from dataclasses import dataclass

from dstore.core.checking import CollectionStop
from dstore.core.status import Health, HealthCheck
from dstore.master import codec, counters
from dstore.master.store.base import Transaction

_STOP = "collection_stop"
_APPROVED = "collection_approved_s"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is stored about the collection."""

    stop: CollectionStop | None
    deleted_chunks: int
    owed_chunks: int


def read_stop(tx: Transaction) -> CollectionStop | None:
    """Return the stop that is stored; None when it did not stop."""
    rows = tx.execute("SELECT value FROM meta WHERE name = ?", (_STOP,))
    return codec.decode(CollectionStop, rows[0][0]) if rows else None


def read_facts(tx: Transaction) -> Facts:
    """Return what is stored, for people who ask: it counts what is owed."""
    return Facts(
        stop=read_stop(tx),
        deleted_chunks=counters.read(tx, "deleted_chunks"),
        owed_chunks=tx.execute("SELECT COUNT(*) FROM owed_discards")[0][0],
    )


def approved_s(tx: Transaction) -> int:
    """Return the running time up to which deletions are approved; -1 when none are."""
    rows = tx.execute("SELECT value FROM meta WHERE name = ?", (_APPROVED,))
    return int(rows[0][0]) if rows else -1


def store(tx: Transaction, stop: CollectionStop) -> None:
    """Stop the collection."""
    _put(tx, _STOP, codec.encode(stop))


def approve(tx: Transaction) -> None:
    """Let through what it stopped at; nothing happens when it did not stop."""
    stop = read_stop(tx)
    if stop is not None:
        _put(tx, _APPROVED, str(stop.deleted_before_s))
        tx.execute("DELETE FROM meta WHERE name = ?", (_STOP,))


def explain(stop: CollectionStop) -> str:
    """Return one sentence about a stop."""
    before = f" after {stop.lost_chunks} within the last hour" if stop.lost_chunks else ""
    return f"{stop.server_name} would lose {stop.due_chunks} of {stop.held_chunks} chunks{before}."


def checks(stop: CollectionStop | None) -> tuple[HealthCheck, ...]:
    """Return the reason for a health that is not OK, if it stopped."""
    if stop is None:
        return ()
    message = f"The collection of deleted chunks has stopped: {explain(stop)}"
    return (HealthCheck("COLLECTION_STOPPED", Health.WARN, message, "dstore collection approve"),)


def _put(tx: Transaction, name: str, value: str) -> None:
    tx.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )
