"""A whole chunkserver without sockets: what serves chunks, what keeps it a member, and what looks after its disk."""

import asyncio
from collections.abc import Coroutine

from dstore.chunkserver.backfill import Backfill
from dstore.chunkserver.chunkreader import ChunkReader
from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.copying import Copier, CopySlots
from dstore.chunkserver.filling import FillingParts
from dstore.chunkserver.heartbeat import Membership
from dstore.chunkserver.importing import import_chunk
from dstore.chunkserver.metrics import ChunkserverMetrics
from dstore.chunkserver.missing import MissingChunks
from dstore.chunkserver.obeying import Obedience
from dstore.chunkserver.outcomes import OutcomeBox
from dstore.chunkserver.probe import DiskWatch
from dstore.chunkserver.purging import Purge
from dstore.chunkserver.relay import STALL_TIMEOUTS, StallTimeouts
from dstore.chunkserver.reporting import Reporter
from dstore.chunkserver.scrub import Scrub
from dstore.chunkserver.service import ChunkService
from dstore.chunkserver.standing import StandingRecord
from dstore.chunkserver.throttle import Throttle
from dstore.core.backoff import Backoff
from dstore.core.digests import GroupDigest, HeldChunk
from dstore.core.environment import Clock, Disk, Random
from dstore.core.errors import Corrupt, NotFound
from dstore.core.groups import ServerIdentity, ServerLabels
from dstore.core.ids import BootId, ChunkId, GroupId
from dstore.core.interfaces import Chunks, Cluster, Peers
from dstore.core.limits import SCRUB_BUSY_QUEUE, SCRUB_BUSY_STREAMS
from dstore.core.upkeep import UpkeepSettings


class Chunkserver:
    """One chunkserver. Made by ``open``; serves by ``chunks``; ``run`` keeps it in the cluster.

    Attributes:
        store: the chunks on its disk.
        chunks: the service that others call.
        metrics: what it counts.
        scrub: reads and checks everything.
        backfill: copies what is lacking.
        watch: measures the disk.
    """

    def __init__(
        self,
        store: ChunkStore,
        standing: StandingRecord,
        clock: Clock,
        random: Random,
        peers: Peers,
        *,
        timeouts: StallTimeouts = STALL_TIMEOUTS,
    ) -> None:
        self.store = store
        self.metrics = ChunkserverMetrics()
        self.chunks = ChunkService(store, peers, clock, self.metrics, timeouts=timeouts)
        self.watch = DiskWatch(store, clock)
        self._clock = clock
        self._random = random
        # For upkeep: it keeps no file open, so that it does not push out what others read often.
        self._reader = ChunkReader(store, open_chunks_max=0)
        self._copy_throttle = Throttle(clock)
        self._outcomes = OutcomeBox(store.corrupt)
        self._copier = Copier(peers, store.catalog.has, self._import, CopySlots())
        self._missing = MissingChunks(self, self._copier, clock, random, self._outcomes)
        self.backfill = Backfill(
            FillingParts(self, self._copier, peers, random), clock, self._outcomes, self._missing, self._is_settled
        )
        self.scrub = Scrub(store, clock, self._is_busy, self.metrics.count_scrub_error)
        self._purge = Purge(store, clock)
        self._obedience = Obedience(
            store,
            standing,
            self.watch,
            self._outcomes,
            store.trash,
            follow=self.backfill.follow,
            configure=self._configure,
        )
        self._reporter = Reporter(
            store,
            self.watch,
            standing,
            self._obedience,
            self._outcomes,
            clock,
            streams=lambda: (self.chunks.write_streams, self.chunks.read_streams),
            traffic=lambda: (self.metrics.read_bytes, self.metrics.write_bytes),
            scrub=self.scrub.report,
            copying=self.backfill.report,
        )
        self._membership: Membership | None = None

    @classmethod
    async def open(
        cls,
        disk: Disk,
        clock: Clock,
        random: Random,
        peers: Peers,
        *,
        name: str,
        timeouts: StallTimeouts = STALL_TIMEOUTS,
    ) -> "Chunkserver":
        """Recover the disk and return its server, which serves nothing before ``run`` has joined the cluster.

        Raises:
            Corrupt: the identity is damaged or missing.
            OSError: the disk cannot be used.
        """
        store = await ChunkStore.open(disk, random, name=name)
        standing = await StandingRecord.open(disk, store.names)
        server = cls(store, standing, clock, random, peers, timeouts=timeouts)
        await server.watch.measure()
        return server

    @property
    def registered(self) -> bool:
        """Whether the master has taken this server in; stays true while the master is away."""
        return self._membership is not None and self._membership.registered

    @property
    def last_failure(self) -> str | None:
        """Why the last call to the master failed, or its orders are not obeyed; None when all is well."""
        return self._membership.last_failure if self._membership is not None else None

    def identity(self, *, address: str, http_address: str, labels: ServerLabels, version: str) -> ServerIdentity:
        """Return how this run of the server presents itself; each call makes a new run of it."""
        return ServerIdentity(
            server_id=self.store.identity.server_id,
            cluster_id=self.store.identity.cluster_id,
            boot_id=BootId(self._random.uuid()),
            name=self.store.name,
            address=address,
            http_address=http_address,
            labels=labels,
            version=version,
        )

    async def run(self, cluster: Cluster, identity: ServerIdentity, *, backoff: Backoff | None = None) -> None:
        """Be a member of the cluster, and look after the disk; until cancelled.

        Raises:
            DstoreError: the master refuses this server for good; the process should end.
        """
        membership = self._membership = Membership(
            cluster, self.store, self._random, identity, self._reporter, self._obedience, backoff=backoff
        )
        await _together(
            membership.run(),
            self._obedience.run(),
            self._obedience.run_disposal(),
            self.watch.run(),
            self.backfill.run(),
            self.scrub.run(),
            self._purge.run(),
        )

    async def close(self) -> None:
        """Make durable what is not, and close the files that are kept open."""
        await self.store.close()
        await self.chunks.close()
        await self._reader.close()

    def render_metrics(self) -> bytes:
        """Return the text that Prometheus reads, with what the engines of upkeep did until now."""
        self.metrics.show_upkeep(
            copying=self.backfill.report(),
            scrub=self.scrub.report(),
            probe=self.watch.report(),
            trash_count=len(self.store.trash),
        )
        return self.metrics.render()

    async def digest(self, group_id: GroupId) -> GroupDigest:
        """Return the tree of what is held of a group.

        Raises:
            Unavailable: ``DISK_FAILED``, also when the disk is suspect: after a sync that failed, the next one may
                succeed without having written anything, so nothing that is compared would be sure to last.
        """
        # Whoever counts as filled by this must have it for good.
        await self.store.unsynced.settle_group(group_id)
        self.store.require_good_disk()
        return await self.store.holdings.digest(group_id)

    def lacks(self, chunk_id: ChunkId) -> bool:
        """Tell whether a chunk that a peer holds is to be copied: it is neither here nor discarded."""
        return not self.store.catalog.has(chunk_id) and not self.store.trash.contains(chunk_id)

    async def is_intact(self, chunk_id: ChunkId) -> bool:
        """Read a whole chunk, and make sure that it is durable; False when it is not here, or damaged.

        Raises:
            Unavailable: ``DISK_FAILED``, also when the disk is suspect.
        """
        await self.store.unsynced.settle(chunk_id)
        self.store.require_good_disk()
        if await self.store.holdings.held(chunk_id) is None:
            return False
        try:
            await self._reader.verify(chunk_id)
        except NotFound:
            await self.store.holdings.forget_lost(chunk_id)
            return False
        except Corrupt:
            return False
        return True

    async def _import(self, peer: Chunks, chunk_id: ChunkId, expected: HeldChunk | None) -> HeldChunk:
        with self.metrics.operation("copy", self._clock):
            return await import_chunk(self.store, self._reader, peer, chunk_id, expected, limiter=self._copy_throttle)

    def _is_settled(self, chunk_id: ChunkId) -> bool:
        return chunk_id.sequence < self.store.settled_sequence

    def _is_busy(self) -> bool:
        streams = self.chunks.write_streams + self.chunks.read_streams
        return streams > SCRUB_BUSY_STREAMS or self.store.disk.queue_depth > SCRUB_BUSY_QUEUE

    def _configure(self, settings: UpkeepSettings) -> None:
        self._copy_throttle.set_rate(settings.copy_bytes_per_s)
        self.scrub.configure(settings)
        self._purge.configure(settings)


async def _together(*works: Coroutine[object, object, None]) -> None:
    """Run all until one ends, which none does without an error; then end the others."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            _raise_first(task)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _raise_first(task: asyncio.Task[None]) -> None:
    error = task.exception()
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is not None:
        raise error
