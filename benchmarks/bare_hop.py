"""One hop of the bare pipeline: takes frames, writes them to a file, passes them on; and streams files back.

It neither encrypts nor checks. It is the ceiling that the data path of dstore is compared with, so it is written
to be fast: bytes-only (de)serializers, disk calls in a thread, storing and relaying side by side behind short
queues. Started by ``bare_pipeline``; says its address on standard output and stops when standard input ends, so that
it never outlives the benchmark.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import uvloop

from dstore.core.limits import (
    CHUNK_SIZE_BYTES_DEFAULT,
    CHUNKS_IN_FLIGHT_READ,
    CHUNKS_IN_FLIGHT_WRITE,
    FRAME_SIZE_BYTES,
    MESSAGE_SIZE_BYTES_MAX,
)

SERVICE = "benchmarks.Bare"
#: Metadata key that names the file of a stream.
SLOT = "slot"


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """How client and hops are set up.

    Attributes:
        queue_frames: frames of one stream that wait for the disk, and as many for the next hop.
        fresh_files: write every chunk to a new file, as a store whose chunks are write-once must; otherwise the
            file of the last run is rewritten in place.
        unix_sockets: connect the hops through sockets in the file system instead of loopback TCP.
        grpc_options: further channel arguments, for servers and channels alike.
    """

    frame_size_bytes: int = FRAME_SIZE_BYTES
    chunk_size_bytes: int = CHUNK_SIZE_BYTES_DEFAULT
    chunks_in_flight_write: int = CHUNKS_IN_FLIGHT_WRITE
    chunks_in_flight_read: int = CHUNKS_IN_FLIGHT_READ
    queue_frames: int = 2
    disk_threads: int = 2
    uvloop: bool = True
    fresh_files: bool = False
    unix_sockets: bool = False
    grpc_options: tuple[tuple[str, int | str], ...] = ()

    def channel_arguments(self) -> list[tuple[str, int | str]]:
        """Return the arguments of every server and channel; a later one replaces an earlier one."""
        arguments: dict[str, int | str] = {
            "grpc.so_reuseport": 0,
            "grpc.max_receive_message_length": MESSAGE_SIZE_BYTES_MAX,
            "grpc.max_send_message_length": MESSAGE_SIZE_BYTES_MAX,
            "grpc.use_local_subchannel_pool": 1,
        }
        arguments.update(self.grpc_options)
        return list(arguments.items())

    def to_json(self) -> str:
        """Return the text that ``from_json`` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "PipelineOptions":
        """Return the options that ``to_json`` wrote."""
        fields: dict[str, Any] = json.loads(text)
        fields["grpc_options"] = tuple((name, value) for name, value in fields["grpc_options"])
        return cls(**fields)


class Hop:
    """The methods of a hop; ``next_address`` is empty for the last one."""

    def __init__(self, directory: Path, next_address: str, options: PipelineOptions) -> None:
        self._directory = directory
        self._options = options
        self._threads = ThreadPoolExecutor(options.disk_threads, thread_name_prefix="disk")
        self._next: Callable[..., Any] | None = None
        if next_address:
            channel = grpc.aio.insecure_channel(next_address, options=options.channel_arguments())
            self._next = channel.stream_unary(f"/{SERVICE}/Write")

    def handlers(self) -> grpc.GenericRpcHandler:
        """Return the methods, without serializers: bytes in, bytes out."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Write": grpc.stream_unary_rpc_method_handler(self.write),
                "Read": grpc.unary_stream_rpc_method_handler(self.read),
                "Echo": grpc.unary_unary_rpc_method_handler(self.echo),
            },
        )

    async def write(self, _: AsyncIterator[bytes], context: Any) -> bytes:
        """Store the frames of one chunk and relay them; return once both are done."""
        slot = dict(context.invocation_metadata())[SLOT]
        to_disk: asyncio.Queue[bytes] = asyncio.Queue(self._options.queue_frames)
        to_next: asyncio.Queue[bytes] = asyncio.Queue(self._options.queue_frames)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._store(slot, to_disk))
            if self._next is not None:
                group.create_task(_relay(self._next, slot, to_next))
            while True:
                frame = await context.read()
                message = b"" if frame is grpc.aio.EOF else frame
                if self._next is not None:
                    await to_next.put(message)
                await to_disk.put(message)
                if not message:
                    break
        return b"stored"

    async def read(self, request: bytes, context: Any) -> None:
        """Stream one chunk back; the next frame is read from disk while one is sent."""
        file = await self._in_thread(os.open, self._directory / request.decode(), os.O_RDONLY)
        size_bytes = self._options.frame_size_bytes
        try:
            offset = 0
            pending = self._in_thread(os.pread, file, size_bytes, offset)
            while frame := await pending:
                offset += len(frame)
                pending = self._in_thread(os.pread, file, size_bytes, offset)
                await context.write(frame)
        finally:
            await self._in_thread(os.close, file)

    async def echo(self, message: bytes, _: Any) -> bytes:
        """Return what came: what one call costs that does nothing."""
        return message

    async def _store(self, slot: str, frames: "asyncio.Queue[bytes]") -> None:
        if self._options.fresh_files:
            await self._in_thread(partial((self._directory / slot).unlink, missing_ok=True))
        # No O_TRUNC: a file of the last run is rewritten in place, for new memory is slow to touch.
        file = await self._in_thread(os.open, self._directory / slot, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            offset = 0
            while frame := await frames.get():
                await self._in_thread(os.pwrite, file, frame, offset)
                offset += len(frame)
            await self._in_thread(os.fsync, file)
        finally:
            await self._in_thread(os.close, file)

    def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        return asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


async def _relay(method: Callable[..., Any], slot: str, frames: "asyncio.Queue[bytes]") -> None:
    call = method(metadata=((SLOT, slot),))
    while frame := await frames.get():
        await call.write(frame)
    await call.done_writing()
    await call


async def serve(directory: Path, next_address: str, options: PipelineOptions) -> None:
    """Run one hop until standard input ends."""
    server = grpc.aio.server(options=options.channel_arguments())
    server.add_generic_rpc_handlers((Hop(directory, next_address, options).handlers(),))
    if options.unix_sockets:
        address = f"unix:{directory}/socket"
        server.add_insecure_port(address)
    else:
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    print(address, flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)
    await server.stop(grace=None)


def main() -> None:
    """Entry point: ``bare_hop DIRECTORY NEXT_ADDRESS OPTIONS``."""
    directory, next_address, options_json = sys.argv[1:]
    options = PipelineOptions.from_json(options_json)
    (uvloop.run if options.uvloop else asyncio.run)(serve(Path(directory), next_address, options))


if __name__ == "__main__":
    main()
