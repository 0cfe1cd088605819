"""What a client and a chunkserver of the same machine say on a local socket; docs/local-reads.md has every byte.

Each message is one packet of a Unix socket that keeps packets apart. An answer that gives a chunk carries one open file
descriptor beside its bytes. Pure functions; all integers are unsigned and big-endian.
"""

import struct
from dataclasses import dataclass, field
from typing import Any

from dstore.core.errors import InvalidRequest
from dstore.core.ids import ChunkId, ClusterId, GroupId, ServerId, uuid_bytes, uuid_from_bytes
from dstore.core.limits import LOCAL_TOKEN_SIZE_BYTES_MAX

REQUEST_MAGIC = b"dstoreLQ"
ANSWER_MAGIC = b"dstoreLA"
VERSION = 1

_REQUEST = struct.Struct(">8sI16s16sIQH")
_ANSWER = struct.Struct(">8sI16s16sIQQQH")
_REASON_SIZE_BYTES_MAX = 64

#: One byte more than this tells that a packet is too long.
REQUEST_SIZE_BYTES_MAX = _REQUEST.size + LOCAL_TOKEN_SIZE_BYTES_MAX
ANSWER_SIZE_BYTES_MAX = _ANSWER.size + _REASON_SIZE_BYTES_MAX

assert _REQUEST.size == 58
assert _ANSWER.size == 74


@dataclass(frozen=True, slots=True)
class LocalRequest:
    """Asks for the open file of a chunk.

    Attributes:
        cluster_id: a server of another one refuses.
        server_id: so does another server.
        token: proof that the client may read the chunk; empty without one.
    """

    cluster_id: ClusterId
    server_id: ServerId
    chunk_id: ChunkId
    token: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class LocalAnswer:
    """Gives a chunk, or says why not.

    Attributes:
        cluster_id: as in the request, as is all that follows.
        offset: of the ciphertext in the file.
        length_bytes: of the ciphertext.
        refusal: the reason of the error that ``ReadChunk`` would give; empty when a descriptor comes along.
    """

    cluster_id: ClusterId
    server_id: ServerId
    chunk_id: ChunkId
    offset: int = 0
    length_bytes: int = 0
    refusal: str = ""


def socket_name(server_id: ServerId) -> bytes:
    """Return the name of a server's socket: an abstract one, which is no file and ends with its process."""
    return b"\0dstore/chunkserver/" + server_id.encode("ascii")


def encode_request(request: LocalRequest) -> bytes:
    """Return the packet."""
    assert len(request.token) <= LOCAL_TOKEN_SIZE_BYTES_MAX
    head = _REQUEST.pack(
        REQUEST_MAGIC,
        VERSION,
        uuid_bytes(request.cluster_id),
        uuid_bytes(request.server_id),
        request.chunk_id.group_id,
        request.chunk_id.sequence,
        len(request.token),
    )
    return head + request.token


def decode_request(packet: bytes) -> LocalRequest:
    """Read a packet.

    Raises:
        InvalidRequest: reason ``LOCAL_MESSAGE_INVALID``.
    """
    fields = _unpack(_REQUEST, packet, REQUEST_MAGIC)
    cluster, server, group_id, sequence, token_size = fields
    token = packet[_REQUEST.size :]
    if len(token) != token_size or token_size > LOCAL_TOKEN_SIZE_BYTES_MAX:
        raise _invalid(f"its token has {len(token)} bytes instead of {token_size}")
    return LocalRequest(
        ClusterId(uuid_from_bytes(cluster)),
        ServerId(uuid_from_bytes(server)),
        ChunkId(GroupId(group_id), sequence),
        token,
    )


def encode_answer(answer: LocalAnswer) -> bytes:
    """Return the packet."""
    reason = answer.refusal.encode("ascii")[:_REASON_SIZE_BYTES_MAX]
    head = _ANSWER.pack(
        ANSWER_MAGIC,
        VERSION,
        uuid_bytes(answer.cluster_id),
        uuid_bytes(answer.server_id),
        answer.chunk_id.group_id,
        answer.chunk_id.sequence,
        answer.offset,
        answer.length_bytes,
        len(reason),
    )
    return head + reason


def decode_answer(packet: bytes) -> LocalAnswer:
    """Read a packet.

    Raises:
        InvalidRequest: reason ``LOCAL_MESSAGE_INVALID``.
    """
    fields = _unpack(_ANSWER, packet, ANSWER_MAGIC)
    cluster, server, group_id, sequence, offset, length_bytes, reason_size = fields
    reason = packet[_ANSWER.size :]
    if len(reason) != reason_size or reason_size > _REASON_SIZE_BYTES_MAX or not reason.isascii():
        raise _invalid(f"its reason is not {reason_size} bytes of ASCII")
    return LocalAnswer(
        ClusterId(uuid_from_bytes(cluster)),
        ServerId(uuid_from_bytes(server)),
        ChunkId(GroupId(group_id), sequence),
        offset,
        length_bytes,
        reason.decode("ascii"),
    )


def _unpack(layout: struct.Struct, packet: bytes, magic: bytes) -> tuple[Any, ...]:
    if len(packet) < layout.size:
        raise _invalid(f"it has {len(packet)} bytes, at least {layout.size} are needed")
    fields = layout.unpack_from(packet)
    if fields[0] != magic:
        raise _invalid("its magic is another one")
    if fields[1] != VERSION:
        raise _invalid(f"it has version {fields[1]}, this side speaks {VERSION}")
    return fields[2:]


def _invalid(problem: str) -> InvalidRequest:
    return InvalidRequest(
        f"A message on the local socket is invalid: {problem}. See docs/local-reads.md.", reason="LOCAL_MESSAGE_INVALID"
    )
