"""Giving up on a writer that has gone silent, so that it does not hold a file, a stream and memory for ever."""

import asyncio
from collections.abc import Mapping

from dstore.core.chunks import Frame, WriteFinish, WriteResult
from dstore.core.errors import DeadlineExceeded
from dstore.core.interfaces import ChunkWriter


class SilenceLimit:
    """A ``ChunkWriter`` that drops the chunk when nothing was sent for ``timeout_s``.

    The time in which the receiver itself lets the writer wait does not count.

    Args:
        metadata: of the error; says which server gave up.
    """

    def __init__(self, inner: ChunkWriter, timeout_s: float, metadata: Mapping[str, str]) -> None:
        self._inner = inner
        self._metadata = metadata
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._busy = False
        self._heard_s = self._loop.time()
        self._timer: asyncio.TimerHandle | None = self._loop.call_at(self._heard_s + timeout_s, self._look)
        self._drop: asyncio.Task[None] | None = None

    async def send(self, frame: Frame) -> None:
        """See ``ChunkWriter.send``.

        Raises:
            DeadlineExceeded: ``STREAM_STALLED``, when the chunk was dropped meanwhile.
        """
        self._begin()
        try:
            await self._inner.send(frame)
        finally:
            self._end()

    async def finish(self, finish: WriteFinish) -> WriteResult:
        """See ``ChunkWriter.finish``.

        Raises:
            DeadlineExceeded: ``STREAM_STALLED``, when the chunk was dropped meanwhile.
        """
        self._begin()
        try:
            return await self._inner.finish(finish)
        finally:
            self._cancel_timer()

    async def abort(self) -> None:
        """See ``ChunkWriter.abort``."""
        self._cancel_timer()
        await self._inner.abort()

    def _begin(self) -> None:
        if self._drop is not None:
            raise DeadlineExceeded(
                f"The writer sent nothing for {self._timeout_s:g} s, so the chunk was dropped. "
                "Write it again under a new id.",
                reason="STREAM_STALLED",
                metadata=self._metadata,
            )
        self._busy = True

    def _end(self) -> None:
        self._busy = False
        self._heard_s = self._loop.time()

    def _look(self) -> None:
        # The timer is set again only when it fires: setting it with every frame would cost more than the check.
        now_s = self._loop.time()
        due_s = now_s + self._timeout_s if self._busy else self._heard_s + self._timeout_s
        if due_s > now_s:
            self._timer = self._loop.call_at(due_s, self._look)
            return
        self._timer = None
        self._drop = self._loop.create_task(self._inner.abort())

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
