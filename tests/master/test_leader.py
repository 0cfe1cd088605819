"""One master leads: who takes over, when, and that a deposed one changes nothing (Invariant 7)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from master_harness import MasterHarness, server_id
from model_servers import ModelCluster

from dstore.core.errors import Conflict
from dstore.core.ids import GroupId
from dstore.core.limits import LEADER_BEAT_S, LEADER_LEASE_S, SERVER_OUT_AFTER_DEFAULT_S
from dstore.master import leader, repairing
from dstore.master.leader import Action, LeaderRow, Leadership
from dstore.master.master import open_master
from dstore.master.store.base import Transaction
from dstore.master.upkeep import Upkeep
from dstore.master.views import ChangeReason, MemberChange, PlannedGroup


def test_the_first_master_leads_at_once() -> None:
    leadership = Leadership("a")
    leadership.see(LeaderRow("", 0, 0), 5.0)
    assert leadership.decide(5.0) is Action.TAKE
    assert not leadership.is_leading


@pytest.mark.parametrize(
    ("quiet_s", "expected"),
    [
        (0.0, Action.WAIT),
        (LEADER_LEASE_S - 0.001, Action.WAIT),
        (LEADER_LEASE_S, Action.TAKE),
        (1e6, Action.TAKE),
    ],
)
def test_another_takes_over_when_the_beat_stood_still_for_the_lease(quiet_s: float, expected: Action) -> None:
    leadership = Leadership("b")
    leadership.see(LeaderRow("a", 3, 7), 100.0)
    leadership.see(LeaderRow("a", 3, 7), 100.0 + quiet_s)
    assert leadership.decide(100.0 + quiet_s) is expected
    assert leadership.quiet_s(100.0 + quiet_s) == pytest.approx(quiet_s)
    leadership.see(LeaderRow("a", 3, 8), 100.0 + quiet_s)
    assert leadership.decide(100.0 + quiet_s) is Action.WAIT


@pytest.mark.parametrize(
    ("age_s", "expected"), [(0.0, Action.WAIT), (LEADER_BEAT_S - 0.001, Action.WAIT), (LEADER_BEAT_S, Action.BEAT)]
)
def test_the_leader_beats(age_s: float, expected: Action) -> None:
    leadership = Leadership("a")
    leadership.see(LeaderRow("a", 1, 1), 100.0)
    leadership.see(LeaderRow("a", 1, 1), 100.0 + age_s)
    assert leadership.decide(100.0 + age_s) is expected


def test_a_row_that_was_read_before_says_nothing() -> None:
    leadership = Leadership("a")
    leadership.see(LeaderRow("a", 2, 9), 100.0)
    leadership.see(LeaderRow("b", 1, 8), 101.0)
    leadership.see(LeaderRow("", 2, 8), 101.0)
    assert leadership.is_leading
    assert leadership.epoch == 2


class Two:
    """Two masters over one store."""

    def __init__(self, first: MasterHarness, second: Upkeep) -> None:
        self.harness, self.first, self.second = first, first.upkeep, second

    def epochs(self) -> list[tuple[bool, int]]:
        shared = [self.first._shared, self.second._shared]
        return [(each.leadership.is_leading, each.leadership.epoch) for each in shared]


@pytest.fixture
async def two(cluster: MasterHarness) -> Two:
    await cluster.upkeep.step()
    other = await open_master(
        cluster.store, clock=cluster.clock, random=cluster.random, policy=cluster.policy, version="0.1.0"
    )
    return Two(cluster, Upkeep(other, show=cluster.shown.append))


async def test_only_one_leads_and_the_other_follows_when_it_is_gone(two: Two) -> None:
    for _ in range(20):
        await two.harness.advance(1.0)
        await two.first.step()
        await two.second.step()
        assert two.epochs() == [(True, 1), (False, 1)]
    for _ in range(int(LEADER_LEASE_S)):
        assert two.epochs() == [(True, 1), (False, 1)]
        await two.harness.advance(1.0)
        await two.second.step()
    assert two.epochs() == [(True, 1), (True, 2)], "the first does not know yet"
    await two.first.step()
    assert two.epochs() == [(False, 2), (True, 2)]


async def test_a_leader_that_stops_gracefully_is_followed_at_once(two: Two) -> None:
    await two.first.release()
    await two.second.step()
    await two.second.step()
    assert two.epochs()[1] == (True, 2)


async def test_a_released_lead_is_none(two: Two) -> None:
    await two.first.release()
    with pytest.raises(Conflict) as caught:
        await two.harness.store.write(lambda tx: leader.require(tx, 1))
    assert caught.value.reason == "LEADER_CHANGED"


async def test_of_two_that_take_the_lead_one_gets_it(two: Two) -> None:
    await two.first.release()
    seen = await two.harness.store.read(leader.read)
    rows = [await two.harness.store.write(lambda tx, name=name: leader.take(tx, name, seen)) for name in "xy"]  # type: ignore[misc]
    assert [(row.holder, row.epoch) for row in rows] == [("x", 2), ("x", 2)]


async def test_a_deposed_leader_changes_nothing(two: Two) -> None:
    model = ModelCluster(two.harness)
    await model.start(1, 2, 3, 4)
    await model.write("/x", chunk_count=5)
    await model.step(2)
    model.stop(1)
    await model.step(8)
    # The first one is paused, and the second takes over.
    await two.second.step()
    two.harness.clock.now_s += LEADER_LEASE_S
    await two.second.step()
    assert two.epochs() == [(True, 1), (True, 2)]
    tables = ("groups", "group_members", "servers", "missing_replicas", "leader")
    before = [await two.harness.rows(f"SELECT * FROM {table}") for table in tables]
    two.harness.clock.now_s += SERVER_OUT_AFTER_DEFAULT_S
    await model.beat()
    with pytest.raises(Conflict):
        await two.first._planning._put_out(1)
    assert [await two.harness.rows(f"SELECT * FROM {table}") for table in tables] == before
    # In its next round it finds out by itself.
    await two.first.step()
    assert two.epochs() == [(False, 2), (True, 2)]
    assert [await two.harness.rows(f"SELECT * FROM {table}") for table in tables] == before


PLANNED = PlannedGroup(GroupId(1), 1, (), 0, 0)
CHANGE = MemberChange(GroupId(1), 1, ChangeReason.REPAIR, add=(server_id(9),))


@pytest.mark.parametrize(
    "work",
    [
        lambda tx: repairing.apply_changes(tx, 1, [CHANGE], {GroupId(1): PLANNED}),
        lambda tx: repairing.put_out(tx, 1, []),
        lambda tx: repairing.end_maintenance(tx, 1, 10),
        lambda tx: repairing.refill(tx, 1, {server_id(1): {GroupId(1): 1}}),
    ],
)
async def test_every_transaction_of_planners_compares_the_epoch(
    two: Two, work: Callable[[Transaction], object]
) -> None:
    await two.first.release()
    await two.second.step()
    with pytest.raises(Conflict) as caught:
        await two.harness.store.write(work)
    assert caught.value.reason == "LEADER_CHANGED"


def leads(harness: MasterHarness) -> tuple[bool, int]:
    leadership = harness.master.shared.leadership
    return leadership.is_leading, leadership.epoch


async def test_the_lead_is_taken_again_after_a_restart(tmp_path: Path) -> None:
    harness = MasterHarness(tmp_path)
    await harness.open()
    await harness.upkeep.step()
    await harness.restart()
    assert harness.master.shared.leadership.epoch == 1, "orders carry at least the epoch that servers know"
    await harness.upkeep.step()
    assert leads(harness) == (False, 1)
    harness.clock.now_s += LEADER_LEASE_S
    await harness.upkeep.step()
    assert leads(harness) == (True, 2)
    await harness.store.close()
