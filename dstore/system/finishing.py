"""Work that goes on when the one who waits for it goes away."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Do something that cannot be undone half-way; a caller that is cancelled does not end it, nor hears how it ended.

    Raises:
        Exception: as the work does.
    """
    task = asyncio.ensure_future(work)
    # A failure that nobody hears is none that was forgotten: whoever it was for has gone.
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return await asyncio.shield(task)
