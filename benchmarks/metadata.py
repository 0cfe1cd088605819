"""What the master does with millions of files: memory, start, stat, listing, creating and removing, upkeep.

The database is filled through SQL (``benchmarks.metadata_rows``), then a real master is started on it and measured
through the real client, which runs in this process. Before each start, what the kernel remembers of the database is
dropped where it can be. Goals, reported and not enforced, are for 10 million files.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import dstore
from benchmarks import cluster, metadata_master, metadata_rows
from benchmarks.harness import (
    GIB,
    MIB,
    Cell,
    Report,
    check_room,
    conditions,
    cpu_s,
    data_directory,
    median,
    peak_rss_bytes,
    print_report,
    run,
    run_count,
)
from dstore.master.process import DATABASE_NAME

FILES_DEFAULT = 10_000_000
#: Of the database for each file, and a little more.
BYTES_PER_FILE = 2_400
STATS_PER_S = 500
STAT_DURATION_S = 10
CHANGES = 1_000
CHANGES_AT_ONCE = 16
START_TIMEOUT_S = 120
TIMER_STEP_S = 0.001
DURABILITY = "metadata commits synced; reads and the upkeep store nothing"
#: Fixed, so that every run looks at the same paths.
SEED = 4


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report; ``goal`` is empty where there is none."""

    name: str
    unit: str
    values: tuple[float, ...]
    goal: float | None = None
    is_rate: bool = False

    def row(self) -> tuple[Cell, ...]:
        """Return the cells."""
        found = median(self.values)
        result = ""
        if self.goal is not None:
            result = "reached" if (found >= self.goal if self.is_rate else found <= self.goal) else "missed"
        spread = f"{min(self.values):.4g} to {max(self.values):.4g}"
        return (self.name, self.unit, float(f"{found:.4g}"), spread, "" if self.goal is None else self.goal, result)


class MasterProcess:
    """A real master on a directory; it can be killed and started again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[str] | None = None
        self.address = ""

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> float:
        """Start it and return the seconds until a client had its first answer.

        Raises:
            RuntimeError: it does not start.
        """
        start_s = time.perf_counter()
        command = [*cluster.COMMAND, "master", "run", "--dir", str(self._directory)]
        command += ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--failure-domain", "server"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=cluster.REPOSITORY)
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(asyncio.to_thread(self._process.stdout.readline), START_TIMEOUT_S)
        except TimeoutError as error:
            self.kill()
            raise RuntimeError(f"The master did not serve within {START_TIMEOUT_S} s.") from error
        if not line:
            raise RuntimeError(f"The master ended with {self._process.wait()}; its log says why.")
        self.address = json.loads(line)["address"]
        async with dstore.connect_async(self.address) as client:
            await client.stat("/huge")
        return time.perf_counter() - start_s

    def kill(self) -> None:
        """End it as a power loss does: what is in the log stays there."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


def forget_cached(directory: Path) -> None:
    """Drop what the kernel has in memory of the files in a directory; files in memory stay where they are."""
    for path in directory.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def waited_s(pid: int) -> float:
    """Return for how long the threads of a process were ready to run and had no core; of those that live.

    Raises:
        OSError: the process is gone.
    """
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[1]) for task in tasks) / 1e9


def sample_paths(files: int, count: int, seed: int) -> list[str]:
    """Return paths of files, each file as likely as any other."""
    source, directories = random.Random(seed), metadata_rows.plan(files)
    chosen = source.choices(directories, [directory.count for directory in directories], k=count)
    return [f"{each.path}/{each.name(source.randrange(each.count))}" for each in chosen]


async def stat_latencies_ms(client: dstore.AsyncClient, paths: list[str]) -> list[float]:
    """Call stat at a fixed rate, whether answers come or not; return the latencies from when each was due."""
    # This loop's own clock has whole milliseconds, and so have its timers: calls are sent up to one too late.
    start_s = time.perf_counter()

    async def one(due_s: float, path: str) -> float:
        begun_s = min(time.perf_counter(), due_s + TIMER_STEP_S)
        await client.stat(path)
        return (time.perf_counter() - begun_s) * 1000

    calls = []
    for index, path in enumerate(paths):
        due_s = start_s + index / STATS_PER_S
        if (wait_s := due_s - time.perf_counter()) > 0:
            await asyncio.sleep(wait_s)
        calls.append(asyncio.create_task(one(due_s, path)))
    return sorted(await asyncio.gather(*calls))


async def list_s(client: dstore.AsyncClient, directory: metadata_rows.Directory) -> float:
    """List a whole directory.

    Raises:
        RuntimeError: it did not have what it has.
    """
    start_s, count, last = time.perf_counter(), 0, ""
    async for entries in client.list_pages(directory.path):
        if entries[0].path <= last:
            raise RuntimeError("The listing does not go on.")
        count, last = count + len(entries), entries[-1].path
    duration_s = time.perf_counter() - start_s
    if count != directory.count:
        raise RuntimeError(f"{directory.path} has {directory.count} files, {count} were listed.")
    return duration_s


async def changes_per_s(change: Callable[[int], Awaitable[object]]) -> float:
    """Make changes, some at once, and return how many there were in a second."""
    numbers = iter(range(CHANGES))
    start_s = time.perf_counter()

    async def work() -> None:
        for number in numbers:
            await change(number)

    await asyncio.gather(*(work() for _ in range(CHANGES_AT_ONCE)))
    return CHANGES / (time.perf_counter() - start_s)


class Measurement:
    """The figures of all runs."""

    def __init__(self, directory: Path, files: int, key_file: Path) -> None:
        self._directory = directory
        self._files = files
        self._key_file = key_file
        self._process = MasterProcess(directory)
        self._values: dict[str, list[float]] = {}

    async def run(self, runs: int, tell: Callable[[str], None]) -> tuple[Figure, ...]:
        """Measure everything."""
        for number in range(runs):
            tell(f"run {number + 1} of {runs}")
            await self._once(number)
        tell("upkeep")
        async with metadata_master.open_model(self._directory) as model:
            await model.lead()
            for _ in range(runs):
                before_s = time.process_time()
                self._note("round", await model.round_s() * 1000)
                self._note("round_cpu", (time.process_time() - before_s) * 1000)
            status = await model.master.admin.get_collection()
            tell(f"collection: {status.state.value} {status.reason}")
        return tuple(
            Figure(name, unit, tuple(self._values[key]), goal, is_rate)
            for key, name, unit, goal, is_rate in (
                ("start", "start to first answer, cold", "s", 5.0, False),
                ("start_rss", "memory after the start", "MiB", 1024, False),
                ("p50", f"stat at {STATS_PER_S}/s, p50", "ms", None, False),
                ("p99", f"stat at {STATS_PER_S}/s, p99", "ms", 3.0, False),
                ("stat_cpu", "master CPU per stat", "µs", None, False),
                ("stat_waited", "master waiting for a core per stat", "µs", None, False),
                ("large", f"list {metadata_rows.plan(self._files)[1].count} entries", "s", 2.0, False),
                ("large_cpu", "of that, CPU of the master", "s", None, False),
                ("huge", f"list {metadata_rows.plan(self._files)[0].count} entries", "s", None, False),
                ("make", f"make directories, {CHANGES_AT_ONCE} at once", "1/s", None, True),
                ("put", f"put files, {CHANGES_AT_ONCE} at once", "1/s", None, True),
                ("remove", f"remove files, {CHANGES_AT_ONCE} at once", "1/s", None, True),
                ("rss", "peak memory", "MiB", 1024, False),
                ("round", "one round of the upkeep", "ms", None, False),
                ("round_cpu", "of that, CPU", "ms", None, False),
            )
        )

    async def _once(self, number: int) -> None:
        forget_cached(self._directory)
        try:
            self._note("start", await self._process.start())
            self._note("start_rss", peak_rss_bytes(self._process.pid) / MIB)
            async with cluster.open_client(self._process.address, self._key_file) as client:
                await self._read(client, number)
                await self._change(client, number)
            self._note("rss", peak_rss_bytes(self._process.pid) / MIB)
        finally:
            self._process.kill()

    async def _read(self, client: dstore.AsyncClient, number: int) -> None:
        count = STATS_PER_S * STAT_DURATION_S
        # Connections and code are warm before, the database is not.
        await stat_latencies_ms(client, sample_paths(self._files, STATS_PER_S, SEED - 1 - number))
        before_s, waited_before_s = cpu_s(self._process.pid), waited_s(self._process.pid)
        latencies = await stat_latencies_ms(client, sample_paths(self._files, count, SEED + number))
        self._note("stat_cpu", (cpu_s(self._process.pid) - before_s) / count * 1e6)
        self._note("stat_waited", (waited_s(self._process.pid) - waited_before_s) / count * 1e6)
        self._note("p50", latencies[count // 2])
        self._note("p99", latencies[count * 99 // 100])
        huge, large = metadata_rows.plan(self._files)[:2]
        before_s = cpu_s(self._process.pid)
        self._note("large", await list_s(client, large))
        self._note("large_cpu", cpu_s(self._process.pid) - before_s)
        self._note("huge", await list_s(client, huge))

    async def _change(self, client: dstore.AsyncClient, run_number: int) -> None:
        top = f"/changes-{run_number}-{os.getpid()}"
        await client.make_directory(top)
        self._note("make", await changes_per_s(lambda number: client.make_directory(f"{top}/d{number}")))
        self._note("put", await changes_per_s(lambda number: client.put(f"{top}/f{number}", b"")))
        self._note("remove", await changes_per_s(lambda number: client.remove(f"{top}/f{number}")))

    def _note(self, key: str, value: float) -> None:
        self._values.setdefault(key, []).append(value)


@asynccontextmanager
async def filled(directory: Path, files: int, *, check: bool) -> AsyncIterator[Path]:
    """Give the directory of a database, which is filled unless it was before."""
    data = directory / f"metadata-{files}"
    if not (data / "filled").exists():
        check_room(directory, files * BYTES_PER_FILE)
        data.mkdir()
        await metadata_rows.fill(data, files, _tell, check=check)
        (data / "filled").touch()
    yield data


async def measure(directory: Path, files: int, runs: int, *, check: bool) -> Report:
    """Return the figures."""
    async with AsyncExitStack() as stack:
        data = await stack.enter_async_context(filled(directory, files, check=check))
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cluster.run_dstore(home, "key", "init", "--key-file", str(home / "key"))
        figures = await Measurement(data, files, home / "key").run(runs, _tell)
        size_bytes = (data / DATABASE_NAME).stat().st_size
        details: dict[str, Cell] = {"files": files, "database_gib": round(size_bytes / GIB, 1), "runs": runs}
        facts = conditions(directory, DURABILITY, **details)
    return Report(
        title="A master with many files",
        conditions=facts,
        columns=("what", "unit", "median", "range", "goal", "result"),
        rows=tuple(figure.row() for figure in figures),
    )


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


async def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metadata", description=__doc__)
    parser.add_argument("--files", type=int, default=FILES_DEFAULT, help=f"default {FILES_DEFAULT}")
    parser.add_argument("--runs", type=run_count, default=5, help="default 5")
    parser.add_argument("--directory", type=Path, help="the database goes into a new directory in this one")
    parser.add_argument("--keep", type=Path, help="use the database in this directory, or leave it there")
    parser.add_argument("--check", action="store_true", help="count all rows after filling")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        report = await measure(arguments.keep, arguments.files, arguments.runs, check=arguments.check)
    else:
        # On disk by default: it does not fit into the memory of a small machine.
        with data_directory(arguments.directory or Path(tempfile.gettempdir())) as directory:
            report = await measure(directory, arguments.files, arguments.runs, check=arguments.check)
    print_report(report, as_json=arguments.json)


if __name__ == "__main__":
    run(main())
