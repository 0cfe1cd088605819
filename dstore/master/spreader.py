"""Draws groups of servers so that everyone gets a fair share.

One heap of failure domains, ordered by their least loaded server, and in each domain one heap of servers: drawing a
group costs a few heap operations, however many servers there are. Load is memberships per capacity.
"""

import hashlib
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush

from dstore.core.groups import ServerLabels
from dstore.core.ids import ServerId

#: Domains that are looked at beyond the needed ones, to keep members of a group on different hosts and racks.
_LOOKAHEAD = 8

#: (load, tie, server): the tie is a hash, so that equal servers meet in ever new combinations.
_Entry = tuple[float, bytes, ServerId]


class Spreader:
    """Draws groups from servers, each with its failure domain, labels and capacity; ``groups`` exist already."""

    def __init__(
        self,
        servers: Mapping[ServerId, tuple[str, ServerLabels]],
        capacities: Mapping[ServerId, int],
        groups: Sequence[tuple[ServerId, ...]],
    ) -> None:
        mean = sum(capacities.values()) / len(capacities)
        self._weights = {server_id: max(capacities[server_id], 1) / mean for server_id in servers}
        self._domain = {server_id: domain for server_id, (domain, _) in servers.items()}
        self._memberships = dict.fromkeys(servers, 0)
        self._leads = dict.fromkeys(servers, 0)
        for members in groups:
            for member in members:
                if member in self._memberships:
                    self._memberships[member] += 1
            if members and members[0] in self._leads:
                self._leads[members[0]] += 1
        self._hosts = _telling({server_id: labels.host for server_id, (_, labels) in servers.items()})
        self._racks = _telling({server_id: labels.rack for server_id, (_, labels) in servers.items()})
        self._in_domain: dict[str, list[_Entry]] = {}
        for server_id in sorted(servers):
            self._in_domain.setdefault(self._domain[server_id], []).append(self._entry(server_id))
        for heap in self._in_domain.values():
            heapify(heap)
        self._domains = [heap[0] for heap in self._in_domain.values()]
        heapify(self._domains)

    def next_group(self, size: int) -> tuple[ServerId, ...]:
        """Return the members of one more group, the head first. ``size`` is at most the number of domains."""
        chosen: list[_Entry] = []
        aside: list[_Entry] = []
        while len(chosen) < size and self._domains and len(aside) <= _LOOKAHEAD:
            entry = heappop(self._domains)
            (aside if self._collisions(entry, chosen) else chosen).append(entry)
        while len(chosen) < size:
            best = min(range(len(aside)), key=lambda index: self._collisions(aside[index], chosen))
            chosen.append(aside.pop(best))
        for entry in aside:
            heappush(self._domains, entry)
        for _, _, server_id in chosen:
            self._memberships[server_id] += 1
            heap = self._in_domain[self._domain[server_id]]
            popped = heappop(heap)
            assert popped[2] == server_id, "a domain stands in the heap with its least loaded server"
            heappush(heap, self._entry(server_id))
            heappush(self._domains, heap[0])
        members = [server_id for _, _, server_id in chosen]
        head = min(members, key=lambda server_id: (self._leads[server_id] + 1) / self._weights[server_id])
        self._leads[head] += 1
        members.remove(head)
        return (head, *members)

    def _entry(self, server_id: ServerId) -> _Entry:
        count = self._memberships[server_id]
        tie = hashlib.blake2b(f"{server_id} {count}".encode(), digest_size=8).digest()
        return ((count + 1) / self._weights[server_id], tie, server_id)

    def _collisions(self, entry: _Entry, chosen: list[_Entry]) -> int:
        """Return how bad it is that the server shares a host (2) or a rack (1) with the others; 0 when it is not."""
        host, rack = self._hosts.get(entry[2], ""), self._racks.get(entry[2], "")
        shares_host = bool(host) and any(host == self._hosts.get(other[2]) for other in chosen)
        shares_rack = bool(rack) and any(rack == self._racks.get(other[2]) for other in chosen)
        return 2 * shares_host + shares_rack


def _telling(labels: Mapping[ServerId, str]) -> Mapping[ServerId, str]:
    """Return the labels, or nothing when all are the same and so tell nothing."""
    return labels if len(set(labels.values())) > 1 else {}
