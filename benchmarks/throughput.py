"""dstore beside the bare pipeline, alternated in one run: one large file written, then read back.

Goals, reported and not enforced: at least 60 % of the bare pipeline, each way, with encryption and checks on.
"""

import argparse
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import dstore
from benchmarks import bare_pipeline, cluster
from benchmarks.bare_hop import PipelineOptions
from benchmarks.harness import (
    MIB,
    Cell,
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
    touch_memory,
)

PATH = "/benchmark"
GOAL_PERCENT = 60
#: Random bytes that the source is repeated from: encryption does not care, and random bytes are slow to make.
PATTERN_SIZE_BYTES = 16 * MIB
COPIES = 3
#: Reused, because memory that was touched before is several times faster to fill than fresh memory.
READ_BUFFER_SIZE_BYTES = 16 * MIB


class StoreTransfer:
    """Writes and reads one file through a client."""

    def __init__(self, client: dstore.AsyncClient, size_bytes: int, directory: Path) -> None:
        self._client = client
        self._directory = directory
        pattern = os.urandom(min(size_bytes, PATTERN_SIZE_BYTES))
        self._data = (pattern * -(-size_bytes // len(pattern)))[:size_bytes]
        self._buffer = bytearray(READ_BUFFER_SIZE_BYTES)

    async def measure_write(self, size_bytes: int) -> float:
        """Replace the file and return MiB/s.

        Raises:
            RuntimeError: there is no room for another version.
        """
        check_room(self._directory, size_bytes * COPIES)
        start_s = time.perf_counter()
        await self._client.put(PATH, self._data)
        return size_bytes / MIB / (time.perf_counter() - start_s)

    async def measure_read(self, size_bytes: int) -> float:
        """Stream the file through one buffer and return MiB/s."""
        start_s = time.perf_counter()
        async with await self._client.open(PATH, "rb") as file:
            while await file.readinto(self._buffer):
                pass
            received = file.tell()
        duration_s = time.perf_counter() - start_s
        if received != size_bytes:
            raise RuntimeError(f"{received} bytes came back instead of {size_bytes}.")
        return size_bytes / MIB / duration_s

    async def verify(self) -> None:
        """Compare every byte with what was written last; outside of all measured times.

        Raises:
            RuntimeError: they differ.
        """
        if await self._client.get(PATH) != self._data:
            raise RuntimeError("The file came back with other bytes than were written.")


def _touched(run: Callable[[], Awaitable[float]], directory: Path, size_bytes: int) -> Callable[[], Awaitable[float]]:
    async def run_touched() -> float:
        touch_memory(directory, size_bytes)
        return await run()

    return run_touched


async def measure(directory: Path, options: PipelineOptions, size_bytes: int, runs: int) -> Report:
    """Return the comparison; the first run of each does not count.

    Raises:
        RuntimeError: there is no room for the files of the bare pipeline and the first version of the other file.
    """
    # Besides, the source and what was read stand in memory.
    check_room(directory, size_bytes * (bare_pipeline.HOPS + COPIES + 2))
    async with AsyncExitStack() as stack:
        pipeline = await stack.enter_async_context(bare_pipeline.open_pipeline(directory / "bare", options))
        servers = await stack.enter_async_context(cluster.open_cluster(directory / "dstore"))
        client = await stack.enter_async_context(cluster.open_client(servers.endpoint, servers.key_file))
        transfer = StoreTransfer(client, size_bytes, directory)
        bare_pids = (os.getpid(), *pipeline.pids)
        store_pids = (os.getpid(), *servers.pids().values())
        meters = {
            "bare write": CpuMeter(pipeline.measure_write, size_bytes, bare_pids),
            "dstore write": CpuMeter(transfer.measure_write, size_bytes, store_pids),
            "bare read": CpuMeter(pipeline.measure_read, size_bytes, bare_pids),
            "dstore read": CpuMeter(transfer.measure_read, size_bytes, store_pids),
        }
        systems = {
            name: (_touched(meter.run, directory, COPIES * size_bytes) if "write" in name else meter.run)
            for name, meter in meters.items()
        }
        rates = await alternate(systems, runs=runs, warm_up_runs=1)
        await transfer.verify()
        facts = conditions(
            directory,
            f"dstore: {cluster.DURABILITY}; bare: {bare_pipeline.DURABILITY}",
            size_mib=size_bytes // MIB,
            runs=runs,
            bare_files="new" if options.fresh_files else "rewritten in place",
        )
    medians = {name: median(values) for name, values in rates.items()}
    return Report(
        title="dstore and the bare grpc.aio pipeline, one file, 3 replicas",
        conditions=facts,
        columns=("what", "median MiB/s", "of bare", "goal", "CPU s/GiB", "runs MiB/s"),
        rows=tuple(
            (
                name,
                round(medians[name]),
                *_ratio(name, medians),
                round(median(meters[name].s_per_gib[1:]), 2),
                " ".join(f"{value:.0f}" for value in values),
            )
            for name, values in rates.items()
        ),
    )


def _ratio(name: str, medians: Mapping[str, float]) -> tuple[Cell, Cell]:
    system, _, direction = name.partition(" ")
    if system == "bare":
        return "", ""
    percent = 100 * medians[name] / medians[f"bare {direction}"]
    return f"{percent:.0f} %", f"{GOAL_PERCENT} % {'reached' if percent >= GOAL_PERCENT else 'missed'}"


async def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    add_common_arguments(parser, size_default="512MiB", runs=5)
    parser.add_argument(
        "--rewrite", action="store_true", help="the bare pipeline rewrites its files; else it makes new ones, as dstore"
    )
    arguments = parser.parse_args()
    options = replace(PipelineOptions(), fresh_files=not arguments.rewrite)
    with data_directory(arguments.directory) as directory:
        report = await measure(directory, options, arguments.size, arguments.runs)
    print_report(report, as_json=arguments.json)


if __name__ == "__main__":
    run(main())
