"""When the collection stops and asks before it deletes, and when it does not."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from deleting import delete, deleting_cluster, end_time
from scripted_servers import ScriptedCluster

from dstore.core.checking import CollectionState
from dstore.master import content_history, counters


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[ScriptedCluster]:
    async with deleting_cluster(tmp_path) as deleting:
        yield deleting


async def let_an_hour_pass(cluster: ScriptedCluster) -> None:
    """Have the collection compare with what the files have now."""
    for _ in range(8):
        await cluster.harness.store.write(lambda tx: counters.add(tx, "running_s", 600))
        await cluster.harness.store.write(content_history.advance)


async def test_a_large_share_of_a_server_needs_an_approval(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 200)
    await cluster.write("/y", 100)
    await let_an_hour_pass(cluster)
    await delete(cluster, "/x")
    await cluster.rounds(4)
    status = await cluster.collector.status()
    assert status.state is CollectionState.STOPPED
    assert status.stop is not None and status.stop.due_chunks > 100
    assert status.reason == (
        f"{status.stop.server_name} would lose {status.stop.due_chunks} of {status.stop.held_chunks} chunks."
    )
    assert (await cluster.deleted(), len(cluster.holding(chunks))) == (200, 4)
    collection = cluster.collector
    assert [check.code for check in collection.checks()] == ["COLLECTION_STOPPED"]
    await cluster.take_lead()
    await cluster.rounds(4)
    assert await cluster.deleted() == 200, "it is stored"
    await collection.approve()
    await cluster.rounds(4)
    assert (await cluster.deleted(), cluster.holding(chunks)) == (0, [])
    assert collection.checks() == ()


async def test_what_servers_have_discarded_already_is_not_counted_twice(cluster: ScriptedCluster) -> None:
    """With a member away, the rows stay while the other members hold less already."""
    chunks = await cluster.write("/x", 220)
    await cluster.write("/y", 780)
    await let_an_hour_pass(cluster)
    await delete(cluster, "/x")
    absent = cluster.holding(chunks[:1])[0]
    cluster.away.add(absent)
    await cluster.rounds(8)
    assert (await cluster.collector.status()).state is CollectionState.RUNNING
    assert await cluster.deleted() > 0
    assert cluster.holding(chunks) == [absent]
    cluster.away.clear()
    await cluster.rounds(4)
    assert (await cluster.deleted(), cluster.holding(chunks)) == (0, [])


async def test_an_approval_lets_through_only_what_was_asked_for(cluster: ScriptedCluster) -> None:
    first, second = await cluster.write("/x", 200), await cluster.write("/y", 200)
    await let_an_hour_pass(cluster)
    await delete(cluster, "/x")
    await cluster.rounds(2)
    collection = cluster.collector
    await collection.approve()
    await cluster.rounds(3)
    assert cluster.holding(first) == []
    await delete(cluster, "/y")
    await cluster.rounds(3)
    assert (await cluster.collector.status()).state is CollectionState.STOPPED
    assert (await cluster.deleted(), len(cluster.holding(second))) == (200, 4)


async def test_small_steps_add_up_within_an_hour(cluster: ScriptedCluster) -> None:
    for number in range(4):
        await cluster.write(f"/{number}", 80)
    await let_an_hour_pass(cluster)
    for number in range(4):
        await delete(cluster, f"/{number}")
        await cluster.rounds(3)
    assert (await cluster.collector.status()).state is CollectionState.STOPPED
    assert 0 < await cluster.deleted() < 320


async def test_what_is_replaced_goes_without_asking(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 150)
    await let_an_hour_pass(cluster)
    for _ in range(4):
        await cluster.write("/x", 150)
        await end_time(cluster)
        await cluster.rounds(3)
    assert (await cluster.collector.status()).state is CollectionState.RUNNING
    assert (await cluster.deleted(), cluster.holding(chunks)) == (0, [])
    await delete(cluster, "/x")
    await cluster.rounds(3)
    assert (await cluster.collector.status()).state is CollectionState.STOPPED


async def test_what_comes_and_goes_within_the_hour_goes_without_asking(cluster: ScriptedCluster) -> None:
    await cluster.write("/x", 10)
    await let_an_hour_pass(cluster)
    await cluster.write("/brief", 400)
    await cluster.rounds(1)
    await delete(cluster, "/brief")
    await cluster.rounds(4)
    assert (await cluster.collector.status()).state is CollectionState.RUNNING
    assert await cluster.deleted() == 0


async def test_content_is_compared_with_what_there_was_an_hour_ago(cluster: ScriptedCluster) -> None:
    for _ in range(20):
        await cluster.harness.store.write(lambda tx: counters.add(tx, "running_s", 300))
        await cluster.rounds(1)
    samples = (await cluster.harness.store.read(content_history.read)).samples
    assert len(samples) == 7
    assert 3_600 <= samples[-1].running_s - samples[0].running_s < 3_700
    await cluster.take_lead()
    await cluster.rounds(1)
    assert (await cluster.harness.store.read(content_history.read)).samples == samples, "it is stored"
