"""Many callers at once, and the time that they take together."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def timed(items: Iterable[T], callers: int, work: Callable[[T], Awaitable[object]]) -> float:
    """Work on all items, with so many callers at once, and return the seconds that it took."""
    queue = iter(items)

    async def call() -> None:
        for item in queue:
            await work(item)

    start_s = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(call())
    return time.perf_counter() - start_s
