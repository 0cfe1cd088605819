"""Writes in progress, commits, renames and opened files."""

from dstore.core.errors import LimitExceeded
from dstore.core.files import Commit, IntentLease, OpenedFile, Rename, RenameTicket, WriteIntent
from dstore.core.ids import FileId, IntentId, RequestId, Version, parse_uuid
from dstore.core.limits import SEALED_MANIFEST_SIZE_BYTES_MAX
from dstore.rpc.convert.files import (
    fill_info,
    info_from_proto,
    info_to_proto,
    page_from_proto,
    placements_from_proto,
    placements_to_proto,
    policy_from_proto,
    policy_to_proto,
    precondition_from_proto,
    precondition_to_proto,
    record_to_proto,
    wrapped_keys_from_proto,
    wrapped_keys_to_proto,
    written_from_proto,
    written_to_proto,
)
from dstore.rpc.convert.groups import (
    cluster_id_from_text,
    duration_from_proto,
    duration_to_proto,
    group_to_proto,
)
from dstore.v1 import namespace_service_pb2 as namespace_v1
from dstore.v1 import types_pb2 as v1


def checked_manifest(sealed_manifest: bytes) -> bytes:
    """Return a sealed manifest, within its bound."""
    if len(sealed_manifest) > SEALED_MANIFEST_SIZE_BYTES_MAX:
        raise LimitExceeded(
            f"The sealed manifest has {len(sealed_manifest)} bytes, the limit is {SEALED_MANIFEST_SIZE_BYTES_MAX}; "
            "give the file fewer or shorter attributes.",
            reason="MANIFEST_TOO_LARGE",
        )
    return sealed_manifest


def lease_to_proto(lease: IntentLease) -> v1.IntentLease:
    """Convert a lease."""
    return v1.IntentLease(version=lease.version, lease_duration=duration_to_proto(lease.lease_duration_s))


def lease_from_proto(lease: v1.IntentLease) -> IntentLease:
    """Convert a lease."""
    return IntentLease(version=Version(lease.version), lease_duration_s=duration_from_proto(lease.lease_duration))


def intent_to_proto(intent: WriteIntent) -> namespace_v1.BeginWriteResponse:
    """Convert a write in progress."""
    return namespace_v1.BeginWriteResponse(
        intent_id=intent.intent_id,
        cluster_id=intent.cluster_id,
        file_id=intent.file_id,
        parent_id=intent.parent_id,
        name=intent.name,
        lease=lease_to_proto(IntentLease(intent.version, intent.lease_duration_s)),
        policy=policy_to_proto(intent.policy),
        placements=placements_to_proto(intent.placements),
    )


def intent_from_proto(response: namespace_v1.BeginWriteResponse) -> WriteIntent:
    """Convert a write in progress."""
    lease = lease_from_proto(response.lease)
    return WriteIntent(
        intent_id=IntentId(parse_uuid(response.intent_id, what="intent id")),
        cluster_id=cluster_id_from_text(response.cluster_id),
        file_id=FileId(response.file_id),
        version=lease.version,
        parent_id=FileId(response.parent_id),
        name=response.name,
        policy=policy_from_proto(response.policy),
        lease_duration_s=lease.lease_duration_s,
        placements=placements_from_proto(response.placements),
    )


def commit_to_proto(commit: Commit, request_id: RequestId) -> namespace_v1.CommitWriteRequest:
    """Convert a commit."""
    return namespace_v1.CommitWriteRequest(
        intent_id=commit.intent_id,
        version=commit.version,
        size_bytes=commit.size_bytes,
        chunk_count=commit.chunk_count,
        chunks=written_to_proto(commit.chunks),
        sealed_manifest=commit.sealed_manifest,
        wrapped_keys=wrapped_keys_to_proto(commit.wrapped_keys),
        request_id=request_id,
    )


def commit_from_proto(request: namespace_v1.CommitWriteRequest) -> Commit:
    """Convert a commit, within its bounds."""
    return Commit(
        intent_id=IntentId(parse_uuid(request.intent_id, what="intent id")),
        version=Version(request.version),
        size_bytes=request.size_bytes,
        chunk_count=request.chunk_count,
        chunks=written_from_proto(request.chunks),
        sealed_manifest=checked_manifest(request.sealed_manifest),
        wrapped_keys=wrapped_keys_from_proto(request.wrapped_keys),
    )


def ticket_to_proto(ticket: RenameTicket) -> namespace_v1.PrepareRenameResponse:
    """Convert a rename ticket."""
    return namespace_v1.PrepareRenameResponse(
        source=info_to_proto(ticket.source),
        cluster_id=ticket.cluster_id,
        version=ticket.version,
        source_parent_id=ticket.source_parent_id,
        target_parent_id=ticket.target_parent_id,
        target_name=ticket.target_name,
        sealed_manifest=ticket.sealed_manifest,
        wrapped_keys=wrapped_keys_to_proto(ticket.wrapped_keys),
    )


def ticket_from_proto(response: namespace_v1.PrepareRenameResponse) -> RenameTicket:
    """Convert a rename ticket."""
    return RenameTicket(
        source=info_from_proto(response.source),
        source_parent_id=FileId(response.source_parent_id),
        cluster_id=cluster_id_from_text(response.cluster_id),
        version=Version(response.version),
        target_parent_id=FileId(response.target_parent_id),
        target_name=response.target_name,
        sealed_manifest=response.sealed_manifest,
        wrapped_keys=wrapped_keys_from_proto(response.wrapped_keys),
    )


def rename_to_proto(rename: Rename, request_id: RequestId) -> namespace_v1.RenameRequest:
    """Convert a rename."""
    return namespace_v1.RenameRequest(
        source=rename.source,
        target=rename.target,
        source_version=rename.source_version,
        version=rename.version,
        sealed_manifest=rename.sealed_manifest,
        request_id=request_id,
        precondition=precondition_to_proto(rename.precondition),
    )


def rename_from_proto(request: namespace_v1.RenameRequest) -> Rename:
    """Convert a rename."""
    return Rename(
        source=request.source,
        target=request.target,
        source_version=Version(request.source_version),
        version=Version(request.version),
        sealed_manifest=checked_manifest(request.sealed_manifest),
        precondition=precondition_from_proto(request.precondition),
    )


def opened_to_proto(opened: OpenedFile) -> namespace_v1.OpenFileResponse:
    """Convert an opened file."""
    message = namespace_v1.OpenFileResponse()
    fill_opened(message, opened)
    return message


def fill_opened(message: namespace_v1.OpenFileResponse, opened: OpenedFile) -> None:
    """Convert an opened file into a message that is there."""
    fill_info(message.info, opened.info)
    message.cluster_id = opened.cluster_id
    message.parent_id = opened.parent_id
    message.chunk_size_bytes = opened.chunk_size_bytes
    message.sealed_manifest = opened.sealed_manifest
    for key in opened.wrapped_keys:
        message.wrapped_keys.add(kind=key.kind, key_id=key.key_id, data=key.data)
    message.chunks.extend(record_to_proto(record) for record in opened.page.chunks)
    message.groups.extend(group_to_proto(group) for group in opened.page.groups)


def opened_from_proto(response: namespace_v1.OpenFileResponse) -> OpenedFile:
    """Convert an opened file."""
    return OpenedFile(
        info_from_proto(response.info),
        cluster_id_from_text(response.cluster_id),
        FileId(response.parent_id),
        response.chunk_size_bytes,
        response.sealed_manifest,
        wrapped_keys_from_proto(response.wrapped_keys),
        page_from_proto(response.chunks, response.groups),
    )
