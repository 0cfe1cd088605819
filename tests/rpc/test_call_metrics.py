"""Calls are counted and timed by method and status, whatever way they end, and whatever a client calls them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from dstore.core.chunks import ChunkStat, Frame, ReadRequest, WriteHeader
from dstore.core.digests import GroupDigest, HeldPage
from dstore.core.errors import DstoreError, NotFound
from dstore.core.ids import ChunkId, GroupId
from dstore.core.interfaces import ChunkWriter
from dstore.rpc.call_metrics import CallMetrics
from dstore.rpc.channel import Connection
from dstore.rpc.server import RpcServer

SERVICE = "dstore.v1.ChunkService"
HELD, LACKED = ChunkId(GroupId(1), 1), ChunkId(GroupId(1), 2)


class SteppedClock:
    """A second passes whenever it is looked at."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        self.now_s += 1.0
        return self.now_s

    def wall_ns(self) -> int:
        return 0


class OneChunk:
    """Holds one chunk, and waits for ever where it is compared."""

    def __init__(self) -> None:
        self.compared = asyncio.Event()

    async def write_chunk(self, header: WriteHeader) -> ChunkWriter:
        raise NotFound("No such group.")

    async def read_chunk(self, request: ReadRequest) -> AsyncIterator[Frame]:
        yield Frame(0, 0, b"first")
        if request.chunk_id != HELD:
            raise NotFound("No such chunk.")
        yield Frame(5, 0, b"last")

    async def read_range(self, request: ReadRequest) -> Frame:
        raise KeyError("a defect")

    async def stat_chunk(self, chunk_id: ChunkId) -> ChunkStat:
        if chunk_id != HELD:
            raise NotFound("No such chunk.")
        return ChunkStat(chunk_id, 9, 0, b"")

    async def get_group_digest(self, group_id: GroupId) -> GroupDigest:
        self.compared.set()
        await asyncio.Event().wait()
        raise AssertionError("nothing ends this but its caller")

    async def list_group(self, group_id: GroupId, *, bucket: int | None, after_sequence: int, count: int) -> HeldPage:
        raise AssertionError("nobody compares here")


class Served:
    """A server that counts, and a connection to it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.chunks = OneChunk()
        self.server = RpcServer("127.0.0.1:0", chunks=self.chunks, calls=CallMetrics(self.registry, SteppedClock()))
        self.address = ""

    def value(self, name: str, method: str, kind: str = "unary", service: str = SERVICE, **labels: str) -> float | None:
        labels |= {"grpc_type": kind, "grpc_service": service, "grpc_method": method}
        return self.registry.get_sample_value(name, labels)

    async def handled(self, method: str, code: str, kind: str = "unary", service: str = SERVICE) -> float:
        """Return how many calls ended so, once there is one: a call ends after its answer has arrived."""
        async with asyncio.timeout(30):
            while True:
                value = self.value("grpc_server_handled_total", method, kind, service, grpc_code=code)
                if value is not None:
                    return value
                await asyncio.sleep(0.005)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    served.address = await served.server.start()
    yield served
    await served.server.stop(0)


@pytest.fixture
async def connection(served: Served) -> AsyncIterator[Connection]:
    connection = Connection(served.address)
    yield connection
    await connection.close()


async def test_unary_calls_are_counted_by_status_and_timed(served: Served, connection: Connection) -> None:
    await connection.chunks.stat_chunk(HELD)
    with pytest.raises(NotFound):
        await connection.chunks.stat_chunk(LACKED)
    assert await served.handled("StatChunk", "OK") == 1
    assert await served.handled("StatChunk", "NOT_FOUND") == 1
    assert served.value("grpc_server_started_total", "StatChunk") == 2
    assert served.value("grpc_server_handling_seconds_count", "StatChunk") == 2
    # Whether the calls overlapped or not, each took at least one step of the clock.
    assert (served.value("grpc_server_handling_seconds_sum", "StatChunk") or 0) >= 2


async def test_a_defect_counts_as_internal(served: Served, connection: Connection) -> None:
    with pytest.raises(DstoreError):
        await connection.chunks.read_range(ReadRequest(HELD, 0, 1))
    assert await served.handled("ReadRange", "INTERNAL") == 1


async def test_streams_are_counted_once_however_many_messages_they_have(served: Served, connection: Connection) -> None:
    assert len([frame async for frame in connection.chunks.read_chunk(ReadRequest(HELD, 0, 0))]) == 2
    with pytest.raises(NotFound):
        async for _ in connection.chunks.read_chunk(ReadRequest(LACKED, 0, 0)):
            pass
    assert await served.handled("ReadChunk", "OK", "server_stream") == 1
    assert await served.handled("ReadChunk", "NOT_FOUND", "server_stream") == 1
    assert served.value("grpc_server_started_total", "ReadChunk", "server_stream") == 2


async def test_streams_of_requests_have_their_own_type(served: Served) -> None:
    async with grpc.aio.insecure_channel(served.address) as channel:
        write: Any = channel.stream_unary(f"/{SERVICE}/WriteChunk")
        with pytest.raises(grpc.aio.AioRpcError):
            await write(iter([b""]))
    assert await served.handled("WriteChunk", "INVALID_ARGUMENT", "client_stream") == 1


async def test_a_client_that_goes_away_counts_as_cancelled(served: Served, connection: Connection) -> None:
    call = asyncio.create_task(connection.chunks.get_group_digest(GroupId(1)))
    await served.chunks.compared.wait()
    assert served.value("grpc_server_started_total", "GetGroupDigest") == 1
    call.cancel()
    await asyncio.wait([call])
    assert await served.handled("GetGroupDigest", "CANCELLED") == 1
    assert served.value("grpc_server_handled_total", "GetGroupDigest", grpc_code="OK") is None


async def test_methods_that_are_not_served_share_one_label(served: Served) -> None:
    async with grpc.aio.insecure_channel(served.address) as channel:
        for name in (f"/{SERVICE}/NoSuchMethod", "/no.such.Service/Get", "/", "/a/b/c"):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                call: Any = channel.unary_unary(name)
                await call(b"")
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    unknown = "unknown"
    assert served.value("grpc_server_started_total", unknown, unknown, unknown) == 4
    assert await served.handled(unknown, "UNIMPLEMENTED", unknown, unknown) == 4
    methods = {sample.labels["grpc_method"] for metric in served.registry.collect() for sample in metric.samples}
    assert methods == {unknown}
