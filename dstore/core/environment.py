"""The world as arguments: time, randomness and disk.

Everything below ``__main__`` receives these, so that the same code runs on a real machine and, seeded, in a
simulation. Timeouts and pauses go through the running asyncio loop, whose clock a simulation replaces.
"""

from collections.abc import Sequence
from typing import Protocol

from dstore.core.groups import Capacity

Buffer = bytes | bytearray | memoryview


class Clock(Protocol):
    """Tells the time."""

    def monotonic_s(self) -> float:
        """Return seconds that never go back; for durations and deadlines."""

    def wall_ns(self) -> int:
        """Return nanoseconds since 1970, UTC; for showing to people, never for ordering."""


class Random(Protocol):
    """Gives unpredictable values."""

    def token_bytes(self, count: int) -> bytes:
        """Return ``count`` bytes that are fit for keys and salts."""

    def uuid(self) -> str:
        """Return a random (version 4) uuid in its text form."""

    def uniform(self) -> float:
        """Return a number in [0, 1)."""


class DiskFile(Protocol):
    """An open file. Every method may raise ``OSError``."""

    async def write_at(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write all buffers one after the other, starting at ``offset``. Not durable before ``sync``."""

    async def read_at(self, offset: int, length_bytes: int) -> bytes | bytearray:
        """Return up to ``length_bytes`` bytes; fewer only at the end of the file."""

    async def read_into(self, offset: int, buffers: Sequence[bytearray | memoryview]) -> int:
        """Fill the buffers one after the other and return how many bytes that were; fewer only at the end of the file.

        When this is cancelled or fails, drop the buffers: a call under way may still write into them.
        """

    async def sync(self) -> None:
        """Make the content durable. After a failure the content is unknown: drop the file, never sync again."""

    async def size_bytes(self) -> int:
        """Return the present size."""

    async def close(self) -> None:
        """Release the file. Closing twice is allowed; closing does not sync."""


class Disk(Protocol):
    """A directory tree. Paths are relative, with ``/``; every method may raise ``OSError``.

    Names become durable only by ``sync_directory`` of the directory that holds them.
    """

    async def create(self, path: str) -> DiskFile:
        """Create and open a file for writing and reading; ``FileExistsError`` when the name is taken."""

    async def open(self, path: str) -> DiskFile:
        """Open a file for reading; ``FileNotFoundError`` when there is none."""

    async def rename(self, source: str, target: str) -> None:
        """Move a file in one step; replaces the target."""

    async def remove(self, path: str) -> None:
        """Remove a file; ``FileNotFoundError`` when there is none."""

    async def make_directory(self, path: str) -> None:
        """Create a directory with its parents, durably; one that exists is fine."""

    async def sync_directory(self, path: str) -> None:
        """Make the names in a directory durable."""

    async def list(self, path: str) -> tuple[str, ...]:
        """Return the names in a directory, sorted; empty when there is no such directory."""

    async def capacity(self) -> Capacity:
        """Return size and use of the file system."""

    @property
    def queue_depth(self) -> int:
        """Calls that wait for their turn."""
