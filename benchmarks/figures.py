"""Figures, the machine that they were measured on, and the JSON that they are kept in."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from benchmarks.workloads import GIB, MIB

REPOSITORY = Path(__file__).parent.parent
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run gave.

    Attributes:
        value: in the unit of the workload.
        cpu_s: of the client and all servers together.
        size_bytes: of the data that was moved, counted once; 0 when it was about names.
        operations: files, ranges or names; 0 for one large file.
        client_peak_bytes: beyond the data that the caller itself holds.
        server_peak_bytes: of the largest server.
        servers_peak_bytes: of all servers together.
    """

    value: float
    cpu_s: float
    size_bytes: int
    operations: int
    client_peak_bytes: int
    server_peak_bytes: int
    servers_peak_bytes: int


@dataclass(frozen=True, slots=True)
class Figure:
    """What a system reached in one workload at one place, or why it did not.

    Attributes:
        place: ``tmpfs`` or ``disk``: where its data is.
        runs: the values of the runs that count.
        first_run: the value of the run before them, which met files, connections and space that nobody had used yet.
        cpu_s_per_gib: median; None when no data was moved.
        cpu_us_per_operation: median; None for one large file.
        error: why there is no figure.
    """

    place: str
    workload: str
    title: str
    unit: str
    system: str
    variant: str
    durability: str
    runs: tuple[float, ...] = ()
    first_run: float | None = None
    cpu_s_per_gib: float | None = None
    cpu_us_per_operation: float | None = None
    client_peak_mib: float | None = None
    server_peak_mib: float | None = None
    servers_peak_mib: float | None = None
    error: str | None = None

    @property
    def median(self) -> float:
        """The median of the runs.

        Raises:
            statistics.StatisticsError: there were none.
        """
        return statistics.median(self.runs)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What stays the same from commit to commit."""
        return (self.place, self.workload, self.system, self.variant)


def summarize(samples: Sequence[Sample]) -> dict[str, Any]:
    """Return the fields of a figure that follow from its runs; medians of the costs, and the largest peaks."""
    with_data = [sample for sample in samples if sample.size_bytes]
    with_operations = [sample for sample in samples if sample.operations]
    return {
        "runs": tuple(round(sample.value, 3) for sample in samples),
        "cpu_s_per_gib": _median([sample.cpu_s / (sample.size_bytes / GIB) for sample in with_data]),
        "cpu_us_per_operation": _median([sample.cpu_s * 1e6 / sample.operations for sample in with_operations]),
        "client_peak_mib": _largest([sample.client_peak_bytes for sample in samples]),
        "server_peak_mib": _largest([sample.server_peak_bytes for sample in samples]),
        "servers_peak_mib": _largest([sample.servers_peak_bytes for sample in samples]),
    }


def _median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 3) if values else None


def _largest(values: Sequence[int]) -> float | None:
    return round(max(values) / MIB, 1) if values else None


@dataclass(frozen=True, slots=True)
class Machine:
    """What the figures of two commits must have in common to be compared."""

    cpu: str
    cores: int
    memory_gib: int
    kernel: str
    python: str

    @classmethod
    def here(cls) -> Self:
        """Return the facts of this machine."""
        memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(
            _cpu(),
            len(os.sched_getaffinity(0)),
            round(memory_bytes / GIB),
            platform.release(),
            platform.python_version(),
        )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


@dataclass(frozen=True, slots=True)
class Commit:
    """Which code was measured."""

    hash: str
    committed_at: str
    has_changes: bool

    @classmethod
    def here(cls) -> Self:
        """Return what is checked out; without git, nothing is known."""
        try:
            shown = _git("show", "--no-patch", "--format=%H %cI", "HEAD").split()
            changes = _git("status", "--porcelain", "--untracked-files=no", "dstore", "benchmarks")
        except (OSError, subprocess.CalledProcessError):
            return cls("unknown", "", True)
        return cls(shown[0], shown[1], bool(changes.strip()))


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout


@dataclass(frozen=True, slots=True)
class Results:
    """All figures of one run, and under which conditions they came about.

    Attributes:
        load_before, load_after: the load average of a minute; the machine is quiet when the first is near 0.
    """

    commit: Commit
    machine: Machine
    scale: str
    large_size_mib: int
    started_at: str
    load_before: float
    load_after: float
    figures: tuple[Figure, ...]

    @property
    def is_busy(self) -> bool:
        """Whether others were at work on the machine, so that only ratios and CPU time say something."""
        return self.load_before > self.machine.cores / 2

    def to_json(self) -> str:
        """Return the text that ``from_json`` reads."""
        return json.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the results that ``to_json`` wrote.

        Raises:
            ValueError: the text is something else.
        """
        fields: dict[str, Any] = json.loads(text)
        if fields.pop("format_version", None) != FORMAT_VERSION:
            raise ValueError("These are no results that this version reads; measure again.")
        fields["commit"] = Commit(**fields["commit"])
        fields["machine"] = Machine(**fields["machine"])
        fields["figures"] = tuple(Figure(**{**each, "runs": tuple(each["runs"])}) for each in fields["figures"])
        return cls(**fields)


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
