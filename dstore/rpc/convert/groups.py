"""Servers and groups."""

import functools
from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration

from dstore.core.groups import (
    Group,
    GroupEpoch,
    MemberState,
    Replica,
    ServerIdentity,
    ServerLabels,
    ServerPhase,
)
from dstore.core.ids import BootId, ClusterId, GroupId, ServerId, parse_uuid
from dstore.v1 import cluster_service_pb2 as cluster_v1
from dstore.v1 import types_pb2 as v1

_PHASES = {
    ServerPhase.UP: v1.SERVER_PHASE_UP,
    ServerPhase.SUSPECT: v1.SERVER_PHASE_SUSPECT,
    ServerPhase.DOWN: v1.SERVER_PHASE_DOWN,
    ServerPhase.OUT: v1.SERVER_PHASE_OUT,
}
_PHASES_BACK = {number: phase for phase, number in _PHASES.items()}
_STATES = {
    MemberState.WHOLE: v1.MEMBER_STATE_WHOLE,
    MemberState.FILLING: v1.MEMBER_STATE_FILLING,
    MemberState.LEAVING: v1.MEMBER_STATE_LEAVING,
}
_STATES_BACK = {number: state for state, number in _STATES.items()}


def duration_to_proto(seconds: float) -> Duration:
    """Return seconds as a Duration, to the nanosecond."""
    whole, nanos = divmod(round(seconds * 1_000_000_000), 1_000_000_000)
    return Duration(seconds=whole, nanos=nanos)


def duration_from_proto(duration: Duration) -> float:
    """Return a Duration as seconds."""
    return duration.seconds + duration.nanos / 1_000_000_000


def server_id_from_text(text: str) -> ServerId:
    """Return a checked server id."""
    return ServerId(parse_uuid(text, what="server id"))


@functools.lru_cache(maxsize=8)
def cluster_id_from_text(text: str) -> ClusterId:
    """Return a checked cluster id."""
    return ClusterId(parse_uuid(text, what="cluster id"))


def phase_to_proto(phase: ServerPhase) -> v1.ServerPhase:
    """Return the enum value of a phase."""
    return _PHASES[phase]


def phase_from_proto(phase: v1.ServerPhase) -> ServerPhase:
    """Return the phase; one that a newer master invented counts as suspect."""
    return _PHASES_BACK.get(phase, ServerPhase.SUSPECT)


def state_to_proto(state: MemberState) -> v1.MemberState:
    """Return the enum value of a member's state."""
    return _STATES[state]


def state_from_proto(state: v1.MemberState) -> MemberState:
    """Return the state; an older master sends none, and its members are whole."""
    return _STATES_BACK.get(state, MemberState.WHOLE)


def group_to_proto(group: Group) -> v1.Group:
    """Convert a group with its members."""
    return v1.Group(
        group_id=group.group_id,
        epoch=group.epoch,
        members=[
            v1.Replica(
                server_id=member.server_id,
                name=member.name,
                address=member.address,
                phase=phase_to_proto(member.phase),
                state=state_to_proto(member.state),
            )
            for member in group.members
        ],
    )


def group_from_proto(group: v1.Group) -> Group:
    """Convert a group with its members."""
    return Group(
        group_id=GroupId(group.group_id),
        epoch=group.epoch,
        members=tuple(
            Replica(
                server_id=server_id_from_text(member.server_id),
                name=member.name,
                address=member.address,
                phase=phase_from_proto(member.phase),
                state=state_from_proto(member.state),
            )
            for member in group.members
        ),
    )


def group_epochs_to_proto(groups: Iterable[GroupEpoch]) -> list[v1.GroupEpoch]:
    """Convert group epochs."""
    return [v1.GroupEpoch(group_id=group.group_id, epoch=group.epoch) for group in groups]


def group_epochs_from_proto(groups: Iterable[v1.GroupEpoch]) -> tuple[GroupEpoch, ...]:
    """Convert group epochs."""
    return tuple(GroupEpoch(GroupId(group.group_id), group.epoch) for group in groups)


def identity_to_proto(identity: ServerIdentity) -> cluster_v1.RegisterRequest:
    """Convert a join."""
    return cluster_v1.RegisterRequest(
        server_id=identity.server_id,
        cluster_id=identity.cluster_id or "",
        boot_id=identity.boot_id,
        name=identity.name,
        address=identity.address,
        http_address=identity.http_address,
        host=identity.labels.host,
        rack=identity.labels.rack,
        version=identity.version,
    )


def identity_from_proto(request: cluster_v1.RegisterRequest) -> ServerIdentity:
    """Convert a join."""
    return ServerIdentity(
        server_id=server_id_from_text(request.server_id),
        cluster_id=cluster_id_from_text(request.cluster_id) if request.cluster_id else None,
        boot_id=BootId(parse_uuid(request.boot_id, what="boot id")),
        name=request.name,
        address=request.address,
        http_address=request.http_address,
        labels=ServerLabels(host=request.host, rack=request.rack),
        version=request.version,
    )
