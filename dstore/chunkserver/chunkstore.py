"""The chunks on one disk: identity, epochs, what is held, and what is known to be wrong.

Opening is recovery: what an interrupted run left in ``tmp`` is removed, what it had acknowledged and not synced is
made durable if it is whole, a discard that it did not finish is finished, nothing else is assumed, and nothing that is
not known is touched (Invariant 9).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from dstore.chunkserver import paths, recovery
from dstore.chunkserver.adopting import adopt_unsynced
from dstore.chunkserver.catalog import Catalog
from dstore.chunkserver.corruptmarks import CorruptMarks
from dstore.chunkserver.directory_syncs import DirectorySyncs
from dstore.chunkserver.doubts import GroupDoubts
from dstore.chunkserver.durable import TemporaryNames, disk_error, says_disk_is_bad
from dstore.chunkserver.epochs import GroupEpochs
from dstore.chunkserver.holdings import Holdings
from dstore.chunkserver.identity import DiskIdentity, bind_cluster, open_identity
from dstore.chunkserver.recovery import Recovery
from dstore.chunkserver.trash import Trash
from dstore.chunkserver.unsynced import UnsyncedChunks
from dstore.core.environment import Disk, Random
from dstore.core.errors import Corrupt, DstoreError, NotReady, OutOfSpace, Unavailable
from dstore.core.groups import Capacity, GroupEpoch
from dstore.core.ids import ChunkId, ClusterId
from dstore.core.limits import FILL_WRITE_MAX
from dstore.core.upkeep import Assignment
from dstore.system.finishing import to_its_end

_log = logging.getLogger(__name__)


class ChunkStore:
    """Made by ``open``; shared by all writers and readers of one server.

    Attributes:
        disk: where everything is.
        name: of the server, for messages.
        epochs: of the groups.
        recovery: what opening found.
        catalog: the chunks that are held, without corrupt ones.
        holdings: the same with lengths and checksums, for peers that compare; reads what the catalog lacks.
        trash: where chunks go that are not wanted any more.
        directory_syncs: of this disk, shared.
        doubts: groups of which acknowledged chunks may be lost here.
        unsynced: chunks of the catalog that were acknowledged as replicated and are not durable yet.
        left_unsynced: files of chunks that this start could not make durable, and that are not in the catalog.
        is_reconciled: whether the master's orders of this run were obeyed; before that, nothing is served.
    """

    def __init__(self, disk: Disk, name: str, identity: DiskIdentity, names: TemporaryNames) -> None:
        self.disk = disk
        self.name = name
        self.names = names
        self.epochs = GroupEpochs(disk, names)
        self.recovery = Recovery()
        self.catalog = Catalog()
        self.holdings = Holdings(self)
        self.trash = Trash(self)
        self.directory_syncs = DirectorySyncs(disk)
        self.doubts = GroupDoubts(disk, self.directory_syncs)
        self.unsynced = UnsyncedChunks(self, self.doubts)
        self.left_unsynced: dict[ChunkId, str] = {}
        self.is_reconciled = False
        self._marks = CorruptMarks(disk)
        self._settled_sequence = 0
        self._identity = identity
        self._suspicion: str | None = None
        self._directories: set[str] = set()
        self._committing: dict[ChunkId, asyncio.Event] = {}
        self._watchers: list[Callable[[ChunkId], Awaitable[None]]] = []

    @classmethod
    async def open(cls, disk: Disk, random: Random, *, name: str) -> "ChunkStore":
        """Recover the directory and return its store.

        Raises:
            Corrupt: the identity is damaged or missing.
            OSError: the disk cannot be used.
        """
        names = TemporaryNames()
        await disk.make_directory(paths.TEMPORARY)
        found = Recovery()
        await recovery.empty_temporary(disk, found)
        store = cls(disk, name, await open_identity(disk, random, names), names)
        store.recovery = found
        for directory in (paths.GROUPS, paths.CORRUPT, paths.TRASH, paths.UNSYNCED, paths.DOUBTS):
            await disk.make_directory(directory)
        await store._recover(found)
        await adopt_unsynced(store, found)
        return store

    async def close(self) -> None:
        """Make durable what is not; no writes may begin any more."""
        await self.unsynced.close()

    async def _recover(self, found: Recovery) -> None:
        async for group_id in recovery.list_doubts(self.disk, found):
            self.doubts.recover(group_id)
        async for chunk_id, was_dropped in recovery.list_trash(self.disk, found):
            self.catalog.note(chunk_id)
            self.trash.recover(chunk_id, was_dropped=was_dropped)
        marked = await recovery.list_corrupt(self.disk, found)
        discarded: list[ChunkId] = []
        async for group_id, chunk_ids in recovery.list_groups(self.disk, found):
            await self.epochs.load(group_id)
            async for chunk_id in chunk_ids:
                self.catalog.note(chunk_id)
                if self.trash.contains(chunk_id):
                    discarded.append(chunk_id)
                elif chunk_id in marked:
                    self._marks.chunk_ids.add(chunk_id)
                else:
                    self.catalog.add(chunk_id, None)
        await self.trash.finish_recovery(discarded)
        await self._marks.clear_stale(marked)

    @property
    def identity(self) -> DiskIdentity:
        """The disk's uuid and cluster."""
        return self._identity

    @property
    def label(self) -> dict[str, str]:
        """The metadata that says that this server failed."""
        return {"server_id": self._identity.server_id, "server_name": self.name}

    @property
    def chunk_count(self) -> int:
        """Chunks with their name in place, corrupt ones too."""
        return self.catalog.chunk_count + len(self.corrupt)

    @property
    def corrupt(self) -> set[ChunkId]:
        """Chunks that failed a check, now or in an earlier run; not served, not copied. Bounded by those on disk."""
        return self._marks.chunk_ids

    def has_file(self, chunk_id: ChunkId) -> bool:
        """Tell whether there is a file of the chunk here, good or damaged, in its group or discarded."""
        return self.catalog.has(chunk_id) or chunk_id in self.corrupt or self.trash.contains(chunk_id)

    @property
    def settled_sequence(self) -> int:
        """No chunk below it has a writer any more; only goes up, from 0 at the start."""
        return self._settled_sequence

    @settled_sequence.setter
    def settled_sequence(self, sequence: int) -> None:
        self._settled_sequence = max(self._settled_sequence, sequence)

    def reconciled(self) -> None:
        """Serve from now on: the orders of the first registration of this run were obeyed."""
        self.is_reconciled = True

    def require_reconciled(self) -> None:
        """Refuse while it is not known what happened to the chunks of this disk while the server was away.

        Raises:
            Unavailable: reason ``UNAVAILABLE``.
        """
        if not self.is_reconciled:
            raise Unavailable(
                f"{self.name} has not heard from its master since it started, so it does not know which of its "
                "chunks are still wanted. Use another server, or retry in a moment.",
            )

    def require_wanted(self, chunk_id: ChunkId, *, is_new: bool) -> None:
        """Refuse a chunk that was discarded, or, when it ``is_new``, whose writer can only be a late one.

        Raises:
            NotReady: reason ``CHUNK_SETTLED``.
        """
        is_late = is_new and chunk_id.sequence < self._settled_sequence
        if is_late or self.trash.contains(chunk_id):
            raise NotReady(
                f"Chunk {chunk_id} is not taken: "
                + ("the write that its id was given to has ended. " if is_late else "it was discarded. ")
                + "Begin the write again, with new ids.",
                reason="CHUNK_SETTLED",
                metadata={"chunk_id": str(chunk_id), "settled_sequence": str(self._settled_sequence)},
            )

    @property
    def suspicion(self) -> str | None:
        """Why the disk takes no writes any more; None while it is good."""
        return self._suspicion

    async def bind_cluster(self, cluster_id: ClusterId) -> None:
        """Belong to a cluster from now on.

        Raises:
            NotReady: reason ``WRONG_CLUSTER``.
            Unavailable: reason ``DISK_FAILED``.
        """
        async with self.translate("storing the cluster id"):
            self._identity = await bind_cluster(self.disk, self._identity, cluster_id, self.names)

    async def adopt_epochs(self, groups: Iterable[GroupEpoch | Assignment]) -> None:
        """Remember what the master says about this server's groups.

        Raises:
            Unavailable: reason ``DISK_FAILED``.
        """
        async with self.translate("storing a group epoch"):
            for group in groups:
                await self.epochs.adopt(group.group_id, group.epoch, from_master=True)

    async def capacity(self) -> Capacity:
        """Return size and use of the disk.

        Raises:
            Unavailable: reason ``DISK_FAILED``.
        """
        async with self.translate("asking for its capacity"):
            return await self.disk.capacity()

    async def require_room(self, length_bytes: int) -> None:
        """Refuse a chunk that would fill the disk past the watermark.

        Raises:
            OutOfSpace: reason ``DISK_FULL``.
            Unavailable: reason ``DISK_FAILED``.
        """
        capacity = await self.capacity()
        if capacity.used_bytes + length_bytes > FILL_WRITE_MAX * capacity.total_bytes:
            raise OutOfSpace(
                f"The disk of {self.name} is {capacity.fill:.0%} full and takes no more chunks. "
                "Delete files, or add a chunkserver.",
                reason="DISK_FULL",
            )

    async def prepare_directory(self, chunk_id: ChunkId) -> None:
        """Make the directory of a chunk, with its parents, durably; remembered, so that it costs nothing later."""
        directory = paths.chunk_directory(chunk_id)
        if directory not in self._directories:
            await self.disk.make_directory(directory)
            self._directories.add(directory)

    @asynccontextmanager
    async def committing(self, chunk_id: ChunkId) -> AsyncIterator[None]:
        """Let one at a time give a chunk its name, or take it away, so that nobody replaces what another just did."""
        while (other := self._committing.get(chunk_id)) is not None:
            await other.wait()
        mine = self._committing[chunk_id] = asyncio.Event()
        try:
            yield
        finally:
            del self._committing[chunk_id]
            mine.set()

    def watch(self, watcher: Callable[[ChunkId], Awaitable[None]]) -> None:
        """Have ``watcher`` called whenever the file of a chunk was removed or replaced: nobody may use the old one."""
        self._watchers.append(watcher)

    async def dismiss(self, chunk_id: ChunkId) -> None:
        """Let go of the file that a chunk had: after it was renamed away, or replaced."""
        for watcher in self._watchers:
            await watcher(chunk_id)

    async def clear_corrupt(self, chunk_ids: Iterable[ChunkId]) -> None:
        """Forget that these were corrupt, durably: once it is durable that the damaged files are not there any more.

        Raises:
            OSError: some may still count as corrupt, or again after a restart.
        """
        await self._marks.remove(chunk_ids)

    @asynccontextmanager
    async def translate(self, doing: str) -> AsyncIterator[None]:
        """Raise the disk's failures as ours, and remember the ones that make the disk suspect."""
        try:
            yield
        except DstoreError:
            raise
        except OSError as error:
            raise self.fail(error, doing) from error

    def fail(self, error: OSError, doing: str) -> DstoreError:
        """Return the error for a failure of the disk; the disk may be suspect from now on."""
        if says_disk_is_bad(error) and self._suspicion is None:
            self._suspicion = f"{doing}: {error.strerror or error}"
            _log.error("the disk is suspect and takes no writes until a restart: %s", self._suspicion)
        return disk_error(error, doing)

    def require_good_disk(self) -> None:
        """Refuse when the disk is suspect.

        Raises:
            Unavailable: reason ``DISK_FAILED``.
        """
        if self._suspicion is not None:
            raise Unavailable(
                f"The disk of {self.name} failed earlier ({self._suspicion}), so it takes no writes. "
                "Use another server; check the disk, then restart this one.",
                reason="DISK_FAILED",
                metadata={"cause": self._suspicion},
            )

    async def report_corrupt(self, chunk_id: ChunkId, problem: str) -> Corrupt:
        """Remember a chunk that failed a check, beyond a restart, and return the error to raise.

        It stays where it is: what is wrong with it may still be found out, and another replica replaces it.
        """
        if chunk_id not in self.corrupt and not self.trash.contains(chunk_id):
            self.catalog.remove(chunk_id)
            self.corrupt.add(chunk_id)
            _log.error("chunk %s is corrupt and no longer served: %s", chunk_id, problem)
            # A reader that hangs up must not take the mark with it: nobody would make it again.
            await to_its_end(self._mark_corrupt(chunk_id))
        return Corrupt(
            f"Chunk {chunk_id} on {self.name} is damaged: {problem}. Use another replica.",
            reason="CHUNK_CORRUPT",
            metadata={"chunk_id": str(chunk_id), "problem": problem, **self.label},
        )

    async def _mark_corrupt(self, chunk_id: ChunkId) -> None:
        try:
            await self._marks.add(chunk_id)
        except OSError as error:
            # The reader is told that the chunk is corrupt, which matters more; the disk may be suspect from now on.
            self.fail(error, f"marking chunk {chunk_id} as corrupt")

    def attribute(self, error: DstoreError) -> None:
        """Add to an error that this server failed, unless it already names one."""
        if "server_id" not in error.metadata:
            error.metadata.update(self.label)
