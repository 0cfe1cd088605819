"""Results of many commits: ``python -m benchmarks.history`` shows each figure over time, and what became slower.

A machine is never the same twice. So a figure counts as slower only when it fell both by itself and against the bare
gRPC pipeline (or, for what that cannot do, against the machine itself) of the same run.
"""

import argparse
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import REPOSITORY, Figure, Results
from benchmarks.table import number

RESULTS_DIRECTORY = REPOSITORY / "benchmarks" / "results"
#: Medians of the same code differ by as much on a quiet machine.
TOLERANCE = 0.10
REFERENCES = (("bare grpc", "files"), ("bare grpc", "calls"), ("raw", "disk"))


@dataclass(frozen=True, slots=True)
class Change:
    """A figure of the newest results beside the median of older ones.

    Attributes:
        ratio: to the older ones; below 1 is slower.
        reference_ratio: the same after both were divided by the reference of their own run; None without one.
    """

    figure: Figure
    older: float
    ratio: float
    reference_ratio: float | None

    @property
    def is_slower(self) -> bool:
        """Whether it fell, and not only because the machine was slower."""
        relative = self.ratio if self.reference_ratio is None else self.reference_ratio
        return max(self.ratio, relative) < 1 - TOLERANCE


def file_name(results: Results) -> str:
    """Return the name of the file that keeps these results: one for each commit, in the order of time."""
    day = results.commit.committed_at.partition("T")[0] or results.started_at.partition("T")[0]
    suffix = "" if results.scale == "full" else f"-{results.scale}"
    changed = "-changed" if results.commit.has_changes else ""
    return f"{day}-{results.commit.hash[:12]}{changed}{suffix}.json"


def save(results: Results, directory: Path = RESULTS_DIRECTORY) -> Path:
    """Keep the results, in place of older ones of the same commit, and return where."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / file_name(results)
    path.write_text(results.to_json())
    return path


def load(directory: Path = RESULTS_DIRECTORY) -> list[Results]:
    """Return all results that are kept, the oldest commit first.

    Raises:
        ValueError: a file holds something else.
    """
    found = [Results.from_json(path.read_text()) for path in sorted(directory.glob("*.json"))]
    return sorted(found, key=lambda results: (results.commit.committed_at, results.started_at))


def comparable(newest: Results, others: Iterable[Results]) -> list[Results]:
    """Return those that were measured on the same machine, at the same scale, while it was quiet."""
    return [
        other
        for other in others
        if other is not newest
        and not other.is_busy
        and (other.machine.cpu, other.machine.cores) == (newest.machine.cpu, newest.machine.cores)
        and (other.scale, other.large_size_mib) == (newest.scale, newest.large_size_mib)
    ]


def changes(newest: Results, older: Sequence[Results]) -> list[Change]:
    """Compare each figure of dstore with the median of the older ones, and so what it is divided by its reference."""
    found = []
    for figure in newest.figures:
        if figure.system != "dstore" or not figure.runs:
            continue
        before = [(each, known) for each in older for known in each.figures if known.key == figure.key and known.runs]
        if not before:
            continue
        median = statistics.median(known.median for _, known in before)
        relative = [share for each, known in before if (share := _share(each, known)) is not None]
        share = _share(newest, figure)
        reference_ratio = share / statistics.median(relative) if relative and share is not None else None
        found.append(Change(figure, median, figure.median / median, reference_ratio))
    return found


def _share(results: Results, figure: Figure) -> float | None:
    """Return what a figure is of its reference in the same run; None when there is none."""
    for system, variant in REFERENCES:
        for other in results.figures:
            if other.runs and other.key == (figure.place, figure.workload, system, variant):
                return figure.median / other.median
    return None


def timeline(all_results: Sequence[Results]) -> list[str]:
    """Return a line for each figure of dstore, with its medians from the oldest to the newest commit."""
    keys = dict.fromkeys(
        figure.key for results in all_results for figure in results.figures if figure.system == "dstore"
    )
    lines = ["commits: " + " ".join(results.commit.hash[:7] for results in all_results)]
    for key in keys:
        medians = []
        for results in all_results:
            figure = next((figure for figure in results.figures if figure.key == key and figure.runs), None)
            medians.append("–" if figure is None else number(figure.median))
        place, workload, _, variant = key
        lines.append(f"  {place:6} {workload:22} {variant:14} {'  '.join(medians)}")
    return lines


def main() -> int:
    """Show the history; with ``--check``, return 1 when the newest commit is slower than those before."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("--directory", type=Path, default=RESULTS_DIRECTORY, help="where results are kept")
    parser.add_argument("--check", action="store_true", help="exit with 1 when something became slower")
    arguments = parser.parse_args()
    everything = load(arguments.directory)
    if not everything:
        print(f"No results are kept in {arguments.directory} yet; `make bench` writes them.")
        return 0
    newest = everything[-1]
    older = comparable(newest, everything)
    print("\n".join(timeline([*older, newest])))
    if newest.is_busy:
        print(f"The machine was busy: the load was {newest.load_before} before the newest run. Measure again.")
    slower = [change for change in changes(newest, older) if change.is_slower]
    for change in slower:
        figure = change.figure
        against = "" if change.reference_ratio is None else f", {change.reference_ratio:.0%} against the reference"
        print(
            f"SLOWER  {figure.place} {figure.workload} {figure.variant}: {number(figure.median)} {figure.unit}, "
            f"before {number(change.older)} ({change.ratio:.0%}{against})"
        )
    if not slower:
        print(f"Nothing is slower by more than {TOLERANCE:.0%} than the median of {len(older)} older results.")
    return int(arguments.check and bool(slower))


if __name__ == "__main__":
    sys.exit(main())
