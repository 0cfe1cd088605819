"""What the master asks of a transactional SQL store.

The engines differ in threads and in durability settings, never in what a caller can observe; one contract
suite (tests/master/test_store.py) runs against all of them.

The SQL is the subset that SQLite and PostgreSQL share: ``?`` for parameters, ``ON CONFLICT`` and
``RETURNING`` allowed, integers of 64 bits with sign, text, bytes and NULL.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

Value = int | str | bytes | None
Row = tuple[Any, ...]

#: Integers of the store have 64 bits with a sign; numbers from the wire may be larger and must be checked
#: first.
INTEGER_MAX = (1 << 63) - 1


class Transaction(Protocol):
    """One transaction that is under way; valid only inside the function that received it."""

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        """Run one statement and return all its rows."""

    def execute_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        """Run one statement once for each row of values."""


class Store(Protocol):
    """Runs functions as transactions.

    - **Linearizable**: a function that starts after another one was answered sees what that one wrote.
    - **Atomic**: of a function that raises, nothing stays. Others that share its commit are not harmed.
    - **Durable**: ``write`` answers only after the commit is on stable storage (Invariant 1).
    - A function may run more than once before it is answered (a serialization failure is retried), and may
      run in any thread. So it must be pure apart from its transaction: no awaiting, no clock, no randomness,
      no change of anything outside.
    - A caller that is cancelled does not undo its function: it may still run and commit.
    """

    async def read(self, fn: Callable[[Transaction], T], *, is_short: bool = False) -> T:
        """Run ``fn`` on one consistent snapshot.

        Args:
            is_short: it looks up a few rows, so it may run at once, without a thread, where no disk has to be waited
                for.

        Raises:
            Unavailable: the store is closed or its disk failed.
        """

    async def write(self, fn: Callable[[Transaction], T]) -> T:
        """Run ``fn`` and commit what it wrote.

        Raises:
            LimitExceeded: too many writes are waiting; nothing was done.
            Unavailable: the store is closed or its disk failed; nothing was done.
            CommitUnknown: the disk failed while committing (Invariant 4).
        """

    async def close(self) -> None:
        """Finish the writes that wait, and let go of the files. Closing twice is allowed."""


def expand(sql: str, count: int) -> str:
    """Return ``sql`` with ``count`` placeholders in place of ``?*``; at most ``IN_LIST_MAX``."""
    assert 0 < count <= IN_LIST_MAX
    return sql.replace("?*", ", ".join("?" * count))


#: Values of one ``IN`` list; engines bound the parameters of a statement.
IN_LIST_MAX = 500


def batches(values: Sequence[T]) -> Iterable[Sequence[T]]:
    """Cut ``values`` into pieces that fit an ``IN`` list."""
    for start in range(0, len(values), IN_LIST_MAX):
        yield values[start : start + IN_LIST_MAX]
