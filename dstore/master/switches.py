"""What operators switched off for a while; stored."""

from dataclasses import dataclass

from dstore.master.store.base import Transaction

_SCRUB, _BALANCE = "scrub_paused", "balance_paused"


@dataclass(frozen=True, slots=True)
class Switches:
    """Which work is paused."""

    scrub_is_paused: bool = False
    balance_is_paused: bool = False


def read(tx: Transaction) -> Switches:
    """Return what is stored."""
    paused = {row[0] for row in tx.execute("SELECT name FROM meta WHERE name IN (?, ?)", (_SCRUB, _BALANCE))}
    return Switches(_SCRUB in paused, _BALANCE in paused)


def store(tx: Transaction, switches: Switches) -> Switches:
    """Store what is given, and return it."""
    for name, is_paused in ((_SCRUB, switches.scrub_is_paused), (_BALANCE, switches.balance_is_paused)):
        if is_paused:
            tx.execute("INSERT INTO meta (name, value) VALUES (?, '') ON CONFLICT DO NOTHING", (name,))
        else:
            tx.execute("DELETE FROM meta WHERE name = ?", (name,))
    return switches
