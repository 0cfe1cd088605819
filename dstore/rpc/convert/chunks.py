"""Headers, acknowledgements and requests of the data path; frames are in ``rpc/frames.py``."""

from dstore.core.chunks import (
    ChainMember,
    ChunkStat,
    Durability,
    ReadRequest,
    ReplicaAck,
    WriteFinish,
    WriteHeader,
    WriteResult,
)
from dstore.core.digests import BUCKET_COUNT, DIGEST_SIZE_BYTES, GroupDigest, HeldChunk, HeldPage
from dstore.core.errors import InvalidRequest
from dstore.core.ids import GroupId
from dstore.rpc.convert.files import chunk_id_from_proto, chunk_id_to_proto
from dstore.rpc.convert.groups import cluster_id_from_text, server_id_from_text
from dstore.v1 import chunk_service_pb2 as chunk_v1
from dstore.v1 import types_pb2 as types_v1

_DURABILITIES = {
    chunk_v1.DURABILITY_SYNCED: Durability.SYNCED,
    chunk_v1.DURABILITY_REPLICATED: Durability.REPLICATED,
}
_DURABILITIES_TO_PROTO = {value: key for key, value in _DURABILITIES.items()}


def _durability_from_proto(durability: chunk_v1.Durability) -> Durability:
    known = _DURABILITIES.get(durability or chunk_v1.DURABILITY_SYNCED)
    if known is None:
        # A durability that this version does not know must not be acknowledged as if it were kept.
        raise InvalidRequest(
            f"Durability {int(durability)} is not known to this server; upgrade it, or ask for DURABILITY_SYNCED.",
            reason="HEADER_INVALID",
        )
    return known


def header_to_proto(header: WriteHeader) -> chunk_v1.WriteChunkRequest:
    """Convert the opening of a write stream."""
    return chunk_v1.WriteChunkRequest(
        header=chunk_v1.WriteChunkRequest.Header(
            chunk_id=chunk_id_to_proto(header.chunk_id),
            cluster_id=header.cluster_id,
            group_epoch=header.group_epoch,
            length_bytes=header.length_bytes,
            durability=_DURABILITIES_TO_PROTO[header.durability],
            chain=[types_v1.ChainMember(server_id=member.server_id, address=member.address) for member in header.chain],
            descriptor=header.descriptor,
        )
    )


def header_from_proto(header: chunk_v1.WriteChunkRequest.Header) -> WriteHeader:
    """Convert the opening of a write stream."""
    return WriteHeader(
        chunk_id=chunk_id_from_proto(header.chunk_id),
        cluster_id=cluster_id_from_text(header.cluster_id),
        group_epoch=header.group_epoch,
        length_bytes=header.length_bytes,
        durability=_durability_from_proto(header.durability),
        chain=tuple(
            ChainMember(server_id=server_id_from_text(member.server_id), address=member.address)
            for member in header.chain
        ),
        descriptor=header.descriptor,
    )


def finish_to_proto(finish: WriteFinish) -> chunk_v1.WriteChunkRequest:
    """Convert the commit of a write stream."""
    return chunk_v1.WriteChunkRequest(
        finish=chunk_v1.WriteChunkRequest.Finish(length_bytes=finish.length_bytes, crc32c=finish.crc32c)
    )


def finish_from_proto(finish: chunk_v1.WriteChunkRequest.Finish) -> WriteFinish:
    """Convert the commit of a write stream."""
    return WriteFinish(length_bytes=finish.length_bytes, crc32c=finish.crc32c)


def result_to_proto(result: WriteResult) -> chunk_v1.WriteChunkResponse:
    """Convert acknowledgements."""
    return chunk_v1.WriteChunkResponse(
        replicas=[
            chunk_v1.ReplicaAck(server_id=ack.server_id, durability=_DURABILITIES_TO_PROTO[ack.durability])
            for ack in result.replicas
        ]
    )


def result_from_proto(response: chunk_v1.WriteChunkResponse) -> WriteResult:
    """Convert acknowledgements; one without a declared durability counts for nothing."""
    return WriteResult(
        replicas=tuple(
            ReplicaAck(server_id=server_id_from_text(ack.server_id), durability=_DURABILITIES[ack.durability])
            for ack in response.replicas
            if ack.durability in _DURABILITIES
        )
    )


def read_request_to_proto(request: ReadRequest) -> chunk_v1.ReadChunkRequest:
    """Convert a range."""
    return chunk_v1.ReadChunkRequest(
        chunk_id=chunk_id_to_proto(request.chunk_id),
        offset=request.offset,
        length_bytes=request.length_bytes,
        frame_size_bytes=request.frame_size_bytes,
    )


def read_request_from_proto(request: chunk_v1.ReadChunkRequest) -> ReadRequest:
    """Convert a range."""
    return ReadRequest(
        chunk_id=chunk_id_from_proto(request.chunk_id),
        offset=request.offset,
        length_bytes=request.length_bytes,
        frame_size_bytes=request.frame_size_bytes,
    )


def range_request_to_proto(request: ReadRequest) -> chunk_v1.ReadRangeRequest:
    """Convert the request for a range that fits in one frame."""
    return chunk_v1.ReadRangeRequest(
        chunk_id=chunk_id_to_proto(request.chunk_id), offset=request.offset, length_bytes=request.length_bytes
    )


def range_request_from_proto(request: chunk_v1.ReadRangeRequest) -> ReadRequest:
    """Convert the request for a range that fits in one frame."""
    return ReadRequest(chunk_id_from_proto(request.chunk_id), request.offset, request.length_bytes)


def stat_to_proto(stat: ChunkStat) -> chunk_v1.StatChunkResponse:
    """Convert what a server holds of a chunk."""
    return chunk_v1.StatChunkResponse(
        chunk_id=chunk_id_to_proto(stat.chunk_id),
        length_bytes=stat.length_bytes,
        crc32c=stat.crc32c,
        descriptor=stat.descriptor,
    )


def stat_from_proto(response: chunk_v1.StatChunkResponse) -> ChunkStat:
    """Convert what a server holds of a chunk."""
    return ChunkStat(
        chunk_id=chunk_id_from_proto(response.chunk_id),
        length_bytes=response.length_bytes,
        crc32c=response.crc32c,
        descriptor=response.descriptor,
    )


def digest_to_proto(digest: GroupDigest) -> chunk_v1.GetGroupDigestResponse:
    """Convert the digests of a group."""
    return chunk_v1.GetGroupDigestResponse(
        group_id=digest.group_id, epoch=digest.epoch, chunk_count=digest.chunk_count, buckets=digest.buckets
    )


def digest_from_proto(response: chunk_v1.GetGroupDigestResponse) -> GroupDigest:
    """Convert the digests of a group."""
    buckets = tuple(response.buckets)
    if len(buckets) not in (0, BUCKET_COUNT) or any(len(bucket) != DIGEST_SIZE_BYTES for bucket in buckets):
        raise InvalidRequest("A group has 256 digests of 16 bytes, or none.", reason="MESSAGE_INVALID")
    return GroupDigest(GroupId(response.group_id), response.epoch, response.chunk_count, buckets)


def held_page_to_proto(page: HeldPage) -> chunk_v1.ListGroupResponse:
    """Convert a list of chunks."""
    return chunk_v1.ListGroupResponse(
        chunks=[
            chunk_v1.HeldChunk(sequence=chunk.sequence, length_bytes=chunk.length_bytes, crc32c=chunk.crc32c)
            for chunk in page.chunks
        ],
        last_page=page.is_last,
    )


def held_page_from_proto(response: chunk_v1.ListGroupResponse) -> HeldPage:
    """Convert a list of chunks."""
    chunks = tuple(HeldChunk(chunk.sequence, chunk.length_bytes, chunk.crc32c) for chunk in response.chunks)
    return HeldPage(chunks, response.last_page)
