"""``ChunkService`` over gRPC: both sides of ``core.interfaces.Chunks``.

The data methods send and receive bytes (``rpc/frames.py``); everything else is ordinary protobuf.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import grpc

from dstore.core.chunks import ChunkStat, Frame, ReadRequest, WriteFinish, WriteHeader, WriteResult
from dstore.core.digests import GroupDigest, HeldPage
from dstore.core.errors import DeadlineExceeded, DstoreError, InvalidRequest
from dstore.core.ids import ChunkId, GroupId
from dstore.core.interfaces import Chunks, ChunkWriter
from dstore.core.limits import REPLICAS_MAX, STREAM_STALL_STEP_S, STREAM_STALL_TIMEOUT_S
from dstore.rpc import frames, status
from dstore.rpc.call import Caller, closed_error
from dstore.rpc.convert import chunks as convert
from dstore.rpc.convert.files import chunk_id_from_proto, chunk_id_to_proto
from dstore.rpc.request_metadata import outgoing, outgoing_if_chosen
from dstore.v1 import chunk_service_pb2 as v1
from dstore.v1 import chunk_service_pb2_grpc

T = TypeVar("T")

#: A writer that sends nothing for this long is gone: longer than any relay before this server waits.
_WRITER_SILENCE_MAX_S = STREAM_STALL_TIMEOUT_S + STREAM_STALL_STEP_S * (REPLICAS_MAX + 1)

#: What grpc.aio reports for a failed write, and how long to wait for the receiver's own status.
_STAND_IN_DETAILS = "Internal error from Core"
_STATUS_POLL_INTERVAL_S = 0.01
_STATUS_POLLS_MAX = 100


class ChunksClient:
    """``Chunks`` at the other end of a channel."""

    def __init__(self, channel: Any, caller: Caller):
        self._call = caller
        self._stub = chunk_service_pb2_grpc.ChunkServiceStub(channel)
        self._write = channel.stream_unary(
            "/dstore.v1.ChunkService/WriteChunk",
            request_serializer=None,
            response_deserializer=v1.WriteChunkResponse.FromString,
        )
        self._read = channel.unary_stream(
            "/dstore.v1.ChunkService/ReadChunk",
            request_serializer=v1.ReadChunkRequest.SerializeToString,
            response_deserializer=None,
        )
        self._range = channel.unary_unary(
            "/dstore.v1.ChunkService/ReadRange",
            request_serializer=v1.ReadRangeRequest.SerializeToString,
            response_deserializer=None,
        )

    async def write_chunk(self, header: WriteHeader) -> ChunkWriter:
        try:
            writer = _RemoteWriter(self._write(metadata=outgoing()), self._call)
        except grpc.aio.UsageError as failure:
            raise closed_error(self._call.address) from failure
        try:
            await writer.open(header)
        except BaseException:
            # Nobody else has the stream yet, so nobody else could end it.
            await writer.abort()
            raise
        return writer

    async def read_chunk(self, request: ReadRequest) -> AsyncIterator[Frame]:
        try:
            call = self._read(convert.read_request_to_proto(request), metadata=outgoing())
        except grpc.aio.UsageError as failure:
            raise closed_error(self._call.address) from failure
        try:
            async for raw in call:
                yield frames.decode_read_message(raw)
        except grpc.aio.AioRpcError as failure:
            raise status.to_error(failure, address=self._call.address) from failure
        finally:
            call.cancel()

    async def read_range(self, request: ReadRequest) -> Frame:
        try:
            # Without a deadline on the wire, which costs a tenth of the call: the caller's patience is shorter.
            raw = await self._range(convert.range_request_to_proto(request), metadata=outgoing_if_chosen())
        except grpc.aio.AioRpcError as failure:
            raise status.to_error(failure, address=self._call.address) from failure
        except grpc.aio.UsageError as failure:
            raise closed_error(self._call.address) from failure
        return frames.decode_read_message(raw)

    async def stat_chunk(self, chunk_id: ChunkId) -> ChunkStat:
        request = v1.StatChunkRequest(chunk_id=chunk_id_to_proto(chunk_id))
        return await self._call(self._stub.StatChunk, request, convert.stat_from_proto)

    async def get_group_digest(self, group_id: GroupId) -> GroupDigest:
        request = v1.GetGroupDigestRequest(group_id=group_id)
        return await self._call(self._stub.GetGroupDigest, request, convert.digest_from_proto)

    async def list_group(self, group_id: GroupId, *, bucket: int | None, after_sequence: int, count: int) -> HeldPage:
        request = v1.ListGroupRequest(group_id=group_id, bucket=bucket, after_sequence=after_sequence, page_size=count)
        return await self._call(self._stub.ListGroup, request, convert.held_page_from_proto)


class _RemoteWriter:
    """A ``ChunkWriter`` whose receiver is at the other end of a stream."""

    def __init__(self, stream: Any, caller: Caller):
        self._stream = stream
        self._call = caller
        self._address = caller.address
        self._failure: grpc.aio.AioRpcError | None = None
        stream.add_done_callback(self._note_status)

    async def open(self, header: WriteHeader) -> None:
        await self._send(convert.header_to_proto(header).SerializeToString())

    async def send(self, frame: Frame) -> None:
        await self._send(frames.encode_write_frame(frame))

    async def finish(self, finish: WriteFinish) -> WriteResult:
        await self._send(convert.finish_to_proto(finish).SerializeToString())
        try:
            await self._stream.done_writing()
            answer = await self._stream
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as failure:
            raise await self._reason() from failure
        with self._call.reading():
            return convert.result_from_proto(answer)

    async def abort(self) -> None:
        self._stream.cancel()

    async def _send(self, message: bytes) -> None:
        try:
            await self._stream.write(message)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as failure:
            # The receiver ended the call before it had everything; its status says why.
            raise await self._reason() from failure

    async def _reason(self) -> DstoreError:
        """Return why the receiver ended the call."""
        for _ in range(_STATUS_POLLS_MAX):
            self._note_status(self._stream)
            if self._failure is not None:
                break
            await asyncio.sleep(_STATUS_POLL_INTERVAL_S)
        failure = self._failure or grpc.aio.AioRpcError(
            await self._stream.code(), grpc.aio.Metadata(), grpc.aio.Metadata(), details=await self._stream.details()
        )
        if failure.code() is grpc.StatusCode.OK:
            return InvalidRequest(
                f"The server at {self._address} answered a chunk stream before it was finished.",
                reason="STREAM_INVALID",
            )
        return status.to_error(failure, address=self._address)

    def _note_status(self, call: Any) -> None:
        """Keep the receiver's status.

        A write that fails puts a stand-in in its place: when the status comes first, for good; when it comes later,
        for a moment.
        """
        code, details = _settled(call.code()), _settled(call.details())
        if self._failure is None and code is not None and details != _STAND_IN_DETAILS:
            trailers = _settled(call.trailing_metadata())
            self._failure = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, details=details)


def _settled(coroutine: Coroutine[Any, Any, T]) -> T | None:
    """Return what a coroutine returns that has nothing to wait for, None for one that has."""
    try:
        coroutine.send(None)
    except StopIteration as result:
        value: T = result.value
        return value
    coroutine.close()
    return None


class ChunksServicer:
    """Speaks ChunkService on behalf of ``Chunks``."""

    def __init__(self, chunks: Chunks):
        self._chunks = chunks

    def handlers(self) -> dict[str, Any]:
        """Return the method handlers: the data methods with bytes in and bytes out."""
        return {
            "WriteChunk": grpc.stream_unary_rpc_method_handler(
                self.write_chunk,
                request_deserializer=None,
                response_serializer=v1.WriteChunkResponse.SerializeToString,
            ),
            "ReadChunk": grpc.unary_stream_rpc_method_handler(
                self.read_chunk, request_deserializer=v1.ReadChunkRequest.FromString, response_serializer=None
            ),
            "ReadRange": grpc.unary_unary_rpc_method_handler(
                self.read_range, request_deserializer=v1.ReadRangeRequest.FromString, response_serializer=None
            ),
            "StatChunk": grpc.unary_unary_rpc_method_handler(
                self.stat_chunk,
                request_deserializer=v1.StatChunkRequest.FromString,
                response_serializer=v1.StatChunkResponse.SerializeToString,
            ),
            "GetGroupDigest": grpc.unary_unary_rpc_method_handler(
                self.get_group_digest,
                request_deserializer=v1.GetGroupDigestRequest.FromString,
                response_serializer=v1.GetGroupDigestResponse.SerializeToString,
            ),
            "ListGroup": grpc.unary_unary_rpc_method_handler(
                self.list_group,
                request_deserializer=v1.ListGroupRequest.FromString,
                response_serializer=v1.ListGroupResponse.SerializeToString,
            ),
        }

    async def write_chunk(self, requests: AsyncIterator[bytes], context: Any) -> v1.WriteChunkResponse:
        """Feed a stream to a ``ChunkWriter``; whatever goes wrong, the chunk is dropped."""
        header = await _next_message(requests)
        if not isinstance(header, WriteHeader):
            raise _stream_invalid("does not start with a header")
        writer = await self._chunks.write_chunk(header)
        try:
            while isinstance(message := await _next_message(requests), Frame):
                await writer.send(message)
            if not isinstance(message, WriteFinish):
                raise _stream_invalid("has a second header" if message else "ended without a finish")
            if await _next_message(requests) is not None:
                raise _stream_invalid("goes on after its finish")
            result = await writer.finish(message)
        except BaseException:
            await writer.abort()
            raise
        return convert.result_to_proto(result)

    async def read_chunk(self, request: v1.ReadChunkRequest, context: Any) -> AsyncIterator[bytes]:
        """Send a range as frames."""
        async for frame in self._chunks.read_chunk(convert.read_request_from_proto(request)):
            yield frames.encode_read_frame(frame)

    async def read_range(self, request: v1.ReadRangeRequest, context: Any) -> bytes:
        """Send a range as one frame."""
        return frames.encode_read_frame(await self._chunks.read_range(convert.range_request_from_proto(request)))

    async def stat_chunk(self, request: v1.StatChunkRequest, context: Any) -> v1.StatChunkResponse:
        """Describe a stored chunk."""
        stat = await self._chunks.stat_chunk(chunk_id_from_proto(request.chunk_id))
        return convert.stat_to_proto(stat)

    async def get_group_digest(self, request: v1.GetGroupDigestRequest, context: Any) -> v1.GetGroupDigestResponse:
        """Digest a group."""
        return convert.digest_to_proto(await self._chunks.get_group_digest(GroupId(request.group_id)))

    async def list_group(self, request: v1.ListGroupRequest, context: Any) -> v1.ListGroupResponse:
        """List a group."""
        page = await self._chunks.list_group(
            GroupId(request.group_id),
            bucket=request.bucket if request.HasField("bucket") else None,
            after_sequence=request.after_sequence,
            count=request.page_size,
        )
        return convert.held_page_to_proto(page)


async def _next_message(requests: AsyncIterator[bytes]) -> WriteHeader | Frame | WriteFinish | None:
    """Return the next message of a write stream, None at its end."""
    try:
        async with asyncio.timeout(_WRITER_SILENCE_MAX_S):
            raw = await anext(requests, None)
    except TimeoutError:
        raise DeadlineExceeded(
            f"The writer sent nothing for {_WRITER_SILENCE_MAX_S:.0f} s; the chunk is dropped, write it again.",
            reason="STREAM_STALLED",
        ) from None
    return None if raw is None else frames.decode_write_message(raw)


def _stream_invalid(what: str) -> InvalidRequest:
    return InvalidRequest(f"The write stream {what}; send one header, frames, one finish.", reason="STREAM_INVALID")
