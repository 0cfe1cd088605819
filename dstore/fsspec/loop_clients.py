"""A client for each event loop that a filesystem is used on, made when that loop first needs it.

Connections belong to the loop that made them. fsspec runs blocking calls on a loop of its own, zarr on another one,
and a program that is asynchronous itself on its own.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from dstore.client.client import AsyncClient
from dstore.client.forks import forked
from dstore.client.loop_thread import report_unhandled
from dstore.core.errors import DstoreError

#: Large files that are on their way at once; each of them has several chunks in memory.
TRANSFERS_MAX = 4
#: Files up to this size need no place among the large ones.
SMALL_TRANSFER_SIZE_BYTES_MAX = 64 * 1024

_CLOSE_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class LoopClient:
    """A client, and what bounds the memory of the transfers that it makes.

    Attributes:
        closing: ends when the loop is shut down, or when it is closed before, and closes the client then.
    """

    client: AsyncClient
    transfers: asyncio.Semaphore
    closing: AsyncGenerator[None]

    def room_for(self, size_bytes: int) -> contextlib.AbstractAsyncContextManager[object]:
        """Return what a transfer of so many bytes must hold while it runs."""
        return contextlib.nullcontext() if size_bytes <= SMALL_TRANSFER_SIZE_BYTES_MAX else self.transfers


class LoopClients:
    """The clients of one filesystem. Any number of threads, each with its loop, may use it."""

    def __init__(self, connect: Callable[[], AsyncClient]) -> None:
        """``connect`` is called on the loop that needs a client; it makes no contact yet."""
        self._connect = connect
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._clients: dict[asyncio.AbstractEventLoop, LoopClient] = {}

    def check_process(self) -> None:
        """Refuse to go on in a child of the process that made this.

        Raises:
            NotReady: reason ``FORKED``.
        """
        if self._pid != os.getpid():
            raise forked("This filesystem was made before the process forked")

    def current(self) -> LoopClient:
        """Return the client of the running loop.

        Raises:
            NotReady: reason ``FORKED``.
        """
        self.check_process()
        loop = asyncio.get_running_loop()
        with self._lock:
            known = self._clients.get(loop)
            if known is None:
                # What is left of a loop that has ended cannot be closed any more, only forgotten.
                self._clients = {each: client for each, client in self._clients.items() if not each.is_closed()}
                if loop.get_exception_handler() is None:
                    loop.set_exception_handler(report_unhandled)
                client = self._connect()
                closing = _close_with_the_loop(client)
                known = self._clients[loop] = LoopClient(client, asyncio.Semaphore(TRANSFERS_MAX), closing)
        return known

    async def close_current(self) -> None:
        """Close the client of the running loop, if it has one; the next call makes another."""
        self.check_process()
        with self._lock:
            known = self._clients.pop(asyncio.get_running_loop(), None)
        if known is not None:
            await known.closing.aclose()

    def close_all(self) -> None:
        """Close the clients of all loops that still run, as far as that can be done; called at the end.

        A loop's own thread cannot wait for it, so its client is left to itself.
        """
        if self._pid != os.getpid():
            return
        with self._lock:
            clients, self._clients = self._clients, {}
        for loop, known in clients.items():
            if loop.is_running() and not _is_running_here(loop):
                closing = asyncio.run_coroutine_threadsafe(_close(known), loop)
                # What is left open ends with the process; nothing that was acknowledged depends on it.
                with contextlib.suppress(TimeoutError, DstoreError):
                    closing.result(_CLOSE_TIMEOUT_S)


async def _close(known: LoopClient) -> None:
    await known.closing.aclose()


def _close_with_the_loop(client: AsyncClient) -> AsyncGenerator[None]:
    """Let the running loop close a client when it is shut down, as ``asyncio.run`` does at its end.

    Libraries end loops without a word to those who used them; a loop closes the generators that were begun on it.
    """

    async def closing() -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await client.close()

    generator = closing()
    with contextlib.suppress(StopIteration):
        # Up to the yield there is nothing to wait for.
        generator.asend(None).send(None)
    return generator


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
