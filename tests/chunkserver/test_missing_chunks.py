"""What is told to the master as held is on the disk, whole, under a name that lasts."""

import asyncio
import errno
import logging

import pytest
from small_cluster import content
from upkeep_cluster import GROUP, UpkeepCluster, chunk, upkeep_cluster
from virtual_time import LoopClock, virtually

from dstore.chunkserver import paths
from dstore.chunkserver.memory import MemoryDisk
from dstore.core.errors import Unavailable
from dstore.core.groups import MemberState

WHOLE, FILLING = MemberState.WHOLE, MemberState.FILLING
DATA = content(3000)
PATH = paths.chunk_path(chunk(1))


class CountingClock(LoopClock):
    """Counts how often it is looked at."""

    count = 0

    def monotonic_s(self) -> float:
        self.count += 1
        return super().monotonic_s()


async def held_by_a_and_b(cluster: UpkeepCluster) -> None:
    for name in ("a", "b"):
        await cluster.nodes[name].store(1, DATA)
    cluster.assign({"a": WHOLE, "b": WHOLE}, epoch=2)
    await asyncio.sleep(2)


def is_told(cluster: UpkeepCluster, name: str) -> bool:
    return any(chunk(1) in beat.outcomes.held for beat in cluster.master.beats.get(name, ()))


async def lost_its_process_before_the_name_was_synced(cluster: UpkeepCluster, name: str) -> MemoryDisk:
    memory = await cluster.kill(name)
    del memory._durable_names[PATH]
    return memory


def test_a_chunk_is_held_once_its_name_is_durable() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            await held_by_a_and_b(cluster)
            memory = await lost_its_process_before_the_name_was_synced(cluster, "b")
            cluster.master.missing["b"] = (chunk(1),)
            await cluster.start("b", memory)
            await cluster.until(lambda: is_told(cluster, "b"))
            memory = await cluster.kill("b", power=True)
            assert PATH in memory.paths()

    virtually(main())


def test_a_chunk_whose_file_is_gone_is_not_held_but_copied() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            await held_by_a_and_b(cluster)
            await cluster.nodes["b"].memory.remove(PATH)
            cluster.master.missing["b"] = (chunk(1),)
            await cluster.until(lambda: is_told(cluster, "b"))
            assert await cluster.nodes["b"].read(1) == DATA

    virtually(main())


def test_a_disk_on_which_a_sync_failed_promises_nothing_more() -> None:
    """The next sync of the directory may succeed without having written anything."""

    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            await held_by_a_and_b(cluster)
            memory = await lost_its_process_before_the_name_was_synced(cluster, "b")
            node = await cluster.start("b", memory)
            failures = 0

            async def before(operation: str, path: str) -> None:
                nonlocal failures
                if operation == "sync_directory" and path == paths.chunk_directory(chunk(1)) and not failures:
                    failures += 1
                    raise OSError(errno.EIO, "Input/output error")

            node.disk.before = before
            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=3)
            cluster.master.missing["b"] = (chunk(1),)
            await cluster.until(lambda: failures == 1)
            await asyncio.sleep(60)
            assert not cluster.is_filled("b")
            assert not is_told(cluster, "b")
            assert cluster.nodes["b"].held(GROUP) == [1], "it is still there to be read"
            assert await cluster.nodes["b"].read(1) == DATA

    virtually(main())


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records if record.name == "dstore.chunkserver.copying"]


def test_a_source_that_has_not_heard_of_the_epoch_is_no_noise_and_hides_no_outage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="dstore.chunkserver.copying")

    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            await cluster.nodes["a"].store(1, DATA)
            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=2)
            cluster.master.assignments["a"] = ()
            await asyncio.sleep(60)
            assert "is at epoch 1" in cluster.master.last("b").copying.failure
            assert said(caplog) == []

            async def before(operation: str, path: str) -> None:
                if operation == "read":
                    raise OSError(errno.EIO, "Input/output error")

            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=2)
            cluster.nodes["a"].disk.before = before
            await asyncio.sleep(60)

    virtually(main())
    assert said(caplog) == ["WARNING"]


def test_a_chunk_that_is_not_missing_any_more_keeps_nobody_awake() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            await cluster.nodes["a"].store(1, DATA)
            cluster.assign({"a": WHOLE, "b": WHOLE}, epoch=2)
            await asyncio.sleep(2)

            async def before(operation: str, path: str) -> None:
                if operation == "read":
                    cluster.master.missing.clear()
                    await asyncio.sleep(5.5)
                    cluster.master.refusals = [Unavailable("The master is away.") for _ in range(1000)]
                    raise OSError(errno.EIO, "Input/output error")

            cluster.nodes["a"].disk.before = before
            clock = cluster.nodes["b"].server._missing._clock = CountingClock()
            cluster.master.missing["b"] = (chunk(1),)
            await asyncio.sleep(10)
            clock.count = 0
            await asyncio.sleep(60)
            assert clock.count < 100

    virtually(main())
