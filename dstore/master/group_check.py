"""Compares one group with its rows, range by range, however large it is; what looks wrong is looked at twice."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from dstore.core.digests import HeldChunk
from dstore.core.errors import DstoreError
from dstore.core.ids import GroupId, ServerId
from dstore.core.interfaces import Chunks
from dstore.core.limits import CHECKED_ROWS_PER_PAGE
from dstore.master.facts import read_settled_sequence
from dstore.master.listing import Listing, list_range
from dstore.master.replica_check import Problem, Window, confirm, judge, read_window
from dstore.master.store.base import INTEGER_MAX, Store, Transaction


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
