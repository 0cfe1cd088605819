"""Compares one group with its rows, range by range, however large it is; what looks wrong is looked at twice."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from dstore.core.digests import HeldChunk
from dstore.core.errors import DstoreError
from dstore.core.ids import ChunkId, GroupId, ServerId
from dstore.core.interfaces import Chunks, Peers
from dstore.core.limits import CHECKED_ROWS_PER_PAGE
from dstore.master import missing_rows
from dstore.master.facts import read_settled_sequence
from dstore.master.listing import Listing, list_range
from dstore.master.membership import ServerState
from dstore.master.missing_rows import MissingReplica
from dstore.master.placement import PlacedGroup
from dstore.master.replica_check import Problem, Trouble, Window, confirm, judge, read_window
from dstore.master.store.base import INTEGER_MAX, Store, Transaction

#: Troubles that are cured by recording the copy as missing.
_CURABLE = (Trouble.LOST, Trouble.CORRUPT)


@dataclass(frozen=True, slots=True)
class CheckedRange:
    """One range of a group.

    Attributes:
        window: its rows.
        problems: what is wrong with it.
        replicas: copies that were listed.
        deleted_held: by server, deleted chunks that it still has.
    """

    window: Window
    problems: tuple[Problem, ...]
    replicas: int
    deleted_held: Mapping[ServerId, int]


@dataclass(slots=True)
class GroupCheck:
    """One group under check.

    Attributes:
        sources: the servers to be asked; those that fail are left out from then on.
        corrupt: by server, its chunks of the group that failed a check.
        failures: by server, why it could not be asked.
    """

    store: Store
    group_id: GroupId
    sources: dict[ServerId, Chunks]
    corrupt: Mapping[ServerId, frozenset[int]]
    failures: dict[ServerId, DstoreError] = field(default_factory=dict)

    async def run(self) -> AsyncIterator[CheckedRange]:
        """Go through the group."""
        settled_sequence = await self.store.read(read_settled_sequence)
        listings = {server_id: Listing(chunks, self.group_id) for server_id, chunks in self.sources.items()}
        after = 0
        while after < INTEGER_MAX:
            reaches = [await self.store.read(lambda tx, at=after: self._reach_of_rows(tx, at))]  # type: ignore[misc]
            for server_id, listing in tuple(listings.items()):
                try:
                    reaches.append(await listing.reach() or INTEGER_MAX)
                except DstoreError as error:
                    self._fail(server_id, error)
                    del listings[server_id]
            last = min(reaches)
            held = {server_id: listing.take(last) for server_id, listing in listings.items()}
            yield await self._check(held, after, last, settled_sequence)
            after = last

    async def _check(
        self, held: dict[ServerId, dict[int, HeldChunk]], after: int, last: int, settled_sequence: int
    ) -> CheckedRange:
        window = await self._read(after, last)
        problems = judge(window, held, self.corrupt, settled_sequence)
        if any(each.trouble.is_passing for each in problems):
            first, before = problems, await self._read(after, last)
            for server_id in tuple(held):
                try:
                    held[server_id] = await list_range(self.sources[server_id], self.group_id, after, last)
                except DstoreError as error:
                    self._fail(server_id, error)
                    del held[server_id]
            window = await self._read(after, last)
            problems = confirm(first, judge(window, held, self.corrupt, settled_sequence), before)
        deleted = {server_id: len(window.deleted & chunks.keys()) for server_id, chunks in held.items()}
        return CheckedRange(window, problems, sum(map(len, held.values())), deleted)

    async def _read(self, after: int, last: int) -> Window:
        return await self.store.read(lambda tx: read_window(tx, self.group_id, after, last))

    def _reach_of_rows(self, tx: Transaction, after: int) -> int:
        rows = tx.execute(
            "SELECT sequence FROM chunks WHERE group_id = ? AND sequence > ? ORDER BY sequence LIMIT 1 OFFSET ?",
            (self.group_id, after, CHECKED_ROWS_PER_PAGE - 1),
        )
        return int(rows[0][0]) if rows else INTEGER_MAX

    def _fail(self, server_id: ServerId, error: DstoreError) -> None:
        self.failures.setdefault(server_id, error)
        self.sources.pop(server_id, None)


def sources_of(states: Mapping[ServerId, ServerState], group: PlacedGroup, peers: Peers) -> dict[ServerId, Chunks]:
    """Return the servers that may hold chunks of a group and can be asked."""
    return {
        server_id: peers.chunks(state.record.address)
        for server_id, state in states.items()
        if state.is_readable and (server_id in group.members or _reports(state, group.group_id))
    }


def corrupt_in(states: Mapping[ServerId, ServerState], group_id: GroupId) -> dict[ServerId, frozenset[int]]:
    """Return, by server, the chunks of a group that failed a check, as far as it reports them."""
    return {
        server_id: frozenset(
            chunk_id.sequence for chunk_id in state.heartbeat.outcomes.corrupt if chunk_id.group_id == group_id
        )
        for server_id, state in states.items()
        if state.heartbeat is not None
    }


def record_missing(tx: Transaction, group_id: GroupId, checked: CheckedRange) -> frozenset[Problem]:
    """Record copies that are lost or corrupt as missing, so that they are made again; return these problems."""
    curable = frozenset(
        each for each in checked.problems if each.trouble in _CURABLE and _is_wanted(tx, group_id, each)
    )
    missing_rows.add(
        tx,
        [
            MissingReplica(
                ChunkId(group_id, each.sequence), each.server_id, checked.window.rows[each.sequence].length_bytes
            )
            for each in sorted(curable, key=lambda problem: problem.sequence)
            if each.server_id is not None
        ],
    )
    return curable


def _is_wanted(tx: Transaction, group_id: GroupId, problem: Problem) -> bool:
    """Whether the chunk still belongs to a file, and the server to the group."""
    return bool(
        tx.execute(
            "SELECT 1 FROM chunks c JOIN group_members m ON m.group_id = c.group_id "
            "WHERE c.group_id = ? AND c.sequence = ? AND m.server_id = ?",
            (group_id, problem.sequence, problem.server_id),
        )
    )


def _reports(state: ServerState, group_id: GroupId) -> bool:
    return state.heartbeat is not None and any(
        summary.group_id == group_id and summary.chunk_count for summary in state.heartbeat.groups
    )
