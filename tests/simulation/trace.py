"""What happened, in order: a digest of all of it, to compare two runs, and the last events, to look at a failure."""

from collections import deque

from dstore.core.checksum import crc32c

EVENTS_KEPT = 400


class Trace:
    """The record of one run."""

    def __init__(self, *, kept: int = EVENTS_KEPT) -> None:
        self._digest = 0
        self._events: deque[tuple[float, str]] = deque(maxlen=kept)
        self.count = 0

    def note(self, now_s: float, event: str) -> None:
        """Record an event."""
        self.count += 1
        self._digest = crc32c(f"{now_s:.9f}{event}".encode(), self._digest)
        self._events.append((now_s, event))

    @property
    def digest(self) -> str:
        """Stands for everything that was recorded."""
        return f"{self._digest:08x}-{self.count}"

    def tail(self, count: int = EVENTS_KEPT) -> list[str]:
        """Return the last events as lines."""
        return [f"{now_s:10.4f}  {event}" for now_s, event in list(self._events)[-count:]]
