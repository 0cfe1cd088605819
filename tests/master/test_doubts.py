"""What servers may lack of what they acknowledged: looked at first, recorded, and told to be over only then."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from checked_cluster import CheckedCluster, open_checked
from master_harness import written

from dstore.core.ids import ChunkId, GroupId
from dstore.core.status import Health
from dstore.core.upkeep import GroupDoubt
from dstore.master import audit
from dstore.master.observing import observe


@pytest.fixture
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CheckedCluster]:
    checked = await open_checked(tmp_path, monkeypatch)
    yield checked
    await checked.harness.check_counters()
    await checked.harness.store.close()


async def look(cluster: CheckedCluster) -> None:
    """Let the audit look once, and all servers report and hear what came of it."""
    await cluster.rounds(1)
    await observe(cluster.harness.master.shared)
    await cluster.harness.master.audit.step()
    await cluster.beat()


async def missing(cluster: CheckedCluster) -> list[tuple[object, ...]]:
    return await cluster.harness.rows("SELECT group_id, sequence, server_id FROM missing_replicas ORDER BY server_id")


async def codes(cluster: CheckedCluster) -> list[str]:
    return [check.code for check in (await cluster.harness.master.admin.get_status()).checks]


async def doubt(cluster: CheckedCluster, number: int, chunk_id: ChunkId, *, count: int = 1) -> None:
    """Have a server come back after a power loss that took a chunk."""
    server = cluster.servers[number]
    server.chunks.discard(chunk_id)
    server.doubts = (GroupDoubt(chunk_id.group_id, count),)
    server.boot += 1
    await server.join()


async def test_what_a_server_lost_is_recorded_at_once_and_the_doubt_is_over(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    number = cluster.holding([chunk_id])[0]
    await doubt(cluster, number, chunk_id)
    assert "COPIES_IN_DOUBT" in await codes(cluster)
    await look(cluster)
    await cluster.beat()
    server = cluster.servers[number]
    assert await missing(cluster) == [(chunk_id.group_id, chunk_id.sequence, server.server_id)]
    assert server.doubts == ()
    assert "COPIES_IN_DOUBT" not in await codes(cluster)
    assert cluster.harness.master.shared.doubts.due(1 << 62) is None


async def test_a_chunk_that_all_replicas_lost_is_told_as_lost(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    holders = cluster.holding([chunk_id])
    for number in holders:
        await doubt(cluster, number, chunk_id)
        assert "COPIES_IN_DOUBT" in await codes(cluster)
    await look(cluster)
    assert len(await missing(cluster)) == len(holders)
    status = await cluster.harness.master.admin.get_status()
    assert (status.health, status.unavailable_chunks) == (Health.ERROR, 1)
    assert status.checks[0].code == "CHUNKS_UNAVAILABLE"


async def test_a_doubt_lasts_while_what_was_acknowledged_may_still_be_committed(cluster: CheckedCluster) -> None:
    """A writer has its acknowledgement, the server loses the power, and then the writer commits."""
    begun = await cluster.harness.begin("/dir/late")
    (placement,) = await cluster.harness.namespace.allocate_chunks(
        begun.intent_id, count=1, written=(), avoid=(), request_id=cluster.harness.request_id()
    )
    chunk_id = placement.chunk_id
    for server in cluster.servers.values():
        if server.server_id in placement.chain:
            server.chunks.add(chunk_id)
    number = cluster.holding([chunk_id])[0]
    await doubt(cluster, number, chunk_id)
    for _ in range(2):
        await look(cluster)
        assert cluster.servers[number].doubts, "the chunk is not committed yet"
        assert await missing(cluster) == []
    assert cluster.harness.master.shared.doubts.due(cluster.harness.master.shared.orders.settled_sequence) is None
    await cluster.harness.commit(begun, [written(placement, 0)])
    await look(cluster)
    await cluster.beat()
    server = cluster.servers[number]
    assert await missing(cluster) == [(chunk_id.group_id, chunk_id.sequence, server.server_id)]
    assert server.doubts == ()


async def test_a_server_that_cannot_be_asked_stays_in_doubt(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    number = cluster.holding([chunk_id])[0]
    await doubt(cluster, number, chunk_id)
    cluster.peers.silent = {number}
    await look(cluster)
    await cluster.beat()
    assert cluster.servers[number].doubts
    cluster.peers.silent = set()
    await look(cluster)
    await cluster.beat()
    assert cluster.servers[number].doubts == ()
    assert len(await missing(cluster)) == 1


async def test_a_look_at_an_earlier_run_or_doubt_proves_nothing(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    number = cluster.holding([chunk_id])[0]
    doubts, settled = cluster.harness.master.shared.doubts, 1 << 62
    await doubt(cluster, number, chunk_id)
    begun = doubts.begin(chunk_id.group_id, newest_sequence=5, settled_sequence=settled)
    await doubt(cluster, number, chunk_id)
    doubts.end(begun, set())
    server = cluster.servers[number]
    assert doubts.examined(server.server_id) == ()
    begun = doubts.begin(chunk_id.group_id, newest_sequence=5, settled_sequence=settled)
    server.doubts = (GroupDoubt(chunk_id.group_id, 2),)
    await server.beat(obeys=False)
    doubts.end(begun, set())
    assert not doubts.examined(server.server_id)
    doubts.end(doubts.begin(chunk_id.group_id, newest_sequence=5, settled_sequence=settled), set())
    assert doubts.examined(server.server_id) == server.doubts


async def test_groups_that_the_server_is_no_member_of_are_no_doubt(cluster: CheckedCluster) -> None:
    server = cluster.servers[1]
    server.doubts = (GroupDoubt(GroupId(4_000), 1),)
    assert (await server.beat()).examined == (GroupDoubt(GroupId(4_000), 1),)
    assert not server.doubts


async def test_groups_in_doubt_are_looked_at_soon(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    await doubt(cluster, cluster.holding([chunk_id])[0], chunk_id)
    assert cluster.harness.master.audit._interval_s() == audit._INTERVAL_MIN_S
