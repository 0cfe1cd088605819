"""Plans of upkeep made true: each function is one transaction, refused when another master leads (Invariant 7)."""

from collections.abc import Iterable, Mapping, Sequence

from dstore.core.groups import MemberState
from dstore.core.ids import GroupId, ServerId
from dstore.master import leader, missing_rows, outcomes, server_rows
from dstore.master.facts import Facts
from dstore.master.group_map import read_groups, store_members
from dstore.master.placement import PlacedGroup
from dstore.master.server_rows import ServerRecord
from dstore.master.store.base import Transaction
from dstore.master.views import MemberChange, PlannedGroup, PlannedMember


def apply_changes(
    tx: Transaction,
    leader_epoch: int,
    changes: Iterable[MemberChange],
    looked_at: Mapping[GroupId, PlannedGroup],
) -> tuple[PlacedGroup, ...]:
    """Change the members of groups; return those that were changed.

    A change is left out when the group has changed since it was looked at, or when members that others were to go for
    lack chunks by now.

    Raises:
        Conflict: reason ``LEADER_CHANGED``; nothing was changed.
    """
    leader.require(tx, leader_epoch)
    wanted = {change.group_id: change for change in changes}
    changed: list[PlacedGroup] = []
    for group in read_groups(tx, sorted(wanted)).values():
        change = wanted[group.group_id]
        planned = looked_at[group.group_id]
        if group.epoch != change.epoch or planned_members(group) != planned.members:
            continue
        if change.remove and not missing_rows.members_lacking(tx, group.group_id) <= planned.missing:
            continue
        changed.append(store_members(tx, group, changed_members(group, change)))
        for server_id in change.remove:
            missing_rows.remove_member(tx, group.group_id, server_id)
    return tuple(changed)


def changed_members(group: PlacedGroup, change: MemberChange) -> tuple[tuple[ServerId, MemberState], ...]:
    """Return the members of a group after a change: who stays keeps its place, newcomers come last."""
    states = {member: group.state_of(member) for member in group.members if member not in change.remove}
    for member in change.leave:
        states[member] = MemberState.LEAVING
    for member in (*change.return_, *change.add):
        states[member] = MemberState.FILLING
    return tuple(states.items())


def planned_members(group: PlacedGroup) -> tuple[PlannedMember, ...]:
    """Return the members of a group as planners see them."""
    return tuple(PlannedMember(member, group.state_of(member)) for member in group.members)


def view(group: PlacedGroup, facts: Facts, in_doubt: frozenset[ServerId]) -> PlannedGroup:
    """Return a group as planners see it; a member in doubt counts as one that lacks chunks (Invariant 10)."""
    counts = facts.groups.get(group.group_id)
    return PlannedGroup(
        group.group_id,
        group.epoch,
        planned_members(group),
        counts.chunk_count if counts is not None else 0,
        counts.chunk_bytes if counts is not None else 0,
        in_doubt.union(facts.missing.get(group.group_id, ())),
    )


def put_out(tx: Transaction, leader_epoch: int, servers: Sequence[ServerRecord]) -> tuple[ServerRecord, ...]:
    """Put servers out that were away for too long; return their rows."""
    leader.require(tx, leader_epoch)
    rows = (server_rows.set_out(tx, server.server_id, server.incarnation) for server in servers)
    return tuple(row for row in rows if row is not None)


def end_maintenance(tx: Transaction, leader_epoch: int, running_s: int) -> tuple[ServerRecord, ...]:
    """End the maintenance of servers whose time is over; return their rows."""
    leader.require(tx, leader_epoch)
    return server_rows.end_maintenance(tx, running_s)


def salvage(tx: Transaction, leader_epoch: int, looked_at: Sequence[PlacedGroup]) -> tuple[PlacedGroup, ...]:
    """Have the members of groups that lost all whole members find out chunk by chunk what is left."""
    leader.require(tx, leader_epoch)
    present = read_groups(tx, [group.group_id for group in looked_at])
    return tuple(outcomes.salvage(tx, group) for group in looked_at if present.get(group.group_id) == group)


def refill(
    tx: Transaction, leader_epoch: int, lacking: Mapping[ServerId, Mapping[GroupId, int]]
) -> tuple[PlacedGroup, ...]:
    """Have servers filled again in groups (each with the epoch that was looked at) in which they hold too little."""
    leader.require(tx, leader_epoch)
    changed: list[PlacedGroup] = []
    for server_id in sorted(lacking):
        changed += outcomes.take_emptied(tx, server_id, sorted(lacking[server_id].items()))
    return tuple(changed)
