"""The contract of ``Store``, run against every way of running the SQLite engine."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import apsw
import pytest

from dstore.core.errors import CommitUnknown, Conflict, LimitExceeded, NotReady, Unavailable
from dstore.core.files import Policy
from dstore.core.ids import ClusterId
from dstore.core.limits import COMMIT_QUEUE_MAX, GROUP_COMMIT_MAX
from dstore.master.store.base import Store, Transaction
from dstore.master.store.runner import InlineRunner, Runner, ThreadRunner
from dstore.master.store.schema import ClusterRecord, open_cluster
from dstore.master.store.sqlite import SqliteStore, check_sqlite_version

RUNNERS: dict[str, type[Runner]] = {"threads": ThreadRunner, "inline": InlineRunner}


def insert(name: str) -> Callable[[Transaction], int]:
    def run(tx: Transaction) -> int:
        tx.execute("INSERT INTO items (name) VALUES (?)", (name,))
        return int(tx.execute("SELECT COUNT(*) FROM items")[0][0])

    return run


def names(tx: Transaction) -> list[str]:
    return [row[0] for row in tx.execute("SELECT name FROM items ORDER BY name")]


@pytest.fixture(params=sorted(RUNNERS))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteStore]:
    path = str(tmp_path / "meta.db")
    opened = await SqliteStore.open(path, runner=RUNNERS[request.param](), has_quick_reads=request.param == "threads")
    await opened.write(lambda tx: tx.execute("CREATE TABLE items (name TEXT PRIMARY KEY)"))
    yield opened
    await opened.close()


class TestContract:
    async def test_a_read_sees_every_answered_write(self, store: Store) -> None:
        for number in range(5):
            await store.write(insert(str(number)))
            assert str(number) in await store.read(names)

    async def test_a_short_read_sees_every_answered_write(self, store: Store) -> None:
        for number in range(5):
            await store.write(insert(str(number)))
            assert str(number) in await store.read(names, is_short=True)

    async def test_a_function_that_raises_leaves_nothing(self, store: Store) -> None:
        def fail(tx: Transaction) -> None:
            tx.execute("INSERT INTO items (name) VALUES ('half')")
            raise Conflict("no")

        with pytest.raises(Conflict, match="no"):
            await store.write(fail)
        assert await store.read(names) == []

    async def test_a_failure_does_not_harm_the_others_of_its_commit(self, store: Store) -> None:
        def fail(tx: Transaction) -> None:
            tx.execute("INSERT INTO items (name) VALUES ('half')")
            raise Conflict("no")

        def defect(tx: Transaction) -> None:
            tx.execute("SELECT nonsense FROM nowhere")

        results = await asyncio.gather(
            *(store.write(insert(f"{number:04}")) for number in range(50)),
            store.write(fail),
            store.write(defect),
            *(store.write(insert(f"{number:04}")) for number in range(50, 100)),
            return_exceptions=True,
        )
        assert [kind for kind in map(type, results) if kind is not int] == [Conflict, apsw.SQLError]
        assert await store.read(names) == [f"{number:04}" for number in range(100)]

    async def test_more_writes_than_one_commit_takes(self, store: Store) -> None:
        count = GROUP_COMMIT_MAX * 2 + 1
        results = await asyncio.gather(*(store.write(insert(str(n))) for n in range(count)))
        assert sorted(results) == list(range(1, count + 1))

    async def test_a_reader_cannot_write(self, store: Store) -> None:
        with pytest.raises(apsw.ReadOnlyError):
            try:
                await store.read(insert("x"))
            except Unavailable as error:
                assert error.__cause__ is not None
                raise error.__cause__ from None

    async def test_too_many_waiting_writes_are_refused(self, store: Store) -> None:
        waiting = [asyncio.ensure_future(store.write(names)) for _ in range(COMMIT_QUEUE_MAX + 1)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        refused = [result for result in results if isinstance(result, LimitExceeded)]
        assert [error.reason for error in refused] == ["COMMIT_QUEUE_FULL"]

    async def test_a_cancelled_caller_does_not_stop_the_others(self, store: Store) -> None:
        first = asyncio.ensure_future(store.write(insert("a")))
        second = asyncio.ensure_future(store.write(insert("b")))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert "b" in await store.read(names)

    async def test_a_closed_store_refuses(self, store: Store) -> None:
        await store.close()
        await store.close()
        with pytest.raises(Unavailable, match="closed"):
            await store.write(names)
        with pytest.raises(Unavailable, match="closed"):
            await store.read(names)

    async def test_close_finishes_what_waits(self, store: Store) -> None:
        waiting = asyncio.ensure_future(store.write(insert("late")))
        await asyncio.sleep(0)
        await store.close()
        assert await waiting == 1


class TestSqlite:
    async def test_several_writes_share_one_commit(self, tmp_path: Path) -> None:
        batches: list[int] = []

        class Counting(InlineRunner):
            async def write(self, job):  # type: ignore[no-untyped-def]
                result = job()
                batches.append(len(result) if isinstance(result, list) else 0)
                return result

        store = await SqliteStore.open(str(tmp_path / "meta.db"), runner=Counting())
        await asyncio.gather(*(store.write(lambda tx: tx.execute("SELECT 1")) for _ in range(10)))
        assert batches == [0, 10]
        await store.close()

    async def test_a_defect_of_the_writer_leaves_nobody_waiting(self, tmp_path: Path) -> None:
        class Broken(InlineRunner):
            async def write(self, job):  # type: ignore[no-untyped-def]
                raise RuntimeError("defect")

        store = SqliteStore(str(tmp_path / "meta.db"), Broken())
        results = await asyncio.gather(*(store.write(names) for _ in range(3)), return_exceptions=True)
        assert [getattr(result, "reason", None) for result in results] == ["COMMIT_UNKNOWN"] * 3
        pump = store._pump
        assert pump is not None
        with pytest.raises(RuntimeError):
            await pump

    async def test_what_may_have_been_committed_is_not_called_undone(self, tmp_path: Path) -> None:
        class Abandoned(InlineRunner):
            opened = False

            async def write(self, job):  # type: ignore[no-untyped-def]
                result = job()
                if self.opened:
                    await asyncio.Event().wait()
                self.opened = True
                return result

        path = str(tmp_path / "meta.db")
        store = await SqliteStore.open(path, runner=Abandoned())
        writing = asyncio.create_task(store.write(lambda tx: tx.execute("CREATE TABLE items (name TEXT)")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert store._pump is not None
        store._pump.cancel()
        with pytest.raises(CommitUnknown):
            await writing
        again = await SqliteStore.open(path, runner=InlineRunner())
        assert await again.read(names) == []
        await again.close()

    async def test_a_write_during_the_close_is_refused(self, store: SqliteStore) -> None:
        first = asyncio.ensure_future(store.write(insert("a")))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(store.close())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="closed"):
            await store.write(insert("b"))
        await closing
        assert await first == 1

    async def test_commits_are_synced(self, tmp_path: Path) -> None:
        store = await SqliteStore.open(str(tmp_path / "meta.db"), runner=InlineRunner())
        assert await store.write(lambda tx: tx.execute("PRAGMA synchronous")) == [(2,)]
        assert await store.write(lambda tx: tx.execute("PRAGMA journal_mode")) == [("wal",)]
        await store.close()

    async def test_a_file_system_that_cannot_keep_commits_is_refused(self, tmp_path: Path) -> None:
        # Without memory that processes share there is no log.
        apsw.set_default_vfs("unix-dotfile")
        try:
            with pytest.raises(NotReady) as caught:
                await SqliteStore.open(str(tmp_path / "meta.db"), runner=ThreadRunner())
        finally:
            apsw.set_default_vfs("unix")
        assert caught.value.reason == "STORE_NOT_DURABLE"
        assert caught.value.metadata["found"] == "delete"

    async def test_a_directory_that_is_not_there_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="No such file") as caught:
            await SqliteStore.open(str(tmp_path / "nowhere" / "meta.db"), runner=InlineRunner())
        assert caught.value.reason == "STORE_FAILED"

    async def test_committed_data_is_there_after_reopening(self, tmp_path: Path) -> None:
        path = str(tmp_path / "meta.db")
        store = await SqliteStore.open(path, runner=InlineRunner())
        await store.write(lambda tx: tx.execute("CREATE TABLE items (name TEXT)"))
        await store.write(insert("kept"))
        again = await SqliteStore.open(path, runner=InlineRunner())
        assert await again.read(names) == ["kept"]
        await again.close()
        await store.close()

    @pytest.mark.parametrize("during_commit", [False, True])
    async def test_a_disk_error_fails_all_waiters_and_every_later_write(
        self, store: SqliteStore, during_commit: bool
    ) -> None:
        def break_disk(tx: Transaction) -> None:
            if during_commit:
                # A deferred constraint is what SQLite checks only in COMMIT.
                tx.execute("PRAGMA defer_foreign_keys = ON")
                tx.execute("INSERT INTO child (id, parent) VALUES (1, 1)")
            else:
                raise apsw.IOError("disk I/O error")

        await store.write(lambda tx: tx.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)"))
        await store.write(
            lambda tx: tx.execute(
                "CREATE TABLE child (id INTEGER, parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"
            )
        )
        assert store._writer is not None
        store._writer.execute("PRAGMA foreign_keys = ON")
        results = await asyncio.gather(
            store.write(insert("a")),
            store.write(break_disk),
            store.write(insert("b")),
            return_exceptions=True,
        )
        expected = "COMMIT_UNKNOWN" if during_commit else "STORE_FAILED"
        assert [getattr(result, "reason", None) for result in results] == [expected] * 3
        assert store.failed
        with pytest.raises(Unavailable) as caught:
            await store.write(names)
        assert caught.value.reason == "STORE_FAILED"

    @pytest.mark.parametrize(
        ("version", "accepted"),
        [("3.40.1", False), ("3.51.2", False), ("3.51.3", True), ("3.51.10", True), ("3.54.1", True)],
    )
    def test_an_old_sqlite_is_refused(self, version: str, accepted: bool) -> None:
        if accepted:
            check_sqlite_version(version)
        else:
            with pytest.raises(NotReady) as caught:
                check_sqlite_version(version)
            assert caught.value.reason == "SQLITE_TOO_OLD"

    def test_the_linked_sqlite_is_new_enough(self) -> None:
        check_sqlite_version(apsw.sqlite_lib_version())

    async def test_a_file_that_is_no_database_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "meta.db"
        path.write_bytes(b"this is no database" * 100)
        with pytest.raises(Unavailable) as caught:
            await SqliteStore.open(str(path), runner=InlineRunner())
        assert caught.value.reason == "STORE_FAILED"


class TestSchema:
    POLICY = Policy("default", 3, 2, 16384, "server")

    def record(self, cluster: str) -> ClusterRecord:
        return ClusterRecord(ClusterId(cluster), "history", self.POLICY)

    async def test_what_was_fixed_at_creation_stays(self, store: Store) -> None:
        first = await store.write(lambda tx: open_cluster(tx, self.record("one"), 5))
        second = await store.write(lambda tx: open_cluster(tx, self.record("two"), 6))
        assert first == second == self.record("one")

    async def test_a_newer_schema_is_refused(self, store: Store) -> None:
        await store.write(lambda tx: open_cluster(tx, self.record("one"), 5))
        await store.write(lambda tx: tx.execute("UPDATE meta SET value = '4' WHERE name = 'schema_version'"))
        with pytest.raises(NotReady, match="newer dstore") as caught:
            await store.write(lambda tx: open_cluster(tx, self.record("one"), 5))
        assert caught.value.reason == "SCHEMA_TOO_NEW"

    async def test_an_older_schema_is_refused(self, store: Store) -> None:
        await store.write(lambda tx: open_cluster(tx, self.record("one"), 5))
        await store.write(lambda tx: tx.execute("UPDATE meta SET value = '1' WHERE name = 'schema_version'"))
        with pytest.raises(NotReady, match="older dstore") as caught:
            await store.write(lambda tx: open_cluster(tx, self.record("one"), 5))
        assert caught.value.reason == "SCHEMA_TOO_OLD"
