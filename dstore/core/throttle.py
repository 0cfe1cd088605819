"""A token bucket that may go into debt: what is taken is paid for afterwards. Pure.

So something that is larger than the bucket can be taken, and the mean rate is kept all the same.
"""


class TokenBucket:
    """Grants ``rate_per_s`` tokens a second on average; at most those of ``burst_s`` seconds are saved up.

    Times are those of one monotonic clock, in seconds.
    """

    __slots__ = ("_burst_s", "_rate_per_s", "_tokens", "_updated_s")

    def __init__(self, rate_per_s: float, burst_s: float, now_s: float) -> None:
        assert rate_per_s >= 0 and burst_s >= 0
        self._rate_per_s = rate_per_s
        self._burst_s = burst_s
        self._tokens = 0.0
        self._updated_s = now_s

    @property
    def rate_per_s(self) -> float:
        """Tokens a second; 0 means that none ever come."""
        return self._rate_per_s

    def set_rate(self, rate_per_s: float, now_s: float) -> None:
        """Change the rate from now on; debts stay."""
        assert rate_per_s >= 0
        self._refill(now_s)
        self._rate_per_s = rate_per_s

    def delay_s(self, now_s: float) -> float:
        """Return how long it takes at this rate until there is no debt; 0 when there is none."""
        self._refill(now_s)
        if self._tokens >= 0:
            return 0.0
        return -self._tokens / self._rate_per_s if self._rate_per_s else float("inf")

    def take(self, amount: float, now_s: float) -> None:
        """Spend tokens, whether they are there or not."""
        assert amount >= 0
        self._refill(now_s)
        self._tokens -= amount

    def is_full(self, now_s: float) -> bool:
        """Tell whether as much as possible is saved up: whoever spends is behind."""
        self._refill(now_s)
        return self._tokens >= self._rate_per_s * self._burst_s

    def _refill(self, now_s: float) -> None:
        elapsed_s = max(0.0, now_s - self._updated_s)
        self._updated_s = max(now_s, self._updated_s)
        self._tokens = min(self._tokens + elapsed_s * self._rate_per_s, self._rate_per_s * self._burst_s)
