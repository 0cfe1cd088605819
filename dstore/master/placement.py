"""Where chunks go: pure planning of placement groups, and the choice among them.

Groups are planned so that every server is a member, and the head, of a share that fits its capacity; no two members
of a group share a failure domain, and they do not share a host or a rack either where that can be had. The same
inputs give the same plan.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dstore.core.errors import DstoreError, OutOfSpace, Unavailable
from dstore.core.files import Policy
from dstore.core.groups import Capacity, Duty, MemberState, ServerLabels, ServerPhase
from dstore.core.ids import GroupId, ServerId
from dstore.core.limits import (
    FILL_PLACEMENT_MAX,
    GROUPS_MADE_MAX,
    GROUPS_PER_SERVER_MAX,
    GROUPS_PER_SERVER_MIN,
    GROUPS_SURPLUS_MAX,
)
from dstore.master.spreader import Spreader

#: Of a group as it is made.
FIRST_EPOCH = 1


@dataclass(frozen=True, slots=True)
class ServerView:
    """What placement knows of a chunkserver. A capacity of 0 bytes means that it has not reported yet."""

    server_id: ServerId
    labels: ServerLabels
    phase: ServerPhase
    capacity: Capacity
    duty: Duty = Duty.ACTIVE

    @property
    def is_up(self) -> bool:
        """Whether it can be asked to take a chunk."""
        return self.phase is ServerPhase.UP and self.capacity.total_bytes > 0

    @property
    def takes_chunks(self) -> bool:
        """Whether it is up, below the fill watermark, and not about to go."""
        return self.is_up and self.duty is Duty.ACTIVE and self.capacity.fill < FILL_PLACEMENT_MAX


@dataclass(frozen=True, slots=True)
class PlacedGroup:
    """A group that exists.

    Attributes:
        members: all of them, in order.
        filling, leaving: the members in these states; the others are whole.
    """

    group_id: GroupId
    members: tuple[ServerId, ...]
    epoch: int = FIRST_EPOCH
    filling: frozenset[ServerId] = frozenset()
    leaving: frozenset[ServerId] = frozenset()

    @property
    def writers(self) -> tuple[ServerId, ...]:
        """The members that get new chunks, in order."""
        if not self.leaving:
            return self.members
        return tuple(member for member in self.members if member not in self.leaving)

    def state_of(self, member: ServerId) -> MemberState:
        """Return how a member stands in the group."""
        if member in self.filling:
            return MemberState.FILLING
        return MemberState.LEAVING if member in self.leaving else MemberState.WHOLE


@dataclass(frozen=True, slots=True)
class Choice:
    """One chunk's place: a group, and those of its members that are to take the chunk now."""

    group_id: GroupId
    chain: tuple[ServerId, ...]


def domain_of(server_id: ServerId, labels: ServerLabels, failure_domain: str) -> str:
    """Return what no other replica may share with this server. A server without the label stands for itself."""
    return {"host": labels.host, "rack": labels.rack}.get(failure_domain, "") or server_id


def groups_per_server(server_count: int) -> int:
    """Return how many groups each server should be a member of, so that the load of a lost one spreads over all."""
    return max(GROUPS_PER_SERVER_MIN, min(server_count, GROUPS_PER_SERVER_MAX))


def group_target(servers: Iterable[ServerView], policy: Policy) -> int:
    """Return how many whole groups the servers that take chunks should have between them."""
    takers = [server for server in servers if server.takes_chunks]
    domains = {domain_of(taker.server_id, taker.labels, policy.failure_domain) for taker in takers}
    if len(domains) < policy.replicas:
        return 0
    return -(-groups_per_server(len(takers)) * len(takers) // policy.replicas)


def plan_groups(
    servers: Sequence[ServerView], groups: Sequence[PlacedGroup], policy: Policy
) -> tuple[tuple[ServerId, ...], ...]:
    """Return the members of the groups that should be made now, heads first.

    Whole groups are made up to the target, and when failures left no whole group. While there are fewer servers (or
    failure domains) than replicas, but at least ``min_replicas``, smaller groups are made if nothing else can be
    written to; what they hold counts as under-replicated.
    """
    takers = [server for server in servers if server.takes_chunks]
    domains = {domain_of(taker.server_id, taker.labels, policy.failure_domain) for taker in takers}
    if len(domains) < policy.min_replicas:
        return ()
    size = min(policy.replicas, len(domains))
    taker_ids = {taker.server_id for taker in takers}
    # Failures that leave nothing to write to can happen again and again: what they may add is bounded.
    surplus = GROUPS_SURPLUS_MAX * -(-groups_per_server(len(servers)) * len(servers) // size) - len(groups)
    some = min(-(-len(takers) // size), surplus)
    if size == policy.replicas:
        whole = [group.writers for group in groups if len(group.writers) >= policy.replicas]
        wanted = group_target(takers, policy) - len(whole)
        if wanted <= 0 and not any(taker_ids.issuperset(members) for members in whole):
            wanted = some
    else:
        writable = any(len(taker_ids.intersection(group.writers)) >= policy.min_replicas for group in groups)
        wanted = 0 if writable else some
    if wanted <= 0:
        return ()
    spreader = Spreader(
        {
            taker.server_id: (domain_of(taker.server_id, taker.labels, policy.failure_domain), taker.labels)
            for taker in takers
        },
        {taker.server_id: taker.capacity.total_bytes for taker in takers},
        [group.writers for group in groups],
    )
    return tuple(spreader.next_group(size) for _ in range(min(wanted, GROUPS_MADE_MAX)))


def choose_placements(
    count: int,
    servers: Mapping[ServerId, ServerView],
    groups: Sequence[PlacedGroup],
    policy: Policy,
    *,
    avoid: frozenset[ServerId],
    rotation: int,
) -> tuple[Choice, ...]:
    """Choose places for ``count`` chunks.

    Whole and healthy groups come first; consecutive chunks go to consecutive groups, from ``rotation`` on. If there
    are none, the groups with the most members left take chunks, as long as that is at least ``min_replicas``.

    Raises:
        OutOfSpace: reason ``CLUSTER_FULL``.
        Unavailable: reason ``NOT_ENOUGH_SERVERS``.
    """
    takers = {server_id for server_id, server in servers.items() if server.takes_chunks} - avoid
    found: list[Choice] = []
    for offset in range(len(groups)):
        group = groups[(rotation + offset) % len(groups)]
        writers = group.writers
        if len(writers) >= policy.replicas and takers.issuperset(writers):
            found.append(Choice(group.group_id, writers))
            if len(found) >= count:
                break
    found = found or _longest_chains(takers, groups, policy)
    if not found:
        raise explain_refusal(servers.values(), policy, avoid)
    first = 0 if len(found[0].chain) >= policy.replicas else rotation
    return tuple(found[(first + index) % len(found)] for index in range(count))


def is_degraded(choices: tuple[Choice, ...], policy: Policy) -> bool:
    """Whether some of the chunks would get fewer copies than the policy wants."""
    return any(len(choice.chain) < policy.replicas for choice in choices)


def order_groups(groups: Iterable[PlacedGroup]) -> tuple[PlacedGroup, ...]:
    """Return the groups so that neighbours have different heads, as far as that goes."""
    nth_of_head: dict[ServerId, int] = {}
    keyed: list[tuple[int, ServerId, GroupId, PlacedGroup]] = []
    for group in sorted(groups, key=lambda each: each.group_id):
        head = (group.writers or group.members)[0]
        nth_of_head[head] = nth_of_head.get(head, -1) + 1
        keyed.append((nth_of_head[head], head, group.group_id, group))
    keyed.sort(key=lambda each: each[:3])
    return tuple(each[3] for each in keyed)


def explain_refusal(servers: Iterable[ServerView], policy: Policy, avoid: frozenset[ServerId]) -> DstoreError:
    """Return the error that says why no chunk can be placed."""
    known = list(servers)
    up = [server for server in known if server.is_up and server.duty is Duty.ACTIVE and server.server_id not in avoid]
    going = sum(server.is_up and server.duty is not Duty.ACTIVE for server in known)
    below = [server for server in up if server.takes_chunks]
    metadata = {"up": str(len(up)), "joined": str(len(known)), "needed": str(policy.min_replicas)}
    if len(up) >= policy.min_replicas > len(below):
        return OutOfSpace(
            f"Only {len(below)} of {len(up)} chunkservers that are up have a disk below {FILL_PLACEMENT_MAX:.0%}, and "
            f"a write needs {policy.min_replicas}; add chunkservers or remove files.",
            reason="CLUSTER_FULL",
            metadata=metadata,
        )
    avoided = f" (leaving out {len(avoid)} that just failed)" if avoid else ""
    avoided += f" ({going} more are draining or in maintenance)" if going else ""
    where = "" if policy.failure_domain == "server" else f", on different {policy.failure_domain}s"
    return Unavailable(
        f"{len(up)} of {len(known)} chunkservers can take a chunk{avoided}, and a write needs {policy.min_replicas}"
        f"{where}; start more of them (dstore status shows which are down).",
        reason="NOT_ENOUGH_SERVERS",
        metadata=metadata,
    )


def _longest_chains(takers: set[ServerId], groups: Sequence[PlacedGroup], policy: Policy) -> list[Choice]:
    longest = policy.min_replicas
    found: list[Choice] = []
    for group in groups:
        chain = tuple(member for member in group.writers if member in takers)
        if len(chain) > longest:
            longest, found = len(chain), []
        if len(chain) == longest:
            found.append(Choice(group.group_id, chain))
    return found
