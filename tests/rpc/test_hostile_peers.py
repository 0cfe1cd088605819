"""What a hostile server can send to a client over a real socket: every answer is used, or refused as the server's fault
by an error of ours that is short and safe to print; none fills the memory.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from dstore.core import errors
from dstore.core.chunks import ReadRequest
from dstore.core.files import ANY, Commit, Rename
from dstore.core.ids import ChunkId, FileId, GroupId, IntentId, RequestId, Version
from dstore.core.limits import MESSAGE_SIZE_BYTES_MAX, MIB
from dstore.core.removed import Restore
from dstore.rpc.channel import Connection, Connections
from dstore.rpc.convert import status as convert
from dstore.v1 import admin_service_pb2 as admin_v1
from dstore.v1 import chunk_service_pb2 as chunk_v1
from dstore.v1 import namespace_service_pb2 as v1
from dstore.v1 import types_pb2 as types

UUID = "11111111-2222-3333-4444-555555555555"
REQUEST = RequestId("r")
INTENT = IntentId(UUID)
ESCAPES = "\x1b]0;owned\x07\x1b[2J\r\n\x9b31mroot# \u202egnp.exe"


class Hostile(grpc.GenericRpcHandler):
    """Answers every call as a test wants."""

    def __init__(self, answer: bytes = b"", *, fail: Callable[[Any], Awaitable[None]] | None = None, times: int = 1):
        self._answer, self._fail, self._times = answer, fail, times

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if handler_call_details.method.endswith("/ReadChunk"):
            return grpc.unary_stream_rpc_method_handler(self._stream)
        return grpc.unary_unary_rpc_method_handler(self._one)

    async def _one(self, request: bytes, context: Any) -> bytes:
        if self._fail is not None:
            await self._fail(context)
        return self._answer

    async def _stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for _ in range(self._times):
            yield await self._one(request, context)


@asynccontextmanager
async def hostile(
    handler: Hostile, compression: grpc.Compression = grpc.Compression.NoCompression
) -> AsyncIterator[Connection]:
    options = (("grpc.max_send_message_length", -1), ("grpc.max_metadata_size", 16 * MIB))
    server = grpc.aio.server(compression=compression, options=options)
    server.add_generic_rpc_handlers((handler,))
    connection = Connection(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    await server.start()
    try:
        yield connection
    finally:
        await connection.close()
        await server.stop(0)


def calls(connection: Connection) -> Iterator[tuple[str, Callable[[], Awaitable[Any]]]]:
    """Yield every call that a client makes."""
    namespace, admin, chunks = connection.namespace, connection.admin, connection.chunks
    commit = Commit(INTENT, Version(2), 0, 0, (), b"", ())
    rename = Rename("/a", "/b", Version(1), Version(2), b"")
    restore = Restore("/a", "/b", Version(1), Version(2), b"")
    yield "get_cluster", namespace.get_cluster
    yield "stat", lambda: namespace.stat("/a")
    yield "list", lambda: namespace.list("/", page_size=10, page_token="")
    yield "make_directory", lambda: namespace.make_directory("/a", parents=True, exist_ok=True, request_id=REQUEST)
    yield "remove", lambda: namespace.remove("/a", recursive=True, request_id=REQUEST)
    yield "prepare_rename", lambda: namespace.prepare_rename("/a", "/b")
    yield "rename", lambda: namespace.rename(rename, request_id=REQUEST)
    yield "list_removed", lambda: namespace.list_removed("/", recursive=True, page_size=10, page_token="")
    yield "prepare_restore", lambda: namespace.prepare_restore("/a", version=Version(0), target="/b")
    yield "restore", lambda: namespace.restore(restore, request_id=REQUEST)
    yield "begin_write", lambda: namespace.begin_write("/a", precondition=ANY, chunk_count=1, request_id=REQUEST)
    yield (
        "allocate_chunks",
        lambda: namespace.allocate_chunks(INTENT, count=1, written=(), avoid=(), request_id=REQUEST),
    )
    yield "renew_intent", lambda: namespace.renew_intent(INTENT, fresh_version=True)
    yield "commit_write", lambda: namespace.commit_write(commit, request_id=REQUEST)
    yield "abandon_write", lambda: namespace.abandon_write(INTENT, request_id=REQUEST)
    yield "open_file", lambda: namespace.open_file("/a")
    yield "list_chunks", lambda: namespace.list_chunks(FileId(1), Version(1), start_index=0, count=1)
    yield "get_status", admin.get_status
    yield "describe_file", lambda: admin.describe_file("/a", start_index=0, count=1)
    yield "stat_chunk", lambda: chunks.stat_chunk(ChunkId(GroupId(1), 1))
    yield "read_chunk", lambda: read_all(connection)
    yield "read_range", lambda: chunks.read_range(ReadRequest(ChunkId(GroupId(1), 1), 0, 1))


async def read_all(connection: Connection) -> int:
    request = ReadRequest(ChunkId(GroupId(1), 1), 0, 0)
    return sum([len(frame.data) async for frame in connection.chunks.read_chunk(request)])


_RECORD = types.ChunkRecord(chunk_id=types.ChunkId(group_id=1, sequence=1), header=bytes(56))
_KEY = types.WrappedKey(kind=1, key_id=bytes(8), data=b"x")
ANSWERS: dict[str, Any] = {
    "get_cluster": v1.GetClusterResponse(cluster_id="no uuid"),
    "prepare_rename": v1.PrepareRenameResponse(cluster_id=UUID, wrapped_keys=[_KEY] * 65),
    "prepare_restore": v1.PrepareRestoreResponse(
        move=v1.PrepareRenameResponse(cluster_id=UUID, wrapped_keys=[_KEY] * 65)
    ),
    "begin_write": v1.BeginWriteResponse(intent_id="../../etc", cluster_id=UUID),
    "allocate_chunks": v1.AllocateChunksResponse(placements=[types.ChunkPlacement(chain=["x"])]),
    "open_file": v1.OpenFileResponse(cluster_id=UUID, wrapped_keys=[types.WrappedKey(kind=1, key_id=b"short")]),
    "list_chunks": v1.ListChunksResponse(chunks=[types.ChunkRecord(chunk_id=_RECORD.chunk_id, header=b"short")]),
    "describe_file": admin_v1.DescribeFileResponse(key_ids=["no hex"]),
    "stat_chunk": chunk_v1.StatChunkResponse(),
    "get_status": admin_v1.GetClusterStatusResponse(cluster_id="\x1b[2J"),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_with_bad_fields_is_the_servers_fault(name: str) -> None:
    async with hostile(Hostile(ANSWERS[name].SerializeToString())) as connection:
        with pytest.raises(errors.Internal) as caught:
            await dict(calls(connection))[name]()
    assert caught.value.reason == "ANSWER_INVALID"
    assert connection.address in caught.value.message


async def test_bad_text_in_a_description_is_the_servers_fault() -> None:
    chunk = admin_v1.ChunkDescription(chunk_id=_RECORD.chunk_id, crc32c="no hex")
    answer = admin_v1.DescribeFileResponse(chunks=[chunk]).SerializeToString()
    async with hostile(Hostile(answer)) as connection:
        with pytest.raises(errors.Internal) as caught:
            await connection.admin.describe_file("/a", start_index=0, count=1)
    assert caught.value.reason == "ANSWER_INVALID"


NONSENSE = [b"", b"\xff\xff", b"\x0a\x01\xff", b"\x08\x96\x01" * 50, bytes(200), b"\x12\xff\xff\xff\xff\x0f"]


@pytest.mark.parametrize("answer", NONSENSE, ids=repr)
async def test_nonsense_never_comes_out_as_anything_but_our_errors(answer: bytes) -> None:
    async with hostile(Hostile(answer)) as connection:
        for name, call in calls(connection):
            try:
                await call()
            except errors.DstoreError as error:
                # ``InvalidRequest`` would say that the caller is to blame.
                assert name in {"read_chunk", "read_range"} or not isinstance(error, errors.InvalidRequest), (
                    name,
                    error,
                )


@pytest.mark.parametrize("name", ["open_file", "read_chunk", "read_range"])
async def test_a_message_that_is_too_large_is_refused(name: str) -> None:
    async with hostile(Hostile(bytes(MESSAGE_SIZE_BYTES_MAX + 1))) as connection:
        with pytest.raises(errors.LimitExceeded) as caught:
            await dict(calls(connection))[name]()
    assert caught.value.reason == "MESSAGE_TOO_LARGE"


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
@pytest.mark.parametrize("name", ["open_file", "read_chunk", "read_range"])
async def test_a_message_that_grows_when_it_is_unpacked_is_refused(name: str, compression: grpc.Compression) -> None:
    bomb = bytes(32 * MIB)
    async with hostile(Hostile(bomb), compression) as connection:
        with pytest.raises(errors.LimitExceeded) as caught:
            await dict(calls(connection))[name]()
    assert caught.value.reason == "MESSAGE_TOO_LARGE"


def failing(code: grpc.StatusCode, message: str, reason: str, metadata: dict[str, str]) -> Hostile:
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="dstore", metadata=metadata))
    to_status: Any = rpc_status.to_status
    status = to_status(status_pb2.Status(code=code.value[0], message=message, details=[detail]))

    async def fail(context: Any) -> None:
        await context.abort_with_status(status)

    return Hostile(fail=fail)


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
async def test_an_error_cannot_steer_a_terminal(code: grpc.StatusCode) -> None:
    metadata = {"path": ESCAPES, "server_id": ESCAPES}
    async with hostile(failing(code, ESCAPES, "REASON\x1b[2J", metadata)) as connection:
        for name, call in calls(connection):
            with pytest.raises(errors.DstoreError) as caught:
                await call()
            shown = f"{caught.value} {caught.value!r} {caught.value.reason} {caught.value.message}"
            assert shown.isprintable(), (name, shown)


async def test_an_error_of_gigantic_size_is_short() -> None:
    for size in (3_000, 50_000, 1_000_000):
        handler = failing(grpc.StatusCode.DATA_LOSS, "x" * size, "CHUNK_CORRUPT", {})
        async with hostile(handler) as connection:
            with pytest.raises(errors.DstoreError) as caught:
                await connection.namespace.open_file("/a")
        assert len(caught.value.message) < 3_000


ADDRESSES = ["", ":", "x", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999999", "[::1", "a b:1", "\0:1", "ü:1", "%00:1"]
SCHEMES = ["unix:/nowhere", "unix-abstract:x", "unix:1", "xds:///x", "ipv4:127.0.0.1", "vsock:1:1", "../..:1"]


@pytest.mark.parametrize("address", [*ADDRESSES, *SCHEMES, ESCAPES, "x" * 70_000])
async def test_addresses_that_a_master_may_make_up(address: str) -> None:
    connections = Connections()
    started_s = time.monotonic()
    try:
        with pytest.raises(errors.DstoreError) as caught:
            async for _ in connections.chunks(address).read_chunk(ReadRequest(ChunkId(GroupId(1), 1), 0, 0)):
                pass
    finally:
        await connections.close()
    assert caught.value.message.isprintable() and len(caught.value.message) < 3_000
    assert time.monotonic() - started_s < 10


async def test_a_master_cannot_point_a_client_at_a_local_socket(tmp_path: Any) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Hostile(),))
    server.add_insecure_port(f"unix:{tmp_path}/socket")
    await server.start()
    connections = Connections()
    try:
        with pytest.raises(errors.DstoreError) as caught:
            async for _ in connections.chunks(f"unix:{tmp_path}/socket").read_chunk(
                ReadRequest(ChunkId(GroupId(1), 1), 0, 0)
            ):
                pass
        assert caught.value.reason == "ADDRESS_INVALID"
    finally:
        await connections.close()
        await server.stop(0)


async def test_a_status_cannot_steer_a_terminal() -> None:
    check = admin_v1.HealthCheck(code=ESCAPES, message=ESCAPES, hint=ESCAPES)
    answer = admin_v1.GetClusterStatusResponse(
        cluster_id=UUID, summary=ESCAPES, version=ESCAPES, checks=[check], policy=types.Policy(name=ESCAPES)
    )
    status = convert.status_from_proto(answer, [])
    (found,) = status.checks
    for text in (status.summary, status.version, status.policy.name, found.code, found.message, found.hint):
        assert text.isprintable() and "owned" in text
