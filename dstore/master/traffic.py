"""What chunkservers move, from the counters in their heartbeats: the rates are those of the last seconds."""

from collections import deque

from dstore.core.traffic import NO_TRAFFIC, ByteCounts, Traffic, rate_per_s
from dstore.core.upkeep import Heartbeat

_WINDOW_S = 10.0


class TrafficMeter:
    """Of one run of one server."""

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples: deque[tuple[float, ByteCounts]] = deque()

    def sample(self, heartbeat: Heartbeat, now_s: float) -> None:
        """Take note of what was moved until now."""
        counts = ByteCounts(
            heartbeat.read_bytes, heartbeat.write_bytes, heartbeat.copying.copied_bytes, heartbeat.scrub.checked_bytes
        )
        # The window has an end, however often somebody reports.
        if self._samples and now_s - self._samples[-1][0] < _WINDOW_S / 20:
            self._samples[-1] = (self._samples[-1][0], counts)
            return
        self._samples.append((now_s, counts))
        while now_s - self._samples[0][0] > _WINDOW_S and len(self._samples) > 2:
            self._samples.popleft()

    def now(self, *, is_heard: bool) -> Traffic:
        """Return the totals, and the rates of a server that is heard."""
        if not self._samples:
            return NO_TRAFFIC
        (first_s, first), (last_s, last) = self._samples[0], self._samples[-1]
        return Traffic(last, rate_per_s(first, last, last_s - first_s) if is_heard else ByteCounts())
