"""Recovery as figures of the one table: a server is killed for good, and its copies are made again elsewhere."""

import sys
from collections.abc import AsyncIterator, Collection
from pathlib import Path

from benchmarks.clients.protocol import Request
from benchmarks.figures import Figure, Sample, summarize
from benchmarks.harness import check_room, cpu_s, data_directory, peak_rss_bytes
from benchmarks.recovery import CHUNKSERVERS, DURABILITY, lose_one
from benchmarks.systems import seaweedfs
from benchmarks.workloads import MIB, Scale, Unit

TITLE = f"recovery of one of {CHUNKSERVERS} servers"


async def measure_recovery(
    place: str, directory: Path, scale: Scale, systems: Collection[str]
) -> AsyncIterator[Figure]:
    """Lose a server of a new cluster, as often as runs count, and yield the figure of each system."""
    print(f"{place}: {TITLE}", file=sys.stderr, flush=True)
    known = {
        "dstore": (_lose_chunkserver, "synced", DURABILITY),
        "seaweedfs": (_lose_volume_server, "weed shell", "default, once volume.fix.replication was called for"),
    }
    for system, (lose, variant, durability) in known.items():
        if system not in systems:
            continue
        samples = []
        error = None
        try:
            for index in range(scale.runs):
                with data_directory(directory) as home:
                    samples.append(await lose(home / f"{system}-{index}", scale.recovery_size_bytes))
        except (RuntimeError, OSError, TimeoutError) as failure:
            error = str(failure)
        fields = summarize(samples) if error is None else {"error": error}
        yield Figure(place, "recovery", TITLE, Unit.MIB_PER_S, system, variant, durability, **fields)


async def _lose_chunkserver(home: Path, size_bytes: int) -> Sample:
    home.mkdir()
    recovery, _ = await lose_one(home, size_bytes)
    peaks = [round(peak * MIB) for peak in recovery.peaks_mib.values()]
    return Sample(recovery.mib_per_s, recovery.cpu_s, recovery.copied_bytes, 0, 0, max(peaks), sum(peaks))


async def _lose_volume_server(home: Path, size_bytes: int) -> Sample:
    # What it holds is copied once more; its servers would fill the memory of the machine and wait for ever.
    check_room(home.parent, 5 * size_bytes)
    async with seaweedfs.open_seaweedfs(home, volume_servers=CHUNKSERVERS) as session:
        await session.client.run(Request("write-large", size_bytes, 1, 1, "cached", "recovery", 0))
        await session.lose_volume_server()
        pids = session.pids().values()
        before_s = sum(map(cpu_s, pids))
        copied_bytes, duration_s = await session.replicate()
        used_s = sum(map(cpu_s, pids)) - before_s
        peaks = [peak_rss_bytes(pid) for pid in pids]
    return Sample(copied_bytes / MIB / duration_s, used_s, copied_bytes, 0, 0, max(peaks), sum(peaks))
