"""What is stored about groups, copies and the cluster as a whole: read in one transaction, for planners and status."""

from collections.abc import Mapping
from dataclasses import dataclass

from dstore.core.ids import GroupId, ServerId
from dstore.master import counters, leader
from dstore.master.group_map import GroupMap
from dstore.master.leader import LeaderRow
from dstore.master.placement import PlacedGroup
from dstore.master.store.base import Transaction, expand


@dataclass(frozen=True, slots=True)
class GroupCounts:
    """The counters of one group. ``lost_chunk_count``: chunks whose copies are all missing or on dead servers."""

    group_id: GroupId
    chunk_count: int
    chunk_bytes: int
    missing_chunk_count: int
    missing_bytes: int
    lost_chunk_count: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is stored.

    Attributes:
        missing: of groups with missing replicas, how many each member lacks.
        settled_sequence: no chunk with a smaller sequence has a live intent, now or ever again.
    """

    counters: Mapping[str, int]
    groups: Mapping[GroupId, GroupCounts]
    missing: Mapping[GroupId, Mapping[ServerId, int]]
    missing_of_server: Mapping[ServerId, int]
    settled_sequence: int
    leader: LeaderRow


def read_facts(tx: Transaction, groups: GroupMap, alive: frozenset[ServerId]) -> Facts:
    """Read the counters. Rows are counted only for groups that lost a server and have missing replicas."""
    counted: dict[GroupId, GroupCounts] = {}
    for group_id, chunk_count, chunk_bytes, missing_chunk_count, missing_bytes in tx.execute(
        "SELECT group_id, chunk_count, chunk_bytes, missing_chunk_count, missing_bytes FROM groups ORDER BY group_id"
    ):
        group = groups.by_id.get(group_id)
        lost = _count_lost(tx, group, chunk_count, missing_chunk_count, alive) if group is not None else 0
        counted[group_id] = GroupCounts(group_id, chunk_count, chunk_bytes, missing_chunk_count, missing_bytes, lost)
    missing: dict[GroupId, dict[ServerId, int]] = {}
    for group_id, server_id, count in tx.execute(
        "SELECT group_id, server_id, COUNT(*) FROM missing_replicas GROUP BY group_id, server_id"
    ):
        missing.setdefault(group_id, {})[server_id] = count
    return Facts(
        counters=counters.read_all(tx),
        groups=counted,
        missing=missing,
        missing_of_server=dict(tx.execute("SELECT server_id, missing_chunk_count FROM servers")),
        settled_sequence=read_settled_sequence(tx),
        leader=leader.read(tx),
    )


def read_settled_sequence(tx: Transaction) -> int:
    """Return the lowest sequence of any live intent, or the next one to be given out.

    Sequences are given out in order, so that this never goes down: what comes later is larger.
    """
    lowest = tx.execute("SELECT MIN(sequence) FROM intent_chunks")[0][0]
    return int(lowest) if lowest is not None else counters.read(tx, "chunk_sequence") + 1


def read_expected(tx: Transaction, server_id: ServerId) -> dict[GroupId, int]:
    """Return how many chunks a server has to hold in each group that it is a whole member of."""
    expected: dict[GroupId, int] = dict(
        tx.execute(
            "SELECT g.group_id, g.chunk_count FROM group_members m JOIN groups g ON g.group_id = m.group_id "
            "WHERE m.server_id = ? AND m.state = 'whole'",
            (server_id,),
        )
    )
    for group_id, count in tx.execute(
        "SELECT group_id, COUNT(*) FROM missing_replicas WHERE server_id = ? GROUP BY group_id", (server_id,)
    ):
        if group_id in expected:
            expected[group_id] -= count
    return expected


def _count_lost(
    tx: Transaction, group: PlacedGroup, chunk_count: int, missing_chunk_count: int, alive: frozenset[ServerId]
) -> int:
    # What a member holds that is being filled is not proven yet.
    survivors = [member for member in group.members if member in alive and member not in group.filling]
    if not survivors:
        return chunk_count
    if missing_chunk_count == 0:
        return 0
    rows = tx.execute(
        expand(
            "SELECT COUNT(*) FROM (SELECT sequence FROM missing_replicas WHERE group_id = ? AND server_id IN (?*) "
            "GROUP BY sequence HAVING COUNT(*) = ?) AS lost",
            len(survivors),
        ),
        (group.group_id, *survivors, len(survivors)),
    )
    return int(rows[0][0])
