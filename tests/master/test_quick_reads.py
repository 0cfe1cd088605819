"""Short reads run in the event loop while nothing has to be waited for; else in a thread, with the same answers."""

import errno
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import apsw
import pytest

from dstore.core.errors import NotFound, Unavailable
from dstore.master.store.base import Row, Transaction
from dstore.master.store.runner import ThreadRunner
from dstore.master.store.sqlite import SqliteStore

ROWS = 1_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(str(tmp_path / "meta.db"), runner=ThreadRunner(), has_quick_reads=True)

    def fill(tx: Transaction) -> None:
        tx.execute("CREATE TABLE items (number INTEGER PRIMARY KEY, text TEXT)")
        tx.execute_many("INSERT INTO items VALUES (?, ?)", [(number, "x" * 100) for number in range(ROWS)])

    await opened.write(fill)
    yield opened
    await opened.close()


def reading(count: int) -> Callable[[Transaction], tuple[list[Row], int]]:
    """Return what reads so many rows, and says which thread it ran in last."""

    def run(tx: Transaction) -> tuple[list[Row], int]:
        return tx.execute("SELECT * FROM items ORDER BY number LIMIT ?", (count,)), threading.get_ident()

    return run


async def test_a_short_read_needs_no_thread(store: SqliteStore) -> None:
    rows, thread = await store.read(reading(3), is_short=True)
    assert rows == [(number, "x" * 100) for number in range(3)]
    assert thread == threading.get_ident()
    assert (await store.read(reading(3)))[1] != threading.get_ident()


@pytest.mark.parametrize(("count", "is_quick"), [(255, True), (256, True), (257, False)])
async def test_what_turns_out_to_be_long_is_read_in_a_thread(store: SqliteStore, count: int, is_quick: bool) -> None:
    rows, thread = await store.read(reading(count), is_short=True)
    assert len(rows) == count
    assert (thread == threading.get_ident()) is is_quick


@pytest.mark.parametrize("failure", [errno.EAGAIN, errno.EOPNOTSUPP, errno.EIO, None])
async def test_what_the_kernel_does_not_have_is_read_in_a_thread(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, failure: int | None
) -> None:
    def preadv(*_: object) -> int:
        if failure is None:
            return 7
        raise OSError(failure, os.strerror(failure))

    with monkeypatch.context() as patch:
        patch.setattr("dstore.master.store.quick_reader.os.preadv", preadv)
        rows, thread = await store.read(reading(200), is_short=True)
    assert len(rows) == 200
    assert thread != threading.get_ident()
    # Once it has them, it goes on without; unless the file system never says.
    thread = (await store.read(reading(200), is_short=True))[1]
    assert (thread == threading.get_ident()) is (failure != errno.EOPNOTSUPP)


async def test_a_database_larger_than_the_memory_is_not_tried_in_vain_each_time(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0

    def preadv(*_: object) -> int:
        nonlocal tried
        tried += 1
        raise BlockingIOError(errno.EAGAIN, "not in memory")

    with monkeypatch.context() as patch:
        patch.setattr("dstore.master.store.quick_reader.os.preadv", preadv)
        for _ in range(200):
            rows, thread = await store.read(reading(1), is_short=True)
            assert len(rows) == 1
            assert thread != threading.get_ident()
    assert 5 <= tried <= 12
    threads = [(await store.read(reading(1), is_short=True))[1] for _ in range(40)]
    first = threads.index(threading.get_ident())
    assert first <= 31, "it tries again"
    assert set(threads[first:]) == {threading.get_ident()}


async def test_a_refusal_is_an_answer(store: SqliteStore) -> None:
    seen: list[int] = []

    def refuse(tx: Transaction) -> None:
        seen.append(threading.get_ident())
        raise NotFound("no")

    with pytest.raises(NotFound, match="no"):
        await store.read(refuse, is_short=True)
    assert seen == [threading.get_ident()]
    assert (await store.read(reading(1), is_short=True))[1] == threading.get_ident()


async def test_a_defect_is_raised_as_it_is(store: SqliteStore) -> None:
    with pytest.raises(apsw.SQLError, match="nowhere"):
        await store.read(lambda tx: tx.execute("SELECT nonsense FROM nowhere"), is_short=True)


async def test_it_cannot_write(store: SqliteStore) -> None:
    with pytest.raises(Unavailable, match="readonly"):
        await store.read(lambda tx: tx.execute("DELETE FROM items"), is_short=True)
