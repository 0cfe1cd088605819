"""The collection, safe mode and findings, as operators read them."""

from dstore.core.checking import (
    CheckSummary,
    CollectionState,
    CollectionStatus,
    CollectionStop,
    Finding,
    FindingKind,
    SafeModeStatus,
    Severity,
)
from dstore.core.ids import ChunkId
from dstore.core.text import printable
from dstore.rpc.convert.groups import server_id_from_text
from dstore.v1 import admin_service_pb2 as v1

_STATES = {
    CollectionState.RUNNING: v1.COLLECTION_STATE_RUNNING,
    CollectionState.POSTPONED: v1.COLLECTION_STATE_POSTPONED,
    CollectionState.STOPPED: v1.COLLECTION_STATE_STOPPED,
    CollectionState.SAFE_MODE: v1.COLLECTION_STATE_SAFE_MODE,
}
_STATES_BACK = {number: state for state, number in _STATES.items()}
_SEVERITIES = {
    Severity.INFO: v1.SEVERITY_INFO,
    Severity.WARN: v1.SEVERITY_WARN,
    Severity.ERROR: v1.SEVERITY_ERROR,
}
_SEVERITIES_BACK = {number: severity for severity, number in _SEVERITIES.items()}


def collection_to_proto(status: CollectionStatus) -> v1.CollectionStatus:
    """Convert how far deleted chunks are."""
    stop = status.stop
    return v1.CollectionStatus(
        state=_STATES[status.state],
        reason=status.reason,
        deleted_chunks=status.deleted_chunks,
        ordered_chunks=status.ordered_chunks,
        owed_chunks=status.owed_chunks,
        stray_groups=status.stray_groups,
        stop=None if stop is None else _stop_to_proto(stop),
    )


def collection_from_proto(status: v1.CollectionStatus) -> CollectionStatus:
    """Convert how far deleted chunks are."""
    return CollectionStatus(
        # A state that a newer master invented is none in which things are deleted as usual.
        state=_STATES_BACK.get(status.state, CollectionState.POSTPONED),
        reason=printable(status.reason),
        deleted_chunks=status.deleted_chunks,
        ordered_chunks=status.ordered_chunks,
        owed_chunks=status.owed_chunks,
        stray_groups=status.stray_groups,
        stop=_stop_from_proto(status.stop) if status.HasField("stop") else None,
    )


def safe_mode_to_proto(status: SafeModeStatus) -> v1.SafeMode:
    """Convert whether safe mode is on."""
    return v1.SafeMode(
        on=status.is_on,
        reason=status.reason,
        history_id=status.history_id,
        earlier_history_ids=status.earlier_history_ids,
    )


def safe_mode_from_proto(status: v1.SafeMode) -> SafeModeStatus:
    """Convert whether safe mode is on."""
    return SafeModeStatus(
        is_on=status.on,
        reason=printable(status.reason),
        history_id=printable(status.history_id),
        earlier_history_ids=tuple(printable(each) for each in status.earlier_history_ids),
    )


def check_message_to_proto(message: Finding | CheckSummary) -> v1.CheckClusterResponse:
    """Convert one message of a check."""
    if isinstance(message, Finding):
        return v1.CheckClusterResponse(finding=_finding_to_proto(message))
    return v1.CheckClusterResponse(
        summary=v1.CheckSummary(
            complete=message.is_complete,
            errors=message.errors,
            warnings=message.warnings,
            infos=message.infos,
            repaired=message.repaired,
            files=message.files,
            directories=message.directories,
            chunks=message.chunks,
            replicas=message.replicas,
        )
    )


def check_message_from_proto(message: v1.CheckClusterResponse) -> Finding | CheckSummary:
    """Convert one message of a check.

    Raises:
        ValueError: it is neither a finding nor a summary, or of a kind that is not known here.
    """
    which = message.WhichOneof("payload")
    if which == "finding":
        return _finding_from_proto(message.finding)
    if which != "summary":
        raise ValueError("a message of a check holds nothing")
    summary = message.summary
    return CheckSummary(
        files=summary.files,
        directories=summary.directories,
        chunks=summary.chunks,
        replicas=summary.replicas,
        infos=summary.infos,
        warnings=summary.warnings,
        errors=summary.errors,
        repaired=summary.repaired,
        is_complete=summary.complete,
    )


def _stop_to_proto(stop: CollectionStop) -> v1.CollectionStop:
    return v1.CollectionStop(
        server=stop.server_name,
        server_id=stop.server_id,
        lost_chunks=stop.lost_chunks,
        due_chunks=stop.due_chunks,
        held_chunks=stop.held_chunks,
        deleted_before_seconds=stop.deleted_before_s,
    )


def _stop_from_proto(stop: v1.CollectionStop) -> CollectionStop:
    return CollectionStop(
        server_id=server_id_from_text(stop.server_id),
        server_name=printable(stop.server),
        lost_chunks=stop.lost_chunks,
        due_chunks=stop.due_chunks,
        held_chunks=stop.held_chunks,
        deleted_before_s=stop.deleted_before_seconds,
    )


def _finding_to_proto(finding: Finding) -> v1.Finding:
    return v1.Finding(
        kind=finding.kind.value,
        severity=_SEVERITIES[finding.severity],
        what=finding.what,
        hint=finding.hint,
        path=finding.path,
        chunk="" if finding.chunk_id is None else str(finding.chunk_id),
        server=finding.server,
        repaired=finding.is_repaired,
    )


def _finding_from_proto(finding: v1.Finding) -> Finding:
    return Finding(
        kind=FindingKind(finding.kind),
        # One that a newer master invented is not taken lightly.
        severity=_SEVERITIES_BACK.get(finding.severity, Severity.ERROR),
        what=printable(finding.what),
        hint=printable(finding.hint),
        path=printable(finding.path),
        chunk_id=ChunkId.parse(finding.chunk) if finding.chunk else None,
        server=printable(finding.server),
        is_repaired=finding.repaired,
    )
