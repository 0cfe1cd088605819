"""Runs seeds: ``python -m simulation --seed 1 --seeds 1000``; prints one line that replays each failure."""

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from simulation.mutations import MUTATIONS
from simulation.run import Outcome, run_seed

#: Python's hashes of texts must be the same in every run, or sets have another order.
HASH_SEED = "0"


def main() -> int:
    """Run the seeds of the command line; return 1 when one of them failed."""
    parser = argparse.ArgumentParser(prog="simulation", description="Simulate clusters in which things break.")
    parser.add_argument("--seed", type=int, default=None, help="the first seed; by default one that is new")
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many at once")
    parser.add_argument("--mutation", choices=tuple(MUTATIONS), help="a defect to put into the code first")
    parser.add_argument("--stop", action="store_true", help="stop at the first failure")
    parser.add_argument("--verbose", action="store_true", help="show the last events of every run")
    arguments = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:
        os.execve(sys.executable, [sys.executable, "-m", "simulation", *sys.argv[1:]], _environment())
    first = int(time.time()) % 1_000_000_000 if arguments.seed is None else arguments.seed
    seeds = range(first, first + arguments.seeds)
    if arguments.mutation:
        MUTATIONS[arguments.mutation].apply()
    outcomes = _run_all(seeds, arguments.processes)
    return _report(seeds, outcomes, verbose=arguments.verbose, stop=arguments.stop)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONHASHSEED": HASH_SEED}


def _run_all(seeds: range, processes: int) -> Iterator[Outcome]:
    if processes == 1 or len(seeds) == 1:
        yield from map(run_seed, seeds)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("fork"), max_tasks_per_child=None) as pool:
        try:
            for future in as_completed([pool.submit(run_seed, seed) for seed in seeds]):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _report(seeds: range, outcomes: Iterator[Outcome], *, verbose: bool, stop: bool) -> int:
    started_s = time.monotonic()
    failed: list[int] = []
    faults: Counter[str] = Counter()
    commands: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    print(f"seeds {seeds[0]} to {seeds[-1]} at commit {_commit()}")
    for done, outcome in enumerate(outcomes, start=1):
        faults.update(outcome.faults)
        commands.update(outcome.commands)
        totals.update(
            operations=outcome.operations,
            acknowledged=outcome.acknowledged,
            replicated=outcome.replicated,
            lost=outcome.lost,
            undecided=outcome.undecided,
            steps=outcome.steps,
            virtual_s=int(outcome.virtual_s),
        )
        if outcome.violations or verbose:
            print("\n".join(outcome.tail))
        if outcome.violations:
            failed.append(outcome.seed)
            print(f"FAILED at commit {_commit()}, replay with: make sim SEED={outcome.seed} SEEDS=1")
            for violation in outcome.violations:
                print(f"  {violation}")
        if len(seeds) == 1:
            print(f"trace {outcome.digest}")
        elif done % 100 == 0:
            print(f"{done} of {len(seeds)} seeds, {len(failed)} failed, {time.monotonic() - started_s:.0f} s")
        sys.stdout.flush()
        if failed and stop:
            break
    print(
        f"{done} seeds in {time.monotonic() - started_s:.0f} s: {totals['operations']} operations, "
        f"{totals['acknowledged']} chunks acknowledged ({totals['replicated']} copies before they were synced, "
        f"{totals['lost']} chunks lost so), {sum(faults.values())} faults in "
        f"{totals['virtual_s'] / 3600:.1f} simulated hours; {totals['undecided']} histories undecided"
    )
    print("faults: " + ", ".join(f"{kind} {count}" for kind, count in faults.most_common()))
    print("operators: " + ", ".join(f"{kind} {count}" for kind, count in sorted(commands.items())))
    print(f"{len(failed)} seeds failed" + (f": {failed}" if failed else ""))
    return 1 if failed else 0


def _commit() -> str:
    root = Path(__file__).parent
    answer = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, check=False)
    return answer.stdout.decode().strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
