"""Finds servers that can become members of a group, and keeps count of what they would have to take."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from dstore.core.groups import Duty
from dstore.core.ids import ServerId
from dstore.core.limits import BALANCE_TOLERANCE, FILL_PLACEMENT_MAX
from dstore.master.ladder import Ladder
from dstore.master.triage import FILLING, LEAVING, WHOLE, Scene
from dstore.master.views import PlannedGroup, PlannedServer, PlannerLimits

#: Candidates that are compared, to keep members of a group on different hosts and racks.
_LOOKAHEAD = 8
#: Failure domains that are looked at for a move, which can wait: if any has room, it is one of the least loaded.
_MOVE_TRIES = 64


class Burden:
    """What each server carries.

    Attributes:
        memberships: by server, without those that are LEAVING.
        filling: by server, memberships that are FILLING.
        incoming_bytes: what is being filled; a part of it may be on the disk already.
        outgoing_bytes: what goes when the server has left.
    """

    def __init__(self, groups: Sequence[PlannedGroup]) -> None:
        self.memberships = Counter(member.server_id for group in groups for member in group.members)
        self.filling: Counter[ServerId] = Counter()
        self.incoming_bytes: Counter[ServerId] = Counter()
        self.outgoing_bytes: Counter[ServerId] = Counter()
        for group in groups:
            for member in group.members:
                if member.state is WHOLE:
                    continue
                if member.state is FILLING:
                    self.filling[member.server_id] += 1
                    self.incoming_bytes[member.server_id] += group.chunk_bytes
                elif member.state is LEAVING:
                    self.memberships[member.server_id] -= 1
                    self.outgoing_bytes[member.server_id] += group.chunk_bytes


class Candidates:
    """Servers that may become members; what is picked counts at once.

    The server with the fewest memberships to fill comes first, so that many rebuild at the same time; among equals the
    emptier disk, then the one with fewer memberships for its size. Disks that are fuller than the tolerance of the
    balancer allows come last.

    Attributes:
        filling_count: memberships that are FILLING, in the whole cluster.
    """

    def __init__(self, scene: Scene, groups: Sequence[PlannedGroup], limits: PlannerLimits | None) -> None:
        self._scene = scene
        self._limits = limits
        self._burden = Burden(groups)
        self.filling_count = self._burden.filling.total()
        takers = [server for server in scene.servers.values() if server.takes_members]
        total_bytes = sum(taker.capacity.total_bytes for taker in takers)
        used_bytes = sum(taker.capacity.used_bytes for taker in takers)
        self._high_fill = used_bytes / max(total_bytes, 1) + BALANCE_TOLERANCE
        self._mean_total_bytes = total_bytes / max(len(takers), 1)
        self._ladder = Ladder(
            scene.domains, {taker.server_id: self._load(taker) for taker in takers if not self._is_full(taker)}
        )
        self._hosts = _telling({server.server_id: server.labels.host for server in takers})
        self._racks = _telling({server.server_id: server.labels.rack for server in takers})

    def pick(self, group: PlannedGroup, beside: Sequence[ServerId], *, can_wait: bool) -> ServerId | None:
        """Return a new member for a group, or None when there is none now.

        It shares no failure domain with the servers ``beside``, is no member yet, and is below the limits; those of
        moves if the change ``can_wait``.
        """
        limits = self._limits
        per_server = None
        if limits is not None:
            if self.filling_count >= (limits.moves_max if can_wait else limits.filling_max):
                return None
            per_server = limits.moves_per_server_max if can_wait else limits.filling_per_server_max
        members = {member.server_id for member in group.members}.union(beside)

        def accept(server_id: ServerId) -> bool:
            if server_id in members or not self._has_room(server_id, group.chunk_bytes):
                return False
            return per_server is None or self._burden.filling[server_id] < per_server

        found = self._ladder.lowest(
            accept,
            barred={self._scene.domains[server_id] for server_id in beside if server_id in self._scene.domains},
            count=_LOOKAHEAD if self._hosts or self._racks else 1,
            tries=_MOVE_TRIES if can_wait and limits is not None else None,
        )
        if not found:
            return None
        best = min(found, key=lambda server_id: self._collisions(server_id, beside))
        self._take(best, group.chunk_bytes)
        return best

    def _has_room(self, server_id: ServerId, size_bytes: int) -> bool:
        capacity = self._scene.servers[server_id].capacity
        expected_bytes = capacity.used_bytes + self._burden.incoming_bytes[server_id] + size_bytes
        return expected_bytes < FILL_PLACEMENT_MAX * capacity.total_bytes

    def _is_full(self, server: PlannedServer) -> bool:
        if not self._has_room(server.server_id, 0):
            return True
        limits = self._limits
        return limits is not None and self._burden.filling[server.server_id] >= limits.filling_per_server_max

    def _take(self, server_id: ServerId, size_bytes: int) -> None:
        self._burden.memberships[server_id] += 1
        self._burden.filling[server_id] += 1
        self._burden.incoming_bytes[server_id] += size_bytes
        self.filling_count += 1
        server = self._scene.servers[server_id]
        if self._is_full(server):
            self._ladder.discard(server_id)
        else:
            self._ladder.move(server_id, self._load(server))

    def _load(self, server: PlannedServer) -> tuple[bool, int, int, float, bytes]:
        server_id, capacity = server.server_id, server.capacity
        coming_bytes = self._burden.incoming_bytes[server_id] - self._burden.outgoing_bytes[server_id]
        fill = (capacity.used_bytes + coming_bytes) / capacity.total_bytes
        memberships = self._burden.memberships[server_id]
        # The tie is a hash, so that equal servers meet in ever new combinations.
        tie = hashlib.blake2b(f"{server_id} {memberships}".encode(), digest_size=8).digest()
        return (
            fill > self._high_fill,
            self._burden.filling[server_id],
            int(fill / BALANCE_TOLERANCE),
            memberships * self._mean_total_bytes / capacity.total_bytes,
            tie,
        )

    def _collisions(self, server_id: ServerId, beside: Iterable[ServerId]) -> int:
        """Return how bad it is that the server shares a host (2) or a rack (1) with the others; 0 when it is not."""
        host, rack = self._hosts.get(server_id, ""), self._racks.get(server_id, "")
        shares_host = bool(host) and any(host == self._hosts.get(other) for other in beside)
        shares_rack = bool(rack) and any(rack == self._racks.get(other) for other in beside)
        return 2 * shares_host + shares_rack


def why_no_candidate(scene: Scene, group: PlannedGroup, beside: Iterable[ServerId]) -> str | None:
    """Return, in the form "2 are in the group already, 1 is not up", why no server could become a member of a group.

    ``beside`` are the members that are to stay. Returns None when there is one that could.
    """
    beside = frozenset(beside)
    members = beside.union(member.server_id for member in group.members)
    barred = {scene.domains[server_id] for server_id in beside if server_id in scene.domains}
    counts: Counter[str] = Counter()
    for server_id, server in scene.servers.items():
        if not server.is_up or server.capacity.total_bytes == 0:
            counts["not up"] += 1
        elif server_id in members:
            counts["in the group already"] += 1
        elif server.duty is not Duty.ACTIVE:
            counts["draining" if server.duty is Duty.DRAINING else "in maintenance"] += 1
        elif scene.domains[server_id] in barred:
            counts[f"on the {scene.policy.failure_domain} of a member"] += 1
        elif server.capacity.used_bytes + group.chunk_bytes >= FILL_PLACEMENT_MAX * server.capacity.total_bytes:
            counts[f"without room below {FILL_PLACEMENT_MAX:.0%}"] += 1
        else:
            return None
    return ", ".join(f"{count} {'is' if count == 1 else 'are'} {text}" for text, count in counts.items())


def _telling(labels: Mapping[ServerId, str]) -> Mapping[ServerId, str]:
    """Return the labels, or nothing when all are the same and so tell nothing."""
    return labels if len(set(labels.values())) > 1 else {}
