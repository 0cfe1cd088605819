"""Many callers at once, in random order: what every one of them may rely on."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from master_harness import MasterHarness, written

from dstore.core.errors import Conflict, DstoreError, NotFound
from dstore.core.files import ABSENT, FileInfo, Rename, RenameTicket, WriteIntent
from dstore.core.ids import Version
from dstore.master.store.runner import ThreadRunner

PATHS = ["/a", "/b", "/dir/a", "/dir/b", "/dir"]


class Walk:
    """Random operations on a few names, with intents and rename tickets that live on for a while."""

    def __init__(self, cluster: MasterHarness, seed: int) -> None:
        self.cluster = cluster
        self.random = random.Random(seed)
        self.intents: list[tuple[WriteIntent, Version]] = []
        self.tickets: list[tuple[str, str, RenameTicket]] = []
        #: The highest version that was ever seen at a name, as a client remembers it.
        self.high_water: dict[tuple[object, object], int] = {}
        self.done = 0

    async def step(self) -> None:
        action = self.random.choice(
            [self.begin, self.begin, self.commit, self.commit, self.prepare, self.rename, self.remove, self.make]
        )
        try:
            await action()
            self.done += 1
        except DstoreError as error:
            assert error.reason != "INTERNAL"
        await self.look()

    async def begin(self) -> None:
        intent = await self.cluster.begin(self.random.choice(PATHS), chunk_count=self.random.randrange(2))
        self.intents.append((intent, intent.version))

    async def commit(self) -> None:
        if not self.intents:
            return
        intent, version = self.intents.pop(self.random.randrange(len(self.intents)))
        chunks = [written(placement, index) for index, placement in enumerate(intent.placements)]
        try:
            await self.cluster.commit(intent, chunks, version=version)
        except Conflict as error:
            if error.reason != "VERSION_SUPERSEDED":
                raise
            lease = await self.cluster.namespace.renew_intent(intent.intent_id, fresh_version=True)
            self.intents.append((intent, lease.version))

    async def prepare(self) -> None:
        source, target = self.random.sample(PATHS, 2)
        self.tickets.append((source, target, await self.cluster.namespace.prepare_rename(source, target)))

    async def rename(self) -> None:
        if not self.tickets:
            return
        source, target, ticket = self.tickets.pop(self.random.randrange(len(self.tickets)))
        sealed = b"" if ticket.source.is_directory else b"sealed"
        await self.cluster.namespace.rename(
            Rename(source, target, ticket.source.version, ticket.version, sealed), request_id=self.cluster.request_id()
        )

    async def remove(self) -> None:
        await self.cluster.remove(self.random.choice(PATHS), recursive=self.random.random() < 0.3)

    async def make(self) -> None:
        await self.cluster.make_directory("/dir")

    async def look(self) -> None:
        rows = await self.cluster.rows(
            "SELECT e.parent_id, e.name, i.version FROM live_entries e JOIN live_inodes i ON i.file_id = e.file_id "
            "WHERE i.kind = 'file'"
        )
        for parent_id, name, version in rows:
            seen = self.high_water.get((parent_id, name), 0)
            assert isinstance(version, int)
            assert version >= seen, f"{name!r} in {parent_id} went back from version {seen} to {version}"
            self.high_water[parent_id, name] = version


@pytest.mark.parametrize("seed", range(12))
async def test_versions_at_a_name_never_go_back(cluster: MasterHarness, seed: int) -> None:
    walk = Walk(cluster, seed)
    for number in range(150):
        await walk.step()
        if number % 50 == 49:
            await cluster.check_counters()
            await cluster.restart()
            await cluster.beat()
    assert walk.done > 50


@pytest.fixture
async def threaded(tmp_path: Path) -> AsyncIterator[MasterHarness]:
    """A master whose store uses threads, as in production."""
    harness = MasterHarness(tmp_path, runner=ThreadRunner)
    await harness.open()
    await harness.join(1, 2, 3)
    yield harness
    await harness.check_counters()
    await harness.store.close()


async def test_of_many_creators_one_wins(threaded: MasterHarness) -> None:
    results = await asyncio.gather(
        *(threaded.write("/x", precondition=ABSENT) for _ in range(40)), return_exceptions=True
    )
    winners = [result for result in results if isinstance(result, FileInfo)]
    reasons = {result.reason for result in results if isinstance(result, DstoreError)}
    assert len(winners) == 1
    assert reasons <= {"FILE_EXISTS"}
    assert await threaded.namespace.stat("/x") == winners[0]


async def test_many_writers_of_many_files(threaded: MasterHarness) -> None:
    await asyncio.gather(*(threaded.write(f"/{number:03}", chunk_count=2) for number in range(200)))
    assert await threaded.names("/") == [f"{number:03}" for number in range(200)]
    rows = await threaded.rows("SELECT COUNT(DISTINCT sequence), MAX(sequence) FROM chunks")
    assert rows == [(400, 400)]
    # Groups were wanted by all of them at once, and made once.
    assert await threaded.rows("SELECT COUNT(*) FROM groups") == [(12,)]


async def test_a_rename_back_and_forth_is_never_half_visible(threaded: MasterHarness) -> None:
    await threaded.write("/a", chunk_count=1)
    stop = False

    async def move() -> None:
        nonlocal stop
        for _ in range(30):
            await threaded.rename("/a", "/b")
            await threaded.rename("/b", "/a")
        stop = True

    async def watch() -> int:
        looks = 0
        while not stop:
            assert len(await threaded.names("/")) == 1
            looks += 1
        return looks

    looks = await asyncio.gather(watch(), move())
    assert looks[0] > 0


async def test_removing_a_directory_races_with_writing_into_it(threaded: MasterHarness) -> None:
    for _ in range(20):
        await threaded.make_directory("/dir")
        intent = await threaded.begin("/dir/x")
        committed, _ = await asyncio.gather(
            threaded.commit(intent), threaded.remove("/dir", recursive=True), return_exceptions=True
        )
        assert isinstance(committed, FileInfo | NotFound)
        assert await threaded.names("/") == []
    assert await threaded.rows("SELECT COUNT(*) FROM live_inodes") == [(1,)]
