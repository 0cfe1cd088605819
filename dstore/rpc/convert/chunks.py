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
from dstore.core.errors import InvalidRequest
from dstore.rpc.convert.files import chunk_id_from_proto, chunk_id_to_proto
from dstore.rpc.convert.groups import cluster_id_from_text, server_id_from_text
from dstore.v1 import chunk_service_pb2 as chunk_v1


def _durability_from_proto(durability: chunk_v1.Durability) -> Durability:
    if durability in (chunk_v1.DURABILITY_UNSPECIFIED, chunk_v1.DURABILITY_SYNCED):
        return Durability.SYNCED
    # A durability that this version does not know must not be acknowledged as if it were kept.
    raise InvalidRequest(
        f"Durability {int(durability)} is not known to this server; upgrade it, or ask for DURABILITY_SYNCED.",
        reason="HEADER_INVALID",
    )


def header_to_proto(header: WriteHeader) -> chunk_v1.WriteChunkRequest:
    """Convert the opening of a write stream."""
    return chunk_v1.WriteChunkRequest(
        header=chunk_v1.WriteChunkRequest.Header(
            chunk_id=chunk_id_to_proto(header.chunk_id),
            cluster_id=header.cluster_id,
            group_epoch=header.group_epoch,
            length_bytes=header.length_bytes,
            durability=chunk_v1.DURABILITY_SYNCED,
            chain=[chunk_v1.ChainMember(server_id=member.server_id, address=member.address) for member in header.chain],
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
            chunk_v1.ReplicaAck(server_id=ack.server_id, durability=chunk_v1.DURABILITY_SYNCED)
            for ack in result.replicas
        ]
    )


def result_from_proto(response: chunk_v1.WriteChunkResponse) -> WriteResult:
    """Convert acknowledgements; one without a declared durability counts for nothing."""
    return WriteResult(
        replicas=tuple(
            ReplicaAck(server_id=server_id_from_text(ack.server_id), durability=Durability.SYNCED)
            for ack in response.replicas
            if ack.durability == chunk_v1.DURABILITY_SYNCED
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
