"""The client of the bare pipeline."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.bare_hop import PipelineOptions
from benchmarks.bare_pipeline import BarePipeline
from benchmarks.clients.pacing import timed
from benchmarks.clients.protocol import Moved, Request


class BareClient:
    """Moves large files, and makes calls that do nothing."""

    def __init__(self, pipeline: BarePipeline, chunk_size_bytes: int, directory: Path) -> None:
        self._pipeline = pipeline
        self._chunk_size_bytes = chunk_size_bytes
        self._directory = directory

    async def run(self, request: Request) -> Moved:
        """Do what is asked, once.

        Raises:
            ValueError: it is nothing that a bare pipeline can do.
        """
        start_s = time.perf_counter()
        match request.verb:
            case "write-large":
                await self._pipeline.measure_write(request.size_bytes)
            case "read-large":
                await self._pipeline.measure_read(request.size_bytes)
            case "write-small" | "read-small":
                message = os.urandom(request.size_bytes)
                duration_s = await timed(range(request.count), request.callers, lambda _: self._pipeline.echo(message))
                return Moved(duration_s, request.count * request.size_bytes, request.count)
            case "drop-large":
                for file in self._directory.glob("hop-*/*"):
                    file.unlink()
                return Moved(0.0)
            case "drop-source":
                return Moved(0.0)
            case _:
                raise ValueError(f"A bare pipeline cannot {request.verb}.")
        duration_s = time.perf_counter() - start_s
        return Moved(duration_s, request.size_bytes, caller_bytes=self._chunk_size_bytes)


@asynccontextmanager
async def open_client(address: str, options: str, directory: str) -> AsyncIterator[BareClient]:
    """Give a client of running hops."""
    parsed = PipelineOptions.from_json(options)
    pipeline = BarePipeline(address, (), parsed)
    try:
        yield BareClient(pipeline, parsed.chunk_size_bytes, Path(directory))
    finally:
        await pipeline.close()
