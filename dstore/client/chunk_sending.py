"""One chunk on its way to one chain of chunkservers: sealed frame by frame, sent, acknowledged. One attempt."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from dstore.core.checksum import crc32c
from dstore.core.chunks import ChainMember, Durability, WriteFinish, WriteHeader, WriteResult
from dstore.core.crc32c_combining import combined
from dstore.core.errors import DeadlineExceeded, DstoreError, NotReady, OutOfSpace, Unavailable
from dstore.core.files import ChunkPlacement, ChunkRecord, WrittenChunk
from dstore.core.ids import ClusterId, ServerId
from dstore.core.interfaces import ChunkWriter, Peers
from dstore.core.limits import (
    CHUNK_HEADER_SIZE_BYTES,
    CHUNK_WRITE_ATTEMPTS_MAX,
    FRAME_SEGMENTS,
    FRAME_SIZE_BYTES,
    SEGMENT_SEALED_SIZE_BYTES,
    SEGMENT_SIZE_BYTES,
    STREAM_STALL_STEP_S,
    STREAM_STALL_TIMEOUT_S,
)
from dstore.crypto.cobblestone import ChunkSealer, sealed_length
from dstore.rpc.write_messages import WriteFrameBuffer

T = TypeVar("T")

_STRIDE_SIZE_BYTES = FRAME_SEGMENTS * SEGMENT_SIZE_BYTES
#: Sealed and summed while it is in the core's cache.
_PIECE_SIZE_BYTES = 16 * SEGMENT_SIZE_BYTES

assert _STRIDE_SIZE_BYTES % _PIECE_SIZE_BYTES == 0


@dataclass(frozen=True, slots=True)
class ChunkToSend:
    """A chunk and what it is to be sealed with.

    Attributes:
        plaintext: must not change while it is sent.
        sealer: with a salt that no other bytes were ever sealed with.
    """

    index: int
    plaintext: memoryview = field(repr=False)
    sealer: ChunkSealer
    descriptor: bytes = field(repr=False)


async def send_chunk(
    peers: Peers,
    chunk: ChunkToSend,
    placement: ChunkPlacement,
    *,
    cluster_id: ClusterId,
    min_replicas: int,
    durability: Durability,
    buffer: WriteFrameBuffer,
) -> WrittenChunk:
    """Write a chunk to a chain and return its record with the servers that have it as durable as was asked for.

    The placement must have passed ``check_placement``. ``buffer`` holds one frame at a time.

    Raises:
        DstoreError: the chunk must be given up (Invariant 6); ``blamed_server`` tells who failed.
    """
    chain = _chain(placement)
    head = _Head(chain)
    length_bytes = sealed_length(len(chunk.plaintext))
    header = WriteHeader(
        chunk_id=placement.chunk_id,
        cluster_id=cluster_id,
        group_epoch=placement.group.epoch,
        length_bytes=length_bytes,
        durability=durability,
        chain=chain[1:],
        descriptor=chunk.descriptor,
    )
    writer = await head.within(peers.chunks(chain[0].address).write_chunk(header))
    try:
        crc = await _send_frames(writer, chunk, head, buffer)
        result = await head.within(writer.finish(WriteFinish(length_bytes, crc)))
        replicas = _acknowledged(result, chain, min_replicas, durability)
    except BaseException:
        await writer.abort()
        raise
    return WrittenChunk(ChunkRecord(chunk.index, placement.chunk_id, length_bytes, crc, chunk.sealer.header), replicas)


def blamed_server(error: DstoreError, placement: ChunkPlacement) -> ServerId | None:
    """Return which server of the chain failed: the one that the error names, else the head.

    None when nobody did: a stale epoch only means that the placement is old.
    """
    if error.reason == "STALE_GROUP_EPOCH":
        return None
    named = error.metadata.get("server_id")
    return ServerId(named) if named in placement.chain else placement.chain[0]


class _Head:
    """The first server of a chain, which must make progress in time.

    It gets one step more than it gives the next server, so that the hop next to a fault reports it.
    """

    __slots__ = ("_member", "_stall_timeout_s")

    def __init__(self, chain: tuple[ChainMember, ...]) -> None:
        self._member = chain[0]
        self._stall_timeout_s = STREAM_STALL_TIMEOUT_S + STREAM_STALL_STEP_S * (len(chain) + 1)

    async def within(self, step: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._stall_timeout_s):
                return await step
        except DeadlineExceeded:
            raise
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"The chunkserver at {self._member.address} made no progress for {self._stall_timeout_s:.0f} s; it "
                "may be hung or overloaded.",
                reason="STREAM_STALLED",
                metadata={"server_id": self._member.server_id, "address": self._member.address},
            ) from error


async def _send_frames(writer: ChunkWriter, chunk: ChunkToSend, head: _Head, buffer: WriteFrameBuffer) -> int:
    """Seal and send all frames; return the CRC32C of the whole ciphertext."""
    length_bytes = sealed_length(len(chunk.plaintext))
    sent, whole_crc = 0, 0
    for start in range(0, max(len(chunk.plaintext), 1), _STRIDE_SIZE_BYTES):
        end = CHUNK_HEADER_SIZE_BYTES + start // SEGMENT_SIZE_BYTES * SEGMENT_SEALED_SIZE_BYTES + FRAME_SIZE_BYTES
        if start + _STRIDE_SIZE_BYTES >= len(chunk.plaintext):
            end = length_bytes
        with buffer.begin(sent, end - sent) as out:
            crc = _seal_frame(chunk, start, out)
        whole_crc = combined(whole_crc, crc, end - sent)
        # No name for the frame: while somebody has it, its memory cannot be used again.
        await head.within(writer.send(buffer.end(crc)))
        sent = end
    return whole_crc


def _seal_frame(chunk: ChunkToSend, start: int, out: memoryview) -> int:
    """Seal the frame that begins with byte ``start`` of the plaintext; return its CRC32C."""
    filled, crc = 0, 0
    if start == 0:
        filled = CHUNK_HEADER_SIZE_BYTES
        out[:filled] = chunk.sealer.header
        crc = crc32c(chunk.sealer.header)
    size = len(chunk.plaintext)
    frame_end = min(start + _STRIDE_SIZE_BYTES, size)
    for piece_start in range(start, max(frame_end, start + 1), _PIECE_SIZE_BYTES):
        end = min(piece_start + _PIECE_SIZE_BYTES, size)
        piece_end = filled + chunk.sealer.seal_segments(
            chunk.plaintext[piece_start:end], piece_start // SEGMENT_SIZE_BYTES, out[filled:], last=end == size
        )
        crc = crc32c(out[filled:piece_end], crc)
        filled = piece_end
    assert filled == len(out)
    return crc


def _chain(placement: ChunkPlacement) -> tuple[ChainMember, ...]:
    members = {replica.server_id: replica for replica in placement.group.members}
    return tuple(ChainMember(server_id, members[server_id].address) for server_id in placement.chain)


def _acknowledged(
    result: WriteResult, chain: tuple[ChainMember, ...], min_replicas: int, durability: Durability
) -> tuple[ServerId, ...]:
    """Return the servers that hold the chunk as demanded. Invariant 1: fewer than demanded is a failure."""
    durable = [ack.server_id for ack in result.replicas if ack.durability.covers(durability)]
    expected = {member.server_id for member in chain}
    if len(durable) != len(set(durable)) or not set(durable) <= expected or len(durable) < min_replicas:
        raise NotReady(
            f"The chunkserver at {chain[0].address} acknowledged {len(durable)} copies as {durability.value}, of which "
            f"{min_replicas} are needed on distinct servers of the chain; the chunk is written again elsewhere.",
            reason="ACKNOWLEDGEMENT_INVALID",
            metadata={"server_id": chain[0].server_id},
        )
    return tuple(durable)


def not_written(path: str, index: int, tried: Sequence[str], failure: DstoreError) -> DstoreError:
    """Return the error for a chunk of which every attempt failed, the last one with ``failure``."""
    kind = OutOfSpace if isinstance(failure, OutOfSpace) else Unavailable
    return kind(
        f"Chunk {index} of {path} could not be written in {CHUNK_WRITE_ATTEMPTS_MAX} attempts; the last one "
        f"failed with: {failure.message} See `dstore status`, then write the file again.",
        reason="CHUNK_NOT_WRITTEN",
        metadata={"path": path, "chunk_index": str(index), "tried": "; ".join(tried)},
    )
