"""When to try again: exponential backoff with full jitter, without a clock or a random source of its own."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double from ``initial_s`` up to ``max_s``."""

    initial_s: float = 0.05
    max_s: float = 2.0

    def delay_s(self, attempt_index: int, jitter: float) -> float:
        """Return the pause before attempt ``attempt_index + 1``.

        ``jitter`` is uniform in [0, 1): clients that failed together must not come back together. At least half
        of the delay is always kept, so that a retry is never immediate.
        """
        ceiling_s = min(self.max_s, self.initial_s * 2.0 ** min(attempt_index, 32))
        return ceiling_s * (0.5 + 0.5 * jitter)
