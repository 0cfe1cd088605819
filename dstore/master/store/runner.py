"""Where blocking database calls run: in threads of their own, or, for a simulation, in the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from dstore.core.limits import METADATA_READ_THREADS

T = TypeVar("T")


class Runner(Protocol):
    """Runs jobs. Jobs given to ``write`` never overlap each other."""

    async def write(self, job: Callable[[], T]) -> T:
        """Run ``job`` where the one writer runs; return or raise what it does."""

    async def read(self, job: Callable[[], T]) -> T:
        """Run ``job``, possibly beside other readers and the writer."""

    async def close(self) -> None:
        """Wait for the jobs under way, then end the threads."""


class ThreadRunner:
    """One thread for the writer, a few for readers."""

    def __init__(self) -> None:
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="metadata-writer")
        self._readers = ThreadPoolExecutor(METADATA_READ_THREADS, thread_name_prefix="metadata-reader")

    async def write(self, job: Callable[[], T]) -> T:
        """Run ``job`` in the writer's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, job)

    async def read(self, job: Callable[[], T]) -> T:
        """Run ``job`` in one of the readers' threads."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, job)

    async def close(self) -> None:
        """Wait for the jobs under way, then end the threads."""
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._writer.shutdown(wait=True)
        self._readers.shutdown(wait=True)


class InlineRunner:
    """Runs every job at once in the event loop, so that the same calls give the same order."""

    async def write(self, job: Callable[[], T]) -> T:
        """Run ``job`` now."""
        return job()

    async def read(self, job: Callable[[], T]) -> T:
        """Run ``job`` now."""
        return job()

    async def close(self) -> None:
        """Do nothing: there are no threads."""
