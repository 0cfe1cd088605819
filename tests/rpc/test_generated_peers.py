"""The data methods as everybody else sees them: ordinary protobuf, from generated code and from grpcurl."""

import asyncio
import base64
import json
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from test_chunk_streams import CHUNK_ID, HEADER, DictChunks

from dstore.core.checksum import crc32c
from dstore.core.chunks import Frame, ReadRequest, WriteFinish
from dstore.rpc.channel import Connection
from dstore.rpc.server import RpcServer
from dstore.v1 import chunk_service_pb2 as v1
from dstore.v1 import chunk_service_pb2_grpc
from dstore.v1 import types_pb2 as types

DATA = bytes(range(256)) * 300
#: DictChunks sends so many bytes in a frame.
SENT_SIZE = 2
ID = types.ChunkId(group_id=CHUNK_ID.group_id, sequence=CHUNK_ID.sequence)


@pytest.fixture
async def served() -> AsyncIterator[tuple[DictChunks, str]]:
    chunks = DictChunks()
    server = RpcServer("127.0.0.1:0", chunks=chunks)
    yield chunks, await server.start()
    await server.stop(0)


def messages() -> list[v1.WriteChunkRequest]:
    header = v1.WriteChunkRequest.Header(
        chunk_id=ID, cluster_id=HEADER.cluster_id, group_epoch=1, length_bytes=len(DATA), descriptor=b"d"
    )
    frames = [
        v1.Frame(offset=start, crc32c=crc32c(DATA[start : start + 40_000]), data=DATA[start : start + 40_000])
        for start in range(0, len(DATA), 40_000)
    ]
    finish = v1.WriteChunkRequest.Finish(length_bytes=len(DATA), crc32c=crc32c(DATA))
    return [
        v1.WriteChunkRequest(header=header),
        *(v1.WriteChunkRequest(frame=frame) for frame in frames),
        v1.WriteChunkRequest(finish=finish),
    ]


async def test_a_generated_client_writes_and_reads(served: tuple[DictChunks, str]) -> None:
    chunks, address = served
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = chunk_service_pb2_grpc.ChunkServiceStub(channel)  # type: ignore[no-untyped-call]
        written = await stub.WriteChunk(iter(messages()))
        assert [ack.durability for ack in written.replicas] == [v1.DURABILITY_SYNCED]
        assert chunks.chunks == {CHUNK_ID: DATA}
        ranged = await stub.ReadRange(v1.ReadRangeRequest(chunk_id=ID, offset=5, length_bytes=70_000))
        assert (ranged.frame.offset, ranged.frame.data) == (5, DATA[5:70_005])
        assert ranged.frame.crc32c == crc32c(DATA[5:70_005])
        received = [answer.frame async for answer in stub.ReadChunk(v1.ReadChunkRequest(chunk_id=ID, offset=76_000))]
    assert [frame.offset for frame in received] == list(range(76_000, len(DATA), SENT_SIZE))
    assert b"".join(frame.data for frame in received) == DATA[76_000:]


class GeneratedServer(chunk_service_pb2_grpc.ChunkServiceServicer):
    """Speaks nothing but generated code."""

    def __init__(self) -> None:
        self.data = b""

    async def WriteChunk(self, requests: AsyncIterator[v1.WriteChunkRequest], context: Any) -> v1.WriteChunkResponse:
        kinds = []
        async for request in requests:
            kinds.append(request.WhichOneof("payload"))
            assert request.frame.crc32c == crc32c(request.frame.data) or kinds[-1] != "frame"
            self.data += request.frame.data
        assert (kinds[0], set(kinds[1:-1]), kinds[-1]) == ("header", {"frame"}, "finish")
        return v1.WriteChunkResponse(
            replicas=[v1.ReplicaAck(server_id=HEADER.cluster_id, durability=v1.DURABILITY_SYNCED)]
        )

    def frame(self, start: int, size: int) -> v1.Frame:
        data = self.data[start : start + size]
        return v1.Frame(offset=start, crc32c=crc32c(data), data=data)

    async def ReadChunk(self, request: v1.ReadChunkRequest, context: Any) -> AsyncIterator[v1.ReadChunkResponse]:
        for start in range(request.offset, len(self.data), 50_000):
            yield v1.ReadChunkResponse(frame=self.frame(start, 50_000))

    async def ReadRange(self, request: v1.ReadRangeRequest, context: Any) -> v1.ReadRangeResponse:
        return v1.ReadRangeResponse(frame=self.frame(request.offset, request.length_bytes))


async def test_a_generated_server_is_written_to_and_read() -> None:
    server, spoken = grpc.aio.server(), GeneratedServer()
    chunk_service_pb2_grpc.add_ChunkServiceServicer_to_server(spoken, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    connection = Connection(f"127.0.0.1:{port}")
    try:
        writer = await connection.chunks.write_chunk(HEADER)
        for start in range(0, len(DATA), 30_000):
            data = DATA[start : start + 30_000]
            await writer.send(Frame(start, crc32c(data), memoryview(data)))
        assert len((await writer.finish(WriteFinish(len(DATA), crc32c(DATA)))).replicas) == 1
        assert spoken.data == DATA
        ranged = await connection.chunks.read_range(ReadRequest(CHUNK_ID, 3, 9))
        assert (ranged.offset, bytes(ranged.data), ranged.crc32c) == (3, DATA[3:12], crc32c(DATA[3:12]))
        frames = [frame async for frame in connection.chunks.read_chunk(ReadRequest(CHUNK_ID, 1, 0))]
        assert b"".join(bytes(frame.data) for frame in frames) == DATA[1:]
    finally:
        await connection.close()
        await server.stop(0)


async def test_grpcurl_writes_and_reads(served: tuple[DictChunks, str]) -> None:
    chunks, address = served
    service = "dstore.v1.ChunkService"
    chunk_id = {"groupId": CHUNK_ID.group_id, "sequence": str(CHUNK_ID.sequence)}
    data = DATA[:3_000]
    stream = [
        {"header": {"chunkId": chunk_id, "clusterId": HEADER.cluster_id, "groupEpoch": 1, "lengthBytes": len(data)}},
        {"frame": {"crc32c": crc32c(data), "data": base64.b64encode(data).decode()}},
        {"finish": {"lengthBytes": len(data), "crc32c": crc32c(data)}},
    ]
    written = await grpcurl(address, f"{service}/WriteChunk", "".join(map(json.dumps, stream)))
    assert written["replicas"][0]["durability"] == "DURABILITY_SYNCED"
    assert chunks.chunks == {CHUNK_ID: data}
    wanted = {"chunkId": chunk_id, "offset": 7, "lengthBytes": 100}
    ranged = (await grpcurl(address, f"{service}/ReadRange", json.dumps(wanted)))["frame"]
    assert base64.b64decode(ranged["data"]) == data[7:107]
    assert (ranged["offset"], ranged["crc32c"]) == ("7", crc32c(data[7:107]))
    last = (await grpcurl(address, f"{service}/ReadChunk", json.dumps({"chunkId": chunk_id, "offset": 2_998})))["frame"]
    assert base64.b64decode(last["data"]) == data[2_998:]


async def grpcurl(address: str, method: str, request: str) -> Any:
    beside = Path(sys.executable).parent / "grpcurl"
    program = str(beside) if beside.exists() else shutil.which("grpcurl")
    assert program is not None, "grpcurl is missing; `make setup` installs it"
    process = await asyncio.create_subprocess_exec(
        program, "-plaintext", "-d", "@", address, method,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, complaint = await process.communicate(request.encode())
    assert process.returncode == 0, complaint.decode()
    return json.loads(said)
