"""Which chunks failed a check: a set in memory, and an empty file each that outlasts a restart."""

import asyncio
import contextlib
from collections.abc import Iterable

from dstore.chunkserver import paths
from dstore.core.environment import Disk
from dstore.core.ids import ChunkId


class CorruptMarks:
    """The marks of one disk.

    Attributes:
        chunk_ids: the chunks that are marked, and are on the disk.
    """

    def __init__(self, disk: Disk) -> None:
        self.chunk_ids: set[ChunkId] = set()
        self._disk = disk
        # A mark that is made slowly must not appear after it was removed.
        self._lock = asyncio.Lock()

    async def add(self, chunk_id: ChunkId) -> None:
        """Mark a chunk; it counts as marked at once.

        Raises:
            OSError: the mark may be forgotten by a restart.
        """
        self.chunk_ids.add(chunk_id)
        async with self._lock:
            if chunk_id not in self.chunk_ids:
                return
            with contextlib.suppress(FileExistsError):
                await (await self._disk.create(paths.corrupt_path(chunk_id))).close()
            await self._disk.sync_directory(paths.CORRUPT)

    async def remove(self, chunk_ids: Iterable[ChunkId]) -> None:
        """Remove the marks of those that have one, durably; until then they count as marked.

        Raises:
            OSError: some are still marked, or may be again after a restart.
        """
        async with self._lock:
            marked = [chunk_id for chunk_id in chunk_ids if chunk_id in self.chunk_ids]
            for chunk_id in marked:
                await self._erase(chunk_id)
            if marked:
                await self._disk.sync_directory(paths.CORRUPT)
                self.chunk_ids.difference_update(marked)

    async def clear_stale(self, found: set[ChunkId]) -> None:
        """Remove those of the marks that were found whose chunks are not there any more."""
        stale = sorted(found - self.chunk_ids)
        for chunk_id in stale:
            await self._erase(chunk_id)
        if stale:
            await self._disk.sync_directory(paths.CORRUPT)

    async def _erase(self, chunk_id: ChunkId) -> None:
        # When the mark could not be made, only memory has it.
        with contextlib.suppress(FileNotFoundError):
            await self._disk.remove(paths.corrupt_path(chunk_id))
