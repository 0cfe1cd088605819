"""What a server holds of a group, read page by page; several of them side by side, range by range."""

from collections import deque

from dstore.core.digests import HeldChunk
from dstore.core.errors import Internal
from dstore.core.ids import GroupId
from dstore.core.interfaces import Chunks
from dstore.core.limits import HELD_CHUNKS_PER_PAGE_MAX


class Listing:
    """Goes through the chunks of a group on one server in order of their sequences."""

    def __init__(self, chunks: Chunks, group_id: GroupId, after_sequence: int = 0) -> None:
        self._chunks = chunks
        self._group_id = group_id
        self._after = after_sequence
        self._buffer: deque[HeldChunk] = deque()
        self._is_last = False

    async def reach(self) -> int | None:
        """Return up to where it is known what the server holds; None for everything.

        Raises:
            DstoreError: the server does not answer.
            Internal: its pages do not go on.
        """
        while not self._buffer and not self._is_last:
            page = await self._chunks.list_group(
                self._group_id, bucket=None, after_sequence=self._after, count=HELD_CHUNKS_PER_PAGE_MAX
            )
            if (page.chunks and page.chunks[0].sequence <= self._after) or not (page.chunks or page.is_last):
                raise Internal("It lists a group in pages that do not go on; check its version.")
            self._buffer.extend(page.chunks)
            self._is_last = page.is_last
            if page.chunks:
                self._after = page.chunks[-1].sequence
        return None if self._is_last else self._after

    def take(self, last: int) -> dict[int, HeldChunk]:
        """Return what it holds up to ``last``, which must be within reach."""
        taken: dict[int, HeldChunk] = {}
        while self._buffer and self._buffer[0].sequence <= last:
            held = self._buffer.popleft()
            taken[held.sequence] = held
        return taken


async def list_range(chunks: Chunks, group_id: GroupId, after: int, last: int) -> dict[int, HeldChunk]:
    """Return what a server holds now with sequences above ``after``, up to ``last``.

    Raises:
        DstoreError: as ``Listing.reach``.
    """
    listing, held = Listing(chunks, group_id, after), dict[int, HeldChunk]()
    while True:
        reach = await listing.reach()
        held |= listing.take(last)
        if reach is None or reach >= last:
            return held
