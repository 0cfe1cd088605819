"""The chunks on one disk: recovery, identity, epochs, and what is known to be wrong.

Opening is recovery: what an interrupted run left in ``tmp`` is removed, nothing else is assumed, and nothing that is
not known is touched (Invariant 9).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dstore.chunkserver import paths
from dstore.chunkserver.durable import TemporaryNames, disk_error, says_disk_is_bad
from dstore.chunkserver.epochs import GroupEpochs
from dstore.chunkserver.identity import DiskIdentity, bind_cluster, open_identity
from dstore.core.environment import Disk, Random
from dstore.core.errors import Corrupt, DstoreError, Unavailable
from dstore.core.groups import Capacity, GroupEpoch
from dstore.core.ids import ChunkId, ClusterId, GroupId
from dstore.core.upkeep import Assignment

UNKNOWN_NAMES_REPORTED_MAX = 100
#: What is in the directory itself.
_KNOWN_NAMES = frozenset(
    {paths.IDENTITY, paths.STANDING, paths.SCRUB, paths.LOCK, paths.GROUPS, paths.TEMPORARY, paths.CORRUPT}
)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Recovery:
    """What opening found.

    Attributes:
        removed_count: unfinished files that were removed from ``tmp``.
        unknown_count: names that mean nothing here; left alone.
        unknown_paths: the first of them.
    """

    removed_count: int = 0
    chunk_count: int = 0
    unknown_count: int = 0
    unknown_paths: tuple[str, ...] = ()

    def report_unknown(self, path: str) -> None:
        """Count a name that is left alone."""
        self.unknown_count += 1
        if len(self.unknown_paths) < UNKNOWN_NAMES_REPORTED_MAX:
            self.unknown_paths = (*self.unknown_paths, path)


class ChunkStore:
    """Made by ``open``; shared by all writers and readers of one server.

    Attributes:
        disk: where everything is.
        name: of the server, for messages.
        epochs: of the groups.
        recovery: what opening found.
        chunk_count: chunks with their name in place.
        corrupt: chunks that failed a check, now or in an earlier run; they are not served and never deleted. Bounded
            by the chunks on the disk.
        is_reconciled: whether the master's orders of this run were obeyed; before that, nothing is served.
    """

    def __init__(self, disk: Disk, name: str, identity: DiskIdentity, names: TemporaryNames) -> None:
        self.disk = disk
        self.name = name
        self.names = names
        self.epochs = GroupEpochs(disk, names)
        self.recovery = Recovery()
        self.chunk_count = 0
        self.corrupt: set[ChunkId] = set()
        self.is_reconciled = False
        self._settled_sequence = 0
        self._identity = identity
        self._suspicion: str | None = None
        self._directories: set[str] = set()
        self._committing: dict[ChunkId, asyncio.Event] = {}

    @classmethod
    async def open(cls, disk: Disk, random: Random, *, name: str) -> "ChunkStore":
        """Recover the directory and return its store.

        Raises:
            Corrupt: the identity is damaged or missing.
            OSError: the disk cannot be used.
        """
        names = TemporaryNames()
        await disk.make_directory(paths.TEMPORARY)
        recovery = Recovery()
        await _empty_temporary(disk, recovery)
        store = cls(disk, name, await open_identity(disk, random, names), names)
        store.recovery = recovery
        await disk.make_directory(paths.GROUPS)
        await disk.make_directory(paths.CORRUPT)
        store.corrupt = await _marked_corrupt(disk, recovery)
        async for group_id in _scan(disk, recovery):
            await store.epochs.load(group_id)
        store.chunk_count = recovery.chunk_count
        return store

    @property
    def identity(self) -> DiskIdentity:
        """The disk's uuid and cluster."""
        return self._identity

    @property
    def label(self) -> dict[str, str]:
        """The metadata that says that this server failed."""
        return {"server_id": self._identity.server_id, "server_name": self.name}

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

    async def prepare_directory(self, chunk_id: ChunkId) -> None:
        """Make the directory of a chunk, with its parents, durably; remembered, so that it costs nothing later."""
        directory = paths.chunk_directory(chunk_id)
        if directory not in self._directories:
            await self.disk.make_directory(directory)
            self._directories.add(directory)

    @asynccontextmanager
    async def committing(self, chunk_id: ChunkId) -> AsyncIterator[None]:
        """Let one writer at a time give a chunk its name, so that nobody replaces what another just wrote."""
        while (other := self._committing.get(chunk_id)) is not None:
            await other.wait()
        mine = self._committing[chunk_id] = asyncio.Event()
        try:
            yield
        finally:
            del self._committing[chunk_id]
            mine.set()

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
        if chunk_id not in self.corrupt:
            self.corrupt.add(chunk_id)
            _log.error("chunk %s is corrupt and no longer served: %s", chunk_id, problem)
            await self._mark_corrupt(chunk_id)
        return Corrupt(
            f"Chunk {chunk_id} on {self.name} is damaged: {problem}. Use another replica.",
            reason="CHUNK_CORRUPT",
            metadata={
                "chunk_id": str(chunk_id),
                "server_id": self._identity.server_id,
                "server_name": self.name,
                "problem": problem,
            },
        )

    async def _mark_corrupt(self, chunk_id: ChunkId) -> None:
        try:
            await (await self.disk.create(paths.corrupt_path(chunk_id))).close()
            await self.disk.sync_directory(paths.CORRUPT)
        except OSError as error:
            # The reader is told that the chunk is corrupt, which matters more; the disk may be suspect from now on.
            self.fail(error, f"marking chunk {chunk_id} as corrupt")

    def attribute(self, error: DstoreError) -> None:
        """Add to an error that this server failed, unless it already names one."""
        if "server_id" not in error.metadata:
            error.metadata.update(self.label)


async def _empty_temporary(disk: Disk, recovery: Recovery) -> None:
    """Remove what an interrupted run left; nobody was told that it is there."""
    for name in await disk.list(paths.TEMPORARY):
        path = f"{paths.TEMPORARY}/{name}"
        if not paths.is_temporary(name):
            recovery.report_unknown(path)
            continue
        await disk.remove(path)
        recovery.removed_count += 1
    await disk.sync_directory(paths.TEMPORARY)


async def _marked_corrupt(disk: Disk, recovery: Recovery) -> set[ChunkId]:
    marked = set()
    for name in await disk.list(paths.CORRUPT):
        chunk_id = paths.parse_corrupt(name)
        if chunk_id is None:
            recovery.report_unknown(f"{paths.CORRUPT}/{name}")
        else:
            marked.add(chunk_id)
    return marked


async def _scan(disk: Disk, recovery: Recovery) -> AsyncIterator[GroupId]:
    """Yield the groups, count chunks and note unknown names; holds the names of one directory at a time."""
    for name in await disk.list(""):
        if name not in _KNOWN_NAMES:
            recovery.report_unknown(name)
    for group_name in await disk.list(paths.GROUPS):
        group_path = f"{paths.GROUPS}/{group_name}"
        group_id = paths.parse_group(group_name)
        names = None if group_id is None else await _list_directory(disk, group_path)
        if group_id is None or names is None:
            recovery.report_unknown(group_path)
            continue
        yield group_id
        for name in names:
            if name != paths.EPOCH:
                await _scan_fan_out(disk, group_id, name, recovery)


async def _scan_fan_out(disk: Disk, group_id: GroupId, name: str, recovery: Recovery) -> None:
    path = f"{paths.group_directory(group_id)}/{name}"
    fan_out = paths.parse_fan_out(name)
    names = None if fan_out is None else await _list_directory(disk, path)
    if fan_out is None or names is None:
        recovery.report_unknown(path)
        return
    for chunk_name in names:
        if paths.parse_chunk(group_id, fan_out, chunk_name) is None:
            recovery.report_unknown(f"{path}/{chunk_name}")
        else:
            recovery.chunk_count += 1


async def _list_directory(disk: Disk, path: str) -> tuple[str, ...] | None:
    """Return the names in a directory; None when it is a file."""
    try:
        return await disk.list(path)
    except NotADirectoryError:
        return None
