"""Time and randomness of the operating system."""

import random
import secrets
import time
import uuid


class SystemClock:
    """The ``Clock`` of this machine."""

    def monotonic_s(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def wall_ns(self) -> int:
        """Return nanoseconds since 1970, UTC."""
        return time.time_ns()


class SystemRandom:
    """The ``Random`` of this machine: the kernel's generator."""

    def token_bytes(self, count: int) -> bytes:
        """Return ``count`` bytes that are fit for keys and salts."""
        return secrets.token_bytes(count)

    def uuid(self) -> str:
        """Return a random uuid."""
        return str(uuid.uuid4())

    def uniform(self) -> float:
        """Return a number in [0, 1), for jitter."""
        return random.random()  # noqa: S311 - spreads retries; nothing secret depends on it
