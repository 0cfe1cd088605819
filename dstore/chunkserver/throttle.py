"""Keeping to a rate: waits until what was taken before is paid for."""

import asyncio

from dstore.core.environment import Clock
from dstore.core.throttle import TokenBucket

#: What a rate saves up while nobody takes anything.
BURST_S = 0.25
#: A wait is looked at again after this long: a wait for something large, at a low rate, must end when the rate rises.
_LOOK_INTERVAL_S = 60.0
#: Shorter waits are not worth a timer, and might end before the clock moves.
_WAIT_MIN_S = 0.001


class Throttle:
    """Lets ``rate_per_s`` bytes pass a second, over all who take from it; 0 means no limit."""

    def __init__(self, clock: Clock, rate_per_s: float = 0.0, *, burst_s: float = BURST_S) -> None:
        self._clock = clock
        self._bucket = TokenBucket(rate_per_s, burst_s, clock.monotonic_s())
        self._changed = asyncio.Event()

    @property
    def rate_per_s(self) -> float:
        """Bytes a second; 0 means no limit."""
        return self._bucket.rate_per_s

    def set_rate(self, rate_per_s: float) -> None:
        """Change the rate; who waits now, waits accordingly."""
        if rate_per_s == self._bucket.rate_per_s:
            return
        self._bucket.set_rate(rate_per_s, self._clock.monotonic_s())
        self._changed.set()
        self._changed = asyncio.Event()

    def is_behind(self) -> bool:
        """Tell whether nothing was taken for so long that no more is saved up."""
        return self._bucket.rate_per_s > 0 and self._bucket.is_full(self._clock.monotonic_s())

    async def take(self, size_bytes: int) -> None:
        """Wait until everything that was taken before is paid for, then take this."""
        while self._bucket.rate_per_s > 0:
            delay_s = self._bucket.delay_s(self._clock.monotonic_s())
            if delay_s <= 0:
                self._bucket.take(size_bytes, self._clock.monotonic_s())
                return
            try:
                async with asyncio.timeout(min(max(delay_s, _WAIT_MIN_S), _LOOK_INTERVAL_S)):
                    await self._changed.wait()
            except TimeoutError:
                continue
