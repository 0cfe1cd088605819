"""Says what draining a server would do, and when draining or removing one is refused; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dstore.core.files import Policy
from dstore.core.groups import Duty, MemberState
from dstore.core.ids import ServerId
from dstore.core.limits import FILL_PLACEMENT_MAX
from dstore.master.candidates import Candidates, why_no_candidate
from dstore.master.repair import decide
from dstore.master.triage import Scene
from dstore.master.views import ChangeReason, MemberChange, PlannedGroup, PlannedServer


@dataclass(frozen=True, slots=True)
class DrainPlan:
    """What a drain would change.

    Attributes:
        changes: one for each group that the server would leave; empty when the drain is refused.
        bytes: what is copied.
        refusal: why the server cannot be drained; None when it can.
    """

    changes: tuple[MemberChange, ...]
    bytes: int
    refusal: str | None


def plan_drain(
    server_id: ServerId, servers: Iterable[PlannedServer], groups: Sequence[PlannedGroup], policy: Policy
) -> DrainPlan:
    """Return what draining a server comes to, as if all of it were begun now. The server must be a known one."""
    known = {server.server_id: server for server in servers}
    server = known[server_id]
    known[server_id] = replace(server, duty=Duty.DRAINING)
    scene = Scene(known.values(), policy)
    own = [group for group in groups if _is_member(server_id, group)]
    sole = [group for group in own if _holds_the_last_copy(server_id, group, scene)]
    if sole and policy.replicas > 1:
        return DrainPlan(
            (),
            0,
            f"{server.name} cannot be drained now: it holds the only good copy of {_groups(len(sole))}. Start or add "
            "chunkservers, wait until they have copies as well (dstore status shows it), then drain it.",
        )
    candidates = Candidates(scene, groups, None)
    changes: list[MemberChange] = []
    stuck: list[tuple[PlannedGroup, tuple[ServerId, ...]]] = []
    copied_bytes = 0
    for group in own:
        change = decide(group, scene, candidates)
        staying = tuple(member.server_id for member in scene.triage(group).keepers)
        if change is not None:
            changes.append(replace(change, reason=ChangeReason.DRAIN))
            copied_bytes += len(change.add) * group.chunk_bytes
            staying += change.add + change.return_
        if len(staying) < policy.replicas:
            stuck.append((group, staying))
    if stuck:
        return DrainPlan((), 0, _explain_stuck(server, len(own), stuck, scene))
    return DrainPlan(tuple(changes), copied_bytes, None)


def check_removable(
    server_id: ServerId, servers: Iterable[PlannedServer], groups: Iterable[PlannedGroup]
) -> str | None:
    """Return why a server cannot be removed from the cluster yet; None when nothing is kept on it."""
    server = next(server for server in servers if server.server_id == server_id)
    count = sum(any(member.server_id == server_id for member in group.members) for group in groups)
    if not count:
        return None
    advice = (
        "wait until its drain is over (see dstore status)"
        if server.duty is Duty.DRAINING
        else f"run `dstore node drain {server.name}`, and wait for it"
    )
    return f"{server.name} is still a member of {_groups(count)}, so removing it would cost copies; {advice}."


def _is_member(server_id: ServerId, group: PlannedGroup) -> bool:
    return any(member.server_id == server_id and member.state is not MemberState.LEAVING for member in group.members)


def _holds_the_last_copy(server_id: ServerId, group: PlannedGroup, scene: Scene) -> bool:
    return group.chunk_count > 0 and scene.good_members(group) == {server_id}


def _explain_stuck(
    server: PlannedServer,
    own_count: int,
    stuck: Sequence[tuple[PlannedGroup, tuple[ServerId, ...]]],
    scene: Scene,
) -> str:
    group, staying = stuck[0]
    why = why_no_candidate(scene, group, staying)
    reason = (
        f"the others have no room for all of it below {FILL_PLACEMENT_MAX:.0%}"
        if why is None
        else f"for group {group.group_id}, of {len(scene.servers)} chunkservers, {why}"
    )
    return (
        f"{server.name} cannot be drained: {len(stuck)} of its {_groups(own_count)} would be left with too few "
        f"members: {reason}. Start or add a chunkserver, then drain it."
    )


def _groups(count: int) -> str:
    return f"{count} placement group{'' if count == 1 else 's'}"
