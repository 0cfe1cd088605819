"""Chunkservers of a few lines: they hold sets of sequences, obey orders, copy from each other, and report."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from master_harness import SEALED_SIZE, MasterHarness, boot_id, identity, server_id

from dstore.core.groups import Capacity, MemberState
from dstore.core.ids import BootId, ChunkId, GroupId, ServerId
from dstore.core.upkeep import (
    Assignment,
    CopyReport,
    DiskProbe,
    Filled,
    GroupDoubt,
    GroupSummary,
    Heartbeat,
    Orders,
    Outcomes,
)

CAPACITY = Capacity(1_000_000_000, 0)
GOOD_PROBE = DiskProbe(0.001, 0.0)
NOTHING = Outcomes()


@dataclass
class ModelServer:
    """One chunkserver; ``chunks`` are intact, ``corrupt`` are not."""

    number: int
    rack: str = ""
    capacity: Capacity = CAPACITY
    is_running: bool = True
    boots: int = 0
    incarnation: int = 0
    chunks: set[ChunkId] = field(default_factory=set)
    corrupt: set[ChunkId] = field(default_factory=set)
    epochs: dict[GroupId, int] = field(default_factory=dict)
    assignments: tuple[Assignment, ...] = ()
    digest: bytes = b""
    suspicion: str = ""
    copied_bytes: int = 0
    probe: DiskProbe = GOOD_PROBE
    outcomes: Outcomes = NOTHING
    orders: Orders | None = None
    doubts: tuple[GroupDoubt, ...] = ()

    @property
    def server_id(self) -> ServerId:
        return server_id(self.number)

    @property
    def boot_id(self) -> BootId:
        return boot_id(self.number * 1000 + self.boots)

    def report(self) -> Heartbeat:
        groups: dict[GroupId, int] = {}
        for chunk_id in self.chunks:
            groups[chunk_id.group_id] = groups.get(chunk_id.group_id, 0) + 1
        return Heartbeat(
            self.server_id,
            self.boot_id,
            self.capacity,
            len(self.chunks),
            len(self.corrupt),
            incarnation=self.incarnation,
            probe=self.probe,
            suspicion=self.suspicion,
            assignments_digest=self.digest,
            groups=tuple(
                GroupSummary(group_id, self.epochs.get(group_id, 0), count, count * SEALED_SIZE, b"")
                for group_id, count in sorted(groups.items())
            ),
            outcomes=self.outcomes,
            copying=CopyReport(0, 0, 0, self.copied_bytes, ""),
            doubts=self.doubts,
        )

    def held(self, group_id: GroupId) -> set[ChunkId]:
        return {chunk_id for chunk_id in self.chunks if chunk_id.group_id == group_id}

    def obey(self, orders: Orders) -> None:
        self.orders = orders
        if orders.assignments is not None:
            self.assignments, self.digest = orders.assignments, orders.assignments_digest
            for assignment in self.assignments:
                self.epochs[assignment.group_id] = max(assignment.epoch, self.epochs.get(assignment.group_id, 0))


class ModelCluster:
    """A master and model servers; ``step`` lets a second pass for all of them."""

    def __init__(self, harness: MasterHarness) -> None:
        self.harness = harness
        self.servers: dict[ServerId, ModelServer] = {}

    def server(self, number: int) -> ModelServer:
        return self.servers[server_id(number)]

    async def start(self, *numbers: int, rack: str = "") -> None:
        """Start servers, new ones or ones that were stopped."""
        for number in numbers:
            server = self.servers.setdefault(server_id(number), ModelServer(number, rack))
            server.boots += 1
            server.is_running = True
            server.digest, server.outcomes = b"", Outcomes()
            registration = await self.harness.master.cluster.register(identity(number, boot_id=server.boot_id))
            server.incarnation = registration.incarnation
            server.obey(registration.orders)
            await self.beat(number)

    def stop(self, *numbers: int) -> None:
        for number in numbers:
            self.server(number).is_running = False

    async def beat(self, *numbers: int) -> None:
        for number in numbers or sorted(server.number for server in self.servers.values()):
            server = self.server(number)
            if server.is_running:
                orders = await self.harness.master.cluster.heartbeat(server.report())
                server.outcomes = Outcomes()
                server.obey(orders)

    async def step(self, count: int = 1, *, copy: bool = True) -> None:
        """Let seconds pass: everybody reports and works, the master does its rounds."""
        for _ in range(count):
            self.harness.clock.now_s += 1.0
            await self.beat()
            await self.harness.upkeep.step()
            if copy:
                for each in self.servers.values():
                    if each.is_running:
                        self.work(each)

    def work(self, server: ModelServer) -> None:
        """Copy what is missing and fill groups, as orders and assignments say."""
        held = []
        for chunk_id in server.orders.missing if server.orders else ():
            if chunk_id in server.chunks or self._has_source(server, chunk_id, members_only=False):
                server.chunks.add(chunk_id)
                server.corrupt.discard(chunk_id)
                held.append(chunk_id)
        filled = [
            result
            for assignment in server.assignments
            if assignment.state is MemberState.FILLING and (result := self.fill(server, assignment)) is not None
        ]
        server.outcomes = Outcomes(filled=tuple(filled), held=tuple(held), corrupt=tuple(sorted(server.corrupt)))

    def fill(self, server: ModelServer, assignment: Assignment) -> Filled | None:
        """Copy what members hold that have adopted the epoch."""
        compared = []
        for source in assignment.sources:
            other = self.servers[source.server_id]
            if not source.is_member or not other.is_running:
                continue
            if other.epochs.get(assignment.group_id, 0) < assignment.epoch:
                return None
            # A chunk that is corrupt here is copied too, new before old.
            server.chunks |= other.held(assignment.group_id)
            server.corrupt -= other.held(assignment.group_id)
            compared.append(source.server_id)
        return Filled(assignment.group_id, assignment.epoch, tuple(compared)) if compared else None

    def _has_source(self, server: ModelServer, chunk_id: ChunkId, *, members_only: bool) -> bool:
        for assignment in server.assignments:
            if assignment.group_id == chunk_id.group_id:
                for source in assignment.sources:
                    other = self.servers[source.server_id]
                    if other.is_running and chunk_id in other.chunks and (source.is_member or not members_only):
                        return True
        return False

    async def write(self, path: str, *, chunk_count: int, failing: Iterable[int] = ()) -> None:
        """Write a file as a client does: to the chain, without the servers that do not run or fail."""
        fails = {server_id(number) for number in failing}
        intent = await self.harness.begin(path, chunk_count=chunk_count)
        chunks = []
        for index, placement in enumerate(intent.placements):
            takers = tuple(
                member for member in placement.chain if self.servers[member].is_running and member not in fails
            )
            for member in takers:
                assert self.servers[member].epochs.get(placement.group.group_id, 0) <= placement.group.epoch
                self.servers[member].chunks.add(placement.chunk_id)
            chunks.append(self.harness.written(placement, index, takers))
        await self.harness.commit(intent, chunks)

    async def committed(self) -> dict[ChunkId, tuple[tuple[ServerId, str], ...]]:
        """Return every committed chunk with the members of its group and their states."""
        members: dict[object, list[tuple[ServerId, str]]] = {}
        for group_id, member, state in await self.harness.rows(
            "SELECT group_id, server_id, state FROM group_members ORDER BY group_id, position"
        ):
            members.setdefault(group_id, []).append((ServerId(str(member)), str(state)))
        rows = await self.harness.rows("SELECT group_id, sequence FROM chunks")
        return {
            ChunkId(GroupId(int(str(group_id))), int(str(sequence))): tuple(members[group_id])
            for group_id, sequence in rows
        }

    async def check_claims(self) -> None:
        """Fail if the master counts a copy that is not there: of whole members without a row for the chunk."""
        missing = {
            (ChunkId(GroupId(int(str(group_id))), int(str(sequence))), ServerId(str(member)))
            for group_id, sequence, member in await self.harness.rows(
                "SELECT group_id, sequence, server_id FROM missing_replicas"
            )
        }
        for chunk_id, members in (await self.committed()).items():
            for member, state in members:
                if state == "whole" and (chunk_id, member) not in missing:
                    assert chunk_id in self.servers[member].chunks, f"{member} is said to hold {chunk_id}"
        await self.harness.check_counters()

    async def copies(self) -> int:
        """Return the smallest number of intact copies that a committed chunk has on members that run."""
        counts = [
            sum(self.servers[member].is_running and chunk_id in self.servers[member].chunks for member, _ in members)
            for chunk_id, members in (await self.committed()).items()
        ]
        return min(counts, default=0)
