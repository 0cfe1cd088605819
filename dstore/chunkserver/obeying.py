"""Doing what the master orders, in an order that survives every interruption.

    1. The standing of the orders becomes durable, or they are refused.
    2. The epochs of the assignments become durable (Invariant 7).
    3. The settled sequence rises: writes below it are refused from now on.
    4. Who copies, scrubs and empties the trash learns what is wanted.
    5. Chunks go to the trash, then whole groups; beside everything else, since it can take long.

When the disk is so full that 2 fails, the old assignments go on to count, and the rest is done all the same: only by
that does space come back.

Newer orders take the place of older ones at any time: they say everything that is still wanted.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.outcomes import OutcomeBox
from dstore.chunkserver.probe import DiskWatch
from dstore.chunkserver.standing import StandingRecord
from dstore.core.errors import DstoreError, NotReady, OutOfSpace
from dstore.core.groups import GroupEpoch
from dstore.core.ids import ChunkId, GroupId
from dstore.core.upkeep import Assignment, Orders, Standing, UpkeepSettings

#: Chunks that go to the trash between two looks at whether there are newer orders.
_DISCARD_BATCH = 256

_ACCEPTING = "orders cannot be obeyed"
_DISPOSING = "nothing can be moved to the trash"

_log = logging.getLogger(__name__)


class Bin(Protocol):
    """Where discarded chunks go; ``trash`` says more."""

    async def discard(self, chunk_ids: Iterable[ChunkId]) -> None:
        """Move chunks to the trash durably, held or not."""

    async def drop_group(self, group_id: GroupId, epoch: int) -> None:
        """Move all chunks of a group to the trash durably; ``NotReady`` when a newer epoch of it is known."""


class Obedience:
    """Obeys the newest orders.

    Args:
        follow: takes the assignments and the missing chunks to go by from now on; does not wait.
        configure: takes the settings to go by from now on; does not wait.

    Attributes:
        assignments_digest: of the assignments that it goes by; empty when it has none.
    """

    def __init__(
        self,
        store: ChunkStore,
        standing: StandingRecord,
        watch: DiskWatch,
        outcomes: OutcomeBox,
        trash: Bin,
        *,
        follow: Callable[[tuple[Assignment, ...], tuple[ChunkId, ...]], None],
        configure: Callable[[UpkeepSettings], None],
    ) -> None:
        self._store = store
        self._standing = standing
        self._watch = watch
        self._outcomes = outcomes
        self._trash = trash
        self._follow = follow
        self._configure = configure
        self._assignments: tuple[Assignment, ...] = ()
        self.assignments_digest = b""
        self._failures: dict[str, str] = {}
        self._newest: Orders | None = None
        self._accepted: Orders | None = None
        self._obeying = asyncio.Lock()
        self._arrived = asyncio.Event()
        self._to_discard = asyncio.Event()

    @property
    def failure(self) -> str | None:
        """Why the last orders were not obeyed; None when they were."""
        return self._failures.get(_ACCEPTING) or self._failures.get(_DISPOSING)

    @property
    def outdated_groups(self) -> tuple[GroupId, ...]:
        """Groups that were assigned under older epochs than this disk saw: the metadata came from an old copy."""
        epochs = self._store.epochs
        return tuple(each.group_id for each in self._assignments if each.epoch < epochs.get(each.group_id))

    def submit(self, orders: Orders) -> None:
        """Let ``run`` obey these soon, unless newer ones come first."""
        self._newest = orders
        self._arrived.set()

    async def begin(self, orders: Orders) -> None:
        """Obey the orders of a registration; when this returns, the server may serve, unless they are outdated.

        A master whose orders are outdated gets to know that by the next heartbeat, so this is no reason to stay away.

        Raises:
            Unavailable: ``DISK_FAILED``.
            OutOfSpace: ``DISK_FULL``.
        """
        try:
            await self._accept(orders)
        except NotReady as error:
            self._note(_ACCEPTING, error)
            return
        self._note(_ACCEPTING, None)
        if not self._store.is_reconciled:
            await self._reconcile(orders)

    async def run(self) -> None:
        """Obey what is submitted, until cancelled. A failure is remembered; the next orders are the next attempt."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            orders, self._newest = self._newest, None
            assert orders is not None
            try:
                await self._accept(orders)
                if not self._store.is_reconciled:
                    await self._reconcile(orders)
            except DstoreError as error:
                self._note(_ACCEPTING, error)
            else:
                self._note(_ACCEPTING, None)

    async def run_disposal(self) -> None:
        """Move to the trash what accepted orders name, until cancelled."""
        while True:
            await self._to_discard.wait()
            self._to_discard.clear()
            orders = self._accepted
            assert orders is not None
            try:
                await self._dispose(orders)
            except DstoreError as error:
                self._note(_DISPOSING, error)
            else:
                self._note(_DISPOSING, None)

    async def _accept(self, orders: Orders) -> None:
        """Do everything that is done quickly, and let ``run_disposal`` do the rest.

        Raises:
            NotReady: ``ORDERS_OUTDATED``: nothing of them is obeyed.
            Unavailable: ``DISK_FAILED``.
            OutOfSpace: ``DISK_FULL``.
        """
        async with self._obeying:
            await self._store_standing(orders.standing)
            shortage = await self._adopt_assignments(orders)
            self._store.settled_sequence = orders.settled_sequence
            if orders.examined:
                self._store.doubts.examined(orders.examined)
                self._store.unsynced.wake()
            self._configure(orders.settings)
            self._follow(self._assignments, orders.missing)
            self._accepted = orders
            if orders.discards or orders.drops:
                self._to_discard.set()
            else:
                self._note(_DISPOSING, None)
            if shortage is not None:
                raise shortage

    async def _adopt_assignments(self, orders: Orders) -> OutOfSpace | None:
        """Go by the assignments once their epochs are durable; return why that has to wait for space on the disk.

        Raises:
            Unavailable: ``DISK_FAILED``.
        """
        if orders.assignments is None:
            return None
        try:
            await self._store.adopt_epochs(orders.assignments)
        except OutOfSpace as error:
            return error
        self._assignments = orders.assignments
        self.assignments_digest = orders.assignments_digest
        return None

    async def _store_standing(self, standing: Standing) -> None:
        async with self._store.translate("storing the standing of orders"):
            if self._standing.is_durable(standing):
                return
            async with self._watch.timed_write():
                await self._standing.adopt(standing)

    async def _reconcile(self, orders: Orders) -> None:
        """Serve from now on. What was collected while the server was away goes first."""
        await self._discard(orders)
        # Whoever accepted newer ones meanwhile carries those out, and says so.
        if self._accepted is orders:
            self._store.reconciled()

    async def _dispose(self, orders: Orders) -> None:
        """Move chunks and groups to the trash; returns early when newer orders were accepted."""
        await self._discard(orders)
        for drop in orders.drops:
            if self._accepted is not orders:
                return
            await self._drop(drop)

    async def _discard(self, orders: Orders) -> None:
        # What is here goes first: on a full disk, that makes room for the tombstones of what is not.
        here = tuple(chunk_id for chunk_id in orders.discards if self._store.has_file(chunk_id))
        absent = tuple(chunk_id for chunk_id in orders.discards if not self._store.has_file(chunk_id))
        for chunk_ids in (here, absent):
            for start in range(0, len(chunk_ids), _DISCARD_BATCH):
                if self._accepted is not orders:
                    return
                batch = chunk_ids[start : start + _DISCARD_BATCH]
                await self._trash.discard(batch)
                self._outcomes.add_discarded(batch)

    async def _drop(self, drop: GroupEpoch) -> None:
        if any(each.group_id == drop.group_id for each in self._assignments):
            return  # a member again, by newer assignments
        try:
            await self._trash.drop_group(drop.group_id, drop.epoch)
        except NotReady:
            return  # a member again, as its new writers know; the next orders say so, too
        self._outcomes.add_dropped(drop.group_id)

    def _note(self, what: str, error: DstoreError | None) -> None:
        if error is None:
            self._failures.pop(what, None)
            return
        # One line per outage, not one per attempt.
        if what not in self._failures:
            _log.warning("%s: %s [%s]", what, error, error.reason)
        self._failures[what] = str(error)
