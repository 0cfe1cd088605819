"""Safe mode: with metadata older than what chunkservers saw, nothing is deleted, and nothing given out twice."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from master_harness import POLICY, boot_id, server_id
from scripted_servers import ScriptedCluster, scripted_cluster

from dstore.core.checking import CollectionState
from dstore.core.groups import Capacity
from dstore.core.ids import GroupId
from dstore.core.limits import RESTORE_GAP, RESTORE_GROUP_GAP
from dstore.core.upkeep import GroupSummary, Heartbeat, Standing
from dstore.master import safe_mode
from dstore.master.safe_mode import Known, evidence
from dstore.master.store.base import INTEGER_MAX, Transaction

H1, H2, H3 = (f"44444444-0000-4000-8000-{number:012x}" for number in range(1, 4))
KNOWN = Known(H2, (H1,), leader_epoch=5, transaction=100, chunk_sequence=50, group_id=12)


def report(standing: Standing | None = None, newest_sequence: int = 0, groups: tuple[int, ...] = ()) -> Heartbeat:
    return Heartbeat(
        server_id(1),
        boot_id(1),
        Capacity(1, 0),
        0,
        standing=standing,
        newest_sequence=newest_sequence,
        groups=tuple(GroupSummary(GroupId(each), 1, 1, 1, b"") for each in groups),
    )


@pytest.mark.parametrize(
    ("heartbeat", "expected"),
    [
        (report(), ""),
        (report(Standing(5, H2, 100), 50, (12,)), ""),
        (report(Standing(0, H1, 0)), ""),
        (report(Standing(6, H2, 100)), "saw leader epoch 6, this metadata ends with 5"),
        (report(Standing(5, H2, 101)), "saw transaction 101, this metadata ends with 100"),
        (report(Standing(5, H1, 101)), "saw transaction 101, this metadata ends with 100"),
        (report(Standing(1, H3, 1)), f"followed the history {H3}, which this metadata does not know"),
        (report(newest_sequence=51), "holds chunk number 51, this metadata ends with 50"),
        (report(groups=(3, 13)), "holds a chunk of group 13, this metadata ends with 12"),
    ],
)
def test_what_shows_that_metadata_is_old(heartbeat: Heartbeat, expected: str) -> None:
    assert evidence(heartbeat, "cs-1", KNOWN) == (f"cs-1 {expected}" if expected else "")


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[ScriptedCluster]:
    """Four servers, no retention, and a copy of the metadata from before the last writes."""
    async with scripted_cluster(tmp_path, replace(POLICY, retention_s=0)) as scripted:
        yield scripted


async def back_up(cluster: ScriptedCluster, tmp_path: Path) -> None:
    old = str(tmp_path / "old.db")
    await cluster.harness.store.close()
    with closing(apsw.Connection(str(tmp_path / "metadata.db"))) as connection:
        connection.execute("VACUUM INTO ?", (old,))
    await cluster.open()
    await cluster.join(*cluster.servers)


async def restore(cluster: ScriptedCluster, tmp_path: Path) -> None:
    """The servers remember how far the metadata had come; then the old copy takes its place."""
    counters = {str(name): int(str(value)) for name, value in await cluster.harness.rows("SELECT * FROM counters")}
    history_id = cluster.harness.master.shared.cluster.history_id
    for server in cluster.servers.values():
        server.standing = Standing(cluster.leader_epoch, history_id, counters["txn"])
    await cluster.harness.store.close()
    for name in ("metadata.db-wal", "metadata.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "old.db", tmp_path / "metadata.db")
    await cluster.open()
    await cluster.take_lead()


async def numbers(cluster: ScriptedCluster) -> dict[str, int]:
    rows = await cluster.harness.rows("SELECT name, value FROM counters UNION ALL SELECT 'epoch', epoch FROM leader")
    return {str(name): int(str(value)) for name, value in rows}


async def test_an_old_copy_of_the_metadata_deletes_nothing(cluster: ScriptedCluster, tmp_path: Path) -> None:
    old = await cluster.write("/old", 2)
    doomed = await cluster.write("/doomed", 2)
    await cluster.harness.remove("/doomed")
    await back_up(cluster, tmp_path)
    new = await cluster.write("/new", 3)
    history_id = cluster.harness.master.shared.cluster.history_id
    before = await numbers(cluster)
    await restore(cluster, tmp_path)
    for server in cluster.servers.values():
        await server.join()
    await cluster.rounds(2)
    await cluster.take_lead()
    await cluster.run(100)
    await cluster.rounds(5)
    status = await cluster.collector.status()
    assert status.state is CollectionState.SAFE_MODE
    assert "transaction" in status.reason
    assert len(cluster.holding(doomed)) >= 3 and len(cluster.holding(new)) >= 3
    assert all(not server.trash for server in cluster.servers.values())
    after = await numbers(cluster)
    assert all(after[name] >= before[name] + RESTORE_GAP // 2 for name in ("txn", "version", "file_id", "epoch"))
    assert after["chunk_sequence"] > max(each.sequence for each in new) + RESTORE_GAP // 2
    assert after["group_id"] >= before["group_id"] + RESTORE_GROUP_GAP
    assert cluster.harness.master.shared.cluster.history_id != history_id
    assert [check.code for check in cluster.collector.checks()] == ["SAFE_MODE"]
    assert await cluster.harness.names("/") == ["old"]
    fresh = await cluster.write("/fresh", 2)
    assert all(each.sequence > after["chunk_sequence"] for each in fresh)
    await cluster.harness.store.close()
    await cluster.open()
    assert cluster.collector.safe_mode.status.is_on, "it is stored"
    for server in cluster.servers.values():
        await server.join()
    await cluster.collector.safe_mode.leave()
    await cluster.take_lead()
    await cluster.rounds(2)
    await cluster.run(100)
    await cluster.rounds(4)
    assert cluster.holding(doomed) == [], "what the old metadata knows as deleted goes"
    assert all(each in cluster.servers[number].chunks for each in new for number in cluster.holding([each])), "unknown"
    assert len(cluster.holding(new)) >= 3
    assert len(cluster.holding(old)) >= 3


async def test_what_was_read_before_it_began_does_not_end_it(
    cluster: ScriptedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, guard = cluster.harness.store, cluster.collector.safe_mode
    read = store.read

    async def read_late(fn: Callable[[Transaction], object]) -> object:
        result = await read(fn)
        for _ in range(50):
            await asyncio.sleep(0)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(store, "read", read_late)
        refreshing = asyncio.create_task(guard.refresh())
        await asyncio.sleep(0)
    cluster.servers[1].standing = Standing(1, "another history", 1)
    await cluster.servers[1].beat(obeys=False)
    history_id = cluster.harness.master.shared.cluster.history_id
    assert guard.status.is_on
    assert (await refreshing).is_on
    assert guard.status.is_on
    assert cluster.harness.master.shared.cluster.history_id == history_id


async def test_every_report_with_higher_numbers_lifts_them_again(cluster: ScriptedCluster) -> None:
    history_id = cluster.harness.master.shared.cluster.history_id
    cluster.servers[1].standing = Standing(7, history_id, 1000)
    await cluster.servers[1].beat()
    first = await numbers(cluster)
    second_history = cluster.harness.master.shared.cluster.history_id
    assert first["txn"] == 1000 + RESTORE_GAP
    cluster.servers[2].standing = Standing(first["epoch"] + 9, history_id, first["txn"] + 5)
    await cluster.servers[2].beat()
    second = await numbers(cluster)
    assert second["txn"] == first["txn"] + 5 + RESTORE_GAP
    assert second["epoch"] == first["epoch"] + 9 + RESTORE_GAP
    status = cluster.collector.safe_mode.status
    assert status.earlier_history_ids == (history_id, second_history)
    assert status.reason == "cs-1 saw transaction 1000, this metadata ends with 0"
    for server in cluster.servers.values():
        server.standing = Standing(1, history_id, 900)
    await cluster.beat()
    assert await numbers(cluster) == second


async def test_a_lost_history_is_entered_once(cluster: ScriptedCluster) -> None:
    own = cluster.harness.master.shared.cluster.history_id
    for server in cluster.servers.values():
        server.standing = Standing(3, H3, 40)
    await cluster.beat()
    assert cluster.collector.safe_mode.status.earlier_history_ids == (H3, own)
    assert (await numbers(cluster))["txn"] == 40 + RESTORE_GAP


@pytest.mark.parametrize("value", [INTEGER_MAX, 1 << 63, (1 << 64) - 1])
async def test_numbers_that_nobody_gave_out_do_not_break_the_counters(cluster: ScriptedCluster, value: int) -> None:
    cluster.servers[1].standing = Standing(value, H3, value)
    await cluster.servers[1].beat()
    assert cluster.collector.safe_mode.status.is_on
    assert all(number < INTEGER_MAX // 2 for number in (await numbers(cluster)).values())
    await cluster.write("/x", 1)


async def test_groups_are_lifted_above_the_epochs_that_were_seen(cluster: ScriptedCluster) -> None:
    chunks = await cluster.write("/x", 1)
    group_id = chunks[0].group_id
    holder = cluster.servers[cluster.holding(chunks)[0]]
    holder.epochs[group_id] = 7
    await holder.beat()
    assert cluster.harness.master.shared.allocator.groups.by_id[group_id].epoch == 8
    assert await cluster.harness.rows(f"SELECT epoch FROM groups WHERE group_id = {group_id}") == [(8,)]
    assert not cluster.collector.safe_mode.status.is_on
    holder.epochs[group_id] = 8
    await holder.beat()
    assert cluster.harness.master.shared.allocator.groups.by_id[group_id].epoch == 8


async def test_another_master_sees_safe_mode_in_the_store(cluster: ScriptedCluster) -> None:
    await cluster.harness.store.write(
        lambda tx: tx.execute("INSERT INTO meta (name, value) VALUES ('safe_mode', 'cs-9 saw more')")
    )
    await cluster.rounds(1)
    assert (await cluster.collector.status()).state is CollectionState.SAFE_MODE
    await cluster.harness.store.write(safe_mode.leave)
    await cluster.rounds(2)
    assert (await cluster.collector.status()).state is CollectionState.RUNNING
