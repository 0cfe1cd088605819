"""Copying single chunks from peers: a bounded number at once, the most urgent first, within the bytes per second."""

import asyncio
import contextlib
import heapq
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from itertools import count

from dstore.core.digests import HeldChunk
from dstore.core.errors import Corrupt, DstoreError, NotFound
from dstore.core.ids import ChunkId
from dstore.core.interfaces import Chunks, Peers
from dstore.core.limits import COPY_STREAMS_MAX
from dstore.core.request_ids import RequestContext, bound
from dstore.core.upkeep import Source

#: Smaller is sooner.
Priority = tuple[int, int]

#: Part of every change of members, and of every deletion: the master tells all, one after the other.
_ORDINARY_REASONS = frozenset({"SOURCE_BEHIND", "CHUNK_SETTLED"})

_log = logging.getLogger(__name__)


class CopySlots:
    """Places for copies; a place that gets free goes to the most urgent that waits."""

    def __init__(self, places: int = COPY_STREAMS_MAX) -> None:
        self._free = places
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._numbers = count()

    @contextlib.asynccontextmanager
    async def place(self, priority: Priority) -> AsyncIterator[None]:
        """Hold a place inside the block."""
        await self._acquire(priority)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, priority: Priority) -> None:
        if self._free and not self._waiting:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._numbers), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()
            raise

    def _release(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


@dataclass(slots=True)
class CopyCounts:
    """What was copied since the start.

    Attributes:
        failure: why the last copy failed; empty when it did not.
    """

    chunks: int = 0
    size_bytes: int = 0
    failure: str = ""


#: Copies one chunk from a peer to the own disk and checks it; the arguments are the peer, the chunk, and what the
#: copy must be, None when nobody said so.
Import = Callable[[Chunks, ChunkId, HeldChunk | None], Awaitable[HeldChunk]]


class Copier:
    """Copies chunks that are lacking here.

    Args:
        has: tells whether a chunk is here, intact as far as is known.
        import_chunk: copies one chunk.

    Attributes:
        counts: what was done.
    """

    def __init__(self, peers: Peers, has: Callable[[ChunkId], bool], import_chunk: Import, slots: CopySlots) -> None:
        self._peers = peers
        self._has = has
        self._import = import_chunk
        self._slots = slots
        self._under_way: dict[ChunkId, asyncio.Event] = {}
        self._is_outage_logged = False
        self.counts = CopyCounts()

    async def copy(
        self,
        chunk_id: ChunkId,
        expected: HeldChunk | None,
        source: Source,
        priority: Priority,
        *,
        reason_to_stop: Callable[[], DstoreError | None] = lambda: None,
    ) -> None:
        """Copy a chunk, unless it came by other ways meanwhile.

        ``reason_to_stop`` is asked when it is this chunk's turn; what it returns is raised.

        Raises:
            DstoreError: it is not here; ``is_about_chunk`` tells whether another source may help.
        """
        while (other := self._under_way.get(chunk_id)) is not None:
            await other.wait()
        if self._has(chunk_id):
            return
        ended = self._under_way[chunk_id] = asyncio.Event()
        try:
            async with self._slots.place(priority):
                if (reason := reason_to_stop()) is not None:
                    raise reason
                # By this id, the log of the source tells about the copy as well.
                with bound(RequestContext(f"copy:{chunk_id}", chunk=chunk_id, is_chosen=True)):
                    held = await self._import(self._peers.chunks(source.address), chunk_id, expected)
        except DstoreError as error:
            self.note_failure(error, source)
            raise
        finally:
            del self._under_way[chunk_id]
            ended.set()
        self.counts.chunks += 1
        self.counts.size_bytes += held.length_bytes
        self.counts.failure = ""
        self._is_outage_logged = False

    def note_failure(self, error: DstoreError, source: Source) -> None:
        """Remember why something could not be copied."""
        failure = f"from {source.address}: {error}"
        # One line per outage, not one per chunk.
        if not self._is_outage_logged and error.reason not in _ORDINARY_REASONS:
            self._is_outage_logged = True
            _log.warning("copying fails %s [%s]", failure, error.reason)
        self.counts.failure = failure


def is_about_chunk(error: DstoreError) -> bool:
    """Tell whether a source fails for this chunk only.

    It lacks it, its copy is damaged (Invariant 10), or its disk cannot read this one; an error of the own disk names no
    server.
    """
    return isinstance(error, Corrupt | NotFound) or (error.reason == "DISK_FAILED" and "server_id" in error.metadata)
