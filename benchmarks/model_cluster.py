"""Clusters that exist only as the values that planners look at, of any size."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dstore.core.files import Policy
from dstore.core.groups import Capacity, Duty, MemberState, ServerLabels, ServerPhase
from dstore.core.ids import GroupId, ServerId
from dstore.master.placement import domain_of
from dstore.master.spreader import Spreader
from dstore.master.views import PlannedGroup, PlannedMember, PlannedServer

GIB = 1 << 30
TOTAL_BYTES = 4096 * GIB
REPLICAS = 3
#: Servers of one rack stand on hosts of their own.
SERVERS_PER_RACK = 20


def policy(failure_domain: str = "server") -> Policy:
    """Return three copies, each on another failure domain."""
    return Policy("default", REPLICAS, 2, 1 << 24, failure_domain)


def make_servers(count: int, used_bytes: int = 0) -> list[PlannedServer]:
    """Return servers that are up, all alike."""
    return [
        PlannedServer(
            ServerId(f"00000000-0000-4000-8000-{number:012x}"),
            f"cs-{number}",
            ServerLabels(f"host-{number}", f"rack-{number // SERVERS_PER_RACK}"),
            ServerPhase.UP,
            Duty.ACTIVE,
            Capacity(TOTAL_BYTES, used_bytes),
        )
        for number in range(count)
    ]


def make_groups(
    servers: Sequence[PlannedServer], count: int, chunk_bytes: int, failure_domain: str = "server"
) -> list[PlannedGroup]:
    """Return groups whose members are all whole, spread as placement does."""
    spreader = Spreader(
        {each.server_id: (domain_of(each.server_id, each.labels, failure_domain), each.labels) for each in servers},
        {each.server_id: each.capacity.total_bytes for each in servers},
        (),
    )
    return [
        PlannedGroup(
            GroupId(number),
            1,
            tuple(PlannedMember(member, MemberState.WHOLE) for member in spreader.next_group(REPLICAS)),
            chunk_bytes >> 24,
            chunk_bytes,
        )
        for number in range(1, count + 1)
    ]


def with_phase(servers: Sequence[PlannedServer], phases: Mapping[int, ServerPhase]) -> list[PlannedServer]:
    """Return the servers, some of them in other phases, by position."""
    return [replace(each, phase=phases.get(index, each.phase)) for index, each in enumerate(servers)]


def with_used(servers: Sequence[PlannedServer], used_bytes: Sequence[int]) -> list[PlannedServer]:
    """Return the servers with so much on their disks."""
    return [
        replace(each, capacity=Capacity(each.capacity.total_bytes, used))
        for each, used in zip(servers, used_bytes, strict=True)
    ]
