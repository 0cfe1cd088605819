"""Write and read streams over a real channel, well-formed and not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from dstore.core.checksum import crc32c
from dstore.core.chunks import (
    ChunkStat,
    Durability,
    Frame,
    ReadRequest,
    ReplicaAck,
    WriteFinish,
    WriteHeader,
    WriteResult,
)
from dstore.core.digests import GroupDigest, HeldPage
from dstore.core.errors import DeadlineExceeded, DstoreError, NotFound, OutOfSpace
from dstore.core.ids import ChunkId, ClusterId, GroupId, ServerId
from dstore.core.limits import FRAME_SIZE_BYTES_MAX
from dstore.rpc import frames
from dstore.rpc.channel import Connection, Connections
from dstore.rpc.convert.chunks import finish_to_proto, header_to_proto
from dstore.rpc.server import RpcServer
from dstore.rpc.status import to_error

SERVER_ID = ServerId("11111111-2222-3333-4444-555555555555")
CHUNK_ID = ChunkId(GroupId(1), 7)
HEADER = WriteHeader(
    chunk_id=CHUNK_ID,
    cluster_id=ClusterId("99999999-2222-3333-4444-555555555555"),
    group_epoch=1,
    length_bytes=6,
    durability=Durability.SYNCED,
    chain=(),
    descriptor=b"descriptor",
)
FRAMES = (Frame(0, crc32c(b"abc"), b"abc"), Frame(3, crc32c(b"def"), b"def"))
FINISH = WriteFinish(6, crc32c(b"abcdef"))


class DictChunks:
    """Chunks in a dictionary; the writer of one chunk at a time."""

    def __init__(self) -> None:
        self.chunks: dict[ChunkId, bytes] = {}
        self.aborted = 0
        self.fail_after_frames: int | None = None

    async def write_chunk(self, header: WriteHeader) -> "DictWriter":
        return DictWriter(self, header)

    async def read_chunk(self, request: ReadRequest) -> AsyncIterator[Frame]:
        data = self.chunks.get(request.chunk_id)
        if data is None:
            raise NotFound("No such chunk.", reason="CHUNK_NOT_FOUND")
        for offset in range(request.offset, len(data), 2):
            piece = data[offset : offset + 2]
            yield Frame(offset, crc32c(piece), piece)

    async def read_range(self, request: ReadRequest) -> Frame:
        data = self.chunks[request.chunk_id][request.offset : request.offset + request.length_bytes]
        return Frame(request.offset, crc32c(data), data)

    async def stat_chunk(self, chunk_id: ChunkId) -> ChunkStat:
        data = self.chunks[chunk_id]
        return ChunkStat(chunk_id, len(data), crc32c(data), b"")

    async def get_group_digest(self, group_id: GroupId) -> GroupDigest:
        raise AssertionError("nobody compares here")

    async def list_group(self, group_id: GroupId, *, bucket: int | None, after_sequence: int, count: int) -> HeldPage:
        raise AssertionError("nobody compares here")


class DictWriter:
    def __init__(self, owner: DictChunks, header: WriteHeader):
        self.owner, self.header, self.data = owner, header, b""
        self.frames = 0

    async def send(self, frame: Frame) -> None:
        if self.frames == self.owner.fail_after_frames:
            raise OutOfSpace("The disk is full.", metadata={"server_name": "cs-1"})
        self.frames += 1
        self.data += bytes(frame.data)

    async def finish(self, finish: WriteFinish) -> WriteResult:
        self.owner.chunks[self.header.chunk_id] = self.data
        return WriteResult((ReplicaAck(SERVER_ID, Durability.SYNCED),))

    async def abort(self) -> None:
        self.owner.aborted += 1


@pytest.fixture
async def served() -> AsyncIterator[tuple[DictChunks, Connection]]:
    chunks = DictChunks()
    server = RpcServer("127.0.0.1:0", chunks=chunks)
    connections = Connections()
    connection = connections.connection(await server.start())
    yield chunks, connection
    await connections.close()
    await server.stop(0)


async def test_a_chunk_is_written_and_read_back(served: tuple[DictChunks, Connection]) -> None:
    chunks, connection = served
    writer = await connection.chunks.write_chunk(HEADER)
    for frame in FRAMES:
        await writer.send(frame)
    result = await writer.finish(FINISH)
    assert result == WriteResult((ReplicaAck(SERVER_ID, Durability.SYNCED),))
    await writer.abort()
    assert chunks.chunks == {CHUNK_ID: b"abcdef"}
    received = [frame async for frame in connection.chunks.read_chunk(ReadRequest(CHUNK_ID, 2, 0))]
    assert b"".join(bytes(frame.data) for frame in received) == b"cdef"
    assert await connection.chunks.read_range(ReadRequest(CHUNK_ID, 1, 3)) == Frame(1, crc32c(b"bcd"), b"bcd")
    assert (await connection.chunks.stat_chunk(CHUNK_ID)).length_bytes == 6


def encoded(*messages: WriteHeader | Frame | WriteFinish) -> list[bytes]:
    encoders: dict[type, Any] = {
        WriteHeader: lambda message: header_to_proto(message).SerializeToString(),
        Frame: frames.encode_write_frame,
        WriteFinish: lambda message: finish_to_proto(message).SerializeToString(),
    }
    return [encoders[type(message)](message) for message in messages]


@pytest.mark.parametrize(
    "messages",
    [
        [],
        encoded(FRAMES[0]),
        encoded(FINISH),
        encoded(HEADER),
        encoded(HEADER, *FRAMES),
        encoded(HEADER, HEADER, FINISH),
        encoded(HEADER, *FRAMES, FINISH, FRAMES[0]),
        encoded(HEADER, *FRAMES, FINISH, FINISH),
        [*encoded(HEADER), b""],
        [b"nonsense"],
    ],
    ids=["nothing", "frame", "finish", "header", "no-finish", "two-headers", "more", "twice", "empty", "nonsense"],
)
async def test_malformed_streams_leave_nothing(served: tuple[DictChunks, Connection], messages: list[bytes]) -> None:
    chunks, connection = served
    async with grpc.aio.insecure_channel(connection.address) as channel:
        method: Any = channel.stream_unary("/dstore.v1.ChunkService/WriteChunk")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await method(iter(messages))
    error = to_error(caught.value, address=connection.address)
    assert error.reason == "STREAM_INVALID"
    assert chunks.chunks == {}
    assert chunks.aborted == (1 if messages and messages[0] == encoded(HEADER)[0] else 0)


async def test_a_writer_that_hangs_up_leaves_nothing(served: tuple[DictChunks, Connection]) -> None:
    chunks, connection = served
    writer = await connection.chunks.write_chunk(HEADER)
    await writer.send(FRAMES[0])
    await writer.abort()
    # The server learns of it on the connection; a call on the same one comes after.
    with pytest.raises(NotFound):
        async for _ in connection.chunks.read_chunk(ReadRequest(CHUNK_ID, 0, 0)):
            pass
    assert chunks.chunks == {}


async def test_the_error_of_a_refused_stream_reaches_a_writer_that_goes_on(
    served: tuple[DictChunks, Connection],
) -> None:
    chunks, connection = served
    chunks.fail_after_frames = 1
    writer = await connection.chunks.write_chunk(HEADER)
    with pytest.raises(DstoreError) as caught:
        while True:
            await writer.send(FRAMES[0])
    assert isinstance(caught.value, OutOfSpace)
    assert caught.value.metadata["server_name"] == "cs-1"
    await writer.abort()


async def test_a_message_over_the_limit_is_refused_by_name(served: tuple[DictChunks, Connection]) -> None:
    _, connection = served
    async with grpc.aio.insecure_channel(connection.address, options=[("grpc.max_send_message_length", -1)]) as channel:
        method: Any = channel.stream_unary("/dstore.v1.ChunkService/WriteChunk")
        too_large = frames.encode_write_frame(Frame(0, 0, bytes(5 * 1024 * 1024)))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await method(iter([*encoded(HEADER), too_large]))
    assert to_error(caught.value, address=connection.address).reason == "MESSAGE_TOO_LARGE"


class StallingChunks(DictChunks):
    """Takes the first frame and no more, until a fault further on ends the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = asyncio.Event()

    async def write_chunk(self, header: WriteHeader) -> "StallingWriter":
        return StallingWriter(self, header)


class StallingWriter(DictWriter):
    owner: StallingChunks

    async def send(self, frame: Frame) -> None:
        await self.owner.ended.wait()
        raise DeadlineExceeded("The next server made no progress.", metadata={"server_name": "cs-3"})


@pytest.mark.parametrize("writers", [1, 8])
async def test_the_error_of_a_stream_reaches_a_writer_that_waits_for_room(writers: int) -> None:
    chunks = StallingChunks()
    server = RpcServer("127.0.0.1:0", chunks=chunks)
    connection = Connection(await server.start())
    data = bytes(FRAME_SIZE_BYTES_MAX)

    async def write() -> None:
        writer = await connection.chunks.write_chunk(HEADER)
        try:
            for number in range(64):
                await writer.send(Frame(number * len(data), crc32c(data), data))
        finally:
            await writer.abort()

    try:
        for _ in range(5):
            chunks.ended.clear()
            asyncio.get_running_loop().call_later(0.2, chunks.ended.set)
            outcomes = await asyncio.gather(*(write() for _ in range(writers)), return_exceptions=True)
            assert [getattr(each, "metadata", each) for each in outcomes] == [{"server_name": "cs-3"}] * writers
    finally:
        await connection.close()
        await server.stop(0)
