"""Writing one chunk to the own disk and, at the same time, to the rest of the chain.

A frame is checked by the own writer first, so that the first server that sees bad bytes reports them. Then it waits for
the next server, in a queue of ``RELAY_FRAMES_MAX``, while the own disk writes it.

The patience toward the next server grows with the number of servers behind that edge, so that of all the edges that
stand still, the one next to the fault gives up first and names the culprit.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import TypeVar

from dstore.chunkserver.localwriter import LocalWriter
from dstore.core.chunks import ChainMember, Frame, WriteFinish, WriteHeader, WriteResult
from dstore.core.errors import DeadlineExceeded, DstoreError, Unavailable
from dstore.core.interfaces import ChunkWriter, Peers
from dstore.core.limits import (
    RELAY_FRAMES_MAX,
    REPLICAS_MAX,
    STREAM_STALL_STEP_S,
    STREAM_STALL_TIMEOUT_S,
)
from dstore.system.finishing import to_its_end

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StallTimeouts:
    """How long a stream may stand still."""

    base_s: float = STREAM_STALL_TIMEOUT_S
    step_s: float = STREAM_STALL_STEP_S

    def toward_next_s(self, servers_behind: int) -> float:
        """Return the patience with the next server; ``servers_behind`` counts it and all after it."""
        return self.base_s + self.step_s * servers_behind

    @property
    def from_writer_s(self) -> float:
        """The patience with a writer that sends nothing: longer than that of any edge."""
        return self.base_s + self.step_s * REPLICAS_MAX


STALL_TIMEOUTS = StallTimeouts()


class RelayWriter:
    """A ``ChunkWriter`` for the own copy and the chain behind it. An error wants an ``abort``."""

    def __init__(self, own: LocalWriter, peers: Peers, header: WriteHeader, timeouts: StallTimeouts) -> None:
        self._own = own
        self._next = header.chain[0]
        self._chain = header.chain
        self._stall_s = timeouts.toward_next_s(len(header.chain))
        self._queue: asyncio.Queue[Frame | WriteFinish] = asyncio.Queue(RELAY_FRAMES_MAX)
        self._writer: ChunkWriter | None = None
        self._pump = asyncio.create_task(self._relay(peers, replace(header, chain=header.chain[1:])))
        self._pump.add_done_callback(self._unblock)

    async def send(self, frame: Frame) -> None:
        """See ``ChunkWriter.send``.

        Raises:
            DstoreError: of the own writer or of the first server behind that failed; ``server_id`` in the metadata
                tells which, unless it is the own one.
        """
        await self._own.send(frame)
        await self._put(frame)

    async def finish(self, finish: WriteFinish) -> WriteResult:
        """See ``ChunkWriter.finish``.

        Raises:
            DstoreError: as ``send``.
        """
        await self._put(finish)
        own = asyncio.create_task(self._own.finish(finish))
        try:
            await asyncio.wait((own, self._pump), return_when=asyncio.FIRST_EXCEPTION)
            # The own error first: what fails here mostly fails behind as well.
            for task in (own, self._pump):
                if task.done():
                    task.result()
        finally:
            if not own.done():
                own.cancel()  # a commit that has begun comes to its end all the same
        # Its disk may have failed while the rest of the chain was waited for.
        self._own.require_held()
        return WriteResult((*own.result().replicas, *self._pump.result().replicas))

    async def abort(self) -> None:
        """See ``ChunkWriter.abort``. It comes to its end even when the caller is cancelled meanwhile.

        That is usual: gRPC ends the stream of a writer that hangs up, and cancels the call a moment later.
        """
        await to_its_end(self._drop())

    async def _drop(self) -> None:
        self._pump.cancel()
        await asyncio.wait([self._pump])
        try:
            if self._writer is not None:
                await self._writer.abort()
        finally:
            await self._own.abort()

    async def _put(self, item: Frame | WriteFinish) -> None:
        if not self._pump.done():
            await self._queue.put(item)
        if self._pump.done():
            self._pump.result()

    def _unblock(self, pump: asyncio.Task[WriteResult]) -> None:
        """Free whoever waits for room, and the frames."""
        while not self._queue.empty():
            self._queue.get_nowait()
        if not pump.cancelled():
            pump.exception()  # heard even when nothing is sent any more

    async def _relay(self, peers: Peers, header: WriteHeader) -> WriteResult:
        self._writer = await self._step(peers.chunks(self._next.address).write_chunk(header))
        while isinstance(item := await self._queue.get(), Frame):
            await self._step(self._writer.send(item))
        result = await self._step(self._writer.finish(item))
        expected = [member.server_id for member in self._chain]
        if [ack.server_id for ack in result.replicas] != expected:
            raise _unreachable(self._next, "other servers than those of the chain answered")
        return result

    async def _step(self, step: Awaitable[T]) -> T:
        """Do one thing with the next server, in time; errors name the server that failed."""
        try:
            async with asyncio.timeout(self._stall_s):
                return await step
        except DstoreError as error:
            raise self._attribute(error) from error
        except TimeoutError:
            raise _stalled(self._next, self._stall_s) from None

    def _attribute(self, error: DstoreError) -> DstoreError:
        if "server_id" in error.metadata:
            return error
        # Without a name it does not come from a server of the chain, but from the way to the next one.
        if isinstance(error, DeadlineExceeded):
            return _stalled(self._next, self._stall_s)
        if isinstance(error, Unavailable):
            return _unreachable(self._next, error.message)
        metadata = {**error.metadata, **_name(self._next)}
        return type(error)(error.message, reason=error.reason, metadata=metadata)


def _name(member: ChainMember) -> dict[str, str]:
    return {"server_id": member.server_id, "server_address": member.address}


def _unreachable(member: ChainMember, cause: str) -> Unavailable:
    return Unavailable(
        f"The next server of the chain, at {member.address}, cannot be reached: {cause} "
        "The chunk is dropped; write it to another group.",
        reason="NEXT_SERVER_UNREACHABLE",
        metadata=_name(member),
    )


def _stalled(member: ChainMember, after_s: float) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"The next server of the chain, at {member.address}, made no progress for {after_s:g} s. "
        "The chunk is dropped; write it to another group.",
        reason="STREAM_STALLED",
        metadata=_name(member),
    )
