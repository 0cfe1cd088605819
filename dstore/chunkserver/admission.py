"""Which write headers a server takes. Pure."""

from dstore.chunkserver.chunkfile import GROUP_ID_MAX, LENGTH_BYTES_MAX, SEQUENCE_MAX
from dstore.chunkserver.epochs import EPOCH_MAX
from dstore.chunkserver.identity import DiskIdentity
from dstore.core.chunks import WriteHeader
from dstore.core.errors import InvalidRequest, NotReady, Unavailable
from dstore.core.limits import DESCRIPTOR_SIZE_BYTES_MAX, REPLICAS_MAX


def check_header(header: WriteHeader, identity: DiskIdentity) -> None:
    """Check what can be said of a header without looking at the disk.

    Raises:
        Unavailable: when the server has not joined its cluster yet.
        NotReady: ``WRONG_CLUSTER``.
        InvalidRequest: ``HEADER_INVALID``.
    """
    if identity.cluster_id is None:
        raise Unavailable(
            "This chunkserver has not joined its cluster yet. Use another one, or retry in a moment.",
        )
    if header.cluster_id != identity.cluster_id:
        raise NotReady(
            f"This chunkserver belongs to cluster {identity.cluster_id}, the request is for "
            f"{header.cluster_id[:64]!r}. Ask the master of your cluster where its servers are.",
            reason="WRONG_CLUSTER",
        )
    problem = _problem(header, identity)
    if problem is not None:
        raise InvalidRequest(
            f"The header of the write stream is invalid: {problem}. Correct it.", reason="HEADER_INVALID"
        )


def _problem(header: WriteHeader, identity: DiskIdentity) -> str | None:
    chunk_id = header.chunk_id
    if not (1 <= chunk_id.group_id <= GROUP_ID_MAX and 1 <= chunk_id.sequence <= SEQUENCE_MAX):
        return f"the chunk id {chunk_id.group_id}, {chunk_id.sequence} is out of range"
    if not 0 <= header.group_epoch <= EPOCH_MAX:
        return f"the group epoch {header.group_epoch} is out of range"
    if not 1 <= header.length_bytes <= LENGTH_BYTES_MAX:
        return f"the length {header.length_bytes} is not within 1 to {LENGTH_BYTES_MAX}"
    if len(header.descriptor) > DESCRIPTOR_SIZE_BYTES_MAX:
        return f"the descriptor has {len(header.descriptor)} bytes, the limit is {DESCRIPTOR_SIZE_BYTES_MAX}"
    if len(header.chain) >= REPLICAS_MAX:
        return f"the chain has {len(header.chain)} further servers, the limit is {REPLICAS_MAX - 1}"
    members = {identity.server_id, *(member.server_id for member in header.chain)}
    if len(members) != len(header.chain) + 1:
        return "a server is in the chain twice, or this server is in it"
    if not all(member.address for member in header.chain):
        return "a member of the chain has no address"
    return None
