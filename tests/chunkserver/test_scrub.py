"""The scrub reads everything within its period, finds every flipped byte, and stays out of the way."""

import asyncio
import errno
from dataclasses import replace

import pytest
from small_cluster import content, no_fault
from upkeep_cluster import GROUP, SETTINGS, UpkeepCluster, chunk, upkeep_cluster
from virtual_time import LoopClock, virtually

from dstore.chunkserver import paths
from dstore.chunkserver.chunkfile import file_size_bytes
from dstore.chunkserver.throttle import Throttle
from dstore.core.groups import MemberState
from dstore.core.ids import GroupId
from dstore.core.limits import MIB, SCRUB_BEHIND_MAX_S, SCRUB_BUSY_STREAMS, SCRUB_SHARE
from dstore.core.upkeep import ScrubReport

SIZE = 20_000


def scrub_within(cluster: UpkeepCluster, period_s: float, *, paused: bool = False) -> None:
    cluster.master.settings = replace(SETTINGS, scrub_period_s=period_s, scrub_is_paused=paused)


def report(cluster: UpkeepCluster) -> ScrubReport:
    return cluster.master.last("a").scrub


async def store_chunks(cluster: UpkeepCluster, count: int, *, group_id: GroupId = GROUP) -> None:
    for sequence in range(1, count + 1):
        await cluster.nodes["a"].store(sequence, content(SIZE, seed=sequence), group_id=group_id)


def test_every_flipped_chunk_is_found_within_one_pass() -> None:
    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            await store_chunks(cluster, 40)
            # One in the header page, the content, the padding and the footer, each in a chunk of its own.
            offsets = (0, 4095, 4096, 10_000, 4096 + SIZE - 1, 4096 + SIZE, file_size_bytes(SIZE) - 1)
            for sequence, offset in enumerate(offsets, start=10):
                cluster.nodes["a"].flip(chunk(sequence), offset)
            scrub_within(cluster, 100.0)
            await cluster.until(lambda: report(cluster).passes == 1, within_s=100)
            assert set(cluster.master.last("a").outcomes.corrupt) == {
                chunk(10 + index) for index in range(len(offsets))
            }
            assert cluster.master.last("a").corrupt_chunk_count == len(offsets)
            await cluster.until(lambda: report(cluster).passes == 2, within_s=200)
            # A pass later, nothing that was known already is counted again.
            metrics = cluster.nodes["a"].server.render_metrics().decode()
            for kind, count in (("corrupt", len(offsets)), ("lost", 0), ("unreadable", 0)):
                assert f'dstore_scrub_errors_total{{kind="{kind}"}} {count}.0\n' in metrics

    virtually(main())


def test_a_pass_takes_the_period_at_a_steady_pace() -> None:
    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            await store_chunks(cluster, 100)
            scrub_within(cluster, 1000.0)
            await asyncio.sleep(2)
            for share in (0.25, 0.5, 0.75):
                await asyncio.sleep(250 * SCRUB_SHARE)
                assert report(cluster).position == pytest.approx(share, abs=0.05)
                assert report(cluster).last_pass_age_s is None
            elapsed_s = await cluster.until(lambda: report(cluster).passes == 1, within_s=300)
            assert elapsed_s == pytest.approx(250 * SCRUB_SHARE, abs=20)
            assert report(cluster).checked_bytes == pytest.approx(100 * SIZE, abs=SIZE)
            await asyncio.sleep(100)
            assert report(cluster).last_pass_age_s == pytest.approx(100, abs=3)

    virtually(main())


def test_it_can_be_paused_and_switched_off() -> None:
    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            await store_chunks(cluster, 100)
            scrub_within(cluster, 1000.0)
            await asyncio.sleep(400)
            for period_s, paused in ((1000.0, True), (0.0, False)):
                scrub_within(cluster, period_s, paused=paused)
                await asyncio.sleep(20)
                before = report(cluster).checked_bytes
                assert before > 0
                await asyncio.sleep(300)
                assert report(cluster).checked_bytes == before
                scrub_within(cluster, 1000.0)
                await asyncio.sleep(100)
                assert report(cluster).checked_bytes > before

    virtually(main())


def test_it_yields_to_load_but_not_for_ever() -> None:
    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            await store_chunks(cluster, 100)
            cluster.nodes["a"].server.chunks.read_streams = SCRUB_BUSY_STREAMS + 1
            scrub_within(cluster, 6_000.0)
            await asyncio.sleep(SCRUB_BEHIND_MAX_S * 0.9)
            assert report(cluster).checked_bytes <= SIZE
            await asyncio.sleep(3000)
            assert report(cluster).checked_bytes > 45 * SIZE, "at its pace, and ten minutes behind"
            cluster.nodes["a"].server.chunks.read_streams = 0
            await cluster.until(lambda: report(cluster).passes == 1, within_s=4000)

    virtually(main())


def test_a_restart_goes_on_near_where_it_was() -> None:
    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            await store_chunks(cluster, 50)
            await store_chunks(cluster, 50, group_id=GroupId(43))
            scrub_within(cluster, 1000.0)
            # Never long enough for a pass.
            seen = []
            for _ in range(6):
                await asyncio.sleep(200)
                seen.append(report(cluster).position)
                await cluster.start("a", await cluster.kill("a", power=True))
            assert max(seen) > 0.7
            await cluster.until(lambda: report(cluster).passes == 1, within_s=1000)

    virtually(main())


def test_a_damaged_position_starts_at_the_first_chunk() -> None:
    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            await store_chunks(cluster, 20)
            scrub_within(cluster, 1000.0)
            await asyncio.sleep(400)
            memory = await cluster.kill("a")
            memory.content(paths.SCRUB)[5] ^= 1
            await cluster.start("a", memory)
            await cluster.until(lambda: report(cluster).passes == 1, within_s=1000)
            assert report(cluster).checked_bytes == pytest.approx(20 * SIZE, abs=SIZE)

    virtually(main())


def test_chunks_that_are_discarded_meanwhile_are_none_of_its_business() -> None:
    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            await store_chunks(cluster, 20)
            scrub_within(cluster, 200.0)
            await asyncio.sleep(20)
            cluster.master.discards["a"] = tuple(chunk(sequence) for sequence in range(1, 20))
            await cluster.until(lambda: report(cluster).passes >= 2, within_s=500)
            assert cluster.master.last("a").corrupt_chunk_count == 0

    virtually(main())


def test_a_server_without_chunks_waits_for_some() -> None:
    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            scrub_within(cluster, 100.0)
            await asyncio.sleep(300)
            assert report(cluster) == ScrubReport(0, 0.0, 0, None)
            await store_chunks(cluster, 3)
            await cluster.until(lambda: report(cluster).passes == 1, within_s=200)

    virtually(main())


def test_what_the_scrub_finds_is_healed() -> None:
    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            await store_chunks(cluster, 10)
            for sequence in range(1, 11):
                await cluster.nodes["b"].store(sequence, content(SIZE, seed=sequence))
            cluster.assign({"a": MemberState.WHOLE, "b": MemberState.WHOLE}, epoch=2)
            await asyncio.sleep(2)
            cluster.nodes["a"].flip(chunk(5))
            scrub_within(cluster, 50.0)
            await cluster.until(lambda: chunk(5) in cluster.master.last("a").outcomes.corrupt)
            cluster.master.missing["a"] = (chunk(5),)
            await cluster.until(lambda: cluster.master.last("a").corrupt_chunk_count == 0)
            assert await cluster.nodes["a"].read(5) == content(SIZE, seed=5)

    virtually(main())


def test_a_throttle_keeps_many_takers_to_one_rate() -> None:
    async def main() -> None:
        throttle = Throttle(LoopClock(), 10 * MIB)
        start_s = LoopClock().monotonic_s()

        async def take() -> None:
            for _ in range(50):
                await throttle.take(MIB)

        await asyncio.gather(*(take() for _ in range(4)))
        assert LoopClock().monotonic_s() - start_s == pytest.approx(20.0, abs=1)

    virtually(main())


def test_a_higher_rate_ends_a_long_wait() -> None:
    async def main() -> None:
        throttle = Throttle(LoopClock(), 1)
        await throttle.take(MIB)
        waiting = asyncio.create_task(throttle.take(1))
        await asyncio.sleep(10)
        assert not waiting.done()
        throttle.set_rate(0)
        await asyncio.sleep(0.1)
        assert waiting.done()

    virtually(main())


def test_a_group_of_which_only_damaged_chunks_are_left_is_still_reported() -> None:
    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            await store_chunks(cluster, 1)
            cluster.nodes["a"].flip(chunk(1))
            scrub_within(cluster, 10.0)
            await cluster.until(lambda: cluster.master.last("a").corrupt_chunk_count == 1)
            (summary,) = cluster.master.last("a").groups
            assert (summary.group_id, summary.chunk_count) == (GROUP, 0)

    virtually(main())


def test_a_chunk_whose_file_is_gone_does_not_count_as_held_any_more() -> None:
    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            await store_chunks(cluster, 3)
            await cluster.nodes["a"].memory.remove(paths.chunk_path(chunk(2)))
            scrub_within(cluster, 10.0)
            await cluster.until(lambda: report(cluster).passes == 1)
            assert cluster.nodes["a"].held() == [1, 3]
            await cluster.until(lambda: cluster.master.last("a").groups[0].chunk_count == 2)
            assert cluster.master.last("a").corrupt_chunk_count == 0

    virtually(main())


def test_the_scrub_can_be_switched_off_at_any_moment() -> None:
    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            await store_chunks(cluster, 3)
            node = await cluster.start("a", await cluster.kill("a"))

            async def before(operation: str, path: str) -> None:
                if operation == "open" and str(chunk(2)) in path:
                    scrub_within(cluster, 0.0)
                    await asyncio.sleep(3)

            node.disk.before = before
            scrub_within(cluster, 10.0)
            await asyncio.sleep(30)
            assert not node.task.done()
            node.disk.before = no_fault
            scrub_within(cluster, 10.0)
            await cluster.until(lambda: report(cluster).passes >= 1)

    virtually(main())


def test_the_position_is_a_name_that_is_known() -> None:
    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            await store_chunks(cluster, 3)
            scrub_within(cluster, 1000.0)
            await cluster.until(lambda: paths.SCRUB in cluster.nodes["a"].memory.paths(), within_s=1000)
            node = await cluster.start("a", await cluster.kill("a"))
            assert node.server.store.recovery.unknown_paths == ()

    virtually(main())


def test_a_disk_that_cannot_be_read_is_said_once_and_is_no_damage(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(operation: str, path: str) -> None:
        if operation in ("open", "read") and path.startswith(paths.GROUPS):
            raise OSError(errno.EIO, "Input/output error")

    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            await store_chunks(cluster, 50)
            node = cluster.nodes["a"]
            node.disk.before = broken
            scrub_within(cluster, 100.0)
            await asyncio.sleep(60)
            assert node.server.store.corrupt == set()
            assert len(node.held()) == 50
            node.disk.before = no_fault
            passes = report(cluster).passes
            await cluster.until(lambda: report(cluster).passes > passes + 1, within_s=300)

    virtually(main())
    assert len([each for each in caplog.records if each.name == "dstore.chunkserver.scrub"]) == 1
