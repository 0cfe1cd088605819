"""An event loop in a thread of its own, for callers that block."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from dstore.client.forks import ForkGuard
from dstore.core.errors import DstoreError, InvalidRequest

T = TypeVar("T")

#: How long an interrupted caller waits for its operation to clean up after itself.
_CLEAN_UP_TIMEOUT_S = 5.0
_END: Any = object()


class LoopThread:
    """Runs coroutines for threads that wait for them."""

    def __init__(self) -> None:
        """Start the thread; it never keeps the process alive.

        Raises:
            NotReady: reason ``FORKED``.
        """
        self._guard = ForkGuard()
        self._is_stopped = False
        self._clean_ups: set[asyncio.Task[None]] = set()
        self._loop = _new_loop()
        self._loop.set_exception_handler(report_unhandled)
        self._thread = threading.Thread(target=self._loop.run_forever, name="dstore-client", daemon=True)
        self._thread.start()

    @property
    def is_usable(self) -> bool:
        """Whether coroutines can still be run: it was not stopped, and this is no forked child."""
        return not self._is_stopped and not self._guard.is_forked

    @property
    def is_current(self) -> bool:
        """Whether the caller is on the loop's own thread."""
        return threading.current_thread() is self._thread

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the coroutine returns. An interrupt cancels it, and waits until it has cleaned up.

        Raises:
            InvalidRequest: reason ``CLIENT_CLOSED``, or ``CALLED_FROM_CALLBACK``: waiting on the loop's own thread
                would never end.
            NotReady: reason ``FORKED``.
        """
        try:
            self._check()
        except DstoreError:
            work.close()
            raise
        ended = threading.Event()

        async def watched() -> T:
            try:
                return await work
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(watched(), self._loop)
        try:
            return future.result()
        except BaseException:
            if not future.done():
                future.cancel()
                ended.wait(_CLEAN_UP_TIMEOUT_S)
            raise

    def clean_up(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run something that releases what is no longer wanted; in a child, or after ``stop``, there is nothing left.

        The garbage collector may call this on the loop's own thread, which cannot wait for itself.
        """
        if not self.is_usable:
            return
        if self.is_current:
            task = self._loop.create_task(work())
            self._clean_ups.add(task)
            task.add_done_callback(self._clean_ups.discard)
        else:
            self.run(work())

    def iterate(self, items: AsyncIterator[T]) -> "LoopIterator[T]":
        """Return an iterator over ``items``."""
        return LoopIterator(self, items)

    def stop(self) -> None:
        """Cancel what still runs, and end the thread."""
        if not self.is_usable:
            return
        self._is_stopped = True
        asyncio.run_coroutine_threadsafe(self._wind_up(), self._loop).result(_CLEAN_UP_TIMEOUT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLEAN_UP_TIMEOUT_S)
        if not self._thread.is_alive():
            self._loop.close()

    def _check(self) -> None:
        self._guard.check()
        if self._is_stopped:
            raise InvalidRequest("This client is closed; connect again.", reason="CLIENT_CLOSED")
        if self.is_current:
            raise InvalidRequest(
                "A progress callback cannot call the client that it belongs to; use another client, or do it after "
                "the transfer.",
                reason="CALLED_FROM_CALLBACK",
            )

    async def _wind_up(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()


class LoopIterator(Iterator[T]):
    """Iterates in one thread over what another thread's loop yields."""

    def __init__(self, loop_thread: LoopThread, items: AsyncIterator[T]) -> None:
        self._loop_thread = loop_thread
        self._items = items

    def __next__(self) -> T:
        item = self._loop_thread.run(self._next())
        if item is _END:
            raise StopIteration
        return item

    async def _next(self) -> T:
        return await anext(self._items, _END)


def _new_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's loop where it is installed: gRPC moves more on it."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def report_unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report what nobody waited for, but not gRPC's noise.

    With several loops in one process, gRPC wakes all of them for an event of one; the others find nothing to read
    and say so (grpc/grpc#25364). It means nothing.
    """
    if isinstance(context.get("exception"), BlockingIOError) and "PollerCompletionQueue" in repr(context):
        return
    loop.default_exception_handler(context)
