"""What operators ask for, and what they are told."""

from collections.abc import Iterable

from dstore.core.errors import InvalidRequest
from dstore.core.groups import Duty
from dstore.core.ids import GroupId
from dstore.core.operations import BalanceState, DutyChange, MemberMove, PauseAction, ScrubState
from dstore.core.sizes import format_size
from dstore.core.text import printable
from dstore.rpc.convert.groups import duration_from_proto, duration_to_proto
from dstore.v1 import admin_service_pb2 as v1

_DUTIES = {
    Duty.ACTIVE: v1.NODE_DUTY_ACTIVE,
    Duty.DRAINING: v1.NODE_DUTY_DRAINING,
    Duty.MAINTENANCE: v1.NODE_DUTY_MAINTENANCE,
}
_DUTIES_BACK = {number: duty for duty, number in _DUTIES.items()}
_ACTIONS = {
    PauseAction.LOOK: v1.PAUSE_ACTION_UNSPECIFIED,
    PauseAction.PAUSE: v1.PAUSE_ACTION_PAUSE,
    PauseAction.RESUME: v1.PAUSE_ACTION_RESUME,
}
_ACTIONS_BACK = {number: action for action, number in _ACTIONS.items()}


def duty_to_proto(duty: Duty) -> v1.NodeDuty:
    """Return the enum value of a duty."""
    return _DUTIES[duty]


def duty_from_proto(duty: v1.NodeDuty) -> Duty:
    """Return the duty; an older master sends none, and its servers are active."""
    return _DUTIES_BACK.get(duty, Duty.ACTIVE)


def wanted_duty(duty: v1.NodeDuty) -> Duty:
    """Return the duty that is asked for.

    Raises:
        InvalidRequest: reason ``DUTY_INVALID``.
    """
    if duty not in _DUTIES_BACK:
        raise InvalidRequest("No duty was given; choose one of NodeDuty.", reason="DUTY_INVALID")
    return _DUTIES_BACK[duty]


def action_to_proto(action: PauseAction) -> v1.PauseAction:
    """Return the enum value of an action."""
    return _ACTIONS[action]


def action_from_proto(action: v1.PauseAction) -> PauseAction:
    """Return the action; one that is not known changes nothing."""
    return _ACTIONS_BACK.get(action, PauseAction.LOOK)


def duty_change_to_proto(change: DutyChange) -> v1.SetNodeDutyResponse:
    """Convert what a duty comes to."""
    return v1.SetNodeDutyResponse(
        name=change.name,
        duty=duty_to_proto(change.duty),
        applied=change.is_applied,
        moves=_moves_to_proto(change.moves),
        move_count=change.move_count,
        copied=format_size(change.copied_bytes),
        copied_bytes=change.copied_bytes,
    )


def duty_change_from_proto(response: v1.SetNodeDutyResponse) -> DutyChange:
    """Convert what a duty comes to."""
    return DutyChange(
        name=printable(response.name),
        duty=duty_from_proto(response.duty),
        is_applied=response.applied,
        moves=_moves_from_proto(response.moves),
        move_count=response.move_count,
        copied_bytes=response.copied_bytes,
    )


def balance_to_proto(state: BalanceState) -> v1.BalanceClusterResponse:
    """Convert how even a cluster is."""
    return v1.BalanceClusterResponse(
        paused=state.is_paused,
        moves=_moves_to_proto(state.moves),
        move_count=state.move_count,
        copied=format_size(state.copied_bytes),
        copied_bytes=state.copied_bytes,
        spread_before=state.spread_before,
        spread_after=state.spread_after,
        refusal=state.refusal,
    )


def balance_from_proto(response: v1.BalanceClusterResponse) -> BalanceState:
    """Convert how even a cluster is."""
    return BalanceState(
        is_paused=response.paused,
        moves=_moves_from_proto(response.moves),
        move_count=response.move_count,
        copied_bytes=response.copied_bytes,
        spread_before=response.spread_before,
        spread_after=response.spread_after,
        refusal=printable(response.refusal),
    )


def scrub_to_proto(state: ScrubState) -> v1.SetScrubResponse:
    """Convert whether chunks are checked."""
    return v1.SetScrubResponse(paused=state.is_paused, period=duration_to_proto(state.period_s))


def scrub_from_proto(response: v1.SetScrubResponse) -> ScrubState:
    """Convert whether chunks are checked."""
    return ScrubState(response.paused, duration_from_proto(response.period))


def _moves_to_proto(moves: Iterable[MemberMove]) -> list[v1.MemberMove]:
    return [
        v1.MemberMove(group_id=move.group_id, source=move.source, target=move.target, bytes=move.size_bytes)
        for move in moves
    ]


def _moves_from_proto(moves: Iterable[v1.MemberMove]) -> tuple[MemberMove, ...]:
    return tuple(
        MemberMove(GroupId(move.group_id), printable(move.source), printable(move.target), move.bytes) for move in moves
    )
