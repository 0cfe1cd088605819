"""Orders of a leader that was followed by another are never obeyed, whatever happens to the server meanwhile."""

import asyncio
import errno
from dataclasses import replace

import pytest
from small_cluster import FaultyDisk
from upkeep_cluster import GROUP, HISTORY, OTHER_HISTORY, STANDING, UpkeepCluster, chunk, upkeep_cluster
from virtual_time import virtually

from dstore.chunkserver import paths
from dstore.chunkserver.durable import TemporaryNames
from dstore.chunkserver.memory import MemoryDisk
from dstore.chunkserver.standing import StandingRecord, objection
from dstore.core.errors import NotReady
from dstore.core.groups import MemberState
from dstore.core.upkeep import Standing

SEEN = Standing(5, HISTORY, 100)


@pytest.mark.parametrize(
    ("orders", "is_obeyed"),
    [
        (SEEN, True),
        (Standing(5, HISTORY, 101), True),
        (Standing(6, HISTORY, 100), True),
        (Standing(5, HISTORY, 99), False),
        (Standing(4, HISTORY, 100), False),
        (Standing(4, HISTORY, 101), False),
        (Standing(6, HISTORY, 99), False),
        (Standing(6, OTHER_HISTORY, 1), True),
        (Standing(5, OTHER_HISTORY, 101), False),
        (Standing(4, OTHER_HISTORY, 101), False),
    ],
)
def test_which_orders_are_obeyed(orders: Standing, is_obeyed: bool) -> None:
    assert (objection(SEEN, orders) is None) == is_obeyed
    assert objection(None, orders) is None


async def record_on(memory: MemoryDisk) -> StandingRecord:
    await memory.make_directory(paths.TEMPORARY)
    return await StandingRecord.open(memory, TemporaryNames())


async def test_a_standing_survives_a_loss_of_power() -> None:
    memory = MemoryDisk()
    record = await record_on(memory)
    assert record.seen is None
    await record.adopt(SEEN)
    memory.crash()
    again = await record_on(memory)
    assert again.seen == SEEN
    with pytest.raises(NotReady) as caught:
        await again.adopt(replace(SEEN, leader_epoch=4))
    assert caught.value.reason == "ORDERS_OUTDATED"
    assert again.seen == SEEN


async def test_a_standing_that_could_not_be_stored_is_not_adopted() -> None:
    memory = MemoryDisk()
    await (await record_on(memory)).adopt(SEEN)

    async def fail(operation: str, path: str) -> None:
        if operation == "sync":
            raise OSError(errno.EIO, "injected")

    record = await StandingRecord.open(FaultyDisk(memory, fail), TemporaryNames())
    with pytest.raises(OSError, match="injected"):
        await record.adopt(replace(SEEN, transaction=101))
    assert record.seen == SEEN


async def test_a_full_disk_still_obeys_the_leader_that_it_knows() -> None:
    memory = MemoryDisk()
    await (await record_on(memory)).adopt(SEEN)

    async def fail(operation: str, path: str) -> None:
        if operation == "write":
            raise OSError(errno.ENOSPC, "injected")

    record = await StandingRecord.open(FaultyDisk(memory, fail), TemporaryNames())
    await record.adopt(replace(SEEN, transaction=101))
    assert record.seen == replace(SEEN, transaction=101)
    assert not record.is_durable(replace(SEEN, transaction=101))
    with pytest.raises(NotReady):
        await record.adopt(SEEN)
    with pytest.raises(OSError, match="injected"):
        await record.adopt(replace(SEEN, leader_epoch=6, transaction=101))


async def test_a_damaged_standing_counts_as_none() -> None:
    memory = MemoryDisk()
    await (await record_on(memory)).adopt(SEEN)
    memory.content(paths.STANDING)[20] ^= 1
    assert (await record_on(memory)).seen is None


def orders_of(cluster: UpkeepCluster, standing: Standing, epoch: int) -> None:
    cluster.master.standing = standing
    cluster.assign({"a": MemberState.WHOLE}, epoch=epoch)
    cluster.master.discards["a"] = (chunk(1),)


def test_nothing_of_outdated_orders_is_obeyed_also_after_a_restart() -> None:
    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            await cluster.nodes["a"].store(1, b"precious")
            cluster.master.standing = SEEN
            await cluster.until(lambda: cluster.master.last("a").standing == SEEN)
            for power in (False, True):
                orders_of(cluster, replace(SEEN, leader_epoch=4, transaction=200), epoch=9)
                await asyncio.sleep(5)
                node = cluster.nodes["a"]
                assert node.server.store.epochs.get(GROUP) == 1
                assert node.held() == [1]
                assert cluster.master.last("a").standing == SEEN, "the report goes on, and tells the master"
                assert "not obeyed" in (node.server.last_failure or "")
                assert node.server.registered
                memory = await cluster.kill("a", power=power)
                await cluster.start("a", memory)

    virtually(main())


def test_a_server_that_restarts_under_an_old_master_serves_nothing_until_it_is_set_right() -> None:
    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            await cluster.nodes["a"].store(1, b"precious")
            cluster.master.standing = SEEN
            await cluster.until(lambda: cluster.master.last("a").standing == SEEN)
            memory = await cluster.kill("a")
            cluster.master.standing = STANDING
            node = await cluster.start("a", memory)
            await asyncio.sleep(3)
            assert not node.server.store.is_reconciled
            assert cluster.master.last("a").standing == SEEN
            cluster.master.standing = Standing(1000, OTHER_HISTORY, 10_000)
            await cluster.until(lambda: node.server.store.is_reconciled)
            assert await node.read(1) == b"precious"
            assert node.server.last_failure is None

    virtually(main())
