"""Orders that free space are obeyed whatever else cannot be."""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from small_cluster import FaultyDisk, Network, SeededRandom, content, header_of, no_fault, put, with_epoch
from upkeep_cluster import GROUP, SETTINGS, OrderingMaster, UpkeepCluster, chunk, upkeep_cluster
from virtual_time import LoopClock, virtually

from dstore.chunkserver import paths
from dstore.chunkserver.server import Chunkserver
from dstore.core.groups import GroupEpoch, MemberState
from dstore.core.ids import ChunkId, GroupId
from dstore.core.upkeep import Assignment, Heartbeat, Orders

OTHER_GROUP = GroupId(43)


@dataclass
class CollectingMaster(OrderingMaster):
    """Orders servers to drop groups, too, and does not order again what was confirmed."""

    drops: dict[str, tuple[GroupEpoch, ...]] = field(default_factory=dict)

    async def heartbeat(self, heartbeat: Heartbeat) -> Orders:
        name = self.names[heartbeat.server_id]
        confirmed = heartbeat.outcomes.discarded
        self.discards[name] = tuple(each for each in self.discards.get(name, ()) if each not in confirmed)
        return await super().heartbeat(heartbeat)

    def _orders(self, name: str, digest: bytes) -> Orders:
        return replace(super()._orders(name, digest), drops=self.drops.get(name, ()))


@asynccontextmanager
async def collecting_cluster() -> AsyncIterator[UpkeepCluster]:
    async with upkeep_cluster() as cluster:
        cluster.master = CollectingMaster()
        await cluster.start("a")
        yield cluster


async def store(cluster: UpkeepCluster, sequences: range, group_id: GroupId = GROUP) -> None:
    for sequence in sequences:
        await cluster.nodes["a"].store(sequence, content(3000), group_id=group_id)


def fill(cluster: UpkeepCluster) -> None:
    """Let nothing more be written."""

    async def before(operation: str, path: str) -> None:
        if operation in ("create", "write"):
            raise OSError(errno.ENOSPC, "No space left on device")

    cluster.nodes["a"].disk.before = before


def told(cluster: UpkeepCluster) -> set[ChunkId]:
    return {each for beat in cluster.master.beats["a"] for each in beat.outcomes.discarded}


async def space_comes_back(cluster: UpkeepCluster, sequences: range) -> None:
    """Wait until the chunks of these sequences are unlinked, and no other."""
    kept = {paths.chunk_path(chunk(sequence)) for sequence in range(1, 1001) if sequence not in sequences}
    memory = cluster.nodes["a"].memory
    await cluster.until(lambda: not {each for each in chunk_paths(memory.paths()) if each not in kept}, within_s=120)


def chunk_paths(names: tuple[str, ...]) -> set[str]:
    return {name for name in names if name.startswith(("groups/", "trash/")) and not name.endswith("EPOCH")}


@pytest.mark.parametrize("absent_count", [1, 300])
def test_chunks_that_were_never_here_do_not_keep_a_full_disk_full(absent_count: int) -> None:
    """What is not here gets a tombstone, for which there is no room."""

    async def main() -> None:
        async with collecting_cluster() as cluster:
            await store(cluster, range(900, 910))
            fill(cluster)
            cluster.master.settings = replace(SETTINGS, trash_delay_s=10.0)
            cluster.master.settled_sequence = 1000
            absent = tuple(map(chunk, range(1, 1 + absent_count)))
            cluster.master.discards["a"] = (*absent, *map(chunk, range(900, 905)))
            await space_comes_back(cluster, range(900, 905))
            assert cluster.nodes["a"].held() == list(range(905, 910))
            assert cluster.nodes["a"].server.store.suspicion is None

    virtually(main())


def test_an_epoch_that_cannot_be_stored_does_not_keep_a_full_disk_full() -> None:
    async def main() -> None:
        async with collecting_cluster() as cluster:
            cluster.assign({"a": MemberState.WHOLE}, epoch=2)
            await cluster.until(lambda: cluster.nodes["a"].server.store.epochs.get(GROUP) == 2)
            for sequence in range(1, 11):
                header = with_epoch(header_of(content(3000), chunk(sequence)), 2)
                await put(cluster.nodes["a"].server.chunks, content(3000), header)
            fill(cluster)
            cluster.master.settings = replace(SETTINGS, trash_delay_s=10.0)
            cluster.master.settled_sequence = 1000
            cluster.assign({"a": MemberState.WHOLE}, epoch=3)
            cluster.master.discards["a"] = tuple(map(chunk, range(1, 6)))
            await space_comes_back(cluster, range(1, 6))
            assert told(cluster) == set(map(chunk, range(1, 6)))
            server = cluster.nodes["a"].server
            assert server.store.epochs.get(GROUP) == 2, "it was not stored, so it is not gone by"
            cluster.nodes["a"].disk.before = no_fault
            await cluster.until(lambda: server.store.epochs.get(GROUP) == 3)

    virtually(main())


def test_a_damaged_epoch_does_not_keep_groups_from_being_dropped() -> None:
    async def main() -> None:
        async with collecting_cluster() as cluster:
            master = cluster.master
            assert isinstance(master, CollectingMaster)
            await store(cluster, range(1, 4))
            await store(cluster, range(1, 4), OTHER_GROUP)
            memory = await cluster.kill("a")
            memory.content(paths.epoch_path(GROUP))[5] ^= 1
            node = await cluster.start("a", memory)
            master.drops["a"] = (GroupEpoch(GROUP, 4), GroupEpoch(OTHER_GROUP, 4))
            await cluster.until(
                lambda: {GROUP, OTHER_GROUP} <= {each for beat in master.beats["a"] for each in beat.outcomes.dropped}
            )
            assert (node.held(GROUP), node.held(OTHER_GROUP)) == ([], [])
            assert node.server.store.epochs.get(GROUP) == 4

    virtually(main())


def test_an_epoch_that_is_newer_than_ordered_is_told_of_an_empty_group() -> None:
    """With metadata from an old copy, the master has to lift the epoch, or the group takes no writes any more."""

    async def main() -> None:
        async with collecting_cluster() as cluster:
            node, master = cluster.nodes["a"], cluster.master
            await node.server.store.epochs.adopt(GROUP, 7)
            master.assignments["a"] = tuple(
                Assignment(group_id, 3, MemberState.WHOLE, 3, ()) for group_id in (GROUP, OTHER_GROUP)
            )
            await cluster.until(lambda: bool(master.last("a").groups))
            assert [(each.group_id, each.epoch, each.chunk_count) for each in master.last("a").groups] == [
                (GROUP, 7, 0)
            ]
            master.assignments["a"] = (Assignment(GROUP, 8, MemberState.WHOLE, 3, ()),)
            await cluster.until(lambda: not master.last("a").groups)

    virtually(main())


def test_what_cannot_be_disposed_of_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="dstore.chunkserver.obeying")

    async def main() -> None:
        async with collecting_cluster() as cluster:
            fill(cluster)
            cluster.master.discards["a"] = (chunk(1),)
            await asyncio.sleep(60)
            assert "no space" in (cluster.nodes["a"].server.last_failure or "")
            cluster.nodes["a"].disk.before = no_fault
            await asyncio.sleep(5)
            assert cluster.nodes["a"].server.last_failure is None

    virtually(main())
    assert len(caplog.records) == 1


def test_nothing_is_served_while_newer_orders_are_not_carried_out() -> None:
    async def main() -> None:
        async with collecting_cluster() as cluster:
            await store(cluster, range(1, 3))
            disk = FaultyDisk(await cluster.kill("a"))
            server = await Chunkserver.open(disk, LoopClock(), SeededRandom(), Network(), name="a")
            master = cluster.master
            first, second = asyncio.Event(), asyncio.Event()

            async def before(operation: str, path: str) -> None:
                if operation == "rename" and path.startswith("trash/"):
                    await (first if str(chunk(1)) in path else second).wait()

            disk.before = before
            master.discards["a"] = (chunk(1),)
            older = asyncio.create_task(server._obedience.begin(master._orders("a", b"")))
            await asyncio.sleep(1)
            master.discards["a"] = (chunk(2),)
            newer = asyncio.create_task(server._obedience.begin(master._orders("a", b"")))
            await asyncio.sleep(1)
            first.set()
            await older
            assert not server.store.is_reconciled
            second.set()
            await newer
            assert server.store.is_reconciled

    virtually(main())
