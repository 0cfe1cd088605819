"""Servers ordered by load, failure domain by failure domain, so that the best one outside some domains is found fast.

One heap of domains, ordered by their least loaded server, and in each domain one heap of servers: a search costs a
few heap operations, however many servers there are. Entries whose load has changed stay in the heaps until they are
met, and are thrown away then.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import heapify, heappop, heappush
from typing import Any

from dstore.core.ids import ServerId

#: How loaded a server is: a tuple, or a number, of the same kind for all servers of one ladder.
Load = Any


class Ladder:
    """Servers with their domains, the least loaded first; equal loads are ordered by server id."""

    def __init__(self, domains: Mapping[ServerId, str], loads: Mapping[ServerId, Load]) -> None:
        self._domains = domains
        self._loads = dict(loads)
        self._in_domain: dict[str, list[tuple[Load, ServerId]]] = {}
        for server_id, load in self._loads.items():
            self._in_domain.setdefault(domains[server_id], []).append((load, server_id))
        for heap in self._in_domain.values():
            heapify(heap)
        self._heads = [(*heap[0], domain) for domain, heap in self._in_domain.items()]
        heapify(self._heads)

    def __len__(self) -> int:
        return len(self._loads)

    def __contains__(self, server_id: object) -> bool:
        return server_id in self._loads

    def move(self, server_id: ServerId, load: Load) -> None:
        """Change the load of a server."""
        self._loads[server_id] = load
        domain = self._domains[server_id]
        heap = self._in_domain[domain]
        heappush(heap, (load, server_id))
        self._clean(heap)
        heappush(self._heads, (*heap[0], domain))

    def discard(self, server_id: ServerId) -> None:
        """Take a server off."""
        if self._loads.pop(server_id, None) is None:
            return
        domain = self._domains[server_id]
        heap = self._in_domain[domain]
        self._clean(heap)
        if heap:
            heappush(self._heads, (*heap[0], domain))

    def lowest(
        self,
        accept: Callable[[ServerId], bool],
        *,
        barred: Iterable[str] = (),
        count: int = 1,
        tries: int | None = None,
    ) -> list[ServerId]:
        """Return up to ``count`` acceptable servers, each the least loaded of its domain, in order of load.

        Domains in ``barred`` are passed over. At most ``tries`` other domains are looked at; None means all.
        """
        barred = frozenset(barred)
        found: list[ServerId] = []
        seen: list[tuple[Load, ServerId, str]] = []
        while self._heads and len(found) < count and (tries is None or len(seen) < tries + len(barred)):
            entry = heappop(self._heads)
            domain = entry[2]
            if self._in_domain[domain][:1] != [entry[:2]] or (seen and seen[-1] == entry):
                continue
            seen.append(entry)
            if domain not in barred:
                server_id = next(filter(accept, self._ascending(domain)), None)
                if server_id is not None:
                    found.append(server_id)
        for entry in seen:
            heappush(self._heads, entry)
        return found

    def _ascending(self, domain: str) -> Iterator[ServerId]:
        heap = self._in_domain[domain]
        yield heap[0][1]
        if len(heap) > 1:
            # Equal entries stand side by side in the order, so that one of them is kept.
            ordered = sorted(set(heap))[1:]
            yield from (server_id for load, server_id in ordered if self._loads.get(server_id) == load)

    def _clean(self, heap: list[tuple[Load, ServerId]]) -> None:
        while heap and self._loads.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
