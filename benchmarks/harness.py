"""What every benchmark shares: alternating runs, medians, memory and CPU of a process, conditions, tables."""

import argparse
import asyncio
import json
import os
import platform
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop

from dstore.core.errors import InvalidRequest
from dstore.core.sizes import parse_size

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

#: Data in memory, where there is such a file system, so that the disk of the machine is not what is measured.
MEMORY_DIRECTORY = Path("/dev/shm")

#: Space that a benchmark leaves to the rest of the machine.
SPARE_BYTES = 2 * GIB

Cell = str | int | float


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a figure is worth nothing without."""

    durability: str
    cores: int
    directory: str
    file_system: str
    python: str
    load_average: float
    details: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Report:
    """A table with its conditions."""

    title: str
    conditions: Conditions
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


async def alternate(
    systems: Mapping[str, Callable[[], Awaitable[float]]], *, runs: int, warm_up_runs: int = 0
) -> dict[str, list[float]]:
    """Run the systems A B A B … and return the figures of each.

    A machine that gets slower meanwhile gets slower for all of them. The first ``warm_up_runs`` rounds create files
    and connections, and do not count.
    """
    figures: dict[str, list[float]] = {name: [] for name in systems}
    for round_index in range(warm_up_runs + runs):
        for name, measure in systems.items():
            figure = await measure()
            if round_index >= warm_up_runs:
                figures[name].append(figure)
    return figures


def reset_peak_rss(pid: int) -> None:
    """Make the peak memory of a process start again from what it holds now.

    Raises:
        OSError: the process is gone or belongs to another user.
    """
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_rss_bytes(pid: int) -> int:
    """Return the largest resident memory of a process since its start or the last ``reset_peak_rss``.

    Raises:
        OSError: the process is gone.
    """
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * KIB
    raise ProcessLookupError(f"Process {pid} has no memory any more: it has ended.")


def cpu_s(pid: int) -> float:
    """Return the CPU seconds, user and system, that a process and its ended children used since its start.

    Raises:
        OSError: the process is gone.
    """
    # The command in parentheses may hold spaces; counted behind it, utime, stime, cutime and cstime follow 11 others.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


class CpuMeter:
    """Counts the CPU seconds that processes use while a measurement runs.

    Attributes:
        s_per_gib: one figure for each run, over all the processes together.
    """

    def __init__(self, measure: Callable[[int], Awaitable[float]], size_bytes: int, pids: Sequence[int]) -> None:
        self.s_per_gib: list[float] = []
        self._measure = measure
        self._size_bytes = size_bytes
        self._pids = tuple(pids)

    async def run(self) -> float:
        """Measure once and return what the measurement returns."""
        before_s = sum(map(cpu_s, self._pids))
        figure = await self._measure(self._size_bytes)
        self.s_per_gib.append((sum(map(cpu_s, self._pids)) - before_s) / (self._size_bytes / GIB))
        return figure


def file_system(path: Path) -> str:
    """Return the type of the file system that holds ``path``, for example ``tmpfs``."""
    resolved = path.resolve()
    best, kind = -1, "unknown"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        mount = Path(before.split()[4].replace("\\040", " "))
        if resolved.is_relative_to(mount) and len(mount.parts) >= best:
            best, kind = len(mount.parts), after.split()[0]
    return kind


def available_memory_bytes() -> int:
    """Return what the kernel could still give out; a file system in memory takes from it."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * KIB
    raise RuntimeError("/proc/meminfo has no MemAvailable; this needs Linux 3.14 or newer.")


def check_room(directory: Path, wanted_bytes: int) -> None:
    """Refuse to go on when so many bytes would fill the file system, or the memory behind it.

    Raises:
        RuntimeError: with what to change.
    """
    free_bytes = shutil.disk_usage(directory).free
    if file_system(directory) == "tmpfs":
        free_bytes = min(free_bytes, available_memory_bytes())
    if free_bytes < wanted_bytes + SPARE_BYTES:
        raise RuntimeError(
            f"{directory} has {free_bytes // MIB} MiB left, what comes next needs {wanted_bytes // MIB} MiB and "
            f"{SPARE_BYTES // MIB} MiB to spare; replaced versions of a file take space, too. "
            "Use a smaller --size, fewer --runs, or another --directory."
        )


def touch_memory(directory: Path, size_bytes: int) -> None:
    """Fill so much of a tmpfs and free it again, so that what comes next finds memory that is really there.

    The host of a virtual machine takes back memory that was freed, within a minute; touching it again costs more than
    all the rest of a write. Systems that keep what they wrote would pay for it, and those that rewrite would not.
    """
    if file_system(directory) != "tmpfs":
        return
    check_room(directory, size_bytes)
    block = bytes(16 * MIB)
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(-(-size_bytes // len(block))):
            file.write(block)


def conditions(directory: Path, durability: str, **details: Cell) -> Conditions:
    """Return the conditions of a run with its data in ``directory``."""
    return Conditions(
        durability=durability,
        cores=len(os.sched_getaffinity(0)),
        directory=str(directory),
        file_system=file_system(directory),
        python=platform.python_version(),
        load_average=round(os.getloadavg()[0], 2),
        details=details,
    )


def print_report(report: Report, *, as_json: bool) -> None:
    """Print a report as a plain table, or as one JSON object."""
    if as_json:
        fields = asdict(report)
        fields["rows"] = [dict(zip(report.columns, row, strict=True)) for row in report.rows]
        print(json.dumps(fields, indent=2))
        return
    print(report.title)
    facts = asdict(report.conditions)
    for name, value in (facts | facts.pop("details")).items():
        if name != "details":
            print(f"  {name.replace('_', ' ')}: {value}")
    cells = [report.columns, *(tuple(str(cell) for cell in row) for row in report.rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(report.columns))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def size(text: str) -> int:
    """Return a number of bytes, at least one, from text such as ``1G``, ``256MiB`` or ``1033200``.

    Raises:
        argparse.ArgumentTypeError: for anything else.
    """
    try:
        size_bytes = parse_size(text)
    except InvalidRequest as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if size_bytes == 0:
        raise argparse.ArgumentTypeError("nothing can be measured with 0 bytes")
    return size_bytes


def run_count(text: str) -> int:
    """Return a number of runs, at least one.

    Raises:
        argparse.ArgumentTypeError: for anything else.
    """
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs; give 1 or more")
    return int(text)


def add_common_arguments(parser: argparse.ArgumentParser, *, size_default: str, runs: int | None = None) -> None:
    """Add ``--size``, ``--directory``, ``--json`` and, unless there is only one run, ``--runs``."""
    parser.add_argument(
        "--size", type=size, default=size_default, help=f"of the file, such as 64MiB; default {size_default}"
    )
    if runs is not None:
        parser.add_argument("--runs", type=run_count, default=runs, help=f"runs of each system, default {runs}")
    parser.add_argument("--directory", type=Path, help="data goes into a new directory in this one")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


@contextmanager
def data_directory(parent: Path | None) -> Iterator[Path]:
    """Give a new directory below ``parent`` (by default in memory), and remove it with its content."""
    if parent is None and MEMORY_DIRECTORY.is_dir():
        parent = MEMORY_DIRECTORY
    directory = Path(tempfile.mkdtemp(prefix="dstore-benchmark-", dir=parent))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a benchmark on uvloop; Ctrl-C and SIGTERM cancel it.

    So it ends its processes and removes its data in either case.
    """

    async def cancellable() -> None:
        task = asyncio.ensure_future(main)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await task

    try:
        uvloop.run(cancellable())
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
