"""Every error arrives as it was raised."""

import asyncio
from typing import Any

import grpc
import pytest

from dstore.core import errors
from dstore.core.chunks import ChunkStat, Frame, ReadRequest, WriteHeader
from dstore.core.digests import GroupDigest, HeldPage
from dstore.core.errors import ALL_ERRORS, DstoreError
from dstore.core.ids import ChunkId, GroupId
from dstore.core.interfaces import ChunkWriter
from dstore.core.limits import PATH_SIZE_BYTES_MAX
from dstore.rpc.channel import Connection
from dstore.rpc.server import RpcServer
from dstore.rpc.status import code_of, to_error

CHUNK_ID = ChunkId(GroupId(1), 1)


class FailingChunks:
    """Raises what it is told."""

    def __init__(self, error: Exception):
        self.error = error

    async def write_chunk(self, header: WriteHeader) -> ChunkWriter:
        raise self.error

    async def read_chunk(self, request: ReadRequest):  # type: ignore[no-untyped-def]
        yield Frame(0, 0, b"some data first")
        raise self.error

    async def read_range(self, request: ReadRequest) -> Frame:
        raise self.error

    async def stat_chunk(self, chunk_id: ChunkId) -> ChunkStat:
        raise self.error

    async def get_group_digest(self, group_id: GroupId) -> GroupDigest:
        raise self.error

    async def list_group(self, group_id: GroupId, *, bucket: int | None, after_sequence: int, count: int) -> HeldPage:
        raise self.error


@pytest.mark.parametrize("kind", ALL_ERRORS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("call", ["stat_chunk", "read_range", "read_chunk"])
async def test_class_reason_message_and_metadata_survive(kind: type[DstoreError], call: str) -> None:
    raised = kind("What happened, é. What to do.", metadata={"path": "/é", "server_id": "x"})
    server = RpcServer("127.0.0.1:0", chunks=FailingChunks(raised))
    connection = Connection(await server.start())
    try:
        with pytest.raises(kind) as caught:
            if call == "read_chunk":
                async for _ in connection.chunks.read_chunk(ReadRequest(CHUNK_ID, 0, 0)):
                    pass
            elif call == "read_range":
                await connection.chunks.read_range(ReadRequest(CHUNK_ID, 0, 1))
            else:
                await connection.chunks.stat_chunk(CHUNK_ID)
    finally:
        await connection.close()
        await server.stop(0)
    arrived = caught.value
    assert type(arrived) is kind
    assert (arrived.reason, arrived.message, arrived.metadata) == (raised.reason, raised.message, raised.metadata)


@pytest.mark.parametrize("character", ["a", "é", "漢", "😀", "\n"])
async def test_errors_about_the_longest_paths_arrive(character: str) -> None:
    path = "/" + character * ((PATH_SIZE_BYTES_MAX - 1) // len(character.encode()))
    raised = errors.NotFound(f"There is no {path}.", metadata={"source": path, "target": path})
    server = RpcServer("127.0.0.1:0", chunks=FailingChunks(raised))
    connection = Connection(await server.start())
    try:
        # Between two limits, gRPC refuses trailers at random.
        for _ in range(5):
            with pytest.raises(errors.NotFound) as caught:
                await connection.chunks.stat_chunk(CHUNK_ID)
    finally:
        await connection.close()
        await server.stop(0)
    assert caught.value.metadata == raised.metadata
    assert raised.message.startswith(caught.value.message)


async def test_a_defect_is_reported_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    server = RpcServer("127.0.0.1:0", chunks=FailingChunks(KeyError("secret plaintext")))
    connection = Connection(await server.start())
    try:
        with pytest.raises(errors.Internal) as caught:
            await connection.chunks.stat_chunk(CHUNK_ID)
    finally:
        await connection.close()
        await server.stop(0)
    assert "KeyError" in caught.value.message
    assert "secret" not in caught.value.message
    assert "Traceback" in caplog.text


def test_every_error_has_a_code_and_a_long_message_is_cut() -> None:
    assert {code_of(kind("x")).name for kind in ALL_ERRORS} >= {"NOT_FOUND", "ABORTED", "DATA_LOSS", "INTERNAL"}
    assert code_of(errors.InvalidRequest("x", reason="RANGE_INVALID")).name == "OUT_OF_RANGE"


async def test_nobody_listening_is_unavailable_with_the_address() -> None:
    connection = Connection("127.0.0.1:1")
    try:
        with pytest.raises(errors.Unavailable) as caught:
            await connection.chunks.stat_chunk(CHUNK_ID)
    finally:
        await connection.close()
    assert caught.value.reason == "SERVER_UNREACHABLE"
    assert "127.0.0.1:1" in caught.value.message


async def test_a_server_that_is_slow_to_accept_is_not_unreachable() -> None:
    """Between the client and the server stands a relay that holds everything back for a moment, as a long way does."""
    server = RpcServer("127.0.0.1:0", chunks=FailingChunks(errors.NotFound("No such chunk.")))
    host, port = (await server.start()).rsplit(":", 1)
    tasks: list[asyncio.Task[None]] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.4)
        server_reader, server_writer = await asyncio.open_connection(host, int(port))
        tasks.append(asyncio.create_task(pass_on(reader, server_writer)))
        tasks.append(asyncio.create_task(pass_on(server_reader, writer)))

    relay = await asyncio.start_server(accept, "127.0.0.1", 0)
    connection = Connection(f"127.0.0.1:{relay.sockets[0].getsockname()[1]}")
    try:
        with pytest.raises(errors.NotFound):
            await connection.chunks.stat_chunk(CHUNK_ID)
    finally:
        await connection.close()
        await server.stop(0)
        relay.close()
        await asyncio.gather(*tasks)


async def test_a_server_without_the_service_says_so() -> None:
    server = RpcServer("127.0.0.1:0")
    connection = Connection(await server.start())
    try:
        with pytest.raises(errors.NotReady) as caught:
            await connection.namespace.stat("/")
    finally:
        await connection.close()
        await server.stop(0)
    assert caught.value.reason == "SERVICE_NOT_OFFERED"


async def test_a_closed_connection_says_so() -> None:
    server = RpcServer("127.0.0.1:0", chunks=FailingChunks(errors.NotFound("x")))
    connection = Connection(await server.start())
    try:
        with pytest.raises(errors.NotFound):
            await connection.chunks.stat_chunk(CHUNK_ID)
        await connection.close()
        with pytest.raises(errors.Unavailable) as caught:
            await connection.chunks.stat_chunk(CHUNK_ID)
    finally:
        await server.stop(0)
    assert caught.value.reason == "CONNECTION_CLOSED"


@pytest.mark.parametrize("method", ["StatChunk", "ReadChunk"])
async def test_a_request_that_cannot_be_decoded_is_the_callers_mistake(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = RpcServer("127.0.0.1:0", chunks=FailingChunks(errors.NotFound("x")))
    address = await server.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            call: Any = channel.unary_unary(f"/dstore.v1.ChunkService/{method}")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(b"\xff\xff")
    finally:
        await server.stop(0)
    error = to_error(caught.value, address=address)
    assert (type(error), error.reason) == (errors.InvalidRequest, "MESSAGE_INVALID")
    # The library's poller, which all loops of a process share, may log about a loop of an earlier test.
    assert [record.message for record in caplog.records if record.name != "asyncio"] == []


class OneAnswer(grpc.GenericRpcHandler):
    """Answers every call with the same bytes."""

    def __init__(self, answer: bytes):
        self.answer = answer

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        async def answer(request: bytes, context: object) -> bytes:
            return self.answer

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.mark.parametrize("answer", [b"", b"\xff\xff", b"\x0a\x01x"], ids=["empty", "nonsense", "no uuid"])
async def test_answers_that_dstore_does_not_give_are_the_servers_fault(answer: bytes) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((OneAnswer(answer),))
    connection = Connection(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    await server.start()
    try:
        for call in (connection.namespace.get_cluster, connection.admin.get_status):
            with pytest.raises(errors.Internal) as caught:
                await call()
            assert caught.value.reason == "ANSWER_INVALID"
            assert connection.address in caught.value.message
    finally:
        await connection.close()
        await server.stop(0)
