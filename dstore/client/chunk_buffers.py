"""Memory for chunks of plaintext on their way to the servers: one budget for all files that a client writes at once.

One file alone gets as much as it can keep busy. Of many, each gets a buffer for one chunk whenever it has none, and
more of them only while there is room. So nobody waits for a buffer that another file holds: a program may write to many
files in turn, and one that is never finished stops no other.
"""

import asyncio

from dstore.client.flight_depth import IN_FLIGHT_SIZE_BYTES_MAX
from dstore.core.limits import CHUNKS_IN_FLIGHT_WRITE


class ChunkBuffers:
    """The buffers of one client. Belongs to one event loop.

    Attributes:
        used_bytes: what all files hold together.
    """

    def __init__(self) -> None:
        self.used_bytes = 0
        self._free: list[bytearray] = []
        self._waiting: list[asyncio.Future[None]] = []

    def has_room(self, size_bytes: int) -> bool:
        """Whether a file that has buffers of this size may have one more."""
        # One chunk is filled while the others are in flight.
        most = max(IN_FLIGHT_SIZE_BYTES_MAX + size_bytes, (CHUNKS_IN_FLIGHT_WRITE + 1) * size_bytes)
        return self.used_bytes + size_bytes <= most

    def take(self, size_bytes: int) -> bytearray:
        """Return a buffer, with whatever is in it; it counts until it is given back, whether there was room or not."""
        self.used_bytes += size_bytes
        if self._free and len(self._free[-1]) != size_bytes:
            self._free.clear()
        return self._free.pop() if self._free else bytearray(size_bytes)

    def give_back(self, size_bytes: int, buffer: bytearray | None = None) -> None:
        """Count one buffer less, and use it again if it is passed: nobody else may use it then."""
        self.used_bytes -= size_bytes
        if self.used_bytes == 0:
            self._free.clear()
        elif buffer is not None and self.has_room(size_bytes * (1 + len(self._free))):
            self._free.append(buffer)
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)

    async def changed(self) -> None:
        """Wait until a buffer was given back."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future


class FileBuffers:
    """The share of one file."""

    def __init__(self, shared: ChunkBuffers, size_bytes: int) -> None:
        self._shared = shared
        self._size_bytes = size_bytes
        self._held = 0

    async def take(self) -> bytearray:
        """Return a buffer of one chunk; waits while there is no room and chunks of this file are in flight."""
        while self._held and not self._shared.has_room(self._size_bytes):
            await self._shared.changed()
        self._held += 1
        return self._shared.take(self._size_bytes)

    def give_back(self, buffer: bytearray | None = None) -> None:
        """Hold one less; ``buffer`` is used again."""
        if self._held:
            self._held -= 1
            self._shared.give_back(self._size_bytes, buffer)

    def give_all_back(self) -> None:
        """Hold nothing more; nothing of it is used again, as something may still refer to it."""
        while self._held:
            self.give_back()
