"""What operators see: facts are read in one transaction, and a pure function makes the status of them.

HEALTH_OK is never said while a server that has joined is not up, or a chunk has fewer copies than the policy wants.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from dstore.core.errors import DstoreError
from dstore.core.files import Policy
from dstore.core.groups import Capacity, ServerPhase
from dstore.core.ids import GroupId, ServerId
from dstore.core.status import ClusterStatus, Health, ServerStatus
from dstore.master import counters
from dstore.master.group_map import GroupMap
from dstore.master.health import Losses, find_checks, summarize
from dstore.master.membership import ServerState
from dstore.master.placement import PlacedGroup
from dstore.master.store.base import Transaction, expand
from dstore.master.store.schema import ClusterRecord


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
    """What is stored; read in one transaction."""

    counters: Mapping[str, int]
    groups: tuple[GroupCounts, ...]
    missing_of_server: Mapping[ServerId, int]


def read_facts(tx: Transaction, groups: GroupMap, alive: frozenset[ServerId]) -> Facts:
    """Read the counters. Rows are counted only for groups that lost a server and have missing replicas."""
    counted: list[GroupCounts] = []
    for group_id, chunk_count, chunk_bytes, missing_chunk_count, missing_bytes in tx.execute(
        "SELECT group_id, chunk_count, chunk_bytes, missing_chunk_count, missing_bytes FROM groups ORDER BY group_id"
    ):
        group = groups.by_id.get(group_id)
        lost = _count_lost(tx, group, chunk_count, missing_chunk_count, alive) if group is not None else 0
        counted.append(GroupCounts(group_id, chunk_count, chunk_bytes, missing_chunk_count, missing_bytes, lost))
    return Facts(
        counters=counters.read_all(tx),
        groups=tuple(counted),
        missing_of_server=dict(tx.execute("SELECT server_id, missing_chunk_count FROM servers")),
    )


def expected_chunks(facts: Facts, groups: GroupMap) -> dict[ServerId, int]:
    """Return how many chunks of committed files each server has to hold."""
    expected: Counter[ServerId] = Counter()
    for counts in facts.groups:
        group = groups.by_id.get(counts.group_id)
        for member in group.members if group is not None else ():
            expected[member] += counts.chunk_count
    expected.subtract(facts.missing_of_server)
    return dict(expected)


def build_status(
    cluster: ClusterRecord,
    facts: Facts,
    groups: GroupMap,
    states: Mapping[ServerId, ServerState],
    *,
    lacking: Mapping[ServerId, int],
    version: str,
    writes_in_progress: int,
    refusal: DstoreError | None,
) -> ClusterStatus:
    """Return the status.

    Args:
        lacking: how many chunks servers hold fewer than they should, beyond the missing replicas that are recorded.
        refusal: why a chunk could not be placed now; None when it could.
    """
    policy = cluster.policy
    servers = sorted(states.values(), key=lambda state: state.record.name)
    up = [state for state in servers if state.phase is ServerPhase.UP]
    under, unavailable = _count_losses(facts, groups, states, policy)
    chunk_count = sum(group.chunk_count for group in facts.groups)
    # Which chunks are lacking is not known; some may be counted already.
    under = min(chunk_count, under + sum(lacking.values()))
    losses = Losses(under_replicated=under, unavailable=unavailable, lacking=lacking)
    checks = find_checks(policy, servers, losses, refusal)
    health = _worst(tuple(check.severity for check in checks))
    return ClusterStatus(
        health=health,
        summary=summarize(policy, checks, up_count=len(up), server_count=len(servers), chunk_count=chunk_count),
        checks=checks,
        cluster_id=cluster.cluster_id,
        version=version,
        policy=policy,
        servers_up=len(up),
        servers_total=len(servers),
        group_count=len(facts.groups),
        file_count=facts.counters["files"],
        directory_count=facts.counters["directories"],
        chunk_count=chunk_count,
        logical_bytes=facts.counters["logical_bytes"],
        stored_bytes=_stored_bytes(facts, groups),
        under_replicated_chunks=under,
        unavailable_chunks=unavailable,
        deleted_chunks=facts.counters["deleted_chunks"],
        writes_in_progress=writes_in_progress,
        capacity=Capacity(
            total_bytes=sum(state.capacity.total_bytes for state in up),
            used_bytes=sum(state.capacity.used_bytes for state in up),
        ),
        servers=tuple(_describe(state, facts, groups, lacking) for state in servers),
    )


def _count_losses(
    facts: Facts, groups: GroupMap, states: Mapping[ServerId, ServerState], policy: Policy
) -> tuple[int, int]:
    """Return how many chunks have too few copies on servers that are up, and how many have none."""
    up = {server_id for server_id, state in states.items() if state.phase is ServerPhase.UP}
    under = 0
    for counts in facts.groups:
        group = groups.by_id.get(counts.group_id)
        members_up = sum(member in up for member in group.members) if group is not None else 0
        # A group without a member loses a copy of every chunk; missing replicas are then counted already.
        under += counts.chunk_count if members_up < policy.replicas else counts.missing_chunk_count
    return under, sum(counts.lost_chunk_count for counts in facts.groups)


def _count_lost(
    tx: Transaction, group: PlacedGroup, chunk_count: int, missing_chunk_count: int, alive: frozenset[ServerId]
) -> int:
    survivors = [member for member in group.members if member in alive]
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


def _stored_bytes(facts: Facts, groups: GroupMap) -> int:
    return sum(
        counts.chunk_bytes * len(groups.by_id[counts.group_id].members) - counts.missing_bytes
        for counts in facts.groups
        if counts.group_id in groups.by_id
    )


def _describe(state: ServerState, facts: Facts, groups: GroupMap, lacking: Mapping[ServerId, int]) -> ServerStatus:
    record = state.record
    group_ids = groups.of_server(record.server_id)
    return ServerStatus(
        server_id=record.server_id,
        name=record.name,
        address=record.address,
        http_address=record.http_address,
        labels=record.labels,
        phase=state.phase,
        last_heartbeat_age_s=state.age_s,
        capacity=state.capacity,
        chunk_count=state.heartbeat.chunk_count if state.heartbeat is not None else 0,
        group_count=len(group_ids),
        lead_count=sum(groups.by_id[group_id].members[0] == record.server_id for group_id in group_ids),
        missing_chunk_count=facts.missing_of_server.get(record.server_id, 0) + lacking.get(record.server_id, 0),
        version=record.version,
    )


def _worst(severities: tuple[Health, ...]) -> Health:
    if Health.ERROR in severities:
        return Health.ERROR
    return Health.WARN if severities else Health.OK
