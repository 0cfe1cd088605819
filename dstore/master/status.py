"""What operators see: facts are read in one transaction, and a pure function makes the status of them.

HEALTH_OK is never said while a server that has joined is not up, or a chunk has fewer copies than the policy wants.
"""

from collections.abc import Mapping

from dstore.core.errors import DstoreError
from dstore.core.files import Policy
from dstore.core.groups import Capacity, ServerPhase
from dstore.core.ids import ServerId
from dstore.core.status import ClusterStatus, Health, HealthCheck, ServerStatus
from dstore.master.facts import Facts
from dstore.master.group_map import GroupMap
from dstore.master.health import Losses, find_checks, summarize
from dstore.master.membership import ServerState
from dstore.master.store.schema import ClusterRecord


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
    further: tuple[HealthCheck, ...] = (),
    time_ns: int = 0,
) -> ClusterStatus:
    """Return the status.

    Args:
        lacking: how many chunks servers hold fewer than they should, beyond the missing replicas that are recorded.
        refusal: why a chunk could not be placed now; None when it could.
        further: reasons for a health that is not OK, from elsewhere.
        time_ns: of the wall clock.
    """
    policy = cluster.policy
    servers = sorted(states.values(), key=lambda state: state.record.name)
    up = [state for state in servers if state.phase is ServerPhase.UP]
    under, unavailable = _count_losses(facts, groups, states, policy)
    chunk_count = sum(group.chunk_count for group in facts.groups.values())
    # Which chunks are lacking is not known; some may be counted already.
    under = min(chunk_count, under + sum(lacking.values()))
    unsynced = [state.heartbeat.unsynced for state in servers if state.heartbeat is not None and state.is_heard]
    losses = Losses(under_replicated=under, unavailable=unavailable, lacking=lacking)
    checks = find_checks(policy, servers, losses, refusal, running_s=facts.counters["running_s"], further=further)
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
        retained_file_count=facts.counters["retained_files"],
        retained_bytes=facts.counters["retained_bytes"],
        trashed_copies=sum(state.heartbeat.trash_count for state in servers if state.heartbeat is not None),
        unsynced_copies=sum(each.chunk_count for each in unsynced),
        unsynced_bytes=sum(each.size_bytes for each in unsynced),
        unsynced_age_s=max((each.age_s for each in unsynced), default=0.0),
        time_ns=time_ns,
    )


def _count_losses(
    facts: Facts, groups: GroupMap, states: Mapping[ServerId, ServerState], policy: Policy
) -> tuple[int, int]:
    """Return how many chunks have too few copies on servers that are up, and how many have none."""
    up = {server_id for server_id, state in states.items() if state.phase is ServerPhase.UP}
    under = 0
    for counts in facts.groups.values():
        group = groups.by_id.get(counts.group_id)
        holders = set(group.members) - group.filling if group is not None else set[ServerId]()
        # A group without a member loses a copy of every chunk; missing replicas are then counted already.
        under += counts.chunk_count if len(holders & up) < policy.replicas else counts.missing_chunk_count
    return under, sum(counts.lost_chunk_count for counts in facts.groups.values())


def _stored_bytes(facts: Facts, groups: GroupMap) -> int:
    return sum(
        counts.chunk_bytes * (len(group.members) - len(group.filling)) - counts.missing_bytes
        for counts in facts.groups.values()
        if (group := groups.by_id.get(counts.group_id)) is not None
    )


def _describe(state: ServerState, facts: Facts, groups: GroupMap, lacking: Mapping[ServerId, int]) -> ServerStatus:
    record, heartbeat = state.record, state.heartbeat
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
        chunk_count=heartbeat.chunk_count if heartbeat is not None else 0,
        group_count=len(group_ids),
        lead_count=sum(groups.by_id[group_id].members[0] == record.server_id for group_id in group_ids),
        missing_chunk_count=facts.missing_of_server.get(record.server_id, 0) + lacking.get(record.server_id, 0),
        version=record.version,
        duty=record.duty,
        filling_count=sum(record.server_id in groups.by_id[group_id].filling for group_id in group_ids),
        corrupt_chunk_count=heartbeat.corrupt_chunk_count if heartbeat is not None else 0,
        probe_latency_s=heartbeat.probe.latency_s if heartbeat is not None else 0.0,
        scrub_position=heartbeat.scrub.position if heartbeat is not None else 0.0,
        scrub_age_s=heartbeat.scrub.last_pass_age_s if heartbeat is not None else None,
        unsynced_chunk_count=heartbeat.unsynced.chunk_count if heartbeat is not None and state.is_heard else 0,
        clock_ahead_s=state.clock_offset_s,
        traffic=state.traffic,
    )


def _worst(severities: tuple[Health, ...]) -> Health:
    if Health.ERROR in severities:
        return Health.ERROR
    return Health.WARN if severities else Health.OK
