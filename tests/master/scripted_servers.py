"""Chunkservers as sets of chunk ids: they report what they hold and do what they are told, one heartbeat at a time."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from master_harness import POLICY, MasterHarness, boot_id, identity, server_id, written
from scripted_peers import ScriptedPeers

from dstore.core.files import ChunkPlacement, Policy
from dstore.core.groups import Capacity
from dstore.core.ids import BootId, ChunkId, GroupId, ServerId
from dstore.core.upkeep import GroupDoubt, GroupSummary, Heartbeat, Orders, Outcomes, Standing
from dstore.master import leader, retention
from dstore.master.collection import Collector

#: As if no write were in progress.
ALL_SETTLED = 1 << 62


@dataclass
class ScriptedServer:
    """One chunkserver. Its fields are what it reports, to be changed by tests at will."""

    harness: MasterHarness
    number: int
    chunks: set[ChunkId] = field(default_factory=set)
    trash: set[ChunkId] = field(default_factory=set)
    epochs: dict[GroupId, int] = field(default_factory=dict)
    settled_sequence: int = ALL_SETTLED
    standing: Standing | None = None
    boot: int = 0
    incarnation: int = 0
    discarded: tuple[ChunkId, ...] = ()
    dropped: tuple[GroupId, ...] = ()
    corrupt: tuple[ChunkId, ...] = ()
    doubts: tuple[GroupDoubt, ...] = ()

    @property
    def server_id(self) -> ServerId:
        return server_id(self.number)

    @property
    def boot_id(self) -> BootId:
        return boot_id(self.number + 1000 * self.boot)

    def heartbeat(self) -> Heartbeat:
        counts = Counter(chunk_id.group_id for chunk_id in self.chunks)
        return Heartbeat(
            self.server_id,
            self.boot_id,
            Capacity(1_000_000, 100_000),
            len(self.chunks),
            incarnation=self.incarnation,
            standing=self.standing,
            settled_sequence=self.settled_sequence,
            newest_sequence=max((chunk_id.sequence for chunk_id in self.chunks), default=0),
            groups=tuple(
                GroupSummary(group_id, self.epochs.get(group_id, 1), count, count, b"")
                for group_id, count in sorted(counts.items())
            ),
            outcomes=Outcomes(discarded=self.discarded, dropped=self.dropped, corrupt=self.corrupt),
            doubts=self.doubts,
        )

    async def join(self) -> None:
        registration = await self.harness.master.cluster.register(identity(self.number, boot_id=self.boot_id))
        self.incarnation = registration.incarnation
        await self.beat()

    async def beat(self, *, obeys: bool = True) -> Orders:
        """Report, and do what is ordered; the next beat tells."""
        orders = await self.harness.master.cluster.heartbeat(self.heartbeat())
        self.discarded, self.dropped = (), ()
        if obeys:
            self.obey(orders)
        return orders

    def obey(self, orders: Orders) -> None:
        self.standing = orders.standing
        self.doubts = tuple(doubt for doubt in self.doubts if doubt not in orders.examined)
        self.chunks -= set(orders.discards)
        self.trash |= set(orders.discards)
        self.discarded = orders.discards
        for drop in orders.drops:
            gone = {chunk_id for chunk_id in self.chunks if chunk_id.group_id == drop.group_id}
            self.chunks -= gone
            self.trash |= gone
        self.dropped = tuple(drop.group_id for drop in orders.drops)


@dataclass
class ScriptedCluster:
    """A master that leads, with scripted servers that hold what is written."""

    harness: MasterHarness
    servers: dict[int, ScriptedServer] = field(default_factory=dict)
    leader_epoch: int = 0
    away: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.peers = ScriptedPeers(self.servers)

    async def open(self) -> None:
        """Open the master, or open it again on the store as it is now."""
        self.harness.peers = self.peers
        await self.harness.open()

    @property
    def collector(self) -> Collector:
        """What decides about deletions."""
        collection = self.harness.master.shared.collection
        assert isinstance(collection, Collector)
        return collection

    async def join(self, *numbers: int) -> None:
        for number in numbers:
            self.servers.setdefault(number, ScriptedServer(self.harness, number))
            self.away.discard(number)
            await self.servers[number].join()

    async def take_lead(self) -> None:
        leadership = self.harness.master.shared.leadership
        row = await self.harness.store.write(lambda tx: leader.take(tx, leadership.name, leader.read(tx)))
        leadership.see(row, self.harness.clock.now_s)
        self.leader_epoch = row.epoch

    async def write(self, path: str, chunk_count: int = 1) -> list[ChunkId]:
        """Write a file; its chunks are on all members of their groups."""
        intent = await self.harness.begin(path)
        placements: list[ChunkPlacement] = []
        while len(placements) < chunk_count:
            placements += await self.harness.namespace.allocate_chunks(
                intent.intent_id,
                count=min(64, chunk_count - len(placements)),
                written=(),
                avoid=(),
                request_id=self.harness.request_id(),
            )
        await self.harness.commit(intent, [written(each, index) for index, each in enumerate(placements)])
        for placement in placements:
            for server in self.servers.values():
                if server.server_id in placement.chain:
                    server.chunks.add(placement.chunk_id)
        return [placement.chunk_id for placement in placements]

    async def beat(self, *numbers: int) -> None:
        for number in numbers or sorted(set(self.servers) - self.away):
            await self.servers[number].beat()

    async def step(self) -> None:
        await self.harness.master.shared.collection.step(self.leader_epoch)

    async def rounds(self, count: int = 3) -> None:
        """Let the servers report and the leader decide, some times, a second apart."""
        for _ in range(count):
            await self._pass(1)
            await self.step()
            if self.collector.sightings.is_awaited:
                await self.harness.master.audit.step()

    async def run(self, duration_s: int) -> None:
        """Let time pass while the servers report; the leader does not look meanwhile."""
        while duration_s > 0:
            some_s = min(duration_s, 10)
            await self._pass(some_s)
            duration_s -= some_s

    async def _pass(self, duration_s: int) -> None:
        retention_s = self.harness.policy.retention_s
        for _ in range(duration_s):
            self.harness.clock.now_s += 1.0
            await self.beat()
        await self.harness.store.write(lambda tx: retention.advance(tx, duration_s, retention_s=retention_s, now_ns=0))

    async def deleted(self) -> int:
        rows = await self.harness.rows("SELECT COUNT(*) FROM deleted_chunks")
        return int(str(rows[0][0]))

    def holding(self, chunks: list[ChunkId]) -> list[int]:
        """Return the servers that hold any of the chunks."""
        return [number for number, server in sorted(self.servers.items()) if server.chunks & set(chunks)]


@asynccontextmanager
async def scripted_cluster(directory: Path, policy: Policy = POLICY) -> AsyncIterator[ScriptedCluster]:
    """Open four servers, and a master that has just taken the lead; check its counters at the end."""
    harness = MasterHarness(directory, policy)
    scripted = ScriptedCluster(harness)
    await scripted.open()
    await scripted.join(1, 2, 3, 4)
    await scripted.take_lead()
    await scripted.rounds(2)
    yield scripted
    await harness.check_counters()
    await harness.store.close()
