"""Small real writes tell how a disk is doing, also when it hangs."""

import asyncio
import errno
from dataclasses import replace

from small_cluster import FaultyDisk, SeededRandom, no_fault
from upkeep_cluster import chunk, upkeep_cluster
from virtual_time import LoopClock, virtually

from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.memory import MemoryDisk
from dstore.chunkserver.probe import DiskWatch
from dstore.core.ids import ChunkId
from dstore.core.limits import PROBE_INTERVAL_S
from dstore.core.upkeep import DiskProbe


async def watched(memory: MemoryDisk) -> tuple[FaultyDisk, ChunkStore, DiskWatch]:
    disk = FaultyDisk(memory)
    store = await ChunkStore.open(disk, SeededRandom(), name="cs-1")
    return disk, store, DiskWatch(store, LoopClock())


def test_a_probe_leaves_nothing_behind() -> None:
    async def main() -> None:
        memory = MemoryDisk()
        _, store, watch = await watched(memory)
        before = memory.paths()
        await watch.measure()
        assert memory.paths() == before
        assert store.suspicion is None
        assert watch.capacity == await memory.capacity()

    virtually(main())


def test_the_latency_of_a_slow_disk_is_told() -> None:
    async def main() -> None:
        disk, _, watch = await watched(MemoryDisk())

        async def slow(operation: str, path: str) -> None:
            if operation == "sync":
                await asyncio.sleep(1.5)

        disk.before = slow
        measuring = asyncio.create_task(watch.measure())
        await asyncio.sleep(1)
        assert watch.report() == DiskProbe(0.0, 1.0)
        await measuring
        assert watch.report() == DiskProbe(1.5, 0.0)

    virtually(main())


def test_a_disk_is_probed_only_when_nothing_else_was_written() -> None:
    async def main() -> None:
        disk, _, watch = await watched(MemoryDisk())
        writes = 0

        async def count(operation: str, path: str) -> None:
            nonlocal writes
            writes += operation == "write"

        disk.before = count
        for expected in (1, 1):
            await watch.measure()
            assert writes == expected
        await asyncio.sleep(PROBE_INTERVAL_S)
        async with watch.timed_write():
            await asyncio.sleep(0.5)
        assert watch.report().latency_s == 0.5
        await watch.measure()
        assert writes == 1
        await asyncio.sleep(PROBE_INTERVAL_S)
        await watch.measure()
        assert writes == 2

    virtually(main())


def test_a_probe_that_fails_makes_the_disk_suspect() -> None:
    async def main() -> None:
        disk, store, watch = await watched(MemoryDisk())

        async def fail(operation: str, path: str) -> None:
            if operation == "sync":
                raise OSError(errno.EIO, "injected")

        disk.before = fail
        await watch.measure()
        assert "injected" in (store.suspicion or "")
        assert watch.report().pending_s == 0

    virtually(main())


def test_a_full_disk_is_not_suspect() -> None:
    async def main() -> None:
        disk, store, watch = await watched(MemoryDisk())

        async def fail(operation: str, path: str) -> None:
            if operation == "write":
                raise OSError(errno.ENOSPC, "injected")

        disk.before = fail
        await watch.measure()
        assert store.suspicion is None

    virtually(main())


def test_a_disk_that_hangs_does_not_stop_the_heartbeat() -> None:
    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            node, master = cluster.nodes["a"], cluster.master
            await node.store(1, b"one")
            master.discards["a"] = (chunk(1),)
            forever = asyncio.Event()

            async def hang(operation: str, path: str) -> None:
                await forever.wait()

            node.disk.before = hang
            beats = len(master.beats["a"])
            await asyncio.sleep(20)
            assert len(master.beats["a"]) >= beats + 19
            assert master.last("a").probe.pending_s > 15
            assert node.held() == [1]
            node.disk.before = no_fault
            forever.set()
            await cluster.until(lambda: any(beat.outcomes.discarded for beat in master.beats["a"]))
            assert master.last("a").probe.pending_s == 0
            assert node.held() == []

    virtually(main())


def test_a_long_list_of_discards_does_not_hold_up_the_heartbeat() -> None:
    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            node, master = cluster.nodes["a"], cluster.master

            async def slow(operation: str, path: str) -> None:
                await asyncio.sleep(0.01)

            node.disk.before = slow
            wanted = {chunk(sequence) for sequence in range(1, 2001)}
            master.discards["a"] = tuple(sorted(wanted))
            told: set[ChunkId] = set()
            beats = len(master.beats["a"])
            start_s = asyncio.get_running_loop().time()
            while told != wanted:
                await asyncio.sleep(0.5)
                told = {each for beat in master.beats["a"] for each in beat.outcomes.discarded}
                master.discards["a"] = tuple(sorted(wanted - told))
            elapsed_s = asyncio.get_running_loop().time() - start_s
            assert elapsed_s > 10, "the disk is slow indeed"
            assert len(master.beats["a"]) - beats >= int(elapsed_s)
            master.standing = replace(master.standing, transaction=2)
            await cluster.until(lambda: master.last("a").standing == master.standing, within_s=5)

    virtually(main())
