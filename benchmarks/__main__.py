"""``make bench``: dstore, its peers and the machine itself, in one run and one table."""

import argparse
import fnmatch
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from benchmarks import chart, history, table
from benchmarks.figures import Commit, Figure, Machine, Results, now
from benchmarks.harness import MEMORY_DIRECTORY, MIB, data_directory, run, run_count, size
from benchmarks.measuring import Opener, measure_place
from benchmarks.recovery_figures import measure_recovery
from benchmarks.systems.bare import open_bare
from benchmarks.systems.ceph import open_ceph
from benchmarks.systems.dstore import open_dstore
from benchmarks.systems.raw import open_raw
from benchmarks.systems.seaweedfs import open_seaweedfs
from benchmarks.workloads import Scale, workloads

OPENERS: dict[str, Opener] = {
    "dstore": open_dstore,
    "seaweedfs": open_seaweedfs,
    "bare": open_bare,
    "raw": open_raw,
}
#: Only on demand: what pip does not bring.
PEERS: dict[str, Opener] = {"ceph": open_ceph}
PLACES = ("tmpfs", "disk")
#: Needs a cluster of its own, and so is not among ``workloads``.
RECOVERY = "recovery"


def patterns(text: str) -> tuple[str, ...]:
    """Return the patterns of workloads in ``text``.

    Raises:
        argparse.ArgumentTypeError: one of them names no workload.
    """
    given = tuple(text.split(","))
    names = [*(each.name for each in workloads(Scale.full())), RECOVERY]
    for pattern in given:
        if not fnmatch.filter(names, pattern):
            raise argparse.ArgumentTypeError(f"no workload is like {pattern!r}; there are {', '.join(names)}")
    return given


def parse_arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small data and two runs: minutes instead of an hour")
    parser.add_argument("--runs", type=run_count, help="runs of each system that count")
    parser.add_argument("--size", type=size, help="of the large file, such as 256MiB")
    parser.add_argument("--places", default=",".join(PLACES), help="tmpfs, disk or both, separated by a comma")
    parser.add_argument("--systems", default=",".join(OPENERS), help="which, separated by commas")
    parser.add_argument("--peers", default="", help="further systems, separated by commas: ceph")
    parser.add_argument(
        "--workloads",
        type=patterns,
        default=("*",),
        metavar="PATTERNS",
        help="which, separated by commas, such as '*-large,put-many'",
    )
    parser.add_argument("--disk", type=Path, default=Path(tempfile.gettempdir()), help="a directory on a real disk")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file, too")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the headlines into this PNG file")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables to this file")
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results")
    arguments = parser.parse_args()
    for names, known in ((arguments.places, PLACES), (arguments.systems, OPENERS), (arguments.peers, PEERS)):
        for name in filter(None, names.split(",")):
            if name not in known:
                parser.error(f"there is no {name!r}; choose from {', '.join(known)}")
    return arguments


def scale_of(arguments: argparse.Namespace) -> Scale:
    """Return how much is to be moved."""
    scale = Scale.quick() if arguments.quick else Scale.full()
    if arguments.runs is not None:
        scale = replace(scale, runs=arguments.runs)
    if arguments.size is not None:
        scale = replace(scale, large_size_bytes=arguments.size)
    return scale


async def measure(arguments: argparse.Namespace) -> Results:
    """Measure at all places; tell each figure on standard error, and keep what there is in ``--json``, as it comes."""
    scale = scale_of(arguments)
    results = Results(
        commit=Commit.here(),
        machine=Machine.here(),
        scale=scale.name,
        large_size_mib=scale.large_size_bytes // MIB,
        started_at=now(),
        load_before=load_average(),
        load_after=0.0,
        figures=(),
    )
    async for figure in figures(arguments, scale):
        cells = table.row(figure)
        print(
            f"  {cells[0]:26} {cells[1]:>8} {cells[2]:6} {table.cost(figure) or cells[-1]}", file=sys.stderr, flush=True
        )
        results = replace(results, figures=(*results.figures, figure), load_after=load_average())
        if arguments.json:
            arguments.json.write_text(results.to_json())
    return results


async def figures(arguments: argparse.Namespace, scale: Scale) -> AsyncIterator[Figure]:
    """Measure what the command line asks for."""
    chosen = {each.name for each in workloads(scale) if is_chosen(each.name, arguments)}
    # What a workload needs runs before it, also when only this one was asked for.
    for each in reversed(workloads(scale)):
        if each.name in chosen and each.needs:
            chosen.add(each.needs)
    systems = [name for name in f"{arguments.systems},{arguments.peers}".split(",") if name]
    openers = {name: (OPENERS | PEERS)[name] for name in systems}
    for place in arguments.places.split(","):
        with data_directory(MEMORY_DIRECTORY if place == "tmpfs" else arguments.disk) as directory:
            tasks = [each for each in workloads(scale) if each.name in chosen]
            async for figure in measure_place(place, directory, scale, tasks, openers):
                yield figure
            if is_chosen(RECOVERY, arguments):
                async for figure in measure_recovery(place, directory, scale, systems):
                    yield figure


def is_chosen(name: str, arguments: argparse.Namespace) -> bool:
    """Return whether the command line asks for a workload."""
    return any(fnmatch.fnmatch(name, pattern) for pattern in arguments.workloads)


def load_average() -> float:
    """Return that of the last minute."""
    return round(os.getloadavg()[0], 2)


async def main() -> None:
    """Entry point; the exit code is 1 when a figure is missing because something failed."""
    arguments = parse_arguments()
    results = await measure(arguments)
    print(table.terminal(results))
    if arguments.json:
        arguments.json.write_text(results.to_json())
    if arguments.markdown:
        arguments.markdown.write_text(table.markdown(results))
    if arguments.chart:
        with suppress(ValueError):
            chart.draw(results, arguments.places.partition(",")[0], arguments.chart)
    if arguments.save:
        print(f"Kept in {history.save(results)}; `python -m benchmarks.history` compares.")
    if any(not figure.runs for figure in results.figures):
        sys.exit(1)


if __name__ == "__main__":
    run(main())
