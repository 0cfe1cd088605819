"""Groups of which this disk may lack chunks that it has acknowledged: those of which some were not synced.

Before the first chunk of a group is acknowledged unsynced, a mark of the group is durable. A start that finds the mark
cannot know what was acknowledged and is gone, so the group is in doubt: reports say so until the master has compared
what is here with what was committed. So is a group of which a chunk was lost because it could not be synced.

    unmarked ── mark ──▶ marked ── sweep: nothing of it is unsynced ──▶ unmarked
                           └── restart, or a chunk is lost ──▶ in doubt ── examined ──▶ marked
"""

import asyncio
import contextlib
from collections.abc import Collection, Iterable
from itertools import islice

from dstore.chunkserver import paths
from dstore.chunkserver.directory_syncs import DirectorySyncs
from dstore.core.environment import Disk
from dstore.core.ids import GroupId
from dstore.core.upkeep import GroupDoubt

#: Groups in doubt that one report tells; the others come when these were examined.
_REPORTED_MAX = 1_000


class GroupDoubts:
    """The marks of one disk, and the groups in doubt."""

    def __init__(self, disk: Disk, directory_syncs: DirectorySyncs) -> None:
        self._disk = disk
        self._directory_syncs = directory_syncs
        self._marked: set[GroupId] = set()
        #: Marks that could not be removed for sure: the next sweep tries again, and until then they count for nothing.
        self._stale: set[GroupId] = set()
        self._doubts: dict[GroupId, int] = {}
        self._count = 0
        # A mark that is removed slowly must not go after it was made again.
        self._lock = asyncio.Lock()

    @property
    def group_ids(self) -> Collection[GroupId]:
        """The groups in doubt."""
        return self._doubts.keys()

    async def mark(self, group_id: GroupId) -> None:
        """Mark a group durably; when this returns, it stays marked until the caller waits for something else.

        Raises:
            OSError: it may not be marked.
        """
        while group_id not in self._marked:
            async with self._lock:
                if group_id not in self._marked:
                    with contextlib.suppress(FileExistsError):
                        await (await self._disk.create(paths.doubt_path(group_id))).close()
                    await self._directory_syncs.sync(paths.DOUBTS)
                    self._marked.add(group_id)
                    self._stale.discard(group_id)

    def recover(self, group_id: GroupId) -> None:
        """Take in a mark that was found at the start."""
        self._marked.add(group_id)
        self.add(group_id)

    def add(self, group_id: GroupId) -> None:
        """Have a marked group be in doubt from now on, or anew: what was examined before does not count."""
        assert group_id in self._marked, "nothing of it was acknowledged unsynced"
        self._count += 1
        self._doubts[group_id] = self._count

    def report(self) -> tuple[GroupDoubt, ...]:
        """Return what is to be told to the master."""
        return tuple(GroupDoubt(*each) for each in islice(self._doubts.items(), _REPORTED_MAX))

    def examined(self, doubts: Iterable[GroupDoubt]) -> None:
        """Forget doubts that the master has looked into, unless there were new ones meanwhile."""
        for doubt in doubts:
            if self._doubts.get(doubt.group_id) == doubt.number:
                del self._doubts[doubt.group_id]

    async def sweep(self, unsynced: Collection[GroupId]) -> None:
        """Remove the marks of all groups but these and those in doubt.

        Raises:
            OSError: some may still be marked, until a sweep succeeds, or be again after a restart: then they are
                looked at for nothing.
        """
        async with self._lock:
            marked = sorted(self._marked | self._stale)
            done = [each for each in marked if each not in unsynced and each not in self._doubts]
            # From here on a writer marks its group anew.
            self._marked.difference_update(done)
            self._stale.update(done)
            for group_id in done:
                with contextlib.suppress(FileNotFoundError):
                    await self._disk.remove(paths.doubt_path(group_id))
            if done:
                await self._directory_syncs.sync(paths.DOUBTS)
                self._stale.difference_update(done)
