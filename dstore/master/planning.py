"""The planners' round: looks at servers and groups, asks the pure planners, and has their changes stored.

In this order: servers whose time is over go out or become active again; disks that lost chunks are filled again; what
is left of groups that lost all whole members is looked for; members whose place is taken go; what lacks members gets
them; and when nothing has to be repaired, disks are evened out.
"""

from collections.abc import Mapping, Sequence

from dstore.core.groups import Duty, ServerPhase
from dstore.core.ids import GroupId, ServerId
from dstore.master import repairing
from dstore.master.balance import Move, begin_moves, plan_balance
from dstore.master.facts import Facts, GroupCounts
from dstore.master.group_map import GroupMap
from dstore.master.membership import goes_out
from dstore.master.placement import PlacedGroup
from dstore.master.repair import plan_repair, plan_settle
from dstore.master.shared import Shared
from dstore.master.views import MemberChange, PlannedGroup, PlannedServer, PlannerLimits

#: How often the moves that even out disks are planned.
_BALANCE_INTERVAL_S = 30.0
#: Groups of one round: each gets a row for every chunk.
_SALVAGED_MAX = 4
_LIMITS = PlannerLimits()
_EMPTY = GroupCounts(GroupId(0), 0, 0, 0, 0, 0)


class GroupViews:
    """The groups as planners see them; those that did not change are not made anew."""

    def __init__(self) -> None:
        self._known: dict[GroupId, tuple[PlacedGroup, GroupCounts, frozenset[ServerId], PlannedGroup]] = {}

    def of(
        self, groups: GroupMap, facts: Facts, doubts: Mapping[GroupId, frozenset[ServerId]]
    ) -> tuple[PlannedGroup, ...]:
        """Return all groups in order of their ids."""
        return tuple(
            self._view(groups.by_id[group_id], facts, doubts.get(group_id, frozenset()))
            for group_id in sorted(groups.by_id)
        )

    def _view(self, group: PlacedGroup, facts: Facts, doubts: frozenset[ServerId]) -> PlannedGroup:
        counts = facts.groups.get(group.group_id, _EMPTY)
        missing = doubts.union(facts.missing.get(group.group_id, ()))
        known = self._known.get(group.group_id)
        if known is not None and known[0] is group and known[1:3] == (counts, missing):
            return known[3]
        view = repairing.view(group, facts, doubts)
        self._known[group.group_id] = (group, counts, missing, view)
        return view


class Planning:
    """What the leader does in every round."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._views = GroupViews()
        self._moves: tuple[Move, ...] = ()
        self._balanced_s: float | None = None
        self._switches = shared.switches

    async def step(self, facts: Facts, leader_epoch: int) -> None:
        """Do one round.

        Raises:
            Conflict: reason ``LEADER_CHANGED``.
            LimitExceeded: the store is busy.
        """
        await self._end_maintenance(facts, leader_epoch)
        await self._put_out(leader_epoch)
        await self._refill(facts, leader_epoch)
        await self._salvage(leader_epoch)
        shared = self._shared
        groups = self._views.of(shared.allocator.groups, facts, shared.doubts.by_group())
        servers = tuple(state.planned for state in shared.membership.states(self._now_s()).values())
        policy = shared.cluster.policy
        changes = {change.group_id: change for change in plan_repair(servers, groups, policy, limits=_LIMITS)}
        changes |= {change.group_id: change for change in plan_settle(servers, groups, policy)}
        if not changes:
            changes = {change.group_id: change for change in self._balance(servers, groups)}
        await self._apply(tuple(changes.values())[: _LIMITS.changes_max], groups, leader_epoch)

    def _balance(self, servers: Sequence[PlannedServer], groups: Sequence[PlannedGroup]) -> tuple[MemberChange, ...]:
        shared, now_s = self._shared, self._now_s()
        if shared.switches is not self._switches:
            # Whoever resumes it wants to see it move, also when it was paused for less than a round.
            self._switches, self._moves, self._balanced_s = shared.switches, (), None
        if shared.switches.balance_is_paused:
            return ()
        if self._balanced_s is None or now_s - self._balanced_s >= _BALANCE_INTERVAL_S:
            self._balanced_s = now_s
            self._moves = plan_balance(servers, groups, shared.cluster.policy).moves
        begun = begin_moves(self._moves, servers, groups, limits=_LIMITS)
        started = {change.group_id for change in begun}
        self._moves = tuple(move for move in self._moves if move.group_id not in started)
        return begun

    async def _end_maintenance(self, facts: Facts, leader_epoch: int) -> None:
        shared, running_s = self._shared, facts.counters["running_s"]
        records = (state.record for state in shared.membership.states(self._now_s()).values())
        if not any(each.duty is Duty.MAINTENANCE and each.maintenance_until_s <= running_s for each in records):
            return
        ended = await shared.store.write(lambda tx: repairing.end_maintenance(tx, leader_epoch, running_s))
        for record in ended:
            shared.membership.changed(record)

    async def _put_out(self, leader_epoch: int) -> None:
        shared, out_after_s = self._shared, self._shared.upkeep.out_after_s
        states = shared.membership.states(self._now_s()).values()
        going = [state.record for state in states if goes_out(state, out_after_s)]
        if not going:
            return
        records = await shared.store.write(lambda tx: repairing.put_out(tx, leader_epoch, going))
        for record in records:
            shared.membership.changed(record)

    async def _refill(self, facts: Facts, leader_epoch: int) -> None:
        shared, now_s = self._shared, self._now_s()
        groups = shared.allocator.groups
        states = shared.membership.states(now_s)
        judged = shared.holdings.judge(facts, groups, states, now_s)
        # Of a server in doubt the audit finds out chunk by chunk.
        lacking = {server_id: set(short) - shared.doubts.of(server_id) for server_id, short in judged.items()}
        emptied = shared.refills.choose(lacking, groups, states, shared.holdings, now_s)
        if not emptied:
            return
        changed = await shared.store.write(lambda tx: repairing.refill(tx, leader_epoch, emptied))
        shared.refills.filled(changed, emptied)
        shared.allocator.adopt(changed)

    async def _salvage(self, leader_epoch: int) -> None:
        """Go on with what is left of groups whose whole members are all out, or that have none any more."""
        shared = self._shared
        states = shared.membership.states(self._now_s())
        out = {server_id for server_id, state in states.items() if state.phase is ServerPhase.OUT}
        lost = [
            group
            for group in shared.allocator.groups.groups
            if group.filling and out.issuperset(set(group.members) - group.filling)
        ]
        if lost:
            few = lost[:_SALVAGED_MAX]
            shared.allocator.adopt(await shared.store.write(lambda tx: repairing.salvage(tx, leader_epoch, few)))

    async def _apply(self, changes: Sequence[MemberChange], groups: Sequence[PlannedGroup], leader_epoch: int) -> None:
        if not changes:
            return
        looked_at = {group.group_id: group for group in groups}
        changed = await self._shared.store.write(
            lambda tx: repairing.apply_changes(tx, leader_epoch, changes, looked_at)
        )
        self._shared.allocator.adopt(changed)

    def _now_s(self) -> float:
        return self._shared.clock.monotonic_s()
