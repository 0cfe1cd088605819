"""Syncs of directories that are shared: whoever asks while one is under way waits for the next, with all others who do.

A sync that is under way may have begun before the caller's rename, so only one that begins later counts.
"""

import asyncio
from contextvars import Context

from dstore.core.environment import Disk


class DirectorySyncs:
    """Syncs the directories of one disk."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._running: dict[str, asyncio.Task[None]] = {}
        self._next: dict[str, asyncio.Task[None]] = {}

    async def sync(self, path: str) -> None:
        """Make the names in a directory durable that were given, or taken away, before this was called.

        It goes on when the caller is cancelled, for the others.

        Raises:
            OSError: to all who wait for this sync: it is not known which names last.
        """
        task = self._next.get(path)
        if task is None:
            task = self._next[path] = asyncio.create_task(self._run(path), context=Context())
            # Heard by those who wait; when all of them were cancelled, by nobody.
            task.add_done_callback(_hear)
        await asyncio.shield(task)

    async def _run(self, path: str) -> None:
        task = self._next[path]
        if (before := self._running.get(path)) is not None:
            await asyncio.wait([before])
        del self._next[path]
        self._running[path] = task
        try:
            await self._disk.sync_directory(path)
        finally:
            del self._running[path]


def _hear(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
