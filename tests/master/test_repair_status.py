"""What operators are told while the master repairs."""

import pytest
from master_harness import MasterHarness
from model_servers import ModelCluster

from dstore.core.limits import LEADER_LEASE_S, SERVER_OUT_AFTER_DEFAULT_S
from dstore.core.upkeep import DiskProbe


async def jump(model: ModelCluster, duration_s: float) -> None:
    """Let time pass while servers beat, without copying."""
    model.harness.clock.now_s += duration_s
    await model.beat()
    await model.harness.upkeep.step()


def codes(model: ModelCluster) -> list[str]:
    return [check.code for check in model.harness.shown[-1].checks]


async def test_the_status_says_what_is_being_done_and_how_long_it_takes(model: ModelCluster) -> None:
    model.stop(2)
    await model.step(7)
    assert codes(model) == ["SERVER_DOWN", "CHUNKS_UNDER_REPLICATED"]
    await jump(model, SERVER_OUT_AFTER_DEFAULT_S)
    await jump(model, 1)
    assert codes(model) == ["SERVER_OUT", "CHUNKS_UNDER_REPLICATED", "GROUPS_FILLING"]
    message = model.harness.shown[-1].checks[-1].message
    assert "copies of placement groups are being made" in message
    assert "KiB to copy" in message
    for server in model.servers.values():
        server.copied_bytes += 16_384
    await jump(model, 1)
    shown = model.harness.shown[-1]
    assert "/s" in shown.checks[-1].message
    assert shown.repair.filling_copies > 0 and shown.group_states.whole < shown.group_count
    assert shown.repair.left_s == pytest.approx(shown.repair.left_bytes / shown.repair.bytes_per_s, rel=0.01)
    await model.step(5)
    assert codes(model) == ["SERVER_OUT"]
    shown = model.harness.shown[-1]
    assert (shown.repair.filling_copies, shown.repair.left_bytes) == (0, 0)
    assert (shown.group_states.whole, shown.is_leading) == (shown.group_count, True)
    assert "dstore node remove cs-2" in model.harness.shown[-1].checks[0].hint


async def test_a_repair_without_a_server_for_it_says_so(empty: MasterHarness) -> None:
    model = ModelCluster(empty)
    await model.start(1, 2, 3)
    await model.write("/x", chunk_count=3)
    model.stop(3)
    await model.step(7)
    await jump(model, SERVER_OUT_AFTER_DEFAULT_S)
    await jump(model, 1)
    assert "REPAIR_STUCK" in codes(model)
    assert "no chunkserver can become one" in model.harness.shown[-1].checks[-1].message


async def test_troubled_disks_are_named(model: ModelCluster) -> None:
    model.server(1).suspicion = "an fsync failed"
    model.server(2).probe = DiskProbe(3.5, 0.0)
    await model.step(2)
    assert codes(model)[:2] == ["DISK_SUSPECT", "DISK_SLOW"]
    suspect, slow = model.harness.shown[-1].checks[:2]
    assert "cs-1 takes no writes (an fsync failed)" in suspect.message
    assert "cs-2 takes 3.5 s" in slow.message


async def test_a_cluster_that_nobody_leads_is_never_ok(model: ModelCluster) -> None:
    await model.harness.restart()
    await model.beat()
    # The row says that somebody leads, and its beat goes on standing still.
    model.harness.clock.now_s += 2 * LEADER_LEASE_S + 1
    await model.beat()
    status = await model.harness.master.admin.get_status()
    assert [check.code for check in status.checks] == ["NO_LEADER"]


async def test_slow_disks_are_written_to_when_there_are_no_others(model: ModelCluster) -> None:
    for number in (1, 2, 3):
        model.server(number).probe = DiskProbe(9.0, 0.0)
    await model.beat()
    before = [len(model.server(number).chunks) for number in (1, 2, 3)]
    await model.write("/fast", chunk_count=10)
    assert [len(model.server(number).chunks) for number in (1, 2, 3)] == before
    model.server(4).probe = DiskProbe(9.0, 0.0)
    await model.beat()
    await model.write("/slow", chunk_count=10)
    await model.step()
    assert codes(model)[:4] == ["DISK_SLOW"] * 4
    assert "WRITES_IMPOSSIBLE" not in codes(model)
    # A disk that takes no writes is none of them.
    for number in (1, 2, 3, 4):
        model.server(number).suspicion = "fsync failed"
    await model.step()
    assert "WRITES_IMPOSSIBLE" in codes(model)
