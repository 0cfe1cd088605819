"""How long the past is kept, and how it ends: by running time only, never early, in bounded steps."""

from pathlib import Path

import pytest
from master_harness import CHUNK_SIZE, MasterHarness

from dstore.core.files import Policy
from dstore.core.limits import LEADER_LEASE_S, RETENTION_MOMENTS, RUNNING_TIME_STEP_S
from dstore.master import retention
from dstore.master.store.base import Transaction


def policy(retention_s: int) -> Policy:
    return Policy("default", 3, 2, CHUNK_SIZE, "server", retention_s)


async def number(cluster: MasterHarness, sql: str) -> int:
    rows = await cluster.rows(sql)
    assert isinstance(rows[0][0], int)
    return rows[0][0]


async def counter(cluster: MasterHarness, name: str) -> int:
    return await number(cluster, f"SELECT value FROM counters WHERE name = '{name}'")


async def advance(cluster: MasterHarness, elapsed_s: int) -> None:
    def run(tx: Transaction) -> None:
        retention.advance(tx, elapsed_s, retention_s=cluster.policy.retention_s, now_ns=cluster.clock.wall_ns())

    await cluster.store.write(run)


async def horizon(cluster: MasterHarness) -> int:
    return await cluster.store.read(lambda tx: retention.horizon(tx, cluster.policy.retention_s))


async def opened(tmp_path: Path, retention_s: int) -> MasterHarness:
    harness = MasterHarness(tmp_path, policy(retention_s))
    await harness.open()
    await harness.join(1, 2, 3)
    return harness


@pytest.mark.parametrize("retention_s", [1, 2, 15, 16, 17, 100, 86_400])
@pytest.mark.parametrize("step_s", [2, 7])
async def test_nothing_goes_early_and_everything_goes(tmp_path: Path, retention_s: int, step_s: int) -> None:
    cluster = await opened(tmp_path, retention_s)
    step_s *= max(1, retention_s // 100)
    await cluster.write("/x", chunk_count=1)
    await advance(cluster, 3)
    await cluster.remove("/x")
    kept_s = 0
    promised_s = (await cluster.removed())[0].expires_in_s
    assert promised_s >= retention_s
    while not (await cluster.collect()).files:
        await advance(cluster, step_s)
        kept_s += step_s
        assert kept_s < 2 * retention_s + 10 * step_s, "it never ends"
    assert kept_s > retention_s
    assert kept_s <= retention_s * (1 + 1 / RETENTION_MOMENTS) + 2 * step_s + 1
    await cluster.check_counters()
    await cluster.store.close()


async def test_what_is_promised_is_kept(tmp_path: Path) -> None:
    cluster = await opened(tmp_path, 160)
    for round_number in range(60):
        await cluster.write("/x")
        await cluster.remove("/x")
        await advance(cluster, 7)
        while not (await cluster.collect()).is_done:
            pass
        left = [entry.expires_in_s for entry in await cluster.removed()]
        assert left == sorted(left), "what went first goes first"
        assert len(left) == round_number + 1 or left[0] >= 0
    assert 160 // 7 <= len(left) <= 180 // 7 + 1
    assert await number(cluster, "SELECT COUNT(*) FROM moments") <= RETENTION_MOMENTS + 3
    await cluster.store.close()


async def test_without_retention_the_next_round_takes_it(tmp_path: Path) -> None:
    cluster = await opened(tmp_path, 0)
    await cluster.write("/x", chunk_count=2)
    await cluster.remove("/x")
    collected = await cluster.collect()
    assert (collected.files, collected.chunks, collected.is_done) == (1, 2, True)
    assert await cluster.removed() == []
    await cluster.store.close()


async def test_running_time_is_counted_while_the_master_runs(tmp_path: Path) -> None:
    cluster = await opened(tmp_path, 100)
    for _ in range(10):
        await cluster.advance(0.9)
        await cluster.upkeep.step()
    assert 9 - RUNNING_TIME_STEP_S <= await counter(cluster, "running_s") <= 9
    before_s = await counter(cluster, "running_s")
    await cluster.store.close()
    # Away for a day, and the wall clock, which nothing asks, jumped as well.
    cluster.clock.now_s += 86_400
    await cluster.open()
    await cluster.beat()
    await cluster.upkeep.step()
    assert await counter(cluster, "running_s") == before_s
    # Only then is it sure that no other master counts.
    await cluster.advance(LEADER_LEASE_S)
    await cluster.upkeep.step()
    assert await counter(cluster, "running_s") == before_s + LEADER_LEASE_S
    await cluster.store.close()


async def test_the_horizon_never_goes_back(tmp_path: Path) -> None:
    cluster = await opened(tmp_path, 50)
    seen = [await horizon(cluster)]
    assert seen == [0]
    for _ in range(100):
        await cluster.write("/x")
        await advance(cluster, 3)
        seen.append(await horizon(cluster))
    assert seen == sorted(seen)
    assert 0 < seen[-1] < await counter(cluster, "txn")
    await cluster.store.close()


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 1_000])
async def test_collection_is_bounded_and_counts_all(cluster: MasterHarness, limit: int) -> None:
    await cluster.make_directory("/dir/sub")
    for name, chunk_count in (("a", 0), ("b", 1), ("c", 2), ("sub/d", 7)):
        await cluster.write(f"/dir/{name}", chunk_count=chunk_count)
    await cluster.rename("/dir/b", "/dir/e")
    await cluster.write("/stays", chunk_count=2)
    await cluster.remove("/dir", recursive=True)
    ended = await number(cluster, "SELECT (SELECT COUNT(*) FROM ended_inodes) + (SELECT COUNT(*) FROM ended_entries)")
    rounds: list[retention.CollectedVersions] = []
    while not rounds or not rounds[-1].is_done:
        rounds.append(await cluster.collect(limit, retention_s=0))
        assert rounds[-1].chunks <= limit
        assert rounds[-1].rows <= 2 * limit
        assert len(rounds) < 60
        await cluster.check_counters()
        # However far it got, it is gone for everybody.
        assert await cluster.removed() == []
    assert sum(each.rows for each in rounds) == ended
    assert (sum(each.files for each in rounds), sum(each.chunks for each in rounds)) == (4, 10)
    assert await number(cluster, "SELECT COUNT(*) FROM deleted_chunks") == 10
    assert await cluster.rows("SELECT COUNT(*) FROM chunks") == [(2,)]
    assert await cluster.names("/") == ["stays"]
    assert (await counter(cluster, "retained_files"), await counter(cluster, "retained_bytes")) == (0, 0)


async def test_a_file_of_which_only_some_chunks_are_given_up_cannot_be_had(cluster: MasterHarness) -> None:
    info = await cluster.write("/x", chunk_count=7)
    await cluster.remove("/x")
    assert (await cluster.collect(3, retention_s=0)).files == 0
    assert await cluster.rows("SELECT COUNT(*) FROM chunks") == [(4,)]
    for call in (
        cluster.restore("/x"),
        cluster.namespace.list_chunks(info.file_id, info.version, start_index=0, count=0),
    ):
        with pytest.raises(FileNotFoundError):
            await call


async def test_a_file_that_lives_keeps_its_chunks_when_its_past_goes(cluster: MasterHarness) -> None:
    info = await cluster.write("/x", chunk_count=2)
    await cluster.rename("/x", "/y")
    renamed = await cluster.rename("/y", "/z")
    collected = await cluster.collect(retention_s=0)
    assert (collected.rows, collected.files, collected.chunks) == (4, 0, 0)
    page = await cluster.namespace.list_chunks(info.file_id, info.version, start_index=0, count=0)
    assert len(page.chunks) == 2
    assert (await cluster.namespace.open_file("/z")).info == renamed


async def test_deleted_chunks_know_the_running_time(tmp_path: Path) -> None:
    cluster = await opened(tmp_path, 0)
    await advance(cluster, 1_234)
    intent = await cluster.begin("/y", chunk_count=1)
    await cluster.namespace.abandon_write(intent.intent_id, request_id=cluster.request_id())
    await cluster.write("/x", chunk_count=1)
    await cluster.remove("/x")
    await advance(cluster, 10)
    await cluster.collect()
    assert await cluster.rows("SELECT reason, deleted_running_s FROM deleted_chunks ORDER BY sequence") == [
        ("abandoned", 1_234),
        ("released", 1_244),
    ]
    await cluster.store.close()


async def test_every_change_has_a_number_of_its_own(cluster: MasterHarness) -> None:
    seen = [await counter(cluster, "txn")]

    async def changed() -> None:
        seen.append(await counter(cluster, "txn"))
        assert seen[-1] == seen[-2] + 1

    await cluster.make_directory("/dir")
    await changed()
    intent = await cluster.begin("/x")
    await cluster.commit(intent)
    await changed()
    await cluster.rename("/x", "/y")
    await changed()
    await cluster.remove("/y")
    await changed()
    await cluster.restore("/y")
    await changed()
    await cluster.collect(retention_s=0)
    await changed()
    # What changes nothing takes none.
    await cluster.names("/")
    await cluster.removed()
    assert await counter(cluster, "txn") == seen[-1]
