"""Runs the work of a command on an event loop, with a client of the cluster that the user named."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

import dstore
from dstore.cli.target import Target
from dstore.client.client import AsyncClient

T = TypeVar("T")


def run_with_client(target: Target, work: Callable[[AsyncClient], Awaitable[T]]) -> T:
    """Connect, do ``work``, and let go. Ctrl-C cancels the work first, so that nothing half-done stays.

    Raises:
        DstoreError: what connecting and the work raise.
    """

    async def run() -> T:
        async with dstore.connect_async(target.endpoint, profile=target.profile, key_file=target.key_file) as client:
            return await work(client)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(run())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's, which moves data faster, where the server parts are installed; else the standard one."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


async def in_daemon_thread(function: Callable[[], T]) -> T:
    """Run a blocking call on a pipe or a terminal without ever waiting for it at the end of the process.

    A read from a terminal may never return, and threads of a pool would be joined.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(result: T | None, error: OSError | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def call() -> None:
        result, failure = None, None
        try:
            result = function()
        except OSError as error:
            failure = error
        # The loop may have ended meanwhile, and then nobody waits for the result.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(deliver, result, failure)

    threading.Thread(target=call, daemon=True).start()
    return await future
