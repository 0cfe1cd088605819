"""What peers compare: digests and lists of the chunks of a group, with what the catalog lacks read from the disk."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dstore.chunkserver import paths
from dstore.chunkserver.durable import says_disk_is_bad
from dstore.chunkserver.openchunk import open_checked
from dstore.core.digests import BUCKET_COUNT, GroupDigest, HeldChunk, HeldPage
from dstore.core.errors import Corrupt, InvalidRequest, Unavailable
from dstore.core.ids import ChunkId, GroupId
from dstore.core.limits import FOOTERS_READ_AT_ONCE, HELD_CHUNKS_PER_PAGE_MAX
from dstore.core.upkeep import GroupSummary

if TYPE_CHECKING:
    from dstore.chunkserver.chunkstore import ChunkStore

#: A disk that fails for more chunks than this is broken, and lists nothing any more.
_UNREADABLE_MAX = 64

_log = logging.getLogger(__name__)


class Holdings:
    """Reads header and footer of each chunk that was there at the start, when it is first asked for."""

    def __init__(self, store: "ChunkStore") -> None:
        self._store = store
        self._reading = asyncio.Semaphore(FOOTERS_READ_AT_ONCE)
        self._synced_directories: set[str] = set()
        #: Chunks whose header or footer the disk failed to read in this run.
        self._unreadable: set[ChunkId] = set()

    async def digest(self, group_id: GroupId) -> GroupDigest:
        """Return the digests of all that is held of a group; may read much, and goes on where a cancelled call ended.

        Raises:
            Unavailable: ``DISK_FAILED``.
        """
        catalog = self._store.catalog
        await self._read(group_id, catalog.not_read(group_id))
        epoch = self._store.epochs.get(group_id)
        return GroupDigest(group_id, epoch, catalog.count(group_id), catalog.buckets(group_id))

    async def page(self, group_id: GroupId, *, bucket: int | None, after_sequence: int, count: int) -> HeldPage:
        """Return up to ``count`` chunks of a group, or of one bucket, in order; 0 means as many as a page has.

        Single ones that the disk cannot read are left out: the others may have to be copied from here.

        Raises:
            InvalidRequest: ``BUCKET_INVALID``.
            Unavailable: ``DISK_FAILED``, when the disk can read nothing of the group, or fails too often.
        """
        if bucket is not None and not 0 <= bucket < BUCKET_COUNT:
            raise InvalidRequest(
                f"Bucket {bucket} is asked for; there are {BUCKET_COUNT}, from 0 on.", reason="BUCKET_INVALID"
            )
        catalog = self._store.catalog
        await self._read_what_can_be_read(group_id, bucket)
        wanted = min(count, HELD_CHUNKS_PER_PAGE_MAX) or HELD_CHUNKS_PER_PAGE_MAX
        return catalog.page(group_id, bucket=bucket, after_sequence=after_sequence, count=wanted)

    async def held(self, chunk_id: ChunkId) -> HeldChunk | None:
        """Return a chunk that is held, after checking its header and footer unless that was done; None if it is not.

        Raises:
            Unavailable: ``DISK_FAILED``.
        """
        catalog = self._store.catalog
        if catalog.has(chunk_id) and catalog.held(chunk_id) is None:
            await self._read(chunk_id.group_id, [chunk_id.sequence])
        return catalog.held(chunk_id)

    async def forget_lost(self, chunk_id: ChunkId) -> None:
        """Take a chunk out that was not found, if its file is really gone: the master has to know that it lacks here.

        Raises:
            Unavailable: ``DISK_FAILED``.
        """
        store = self._store
        # One that gets its name, or is discarded, may only seem to be gone.
        async with store.translate(f"looking for chunk {chunk_id}"), store.committing(chunk_id):
            if not store.catalog.has(chunk_id) or store.unsynced.has(chunk_id):
                return
            try:
                file = await store.disk.open(paths.chunk_path(chunk_id))
            except FileNotFoundError:
                store.catalog.remove(chunk_id)
                _log.error("the file of chunk %s is gone, and nobody was told to remove it", chunk_id)
            else:
                await file.close()

    def summaries(self, further: Iterable[GroupId] = ()) -> tuple[GroupSummary, ...]:
        """Return what is held of each group, without waiting; digests are empty where something was not read yet.

        Args:
            further: groups that are told of even when nothing of them is here.
        """
        catalog, epochs = self._store.catalog, self._store.epochs
        # A group of which nothing is left but damaged chunks counts as well: they have to go with it.
        groups = {*catalog.groups(), *(chunk_id.group_id for chunk_id in self._store.corrupt), *further}
        return tuple(catalog.summary(group_id, epochs.get(group_id)) for group_id in sorted(groups))

    async def _read_what_can_be_read(self, group_id: GroupId, bucket: int | None) -> None:
        catalog, unreadable = self._store.catalog, self._unreadable
        while True:
            count = len(unreadable)
            not_read = catalog.not_read(group_id, bucket=bucket)
            left_out = [each for each in not_read if ChunkId(group_id, each) in unreadable and count <= _UNREADABLE_MAX]
            try:
                await self._read(group_id, sorted({*not_read}.difference(left_out)))
            except Unavailable:
                if not count < len(unreadable) <= _UNREADABLE_MAX:
                    raise
                continue
            if left_out and len(left_out) == catalog.count(group_id):
                await self._read(group_id, left_out)
            return

    async def _read(self, group_id: GroupId, sequences: Sequence[int]) -> None:
        waiting = [ChunkId(group_id, sequence) for sequence in reversed(sequences)]

        async def work() -> None:
            while waiting:
                await self._read_one(waiting.pop())

        async with self._store.translate(f"reading what is held of group {group_id}"):
            await self._sync_directories({paths.chunk_directory(chunk_id) for chunk_id in waiting})
            workers = [asyncio.create_task(work()) for _ in range(min(len(waiting), FOOTERS_READ_AT_ONCE))]
            try:
                for worker in workers:
                    await worker
            finally:
                for worker in workers:
                    worker.cancel()
                if workers:
                    await asyncio.wait(workers)
                for worker in workers:
                    if not worker.cancelled():
                        worker.exception()  # the first one is raised, the others say the same

    async def _sync_directories(self, directories: set[str]) -> None:
        """Make names durable that an earlier run may have given, and not synced before it ended."""
        for directory in sorted(directories - self._synced_directories):
            await self._store.disk.sync_directory(directory)
            self._synced_directories.add(directory)

    async def _read_one(self, chunk_id: ChunkId) -> None:
        store = self._store
        async with self._reading, store.committing(chunk_id):
            if not store.catalog.has(chunk_id) or store.catalog.held(chunk_id) is not None:
                return
            try:
                path = paths.chunk_path(chunk_id)
                chunk = await open_checked(store.disk, path, chunk_id, store.identity.cluster_id)
                await chunk.file.close()
            except FileNotFoundError:
                store.catalog.remove(chunk_id)
            except Corrupt as error:
                await store.report_corrupt(chunk_id, error.metadata.get("problem", str(error)))
            except OSError as error:
                if says_disk_is_bad(error):
                    self._unreadable.add(chunk_id)
                raise
            else:
                # A reader may have found it corrupt meanwhile.
                if store.catalog.has(chunk_id):
                    store.catalog.add(chunk_id, chunk.held)
