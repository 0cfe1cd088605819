"""The collection from the removal of a file to the end of its rows, with scripted chunkservers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from deleting import GRACE_S, RETENTION_S, delete, deleting_cluster
from master_harness import identity, server_id
from scripted_servers import ScriptedCluster

from dstore.core.checking import CollectionState
from dstore.core.errors import Conflict
from dstore.core.ids import ChunkId


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[ScriptedCluster]:
    async with deleting_cluster(tmp_path) as deleting:
        yield deleting


async def test_a_removed_file_takes_no_space_after_retention_and_grace(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 5)
    kept = await cluster.write("/y", 5)
    await cluster.harness.remove("/x")
    await cluster.run(RETENTION_S - 10)
    await cluster.rounds(3)
    assert await cluster.deleted() == 0
    assert len(cluster.holding(chunks)) >= 3
    await cluster.run(30)
    await cluster.rounds(3)
    assert await cluster.deleted() == 5
    assert len(cluster.holding(chunks)) >= 3, "the grace is not over"
    await cluster.run(GRACE_S)
    await cluster.rounds(3)
    assert (await cluster.deleted(), cluster.holding(chunks)) == (0, [])
    assert all(any(each in server.chunks for server in cluster.servers.values()) for each in kept)
    status = await cluster.collector.status()
    assert (status.state, status.deleted_chunks, status.ordered_chunks, status.owed_chunks) == (
        CollectionState.RUNNING,
        0,
        0,
        0,
    )


async def test_chunks_of_a_given_up_write_take_the_same_way(cluster: ScriptedCluster) -> None:
    intent = await cluster.harness.begin("/x", chunk_count=2)
    for placement in intent.placements:
        cluster.servers[1].chunks.add(placement.chunk_id)
    await cluster.harness.namespace.abandon_write(intent.intent_id, request_id=cluster.harness.request_id())
    await cluster.run(GRACE_S)
    await cluster.rounds(3)
    assert (await cluster.deleted(), cluster.holding([p.chunk_id for p in intent.placements])) == (0, [])


async def test_a_row_stays_until_every_member_has_confirmed(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 1)
    absent = cluster.holding(chunks)[0]
    await delete(cluster, "/x")
    cluster.away.add(absent)
    await cluster.rounds(5)
    assert (await cluster.deleted(), cluster.holding(chunks)) == (1, [absent])
    cluster.away.clear()
    await cluster.rounds(3)
    assert (await cluster.deleted(), cluster.holding(chunks)) == (0, [])


async def test_a_confirmation_without_a_settled_sequence_does_not_count(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 1)
    for server in cluster.servers.values():
        server.settled_sequence = chunks[0].sequence
    await delete(cluster, "/x")
    await cluster.rounds(5)
    assert (await cluster.deleted(), cluster.holding(chunks)) == (1, [])
    for server in cluster.servers.values():
        server.settled_sequence = chunks[0].sequence + 1
    await cluster.rounds(3)
    assert await cluster.deleted() == 0


async def test_what_a_server_was_away_for_is_remembered(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 3)
    absent = cluster.holding(chunks)[0]
    cluster.away.add(absent)
    await cluster.run(700)
    await delete(cluster, "/x")
    await cluster.rounds(4)
    status = await cluster.collector.status()
    held = len(cluster.servers[absent].chunks & set(chunks))
    assert (await cluster.deleted(), cluster.holding(chunks), status.owed_chunks) == (0, [absent], 3)
    assert held > 0
    joined = await cluster.harness.master.cluster.register(identity(absent, boot_id=cluster.servers[absent].boot_id))
    assert set(joined.orders.discards) == set(chunks), "a server that returns hears it before it serves"
    cluster.away.clear()
    await cluster.rounds(3)
    assert (cluster.holding(chunks), (await cluster.collector.status()).owed_chunks) == ([], 0)


async def test_what_a_server_wrote_after_its_last_report_is_remembered(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 1)
    former = next(number for number in cluster.servers if number not in cluster.holding(chunks))
    cluster.away.add(former)
    cluster.servers[former].chunks.update(chunks)
    await delete(cluster, "/x")
    await cluster.rounds(4)
    status = await cluster.collector.status()
    assert (status.deleted_chunks, status.owed_chunks, cluster.holding(chunks)) == (0, 1, [former])
    cluster.away.clear()
    await cluster.rounds(3)
    status = await cluster.collector.status()
    assert (status.deleted_chunks, status.owed_chunks, cluster.holding(chunks)) == (0, 0, [])


async def test_a_server_that_holds_nothing_of_a_group_owes_nothing_of_it(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 1)
    members = cluster.holding(chunks)
    other = next(number for number in cluster.servers if number not in members)
    cluster.away.add(other)
    await cluster.run(700)
    await delete(cluster, "/x")
    await cluster.rounds(3)
    assert (await cluster.collector.status()).owed_chunks == 1
    for server in cluster.servers.values():
        server.trash.clear()
    cluster.away.clear()
    await cluster.rounds(3)
    assert (await cluster.collector.status()).owed_chunks == 0
    assert not any(cluster.servers[number].trash for number in members), "the others were not troubled"


async def test_nothing_goes_while_no_server_is_heard(cluster: ScriptedCluster) -> None:
    await cluster.write("/x", 1)
    await delete(cluster, "/x")
    await cluster.harness.store.write(lambda tx: tx.execute("UPDATE servers SET is_out = 1"))
    await cluster.harness.store.close()
    await cluster.open()
    await cluster.take_lead()
    for _ in range(3):
        await cluster.step()
    assert (await cluster.collector.status()).reason == "No chunkserver has reported to this leader yet."
    assert await cluster.deleted() == 1


async def test_a_server_that_comes_back_while_others_confirm_is_not_forgotten(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 1)
    members = cluster.holding(chunks)
    former = next(number for number in cluster.servers if number not in members)
    cluster.servers[former].chunks.update(chunks)
    await cluster.beat()
    cluster.away.add(former)
    await cluster.run(700)
    await delete(cluster, "/x")
    await cluster.step()
    for _ in range(2):
        await cluster.beat(*members)
    assert cluster.holding(chunks) == [former]
    await cluster.servers[former].beat(obeys=False)
    await cluster.step()
    status = await cluster.collector.status()
    assert status.deleted_chunks + status.owed_chunks > 0
    cluster.away.clear()
    await cluster.rounds(3)
    status = await cluster.collector.status()
    assert (status.deleted_chunks, status.owed_chunks, cluster.holding(chunks)) == (0, 0, [])


async def test_the_debts_of_a_removed_server_are_forgotten(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 3)
    absent = cluster.holding(chunks)[0]
    cluster.away.add(absent)
    await cluster.run(700)
    await delete(cluster, "/x")
    await cluster.rounds(3)
    gone = server_id(absent)
    await cluster.harness.store.write(lambda tx: tx.execute("DELETE FROM servers WHERE server_id = ?", (gone,)))
    cluster.harness.master.shared.membership.removed(gone)
    await cluster.rounds(2)
    assert (await cluster.collector.status()).owed_chunks == 0


async def test_a_copy_beside_the_members_is_discarded_too(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 1)
    stray = next(number for number in cluster.servers if number not in cluster.holding(chunks))
    cluster.servers[stray].chunks.add(chunks[0])
    await cluster.harness.remove("/x")
    await cluster.run(RETENTION_S + 20)
    await cluster.rounds(1)
    await cluster.run(GRACE_S)
    await cluster.step()
    collection = cluster.collector
    assert collection.orders_for(server_id(stray))[0] == tuple(chunks)
    await cluster.rounds(3)
    assert (await cluster.deleted(), cluster.holding(chunks)) == (0, [])


# --- Nothing is deleted … --------------------------------------------------------------------------------------


async def test_nothing_goes_before_every_server_has_reported_to_the_new_leader(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 1)
    await delete(cluster, "/x")
    await cluster.take_lead()
    cluster.away.add(4)
    await cluster.rounds(5)
    status = await cluster.collector.status()
    assert (status.state, status.reason) == (CollectionState.POSTPONED, "cs-4 did not report to this leader yet.")
    assert (await cluster.deleted(), len(cluster.holding(chunks))) == (1, 3)
    cluster.away.clear()
    await cluster.rounds(4)
    assert (await cluster.deleted(), cluster.holding(chunks)) == (0, [])


async def test_a_leader_that_was_followed_changes_nothing(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 1)
    await delete(cluster, "/x")
    old_epoch = cluster.leader_epoch
    await cluster.rounds(1)
    await cluster.run(2)
    await cluster.take_lead()
    cluster.leader_epoch = old_epoch
    with pytest.raises(Conflict, match="lead"):
        await cluster.step()
    assert await cluster.deleted() == len(chunks)


async def test_orders_lapse_when_the_leader_does_not_plan(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 1)
    holder = cluster.holding(chunks)[0]
    await delete(cluster, "/x")
    await cluster.step()
    collection = cluster.collector
    assert collection.orders_for(server_id(holder))[0] == tuple(chunks)
    cluster.harness.clock.now_s += 11.0
    assert collection.orders_for(server_id(holder)) == ((), ())


async def test_a_chunk_that_is_used_is_never_ordered(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 2)
    await _insert_deleted(cluster, chunks[0])
    await cluster.run(GRACE_S)
    await cluster.rounds(4)
    assert (await cluster.deleted(), len(cluster.holding(chunks[:1]))) == (1, 3)
    await cluster.harness.store.write(lambda tx: tx.execute("DELETE FROM deleted_chunks"))


async def test_a_chunk_that_comes_into_use_while_it_is_discarded_keeps_its_row(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 1)
    await delete(cluster, "/x")
    await cluster.step()
    await cluster.beat()
    group_id, sequence = chunks[0].group_id, chunks[0].sequence
    await cluster.harness.store.write(
        lambda tx: tx.execute(
            "INSERT INTO intent_chunks (intent_id, sequence, group_id) VALUES ('x', ?, ?)", (sequence, group_id)
        )
    )
    await cluster.rounds(3)
    assert await cluster.deleted() == 1
    await cluster.harness.store.write(lambda tx: tx.execute("DELETE FROM intent_chunks"))


async def test_unknown_chunks_stay(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 1)
    unknown = ChunkId(chunks[0].group_id, 1 << 20)
    await cluster.harness.store.write(
        lambda tx: tx.execute("UPDATE counters SET value = ? WHERE name = 'chunk_sequence'", (1 << 21,))
    )
    cluster.servers[1].chunks.add(unknown)
    await delete(cluster, "/x")
    await cluster.rounds(5)
    assert (await cluster.deleted(), cluster.holding([unknown])) == (0, [1])


async def _insert_deleted(cluster: ScriptedCluster, chunk_id: ChunkId) -> None:
    await cluster.harness.store.write(
        lambda tx: tx.execute(
            "INSERT INTO deleted_chunks (group_id, sequence, reason, deleted_ns, deleted_running_s) "
            "VALUES (?, ?, 'removed', 0, 0)",
            (chunk_id.group_id, chunk_id.sequence),
        )
    )
