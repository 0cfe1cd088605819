"""Gathers single questions into calls about many: what is asked while a call is under way goes in the next one.

    ask ──► waiting ──(end of this turn of the loop, if a call may start)──► under way ──► answered

Whoever asks alone waits for nobody. The more callers there are, the more share the cost of one call.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from dstore.core.errors import DstoreError, LimitExceeded, Unavailable
from dstore.core.limits import GATHERED_WAITING_MAX
from dstore.core.request_ids import RequestContext, bind, current_request, joined

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Gatherer(Generic[Item, Answer]):
    """One kind of question. Belongs to one event loop."""

    def __init__(
        self,
        call: Callable[[tuple[Item, ...]], Coroutine[Any, Any, Sequence[Answer]]],
        items_max: int,
        calls_max: int,
        *,
        size_of: Callable[[Item], int] | None = None,
        size_bytes_max: int = 0,
    ) -> None:
        """Ask with ``call``, which returns as many answers as there are items, in their order.

        Args:
            items_max: of one call.
            calls_max: that are under way at once.
            size_of, size_bytes_max: the items of one call are not larger together, unless one alone is.
        """
        self._call = call
        self._items_max = items_max
        self._calls_max = calls_max
        self._size_of = size_of
        self._size_bytes_max = size_bytes_max
        self._waiting: deque[tuple[Item, asyncio.Future[Answer], RequestContext]] = deque()
        self._calls: dict[asyncio.Task[Sequence[Answer]], list[asyncio.Future[Answer]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_scheduled = False
        self._is_closed = False

    async def ask(self, item: Item) -> Answer:
        """Return the answer for one item. A caller that is cancelled harms no other.

        Raises:
            DstoreError: what the call raised; each of those who shared it gets an error of its own.
            LimitExceeded: reason ``TOO_MANY_CALLS``.
        """
        if self._is_closed:
            raise _closed()
        if len(self._waiting) >= GATHERED_WAITING_MAX:
            raise LimitExceeded(
                f"{GATHERED_WAITING_MAX} calls of this client are waiting already; wait for some of them first, or use "
                "the calls for many files.",
                reason="TOO_MANY_CALLS",
            )
        loop = self._loop
        if loop is None:
            # Asked once: Python 3.11 makes a system call of it.
            loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((item, future, current_request()))
        self._send_soon(loop)
        try:
            return await future
        except asyncio.CancelledError:
            self._stop_what_nobody_waits_for()
            raise

    async def close(self) -> None:
        """End all calls; whoever waits gets ``Unavailable``."""
        self._is_closed = True
        calls = tuple(self._calls)
        for call in calls:
            call.cancel()
        while self._waiting:
            _, future, _ = self._waiting.popleft()
            if not future.done():
                future.set_exception(_closed())
        await asyncio.gather(*calls, return_exceptions=True)

    def _send_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        # At the end of this turn of the loop: whoever was just answered, and asks again at once, comes along.
        if not self._is_scheduled and self._waiting and len(self._calls) < self._calls_max:
            self._is_scheduled = True
            loop.call_soon(self._send, loop)

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_scheduled = False
        items, futures, contexts = self._take()
        if items:
            # For the task alone: what the loop calls has a context of its own.
            bind(joined(contexts))
            call = loop.create_task(self._call(items))
            self._calls[call] = futures
            call.add_done_callback(partial(self._answered, loop))
            # More than fits into one call may be waiting.
            self._send_soon(loop)

    def _take(self) -> tuple[tuple[Item, ...], list[asyncio.Future[Answer]], list[RequestContext]]:
        """Return what goes into the next call; who has gone meanwhile is left out."""
        items: list[Item] = []
        futures: list[asyncio.Future[Answer]] = []
        contexts: list[RequestContext] = []
        size_bytes = 0
        waiting, size_of = self._waiting, self._size_of
        while waiting and len(items) < self._items_max:
            item, future, context = waiting[0]
            if not future.done():
                if size_of is not None:
                    size_bytes += size_of(item)
                    if items and size_bytes > self._size_bytes_max:
                        break
                items.append(item)
                futures.append(future)
                contexts.append(context)
            waiting.popleft()
        return tuple(items), futures, contexts

    def _answered(self, loop: asyncio.AbstractEventLoop, call: asyncio.Task[Sequence[Answer]]) -> None:
        futures = self._calls.pop(call)
        error: BaseException | None = _closed() if call.cancelled() else call.exception()
        if error is None:
            for future, answer in zip(futures, call.result(), strict=True):
                if not future.done():
                    future.set_result(answer)
        else:
            for future in futures:
                if not future.done():
                    future.set_exception(own_copy(error) if isinstance(error, DstoreError) else error)
        self._send_soon(loop)

    def _stop_what_nobody_waits_for(self) -> None:
        """A call that hangs must not keep others waiting once its callers have gone."""
        for call, futures in self._calls.items():
            if all(future.done() for future in futures):
                call.cancel()


def own_copy(error: DstoreError) -> DstoreError:
    """Return an error for one of several callers: each adds its own traceback."""
    copy = type(error)(error.message, reason=error.reason, metadata=error.metadata)
    copy.__cause__ = error
    return copy


def _closed() -> Unavailable:
    return Unavailable(
        "The client was closed while this call was waiting; make a new client.", reason="CONNECTION_CLOSED"
    )
