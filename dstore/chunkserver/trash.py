"""Where chunks go that are not wanted any more: ``trash/``, until a delay is over.

A chunk is discarded (the master says that it is deleted) or dropped (this server is no member of its group any more).
A discarded chunk never comes back: as long as its entry is here, nobody writes or copies it to this server, and the
entry stays at least until the chunk is settled, after which writers are refused anyway. One that was not here gets an
empty file, a tombstone. A dropped chunk may come back, when this server becomes a member of its group again.

    held or not ── discard ──▶ discarded ── delay over, settled ──▶ gone
    held ───────── drop ─────▶ dropped ──── delay over ───────────▶ gone

Write-ordering rules: a discard is durable once ``trash/`` is synced. Until its old directory is synced too, a power
loss may leave the chunk at both places: the next start finishes the discard, and a purge syncs the old directory
before it removes the entry. A dropped chunk that is found at both places is held. The mark of a corrupt chunk goes
last: a damaged file that comes back must still have it.
"""

import asyncio
import contextlib
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from dstore.chunkserver import paths
from dstore.chunkserver.chunkmap import ChunkMap
from dstore.core.groups import GroupEpoch
from dstore.core.ids import ChunkId, GroupId
from dstore.core.limits import PURGE_BATCH_MAX
from dstore.system.finishing import to_its_end

if TYPE_CHECKING:
    from dstore.chunkserver.chunkstore import ChunkStore


#: The number of an entry whose delay has not begun; others have the millisecond in which it began, plus one.
_NOT_BEGUN = 0
_MS_PER_S = 1000


class Trash:
    """The trash of one disk."""

    def __init__(self, store: "ChunkStore") -> None:
        self._store = store
        self._discarded = _Entries()
        self._dropped = _Entries()
        #: Being discarded now: not here yet, and not to be written any more.
        self._arriving: set[ChunkId] = set()
        self._is_synced = False
        # One discard, drop or batch of a purge at a time.
        self._lock = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._discarded) + len(self._dropped)

    def contains(self, chunk_id: ChunkId) -> bool:
        """Tell whether a chunk was discarded, or is being discarded: it must not be written or copied."""
        return chunk_id in self._arriving or chunk_id in self._discarded

    async def discard(self, chunk_ids: Iterable[ChunkId]) -> None:
        """Move chunks to the trash durably, held or not; once begun, it comes to its end.

        When it returns, none of them is served, counted or accepted any more. Chunks that are in the trash already
        stay there for the full delay again. When it fails, any of them may be in the trash; asking again is fine.

        Raises:
            OutOfSpace: ``DISK_FULL``, for a tombstone.
            Unavailable: ``DISK_FAILED``.
        """
        await to_its_end(self._discard(tuple(dict.fromkeys(chunk_ids))))

    async def drop_group(self, group_id: GroupId, epoch: int) -> None:
        """Move all chunks of a group to the trash durably, unless it was made a member again.

        Raises:
            NotReady: ``STALE_GROUP_EPOCH``, when a newer epoch of the group is known; the rest of the chunks stay.
            Unavailable: ``DISK_FAILED``.
        """
        self._store.require_good_disk()
        # Writers of older epochs must not bring anything back (Invariant 7). The master names the epoch here, which is
        # the only way in which a damaged one of a group that is not this server's any more is ever replaced.
        await self._store.adopt_epochs([GroupEpoch(group_id, epoch)])
        self._store.epochs.check(group_id, epoch)
        while batch := self._next_of_group(group_id):
            await to_its_end(self._drop(batch, epoch))

    async def purge(self, now_s: float, delay_s: float) -> int:
        """Unlink what was in the trash for longer than the delay; return how much that was.

        ``now_s`` is monotonic; the delay of an entry begins with the first purge after it came, after it was discarded
        again, and after a restart.

        Raises:
            Unavailable: ``DISK_FAILED``.
        """
        now_ms, delay_ms = int(now_s * _MS_PER_S), int(delay_s * _MS_PER_S)
        count = 0
        for entries in (self._discarded, self._dropped):
            entries.begin(now_ms)
            due = [chunk_id for chunk_id in entries.take_due(now_ms - delay_ms) if self._may_go(entries, chunk_id)]
            try:
                while due:
                    batch, due = due[:PURGE_BATCH_MAX], due[PURGE_BATCH_MAX:]
                    count += await to_its_end(self._unlink(entries, batch))
            finally:
                for chunk_id in due:
                    entries.keep(chunk_id)
        return count

    def recover(self, chunk_id: ChunkId, *, was_dropped: bool) -> None:
        """Take in what was found in the trash at the start."""
        (self._dropped if was_dropped else self._discarded).add(chunk_id)

    async def finish_recovery(self, found: Iterable[ChunkId]) -> None:
        """Finish the discards of chunks that were found in the trash and in their groups.

        Raises:
            OSError: the disk failed.
        """
        # What an earlier run renamed, it may not have synced.
        await self._store.disk.sync_directory(paths.TRASH)
        self._is_synced = True
        for chunk_id in found:
            await self._store.disk.rename(paths.chunk_path(chunk_id), paths.discarded_path(chunk_id))
            # When both were names of one file, renaming did nothing.
            with contextlib.suppress(FileNotFoundError):
                await self._store.disk.remove(paths.chunk_path(chunk_id))

    async def _discard(self, chunk_ids: Sequence[ChunkId]) -> None:
        store = self._store
        store.require_good_disk()
        async with self._lock:
            # From here on no write of these comes to its end; one that is giving a chunk its name is waited for.
            self._arriving.update(chunk_ids)
            try:
                async with store.translate("moving chunks to the trash"):
                    for chunk_id in chunk_ids:
                        if chunk_id not in self._discarded:
                            await self._discard_one(chunk_id)
                    if not self._is_synced:
                        await store.disk.sync_directory(paths.TRASH)
                        self._is_synced = True
                    await store.clear_corrupt(chunk_ids)
                for chunk_id in chunk_ids:
                    self._discarded.add(chunk_id)
            finally:
                self._arriving.difference_update(chunk_ids)

    async def _discard_one(self, chunk_id: ChunkId) -> None:
        await self._store.unsynced.settle(chunk_id)
        async with self._store.committing(chunk_id):
            self._is_synced = False
            if (left := self._store.left_unsynced.get(chunk_id)) is not None:
                # The next start would bring it back, if the entry here were gone by then.
                with contextlib.suppress(FileNotFoundError):
                    await self._store.disk.remove(left)
                del self._store.left_unsynced[chunk_id]
            if not await self._move(chunk_id, paths.discarded_path(chunk_id)):
                with contextlib.suppress(FileExistsError):
                    await (await self._store.disk.create(paths.discarded_path(chunk_id))).close()
            self._store.catalog.note(chunk_id)
            self._discarded.add(chunk_id)

    def _next_of_group(self, group_id: GroupId) -> list[ChunkId]:
        sequences = self._store.catalog.sequences(group_id, after_sequence=0, count=PURGE_BATCH_MAX)
        if sequences:
            return [ChunkId(group_id, sequence) for sequence in sequences]
        return [chunk_id for chunk_id in self._store.corrupt if chunk_id.group_id == group_id]

    async def _drop(self, chunk_ids: Sequence[ChunkId], epoch: int) -> None:
        store = self._store
        store.require_good_disk()
        async with self._lock, store.translate("moving a group to the trash"):
            for chunk_id in chunk_ids:
                await store.unsynced.settle(chunk_id)
                async with store.committing(chunk_id):
                    store.epochs.check(chunk_id.group_id, epoch)
                    if await self._move(chunk_id, paths.dropped_path(chunk_id)):
                        self._dropped.add(chunk_id)
            await store.disk.sync_directory(paths.TRASH)
            for directory in sorted({paths.chunk_directory(chunk_id) for chunk_id in chunk_ids}):
                await self._sync_if_there(directory)
            await store.clear_corrupt(chunk_ids)

    async def _move(self, chunk_id: ChunkId, target: str) -> bool:
        """Take a chunk away from all who use it; return whether it was there."""
        store = self._store
        try:
            await store.disk.rename(paths.chunk_path(chunk_id), target)
        except FileNotFoundError:
            is_there = False
        else:
            is_there = True
        store.catalog.remove(chunk_id)
        await store.dismiss(chunk_id)
        return is_there

    def _may_go(self, entries: "_Entries", chunk_id: ChunkId) -> bool:
        """Tell whether nobody can bring a chunk back; one that must stay is asked for again with the next purge."""
        if entries is self._dropped or chunk_id.sequence < self._store.settled_sequence:
            return True
        entries.keep(chunk_id)
        return False

    async def _unlink(self, entries: "_Entries", chunk_ids: Sequence[ChunkId]) -> int:
        store = self._store
        path_of = paths.dropped_path if entries is self._dropped else paths.discarded_path
        try:
            store.require_good_disk()
            async with self._lock, store.translate("emptying the trash"):
                gone = [chunk_id for chunk_id in chunk_ids if not entries.has_not_begun(chunk_id)]
                for directory in sorted({paths.chunk_directory(chunk_id) for chunk_id in gone}):
                    await self._sync_if_there(directory)
                for chunk_id in gone:
                    with contextlib.suppress(FileNotFoundError):
                        await store.disk.remove(path_of(chunk_id))
                await store.disk.sync_directory(paths.TRASH)
                for chunk_id in gone:
                    entries.remove(chunk_id)
        except BaseException:
            for chunk_id in chunk_ids:
                entries.keep(chunk_id)
            raise
        return len(gone)

    async def _sync_if_there(self, directory: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            await self._store.disk.sync_directory(directory)


class _Entries:
    """Chunks in the trash, and when the delay of each began, in 16 to 32 bytes an entry. Pure."""

    def __init__(self) -> None:
        self._begins = ChunkMap()
        self._fresh = _Ids()
        self._kept = _Ids()
        #: What began at the same time, the oldest first; an entry counts where its own beginning says so.
        self._batches: deque[tuple[int, _Ids]] = deque()

    def __len__(self) -> int:
        return len(self._begins)

    def __contains__(self, chunk_id: ChunkId) -> bool:
        return chunk_id in self._begins

    def add(self, chunk_id: ChunkId) -> None:
        """Add an entry, or have the delay of one begin anew."""
        if self._begins.set(chunk_id, _NOT_BEGUN) != _NOT_BEGUN:
            self._fresh.append(chunk_id)

    def remove(self, chunk_id: ChunkId) -> None:
        self._begins.pop(chunk_id)

    def has_not_begun(self, chunk_id: ChunkId) -> bool:
        return self._begins.get(chunk_id) == _NOT_BEGUN

    def begin(self, now_ms: int) -> None:
        """Have the delay begin of what was added since the last time."""
        if not self._fresh:
            return
        fresh, self._fresh = self._fresh, _Ids()
        for chunk_id in fresh:
            if chunk_id in self._begins:
                self._begins.set(chunk_id, now_ms + 1)
        self._batches.append((now_ms + 1, fresh))

    def take_due(self, until_ms: int) -> list[ChunkId]:
        """Return what began by then; each must be removed or kept."""
        kept, self._kept = self._kept, _Ids()
        due = [chunk_id for chunk_id in kept if _NOT_BEGUN < (self._begins.get(chunk_id) or 0) <= until_ms + 1]
        while self._batches and self._batches[0][0] <= until_ms + 1:
            begin_ms, ids = self._batches.popleft()
            due += [chunk_id for chunk_id in ids if self._begins.get(chunk_id) == begin_ms]
        return due

    def keep(self, chunk_id: ChunkId) -> None:
        """Have an entry that was due wait for the next purge."""
        self._kept.append(chunk_id)


class _Ids:
    """A list of chunk ids, in 16 bytes each."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers = array("Q")

    def __len__(self) -> int:
        return len(self._numbers) // 2

    def __iter__(self) -> Iterator[ChunkId]:
        numbers = iter(self._numbers)
        return (ChunkId(GroupId(group_id), sequence) for group_id, sequence in zip(numbers, numbers, strict=True))

    def append(self, chunk_id: ChunkId) -> None:
        self._numbers.extend((chunk_id.group_id, chunk_id.sequence))
