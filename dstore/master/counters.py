"""Numbers that only one transaction at a time may take or change."""

from dstore.master.store.base import Transaction


def take(tx: Transaction, name: str, count: int = 1) -> int:
    """Return the first of ``count`` fresh numbers; none of them is ever given out again (Invariant 6)."""
    return add(tx, name, count) - count + 1


def add(tx: Transaction, name: str, change: int) -> int:
    """Change a counter and return its new value."""
    rows = tx.execute("UPDATE counters SET value = value + ? WHERE name = ? RETURNING value", (change, name))
    return int(rows[0][0])


def read(tx: Transaction, name: str) -> int:
    """Return the present value."""
    return int(tx.execute("SELECT value FROM counters WHERE name = ?", (name,))[0][0])


def read_all(tx: Transaction) -> dict[str, int]:
    """Return all counters by name."""
    return dict(tx.execute("SELECT name, value FROM counters"))
