"""How many chunks of one file are in flight: as many as keep the way busy, and few that only wait in line.

The quickest chunk so far shows how long the way takes for one that waits for nobody; of ``depth`` chunks that take
longer on average, ``depth * (1 - quickest / average)`` are waiting in line somewhere. Hardly any in line means that the
way is not full, as it is when acknowledgements come from far away or from slow disks: one chunk more may go. Too many
mean that they only take memory: one fewer. This is how TCP Vegas finds its window (Brakmo and Peterson, 1995).

Files that are written at the same time share what one alone may have in flight: together they keep the way as busy, and
memory is bounded for the client and not for each file only. One chunk of each file may always go.
"""

import asyncio
import math

#: So many in line, and no more, are no reason for a change.
_IN_LINE_MIN = 0.5
_IN_LINE_MAX = 2.0
#: Chunks of one file in flight at most, however small they are, and what those of all files may take together.
DEPTH_MAX = 8
IN_FLIGHT_SIZE_BYTES_MAX = 96 * 1024 * 1024


class FilesInFlight:
    """How many files of one client have chunks in flight."""

    def __init__(self) -> None:
        self.count = 0


class FlightDepth:
    """Slots for chunks in flight, of which there are more or fewer as the way wants it. Belongs to one event loop.

    Attributes:
        depth: how many slots there are now, from ``least`` on, for a file that is written alone.
    """

    def __init__(self, least: int, chunk_size_bytes: int, files: FilesInFlight) -> None:
        """Begin with ``least`` slots; there are never fewer, unless other ``files`` are written, too."""
        self.depth = least
        self._least = least
        self._together = max(least, IN_FLIGHT_SIZE_BYTES_MAX // chunk_size_bytes)
        self._most = max(least, min(DEPTH_MAX, self._together))
        self._files = files
        self._taken = 0
        self._given_back = asyncio.Event()
        self._quickest_s = math.inf
        self._round_s: list[float] = []

    @property
    def is_full(self) -> bool:
        """Whether no slot is free."""
        return self._taken >= self._limit()

    async def acquire(self) -> None:
        """Wait for a free slot and take it."""
        while self.is_full:
            # Somebody is in flight then, and gives a slot back: there is always one for each file.
            self._given_back.clear()
            await self._given_back.wait()
        if not self._taken:
            self._files.count += 1
        self._taken += 1

    def release(self, duration_s: float | None = None) -> None:
        """Give a slot back.

        Args:
            duration_s: how long a full chunk was in flight; None teaches nothing: it failed, or was the short last one.
        """
        # Slots that nobody waits for say that the caller is what everybody waits for; more than there may be, that
        # what was learned is about another depth.
        if duration_s is not None and self._taken == self._limit():
            self.depth += self._learn(duration_s)
        self._taken -= 1
        if not self._taken:
            self._files.count -= 1
        self._given_back.set()

    def back_off(self) -> None:
        """Go back to the fewest: a server has more to do than it takes on."""
        self.depth = self._least
        self._round_s.clear()

    def _limit(self) -> int:
        others = self._files.count - (self._taken > 0)
        return min(self.depth, max(1, self._together // (others + 1)))

    def _learn(self, duration_s: float) -> int:
        """Return by how much the depth is to change: once for each round of as many chunks as are in flight."""
        self._quickest_s = min(self._quickest_s, duration_s)
        self._round_s.append(duration_s)
        if len(self._round_s) < self.depth:
            return 0
        average_s = sum(self._round_s) / len(self._round_s)
        self._round_s.clear()
        in_line = self.depth * (1 - self._quickest_s / average_s) if average_s > 0 else 0.0
        if in_line < _IN_LINE_MIN and self.depth < self._most:
            return 1
        if in_line > _IN_LINE_MAX and self.depth > self._least:
            return -1
        return 0
