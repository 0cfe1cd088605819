"""The embedded engine: SQLite through apsw, one writer, group commit.

Writes queue up while a commit is under way; the next commit takes all of them, each in a savepoint of its
own, so that one synced commit answers many callers. A caller is answered only after the commit (Invariant 1).

The store is crash-only: after a disk error nothing about the files is certain, so it refuses all further
writes and the process has to end; opening the files again is the recovery.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import apsw

from dstore.core.errors import CommitUnknown, LimitExceeded, NotReady, Unavailable
from dstore.core.limits import COMMIT_QUEUE_MAX, GROUP_COMMIT_MAX
from dstore.master.store.base import Row, Transaction, Value
from dstore.master.store.connections import CACHE_SIZE, open_reader, plan_once
from dstore.master.store.database_files import make_names_durable, prepare_files
from dstore.master.store.quick_reader import NotQuick, QuickReader
from dstore.master.store.runner import Runner

T = TypeVar("T")

#: Older ones can lose committed pages: sqlite.org/wal.html, "The WAL-reset bug".
SQLITE_VERSION_MIN = (3, 51, 3)

_PRAGMAS = (
    "PRAGMA busy_timeout = 5000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    CACHE_SIZE,
)

#: SQLite answers a mode that the file system cannot give with another one, not with an error; in any other than these
#: a commit that was answered can be rolled back after a power loss (Invariant 1).
_IN_FORCE: dict[str, str | int] = {"journal_mode": "wal", "synchronous": 2}

#: Why a store refuses that was closed in good order.
_CLOSED = "it is closed"

#: After one of these the state of the files, or of the transaction, is unknown.
_DISK_ERRORS = (
    apsw.IOError,
    apsw.FullError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.NoMemError,
    apsw.BusyError,
    apsw.ProtocolError,
)


def check_sqlite_version(version: str) -> None:
    """Refuse a SQLite that can lose data.

    Raises:
        NotReady: reason ``SQLITE_TOO_OLD``.
    """
    if tuple(int(part) for part in version.split(".")[:3]) < SQLITE_VERSION_MIN:
        wanted = ".".join(str(part) for part in SQLITE_VERSION_MIN)
        raise NotReady(
            f"The linked SQLite is {version}, which can lose committed data (WAL-reset bug); "
            f"install apsw {wanted} or newer.",
            reason="SQLITE_TOO_OLD",
            metadata={"version": version, "wanted": wanted},
        )


class _SqliteTransaction:
    __slots__ = ("_connection",)

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        return self._connection.execute(sql, values).fetchall()

    def execute_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        self._connection.executemany(sql, rows)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What one function of a commit came to: its result, or its own error."""

    result: Any
    error: Exception | None


@dataclass(frozen=True, slots=True)
class _Waiter:
    """A write that waits for its commit."""

    fn: Callable[[Transaction], Any]
    future: asyncio.Future[Any]

    def answer(self, outcome: _Outcome) -> None:
        """Answer the caller, unless it has been answered or has gone away."""
        if self.future.done():
            return
        if outcome.error is None:
            self.future.set_result(outcome.result)
        else:
            self.future.set_exception(outcome.error)


class _DiskFailure(Exception):
    """A disk error; ``committing`` tells whether the commit itself had begun."""

    def __init__(self, cause: Exception, *, committing: bool) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.committing = committing


class SqliteStore:
    """A ``Store`` in one SQLite file. Use ``open``."""

    def __init__(self, path: str, runner: Runner) -> None:
        self._path = path
        self._runner = runner
        self._writer: apsw.Connection | None = None
        self._local = threading.local()
        self._readers: list[apsw.Connection] = []
        self._quick: QuickReader | None = None
        self._queue: deque[_Waiter] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._refusal: str | None = None

    @classmethod
    async def open(cls, path: str, *, runner: Runner, has_quick_reads: bool = False) -> "SqliteStore":
        """Open or create the file at ``path``.

        Args:
            has_quick_reads: run short reads at once, without ``runner``, where the kernel has all pages in memory.

        Raises:
            NotReady: reason ``SQLITE_TOO_OLD``; ``STORE_NOT_DURABLE``, when the file system cannot keep commits.
            Unavailable: reason ``STORE_FAILED``, when the file cannot be opened or is no database.
        """
        check_sqlite_version(apsw.sqlite_lib_version())
        store = cls(path, runner)
        try:
            await runner.write(store._open_writer)
            if has_quick_reads:
                store._quick = await runner.read(partial(QuickReader, path))
        except NotReady:
            await runner.close()
            raise
        except (apsw.Error, OSError) as error:
            await runner.close()
            raise _failed(f"{path} cannot be opened: {error}") from error
        return store

    @property
    def failed(self) -> bool:
        """Whether the store refuses writes because its disk failed."""
        return self._refusal is not None

    async def read(self, fn: Callable[[Transaction], T], *, is_short: bool = False) -> T:
        """As ``Store.read``."""
        if self._refusal is not None:
            raise _failed(self._refusal)
        if is_short and self._quick is not None:
            with suppress(NotQuick):
                return self._quick.read(fn)
        try:
            return await self._runner.read(lambda: self._read(fn))
        except _DISK_ERRORS as error:
            raise _failed(f"reading failed: {error}") from error

    async def write(self, fn: Callable[[Transaction], T]) -> T:
        """As ``Store.write``."""
        if self._refusal is not None:
            raise _failed(self._refusal)
        if len(self._queue) >= COMMIT_QUEUE_MAX:
            raise LimitExceeded(
                f"{COMMIT_QUEUE_MAX} metadata writes are waiting already; back off and retry.",
                reason="COMMIT_QUEUE_FULL",
                metadata={"limit": str(COMMIT_QUEUE_MAX)},
            )
        waiter = _Waiter(fn, asyncio.get_running_loop().create_future())
        self._queue.append(waiter)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._commit_queued(), name="metadata-commit", context=Context())
        result: T = await waiter.future
        return result

    async def close(self) -> None:
        """As ``Store.close``."""
        self._refusal = self._refusal or _CLOSED
        if self._pump is not None:
            await asyncio.wait([self._pump])
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        quick, self._quick = self._quick, None
        if quick is not None:
            quick.close()
        await self._runner.write(partial(_close_writer, writer, is_whole=self._refusal == _CLOSED))
        await self._runner.close()
        for reader in self._readers:
            reader.close()
        if quick is not None:
            # Last: it takes the locks of the others with it.
            quick.let_go()

    async def _commit_queued(self) -> None:
        batch: list[_Waiter] = []
        try:
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), GROUP_COMMIT_MAX))]
                outcomes = await self._runner.write(partial(self._commit, batch))
                for waiter, outcome in zip(batch, outcomes, strict=True):
                    waiter.answer(outcome)
        except _DiskFailure as failure:
            self._refusal = f"its disk failed: {failure.cause}"
            for waiter in batch:
                error = _unknown(failure.cause) if failure.committing else _failed(self._refusal)
                waiter.answer(_Outcome(None, error))
        finally:
            # Only a failure leaves anyone here; nobody may wait for a writer that has stopped.
            for waiter in (*batch, *self._queue):
                if not waiter.future.done():
                    self._refusal = self._refusal or "its writer stopped"
            # The writer was told to commit these, and may have done it (Invariant 4).
            for waiter in batch:
                waiter.answer(_Outcome(None, _unknown("its writer stopped")))
            for waiter in self._queue:
                waiter.answer(_Outcome(None, _failed(self._refusal or "its writer stopped")))
            self._queue.clear()

    # --- In the writer's thread ---------------------------------------------------------------------------

    def _open_writer(self) -> None:
        prepare_files(self._path)
        self._writer = plan_once(apsw.Connection(self._path))
        # However this connection ends, it must not write the log to the database: when its sync failed, what it holds
        # is not to be trusted, and another sync that succeeds says nothing. The next start reads it anew.
        self._writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        for pragma in _PRAGMAS:
            # To its end: an error of the change to WAL comes after the row that says so.
            self._writer.execute(pragma).fetchall()
        for name, wanted in _IN_FORCE.items():
            found = self._writer.execute(f"PRAGMA {name}").fetchone()
            if found != (wanted,):
                raise _not_durable(self._path, name, str(found and found[0]))
        # Nothing is added to a log that an earlier process left; what it says goes to the database.
        self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        # Before the first commit is in the log.
        make_names_durable(self._path)

    def _commit(self, batch: list[_Waiter]) -> list[_Outcome]:
        writer = self._writer
        assert writer is not None
        committing = False
        try:
            writer.execute("BEGIN IMMEDIATE")
            outcomes = [_run_in_savepoint(writer, waiter.fn) for waiter in batch]
            committing = True
            writer.execute("COMMIT")
        except apsw.Error as error:
            raise _DiskFailure(error, committing=committing) from error
        return outcomes

    # --- In a reader's thread -----------------------------------------------------------------------------

    def _read(self, fn: Callable[[Transaction], T]) -> T:
        reader = getattr(self._local, "reader", None)
        if reader is None:
            reader = open_reader(self._path)
            reader.execute("PRAGMA busy_timeout = 5000")
            self._local.reader = reader
            self._readers.append(reader)
        reader.execute("BEGIN")
        try:
            return fn(_SqliteTransaction(reader))
        finally:
            if reader.in_transaction:
                reader.execute("ROLLBACK")


def _run_in_savepoint(writer: apsw.Connection, fn: Callable[[Transaction], Any]) -> _Outcome:
    writer.execute("SAVEPOINT step")
    try:
        outcome = _Outcome(fn(_SqliteTransaction(writer)), None)
    except _DISK_ERRORS:
        raise
    except Exception as error:  # noqa: BLE001  Handed to the caller whose function it is.
        writer.execute("ROLLBACK TO step")
        outcome = _Outcome(None, error)
    writer.execute("RELEASE step")
    return outcome


def _close_writer(writer: apsw.Connection, *, is_whole: bool) -> None:
    if is_whole:
        # Every sync succeeded: a stop in good order leaves one file.
        writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
    writer.close()


def _failed(why: str) -> Unavailable:
    return Unavailable(
        f"The metadata store does not answer: {why}. Look at the master's disk, then start the master again.",
        reason="STORE_FAILED",
    )


def _not_durable(path: str, name: str, found: str) -> NotReady:
    return NotReady(
        f"{path} is on a file system that cannot keep commits: SQLite's {name} is {found} there. Use a local disk.",
        reason="STORE_NOT_DURABLE",
        metadata={"path": path, "pragma": name, "found": found},
    )


def _unknown(cause: object) -> CommitUnknown:
    return CommitUnknown(
        f"The metadata disk failed during the commit ({cause}); whether it took effect shows after a restart "
        "of the master: retry with the same request_id.",
    )
