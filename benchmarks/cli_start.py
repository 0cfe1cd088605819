"""How long a person waits for the command: ``dstore --help``, ``--version`` and ``status``, beside Python alone.

Goal, reported and not enforced: ``--help`` in less than 200 ms.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.harness import Report, conditions, median, print_report, run_count
from dstore.testing import LocalCluster

RUNS_DEFAULT = 21
HELP_GOAL_MS = 200


def duration_ms(command: list[str], environ: dict[str, str]) -> float:
    """Run a command that must succeed, and return how long it took."""
    started = time.perf_counter()
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - started) * 1000


def measure(runs: int) -> Report:
    """Measure all commands in turns; the first turn, which fills caches, does not count."""
    dstore = str(Path(sys.executable).with_name("dstore"))
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "dstore --version": [dstore, "--version"],
        "dstore --help": [dstore, "--help"],
        "dstore put --help": [dstore, "put", "--help"],
        "dstore status": [dstore, "status"],
    }
    with LocalCluster() as cluster:
        environ = {**os.environ, **cluster.environment}
        turns = [{name: duration_ms(command, environ) for name, command in commands.items()} for _ in range(runs + 1)]
        measured = {name: [turn[name] for turn in turns[1:]] for name in commands}
        return Report(
            "Start of the command",
            conditions(cluster.directory, "none", runs=runs, help_goal_ms=HELP_GOAL_MS),
            ("command", "median ms", "fastest ms", "slowest ms"),
            tuple(
                (name, round(median(values)), round(min(values)), round(max(values)))
                for name, values in measured.items()
            ),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=run_count, default=RUNS_DEFAULT, help=f"of each command, default {RUNS_DEFAULT}")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    given = parser.parse_args()
    print_report(measure(given.runs), as_json=given.json)


if __name__ == "__main__":
    main()
