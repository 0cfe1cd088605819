"""The scrub: every chunk is read and checked within a period, at a steady pace that yields to load.

It goes through the groups in order, and through the sequences of each. How far it came is stored now and then, so that
a server that restarts often still reaches its last chunk; a lost position only repeats work. What fails its check is
reported by the reader that finds it (``ChunkStore.report_corrupt``), and is healed from another replica.

It has a reader of its own, which keeps no file open: reading everything once must not push out what others read
often.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from dstore.chunkserver import paths
from dstore.chunkserver.chunkreader import ChunkReader
from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.durable import read_record, write_record
from dstore.chunkserver.throttle import Throttle
from dstore.core.chunks import ReadRequest
from dstore.core.environment import Clock
from dstore.core.errors import Corrupt, DstoreError, NotFound
from dstore.core.ids import ChunkId, GroupId
from dstore.core.limits import (
    CHUNK_SIZE_BYTES_DEFAULT,
    SCRUB_BEHIND_MAX_S,
    SCRUB_POSITION_INTERVAL_S,
    SCRUB_SHARE,
    SCRUB_YIELD_S,
)
from dstore.core.upkeep import ScrubReport, UpkeepSettings

FORMAT_VERSION = 1
#: Chunks that are looked up at once.
_PAGE = 256
#: Chunks of each page whose length is looked up; the others are taken to be like them until they are known.
_SAMPLE = 16
#: How often the pace follows what is held.
_PACE_INTERVAL_S = 60.0
#: A server without chunks is looked at again after this share of the period, at least once a minute.
_EMPTY_SHARE = 0.1
_EMPTY_PAUSE_MAX_S = 60.0

_log = logging.getLogger(__name__)


class Scrub:
    """Reads and checks all chunks of a store again and again.

    Args:
        is_busy: tells whether the disk has better things to do.
        count_error: is told of every chunk that is found ``corrupt``, ``lost`` or ``unreadable``; of a damaged one
            that is known already, not again.
    """

    def __init__(
        self, store: ChunkStore, clock: Clock, is_busy: Callable[[], bool], count_error: Callable[[str], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._is_busy = is_busy
        self._count_error = count_error
        self._reader = ChunkReader(store, open_chunks_max=0)
        self._throttle = Throttle(clock, burst_s=SCRUB_BEHIND_MAX_S)
        self._period_s = 0.0
        self._wanted = asyncio.Event()
        self._pace_adjusted_s = 0.0
        self._position: ChunkId | None = None
        self._position_stored_s = clock.monotonic_s()
        self._passes = 0
        self._pass_ended_s: float | None = None
        self._checked_bytes = 0
        self._done_chunks = 0
        self._is_outage_logged = False

    def configure(self, settings: UpkeepSettings) -> None:
        """Go by these from now on."""
        is_new = settings.scrub_period_s != self._period_s
        self._period_s = settings.scrub_period_s
        if settings.scrub_period_s > 0 and not settings.scrub_is_paused:
            if is_new or self._clock.monotonic_s() - self._pace_adjusted_s >= _PACE_INTERVAL_S:
                self._adjust_pace()
            self._wanted.set()
        else:
            self._wanted.clear()

    def report(self) -> ScrubReport:
        """Return how far it is."""
        total = self._store.catalog.chunk_count
        return ScrubReport(
            passes=self._passes,
            position=min(1.0, self._done_chunks / total) if total else 0.0,
            checked_bytes=self._checked_bytes,
            last_pass_age_s=None if self._pass_ended_s is None else self._clock.monotonic_s() - self._pass_ended_s,
        )

    async def run(self) -> None:
        """Scrub until cancelled."""
        await self._load_position()
        while True:
            await self._wanted.wait()
            chunk_ids = self._next_page()
            await self._learn_lengths(chunk_ids)
            self._adjust_pace()
            for chunk_id in chunk_ids:
                await self._wanted.wait()
                await self._check(chunk_id)
                self._position = chunk_id
                self._done_chunks += 1
                await self._store_position_sometimes()
            if not chunk_ids:
                await self._end_pass()

    async def _end_pass(self) -> None:
        if self._done_chunks:
            self._passes += 1
            self._pass_ended_s = self._clock.monotonic_s()
        self._position, self._done_chunks = None, 0
        if not self._store.catalog.chunk_count:
            await asyncio.sleep(min(_EMPTY_PAUSE_MAX_S, max(0.01, self._period_s * _EMPTY_SHARE)))

    def _next_page(self) -> list[ChunkId]:
        """Return the chunks that follow the position; none at the end of a pass."""
        catalog, position = self._store.catalog, self._position
        for group_id in catalog.groups():
            if position is not None and group_id < position.group_id:
                continue
            after = position.sequence if position is not None and group_id == position.group_id else 0
            if sequences := catalog.sequences(group_id, after_sequence=after, count=_PAGE):
                return [ChunkId(group_id, sequence) for sequence in sequences]
        return []

    async def _learn_lengths(self, chunk_ids: list[ChunkId]) -> None:
        """Read the footers of some chunks, so that the pace does not rest on a guess after a restart."""
        try:
            for chunk_id in chunk_ids[:_SAMPLE]:
                await self._store.holdings.held(chunk_id)
        except DstoreError as error:
            self._note_outage(error)

    async def _check(self, chunk_id: ChunkId) -> None:
        """Read one chunk. One that is damaged is reported; one whose file is lost does not count as held any more."""
        is_known = chunk_id in self._store.corrupt
        try:
            await self._read(chunk_id)
        except Corrupt:
            if not is_known:
                self._count_error("corrupt")
        except DstoreError as error:
            self._count_error("unreadable")
            # The disk fails: that makes it suspect, and is reported as such. Reading on would be a busy loop.
            self._note_outage(error)
            await asyncio.sleep(SCRUB_YIELD_S)
        else:
            self._is_outage_logged = False

    def _note_outage(self, error: DstoreError) -> None:
        # One line per outage, not one per chunk.
        if not self._is_outage_logged:
            self._is_outage_logged = True
            _log.warning("the scrub cannot read all chunks: %s", error)

    async def _read(self, chunk_id: ChunkId) -> None:
        try:
            async with aclosing(self._reader.read(ReadRequest(chunk_id, 0, 0))) as frames:
                async for frame in frames:
                    self._checked_bytes += len(frame.data)
                    await self._throttle.take(len(frame.data))
                    await self._yield_to_load()
        except NotFound:
            # Also what was discarded meanwhile, which is no error: only a chunk that is still listed is lost.
            if self._store.catalog.has(chunk_id):
                self._count_error("lost")
            await self._store.holdings.forget_lost(chunk_id)

    async def _yield_to_load(self) -> None:
        """Wait while others need the disk, unless the scrub is behind its pace for too long already."""
        await self._wanted.wait()
        while self._is_busy() and not self._throttle.is_behind():
            await _step_aside()

    def _adjust_pace(self) -> None:
        """Take the rate at which everything is read within the period, with some time to spare."""
        if self._period_s <= 0:
            return  # switched off while a page was looked up
        held_bytes = self._held_bytes()
        self._throttle.set_rate(max(1.0, held_bytes / (self._period_s * SCRUB_SHARE)))
        self._pace_adjusted_s = self._clock.monotonic_s()

    def _held_bytes(self) -> float:
        catalog = self._store.catalog
        known_bytes = sum(summary.chunk_bytes for summary in self._store.holdings.summaries())
        # Of chunks that were not read in this run, the length is not known yet; that of the others gives an idea.
        not_read = catalog.not_read_count
        known = catalog.chunk_count - not_read
        return known_bytes + not_read * (known_bytes / known if known else CHUNK_SIZE_BYTES_DEFAULT)

    async def _load_position(self) -> None:
        try:
            async with self._store.translate("reading the position of the scrub"):
                fields = await read_record(self._store.disk, paths.SCRUB)
        except DstoreError as error:
            _log.warning("the scrub starts at the first chunk: %s", error)
            return
        group_id, sequence = (fields or {}).get("group_id"), (fields or {}).get("sequence")
        if not isinstance(group_id, int) or not isinstance(sequence, int):
            return
        position = self._position = ChunkId(GroupId(group_id), sequence)
        catalog = self._store.catalog
        count = catalog.count(position.group_id)
        behind = len(catalog.sequences(position.group_id, after_sequence=sequence, count=count))
        earlier = sum(catalog.count(each) for each in catalog.groups() if each < group_id)
        self._done_chunks = earlier + count - behind

    async def _store_position_sometimes(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._position_stored_s < SCRUB_POSITION_INTERVAL_S or self._store.suspicion is not None:
            return
        self._position_stored_s = now_s
        assert self._position is not None
        try:
            async with self._store.translate("storing the position of the scrub"):
                await write_record(
                    self._store.disk,
                    paths.SCRUB,
                    {
                        "format": FORMAT_VERSION,
                        "group_id": self._position.group_id,
                        "sequence": self._position.sequence,
                    },
                    temporary=self._store.names.new(paths.SCRUB),
                )
        except DstoreError as error:
            _log.warning("the position of the scrub is not stored: %s", error)


async def _step_aside() -> None:
    await asyncio.sleep(SCRUB_YIELD_S)
