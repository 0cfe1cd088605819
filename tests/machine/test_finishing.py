"""Work that goes on without the one who waited for it."""

import asyncio
import contextlib
import gc

import pytest

from dstore.system.finishing import to_its_end


async def test_whoever_waits_gets_the_result_or_the_error() -> None:
    async def work(error: Exception | None) -> int:
        if error is not None:
            raise error
        return 5

    assert await to_its_end(work(None)) == 5
    with pytest.raises(ValueError, match="it fails"):
        await to_its_end(work(ValueError("it fails")))


async def test_work_goes_on_and_its_failure_is_not_taken_for_a_forgotten_one() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    go, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await go.wait()
        ended.set()
        raise ValueError("nobody hears it")

    caller = asyncio.create_task(to_its_end(work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    caller.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await caller
    assert caller.cancelled() and not ended.is_set()
    go.set()
    await ended.wait()
    await asyncio.sleep(0)
    gc.collect()
    assert complaints == []
