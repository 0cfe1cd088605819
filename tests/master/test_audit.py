"""The audit notices without being asked what servers lost, and what they hold that nobody knows."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from checked_cluster import CheckedCluster, open_checked
from master_harness import SEALED_SIZE
from scripted_peers import CRC

from dstore.core.ids import ChunkId, GroupId
from dstore.core.status import Health
from dstore.master import leader
from dstore.master.audit import Audit
from dstore.master.group_map import GroupMap


@pytest.fixture
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CheckedCluster]:
    checked = await open_checked(tmp_path, monkeypatch)
    yield checked
    await checked.harness.check_counters()
    await checked.harness.store.close()


async def audit(cluster: CheckedCluster) -> None:
    """Let it look at every group once."""
    for _ in cluster.harness.master.shared.allocator.groups.by_id:
        await cluster.harness.master.audit.step()


async def missing(cluster: CheckedCluster) -> list[tuple[object, ...]]:
    return await cluster.harness.rows("SELECT group_id, sequence, server_id FROM missing_replicas")


async def test_a_whole_cluster_stays_as_it_is(cluster: CheckedCluster) -> None:
    await audit(cluster)
    assert (await missing(cluster), cluster.collector.checks()) == ([], ())


async def test_a_copy_that_was_lost_silently_is_recorded_once(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    server = cluster.servers[cluster.holding([chunk_id])[0]]
    server.chunks.discard(chunk_id)
    for _ in range(2):
        await audit(cluster)
        assert await missing(cluster) == [(chunk_id.group_id, chunk_id.sequence, server.server_id)]


async def test_unknown_chunks_are_counted_and_left_alone(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    unknown = ChunkId(chunk_id.group_id, 7_000)
    await cluster.sql("UPDATE counters SET value = 8000 WHERE name = 'chunk_sequence'")
    holders = cluster.holding([chunk_id])
    for number in holders[:2]:
        cluster.servers[number].chunks.add(unknown)
    await audit(cluster)
    check = cluster.collector.checks()[0]
    assert (check.code, check.severity, check.hint) == ("UNKNOWN_CHUNKS", Health.WARN, "dstore fsck")
    assert check.message.startswith("2 chunks that no record names are on 2 chunkservers")
    cluster.peers.silent = {holders[0]}
    cluster.servers[holders[1]].chunks.discard(unknown)
    await audit(cluster)
    assert "1 chunk " in cluster.collector.checks()[0].message, "a server that does not answer may still have it"
    cluster.peers.silent = set()
    cluster.servers[holders[0]].chunks.discard(unknown)
    await audit(cluster)
    assert cluster.collector.checks() == ()


async def test_copies_that_are_not_what_was_committed_are_counted(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    first, second = cluster.holding([chunk_id])[:2]
    cluster.peers.altered = {(first, chunk_id): (SEALED_SIZE, CRC ^ 1)}
    await audit(cluster)
    (check,) = (await cluster.harness.master.admin.get_status()).checks
    assert (check.code, check.severity, check.hint) == ("COPIES_DIFFER", Health.WARN, "dstore fsck")
    assert check.message.startswith("1 copy is not what was committed, on 1 chunkserver;")
    cluster.peers.altered |= {(second, chunk_id): (SEALED_SIZE - 1, CRC)}
    await audit(cluster)
    assert cluster.collector.checks()[0].message.startswith("2 copies are not what was committed, on 2 chunkservers;")
    cluster.peers.altered = {}
    await audit(cluster)
    assert cluster.collector.checks() == ()


@pytest.mark.parametrize("after_a_loss", [True, False])
async def test_a_stray_copy_with_unknown_chunks_stays(cluster: CheckedCluster, after_a_loss: bool) -> None:
    chunk_id = await cluster.first_chunk()
    unknown = ChunkId(chunk_id.group_id, 7_000)
    await cluster.sql("UPDATE counters SET value = 8000 WHERE name = 'chunk_sequence'")
    stray = next(number for number in cluster.servers if number not in cluster.holding([chunk_id]))
    cluster.servers[stray].chunks |= {chunk_id, unknown}
    if after_a_loss:
        # As when safe mode was left after a restore: nobody has looked at the disks yet.
        await cluster.sql("INSERT INTO meta (name, value) VALUES ('earlier_history_ids', '[\"lost\"]')")
    else:
        await cluster.beat()
        await audit(cluster)
    await cluster.rounds(100)
    assert cluster.holding([unknown]) == [stray]
    assert cluster.collector.sightings.unknown.total == 1
    await audit(cluster)
    await cluster.rounds(5)
    assert cluster.holding([unknown]) == [stray]
    cluster.servers[stray].chunks.discard(unknown)
    await audit(cluster)
    await cluster.rounds(5)
    assert stray not in cluster.holding([chunk_id])


async def test_what_a_server_held_that_is_gone_is_no_longer_counted(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    stray = next(number for number in cluster.servers if number not in cluster.holding([chunk_id]))
    await cluster.sql("UPDATE counters SET value = 8000 WHERE name = 'chunk_sequence'")
    cluster.servers[stray].chunks.add(ChunkId(chunk_id.group_id, 7_000))
    await cluster.beat()
    await audit(cluster)
    assert cluster.collector.sightings.unknown.total == 1
    cluster.servers[stray].chunks = {
        each for each in cluster.servers[stray].chunks if each.group_id != chunk_id.group_id
    }
    await cluster.beat()
    await audit(cluster)
    assert cluster.collector.checks() == ()


async def test_a_server_that_does_not_answer_has_lost_nothing(cluster: CheckedCluster) -> None:
    cluster.peers.silent = {1, 2}
    await audit(cluster)
    assert await missing(cluster) == []


async def test_a_master_that_does_not_lead_looks_at_nothing(cluster: CheckedCluster) -> None:
    asked: list[GroupId] = []
    cluster.peers.before = lambda number, group_id: asked.append(group_id)
    leadership = cluster.harness.master.shared.leadership
    await cluster.sql("UPDATE leader SET holder = 'other', epoch = epoch + 1")
    chunk_id = await cluster.first_chunk()
    cluster.servers[cluster.holding([chunk_id])[0]].chunks.discard(chunk_id)
    await audit(cluster)
    assert asked
    assert await missing(cluster) == [], "the lead was lost meanwhile"
    leadership.see(await cluster.harness.store.read(leader.read), cluster.harness.clock.now_s)
    asked.clear()
    await audit(cluster)
    assert asked == []


@pytest.mark.parametrize(
    ("period_s", "interval_s"), [(0.0, 0.2), (1.0, 0.2), (3.2, 0.2), (4.0, 0.25), (86_400.0, 5_400.0)]
)
async def test_each_group_has_its_turn_once_in_a_period_but_never_too_many_at_once(
    cluster: CheckedCluster, monkeypatch: pytest.MonkeyPatch, period_s: float, interval_s: float
) -> None:
    class Stop(Exception):
        pass

    clock, looks = cluster.harness.clock, list[float]()
    shared, audit = cluster.harness.master.shared, cluster.harness.master.audit
    assert len(shared.allocator.groups.by_id) == 16
    shared.upkeep = replace(shared.upkeep, audit_period_s=period_s)

    async def sleep(duration_s: float) -> None:
        clock.now_s += duration_s

    async def step(_: Audit) -> None:
        looks.append(clock.now_s)
        if len(looks) == 4:
            raise Stop

    monkeypatch.setattr("dstore.master.audit.asyncio.sleep", sleep)
    monkeypatch.setattr(Audit, "step", step)
    started_s = clock.now_s
    with pytest.raises(Stop):
        await audit.run()
    assert looks == pytest.approx([started_s + turn * interval_s for turn in range(1, 5)])


async def test_groups_that_come_later_do_not_wait_for_a_whole_period(
    cluster: CheckedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, shared = cluster.harness.clock, cluster.harness.master.shared
    groups, looks = shared.allocator.groups, list[float]()
    shared.allocator._groups = GroupMap(groups.groups[:1])

    async def sleep(duration_s: float) -> None:
        clock.now_s += duration_s
        shared.allocator._groups = groups

    async def step(_: Audit) -> None:
        looks.append(clock.now_s)
        raise asyncio.CancelledError

    monkeypatch.setattr("dstore.master.audit.asyncio.sleep", sleep)
    monkeypatch.setattr(Audit, "step", step)
    started_s = clock.now_s
    with pytest.raises(asyncio.CancelledError):
        await cluster.harness.master.audit.run()
    assert looks[0] - started_s <= shared.upkeep.audit_period_s / len(groups.by_id) + 10.0
