"""Runs the workloads: all systems open at once, one run of each in turn, memory and CPU of each run counted."""

import shutil
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.clients.protocol import Moved, Request
from benchmarks.figures import Figure, Sample, summarize
from benchmarks.harness import alternate, check_room, cpu_s, peak_rss_bytes, reset_peak_rss, touch_memory
from benchmarks.systems.base import Session, Variant
from benchmarks.workloads import MIB, Scale, Unit, Workload

Opener = Callable[[Path], AbstractAsyncContextManager[Session]]
_LARGE = "write-large"


@dataclass(slots=True)
class Bench:
    """A running system, and what the runs so far left behind in it.

    Attributes:
        tags: of the runs of each workload, by its name.
        large: tags of the large files that exist.
    """

    session: Session
    directory: Path
    tags: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    large: list[str] = field(default_factory=list)

    async def drop_large(self) -> None:
        """Remove the large files and wait until their space is free."""
        if not self.large:
            return
        for tag in self.large:
            await self.session.client.run(_plain("drop-large", tag))
        self.large.clear()
        await self.session.reclaim()

    async def forget_large(self) -> None:
        """Remove the large files, and what they were made from; a system that cannot may keep them."""
        with suppress(RuntimeError, OSError):
            await self.drop_large()
            await self.session.client.run(_plain("drop-source"))


def _plain(verb: str, tag: str = "") -> Request:
    return Request(verb, 0, 0, 1, "synced", tag, 0)


class Contest:
    """One variant of one system in one workload."""

    def __init__(self, bench: Bench, workload: Workload, variant: Variant) -> None:
        self.error: str | None = None
        self.samples: list[Sample] = []
        self._bench = bench
        self._workload = workload
        self._variant = variant

    @property
    def name(self) -> str:
        """System and variant."""
        return f"{self._bench.session.name} {self._variant.name}"

    async def run(self) -> float:
        """Do one run and return its value; after one that failed, nothing any more."""
        if self.error is None:
            try:
                self.samples.append(await self._measure(len(self.samples)))
                return self.samples[-1].value
            except (RuntimeError, OSError) as error:
                self.error = f"{error}"
        return 0.0

    async def _measure(self, index: int) -> Sample:
        workload, session = self._workload, self._bench.session
        request = Request(
            verb=workload.verb,
            size_bytes=workload.size_bytes,
            count=workload.count,
            callers=workload.callers,
            variant=self._variant.name,
            tag=self._tag(index),
            seed=index,
        )
        if workload.verb == _LARGE:
            await self._bench.drop_large()
            check_room(self._bench.directory, workload.size_bytes * session.copies)
            touch_memory(self._bench.directory, workload.size_bytes * session.copies)
            self._bench.large.append(request.tag)
        servers = tuple(session.pids().values())
        pids = (session.client.pid, *servers)
        for pid in pids:
            reset_peak_rss(pid)
        before_s = sum(map(cpu_s, pids))
        moved = await session.client.run(request)
        used_s = sum(map(cpu_s, pids)) - before_s
        self._bench.tags[workload.name].append(request.tag)
        peaks = [peak_rss_bytes(pid) for pid in servers]
        return sample(workload, moved, used_s, peak_rss_bytes(session.client.pid), peaks)

    def _tag(self, index: int) -> str:
        """Return the tag of the run that this one reads from or changes, else a new one.

        Raises:
            RuntimeError: that run failed.
        """
        needed = self._workload.needs
        if needed is None:
            return f"{self._workload.name}-{self._variant.name}-{index}"
        tags = self._bench.tags[needed]
        if not tags or (self._workload.is_consuming and index >= len(tags)):
            raise RuntimeError(f"There is nothing to work on, because {needed} did not work.")
        return tags[index] if self._workload.is_consuming else tags[-1]

    def figure(self, place: str, warm_up_runs: int) -> Figure:
        """Return what came out; the first runs do not count."""
        empty = Figure(
            place=place,
            workload=self._workload.name,
            title=self._workload.title,
            unit=self._workload.unit.value,
            system=self._bench.session.name,
            variant=self._variant.name,
            durability=self._variant.durability,
        )
        if self.error is not None:
            return replace(empty, error=self.error)
        first_run = round(self.samples[0].value, 3) if warm_up_runs else None
        return replace(empty, first_run=first_run, **summarize(self.samples[warm_up_runs:]))


def sample(workload: Workload, moved: Moved, used_s: float, client_peak_bytes: int, peaks: Sequence[int]) -> Sample:
    """Return what one run gave, from what its client said and what its processes used."""
    amount = moved.size_bytes / MIB if workload.unit is Unit.MIB_PER_S else moved.operations
    return Sample(
        value=amount / max(moved.duration_s, 1e-9),
        cpu_s=used_s,
        size_bytes=moved.size_bytes,
        operations=moved.operations,
        client_peak_bytes=moved.child_peak_bytes or max(0, client_peak_bytes - moved.caller_bytes),
        server_peak_bytes=max(peaks, default=0),
        servers_peak_bytes=sum(peaks),
    )


async def measure_place(
    place: str, directory: Path, scale: Scale, chosen: Iterable[Workload], openers: Mapping[str, Opener]
) -> AsyncIterator[Figure]:
    """Open all systems with their data below ``directory`` and yield figure after figure.

    A peer that does not start, or fails, costs its own figures only.
    """
    async with AsyncExitStack() as stack:
        benches = []
        for name, opener in openers.items():
            target = directory / name
            # What comes next needs the room.
            stack.callback(shutil.rmtree, target, ignore_errors=True)
            try:
                session = await stack.enter_async_context(opener(target))
            except (RuntimeError, OSError, TimeoutError) as error:
                yield Figure(place, "start", "start of the servers", "", name, "", "", error=str(error))
                continue
            benches.append(Bench(session, directory))
        for workload in chosen:
            async for figure in _measure_workload(place, scale, workload, benches):
                yield figure


async def _measure_workload(
    place: str, scale: Scale, workload: Workload, benches: Sequence[Bench]
) -> AsyncIterator[Figure]:
    if _LARGE not in {workload.verb, workload.needs}:
        for bench in benches:
            await bench.forget_large()
    contests = [Contest(bench, workload, variant) for bench in benches for variant in bench.session.variants(workload)]
    print(f"{place}: {workload.title}", file=sys.stderr, flush=True)
    await alternate({contest.name: contest.run for contest in contests}, runs=scale.runs, warm_up_runs=1)
    for contest in contests:
        yield contest.figure(place, 1)
