"""The master repairs: whatever happens to servers, every chunk returns to its copies, and no copy is made up."""

from dataclasses import replace
from pathlib import Path

import pytest
from master_harness import POLICY, MasterHarness, server_id
from model_servers import ModelCluster

from dstore.core.groups import ServerPhase
from dstore.core.limits import SERVER_OUT_AFTER_DEFAULT_S
from dstore.core.status import Health
from dstore.core.upkeep import DiskProbe


def phase(model: ModelCluster, number: int) -> ServerPhase:
    state = model.harness.master.shared.membership.state(server_id(number), model.harness.clock.now_s)
    assert state is not None
    return state.phase


def health(model: ModelCluster) -> Health:
    return model.harness.shown[-1].health


async def jump(model: ModelCluster, duration_s: float) -> None:
    """Let time pass while servers beat, without copying."""
    model.harness.clock.now_s += duration_s
    await model.beat()
    await model.harness.upkeep.step()


async def test_a_quiet_cluster_is_well_and_nothing_changes(model: ModelCluster) -> None:
    before = await model.harness.rows("SELECT * FROM groups")
    await model.step(5)
    assert await model.harness.rows("SELECT * FROM groups") == before
    assert health(model) is Health.OK
    await model.check_claims()


async def test_a_lost_server_is_replaced_in_every_group(model: ModelCluster) -> None:
    model.stop(2)
    await model.step(10)
    assert phase(model, 2) is ServerPhase.DOWN
    assert await model.copies() == 2
    await jump(model, SERVER_OUT_AFTER_DEFAULT_S - 11)
    assert phase(model, 2) is ServerPhase.DOWN
    await jump(model, 2)
    assert phase(model, 2) is ServerPhase.OUT
    for _ in range(10):
        await model.step()
        await model.check_claims()
    assert await model.copies() == 3
    rows = await model.harness.rows(f"SELECT COUNT(*) FROM group_members WHERE server_id = '{server_id(2)}'")
    assert rows == [(0,)]
    assert await model.harness.rows("SELECT COUNT(*) FROM group_members WHERE state <> 'whole'") == [(0,)]
    status = model.harness.shown[-1]
    assert (status.under_replicated_chunks, status.unavailable_chunks) == (0, 0)


async def test_writes_go_on_while_groups_are_filled(model: ModelCluster) -> None:
    model.stop(2)
    await model.step(8)
    await jump(model, SERVER_OUT_AFTER_DEFAULT_S)
    for number in range(10):
        await model.write(f"/new-{number}", chunk_count=3, failing=[1] if number % 3 == 0 else [])
        await model.step(copy=number % 2 == 0)
        await model.check_claims()
    await model.step(10)
    assert await model.copies() == 3


async def test_degraded_writes_are_completed(model: ModelCluster) -> None:
    await model.write("/x", chunk_count=6, failing=[3])
    assert await model.copies() == 2
    await model.step(3)
    await model.check_claims()
    assert await model.copies() == 3
    assert await model.harness.rows("SELECT * FROM missing_replicas") == []
    assert health(model) is Health.OK


async def test_corrupt_chunks_are_replaced(model: ModelCluster) -> None:
    victim = next(server for server in model.servers.values() if server.chunks)
    corrupt = sorted(victim.chunks)[:3]
    victim.chunks -= set(corrupt)
    victim.corrupt |= set(corrupt)
    model.work(victim)
    await model.beat(victim.number)
    rows = await model.harness.rows("SELECT COUNT(*), COUNT(DISTINCT server_id) FROM missing_replicas")
    assert rows == [(3, 1)]
    await model.check_claims()
    await model.step(4)
    await model.check_claims()
    assert not victim.corrupt
    assert await model.copies() == 3


async def test_corrupt_chunks_of_groups_without_the_server_or_without_a_file_change_nothing(
    model: ModelCluster,
) -> None:
    intent = await model.harness.begin("/never", chunk_count=4)
    server = model.server(1)
    foreign = [
        chunk_id
        for chunk_id, members in (await model.committed()).items()
        if server.server_id not in [member for member, _ in members]
    ]
    server.corrupt |= {foreign[0], *(placement.chunk_id for placement in intent.placements)}
    model.work(server)
    await model.beat(1)
    assert await model.harness.rows("SELECT * FROM missing_replicas") == []


async def test_an_emptied_disk_is_filled_again(model: ModelCluster) -> None:
    before = len(model.server(4).chunks)
    model.stop(4)
    await model.step()
    model.server(4).chunks.clear()
    await model.start(4)
    await model.harness.upkeep.step()
    assert health(model) is Health.WARN
    rows = await model.harness.rows("SELECT COUNT(*) FROM group_members WHERE state = 'filling'")
    assert rows != [(0,)]
    await model.step(6)
    await model.check_claims()
    assert len(model.server(4).chunks) == before
    assert health(model) is Health.OK


async def test_a_server_that_returns_is_a_normal_one(model: ModelCluster) -> None:
    model.stop(2)
    await model.step(7)
    await jump(model, SERVER_OUT_AFTER_DEFAULT_S)
    await model.step(10)
    await model.start(2)
    assert phase(model, 2) is ServerPhase.UP
    await model.step(2)
    await model.check_claims()
    # Its old copies are offered as sources and counted for nothing.
    holders = model.harness.master.shared.orders.former_holders
    assert any(server_id(2) in holders(group_id) for group_id in model.harness.master.shared.allocator.groups.by_id)
    await model.write("/later", chunk_count=20)
    await model.step(5)
    await model.check_claims()
    assert await model.copies() == 3


async def test_a_report_of_a_server_that_is_out_ends_it(model: ModelCluster) -> None:
    """As after a network that was cut: the process never ended."""
    model.stop(2)
    await model.step(7, copy=False)
    await jump(model, SERVER_OUT_AFTER_DEFAULT_S)
    assert phase(model, 2) is ServerPhase.OUT
    model.server(2).is_running = True
    await model.beat(2)
    assert phase(model, 2) is ServerPhase.UP
    assert await model.harness.rows("SELECT COUNT(*) FROM servers WHERE is_out = 1") == [(0,)]


async def test_a_server_that_never_reported_goes_out_too(model: ModelCluster) -> None:
    model.stop(3)
    await model.harness.restart()
    await jump(model, SERVER_OUT_AFTER_DEFAULT_S - 1)
    assert phase(model, 3) is ServerPhase.DOWN
    await jump(model, 2)
    assert phase(model, 3) is ServerPhase.OUT


async def test_a_disk_that_takes_no_writes_goes_out_though_its_server_reports(model: ModelCluster) -> None:
    model.server(5).suspicion = "fsync failed"
    await model.step()
    assert phase(model, 5) is ServerPhase.SUSPECT
    await model.write("/elsewhere", chunk_count=10)
    for _ in range(int(SERVER_OUT_AFTER_DEFAULT_S / 5) + 1):
        await jump(model, 5)
    assert phase(model, 5) is ServerPhase.OUT
    await model.step(10)
    await model.check_claims()
    assert await model.copies() == 3
    rows = await model.harness.rows(f"SELECT COUNT(*) FROM group_members WHERE server_id = '{server_id(5)}'")
    assert rows == [(0,)]


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (DiskProbe(1.999, 0.0), ServerPhase.UP),
        (DiskProbe(2.0, 0.0), ServerPhase.SUSPECT),
        (DiskProbe(0.001, 1.999), ServerPhase.UP),
        (DiskProbe(0.001, 2.0), ServerPhase.SUSPECT),
    ],
)
async def test_a_slow_or_stuck_disk_makes_a_server_suspect(
    model: ModelCluster, probe: DiskProbe, expected: ServerPhase
) -> None:
    model.server(1).probe = probe
    await model.beat(1)
    assert phase(model, 1) is expected
    model.server(1).probe = DiskProbe(0.001, 0.0)
    await model.beat(1)
    assert phase(model, 1) is ServerPhase.UP


async def test_with_three_servers_a_lost_one_keeps_its_place_until_a_fourth_joins(empty: MasterHarness) -> None:
    model = ModelCluster(empty)
    await model.start(1, 2, 3)
    await model.write("/x", chunk_count=10)
    await model.step(2)
    model.stop(3)
    await model.step(7)
    await jump(model, SERVER_OUT_AFTER_DEFAULT_S)
    await model.step(3)
    assert phase(model, 3) is ServerPhase.OUT
    assert await model.copies() == 2
    await model.start(4)
    await model.step(10)
    await model.check_claims()
    assert await model.copies() == 3


async def test_the_only_copy_is_looked_at_chunk_by_chunk_when_some_of_it_is_gone(tmp_path: Path) -> None:
    harness = MasterHarness(tmp_path, replace(POLICY, replicas=1, min_replicas=1))
    await harness.open()
    model = ModelCluster(harness)
    await model.start(1)
    await model.step()
    await model.write("/x", chunk_count=40)
    await model.step(4)
    lost = min(model.server(1).chunks)
    model.server(1).chunks.discard(lost)
    await model.step(30)
    status = harness.shown[-1]
    assert status.unavailable_chunks == 1, "what is left can be read"
    assert await harness.rows("SELECT sequence FROM missing_replicas") == [(lost.sequence,)]
    assert await harness.rows("SELECT 1 FROM group_members WHERE state <> 'whole'") == []
    await model.check_claims()
    await harness.store.close()


async def test_out_after_can_be_chosen(tmp_path: Path) -> None:
    harness = MasterHarness(tmp_path)
    harness.config = replace(harness.config, out_after_s=20.0)
    await harness.open()
    model = ModelCluster(harness)
    await model.start(1, 2, 3, 4)
    await model.write("/x", chunk_count=10)
    model.stop(1)
    await model.step(19)
    assert phase(model, 1) is ServerPhase.DOWN
    await model.step(8)
    assert phase(model, 1) is ServerPhase.OUT
    assert await model.copies() == 3
    await harness.store.close()


async def test_a_former_holder_saves_what_all_members_lost(model: ModelCluster) -> None:
    """The last whole members die for good while their group is filled; one that was replaced before comes back."""
    group_id = next(iter(await model.committed())).group_id
    members = [server for server in model.servers.values() if server.held(group_id)]
    wanted = members[0].held(group_id)
    first, *others = [server.number for server in members]
    model.stop(first)
    await model.step(7, copy=False)
    await jump(model, SERVER_OUT_AFTER_DEFAULT_S)
    await model.step(2, copy=False)
    model.stop(*others)
    await model.step(7, copy=False)
    await jump(model, SERVER_OUT_AFTER_DEFAULT_S)
    await model.start(first)
    await model.step(15)
    await model.check_claims()
    rows = await model.harness.rows(f"SELECT server_id FROM group_members WHERE group_id = {group_id}")
    holders = [
        server for server in model.servers.values() if (server.server_id,) in rows and server.held(group_id) >= wanted
    ]
    assert len([server for server in holders if server.is_running]) == 3
    assert model.harness.shown[-1].unavailable_chunks == 0
