"""How the disk is doing: real small writes, timed, and its size; measured beside everything that waits for it.

Storing the standing of orders is such a write. When there was none for a while, a probe file is written, synced and
removed. A disk that hangs shows in ``pending_s``, and stops nobody who only asks for the last results.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from dstore.chunkserver import paths
from dstore.chunkserver.chunkstore import ChunkStore
from dstore.core.environment import Clock
from dstore.core.errors import DstoreError
from dstore.core.groups import Capacity
from dstore.core.limits import HEARTBEAT_INTERVAL_S, PROBE_INTERVAL_S
from dstore.core.upkeep import DiskProbe

_CONTENT = b"dstore probe\n"


class DiskWatch:
    """Measures the disk of a store."""

    def __init__(self, store: ChunkStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._latency_s = 0.0
        self._written_s: float | None = None
        self._pending: list[float] = []
        self._capacity: Capacity | None = None

    @property
    def capacity(self) -> Capacity | None:
        """Size and use, as of the last measurement; None before the first."""
        return self._capacity

    def report(self) -> DiskProbe:
        """Return the last results; never waits."""
        pending_s = self._clock.monotonic_s() - min(self._pending) if self._pending else 0.0
        return DiskProbe(self._latency_s, pending_s)

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            await self.measure()
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)

    async def measure(self) -> None:
        """Look at the disk once. Its failures make it suspect, and nothing else."""
        with contextlib.suppress(DstoreError):
            if self._is_due():
                await self._probe()
        with contextlib.suppress(DstoreError):
            async with self._pending_call():
                self._capacity = await self._store.capacity()

    @contextlib.asynccontextmanager
    async def timed_write(self) -> AsyncIterator[None]:
        """Measure a small durable write that is done inside; one that fails gives no latency."""
        async with self._pending_call() as start_s:
            yield
        self._written_s = self._clock.monotonic_s()
        self._latency_s = self._written_s - start_s

    @contextlib.asynccontextmanager
    async def _pending_call(self) -> AsyncIterator[float]:
        start_s = self._clock.monotonic_s()
        self._pending.append(start_s)
        try:
            yield start_s
        finally:
            self._pending.remove(start_s)

    def _is_due(self) -> bool:
        return self._written_s is None or self._clock.monotonic_s() - self._written_s >= PROBE_INTERVAL_S

    async def _probe(self) -> None:
        """Write, sync and remove a file.

        Raises:
            Unavailable: ``DISK_FAILED``.
            OutOfSpace: ``DISK_FULL``.
        """
        store = self._store
        path = store.names.new(paths.PROBE)
        async with store.translate("probing"):
            try:
                async with self.timed_write():
                    file = await store.disk.create(path)
                    try:
                        await file.write_at(0, [_CONTENT])
                        await file.sync()
                    finally:
                        await file.close()
            except OSError:
                # A disk that fails, or is full, does so again and again, each time under a new name.
                with contextlib.suppress(OSError):
                    await store.disk.remove(path)
                raise
            await store.disk.remove(path)
