import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.clients.protocol import Moved, Request, error_line
from benchmarks.figures import Figure
from benchmarks.measuring import Opener, measure_place, sample
from benchmarks.systems.base import Variant
from benchmarks.workloads import MIB, Scale, Unit, Workload

SCALE = Scale("tiny", MIB, 2, 1, 1, 1, MIB)
WRITE = Workload("write", "write", "write", Unit.PER_S, 0, 3)
READ = Workload("read", "read", "read", Unit.PER_S, 0, 3, needs="write")
CHANGE = Workload("change", "change", "change", Unit.PER_S, 0, 3, needs="write", is_consuming=True)


class Recorder:
    """A system, with its client, that notes what it was asked to do; some verbs fail."""

    name = "recorder"
    copies = 1
    pid = os.getpid()

    def __init__(self, *bad: str) -> None:
        self.requests: list[tuple[str, str, str]] = []
        self._bad = bad

    @property
    def client(self) -> "Recorder":
        return self

    async def run(self, request: Request) -> Moved:
        self.requests.append((request.verb, request.variant, request.tag))
        if request.verb in self._bad:
            raise RuntimeError(f"cannot {request.verb}")
        return Moved(0.5, operations=request.count)

    def pids(self) -> Mapping[str, int]:
        return {"server": os.getpid()}

    def variants(self, workload: Workload) -> tuple[Variant, ...]:
        names = ("fast", "safe") if workload.needs is None else ("safe",)
        return tuple(Variant(name, f"{name} indeed") for name in names)

    async def reclaim(self) -> None:
        """Nothing was stored."""


async def figures_of(recorder: Recorder, *workloads: Workload) -> list[Figure]:
    @asynccontextmanager
    async def opened(_: Path) -> AsyncIterator[Recorder]:
        yield recorder

    opener: Opener = opened  # type: ignore[assignment] # the recorder is its own client
    return [figure async for figure in measure_place("tmpfs", Path("/"), SCALE, workloads, {"recorder": opener})]


async def test_runs_alternate_and_the_first_round_does_not_count() -> None:
    recorder = Recorder()
    fast, safe = await figures_of(recorder, WRITE)
    assert [request for request in recorder.requests if request[0] == "write"] == [
        ("write", variant, f"write-{variant}-{index}") for index in range(3) for variant in ("fast", "safe")
    ]
    assert (fast.runs, safe.runs) == ((6.0, 6.0), (6.0, 6.0))
    assert fast.first_run == 6.0
    assert safe.durability == "safe indeed"
    assert safe.client_peak_mib is not None


async def test_what_reads_finds_what_was_written_last() -> None:
    recorder = Recorder()
    await figures_of(recorder, WRITE, READ)
    assert {tag for verb, _, tag in recorder.requests if verb == "read"} == {"write-safe-2"}


async def test_what_changes_its_source_gets_another_one_in_each_run() -> None:
    recorder = Recorder()
    await figures_of(recorder, WRITE, CHANGE)
    tags = [tag for verb, _, tag in recorder.requests if verb == "change"]
    assert len(set(tags)) == 3


async def test_a_failure_costs_its_own_figure_and_what_needs_it() -> None:
    figures = await figures_of(Recorder("write"), WRITE, READ)
    assert [(figure.workload, figure.error) for figure in figures] == [
        ("write", "cannot write"),
        ("write", "cannot write"),
        ("read", "There is nothing to work on, because write did not work."),
    ]


async def test_a_peer_that_does_not_start_is_one_row() -> None:
    @asynccontextmanager
    async def missing(directory: Path) -> AsyncIterator[Recorder]:
        if directory.name == "peer":
            raise RuntimeError("not installed")
        yield Recorder()

    opener: Opener = missing  # type: ignore[assignment] # it never gives anything
    (figure,) = [figure async for figure in measure_place("tmpfs", Path("/"), SCALE, (WRITE,), {"peer": opener})]
    assert (figure.system, figure.workload, figure.error) == ("peer", "start", "not installed")


@pytest.mark.parametrize(
    ("moved", "value", "client_peak_bytes"),
    [
        pytest.param(Moved(2.0, 64 * MIB, caller_bytes=60 * MIB), 32.0, 40 * MIB, id="the caller's data is left out"),
        pytest.param(Moved(2.0, 64 * MIB, child_peak_bytes=7 * MIB), 32.0, 7 * MIB, id="a program did the work"),
        pytest.param(Moved(2.0, 64 * MIB, caller_bytes=200 * MIB), 32.0, 0, id="not all of the data was touched"),
    ],
)
def test_memory_of_the_client(moved: Moved, value: float, client_peak_bytes: int) -> None:
    large = Workload("large", "large", "large", Unit.MIB_PER_S, 64 * MIB)
    counted = sample(large, moved, 1.5, 100 * MIB, [3, 5])
    assert (counted.value, counted.client_peak_bytes) == (value, client_peak_bytes)
    assert (counted.server_peak_bytes, counted.servers_peak_bytes) == (5, 8)


def test_requests_and_answers_survive_the_pipe() -> None:
    request = Request("write", 1, 2, 3, "safe", "write-safe-0", 4)
    assert Request.from_line(request.to_line()) == request
    moved = Moved(0.5, 1, 2, 3, 4)
    assert Moved.from_line(moved.to_line()) == moved


def test_the_first_of_many_failures_is_told() -> None:
    group = ExceptionGroup("many", [ExceptionGroup("inner", [OSError("disk gone")]), ValueError("later")])
    with pytest.raises(RuntimeError, match="OSError: disk gone"):
        Moved.from_line(error_line(group))
