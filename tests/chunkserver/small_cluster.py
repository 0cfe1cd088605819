"""Chunkservers in one process, on disks in memory that can fail, for the tests of this package."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.memory import MemoryDisk
from dstore.chunkserver.metrics import ChunkserverMetrics
from dstore.chunkserver.service import ChunkService
from dstore.core.checksum import crc32c
from dstore.core.chunks import (
    ChainMember,
    ChunkStat,
    Durability,
    Frame,
    ReadRequest,
    WriteFinish,
    WriteHeader,
    WriteResult,
)
from dstore.core.digests import GroupDigest, HeldPage
from dstore.core.environment import Buffer, Disk, DiskFile
from dstore.core.groups import Capacity
from dstore.core.ids import ChunkId, ClusterId, GroupId
from dstore.core.interfaces import Chunks, ChunkWriter
from dstore.core.limits import CONCURRENT_CHUNK_WRITES_MAX

CLUSTER = ClusterId("6f2c1a52-93b1-4d1f-8a57-0f9be7d9a001")
CHUNK = ChunkId(GroupId(42), 499)


def content(length_bytes: int, *, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length_bytes)


def frames_of(data: bytes, frame_size: int = 1000) -> list[Frame]:
    view = memoryview(data)
    pieces = [(start, view[start : start + frame_size]) for start in range(0, len(data), frame_size)]
    return [Frame(start, crc32c(piece), piece) for start, piece in pieces]


def finish_of(data: bytes) -> WriteFinish:
    return WriteFinish(len(data), crc32c(data))


def header_of(data: bytes, chunk_id: ChunkId = CHUNK, *, chain: Sequence[ChainMember] = ()) -> WriteHeader:
    return WriteHeader(chunk_id, CLUSTER, 1, len(data), Durability.SYNCED, tuple(chain), b"descriptor")


async def put(chunks: Chunks, data: bytes, header: WriteHeader | None = None, *, frame_size: int = 1000) -> WriteResult:
    """Write a chunk as a servicer does: whatever goes wrong, the chunk is aborted."""
    writer = await chunks.write_chunk(header or header_of(data))
    try:
        for frame in frames_of(data, frame_size):
            await writer.send(frame)
        return await writer.finish(finish_of(data))
    except BaseException:
        await writer.abort()
        raise


async def get(chunks: Chunks, chunk_id: ChunkId = CHUNK, offset: int = 0, length_bytes: int = 0) -> bytes:
    frames = chunks.read_chunk(ReadRequest(chunk_id, offset, length_bytes))
    return b"".join([bytes(frame.data) async for frame in frames])


class SeededRandom:
    """A core ``Random`` that always says the same."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def token_bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def uuid(self) -> str:
        return str(uuid.UUID(bytes=self._random.randbytes(16), version=4))

    def uniform(self) -> float:
        return self._random.random()


class StoppedClock:
    """A core ``Clock`` that stands still."""

    def monotonic_s(self) -> float:
        return 0.0

    def wall_ns(self) -> int:
        return 0


Hook = Callable[[str, str], Awaitable[None]]


async def no_fault(operation: str, path: str) -> None:
    """Let every operation through."""


@dataclass
class FaultyDisk:
    """A ``Disk`` that calls ``before`` with each operation and its path; it may raise, or wait."""

    inner: Disk
    before: Hook = no_fault
    ignores_sync: bool = False
    close_slowly: bool = False

    @property
    def queue_depth(self) -> int:
        return self.inner.queue_depth

    async def create(self, path: str) -> DiskFile:
        await self.before("create", path)
        return _FaultyFile(self, path, await self.inner.create(path))

    async def open(self, path: str) -> DiskFile:
        await self.before("open", path)
        return _FaultyFile(self, path, await self.inner.open(path))

    async def rename(self, source: str, target: str) -> None:
        await self.before("rename", target)
        await self.inner.rename(source, target)

    async def remove(self, path: str) -> None:
        await self.before("remove", path)
        await self.inner.remove(path)

    async def make_directory(self, path: str) -> None:
        await self.before("make_directory", path)
        await self.inner.make_directory(path)

    async def sync_directory(self, path: str) -> None:
        await self.before("sync_directory", path)
        if not self.ignores_sync:
            await self.inner.sync_directory(path)

    async def list(self, path: str) -> tuple[str, ...]:
        await self.before("list", path)
        return await self.inner.list(path)

    async def capacity(self) -> Capacity:
        await self.before("capacity", "")
        return await self.inner.capacity()


@dataclass
class _FaultyFile:
    disk: FaultyDisk
    path: str
    inner: DiskFile

    async def write_at(self, offset: int, buffers: Sequence[Buffer]) -> None:
        await self.disk.before("write", self.path)
        await self.inner.write_at(offset, buffers)

    async def read_at(self, offset: int, length_bytes: int) -> bytes | bytearray:
        await self.disk.before("read", self.path)
        return await self.inner.read_at(offset, length_bytes)

    async def read_into(self, offset: int, buffers: Sequence[bytearray | memoryview]) -> int:
        await self.disk.before("read", self.path)
        return await self.inner.read_into(offset, buffers)

    async def sync(self) -> None:
        await self.disk.before("sync", self.path)
        if not self.disk.ignores_sync:
            await self.inner.sync()

    async def size_bytes(self) -> int:
        return await self.inner.size_bytes()

    async def close(self) -> None:
        if self.disk.close_slowly:
            for _ in range(20):
                await asyncio.sleep(0)
        await self.inner.close()


@dataclass
class Network:
    """The core ``Peers`` of one process; ``replace`` puts something else behind an address."""

    servers: dict[str, Chunks] = field(default_factory=dict)

    def chunks(self, address: str) -> Chunks:
        return self.servers[address]


@dataclass
class Server:
    """One chunkserver."""

    memory: MemoryDisk
    disk: FaultyDisk
    store: ChunkStore
    service: ChunkService
    metrics: ChunkserverMetrics
    address: str

    @property
    def member(self) -> ChainMember:
        return ChainMember(self.store.identity.server_id, self.address)

    def chunk_paths(self) -> tuple[str, ...]:
        """Paths of chunk files and of unfinished ones."""
        ignored = ("IDENTITY", "EPOCH")
        return tuple(path for path in self.memory.paths() if path.split("/")[-1] not in ignored)


async def start_server(
    memory: MemoryDisk | None = None,
    *,
    network: Network | None = None,
    name: str = "cs-1",
    write_streams_max: int = CONCURRENT_CHUNK_WRITES_MAX,
    before: Hook = no_fault,
    ignores_sync: bool = False,
) -> Server:
    """Open the store on ``memory`` and join ``CLUSTER``."""
    memory = memory or MemoryDisk()
    network = network or Network()
    disk = FaultyDisk(memory, before, ignores_sync)
    store = await ChunkStore.open(disk, SeededRandom(hash_of(name)), name=name)
    await store.bind_cluster(CLUSTER)
    store.reconciled()
    metrics = ChunkserverMetrics()
    service = ChunkService(store, network, StoppedClock(), metrics, write_streams_max=write_streams_max)
    network.servers[name] = service
    return Server(memory, disk, store, service, metrics, name)


def hash_of(name: str) -> int:
    return int.from_bytes(name.encode(), "big")


@dataclass
class FakeWriter:
    """A ``ChunkWriter`` that does what its hook says, then passes on; counts."""

    inner: ChunkWriter
    before: Callable[[str], Awaitable[None]]
    aborted: bool = False

    async def send(self, frame: Frame) -> None:
        await self.before("send")
        await self.inner.send(frame)

    async def finish(self, finish: WriteFinish) -> WriteResult:
        await self.before("finish")
        return await self.inner.finish(finish)

    async def abort(self) -> None:
        self.aborted = True
        await self.inner.abort()


@dataclass
class FaultyChunks:
    """``Chunks`` behind a network that may fail: ``before`` is called with each step of a write."""

    inner: Chunks
    before: Callable[[str], Awaitable[None]]
    writers: list[FakeWriter] = field(default_factory=list)

    async def write_chunk(self, header: WriteHeader) -> ChunkWriter:
        await self.before("open")
        self.writers.append(FakeWriter(await self.inner.write_chunk(header), self.before))
        return self.writers[-1]

    def read_chunk(self, request: ReadRequest) -> AsyncIterator[Frame]:
        return self.inner.read_chunk(request)

    async def read_range(self, request: ReadRequest) -> Frame:
        return await self.inner.read_range(request)

    async def stat_chunk(self, chunk_id: ChunkId) -> ChunkStat:
        return await self.inner.stat_chunk(chunk_id)

    async def get_group_digest(self, group_id: GroupId) -> GroupDigest:
        return await self.inner.get_group_digest(group_id)

    async def list_group(self, group_id: GroupId, *, bucket: int | None, after_sequence: int, count: int) -> HeldPage:
        return await self.inner.list_group(group_id, bucket=bucket, after_sequence=after_sequence, count=count)


def with_epoch(header: WriteHeader, epoch: int) -> WriteHeader:
    return replace(header, group_epoch=epoch)
