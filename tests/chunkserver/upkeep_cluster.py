"""Whole chunkservers in one process and in virtual time, under a master that orders what a test says."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from small_cluster import CLUSTER, FaultyDisk, Network, SeededRandom, get, hash_of, header_of, put
from virtual_time import LoopClock

from dstore.chunkserver import paths
from dstore.chunkserver.memory import MemoryDisk
from dstore.chunkserver.server import Chunkserver
from dstore.core.backoff import Backoff
from dstore.core.errors import DstoreError
from dstore.core.groups import MemberState, ServerIdentity, ServerLabels
from dstore.core.ids import ChunkId, GroupId, ServerId
from dstore.core.upkeep import (
    Assignment,
    Heartbeat,
    Orders,
    Registration,
    Source,
    Standing,
    UpkeepSettings,
)

GROUP = GroupId(42)
HISTORY = "d0d0d0d0-0000-4000-8000-000000000000"
STANDING = Standing(1, HISTORY, 1)
OTHER_HISTORY = "e0e0e0e0-0000-4000-8000-000000000000"
SETTINGS = UpkeepSettings(0.0, scrub_is_paused=False, copy_bytes_per_s=0, trash_delay_s=3600.0)


def chunk(sequence: int, group_id: GroupId = GROUP) -> ChunkId:
    return ChunkId(group_id, sequence)


@dataclass
class OrderingMaster:
    """A ``Cluster`` that orders each server, by its name, what ``orders`` has for it; remembers all reports.

    Attributes:
        refusals: raised instead of the next answers.
    """

    standing: Standing = STANDING
    settings: UpkeepSettings = SETTINGS
    settled_sequence: int = 0
    assignments: dict[str, tuple[Assignment, ...]] = field(default_factory=dict)
    missing: dict[str, tuple[ChunkId, ...]] = field(default_factory=dict)
    discards: dict[str, tuple[ChunkId, ...]] = field(default_factory=dict)
    names: dict[ServerId, str] = field(default_factory=dict)
    beats: dict[str, list[Heartbeat]] = field(default_factory=dict)
    refusals: list[DstoreError] = field(default_factory=list)

    async def register(self, identity: ServerIdentity) -> Registration:
        self.names[identity.server_id] = identity.name
        return Registration(CLUSTER, 1.0, 7, self._orders(identity.name, b""))

    async def heartbeat(self, heartbeat: Heartbeat) -> Orders:
        name = self.names[heartbeat.server_id]
        if self.refusals:
            raise self.refusals.pop(0)
        self.beats.setdefault(name, []).append(heartbeat)
        return self._orders(name, heartbeat.assignments_digest)

    def last(self, name: str) -> Heartbeat:
        return self.beats[name][-1]

    def _orders(self, name: str, digest: bytes) -> Orders:
        assignments = self.assignments.get(name, ())
        wanted = hashlib.blake2b(repr(assignments).encode(), digest_size=16).digest()
        return Orders(
            standing=self.standing,
            settled_sequence=self.settled_sequence,
            assignments=None if digest == wanted else assignments,
            assignments_digest=wanted,
            missing=self.missing.get(name, ()),
            discards=self.discards.get(name, ()),
            drops=(),
            settings=self.settings,
        )


@dataclass
class Node:
    """One machine with a disk, and the chunkserver that runs on it."""

    name: str
    memory: MemoryDisk
    disk: FaultyDisk
    server: Chunkserver
    task: asyncio.Task[None]

    @property
    def server_id(self) -> ServerId:
        return self.server.store.identity.server_id

    @property
    def source(self) -> Source:
        return Source(self.server_id, self.name)

    def held(self, group_id: GroupId = GROUP) -> list[int]:
        """Sequences of the chunks that it counts as held."""
        return self.server.store.catalog.sequences(group_id, after_sequence=0, count=1_000_000)

    def flip(self, chunk_id: ChunkId, offset: int = 5000) -> None:
        """Damage one byte of a chunk on the disk."""
        self.memory.content(paths.chunk_path(chunk_id))[offset] ^= 1

    async def store(self, sequence: int, data: bytes, *, group_id: GroupId = GROUP) -> None:
        """Have a client write a chunk to this server alone."""
        await put(self.server.chunks, data, header_of(data, chunk(sequence, group_id)))

    async def read(self, sequence: int, *, group_id: GroupId = GROUP) -> bytes:
        return await get(self.server.chunks, chunk(sequence, group_id))


class UpkeepCluster:
    """Nodes that can be started, killed and restarted."""

    def __init__(self) -> None:
        self.master = OrderingMaster()
        self.network = Network()
        self.nodes: dict[str, Node] = {}
        self._starts = 0

    async def start(self, name: str, memory: MemoryDisk | None = None) -> Node:
        """Start a server, and wait until it has joined."""
        self._starts += 1
        memory = memory or MemoryDisk()
        disk = FaultyDisk(memory)
        random = SeededRandom(hash_of(name) + self._starts)
        server = await Chunkserver.open(disk, LoopClock(), random, self.network, name=name)
        self.network.servers[name] = server.chunks
        identity = server.identity(address=name, http_address="", labels=ServerLabels(name), version="test")
        task = asyncio.create_task(server.run(self.master, identity, backoff=Backoff(0.01, 0.02)))
        node = self.nodes[name] = Node(name, memory, disk, server, task)
        while not server.registered:
            assert not task.done(), task.exception()
            await asyncio.sleep(0.01)
        return node

    async def kill(self, name: str, *, power: bool = False) -> MemoryDisk:
        """End a server at once and return its disk."""
        node = self.nodes.pop(name)
        node.task.cancel()
        if power:
            node.memory.crash()
        else:
            node.memory.restart()
        await asyncio.wait([node.task])
        del self.network.servers[name]
        return node.memory

    def assign(
        self, states: dict[str, MemberState], *, epoch: int = 1, group_id: GroupId = GROUP, urgency: int = 1
    ) -> None:
        """Make the named servers the members of a group."""
        for name, state in states.items():
            sources = tuple(self.nodes[other].source for other in states if other != name)
            assignment = Assignment(group_id, epoch, state, urgency, sources)
            others = tuple(each for each in self.master.assignments.get(name, ()) if each.group_id != group_id)
            self.master.assignments[name] = (*others, assignment)

    async def until(self, condition: Callable[[], bool], *, within_s: float = 60.0) -> float:
        """Wait for a condition, and return how long that took, in virtual time."""
        start_s = asyncio.get_running_loop().time()
        while not condition():
            for node in self.nodes.values():
                if node.task.done():
                    node.task.result()
            elapsed_s = asyncio.get_running_loop().time() - start_s
            assert elapsed_s < within_s, f"still not so after {elapsed_s:.1f} s"
            await asyncio.sleep(0.05)
        return asyncio.get_running_loop().time() - start_s

    def is_filled(self, name: str) -> bool:
        """Tell whether a server has reported its group as filled, by all its sources."""
        (assignment,) = self.master.assignments[name]
        sources = {source.server_id for source in assignment.sources if source.is_member}
        return any(
            filled.epoch == assignment.epoch and set(filled.compared) == sources
            for beat in self.master.beats.get(name, ())
            for filled in beat.outcomes.filled
        )


@asynccontextmanager
async def upkeep_cluster(*names: str) -> AsyncIterator[UpkeepCluster]:
    """Start servers; end them with the block."""
    cluster = UpkeepCluster()
    try:
        for name in names:
            await cluster.start(name)
        yield cluster
    finally:
        for name in list(cluster.nodes):
            await cluster.kill(name)
