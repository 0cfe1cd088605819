"""A whole cluster in one process, real but for the network: master on SQLite, chunkservers on disks in memory.

The network between them is an object with faults to switch on.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.memory import MemoryDisk
from dstore.chunkserver.metrics import ChunkserverMetrics
from dstore.chunkserver.relay import STALL_TIMEOUTS, StallTimeouts
from dstore.chunkserver.service import ChunkService
from dstore.client.client import AsyncClient
from dstore.client.contact import Services
from dstore.client.high_water import HighWaterFile, HighWaterMarks
from dstore.core.chunks import ChunkStat, Frame, ReadRequest, WriteFinish, WriteHeader, WriteResult
from dstore.core.digests import GroupDigest, HeldPage
from dstore.core.errors import Unavailable
from dstore.core.files import Policy
from dstore.core.groups import ServerIdentity, ServerLabels
from dstore.core.ids import BootId, ChunkId, ClusterId, GroupId
from dstore.core.interfaces import Chunks, ChunkWriter
from dstore.core.limits import KIB, MIB
from dstore.core.upkeep import Heartbeat
from dstore.crypto.keys import Kek, Keyring
from dstore.master.master import Master, open_master
from dstore.master.store.runner import InlineRunner
from dstore.master.store.sqlite import SqliteStore
from dstore.system.environment import SystemRandom

CHUNK_SIZE = 64 * KIB
RANDOM = SystemRandom()


class StoppedClock:
    """Time passes only when a test says so; servers thus stay up without heartbeats."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def monotonic_s(self) -> float:
        return self.now_s

    def wall_ns(self) -> int:
        return 1_700_000_000_000_000_000


class RealClock:
    """For the client, whose patience must end."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def wall_ns(self) -> int:
        return time.time_ns()


@dataclass
class Faults:
    """What is wrong with one chunkserver, or with the way to it."""

    is_down: bool = False
    hangs: bool = False
    #: Dies after this many frames of writes, or of reads, counted over all streams.
    write_frames_left: int | None = None
    read_frames_left: int | None = None
    alter_read: Callable[[Frame], Frame] | None = None
    alter_result: Callable[[WriteResult], WriteResult] | None = None
    writes: int = 0
    reads: int = 0
    #: Calls that hang now.
    hanging: int = 0
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Let all calls go on that hang now; later ones still hang."""
        self._released.set()
        self._released = asyncio.Event()

    async def pass_call(self) -> None:
        if self.hangs:
            self.hanging += 1
            try:
                await self._released.wait()
            finally:
                self.hanging -= 1
        if self.is_down:
            raise unreachable()


def unreachable() -> Unavailable:
    return Unavailable("The server cannot be reached (connection refused).", reason="SERVER_UNREACHABLE")


@dataclass
class Wire:
    """``Chunks`` behind a network that can fail; copies what it carries, as a real one does."""

    inner: Chunks
    faults: Faults
    is_for_client: bool

    async def write_chunk(self, header: WriteHeader) -> ChunkWriter:
        await self.faults.pass_call()
        self.faults.writes += 1
        return _WireWriter(await self.inner.write_chunk(header), self.faults, self.is_for_client)

    async def read_chunk(self, request: ReadRequest) -> AsyncIterator[Frame]:
        await self.faults.pass_call()
        self.faults.reads += 1
        async for frame in self.inner.read_chunk(request):
            if self.faults.read_frames_left is not None:
                self.faults.read_frames_left -= 1
                if self.faults.read_frames_left < 0:
                    self.faults.is_down = True
            await self.faults.pass_call()
            yield self.faults.alter_read(frame) if self.faults.alter_read else frame

    async def read_range(self, request: ReadRequest) -> Frame:
        # Whatever a test does to streams, it thus does to these as well.
        async for frame in self.read_chunk(replace(request, frame_size_bytes=0)):
            return frame
        raise unreachable()

    async def stat_chunk(self, chunk_id: ChunkId) -> ChunkStat:
        await self.faults.pass_call()
        return await self.inner.stat_chunk(chunk_id)

    async def get_group_digest(self, group_id: GroupId) -> GroupDigest:
        await self.faults.pass_call()
        return await self.inner.get_group_digest(group_id)

    async def list_group(self, group_id: GroupId, *, bucket: int | None, after_sequence: int, count: int) -> HeldPage:
        await self.faults.pass_call()
        return await self.inner.list_group(group_id, bucket=bucket, after_sequence=after_sequence, count=count)


@dataclass
class _WireWriter:
    inner: ChunkWriter
    faults: Faults
    is_for_client: bool

    async def send(self, frame: Frame) -> None:
        if self.faults.write_frames_left is not None:
            self.faults.write_frames_left -= 1
            if self.faults.write_frames_left < 0:
                self.faults.is_down = True
        await self._pass_call()
        await self.inner.send(Frame(frame.offset, frame.crc32c, bytes(frame.data)))

    async def finish(self, finish: WriteFinish) -> WriteResult:
        await self._pass_call()
        result = await self.inner.finish(finish)
        if self.is_for_client and self.faults.alter_result:
            return self.faults.alter_result(result)
        return result

    async def abort(self) -> None:
        await self.inner.abort()

    async def _pass_call(self) -> None:
        try:
            await self.faults.pass_call()
        except Unavailable:
            await self.inner.abort()
            raise


@dataclass
class Network:
    """The ``Peers`` of everybody; only what clients hear can be altered."""

    servers: dict[str, Chunks] = field(default_factory=dict)
    faults: dict[str, Faults] = field(default_factory=dict)
    is_for_clients: bool = False

    def chunks(self, address: str) -> Chunks:
        return Wire(self.servers[address], self.faults[address], self.is_for_clients)


class Calls:
    """Passes calls on to the master; ``before`` and ``after`` may fail them, by name."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.before: dict[str, Callable[[], None]] = {}
        self.after: dict[str, Callable[[], None]] = {}
        self.answers: dict[str, Callable[[Any], Any]] = {}
        self.names: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            self.names.append(name)
            self.before.get(name, _nothing)()
            answer = await method(*arguments, **options)
            self.after.get(name, _nothing)()
            return self.answers.get(name, _same)(answer)

        return call


def _nothing() -> None:
    pass


def _same(answer: Any) -> Any:
    return answer


def fail_times(count: int, make: Callable[[], Exception] = unreachable) -> Callable[[], None]:
    """Return a hook that raises the first ``count`` times."""
    left = count

    def hook() -> None:
        nonlocal left
        if left > 0:
            left -= 1
            raise make()

    return hook


@dataclass
class InProcessCluster:
    """What a test sees: the parts, and clients for them."""

    master: Master
    network: Network
    calls: Calls
    disks: dict[str, MemoryDisk]
    database: Path
    keyring: Keyring
    clients: list[AsyncClient] = field(default_factory=list)

    def client(
        self,
        *,
        keyring: Keyring | None = None,
        patience_s: float = 5.0,
        file: HighWaterFile | None = None,
        cluster_id: ClusterId | None = None,
    ) -> AsyncClient:
        client = AsyncClient(
            self.services,
            load_keyring=lambda: keyring or self.keyring,
            clock=RealClock(),
            random=RANDOM,
            marks=HighWaterMarks(file),
            endpoint="master.test:7070",
            patience_s=patience_s,
            cluster_id=cluster_id,
        )
        self.clients.append(client)
        return client

    def services(self) -> Services:
        return Services(self.calls, self.master.admin, replace(self.network, is_for_clients=True), _close_nothing)

    def faults(self, number: int) -> Faults:
        """Return the switches of chunkserver 1, 2, …"""
        return self.network.faults[f"cs-{number}.test:7071"]

    async def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Change the master's database behind its back."""
        return await self.master.shared.store.write(lambda tx: tx.execute(statement, values))  # type: ignore[arg-type]

    def chunk_files(self) -> list[tuple[str, str]]:
        """Return (server address, path) of every stored chunk."""
        return [
            (address, path)
            for address, disk in sorted(self.disks.items())
            for path in disk.paths()
            if path.startswith("groups/") and path.count("/") == 3
        ]

    def damage(self, address: str, path: str, offset: int = 4_160) -> None:
        """Flip one bit of a stored file."""
        self.disks[address].content(path)[offset] ^= 1


async def _close_nothing() -> None:
    pass


@asynccontextmanager
async def in_process_cluster(
    directory: Path,
    *,
    chunkservers: int = 3,
    chunk_size_bytes: int = CHUNK_SIZE,
    timeouts: StallTimeouts = STALL_TIMEOUTS,
) -> AsyncIterator[InProcessCluster]:
    policy = Policy("default", 3, 2, chunk_size_bytes, "server")
    async with AsyncExitStack() as stack:
        clock = StoppedClock()
        store = await SqliteStore.open(str(directory / "metadata.db"), runner=InlineRunner())
        stack.push_async_callback(store.close)
        master = await open_master(store, clock=clock, random=RANDOM, policy=policy, version="test")
        network = Network()
        disks: dict[str, MemoryDisk] = {}
        for number in range(1, chunkservers + 1):
            address = f"cs-{number}.test:7071"
            disks[address] = disk = MemoryDisk(total_bytes=256 * MIB)
            chunk_store = await ChunkStore.open(disk, RANDOM, name=f"cs-{number}")
            service = ChunkService(chunk_store, network, RealClock(), ChunkserverMetrics(), timeouts=timeouts)
            stack.push_async_callback(service.close)
            network.servers[address] = service
            network.faults[address] = Faults()
            await _join(master, chunk_store, number, address)
        cluster = InProcessCluster(
            master=master,
            network=network,
            calls=Calls(master.namespace),
            disks=disks,
            database=directory / "metadata.db",
            keyring=Keyring([Kek(RANDOM.token_bytes(32))]),
        )
        try:
            yield cluster
        finally:
            for client in cluster.clients:
                await client.close()


async def _join(master: Master, store: ChunkStore, number: int, address: str) -> None:
    identity = ServerIdentity(
        server_id=store.identity.server_id,
        cluster_id=store.identity.cluster_id,
        boot_id=BootId(RANDOM.uuid()),
        name=f"cs-{number}",
        address=address,
        http_address="",
        labels=ServerLabels(host=f"host-{number}"),
        version="test",
    )
    registration = await master.cluster.register(identity)
    await store.bind_cluster(registration.cluster_id)
    await store.adopt_epochs(registration.orders.assignments or ())
    store.reconciled()
    heartbeat = Heartbeat(
        server_id=identity.server_id,
        boot_id=identity.boot_id,
        capacity=await store.capacity(),
        chunk_count=0,
        incarnation=registration.incarnation,
    )
    await master.cluster.heartbeat(heartbeat)


def pattern(size: int) -> bytes:
    """Return bytes in which every position is told from its neighbours."""
    block = b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1))
    return block[:size]


def flip_frame(frame: Frame) -> Frame:
    """Alter a frame as a bad network would: the checksum no longer fits."""
    data = bytearray(frame.data)
    data[len(data) // 2] ^= 1
    return replace(frame, data=bytes(data))
