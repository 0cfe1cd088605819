"""Chunks that were acknowledged as replicated: served from memory and ``unsynced/``, synced in the background.

    written ── add ──▶ unsynced ── sync, store_name ──▶ durable, as any chunk
                          └── discarded, corrupt, or the sync failed ──▶ gone

Write-ordering rules: the mark of the group is durable before ``add`` (``doubts``). A chunk gets its name only when its
content is synced: a file that has its name is whole. It is in the catalog all the time, so it is counted, compared and
copied like any other; whoever needs it to last waits for ``settle``. One whose sync fails is not tried again: it is
taken out, and its group is in doubt, so that the master finds out and has it copied from others.

What is found in ``unsynced/`` at the start is copied and synced afresh if it is whole (``recovery``): the end of a
process loses nothing.
"""

import asyncio
import contextlib
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dstore.chunkserver import paths
from dstore.chunkserver.doubts import GroupDoubts
from dstore.core.errors import DstoreError
from dstore.core.ids import ChunkId, GroupId
from dstore.core.limits import (
    BACKGROUND_SYNCS_MAX,
    UNSYNCED_AGE_MAX_S,
    UNSYNCED_BYTES_MAX,
    UNSYNCED_CHUNKS_MAX,
    UNSYNCED_GATHER_S,
    UNSYNCED_MARKS_LINGER_S,
)
from dstore.core.upkeep import UnsyncedReport

if TYPE_CHECKING:
    from dstore.chunkserver.chunkstore import ChunkStore
    from dstore.chunkserver.newchunk import NewChunk


@dataclass(eq=False, slots=True)
class _Entry:
    """An unsynced chunk; ``settled`` once it is durable or gone."""

    chunk: "NewChunk"
    since_s: float
    settled: asyncio.Event = field(default_factory=asyncio.Event)


class UnsyncedChunks:
    """The unsynced chunks of one store, oldest first."""

    def __init__(self, store: "ChunkStore", doubts: GroupDoubts) -> None:
        self._store = store
        self._doubts = doubts
        self._entries: dict[ChunkId, _Entry] = {}
        self._size_bytes = 0
        self._syncing = asyncio.Semaphore(BACKGROUND_SYNCS_MAX)
        self._arrived = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._is_closing = False

    def report(self) -> UnsyncedReport:
        """Return what a power loss now would take from this disk."""
        return UnsyncedReport(len(self._entries), self._size_bytes, self._age_s())

    def has(self, chunk_id: ChunkId) -> bool:
        """Tell whether a chunk is here and not durable yet."""
        return chunk_id in self._entries

    def takes(self, length_bytes: int) -> bool:
        """Tell whether one more may be acknowledged before it is synced; else it has to be synced first."""
        return (
            not self._is_closing
            and self._store.suspicion is None
            and len(self._entries) < UNSYNCED_CHUNKS_MAX
            and self._size_bytes + length_bytes <= UNSYNCED_BYTES_MAX
            and self._age_s() < UNSYNCED_AGE_MAX_S
        )

    def add(self, chunk: "NewChunk") -> None:
        """Hold a chunk that is written, whose group is marked, and that may be acknowledged now."""
        assert chunk.chunk_id not in self._entries
        self._entries[chunk.chunk_id] = _Entry(chunk, _now_s())
        self._size_bytes += chunk.received_bytes
        self._store.catalog.add(chunk.chunk_id, chunk.held)
        self.wake()

    def paths_of(self, chunk_id: ChunkId) -> tuple[str, ...]:
        """Return where the file of a chunk may be: it gets its name while others look for it."""
        entry = self._entries.get(chunk_id)
        named = paths.chunk_path(chunk_id)
        return (named,) if entry is None else (entry.chunk.path, named)

    async def settle(self, chunk_id: ChunkId) -> None:
        """Wait until a chunk is durable or gone, if it is unsynced now."""
        entry = self._entries.get(chunk_id)
        if entry is not None:
            await entry.settled.wait()

    async def settle_group(self, group_id: GroupId) -> None:
        """Wait until everything of a group that is unsynced now is durable or gone."""
        for chunk_id in [chunk_id for chunk_id in self._entries if chunk_id.group_id == group_id]:
            await self.settle(chunk_id)

    async def close(self) -> None:
        """Sync everything, and take nothing more; the marks go, so that the next start doubts nothing."""
        self._is_closing = True
        for chunk_id in tuple(self._entries):
            await self.settle(chunk_id)
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
        await self._sweep()

    def wake(self) -> None:
        """See to it that what is unsynced gets synced, and that marks that say nothing any more go."""
        self._arrived.set()
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run(), context=Context())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(UNSYNCED_GATHER_S)
            while self._entries:
                entries = tuple(self._entries.values())
                await asyncio.gather(*(self._settle(entry) for entry in entries))
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(UNSYNCED_MARKS_LINGER_S):
                    await self._arrived.wait()
            self._arrived.clear()
            # Whoever calls meanwhile finds this at work, and counts on another round.
            if not self._entries and await self._sweep() and not self._arrived.is_set() and not self._entries:
                return

    async def _settle(self, entry: _Entry) -> None:
        """Make one chunk durable, or take it out."""
        chunk, store = entry.chunk, self._store
        try:
            async with self._syncing:
                await chunk.sync()
            async with store.translate(f"storing chunk {chunk.chunk_id}"), store.committing(chunk.chunk_id):
                # Its writer was told already, under the epoch of then: newer ones change nothing about that.
                if self._is_wanted(entry):
                    await chunk.store_name()
        except DstoreError:
            # The store knows what is wrong with the disk.
            await self._lose(entry)
        # One that has no name by now was discarded, is corrupt, or failed. Whoever is cancelled before this leaves the
        # file to the next start.
        await chunk.drop()
        del self._entries[chunk.chunk_id]
        self._size_bytes -= chunk.received_bytes
        entry.settled.set()

    def _is_wanted(self, entry: _Entry) -> bool:
        return self._store.catalog.has(entry.chunk.chunk_id)

    async def _lose(self, entry: _Entry) -> None:
        """Take out a chunk that could not be synced: it may never be on this disk."""
        store, chunk_id = self._store, entry.chunk.chunk_id
        async with store.committing(chunk_id):
            if self._is_wanted(entry):
                store.catalog.remove(chunk_id)
                self._doubts.add(chunk_id.group_id)
                await store.dismiss(chunk_id)

    async def _sweep(self) -> bool:
        """Remove the marks that say nothing; return False when that is to be tried again."""
        try:
            async with self._store.translate("removing marks of doubt"):
                await self._doubts.sweep({chunk_id.group_id for chunk_id in self._entries})
        except DstoreError:
            # Marks that cannot be removed only have the master look for nothing; the store knows of its disk.
            return False
        return True

    def _age_s(self) -> float:
        first = next(iter(self._entries.values()), None)
        return 0.0 if first is None else _now_s() - first.since_s


def _now_s() -> float:
    return asyncio.get_running_loop().time()
