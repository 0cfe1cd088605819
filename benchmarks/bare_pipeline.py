"""The bare pipeline: client → hop 1 → hop 2 → hop 3 through grpc.aio, frames written to files, nothing else.

Run alone, it prints what this machine can do; ``make bench`` alternates it with dstore.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from benchmarks.bare_hop import SERVICE, SLOT, PipelineOptions
from benchmarks.harness import (
    MIB,
    CpuMeter,
    Report,
    add_common_arguments,
    alternate,
    check_room,
    conditions,
    data_directory,
    median,
    print_report,
    run,
    size,
)

HOPS = 3
DURABILITY = "fsync of each chunk file at its end, on every hop"
START_TIMEOUT_S = 20.0
DEFAULT_OPTIONS = PipelineOptions()


class BarePipeline:
    """A client of running hops; made by ``open_pipeline``."""

    def __init__(self, address: str, pids: tuple[int, ...], options: PipelineOptions) -> None:
        self.pids = pids
        self._options = options
        self._channel = grpc.aio.insecure_channel(address, options=options.channel_arguments())
        self._write: Callable[..., Any] = self._channel.stream_unary(f"/{SERVICE}/Write")
        self._read: Callable[..., Any] = self._channel.unary_stream(f"/{SERVICE}/Read")
        self._echo: Callable[..., Awaitable[bytes]] = self._channel.unary_unary(f"/{SERVICE}/Echo")
        chunk = os.urandom(options.chunk_size_bytes)
        step = options.frame_size_bytes
        # The same frames for every chunk: the baseline shall not pay for cutting its source into pieces.
        self._frames = tuple(chunk[start : start + step] for start in range(0, len(chunk), step))

    async def measure_write(self, total_bytes: int) -> float:
        """Write ``total_bytes`` (rounded down to whole chunks, at least one) and return MiB/s."""
        return await self._measure(total_bytes, self._options.chunks_in_flight_write, self._write_chunk)

    async def measure_read(self, total_bytes: int) -> float:
        """Read back what ``measure_write`` of the same size wrote, and return MiB/s."""
        return await self._measure(total_bytes, self._options.chunks_in_flight_read, self._read_chunk)

    async def echo(self, message: bytes) -> bytes:
        """Have the first hop return a message."""
        return await self._echo(message)

    async def close(self) -> None:
        """Close the channel; the hops go on until ``open_pipeline`` ends them."""
        await self._channel.close()

    async def _measure(self, total_bytes: int, in_flight: int, move_chunk: Callable[[int], Awaitable[None]]) -> float:
        count = max(1, total_bytes // self._options.chunk_size_bytes)
        indices = iter(range(count))

        async def work() -> None:
            for index in indices:
                await move_chunk(index)

        start_s = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(min(in_flight, count)):
                group.create_task(work())
        return count * self._options.chunk_size_bytes / MIB / (time.perf_counter() - start_s)

    async def _write_chunk(self, index: int) -> None:
        call = self._write(metadata=((SLOT, str(index)),))
        for frame in self._frames:
            await call.write(frame)
        await call.done_writing()
        await call

    async def _read_chunk(self, index: int) -> None:
        call = self._read(str(index).encode())
        received_bytes = 0
        while (frame := await call.read()) is not grpc.aio.EOF:
            received_bytes += len(frame)
        if received_bytes != self._options.chunk_size_bytes:
            raise RuntimeError(f"Chunk {index} came back with {received_bytes} bytes; was it written before?")


@asynccontextmanager
async def open_hops(
    directory: Path, options: PipelineOptions = DEFAULT_OPTIONS
) -> AsyncIterator[tuple[str, tuple[int, ...]]]:
    """Start the hops, each with its own directory below ``directory``, and end them when the block is left.

    Gives the address of the first hop, and the pids of all.

    Raises:
        RuntimeError: a hop did not start; its own message is on standard error.
    """
    async with AsyncExitStack() as stack:
        address = ""
        pids: list[int] = []
        for index in reversed(range(HOPS)):
            hop_directory = directory / f"hop-{index + 1}"
            hop_directory.mkdir(parents=True, exist_ok=True)
            address, pid = await stack.enter_async_context(_open_hop(hop_directory, address, options))
            pids.insert(0, pid)
        yield address, tuple(pids)


@asynccontextmanager
async def open_pipeline(directory: Path, options: PipelineOptions = DEFAULT_OPTIONS) -> AsyncIterator[BarePipeline]:
    """Start the hops and give a client of them, in this process.

    Raises:
        RuntimeError: as ``open_hops``.
    """
    async with open_hops(directory, options) as (address, pids):
        pipeline = BarePipeline(address, pids, options)
        try:
            yield pipeline
        finally:
            await pipeline.close()


@asynccontextmanager
async def _open_hop(directory: Path, next_address: str, options: PipelineOptions) -> AsyncIterator[tuple[str, int]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.bare_hop", str(directory), next_address, options.to_json()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
        start_new_session=True,  # Ctrl-C is for the benchmark alone; it ends the hops in order
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            address = (await process.stdout.readline()).decode().strip()
        if not address:
            raise RuntimeError(f"A hop ended with code {await process.wait()} before it had an address.")
        yield address, process.pid
    finally:
        # On uvloop the process can be gone before its return code is known.
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def measure(directory: Path, options: PipelineOptions, size_bytes: int, runs: int) -> Report:
    """Return the rates of writing and reading, after one run of each that does not count.

    Raises:
        RuntimeError: there is no room for the files.
    """
    check_room(directory, size_bytes * HOPS)
    async with open_pipeline(directory, options) as pipeline:
        write = CpuMeter(pipeline.measure_write, size_bytes, (os.getpid(), *pipeline.pids))
        read = CpuMeter(pipeline.measure_read, size_bytes, (os.getpid(), *pipeline.pids))
        meters = {"write": write, "read": read}
        rates = await alternate({name: meter.run for name, meter in meters.items()}, runs=runs, warm_up_runs=1)
    return Report(
        title=f"Bare grpc.aio pipeline, {HOPS} hops",
        conditions=conditions(directory, DURABILITY, size_mib=size_bytes // MIB, runs=runs),
        columns=("what", "median MiB/s", "CPU s/GiB", "runs MiB/s"),
        rows=tuple(
            (
                name,
                round(median(values)),
                round(median(meters[name].s_per_gib[1:]), 2),
                " ".join(f"{value:.0f}" for value in values),
            )
            for name, values in rates.items()
        ),
    )


def parse_options(arguments: argparse.Namespace) -> PipelineOptions:
    """Return the pipeline that the command line describes."""
    pairs = (text.partition("=") for text in arguments.option)
    return replace(
        DEFAULT_OPTIONS,
        frame_size_bytes=arguments.frame_size,
        chunks_in_flight_write=arguments.in_flight,
        chunks_in_flight_read=arguments.in_flight,
        uvloop=not arguments.no_uvloop,
        fresh_files=arguments.fresh_files,
        unix_sockets=arguments.unix,
        grpc_options=tuple((name, int(value) if value.lstrip("-").isdigit() else value) for name, _, value in pairs),
    )


async def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bare_pipeline", description=__doc__)
    add_common_arguments(parser, size_default="1GiB", runs=3)
    parser.add_argument("--frame-size", type=size, default=DEFAULT_OPTIONS.frame_size_bytes)
    parser.add_argument("--in-flight", type=int, default=DEFAULT_OPTIONS.chunks_in_flight_write, help="chunks at once")
    parser.add_argument("--no-uvloop", action="store_true", help="run the hops on asyncio's own loop")
    parser.add_argument("--fresh-files", action="store_true", help="new files instead of rewriting in place")
    parser.add_argument("--unix", action="store_true", help="connect the hops through Unix sockets")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="a gRPC argument")
    arguments = parser.parse_args()
    with data_directory(arguments.directory) as directory:
        report = await measure(directory, parse_options(arguments), arguments.size, arguments.runs)
    print_report(report, as_json=arguments.json)


if __name__ == "__main__":
    run(main())
