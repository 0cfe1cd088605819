"""Which server is to discard which deleted chunk, and which has confirmed it; in memory of the leader.

    deleted_chunks row ──(grace over)──► ordered ──(every holder confirmed)──► row gone
                                            ▲   │
                                            └───┘ every report, until confirmed

Holders of a group are its members, and servers that report a copy without being members. A confirmation counts when it
comes with a settled sequence above the chunk's: no write can bring the chunk back then. It counts for one run of a
server's process: another run may be on another disk.

Confirmations of one chunk count together only when they are of one time: a server whose trash was emptied since may
have copied the chunk again from one that had not discarded it yet. So each counts for less than the trash keeps its
mark, from the moment at which the order was given.

What a server owes that was away is ordered of everybody who holds the group as soon as that server is back: members
that compared with it before it obeyed may have copied the chunk again, long after their own trash was emptied.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from dstore.core.ids import BootId, ChunkId, GroupId, ServerId
from dstore.core.limits import DISCARDS_PER_ORDER_MAX


@dataclass(frozen=True, slots=True)
class DueChunk:
    """A deleted chunk whose grace is over.

    Attributes:
        is_approved: an operator has let it through the breaker.
    """

    chunk_id: ChunkId
    is_approved: bool


@dataclass(frozen=True, slots=True)
class Owed:
    """A copy that a server which was away may still have; the row of the chunk itself is gone."""

    server_id: ServerId
    chunk_id: ChunkId


@dataclass(frozen=True, slots=True)
class Finished:
    """A chunk that these servers do not hold any more."""

    chunk: DueChunk
    confirmed: frozenset[ServerId]


class Discards:
    """The orders and confirmations of one leader."""

    def __init__(self) -> None:
        self._due: dict[ChunkId, DueChunk] = {}
        self._owed: frozenset[Owed] = frozenset()
        self._holders: Mapping[GroupId, frozenset[ServerId]] = {}
        #: By chunk and server, when the order was given that the server has confirmed.
        self._confirmed: dict[ChunkId, dict[ServerId, float]] = {}
        #: By server and chunk, when the order was given first; None as long as it was not.
        self._orders: dict[ServerId, dict[ChunkId, float | None]] = {}
        self._boots: dict[ServerId, BootId] = {}

    @property
    def ordered_count(self) -> int:
        """Deleted chunks that are being discarded."""
        return len(self._due)

    def withdraw(self) -> None:
        """Order nothing any more, and forget all confirmations."""
        self._due, self._owed, self._holders = {}, frozenset(), {}
        self._confirmed, self._orders = {}, {}

    def plan(
        self,
        due: Sequence[DueChunk],
        owed: Iterable[Owed],
        holders: Mapping[GroupId, frozenset[ServerId]],
        present: Container[ServerId] = frozenset(),
        *,
        now_s: float,
        validity_s: float,
    ) -> None:
        """Order these chunks, and no others, of those that hold their groups.

        Args:
            owed: ordered of the servers that owe it, and of all that hold its group once the debtor is ``present``.
            validity_s: how long a confirmation counts; then the order is given again.
        """
        self._due = {chunk.chunk_id: chunk for chunk in due}
        self._owed = frozenset(owed)
        self._holders = holders
        wanted = {chunk_id: self._holders_of(chunk_id) for chunk_id in self._due}
        for each in self._owed:
            others = self._holders_of(each.chunk_id) if each.server_id in present else frozenset()
            wanted[each.chunk_id] = wanted.get(each.chunk_id, frozenset()) | others | {each.server_id}
        self._confirmed = {
            chunk_id: {server_id: given_s for server_id, given_s in servers.items() if now_s - given_s <= validity_s}
            for chunk_id, servers in self._confirmed.items()
            if chunk_id in wanted
        }
        before, self._orders = self._orders, {}
        for chunk_id, servers in wanted.items():
            for server_id in servers - self._confirmed.get(chunk_id, {}).keys():
                given_s = before.get(server_id, {}).get(chunk_id)
                if given_s is not None and now_s - given_s > validity_s:
                    given_s = None
                self._orders.setdefault(server_id, {})[chunk_id] = given_s

    def orders_for(self, server_id: ServerId, now_s: float) -> tuple[ChunkId, ...]:
        """Return what a server is to discard now, up to the bound of one message."""
        orders = self._orders.get(server_id, {})
        given = tuple(islice(orders, DISCARDS_PER_ORDER_MAX))
        for chunk_id in given:
            if orders[chunk_id] is None:
                orders[chunk_id] = now_s
        return given

    def heard(self, server_id: ServerId, boot_id: BootId, discarded: Iterable[ChunkId], settled_sequence: int) -> None:
        """Take note of a report. What was not ordered, or not in this time, proves nothing."""
        orders = self._orders.get(server_id, {})
        if self._boots.setdefault(server_id, boot_id) != boot_id:
            self._boots[server_id] = boot_id
            for servers in self._confirmed.values():
                servers.pop(server_id, None)
            orders.update(dict.fromkeys(orders))
        for chunk_id in discarded:
            given_s = orders.get(chunk_id)
            if given_s is None or settled_sequence <= chunk_id.sequence:
                continue
            self._confirmed.setdefault(chunk_id, {})[server_id] = given_s
            del orders[chunk_id]

    def finished(self, limit: int) -> tuple[Finished, ...]:
        """Return chunks that all holders have confirmed."""
        done = (
            Finished(chunk, frozenset(self._confirmed.get(chunk_id, ())))
            for chunk_id, chunk in self._due.items()
            if chunk_id.group_id in self._holders
            and self._holders[chunk_id.group_id] <= self._confirmed.get(chunk_id, {}).keys()
        )
        return tuple(islice(done, limit))

    def forget(self, chunk_ids: Iterable[ChunkId]) -> None:
        """Let go of chunks whose rows are gone."""
        for chunk_id in chunk_ids:
            self._due.pop(chunk_id, None)
            self._confirmed.pop(chunk_id, None)

    def confirmed_counts(self) -> Counter[ServerId]:
        """Return how many chunks, of those that need an approval, each server has discarded whose rows remain."""
        counts: Counter[ServerId] = Counter()
        for chunk_id, servers in self._confirmed.items():
            if chunk_id in self._due and not self._due[chunk_id].is_approved:
                counts.update(servers.keys())
        return counts

    def paid(self, limit: int) -> tuple[Owed, ...]:
        """Return owed copies that are confirmed to be gone, by their debtors and by all that hold the groups."""
        done = (
            each
            for each in self._owed
            if {each.server_id, *self._holders_of(each.chunk_id)} <= self._confirmed.get(each.chunk_id, {}).keys()
        )
        return tuple(islice(done, limit))

    def _holders_of(self, chunk_id: ChunkId) -> frozenset[ServerId]:
        return self._holders.get(chunk_id.group_id, frozenset())
