"""How many chunks of one file are in flight: as many as keep the way busy, and few that only wait in line.

The quickest chunk so far shows how long the way takes for one that waits for nobody; of ``depth`` chunks that take
longer on average, ``depth * (1 - quickest / average)`` are waiting in line somewhere. Hardly any in line means that the
way is not full, as it is when acknowledgements come from far away or from slow disks: one chunk more may go. Too many
mean that they only take memory: one fewer. This is how TCP Vegas finds its window (Brakmo and Peterson, 1995).
"""

import asyncio
import math

#: So many in line, and no more, are no reason for a change.
_IN_LINE_MIN = 0.5
_IN_LINE_MAX = 2.0
#: Chunks in flight at most, however small they are, and what they may take together.
DEPTH_MAX = 8
IN_FLIGHT_SIZE_BYTES_MAX = 96 * 1024 * 1024


class FlightDepth:
    """Slots for chunks in flight, of which there are more or fewer as the way wants it. Belongs to one event loop.

    Attributes:
        depth: how many slots there are now, from ``least`` on.
    """

    def __init__(self, least: int, chunk_size_bytes: int) -> None:
        """Begin with ``least`` slots; there are never fewer."""
        self.depth = least
        self._least = least
        self._most = max(least, min(DEPTH_MAX, IN_FLIGHT_SIZE_BYTES_MAX // chunk_size_bytes))
        self._slots = asyncio.Semaphore(least)
        self._quickest_s = math.inf
        self._round_s: list[float] = []
        #: Slots that are not given out again when they are given back.
        self._surplus = 0

    async def acquire(self) -> None:
        """Wait for a free slot and take it."""
        await self._slots.acquire()

    def release(self, duration_s: float | None = None) -> None:
        """Give a slot back.

        Args:
            duration_s: how long a full chunk was in flight; None teaches nothing: it failed, or was the short last one.
        """
        # Slots that nobody waits for say that the caller is what everybody waits for.
        change = self._learn(duration_s) if duration_s is not None and self._slots.locked() else 0
        self.depth += change
        if change < 0:
            self._surplus += 1
        for _ in range(1 + max(change, 0)):
            if self._surplus:
                self._surplus -= 1
            else:
                self._slots.release()

    def back_off(self) -> None:
        """Go back to the fewest: a server has more to do than it takes on."""
        self._surplus += self.depth - self._least
        self.depth = self._least
        self._round_s.clear()

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
