"""Chunk streams over wires: what ``dstore.rpc.chunks`` does with gRPC, on both sides."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from dstore.core.chunks import Frame, WriteFinish, WriteHeader, WriteResult
from dstore.core.errors import DeadlineExceeded, DstoreError, InvalidRequest
from dstore.core.limits import REPLICAS_MAX, STREAM_STALL_STEP_S, STREAM_STALL_TIMEOUT_S
from simulation.links import Channel, copy_error, unreachable
from simulation.node import Life, Process

if TYPE_CHECKING:
    from simulation.network import Network

#: As in ``dstore.rpc.chunks``.
_WRITER_SILENCE_MAX_S = STREAM_STALL_TIMEOUT_S + STREAM_STALL_STEP_S * (REPLICAS_MAX + 1)
_CONNECT_TIMEOUT_S = 20.0
#: After this long a server knows that whoever it sends to is gone.
_KEEPALIVE_S = 30.0


class _Abandoned:
    """The last message of a writer that hung up."""


async def open_write_stream(
    network: "Network", process: Process, target: str, service: str, name: str, header: WriteHeader
) -> "WriteStream":
    """Begin a write stream; as with gRPC, this says nothing about what the server thinks of the header."""
    if not process.alive:
        raise unreachable(target, "this process is dead")
    return WriteStream(network, process, target, header)


class WriteStream:
    """A ``ChunkWriter`` whose receiver is on another node."""

    def __init__(self, network: "Network", process: Process, target: str, header: WriteHeader) -> None:
        self._network = network
        self._process = process
        self._target = target
        self._header = header
        self._way = network.wire(process.node.name, target)
        self._way_back = network.wire(target, process.node.name)
        self._messages = Channel(self._way)
        self._answer: asyncio.Future[WriteResult] = network.loop.create_future()
        self._answer.add_done_callback(_hear)
        self._task: asyncio.Task[WriteResult] | None = None
        self._is_over = False
        if self._way.loses():
            network.loop.later(network.dice.random(), self._break, "connection reset")
        else:
            self._way.carry(self._arrive)

    async def send(self, frame: Frame) -> None:
        """See ``ChunkWriter``."""
        self._require_open()
        await self._messages.put(Frame(frame.offset, frame.crc32c, bytes(frame.data)))

    async def finish(self, finish: WriteFinish) -> WriteResult:
        """See ``ChunkWriter``."""
        self._require_open()
        self._messages.post(finish)
        return await asyncio.shield(self._answer)

    async def abort(self) -> None:
        """See ``ChunkWriter``."""
        if not self._is_over and self._process.alive:
            self._messages.post(_Abandoned())
            self._way.carry(self._cancel)
        self._is_over = True

    def _require_open(self) -> None:
        if self._answer.done():
            self._answer.result()
            raise InvalidRequest("A server answered a chunk stream before it was finished.", reason="STREAM_INVALID")
        if self._is_over or not self._process.alive:
            raise unreachable(self._target, "the stream was cancelled")

    def _arrive(self) -> None:
        node = self._network.nodes[self._target]
        chunks = node.services.get("chunks")
        if node.process is None or chunks is None:
            if node.life is Life.OFF:
                self._network.loop.later(_CONNECT_TIMEOUT_S, self._break, "no answer")
            else:
                self._way_back.carry(lambda: self._break("connection refused"))
            return
        self._network.trace.note(self._network.loop.time(), f"write {self._header.chunk_id} at {self._target}")
        self._task = node.process.spawn(self._serve(chunks), name=f"write_chunk at {self._target}")
        self._task.add_done_callback(self._answered)

    async def _serve(self, chunks: Any) -> WriteResult:
        writer = await chunks.write_chunk(self._header)
        try:
            while isinstance(message := await self._next_message(), Frame):
                await writer.send(message)
            if not isinstance(message, WriteFinish):
                raise InvalidRequest("The write stream ended without a finish.", reason="STREAM_INVALID")
            return await writer.finish(message)  # type: ignore[no-any-return]
        except BaseException:
            await writer.abort()
            raise

    async def _next_message(self) -> object:
        try:
            async with asyncio.timeout(_WRITER_SILENCE_MAX_S):
                return await self._messages.get()
        except DeadlineExceeded:
            raise
        except TimeoutError:
            raise DeadlineExceeded("The writer sent nothing; the chunk is dropped.", reason="STREAM_STALLED") from None

    def _answered(self, task: "asyncio.Task[WriteResult]") -> None:
        # A process that ended in between took its answer with it.
        if task.cancelled() or self._network.nodes[self._target].process is None:
            if self._network.nodes[self._target].life is not Life.OFF:
                self._way_back.carry(lambda: self._break("connection reset"))
            return
        error = task.exception()
        if error is None:
            result = task.result()
            self._network.at_answer(self._target, "write_chunk", (self._header,), result)
            if self._way_back.loses():
                self._way_back.carry(lambda: self._break("connection reset"))
            else:
                self._way_back.carry(lambda: self._succeed(result))
        elif isinstance(error, DstoreError):
            copied = copy_error(error)
            self._way_back.carry(lambda: self._fail(copied))
        else:
            self._network.note_defect(self._target, "write_chunk", error)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _succeed(self, result: WriteResult) -> None:
        if not self._answer.done():
            self._answer.set_result(result)

    def _fail(self, error: DstoreError) -> None:
        self._messages.fail(error)
        if not self._answer.done():
            self._answer.set_exception(error)

    def _break(self, why: str) -> None:
        self._fail(unreachable(self._target, why))
        self._cancel()


def _hear(answer: "asyncio.Future[WriteResult]") -> None:
    if not answer.cancelled():
        answer.exception()


class _End:
    """The last message of a stream that went well."""


class ReadStream:
    """A stream of answers to one request."""

    def __init__(
        self,
        network: "Network",
        process: Process,
        target: str,
        service: str,
        name: str,
        arguments: tuple[Any, ...],
        options: dict[str, Any],
    ) -> None:
        self._network = network
        self._process = process
        self._target = target
        self._service = service
        self._name = name
        self._arguments = arguments
        self._options = options
        self._way = network.wire(process.node.name, target)
        self._way_back = network.wire(target, process.node.name)
        self._messages = Channel(self._way_back)
        self._task: asyncio.Task[None] | None = None

    async def frames(self) -> AsyncIterator[Any]:
        """Yield the answers."""
        if not self._process.alive:
            raise unreachable(self._target, "this process is dead")
        if self._way.loses():
            self._network.loop.later(self._network.dice.random(), self._break, "connection reset")
        else:
            self._way.carry(self._arrive)
        try:
            while not isinstance(message := await self._messages.get(), _End):
                yield message
        finally:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._process.alive:
            self._way.carry(self._cancel)
        else:
            self._network.loop.later(_KEEPALIVE_S, self._cancel)

    def _arrive(self) -> None:
        node = self._network.nodes[self._target]
        service = node.services.get(self._service)
        if node.process is None or service is None:
            if node.life is Life.OFF:
                self._network.loop.later(_CONNECT_TIMEOUT_S, self._break, "no answer")
            else:
                self._way_back.carry(lambda: self._break("connection refused"))
            return
        self._network.trace.note(self._network.loop.time(), f"{self._name} at {self._target}")
        self._task = node.process.spawn(self._serve(service), name=f"{self._name} at {self._target}")
        self._task.add_done_callback(self._answered)

    async def _serve(self, service: Any) -> None:
        answers = getattr(service, self._name)(*self._arguments, **self._options)
        try:
            async for answer in answers:
                copied = (
                    Frame(answer.offset, answer.crc32c, bytes(answer.data)) if isinstance(answer, Frame) else answer
                )
                await self._messages.put(copied)
        finally:
            await answers.aclose()
        self._messages.post(_End())

    def _answered(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled():
            if self._network.nodes[self._target].life is not Life.OFF:
                self._way_back.carry(lambda: self._break("connection reset"))
            return
        error = task.exception()
        if isinstance(error, DstoreError):
            copied = copy_error(error)
            self._way_back.carry(lambda: self._messages.fail(copied))
        elif error is not None:
            self._network.note_defect(self._target, self._name, error)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _break(self, why: str) -> None:
        self._messages.fail(unreachable(self._target, why))
        self._cancel()
