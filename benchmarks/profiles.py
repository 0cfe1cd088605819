"""Where the time goes: ``python -m benchmarks.profiles WORKLOAD`` samples the processes of dstore while they work.

Needs py-spy, which ``make bench`` installs, and the right to look into other processes. Prints, for the client, the
master and one chunkserver, the functions in which the samples were taken, and can keep the stacks for a flame graph.
"""

import argparse
import asyncio
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.clients.protocol import Request
from benchmarks.harness import data_directory, run, size
from benchmarks.systems.base import Session
from benchmarks.systems.dstore import open_dstore
from benchmarks.workloads import Scale, Workload, workloads

RATE_HZ = 200
ROWS = 14
#: Innermost functions of threads that wait.
_WAITING = (
    *("epoll_wait", "epoll_pwait", "pthread_cond_wait", "pthread_cond_timedwait", "sem_wait", "sem_timedwait"),
    *("Thread.run", "Runner.run", "acquire_timed", "PyThread_acquire_lock_timed", "clock_nanosleep", "select"),
)
_LINE = re.compile(r":\d+\)")


def shares(stacks: Iterable[str]) -> list[tuple[float, str]]:
    """Return, from collapsed stacks (``a;b;c 17``), the share of each innermost function, the largest first.

    One that has no name counts for the function that called it. Threads that wait do not count.
    """
    counts: Counter[str] = Counter()
    for line in stacks:
        stack, _, count = line.strip().rpartition(" ")
        frames = _LINE.sub(")", stack).split(";")
        nameless = 0
        while len(frames) > 1 and frames[-1].startswith("0x"):
            frames.pop()
            nameless += 1
        leaf = frames[-1]
        if leaf and not leaf.startswith(_WAITING):
            counts[f"below {leaf}" if nameless else leaf] += int(count)
    total = counts.total()
    return [(count / total, leaf) for leaf, count in counts.most_common()]


@asynccontextmanager
async def _sampled(pids: dict[str, int], directory: Path, *, native: bool) -> AsyncIterator[None]:
    """Sample the processes while the block runs; their stacks are in ``directory`` afterwards."""
    beside = Path(sys.executable).parent / "py-spy"
    program = str(beside) if beside.exists() else shutil.which("py-spy")
    if program is None:
        raise RuntimeError("The program py-spy is missing; `make bench` installs it, as does requirements/bench.lock.")
    samplers = []
    for name, pid in pids.items():
        command = [program, "record", "--format", "raw", "--rate", str(RATE_HZ), "--duration", "600", "--function"]
        command += [*(["--native"] if native else []), "--output", str(directory / f"{name}.stacks"), "--pid", str(pid)]
        output = (directory / f"{name}.log").open("wb")
        samplers.append(await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output))
    try:
        yield
    finally:
        for sampler in samplers:
            if sampler.returncode is None:
                sampler.send_signal(2)  # it then writes what it has
        for sampler in samplers:
            await sampler.wait()


def _request(workload: Workload, variant: str, tag: str) -> Request:
    return Request(workload.verb, workload.size_bytes, workload.count, workload.callers, variant, tag, 0)


async def _work(session: Session, workload: Workload, variant: str, source: str, seconds: float) -> int:
    """Run the workload again and again; return how often."""
    start_s = time.monotonic()
    count = 0
    while count == 0 or time.monotonic() < start_s + seconds:
        tag = source or f"profile-{start_s}-{count}"
        await session.client.run(_request(workload, variant, tag))
        if workload.verb == "write-large":
            await session.client.run(_request(workload, variant, tag).dropping())
        count += 1
    return count


async def profile(directory: Path, arguments: argparse.Namespace) -> None:
    """Run and print.

    Raises:
        RuntimeError: py-spy is missing, or the workload does not work.
    """
    scale = replace(Scale.full(), large_size_bytes=arguments.size)
    chosen = {each.name: each for each in workloads(scale)}
    workload = chosen[arguments.workload]
    async with open_dstore(directory / "dstore") as session:
        variants = [each.name for each in session.variants(workload)]
        variant = arguments.variant or variants[-1]
        if variant not in variants:
            raise RuntimeError(
                f"There is no variant {variant!r} of {workload.name}; choose from {', '.join(variants)}."
            )
        source = ""
        if workload.needs:
            source = "profile-source"
            needed = chosen[workload.needs]
            await session.client.run(_request(needed, session.variants(needed)[-1].name, source))
        # What is imported, connected and allocated once is no part of the picture.
        await _work(session, workload, variant, source, 0.0)
        pids = {"client": session.client.pid, **{name: session.pids()[name] for name in ("master", "cs-1")}}
        output = arguments.stacks or directory
        output.mkdir(parents=True, exist_ok=True)
        async with _sampled(pids, output, native=arguments.native):
            count = await _work(session, workload, variant, source, arguments.seconds)
    print(f"{workload.title}, {variant}: {count} runs in {arguments.seconds:g} s")
    for name in pids:
        stacks = (output / f"{name}.stacks").read_text().splitlines()
        print(f"\n{name}")
        for share, leaf in shares(stacks)[:ROWS]:
            print(f"  {share:6.1%}  {leaf}")


async def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiles", description=__doc__)
    names = [each.name for each in workloads(Scale.full()) if not each.is_consuming]
    parser.add_argument("workload", choices=names, help="as in the table of `make bench`")
    parser.add_argument("--variant", help="of the workload, such as replicated or short-circuit")
    parser.add_argument("--seconds", type=float, default=10.0, help="of work, default 10")
    parser.add_argument("--native", action="store_true", help="look into the functions of C and C++, too")
    parser.add_argument("--stacks", type=Path, help="keep the stacks here, for flame graphs")
    parser.add_argument("--size", type=size, default="256MiB", help="of a large file, default 256MiB")
    parser.add_argument("--directory", type=Path, help="data goes into a new directory in this one")
    arguments = parser.parse_args()
    with data_directory(arguments.directory) as directory:
        await profile(directory, arguments)


if __name__ == "__main__":
    run(main())
