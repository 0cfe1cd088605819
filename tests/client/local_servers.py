"""Chunkservers on real directories of this machine with local sockets, and servers that only pretend, for tests."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from store_in_process import Network, RealClock

from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.disk import LocalDisk
from dstore.chunkserver.local_socket import LocalSocket
from dstore.chunkserver.metrics import ChunkserverMetrics
from dstore.chunkserver.service import ChunkService
from dstore.client.local_chunks import LocalChunks
from dstore.client.local_socket import LocalSocketClient
from dstore.core.checksum import crc32c
from dstore.core.chunks import Durability, Frame, WriteFinish, WriteHeader
from dstore.core.environment import Clock
from dstore.core.errors import Corrupt
from dstore.core.files import ChunkRecord
from dstore.core.groups import Replica, ServerPhase
from dstore.core.ids import ChunkId, ClusterId, GroupId, ServerId
from dstore.core.limits import FRAME_SIZE_BYTES
from dstore.core.local_reads import LocalReads
from dstore.rpc.local_messages import LocalRequest, decode_request, socket_name
from dstore.system.environment import SystemRandom

CLUSTER = ClusterId("6f2c1a52-93b1-4d1f-8a57-0f9be7d9a001")
GROUP = GroupId(42)


def record_of(sequence: int, data: bytes) -> ChunkRecord:
    """Return what the master would say of a chunk with this ciphertext."""
    return ChunkRecord(0, ChunkId(GROUP, sequence), len(data), crc32c(data), b"")


def replica_of(server_id: ServerId) -> Replica:
    """Return a member that is up and cannot be reached over the network."""
    return Replica(server_id, "cs-1", "127.0.0.1:1", ServerPhase.UP)


@dataclass
class Collector:
    """A cursor that keeps what it is given as it is; thread by thread, one at a time."""

    position: int
    end: int
    is_bad_from: int | None = None
    taken: bytearray = field(default_factory=bytearray)

    def decrypt(self, sealed: memoryview) -> None:
        if self.is_bad_from is not None and self.position + len(sealed) > self.is_bad_from:
            raise Corrupt("It does not authenticate.", reason="SEGMENT_CORRUPT")
        self.taken += sealed
        self.position += len(sealed)


@dataclass
class LocalServer:
    """One chunkserver, real but for the network."""

    root: Path
    store: ChunkStore
    service: ChunkService
    socket: LocalSocket

    @property
    def server_id(self) -> ServerId:
        return self.store.identity.server_id

    @property
    def replica(self) -> Replica:
        return replica_of(self.server_id)

    async def put(self, sequence: int, data: bytes) -> ChunkRecord:
        """Store a chunk."""
        chunk_id = ChunkId(GROUP, sequence)
        writer = await self.service.write_chunk(
            WriteHeader(chunk_id, CLUSTER, 1, len(data), Durability.SYNCED, (), b"descriptor")
        )
        for start in range(0, len(data), FRAME_SIZE_BYTES):
            piece = data[start : start + FRAME_SIZE_BYTES]
            await writer.send(Frame(start, crc32c(piece), piece))
        await writer.finish(WriteFinish(len(data), crc32c(data)))
        return record_of(sequence, data)

    def path(self, record: ChunkRecord) -> Path:
        """Return the file of a chunk."""
        (path,) = self.root.glob(f"groups/*/*/{record.chunk_id}")
        return path


@asynccontextmanager
async def local_server(root: Path) -> AsyncIterator[LocalServer]:
    os.makedirs(root, exist_ok=True)
    disk = LocalDisk(root)
    store = await ChunkStore.open(disk, SystemRandom(), name="cs-1")
    await store.bind_cluster(CLUSTER)
    store.reconciled()
    service = ChunkService(store, Network(), RealClock(), ChunkserverMetrics())
    local = LocalSocket(service, lambda: store.identity, allowed=LocalReads.OWN, own_uid=os.geteuid())
    try:
        assert await local.start()
        yield LocalServer(root, store, service, local)
    finally:
        await local.stop()
        await service.close()
        disk.close()


@asynccontextmanager
async def local_chunks(clock: Clock | None = None, **options: float) -> AsyncIterator[LocalChunks]:
    """Open what a client has."""
    used = clock or RealClock()

    def connect(server_id: ServerId) -> LocalSocketClient:
        return LocalSocketClient(server_id, used, allowed=LocalReads.OWN, own_uid=os.geteuid())

    local = LocalChunks(connect, used, **({"stall_timeout_s": 30.0} | options))  # type: ignore[arg-type]
    try:
        yield local
    finally:
        await local.close()


Script = Callable[[socket.socket, LocalRequest], None]


@asynccontextmanager
async def pretender(server_id: ServerId, script: Script) -> AsyncIterator[list[LocalRequest]]:
    """Take the name of a server and answer each request as the script says; give the requests."""
    requests: list[LocalRequest] = []
    loop = asyncio.get_running_loop()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.setblocking(False)
    listener.bind(socket_name(server_id))
    listener.listen(8)
    connections: list[socket.socket] = []

    async def serve() -> None:
        while True:
            connection, _ = await loop.sock_accept(listener)
            connections.append(connection)
            while packet := await loop.sock_recv(connection, 10_000):
                requests.append(decode_request(packet))
                script(connection, requests[-1])

    serving = asyncio.create_task(serve())
    try:
        yield requests
    finally:
        serving.cancel()
        await asyncio.wait([serving])
        for each in (listener, *connections):
            each.close()


def open_descriptors() -> int:
    """Return how many this process has."""
    return len(os.listdir("/proc/self/fd"))


def lent_paths() -> list[str]:
    """Return the paths of chunk files that this process has open."""
    paths = []
    for name in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        if "/groups/" in path or "/trash/" in path:
            paths.append(path)
    return paths


async def eventually(condition: Callable[[], bool]) -> None:
    """Return as soon as the condition holds; the test fails when it does not within seconds."""
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within 10 s")
