"""Recovery as figures of the one table: a server is killed for good, and its copies are made again elsewhere."""

import sys
from collections.abc import Collection
from pathlib import Path

from benchmarks.figures import Figure, Sample, summarize
from benchmarks.recovery import DURABILITY, lose_one
from benchmarks.workloads import MIB, Scale

TITLE = "recovery: one of 5 servers lost, copied again"


async def measure_recovery(place: str, directory: Path, scale: Scale, systems: Collection[str]) -> list[Figure]:
    """Lose a server of a new cluster, as often as runs count, and return the figures."""
    if "dstore" not in systems:
        return []
    print(f"{place}: {TITLE}", file=sys.stderr, flush=True)
    samples = []
    error = None
    for index in range(scale.runs):
        home = directory / f"recovery-{index}"
        home.mkdir()
        try:
            recovery, _ = await lose_one(home, scale.recovery_size_bytes)
        except (RuntimeError, OSError, TimeoutError) as failure:
            error = str(failure)
            break
        peaks = [round(peak * MIB) for peak in recovery.peaks_mib.values()]
        samples.append(Sample(recovery.mib_per_s, recovery.cpu_s, recovery.copied_bytes, 0, 0, max(peaks), sum(peaks)))
    fields = summarize(samples) if error is None else {"error": error}
    return [Figure(place, "recovery", TITLE, "MiB/s", "dstore", "synced", DURABILITY, **fields)]
