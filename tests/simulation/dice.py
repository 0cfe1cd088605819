"""All chance of a run comes from here."""

import random
import uuid
import zlib


class Dice(random.Random):
    """A seeded generator with the throws that a simulation needs; also a core ``Random``."""

    def fork(self, name: str) -> "Dice":
        """Return a generator of its own for ``name``: what others throw does not change its numbers."""
        return Dice(self.getrandbits(64) ^ zlib.crc32(name.encode()))

    def happens(self, probability: float) -> bool:
        """Return True in this share of the throws."""
        return probability > 0 and self.random() < probability

    def token_bytes(self, count: int) -> bytes:
        """See core ``Random``."""
        return self.randbytes(count)

    def uuid(self) -> str:
        """See core ``Random``."""
        return str(uuid.UUID(bytes=self.randbytes(16), version=4))

    def uniform(self, a: float = 0.0, b: float = 1.0) -> float:
        """See core ``Random``; with arguments, a number between them."""
        return a + (b - a) * self.random()
