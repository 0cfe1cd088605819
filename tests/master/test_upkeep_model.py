"""Random events, many seeds: the master never makes up a copy, never gives one away, and heals all in the end."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from master_harness import MasterHarness, server_id
from model_servers import ModelCluster

from dstore.core.errors import DstoreError
from dstore.core.groups import Duty, ServerPhase
from dstore.core.ids import ChunkId, ServerId
from dstore.core.limits import SERVER_OUT_AFTER_DEFAULT_S
from dstore.core.status import Health
from dstore.master import server_rows

SERVERS = range(1, 7)
REPLICAS = 3


class Storm:
    """Things that happen to a cluster; harm is done to one disk at a time, and only while all copies are there."""

    def __init__(self, model: ModelCluster, seed: int) -> None:
        self.model = model
        self.random = random.Random(seed)
        self.files = 0

    async def event(self) -> None:
        action = self.random.choice(
            [self.write, self.write, self.write, self.stop, self.start, self.harm, self.duty, self.wait, self.restart]
        )
        await action()
        await self.step()

    async def step(self, *, copy: bool | None = None) -> None:
        """One round, in which the master itself must not lower the number of copies."""
        model = self.model
        model.harness.clock.now_s += 1.0
        await model.beat()
        before = await self.holders()
        await model.harness.upkeep.step()
        after = await self.holders()
        for chunk_id, (counted, everywhere) in before.items():
            assert len(after[chunk_id][0]) >= min(REPLICAS, len(counted)), f"{chunk_id} lost a copy"
            if not counted:
                assert everywhere <= after[chunk_id][1], f"the last holders of {chunk_id} are forgotten"
        await model.check_claims()
        if copy if copy is not None else self.random.random() < 0.7:
            for server in model.servers.values():
                if server.is_running:
                    model.work(server)

    async def holders(self) -> dict[ChunkId, tuple[set[ServerId], set[ServerId]]]:
        """Return for each committed chunk the members that hold it: those that are up for the master, and all."""
        states = self.model.harness.master.shared.membership.states(self.model.harness.clock.now_s)
        up = {server for server, state in states.items() if state.phase is ServerPhase.UP}
        found = {}
        for chunk_id, members in (await self.model.committed()).items():
            holding = {member for member, _ in members if chunk_id in self.model.servers[member].chunks}
            found[chunk_id] = holding & up, holding
        return found

    async def write(self) -> None:
        self.files += 1
        failing = [number for number in SERVERS if self.random.random() < 0.05][:1]
        try:
            await self.model.write(f"/{self.files}", chunk_count=self.random.randrange(1, 5), failing=failing)
        except DstoreError as error:
            # Too few servers, as the client would hear.
            assert error.reason in ("NOT_ENOUGH_SERVERS", "CHUNK_RECORD_INVALID")

    async def stop(self) -> None:
        running = [number for number in SERVERS if self.model.server(number).is_running]
        if len(running) > 4 and await self.model.copies() == REPLICAS:
            self.model.stop(self.random.choice(running))

    async def start(self) -> None:
        stopped = [number for number in SERVERS if not self.model.server(number).is_running]
        if stopped:
            await self.model.start(self.random.choice(stopped))

    async def harm(self) -> None:
        """Empty a disk, or make some of its chunks corrupt."""
        server = self.model.server(self.random.choice(SERVERS))
        if not server.is_running or not server.chunks or await self.model.copies() < REPLICAS:
            return
        if self.random.random() < 0.3:
            if not self.model.harness.master.shared.leadership.is_leading:
                # Nobody looks at it before the lease of the leader before is over.
                return
            server.chunks.clear()
            await self.model.start(server.number)
        else:
            chunks = self.random.sample(sorted(server.chunks), min(3, len(server.chunks)))
            server.chunks -= set(chunks)
            server.corrupt |= set(chunks)
            self.model.work(server)
            await self.model.beat(server.number)

    async def duty(self) -> None:
        number, duty = self.random.choice(SERVERS), self.random.choice(list(Duty))
        record = await self.model.harness.store.write(
            lambda tx: server_rows.set_duty(tx, server_id(number), duty, self.random.randrange(100))
        )
        assert record is not None
        self.model.harness.master.shared.membership.changed(record)

    async def wait(self) -> None:
        for _ in range(3):
            self.model.harness.clock.now_s += SERVER_OUT_AFTER_DEFAULT_S / 2.5
            await self.step()

    async def restart(self) -> None:
        if self.random.random() < 0.3:
            await self.model.harness.restart()

    async def calm(self) -> None:
        """Everybody is there again and active."""
        for number in SERVERS:
            record = await self.model.harness.store.write(
                lambda tx, number=number: server_rows.set_duty(tx, server_id(number), Duty.ACTIVE, 0)  # type: ignore[misc]
            )
            assert record is not None
            self.model.harness.master.shared.membership.changed(record)
            if not self.model.server(number).is_running:
                await self.model.start(number)


@pytest.fixture
async def model(tmp_path: Path) -> AsyncIterator[ModelCluster]:
    harness = MasterHarness(tmp_path)
    await harness.open()
    model = ModelCluster(harness)
    await model.start(*SERVERS)
    await model.step(2)
    yield model
    await harness.store.close()


@pytest.mark.parametrize("seed", range(10))
async def test_no_copy_is_made_up_or_given_away_and_all_is_healed(model: ModelCluster, seed: int) -> None:
    storm = Storm(model, seed)
    for _ in range(40):
        await storm.event()
    await storm.calm()
    committed = await model.committed()
    for server in model.servers.values():
        # What it held of groups that it left would be dropped.
        server.corrupt &= {chunk for chunk, members in committed.items() if server.server_id in dict(members)}
    for _ in range(60):
        await storm.step(copy=True)
        if model.harness.shown[-1].health is Health.OK:
            break
    assert model.harness.shown[-1].checks == ()
    assert await model.copies() >= (REPLICAS if storm.files else 0)
    assert await model.harness.rows("SELECT * FROM missing_replicas") == []
