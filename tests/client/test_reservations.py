"""Identities that a client holds ahead: each once, versions that grow, and no more calls than needed."""

import asyncio

import pytest

from dstore.client import reservations
from dstore.client.reservations import DirectoryIds, Reservations
from dstore.core.errors import Unavailable
from dstore.core.files import FileReservation
from dstore.core.ids import ROOT_ID, FileId, Version


class Counters:
    """The master's part: ids from 1,000, versions from 50."""

    def __init__(self) -> None:
        self.file_id = 1_000
        self.version = 50
        self.counts: list[int] = []
        self.fails = False

    async def reserve(self, count: int) -> FileReservation:
        await asyncio.sleep(0)
        if self.fails:
            raise Unavailable("Nobody is there.")
        self.counts.append(count)
        reserved = FileReservation(FileId(self.file_id), Version(self.version), count)
        self.file_id += count
        self.version += count
        return reserved


@pytest.fixture
def counters() -> Counters:
    return Counters()


async def test_reservations_grow_with_use(counters: Counters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reservations, "RESERVED_FILES_MAX", 20)
    held = Reservations(counters.reserve)
    taken = [await held.take(0) for _ in range(1 + 4 + 16 + 20 + 1)]
    assert counters.counts == [1, 4, 16, 20, 20]
    assert taken == [(1_000 + number, 50 + number) for number in range(len(taken))]


@pytest.mark.parametrize("wanted", [1, 2, 9, 10, 11])
async def test_who_wants_many_gets_them_at_once(counters: Counters, wanted: int) -> None:
    held = Reservations(counters.reserve)
    for left in range(wanted, 0, -1):
        await held.take(0, left)
    assert counters.counts == [wanted]


async def test_those_who_wait_together_share_one_call(counters: Counters) -> None:
    held = Reservations(counters.reserve)
    taken = await asyncio.gather(*(held.take(0) for _ in range(16)))
    assert len(set(taken)) == 16
    assert sum(counters.counts) < 40 and len(counters.counts) <= 2


@pytest.mark.parametrize(("above", "expected"), [(0, 51), (50, 51), (51, 52), (53, 54)])
async def test_versions_that_are_too_old_are_left_out(counters: Counters, above: int, expected: int) -> None:
    held = Reservations(counters.reserve)
    await held.take(0, 10)
    file_id, version = await held.take(above)
    assert version == expected
    assert file_id - version == 1_000 - 50, "identity and version belong together"
    assert counters.counts == [10]


@pytest.mark.parametrize("above", [59, 60, 64])
async def test_a_reservation_that_is_too_old_is_dropped_and_the_next_is_small(counters: Counters, above: int) -> None:
    held = Reservations(counters.reserve)
    await held.take(0, 10)
    counters.version = 65
    assert await held.take(above) == (1_010, 65)
    assert counters.counts == [10, 1]


async def test_what_even_a_fresh_one_does_not_give_is_for_the_caller_to_judge(counters: Counters) -> None:
    held = Reservations(counters.reserve)
    assert await held.take(1_000_000) == (1_000, 50)
    assert counters.counts == [1]


async def test_a_failure_is_that_of_whoever_asked(counters: Counters) -> None:
    held = Reservations(counters.reserve)
    counters.fails = True
    results = await asyncio.gather(*(held.take(0) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable] * 3
    counters.fails = False
    assert await held.take(0) == (1_000, 50)


async def test_one_who_goes_while_waiting_harms_no_other(counters: Counters) -> None:
    held = Reservations(counters.reserve)
    tasks = [asyncio.create_task(held.take(0)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert len(set(await asyncio.gather(*tasks[1:]))) == 2


def test_directories_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reservations, "DIRECTORIES_REMEMBERED_MAX", 2)
    directories = DirectoryIds()
    assert directories.find("") == ROOT_ID
    assert directories.find("/a") is None
    directories.note("/a", FileId(7))
    directories.note("/b", FileId(8))
    assert directories.find("/a") == 7
    directories.note("/c", FileId(9))
    assert [directories.find(each) for each in ("/a", "/b", "/c")] == [7, None, 9]
    directories.forget("/a")
    assert directories.find("/a") is None
