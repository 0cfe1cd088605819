"""What a chunkserver says about itself in a heartbeat; made without waiting for anything."""

from collections.abc import Callable
from dataclasses import replace

from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.obeying import Obedience
from dstore.chunkserver.outcomes import OutcomeBox
from dstore.chunkserver.probe import DiskWatch
from dstore.chunkserver.standing import StandingRecord
from dstore.core.environment import Clock
from dstore.core.groups import Capacity
from dstore.core.ids import BootId
from dstore.core.upkeep import CopyReport, Heartbeat, ScrubReport


class Reporter:
    """Puts a report together.

    Args:
        streams: returns how many write and read streams are under way.
        traffic: returns how many bytes were read and written.
        scrub: returns how far the scrub is.
        copying: returns how the copying from peers goes.
    """

    def __init__(
        self,
        store: ChunkStore,
        watch: DiskWatch,
        standing: StandingRecord,
        obedience: Obedience,
        outcomes: OutcomeBox,
        clock: Clock,
        *,
        streams: Callable[[], tuple[int, int]],
        traffic: Callable[[], tuple[int, int]],
        scrub: Callable[[], ScrubReport],
        copying: Callable[[], CopyReport],
    ) -> None:
        self._store = store
        self._watch = watch
        self._standing = standing
        self._obedience = obedience
        self._outcomes = outcomes
        self._clock = clock
        self._streams = streams
        self._traffic = traffic
        self._scrub = scrub
        self._copying = copying

    def heartbeat(self, boot_id: BootId, incarnation: int) -> Heartbeat:
        """Return how things are now."""
        store = self._store
        write_streams, read_streams = self._streams()
        read_bytes, write_bytes = self._traffic()
        return Heartbeat(
            server_id=store.identity.server_id,
            boot_id=boot_id,
            capacity=self._placeable_capacity(),
            chunk_count=store.chunk_count,
            corrupt_chunk_count=len(store.corrupt),
            trash_count=len(store.trash),
            write_streams=write_streams,
            read_streams=read_streams,
            incarnation=incarnation,
            probe=self._watch.report(),
            queue_depth=store.disk.queue_depth,
            suspicion=store.suspicion or "",
            standing=self._standing.seen,
            settled_sequence=store.settled_sequence,
            newest_sequence=store.catalog.newest_sequence,
            assignments_digest=self._obedience.assignments_digest,
            # The master lifts its groups above the epochs that it hears of; without, it could write to none of these.
            groups=store.holdings.summaries(self._obedience.outdated_groups),
            outcomes=self._outcomes.report(),
            scrub=self._scrub(),
            copying=self._copying(),
            unsynced=store.unsynced.report(),
            doubts=store.doubts.report(),
            sent_ns=self._clock.wall_ns(),
            read_bytes=read_bytes,
            write_bytes=write_bytes,
        )

    def forget(self, answered: Heartbeat) -> None:
        """Drop the outcomes that a report told that was answered."""
        self._outcomes.forget(answered.outcomes)

    def _placeable_capacity(self) -> Capacity:
        """Return size and use of the disk; a suspect disk counts as full, so that nothing is placed on it."""
        capacity = self._watch.capacity or Capacity(0, 0)
        if self._store.suspicion is not None:
            return replace(capacity, used_bytes=capacity.total_bytes)
        return capacity
