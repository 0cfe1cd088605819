"""Decides which members groups get and lose so that every chunk has its copies again; pure.

For each group, ``plan_repair`` compares the members that are to stay with what the policy wants:

=====================================================  ================================================================
there are                                              then
=====================================================  ================================================================
too few members                                        one that is LEAVING comes back, or a newcomer is added, FILLING
a member on a server that drains                       a newcomer is added, and it becomes LEAVING
two members in one failure domain                      the same, for one of them
a member on a server that is out                       it is removed as soon as a newcomer stands in its place
no good copy                                           newcomers are added, and nobody is removed
more members than wanted, and enough good copies       one of them becomes LEAVING
no server that could be added                          nothing changes; ``explain`` says why
=====================================================  ================================================================

``plan_settle`` then removes those that are LEAVING when the others suffice. No step lowers the number of good copies
below what the policy wants, or what there was (Invariant 1).
"""

from collections.abc import Iterable, Sequence

from dstore.core.files import Policy
from dstore.core.groups import Duty
from dstore.core.ids import ServerId
from dstore.master.candidates import Candidates, why_no_candidate
from dstore.master.triage import FILLING, LEAVING, WHOLE, Scene
from dstore.master.views import (
    ChangeReason,
    MemberChange,
    PlannedGroup,
    PlannedMember,
    PlannedServer,
    PlannerLimits,
)


def plan_repair(
    servers: Iterable[PlannedServer], groups: Sequence[PlannedGroup], policy: Policy, *, limits: PlannerLimits
) -> tuple[MemberChange, ...]:
    """Return the changes to begin now, the most endangered groups first."""
    scene = Scene(servers, policy)
    needy = [group for group in groups if not scene.is_settled(group)]
    if not needy:
        return ()
    needy.sort(key=lambda group: (len(scene.good_members(group)), group.group_id))
    candidates = Candidates(scene, groups, limits)
    changes: list[MemberChange] = []
    for group in needy:
        change = decide(group, scene, candidates)
        if change is not None:
            changes.append(change)
            if len(changes) >= limits.changes_max:
                break
    return tuple(changes)


def plan_settle(
    servers: Iterable[PlannedServer], groups: Iterable[PlannedGroup], policy: Policy
) -> tuple[MemberChange, ...]:
    """Return the changes that let members go whose place is taken: there are enough good copies without them."""
    scene = Scene(servers, policy)
    changes: list[MemberChange] = []
    for group in groups:
        if scene.is_settled(group):
            continue
        triage = scene.triage(group)
        gone = [member.server_id for member in triage.leavers]
        if len(triage.good) < max(1, min(policy.replicas, triage.staying_count)):
            gone = []
        # A member that is still being filled holds what was written since: it goes when nobody needs that from it.
        keepers = {member.server_id for member in triage.keepers}
        if len(triage.good & keepers) >= policy.replicas:
            gone += [member.server_id for member in triage.movers if member.state is FILLING]
        if gone:
            changes.append(MemberChange(group.group_id, group.epoch, ChangeReason.SETTLE, remove=tuple(gone)))
    return tuple(changes)


def explain(servers: Iterable[PlannedServer], group: PlannedGroup, policy: Policy) -> str | None:
    """Return why a group that needs new members gets none; None when it needs none, or when one can be had."""
    scene = Scene(servers, policy)
    triage = scene.triage(group)
    if len(triage.keepers) >= policy.replicas:
        return None
    keepers = [member.server_id for member in triage.keepers]
    movers = [member.server_id for member in triage.movers]
    why = why_no_candidate(scene, group, keepers + movers)
    for spared in movers:
        why = why and why_no_candidate(scene, group, keepers + [mover for mover in movers if mover != spared])
    if why is None:
        return None
    return (
        f"Group {group.group_id} has {len(keepers)} of {policy.replicas} members that can stay, and no chunkserver "
        f"can become one: of {len(scene.servers)}, {why}; start or add a chunkserver."
    )


def decide(group: PlannedGroup, scene: Scene, candidates: Candidates) -> MemberChange | None:
    """Return what to change about the members of one group now; None for nothing."""
    return _Decision(group, scene, candidates).change()


class _Decision:
    """One group on its way to what the policy wants. ``staying`` are the members that are neither lost nor leaving."""

    def __init__(self, group: PlannedGroup, scene: Scene, candidates: Candidates) -> None:
        self._group = group
        self._scene = scene
        self._candidates = candidates
        self._triage = scene.triage(group)
        self._wanted = scene.policy.replicas
        self._keeping = [member.server_id for member in self._triage.keepers]
        self._movers = [member.server_id for member in self._triage.movers]
        self._add: list[ServerId] = []
        self._leave: list[ServerId] = []
        self._remove: list[ServerId] = []
        self._return: list[ServerId] = []

    def change(self) -> MemberChange | None:
        self._complete()
        is_repair = bool(self._add or self._return)
        self._replace_movers()
        self._remove_lost()
        self._thin_out()
        is_repair = is_repair or bool(self._remove)
        if not (self._add or self._leave or self._remove or self._return):
            return None
        drains = any(not self._is_active(mover) for mover in self._triage.movers)
        return MemberChange(
            self._group.group_id,
            self._group.epoch,
            ChangeReason.DRAIN if drains and not is_repair else ChangeReason.REPAIR,
            tuple(self._add),
            tuple(self._leave),
            tuple(self._remove),
            tuple(self._return),
        )

    def _complete(self) -> None:
        """Bring the group to its size: with those that were leaving, for they hold nearly everything, or with others.

        Without a good copy the lost members stay listed beside their replacements; their number is bounded.
        """
        stuck = 0 if self._triage.good else len(self._triage.lost)
        size_max = min(self._wanted, 2 * self._wanted - stuck)
        self._take_back(size_max, [each for each in self._triage.leavers if self._is_active(each)])
        while len(self._keeping) + len(self._movers) < size_max:
            newcomer = self._candidates.pick(self._group, self._keeping + self._movers, can_wait=False)
            if newcomer is None:
                break
            self._join(newcomer)
        if len(self._keeping) + len(self._movers) < size_max:
            # Better a member that drains than none: it goes on getting what is written.
            leavers = [each for each in self._triage.leavers if not self._is_active(each)]
            beside = self._keeping + self._movers
            if leavers and why_no_candidate(self._scene, self._group, beside) is not None:
                self._take_back(size_max, leavers)

    def _take_back(self, size_max: int, leavers: Sequence[PlannedMember]) -> None:
        for leaver in leavers:
            server_id = leaver.server_id
            staying = self._keeping + self._movers
            domains = {self._scene.domains[each] for each in staying}
            if (
                len(staying) < size_max
                and self._scene.is_up(server_id)
                and self._scene.domains[server_id] not in domains
            ):
                self._return.append(server_id)
                self._keeping.append(server_id)

    def _replace_movers(self) -> None:
        """Let movers leave, each as soon as somebody stands in its place.

        One that is still being filled has others put in its place too, but goes only when they are whole.
        """
        for mover in self._triage.movers:
            others = [each for each in self._movers if each != mover.server_id]
            if len(self._keeping) < self._wanted:
                beside = self._keeping + (others if mover.state is WHOLE else self._movers)
                newcomer = self._candidates.pick(self._group, beside, can_wait=True)
                if newcomer is None:
                    continue
                self._join(newcomer)
            if mover.state is WHOLE:
                self._leave.append(mover.server_id)
                self._movers = others

    def _remove_lost(self) -> None:
        """Remove lost members, as many as others stand in their place; none while no good copy is left."""
        if not self._triage.good:
            return
        staying = [each for each in self._triage.lost if each.state is not LEAVING]
        size = len(self._keeping) + len(self._movers) + len(staying)
        surplus = size - min(self._wanted, self._triage.staying_count)
        going = sorted(staying, key=lambda each: each.state is not FILLING)[: max(0, surplus)]
        self._remove = [each.server_id for each in self._triage.lost if each.state is LEAVING or each in going]

    def _thin_out(self) -> None:
        """Let the fullest of too many members leave; happens when lost ones come back after they were replaced."""
        surplus = len(self._keeping) - self._wanted
        if surplus <= 0 or self._add or self._return:
            return
        states = {member.server_id: member.state for member in self._triage.keepers}
        good = [each for each in self._keeping if each in self._triage.good]
        by_need = sorted(
            self._keeping,
            key=lambda each: (each in self._triage.good, -self._scene.servers[each].capacity.fill, each),
        )
        for server_id in by_need[:surplus]:
            if len(good) - (server_id in good) < self._wanted:
                return
            if states[server_id] is FILLING:
                self._remove.append(server_id)
            else:
                self._leave.append(server_id)
                good = [each for each in good if each != server_id]

    def _join(self, newcomer: ServerId) -> None:
        self._add.append(newcomer)
        self._keeping.append(newcomer)

    def _is_active(self, member: PlannedMember) -> bool:
        return self._scene.servers[member.server_id].duty is not Duty.DRAINING
