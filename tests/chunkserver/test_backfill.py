"""Members of a group copy from each other what they lack, whatever goes wrong meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

from small_cluster import content
from upkeep_cluster import GROUP, SETTINGS, UpkeepCluster, chunk, upkeep_cluster
from virtual_time import virtually

from dstore.chunkserver import paths
from dstore.core.chunks import ChunkStat, Frame, ReadRequest, WriteHeader
from dstore.core.digests import GroupDigest, HeldPage
from dstore.core.errors import LimitExceeded, Unavailable
from dstore.core.groups import MemberState
from dstore.core.ids import ChunkId, GroupId
from dstore.core.interfaces import Chunks, ChunkWriter
from dstore.core.limits import COMPARE_INTERVAL_S, KIB
from dstore.core.upkeep import Source

WHOLE, FILLING, LEAVING = MemberState.WHOLE, MemberState.FILLING, MemberState.LEAVING


def data_of(sequence: int) -> bytes:
    return content(3000 + sequence, seed=sequence)


async def fill_disk(cluster: UpkeepCluster, name: str, sequences: range, group_id: GroupId = GROUP) -> None:
    for sequence in sequences:
        await cluster.nodes[name].store(sequence, data_of(sequence), group_id=group_id)


async def assert_holds(cluster: UpkeepCluster, name: str, sequences: range, group_id: GroupId = GROUP) -> None:
    assert cluster.nodes[name].held(group_id) == list(sequences)
    for sequence in sequences:
        assert await cluster.nodes[name].read(sequence, group_id=group_id) == data_of(sequence)


@dataclass
class UnwillingSource:
    """``Chunks`` that fail after a number of reads, and count them."""

    inner: Chunks
    reads_until_failure: int
    error: Exception
    reads: int = 0

    async def write_chunk(self, header: WriteHeader) -> ChunkWriter:
        return await self.inner.write_chunk(header)

    async def read_chunk(self, request: ReadRequest) -> AsyncIterator[Frame]:
        self.reads += 1
        if self.reads > self.reads_until_failure:
            raise self.error
        async for frame in self.inner.read_chunk(request):
            yield frame

    async def read_range(self, request: ReadRequest) -> Frame:
        return await self.inner.read_range(request)

    async def stat_chunk(self, chunk_id: ChunkId) -> ChunkStat:
        return await self.inner.stat_chunk(chunk_id)

    async def get_group_digest(self, group_id: GroupId) -> GroupDigest:
        return await self.inner.get_group_digest(group_id)

    async def list_group(self, group_id: GroupId, *, bucket: int | None, after_sequence: int, count: int) -> HeldPage:
        return await self.inner.list_group(group_id, bucket=bucket, after_sequence=after_sequence, count=count)


def test_a_new_member_is_filled_from_nothing() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b", "c") as cluster:
            await fill_disk(cluster, "a", range(1, 600))
            await fill_disk(cluster, "b", range(1, 300))
            cluster.assign({"a": WHOLE, "b": WHOLE, "c": FILLING}, epoch=2)
            await cluster.until(lambda: cluster.is_filled("c"))
            await assert_holds(cluster, "c", range(1, 600))
            copying = cluster.master.last("c").copying
            assert (copying.pending_groups, copying.pending_chunks, copying.failure) == (0, 0, "")
            assert copying.copied_chunks == 599

    virtually(main())


def test_an_empty_group_is_filled_at_once() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=2)
            await cluster.until(lambda: cluster.is_filled("b"), within_s=10)

    virtually(main())


def test_filled_is_told_again_while_the_master_does_not_act() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=2)
            await cluster.until(lambda: cluster.is_filled("b"), within_s=10)
            cluster.master.beats.clear()
            await cluster.until(lambda: cluster.is_filled("b"), within_s=10)
            cluster.assign({"a": WHOLE, "b": WHOLE}, epoch=2)
            await asyncio.sleep(5)
            cluster.master.beats.clear()
            await asyncio.sleep(30)
            assert not any(beat.outcomes.filled for beat in cluster.master.beats["b"])

    virtually(main())


def test_a_killed_server_goes_on_where_it_was() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            await fill_disk(cluster, "a", range(1, 101))
            cluster.master.settings = replace(SETTINGS, copy_bytes_per_s=30_000)
            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=2)
            await cluster.until(lambda: len(cluster.nodes["b"].held()) > 40)
            memory = await cluster.kill("b", power=True)
            survived = len([path for path in memory.paths() if path.startswith(paths.GROUPS) and "-" in path])
            assert survived >= 40
            reads = UnwillingSource(cluster.network.servers["a"], 1000, Unavailable("never"))
            cluster.network.servers["a"] = reads
            await cluster.start("b", memory)
            await cluster.until(lambda: cluster.is_filled("b"))
            assert reads.reads == 100 - survived, "what was on the disk is not copied again"
            await assert_holds(cluster, "b", range(1, 101))

    virtually(main())


def test_a_source_that_dies_is_replaced_by_another() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b", "c") as cluster:
            await fill_disk(cluster, "a", range(1, 51))
            await fill_disk(cluster, "b", range(1, 51))
            dying = cluster.network.servers["a"] = UnwillingSource(
                cluster.network.servers["a"], 10, Unavailable("Gone.")
            )
            cluster.assign({"a": WHOLE, "b": WHOLE, "c": FILLING}, epoch=2)
            await cluster.until(lambda: len(cluster.nodes["c"].held()) == 50)
            await cluster.until(lambda: any(beat.outcomes.filled for beat in cluster.master.beats["c"]))
            told = next(beat for beat in cluster.master.beats["c"] if beat.outcomes.filled).outcomes.filled
            assert cluster.nodes["b"].server_id in told[0].compared
            await assert_holds(cluster, "c", range(1, 51))
            dying.reads_until_failure = 1000
            await cluster.until(lambda: cluster.is_filled("c"))

    virtually(main())


def test_a_source_that_is_overrun_gets_a_rest() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            await fill_disk(cluster, "a", range(1, 21))
            busy = cluster.network.servers["a"] = UnwillingSource(
                cluster.network.servers["a"], 0, LimitExceeded("Too many.", reason="TOO_MANY_STREAMS")
            )
            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=2)
            await cluster.until(lambda: busy.reads > 0)
            await asyncio.sleep(60)
            assert busy.reads < 4 * 20, "a few at once, less and less often"
            assert "Too many" in cluster.master.last("b").copying.failure
            busy.reads_until_failure = 10_000
            await cluster.until(lambda: cluster.is_filled("b"))

    virtually(main())


@dataclass
class GrowingSource(UnwillingSource):
    """``Chunks`` that get one more with every question about the group."""

    grow: Callable[[], Awaitable[None]] | None = None

    async def get_group_digest(self, group_id: GroupId) -> GroupDigest:
        assert self.grow is not None
        await self.grow()
        return await self.inner.get_group_digest(group_id)


def test_filling_comes_to_its_end_while_others_write() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            source = cluster.nodes["a"]

            async def grow() -> None:
                await source.store(len(source.held()) + 1, data_of(len(source.held()) + 1))

            cluster.network.servers["a"] = GrowingSource(
                cluster.network.servers["a"], 10_000, Unavailable("never"), grow=grow
            )
            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=1)
            await cluster.until(lambda: cluster.is_filled("b"), within_s=10)
            assert cluster.nodes["b"].held() == [1]

    virtually(main())


def test_a_source_that_has_not_heard_of_the_epoch_does_not_count() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            await fill_disk(cluster, "a", range(1, 4))
            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=2)
            cluster.master.assignments["a"] = ()
            await asyncio.sleep(20)
            assert cluster.nodes["b"].server.store.epochs.get(GROUP) == 2
            assert cluster.nodes["a"].server.store.epochs.get(GROUP) == 1
            assert not any(beat.outcomes.filled for beat in cluster.master.beats["b"])
            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=2)
            await cluster.until(lambda: cluster.is_filled("b"))
            await assert_holds(cluster, "b", range(1, 4))

    virtually(main())


def test_a_new_epoch_starts_a_comparison_of_its_own() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b", "c") as cluster:
            await fill_disk(cluster, "a", range(1, 4))
            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=2)
            await cluster.until(lambda: cluster.is_filled("b"))
            cluster.assign({"a": WHOLE, "b": FILLING, "c": FILLING}, epoch=3)
            await cluster.until(lambda: cluster.is_filled("b") and cluster.is_filled("c"))
            assert cluster.master.last("b").copying.copied_chunks == 3

    virtually(main())


def test_a_chunk_that_is_damaged_at_one_source_comes_from_another() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b", "c") as cluster:
            await fill_disk(cluster, "a", range(1, 11))
            await fill_disk(cluster, "b", range(1, 11))
            cluster.nodes["a"].flip(chunk(5))
            cluster.nodes["a"].flip(chunk(6))
            cluster.assign({"a": WHOLE, "b": WHOLE, "c": FILLING}, epoch=2)
            await cluster.until(lambda: cluster.is_filled("c"))
            await assert_holds(cluster, "c", range(1, 11))
            corrupt = cluster.master.last("a").outcomes.corrupt
            assert set(corrupt) == {chunk(5), chunk(6)}, "whoever finds it, its server reports it"

    virtually(main())


def test_a_chunk_that_is_damaged_everywhere_does_not_stop_the_rest() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            await fill_disk(cluster, "a", range(1, 31))
            for sequence in range(1, 11):
                cluster.nodes["a"].flip(chunk(sequence))
            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=2)
            await cluster.until(lambda: cluster.is_filled("b"))
            await assert_holds(cluster, "b", range(11, 31))

    virtually(main())


def test_a_discarded_chunk_is_not_copied_back() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            await fill_disk(cluster, "a", range(1, 4))
            cluster.master.discards["b"] = (chunk(2),)
            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=2)
            await cluster.until(lambda: cluster.is_filled("b"))
            assert cluster.nodes["b"].held() == [1, 3]
            assert any(chunk(2) in beat.outcomes.discarded for beat in cluster.master.beats["b"])

    virtually(main())


def test_former_holders_are_not_compared_with() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b", "old") as cluster:
            await fill_disk(cluster, "a", range(1, 4))
            await fill_disk(cluster, "old", range(1, 10))
            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=2)
            (assignment,) = cluster.master.assignments["b"]
            old = Source(cluster.nodes["old"].server_id, "old", is_member=False)
            cluster.master.assignments["b"] = (replace(assignment, sources=(*assignment.sources, old)),)
            await cluster.until(lambda: cluster.is_filled("b"))
            assert cluster.nodes["b"].held() == [1, 2, 3]
            cluster.master.missing["b"] = (chunk(7),)
            await cluster.until(lambda: any(chunk(7) in beat.outcomes.held for beat in cluster.master.beats["b"]))
            assert await cluster.nodes["b"].read(7) == data_of(7)

    virtually(main())


def test_one_flipped_byte_heals() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            await fill_disk(cluster, "a", range(1, 4))
            await fill_disk(cluster, "b", range(1, 4))
            cluster.assign({"a": WHOLE, "b": WHOLE}, epoch=2)
            await asyncio.sleep(2)
            cluster.nodes["a"].flip(chunk(2))
            cluster.master.missing["a"] = (chunk(1), chunk(2))
            master = cluster.master

            def told() -> set[ChunkId]:
                return {each for beat in master.beats["a"] for each in beat.outcomes.held}

            await cluster.until(lambda: told() == {chunk(1), chunk(2)})
            await assert_holds(cluster, "a", range(1, 4))
            master.missing.clear()
            await asyncio.sleep(3)
            assert master.last("a").corrupt_chunk_count == 0
            assert master.last("a").copying.copied_chunks == 1, "the one that was intact is only looked at"

    virtually(main())


def test_whole_members_find_out_what_is_lacking_by_themselves() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            await fill_disk(cluster, "a", range(1, 21))
            await fill_disk(cluster, "b", range(1, 11))
            cluster.master.settled_sequence = 15
            cluster.assign({"a": WHOLE, "b": WHOLE}, epoch=2)
            await cluster.until(lambda: len(cluster.nodes["b"].held()) > 10, within_s=2 * COMPARE_INTERVAL_S)
            await asyncio.sleep(10)
            assert cluster.nodes["b"].held() == list(range(1, 15)), "the others may still be on their way"

    virtually(main())


def test_the_most_endangered_group_comes_first() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            safe, endangered = GroupId(1), GroupId(2)
            await fill_disk(cluster, "a", range(1, 101), safe)
            await fill_disk(cluster, "a", range(1001, 1101), endangered)
            cluster.master.settings = replace(SETTINGS, copy_bytes_per_s=50_000)
            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=2, group_id=safe, urgency=2)
            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=2, group_id=endangered, urgency=1)
            await cluster.until(lambda: len(cluster.nodes["b"].held(endangered)) == 100)
            assert len(cluster.nodes["b"].held(safe)) < 10

    virtually(main())


def test_copies_keep_to_the_rate() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            for sequence in range(1, 41):
                await cluster.nodes["a"].store(sequence, content(25 * KIB))
            cluster.master.settings = replace(SETTINGS, copy_bytes_per_s=100 * KIB)
            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=2)
            await cluster.until(lambda: len(cluster.nodes["b"].held()) > 0)
            elapsed_s = await cluster.until(lambda: len(cluster.nodes["b"].held()) == 40)
            assert 8.5 < elapsed_s < 11, "1,000 KiB at 100 KiB/s"

    virtually(main())
