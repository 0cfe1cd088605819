"""How long it takes until a lost server's data has all its copies again, by the size of the cluster: a model.

The planner is the real one. Copying is modelled: each server takes in, and gives out, at most so many bytes per
second; a newcomer copies one group after the other, from all members that hold it at the same time. Time starts when
the server is out, and orders reach a server with its next heartbeat.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.model_cluster import GIB, REPLICAS, make_groups, make_servers, policy, with_phase
from dstore.core.groups import MemberState, ServerPhase
from dstore.core.ids import GroupId, ServerId
from dstore.core.limits import (
    COPY_BYTES_PER_S_DEFAULT,
    GROUPS_PER_SERVER_MAX,
    GROUPS_PER_SERVER_MIN,
    HEARTBEAT_INTERVAL_S,
)
from dstore.core.sizes import format_size
from dstore.master.repair import plan_repair
from dstore.master.views import MemberChange, PlannedGroup, PlannedMember, PlannedServer, PlannerLimits

SIZES = (10, 30, 100, 300, 1000)
#: Groups of each server that are compared, as a floor and a ceiling of the number of servers.
MEMBERSHIPS = (
    (GROUPS_PER_SERVER_MIN, GROUPS_PER_SERVER_MIN),
    (GROUPS_PER_SERVER_MIN, 300),
    (GROUPS_PER_SERVER_MIN, GROUPS_PER_SERVER_MAX),
)
DATA_BYTES = 2048 * GIB


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the model found.

    Attributes:
        rebuilding: servers that took part as newcomers.
        ideal_s: if all others shared the work evenly.
    """

    rebuilding: int
    duration_s: float
    ideal_s: float


@dataclass(slots=True)
class _Copy:
    """One group that a newcomer is filled with."""

    group_id: GroupId
    sources: tuple[ServerId, ...]
    left_bytes: float


def recover(server_count: int, memberships: int, *, data_bytes: int, bytes_per_s: int) -> Recovery:
    """Lose one of so many servers with so much data each, and plan and copy until everything is whole again."""
    servers = make_servers(server_count, data_bytes)
    group_count = -(-server_count * memberships // REPLICAS)
    groups = {each.group_id: each for each in make_groups(servers, group_count, data_bytes // memberships)}
    servers = with_phase(servers, {0: ServerPhase.OUT})
    lost_count = sum(servers[0].server_id == member.server_id for each in groups.values() for member in each.members)
    now_s = 0.0
    queues: dict[ServerId, list[_Copy]] = {}
    rebuilding: set[ServerId] = set()
    while True:
        begun = _plan(servers, groups) if lost_count else []
        lost_count -= len(begun)
        for newcomer, copy in begun:
            queues.setdefault(newcomer, []).append(copy)
            rebuilding.add(newcomer)
        if begun:
            now_s += HEARTBEAT_INTERVAL_S
        if not queues:
            ideal_s = data_bytes / bytes_per_s / (server_count - 1)
            return Recovery(len(rebuilding), now_s, ideal_s)
        now_s += _copy_until_one_ends(queues, groups, bytes_per_s)


def _plan(servers: list[PlannedServer], groups: dict[GroupId, PlannedGroup]) -> list[tuple[ServerId, _Copy]]:
    """Let the planner decide, and return the copies that newcomers have to make."""
    begun: list[tuple[ServerId, _Copy]] = []
    for change in plan_repair(servers, tuple(groups.values()), policy(), limits=PlannerLimits()):
        group = groups[change.group_id] = _changed(groups[change.group_id], change)
        sources = tuple(member.server_id for member in group.members if member.state is MemberState.WHOLE)
        begun += [(each, _Copy(group.group_id, sources, float(group.chunk_bytes))) for each in change.add]
    return begun


def _changed(group: PlannedGroup, change: MemberChange) -> PlannedGroup:
    members = tuple(member for member in group.members if member.server_id not in change.remove)
    added = tuple(PlannedMember(each, MemberState.FILLING) for each in change.add)
    return replace(group, epoch=group.epoch + 1, members=members + added)


def _copy_until_one_ends(
    queues: dict[ServerId, list[_Copy]], groups: dict[GroupId, PlannedGroup], bytes_per_s: int
) -> float:
    """Copy at the rates of the moment until some groups are whole, and return how long that took."""
    readers = Counter(source for queue in queues.values() for source in queue[0].sources)
    rates = {
        newcomer: min(float(bytes_per_s), sum(bytes_per_s / readers[source] for source in queue[0].sources))
        for newcomer, queue in queues.items()
    }
    duration_s = min(queue[0].left_bytes / rates[newcomer] for newcomer, queue in queues.items())
    for newcomer, queue in list(queues.items()):
        copy = queue[0]
        copy.left_bytes -= duration_s * rates[newcomer]
        if copy.left_bytes < 1:
            group = groups[copy.group_id]
            members = tuple(replace(member, state=MemberState.WHOLE) for member in group.members)
            groups[copy.group_id] = replace(group, epoch=group.epoch + 1, members=members)
            queue.pop(0)
            if not queue:
                del queues[newcomer]
    return duration_s


def table(*, data_bytes: int, bytes_per_s: int) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    heads = [
        f"{low} groups per server" if low == high else f"as many groups as servers, {low} to {high}"
        for low, high in MEMBERSHIPS
    ]
    yield f"| servers | {' | '.join(heads)} | all others share evenly |"
    yield "|---" * (len(MEMBERSHIPS) + 2) + "|"
    for count in SIZES:
        found = [
            recover(count, min(max(low, count), high), data_bytes=data_bytes, bytes_per_s=bytes_per_s)
            for low, high in MEMBERSHIPS
        ]
        cells = [f"{each.duration_s:,.0f} s, {each.rebuilding} rebuild" for each in found]
        yield f"| {count:,} | {' | '.join(cells)} | {found[0].ideal_s:,.0f} s |"


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery_time", description=__doc__)
    parser.add_argument("--data-gib", type=int, default=DATA_BYTES // GIB, help="on each server, default 2048")
    parser.add_argument("--bytes-per-s", type=int, default=COPY_BYTES_PER_S_DEFAULT, help="in and out of each server")
    arguments = parser.parse_args()
    data_bytes, bytes_per_s = arguments.data_gib * GIB, arguments.bytes_per_s
    print(f"One server of many is lost with {format_size(data_bytes)} on it; each copies {format_size(bytes_per_s)}/s.")
    print()
    for line in table(data_bytes=data_bytes, bytes_per_s=bytes_per_s):
        print(line)


if __name__ == "__main__":
    main()
