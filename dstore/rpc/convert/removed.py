"""What was removed and can be restored, and restoring it."""

from dstore.core.files import FileKind
from dstore.core.ids import FileId, RequestId, Version
from dstore.core.removed import RemovalReason, RemovedFile, RemovedPage, Restore, RestoreTicket
from dstore.rpc.convert.files import time_from_proto, time_to_proto
from dstore.rpc.convert.groups import duration_from_proto, duration_to_proto
from dstore.rpc.convert.writes import checked_manifest
from dstore.rpc.convert.writes import ticket_from_proto as move_from_proto
from dstore.rpc.convert.writes import ticket_to_proto as move_to_proto
from dstore.v1 import namespace_service_pb2 as v1
from dstore.v1 import types_pb2

_KINDS = {FileKind.FILE: types_pb2.FILE_KIND_FILE, FileKind.DIRECTORY: types_pb2.FILE_KIND_DIRECTORY}
_REASONS = {
    RemovalReason.REMOVED: v1.REMOVAL_REASON_REMOVED,
    RemovalReason.REPLACED: v1.REMOVAL_REASON_REPLACED,
}


def page_to_proto(page: RemovedPage) -> v1.ListRemovedResponse:
    """Convert a page of what can be restored."""
    return v1.ListRemovedResponse(
        entries=[_removed_to_proto(entry) for entry in page.entries], next_page_token=page.next_page_token
    )


def page_from_proto(response: v1.ListRemovedResponse) -> RemovedPage:
    """Convert a page of what can be restored."""
    return RemovedPage(
        entries=tuple(_removed_from_proto(entry) for entry in response.entries),
        next_page_token=response.next_page_token,
    )


def _removed_to_proto(entry: RemovedFile) -> v1.RemovedFile:
    return v1.RemovedFile(
        path=entry.path,
        kind=_KINDS[entry.kind],
        size_bytes=entry.size_bytes,
        version=entry.version,
        reason=_REASONS[entry.reason],
        remove_time=time_to_proto(entry.removed_ns),
        expires_in=duration_to_proto(entry.expires_in_s),
        file_id=entry.file_id,
        removed_txn=entry.removed_txn,
    )


def _removed_from_proto(entry: v1.RemovedFile) -> RemovedFile:
    is_directory = entry.kind == types_pb2.FILE_KIND_DIRECTORY
    is_replaced = entry.reason == v1.REMOVAL_REASON_REPLACED
    return RemovedFile(
        path=entry.path,
        kind=FileKind.DIRECTORY if is_directory else FileKind.FILE,
        file_id=FileId(entry.file_id),
        size_bytes=entry.size_bytes,
        version=Version(entry.version),
        removed_ns=time_from_proto(entry.remove_time),
        removed_txn=entry.removed_txn,
        expires_in_s=int(duration_from_proto(entry.expires_in)),
        reason=RemovalReason.REPLACED if is_replaced else RemovalReason.REMOVED,
    )


def ticket_to_proto(ticket: RestoreTicket) -> v1.PrepareRestoreResponse:
    """Convert a restore ticket."""
    return v1.PrepareRestoreResponse(
        move=move_to_proto(ticket.move), removed_txn=ticket.removed_txn, is_back=ticket.is_back
    )


def ticket_from_proto(response: v1.PrepareRestoreResponse) -> RestoreTicket:
    """Convert a restore ticket."""
    return RestoreTicket(
        move=move_from_proto(response.move), removed_txn=response.removed_txn, is_back=response.is_back
    )


def restore_to_proto(restore: Restore, request_id: RequestId) -> v1.RestoreRequest:
    """Convert a restore."""
    return v1.RestoreRequest(
        path=restore.path,
        target=restore.target,
        source_version=restore.source_version,
        version=restore.version,
        sealed_manifest=restore.sealed_manifest,
        request_id=request_id,
    )


def restore_from_proto(request: v1.RestoreRequest) -> Restore:
    """Convert a restore."""
    return Restore(
        path=request.path,
        target=request.target,
        source_version=Version(request.source_version),
        version=Version(request.version),
        sealed_manifest=checked_manifest(request.sealed_manifest),
    )
