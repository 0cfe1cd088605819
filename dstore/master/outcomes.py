"""What chunkservers did, taken over into the rows: each function is part of one transaction.

No copy is counted that is not proven. A member that was filled holds what the members hold that it was compared with:
for chunks that none of these is known to hold it gets rows of its own. A copy that appears at a member later proves
nothing for those that compared themselves with that member before; nor does it that the member becomes whole.
"""

from collections.abc import Iterable, Sequence

from dstore.core.groups import MemberState
from dstore.core.ids import ChunkId, GroupId, ServerId
from dstore.core.upkeep import Filled, Outcomes
from dstore.master import counters, missing_rows
from dstore.master.group_map import read_groups, store_members
from dstore.master.missing_rows import MissingReplica
from dstore.master.placement import PlacedGroup
from dstore.master.store.base import Transaction, expand


def concerns_rows(outcomes: Outcomes) -> bool:
    """Whether there is anything to store."""
    return bool(outcomes.filled or outcomes.held or outcomes.corrupt)


def take(tx: Transaction, server_id: ServerId, outcomes: Outcomes) -> tuple[PlacedGroup, ...]:
    """Store what a server did; return the groups whose members changed their state."""
    group_ids = {each.group_id for each in outcomes.filled}
    group_ids |= {chunk_id.group_id for chunk_id in (*outcomes.held, *outcomes.corrupt)}
    groups = read_groups(tx, sorted(group_ids))
    _take_held(tx, server_id, outcomes.held, groups)
    # After that: what is reported as corrupt is so now.
    _take_corrupt(tx, server_id, outcomes.corrupt, groups)
    changed = [
        group
        for filled in outcomes.filled
        if (group := _take_filled(tx, server_id, filled, groups.get(filled.group_id))) is not None
    ]
    return tuple(changed)


def take_emptied(
    tx: Transaction, server_id: ServerId, emptied: Iterable[tuple[GroupId, int]]
) -> tuple[PlacedGroup, ...]:
    """Have a server filled again in groups (each with the epoch that was looked at) where it holds too little.

    The epoch goes up, so that nobody who was compared with it counts as filled.
    """
    epochs = dict(emptied)
    changed: list[PlacedGroup] = []
    for group in read_groups(tx, sorted(epochs)).values():
        if group.epoch != epochs[group.group_id] or _state(group, server_id) is not MemberState.WHOLE:
            continue
        members = [
            (member, MemberState.FILLING if member == server_id else group.state_of(member)) for member in group.members
        ]
        changed.append(store_members(tx, group, members))
    return tuple(changed)


def _take_held(
    tx: Transaction, server_id: ServerId, held: Iterable[ChunkId], groups: dict[GroupId, PlacedGroup]
) -> None:
    removed = missing_rows.remove(tx, server_id, held)
    # Members that are being filled may have looked at this one before it had the chunk.
    missing_rows.add(
        tx,
        [
            MissingReplica(each.chunk_id, member, each.length_bytes)
            for each in removed
            for member in sorted(groups[each.chunk_id.group_id].filling - {server_id})
        ],
    )


def _take_corrupt(
    tx: Transaction, server_id: ServerId, corrupt: Iterable[ChunkId], groups: dict[GroupId, PlacedGroup]
) -> None:
    missing: list[MissingReplica] = []
    for chunk_id in corrupt:
        group = groups.get(chunk_id.group_id)
        if group is None or server_id not in group.members:
            continue
        rows = tx.execute(
            "SELECT length_bytes FROM chunks WHERE group_id = ? AND sequence = ?",
            (chunk_id.group_id, chunk_id.sequence),
        )
        missing += [MissingReplica(chunk_id, server_id, length_bytes) for (length_bytes,) in rows]
    missing_rows.add(tx, missing)


def _take_filled(tx: Transaction, server_id: ServerId, filled: Filled, group: PlacedGroup | None) -> PlacedGroup | None:
    if group is None or group.epoch != filled.epoch or server_id not in group.filling:
        return None
    sources = [member for member in group.members if member != server_id and member not in group.filling]
    compared = [member for member in sources if member in filled.compared]
    if sources and not compared:
        return None
    if group.filling == {server_id}:
        return _make_whole(tx, server_id, group, compared)
    # The others may have been compared with this member when it had nothing yet. Now that it is a source this would
    # count, so the epoch goes up: they compare anew.
    _record_unproven(tx, server_id, group, compared)
    states = {member: group.state_of(member) for member in group.members} | {server_id: MemberState.WHOLE}
    return store_members(tx, group, tuple(states.items()))


def salvage(tx: Transaction, group: PlacedGroup) -> PlacedGroup:
    """Count the members that are being filled as whole, and every single chunk as missing at each.

    For a group whose whole members are all lost: chunk by chunk the members find out what they or former holders have.
    """
    for server_id in sorted(group.filling):
        group = _make_whole(tx, server_id, group, [])
    return group


def _make_whole(tx: Transaction, server_id: ServerId, group: PlacedGroup, compared: Sequence[ServerId]) -> PlacedGroup:
    _record_unproven(tx, server_id, group, compared)
    tx.execute(
        "UPDATE group_members SET state = 'whole' WHERE group_id = ? AND server_id = ?", (group.group_id, server_id)
    )
    counters.add(tx, "group_changes", 1)
    return read_groups(tx, [group.group_id])[group.group_id]


def _record_unproven(tx: Transaction, server_id: ServerId, group: PlacedGroup, compared: Sequence[ServerId]) -> None:
    missing_rows.add(
        tx,
        [
            MissingReplica(ChunkId(group.group_id, sequence), server_id, length_bytes)
            for sequence, length_bytes in _unproven(tx, group.group_id, compared)
        ],
    )


def _unproven(tx: Transaction, group_id: GroupId, compared: Sequence[ServerId]) -> list[tuple[int, int]]:
    """Return (sequence, length) of the chunks that none of these members is known to hold; without any: of all."""
    if not compared:
        rows = tx.execute("SELECT sequence, length_bytes FROM chunks WHERE group_id = ?", (group_id,))
    else:
        rows = tx.execute(
            expand(
                "SELECT sequence, MAX(length_bytes) FROM missing_replicas WHERE group_id = ? AND server_id IN (?*) "
                "GROUP BY sequence HAVING COUNT(*) = ?",
                len(compared),
            ),
            (group_id, *compared, len(compared)),
        )
    return [(sequence, length_bytes) for sequence, length_bytes in rows]


def _state(group: PlacedGroup, server_id: ServerId) -> MemberState | None:
    return group.state_of(server_id) if server_id in group.members else None
