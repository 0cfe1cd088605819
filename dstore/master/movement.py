"""What moves in a cluster and what is in which state: the figures of the status that only tell, and judge nothing."""

from collections.abc import Iterable, Mapping

from dstore.core.files import Policy
from dstore.core.groups import ServerPhase
from dstore.core.ids import GroupId, ServerId
from dstore.core.status import GroupStates, RepairProgress
from dstore.core.traffic import NO_TRAFFIC, Traffic
from dstore.master.facts import Facts
from dstore.master.group_map import GroupMap
from dstore.master.membership import ServerState
from dstore.master.progress import Progress


def sum_traffic(states: Iterable[ServerState]) -> Traffic:
    """Return what all servers that are heard move."""
    return sum((state.traffic for state in states if state.is_heard), NO_TRAFFIC)


def describe_repair(progress: Progress) -> RepairProgress:
    """Return how far the copying is."""
    return RepairProgress(progress.filling_count, progress.left_bytes, round(progress.bytes_per_s), progress.left_s)


def count_groups(
    facts: Facts,
    groups: GroupMap,
    states: Mapping[ServerId, ServerState],
    policy: Policy,
    lacking: frozenset[GroupId],
) -> GroupStates:
    """Return how many groups there are in each state. ``lacking``: groups of which servers hold less than they should.

    A group on fewer servers than the policy wants is degraded, whatever it holds.
    """
    up = {server_id for server_id, state in states.items() if state.phase is ServerPhase.UP}
    whole = filling = degraded = unavailable = 0
    for group_id, counts in facts.groups.items():
        group = groups.by_id.get(group_id)
        holders = set(group.members) - group.filling if group is not None else set[ServerId]()
        present = len(holders & up)
        if not present:
            unavailable += 1
        elif counts.missing_chunk_count or group_id in lacking or present < min(len(holders), policy.replicas):
            degraded += 1
        elif group is not None and group.filling:
            filling += 1
        elif present < policy.replicas:
            degraded += 1
        else:
            whole += 1
    return GroupStates(whole, filling, degraded, unavailable)
