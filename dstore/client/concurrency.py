"""Several coroutines as one: all succeed, or the first failure ends all of them."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def run_together(workers: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run the workers at once; when one fails, cancel the others, wait for them, and raise what the first raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
