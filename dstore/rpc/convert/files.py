"""Files, chunk records, keys and policies."""

from collections.abc import Iterable, Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from dstore.core.errors import InvalidRequest, LimitExceeded
from dstore.core.files import (
    ABSENT,
    ANY,
    ChunkPage,
    ChunkPlacement,
    ChunkRecord,
    FileInfo,
    FileKind,
    Policy,
    Precondition,
    PreconditionKind,
    WrappedKey,
    WrittenChunk,
)
from dstore.core.groups import Group
from dstore.core.ids import ChunkId, FileId, GroupId, RequestId, Version
from dstore.core.limits import (
    CHUNK_HEADER_SIZE_BYTES,
    CHUNK_RECORDS_PER_MESSAGE_MAX,
    REQUEST_ID_SIZE_BYTES_MAX,
    WRAPPED_KEY_SIZE_BYTES_MAX,
    WRAPPED_KEYS_MAX,
)
from dstore.core.text import printable
from dstore.rpc.convert.groups import (
    duration_from_proto,
    duration_to_proto,
    group_from_proto,
    group_to_proto,
    server_id_from_text,
)
from dstore.v1 import types_pb2 as v1

_KINDS = {FileKind.FILE: v1.FILE_KIND_FILE, FileKind.DIRECTORY: v1.FILE_KIND_DIRECTORY}
_FILE_KINDS: dict[int, FileKind] = {number: kind for kind, number in _KINDS.items()}
_KEY_ID_SIZE_BYTES = 8
_NO_CHUNKS = ChunkPage((), ())


def request_id_from_text(text: str) -> RequestId:
    """Return a checked idempotency key."""
    if not 1 <= len(text.encode()) <= REQUEST_ID_SIZE_BYTES_MAX:
        raise InvalidRequest(
            f"The request_id must have 1 to {REQUEST_ID_SIZE_BYTES_MAX} bytes; send a fresh uuid.",
            reason="REQUEST_ID_INVALID",
        )
    return RequestId(text)


def time_to_proto(time_ns: int) -> Timestamp:
    """Return nanoseconds since 1970 as a Timestamp."""
    seconds, nanos = divmod(time_ns, 1_000_000_000)
    return Timestamp(seconds=seconds, nanos=nanos)


def time_from_proto(time: Timestamp) -> int:
    """Return a Timestamp as nanoseconds since 1970."""
    return time.seconds * 1_000_000_000 + time.nanos


def chunk_id_to_proto(chunk_id: ChunkId) -> v1.ChunkId:
    """Convert a chunk id."""
    return v1.ChunkId(group_id=chunk_id.group_id, sequence=chunk_id.sequence)


def chunk_id_from_proto(chunk_id: v1.ChunkId) -> ChunkId:
    """Convert a chunk id; zero is never an id."""
    if chunk_id.group_id == 0 or chunk_id.sequence == 0:
        raise InvalidRequest(
            "The chunk_id is missing or has a zero group_id or sequence; both count from 1.",
            reason="CHUNK_ID_INVALID",
        )
    return ChunkId(GroupId(chunk_id.group_id), chunk_id.sequence)


def info_to_proto(info: FileInfo) -> v1.FileInfo:
    """Convert what is known of a path."""
    message = v1.FileInfo()
    fill_info(message, info)
    return message


def fill_info(message: v1.FileInfo, info: FileInfo) -> None:
    """Convert what is known of a path into a message that is there, which takes a third of making and copying one."""
    message.path = info.path
    message.kind = _KINDS[info.kind]
    message.size_bytes = info.size_bytes
    message.version = info.version
    message.file_id = info.file_id
    message.chunk_count = info.chunk_count
    time = message.modify_time
    time.seconds, time.nanos = divmod(info.modified_ns, 1_000_000_000)
    time = message.create_time
    time.seconds, time.nanos = divmod(info.created_ns, 1_000_000_000)


def info_from_proto(info: v1.FileInfo) -> FileInfo:
    """Convert what is known of a path."""
    created, modified = info.create_time, info.modify_time
    return FileInfo(
        info.path,
        _FILE_KINDS.get(info.kind, FileKind.FILE),
        FileId(info.file_id),
        info.size_bytes,
        Version(info.version),
        created.seconds * 1_000_000_000 + created.nanos,
        modified.seconds * 1_000_000_000 + modified.nanos,
        info.chunk_count,
    )


def policy_to_proto(policy: Policy) -> v1.Policy:
    """Convert a policy."""
    return v1.Policy(
        name=policy.name,
        replicas=policy.replicas,
        min_replicas=policy.min_replicas,
        chunk_size_bytes=policy.chunk_size_bytes,
        failure_domain=policy.failure_domain,
        retention=duration_to_proto(policy.retention_s),
    )


def policy_from_proto(policy: v1.Policy) -> Policy:
    """Convert a policy; its name is for people."""
    return Policy(
        name=printable(policy.name),
        replicas=policy.replicas,
        min_replicas=policy.min_replicas,
        chunk_size_bytes=policy.chunk_size_bytes,
        failure_domain=policy.failure_domain,
        retention_s=int(duration_from_proto(policy.retention)),
    )


def precondition_to_proto(precondition: Precondition) -> v1.Precondition:
    """Convert a precondition."""
    match precondition.kind:
        case PreconditionKind.NONE:
            return v1.Precondition()
        case PreconditionKind.ABSENT:
            return v1.Precondition(absent=True)
        case PreconditionKind.VERSION:
            return v1.Precondition(version=precondition.version)


def precondition_from_proto(precondition: v1.Precondition) -> Precondition:
    """Convert a precondition."""
    match precondition.WhichOneof("condition"):
        case "absent" if precondition.absent:
            return ABSENT
        case "version":
            return Precondition(PreconditionKind.VERSION, Version(precondition.version))
        case _:
            return ANY


def wrapped_keys_to_proto(keys: Iterable[WrappedKey]) -> list[v1.WrappedKey]:
    """Convert wrapped keys."""
    return [v1.WrappedKey(kind=key.kind, key_id=key.key_id, data=key.data) for key in keys]


def wrapped_keys_from_proto(keys: Iterable[v1.WrappedKey]) -> tuple[WrappedKey, ...]:
    """Convert wrapped keys, within their bounds."""
    converted = tuple([WrappedKey(key.kind, key.key_id, key.data) for key in keys])
    if len(converted) > WRAPPED_KEYS_MAX:
        raise LimitExceeded(
            f"{len(converted)} wrapped keys, the limit is {WRAPPED_KEYS_MAX}; use fewer recipients.",
            reason="TOO_MANY_WRAPPED_KEYS",
        )
    for key in converted:
        if len(key.key_id) != _KEY_ID_SIZE_BYTES or len(key.data) > WRAPPED_KEY_SIZE_BYTES_MAX:
            raise InvalidRequest(
                "A wrapped key needs a key_id of 8 bytes and at most "
                f"{WRAPPED_KEY_SIZE_BYTES_MAX} bytes of data; see docs/format.md.",
                reason="WRAPPED_KEY_INVALID",
            )
    return converted


def record_to_proto(record: ChunkRecord) -> v1.ChunkRecord:
    """Convert a chunk record."""
    return v1.ChunkRecord(
        index=record.index,
        chunk_id=chunk_id_to_proto(record.chunk_id),
        length_bytes=record.length_bytes,
        crc32c=record.crc32c,
        header=record.header,
    )


def record_from_proto(record: v1.ChunkRecord) -> ChunkRecord:
    """Convert a chunk record."""
    if len(record.header) != CHUNK_HEADER_SIZE_BYTES:
        raise InvalidRequest(
            f"The header of chunk {record.index} has {len(record.header)} bytes instead of "
            f"{CHUNK_HEADER_SIZE_BYTES}; send the first {CHUNK_HEADER_SIZE_BYTES} bytes of its ciphertext.",
            reason="CHUNK_RECORD_INVALID",
        )
    return ChunkRecord(
        index=record.index,
        chunk_id=chunk_id_from_proto(record.chunk_id),
        length_bytes=record.length_bytes,
        crc32c=record.crc32c,
        header=record.header,
    )


def written_to_proto(chunks: Iterable[WrittenChunk]) -> list[v1.WrittenChunk]:
    """Convert chunks that were written."""
    return [v1.WrittenChunk(record=record_to_proto(chunk.record), replicas=list(chunk.replicas)) for chunk in chunks]


def written_from_proto(chunks: Iterable[v1.WrittenChunk]) -> tuple[WrittenChunk, ...]:
    """Convert chunks that were written, within the bound of one message."""
    converted = tuple(
        WrittenChunk(
            record=record_from_proto(chunk.record),
            replicas=tuple(server_id_from_text(replica) for replica in chunk.replicas),
        )
        for chunk in chunks
    )
    if len(converted) > CHUNK_RECORDS_PER_MESSAGE_MAX:
        raise LimitExceeded(
            f"{len(converted)} chunk records in one message, the limit is {CHUNK_RECORDS_PER_MESSAGE_MAX}; "
            "send them with several AllocateChunks calls.",
            reason="TOO_MANY_CHUNK_RECORDS",
        )
    return converted


def placements_to_proto(placements: Iterable[ChunkPlacement]) -> list[v1.ChunkPlacement]:
    """Convert places for chunks."""
    return [
        v1.ChunkPlacement(
            chunk_id=chunk_id_to_proto(placement.chunk_id),
            group=group_to_proto(placement.group),
            chain=list(placement.chain),
        )
        for placement in placements
    ]


def placements_from_proto(placements: Iterable[v1.ChunkPlacement]) -> tuple[ChunkPlacement, ...]:
    """Convert places for chunks."""
    return tuple(
        ChunkPlacement(
            chunk_id=chunk_id_from_proto(placement.chunk_id),
            group=group_from_proto(placement.group),
            chain=tuple(server_id_from_text(member) for member in placement.chain),
        )
        for placement in placements
    )


def page_from_proto(chunks: Sequence[v1.ChunkRecord], groups: Sequence[v1.Group]) -> ChunkPage:
    """Convert a page of chunk records with its groups."""
    if not (chunks or groups):
        return _NO_CHUNKS
    converted: tuple[Group, ...] = tuple(group_from_proto(group) for group in groups)
    return ChunkPage(chunks=tuple(record_from_proto(chunk) for chunk in chunks), groups=converted)
