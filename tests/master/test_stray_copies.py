"""Copies of groups on servers that are no members, with scripted chunkservers: when they go, and when they stay."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from master_harness import server_id
from scripted_servers import ScriptedCluster, scripted_cluster

from dstore.core.groups import MemberState
from dstore.core.ids import ChunkId, GroupId
from dstore.master import counters, missing_rows
from dstore.master.group_map import read_groups, store_members
from dstore.master.placement import PlacedGroup
from dstore.master.store.base import Transaction


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[ScriptedCluster]:
    """Four servers, and a master that has just taken the lead."""
    async with scripted_cluster(tmp_path) as scripted:
        yield scripted


async def test_a_stray_copy_is_dropped_when_the_members_lack_nothing(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 1)
    stray = next(number for number in cluster.servers if number not in cluster.holding(chunks))
    cluster.servers[stray].chunks.add(chunks[0])
    await cluster.rounds(30)
    assert stray in cluster.holding(chunks)
    assert (await cluster.collector.status()).stray_groups == 1
    await cluster.rounds(40)
    assert stray not in cluster.holding(chunks)
    assert len(cluster.holding(chunks)) == 3


async def test_a_stray_copy_stays_while_a_member_is_away(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 1)
    members = cluster.holding(chunks)
    stray = next(number for number in cluster.servers if number not in members)
    cluster.servers[stray].chunks.add(chunks[0])
    cluster.away.add(members[0])
    await cluster.rounds(100)
    assert stray in cluster.holding(chunks)
    cluster.away.clear()
    await cluster.rounds(3)
    assert stray not in cluster.holding(chunks)


async def test_a_stray_copy_stays_while_a_member_lacks_a_chunk_that_counts_do_not_show(
    cluster: ScriptedCluster,
) -> None:
    (chunk_id,) = chunks = await cluster.write("/x", 1)
    members = cluster.holding(chunks)
    stray = next(number for number in cluster.servers if number not in members)
    cluster.servers[stray].chunks.add(chunk_id)
    # As after a write that failed: each member has as many chunks as the rows say.
    failed = ChunkId(chunk_id.group_id, 1_000)
    await cluster.harness.store.write(lambda tx: counters.add(tx, "chunk_sequence", 1_000))
    for number in members:
        cluster.servers[number].chunks = {failed}
    await cluster.rounds(100)
    assert cluster.holding(chunks) == [stray]
    rows = await cluster.harness.rows("SELECT sequence, server_id FROM missing_replicas ORDER BY server_id")
    assert rows == [(chunk_id.sequence, server_id(number)) for number in members], "now it is known"
    for number in members:
        cluster.servers[number].chunks.add(chunk_id)
    await cluster.harness.store.write(
        lambda tx: [missing_rows.remove(tx, server_id(number), chunks) for number in members]
    )
    await cluster.rounds(3)
    assert cluster.holding(chunks) == members


@pytest.mark.parametrize("problem", ["silent", "altered"])
async def test_a_stray_copy_stays_while_a_member_does_not_list_what_was_committed(
    cluster: ScriptedCluster, problem: str
) -> None:
    chunks = await cluster.write("/x", 1)
    members = cluster.holding(chunks)
    stray = next(number for number in cluster.servers if number not in members)
    cluster.servers[stray].chunks.add(chunks[0])
    if problem == "silent":
        cluster.peers.silent = {members[1]}
    else:
        cluster.peers.altered = {(members[1], chunks[0]): (1, 1)}
    await cluster.rounds(100)
    assert stray in cluster.holding(chunks)
    cluster.peers.silent, cluster.peers.altered = set(), {}
    await cluster.rounds(3)
    assert stray not in cluster.holding(chunks)


async def test_a_look_before_the_members_changed_does_not_count(cluster: ScriptedCluster) -> None:
    (chunk_id,) = await cluster.write("/x", 1)
    await cluster.join(5)
    members = cluster.holding([chunk_id])
    first, second = (number for number in cluster.servers if number not in members)
    cluster.servers[first].chunks.add(chunk_id)
    await cluster.rounds(59)
    # All is well when it is looked at; then a newcomer takes a place, and has something else.
    for _ in cluster.harness.master.shared.allocator.groups.by_id:
        await cluster.harness.master.audit.step()
    await cluster.harness.store.write(lambda tx: counters.add(tx, "chunk_sequence", 1_000))
    cluster.servers[second].chunks.add(ChunkId(chunk_id.group_id, 1_000))
    await put_members(cluster, chunk_id.group_id, second, *members[:2])
    for number in members:
        cluster.servers[number].chunks.discard(chunk_id)
        cluster.servers[number].chunks.add(ChunkId(chunk_id.group_id, 1_000))
    await cluster.rounds(100)
    assert cluster.holding([chunk_id]) == [first]


async def test_a_stray_copy_stays_while_a_write_may_count_on_it(cluster: ScriptedCluster) -> None:
    await cluster.join(5)
    intent = await cluster.harness.begin("/slow", chunk_count=1)
    chunk_id = intent.placements[0].chunk_id
    # Two members acknowledge it; while the write goes on, others take over the group, and never hear of the chunk.
    keeper, *leavers = (int(each[-1]) for each in intent.placements[0].chain)
    newcomers = sorted({1, 2, 3, 4, 5} - {keeper, *leavers})
    for leaver in leavers:
        cluster.servers[leaver].chunks.add(chunk_id)
    await put_members(cluster, chunk_id.group_id, keeper, *newcomers)
    for number in (keeper, *newcomers):
        cluster.servers[number].chunks.add(ChunkId(chunk_id.group_id, 1_000))
    await cluster.harness.store.write(lambda tx: counters.add(tx, "chunk_sequence", 1_000))
    for _ in range(4):
        await cluster.rounds(25)
        await cluster.harness.namespace.renew_intent(intent.intent_id, fresh_version=False)
    assert cluster.holding([chunk_id]) == leavers
    record = cluster.harness.written(intent.placements[0], 0, tuple(server_id(each) for each in leavers))
    await cluster.harness.commit(intent, [record])
    await cluster.rounds(70)
    assert cluster.holding([chunk_id]) == leavers, "the members lack it"
    for number in (keeper, *newcomers):
        cluster.servers[number].chunks.add(chunk_id)
    await cluster.harness.store.write(
        lambda tx: [missing_rows.remove(tx, server_id(each), [chunk_id]) for each in (keeper, *newcomers)]
    )
    await cluster.rounds(3)
    assert cluster.holding([chunk_id]) == sorted([keeper, *newcomers])


async def put_members(cluster: ScriptedCluster, group_id: GroupId, *numbers: int) -> None:
    """Make these servers the members of a group, all of them whole."""

    def run(tx: Transaction) -> tuple[PlacedGroup, ...]:
        group = read_groups(tx, [group_id])[group_id]
        return (store_members(tx, group, [(server_id(number), MemberState.WHOLE) for number in numbers]),)

    cluster.harness.master.shared.allocator.adopt(await cluster.harness.store.write(run))


async def test_a_group_that_the_metadata_does_not_know_is_never_dropped(cluster: ScriptedCluster) -> None:
    await cluster.harness.store.write(
        lambda tx: tx.execute("UPDATE counters SET value = 1000 WHERE name IN ('group_id', 'chunk_sequence')")
    )
    unknown = ChunkId(GroupId(900), 5)
    cluster.servers[1].chunks.add(unknown)
    await cluster.rounds(100)
    assert cluster.holding([unknown]) == [1]
