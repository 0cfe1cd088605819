"""Runs every benchmark with its default settings, one after the other; this is ``make bench``."""

import argparse
import subprocess
import sys
from pathlib import Path

#: Each in a process of its own: what one leaves in memory must not count for the next.
BENCHMARKS = ("throughput", "memory", "recovery", "planner", "recovery_time")


def main() -> int:
    """Run all and return 1 if one of them is broken."""
    argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"Runs {', '.join(BENCHMARKS)} with their default settings, which takes minutes; "
        "`python -m benchmarks.throughput --help` shows the settings of one.",
    ).parse_args()
    codes = [
        subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"], cwd=Path(__file__).parent.parent, check=False
        ).returncode
        for name in BENCHMARKS
    ]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
