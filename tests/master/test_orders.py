"""What chunkservers are told: exact, only when it changed, bounded, and without asking the store."""

from dataclasses import replace
from typing import Any

import pytest
from master_harness import MasterHarness, server_id, written
from model_servers import ModelCluster

from dstore.core import errors
from dstore.core.groups import MemberState
from dstore.core.ids import ChunkId
from dstore.core.limits import SERVER_OUT_AFTER_DEFAULT_S
from dstore.core.upkeep import Filled, Outcomes, Source


async def test_assignments_come_once(model: ModelCluster) -> None:
    server = model.server(1)
    known = await model.harness.send(server.report())
    assert known.assignments is None
    server.digest = b""
    again = await model.harness.send(server.report())
    assert again.assignments == server.assignments
    assert again.assignments_digest == known.assignments_digest
    assert [each.group_id for each in server.assignments] == sorted(each.group_id for each in server.assignments)
    for assignment in server.assignments:
        assert assignment.state is MemberState.WHOLE
        assert assignment.urgency == 3
        assert server.server_id not in [source.server_id for source in assignment.sources]
        assert len(assignment.sources) == 2


async def test_only_those_are_told_again_that_a_change_concerns(model: ModelCluster) -> None:
    model.stop(2)
    await model.step(7)
    model.harness.clock.now_s += SERVER_OUT_AFTER_DEFAULT_S
    await model.beat()
    before = {server.number: server.digest for server in model.servers.values()}
    await model.harness.upkeep.step()
    groups = model.harness.master.shared.allocator.groups
    changed = {member for group in groups.groups if group.epoch > 1 for member in group.members}
    assert changed
    for server in model.servers.values():
        if server.is_running:
            orders = await model.harness.send(server.report())
            assert (orders.assignments_digest != before[server.number]) == (server.server_id in changed)
            server.obey(orders)
            filling = [each for each in server.assignments if each.state is MemberState.FILLING]
            assert {each.group_id for each in filling} == {
                group.group_id for group in groups.groups if server.server_id in group.filling
            }


async def test_whole_members_come_first_and_former_holders_last(model: ModelCluster) -> None:
    model.stop(2)
    await model.step(7, copy=False)
    model.harness.clock.now_s += SERVER_OUT_AFTER_DEFAULT_S
    await model.step(2, copy=False)
    await model.start(2)
    await model.step(2, copy=False)
    groups = model.harness.master.shared.allocator.groups
    seen_former = False
    for server in model.servers.values():
        for assignment in server.assignments:
            group = groups.by_id[assignment.group_id]
            members = [source.server_id for source in assignment.sources if source.is_member]
            assert set(members) == set(group.members) - {server.server_id}
            states = [group.state_of(member) for member in members]
            assert states == sorted(states, key=lambda state: state is MemberState.FILLING)
            others = [source for source in assignment.sources if not source.is_member]
            assert assignment.sources[len(members) :] == tuple(others)
            assert all(source.server_id not in group.members for source in others)
            seen_former = seen_former or Source(server_id(2), "127.0.0.1:7702", False) in others
    assert seen_former


async def test_an_ordinary_report_asks_nothing_of_the_store(
    model: ModelCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise AssertionError("the store was asked")

    shared = model.harness.master.shared
    await model.beat()
    monkeypatch.setattr(type(shared.store), "read", refuse)
    monkeypatch.setattr(type(shared.store), "write", refuse)
    await model.beat()
    # What is corrupt is stored once, and not with every report.
    server = model.server(1)
    corrupt = min(server.chunks)
    server.outcomes = Outcomes(corrupt=(corrupt,))
    with pytest.raises(AssertionError):
        await model.harness.send(server.report())
    monkeypatch.undo()
    await model.harness.send(server.report())
    monkeypatch.setattr(type(shared.store), "write", refuse)
    await model.harness.send(server.report())


async def test_what_was_reported_in_vain_is_stored_with_the_next_report(
    model: ModelCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise errors.LimitExceeded("Too many writes wait.", reason="COMMIT_QUEUE_FULL")

    server = model.server(1)
    server.outcomes = Outcomes(corrupt=(min(server.chunks),))
    with monkeypatch.context() as patch:
        patch.setattr(type(model.harness.store), "write", fail)
        with pytest.raises(errors.LimitExceeded):
            await model.harness.send(server.report())
    assert await model.harness.rows("SELECT * FROM missing_replicas") == []
    await model.harness.send(server.report())
    assert len(await model.harness.rows("SELECT * FROM missing_replicas")) == 1


async def test_the_map_of_groups_is_made_anew_only_for_changes(model: ModelCluster) -> None:
    allocator = model.harness.master.shared.allocator
    before = allocator.groups
    lost = min(model.server(1).chunks)
    for outcomes in (
        Outcomes(corrupt=(lost,)),
        Outcomes(held=(lost,)),
        Outcomes(filled=(Filled(before.groups[0].group_id, 1, ()),)),
    ):
        model.server(1).outcomes = outcomes
        await model.beat(1)
    assert allocator.groups is before
    first, second = (replace(group, epoch=group.epoch + 1) for group in before.groups[:2])
    allocator.adopt([first])
    once = allocator.groups
    await allocator.catch_up(before.change_count)
    assert allocator.groups is once, "it is newer than what was read"
    allocator.adopt([second])
    twice = allocator.groups
    assert list(once.changed_since(before)) == [first.group_id]
    assert list(twice.changed_since(once)) == [second.group_id]
    assert set(twice.changed_since(before)) == {first.group_id, second.group_id}
    assert [twice.by_id[each.group_id] for each in twice.groups] == list(twice.groups)
    assert list(twice.changed_since(twice)) == []
    await allocator.catch_up(twice.change_count + 1)
    assert allocator.groups is not twice
    assert allocator.groups.by_id == before.by_id


async def settled(harness: MasterHarness) -> int:
    await harness.upkeep.step()
    return harness.master.shared.orders.settled_sequence


async def test_the_settled_sequence_is_that_of_the_oldest_live_intent(cluster: MasterHarness) -> None:
    assert await settled(cluster) == 1
    first = await cluster.begin("/a", chunk_count=2)
    second = await cluster.begin("/b", chunk_count=1)
    assert await settled(cluster) == 1
    await cluster.commit(first, [written(placement, index) for index, placement in enumerate(first.placements)])
    assert await settled(cluster) == 3
    third = await cluster.begin("/c", chunk_count=1)
    await cluster.namespace.abandon_write(second.intent_id, request_id=cluster.request_id())
    assert await settled(cluster) == 4
    await cluster.commit(third, [written(third.placements[0], 0)])
    assert await settled(cluster) == 5
    await cluster.restart()
    assert cluster.master.shared.orders.settled_sequence == 5
    # An intent without chunks has no writer of any.
    await cluster.begin("/d")
    assert await settled(cluster) == 5


async def test_orders_carry_the_standing(cluster: MasterHarness) -> None:
    await cluster.upkeep.step()
    await cluster.make_directory("/x")
    await cluster.upkeep.step()
    orders = await cluster.send(cluster.report(1, {}))
    history_id = (await cluster.rows("SELECT value FROM meta WHERE name = 'history_id'"))[0][0]
    transaction = (await cluster.rows("SELECT value FROM counters WHERE name = 'txn'"))[0][0]
    assert orders.standing.leader_epoch == 1
    assert orders.standing.history_id == history_id
    assert orders.standing.transaction == transaction


@pytest.fixture
def small_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two missing chunks in an order, four rows in a window."""
    monkeypatch.setattr("dstore.master.missing_orders.MISSING_PER_ORDER_MAX", 2)
    monkeypatch.setattr("dstore.master.missing_orders._WINDOW", 4)


@pytest.mark.usefixtures("small_orders")
async def test_missing_chunks_are_ordered_up_to_a_bound_and_those_that_can_be_had_come_first(
    model: ModelCluster,
) -> None:
    server = model.server(1)
    chunks = sorted(server.chunks)
    assert len(chunks) >= 7
    # All but the last are corrupt everywhere.
    for other in model.servers.values():
        lost = [chunk for chunk in chunks if chunk in other.chunks and (other is server or chunk != chunks[-1])]
        other.outcomes = Outcomes(corrupt=tuple(lost))
        await model.harness.send(other.report())
        other.outcomes = Outcomes()
    for _ in range(len(chunks)):
        await model.harness.upkeep.step()
        missing = (await model.harness.send(server.report())).missing
        assert len(missing) <= 2
        if chunks[-1] in missing:
            break
    assert missing[0] == chunks[-1]
    # When they can be had again, they come in portions.
    healer = model.servers[next(member for member, _ in (await model.committed())[chunks[0]] if member != server_id(1))]
    healer.outcomes = Outcomes(held=tuple(chunk for chunk in chunks if chunk in healer.chunks))
    await model.harness.send(healer.report())
    await model.harness.upkeep.step()
    await model.harness.upkeep.step()
    missing = (await model.harness.send(server.report())).missing
    assert 0 < len(missing) <= 2


@pytest.mark.usefixtures("small_orders")
async def test_a_chunk_that_nobody_is_known_to_hold_is_looked_for_by_all_its_members(
    model: ModelCluster,
) -> None:
    # Every copy is there, and none is proven.
    for server in model.servers.values():
        server.outcomes = Outcomes(corrupt=tuple(sorted(server.chunks)))
        await model.harness.send(server.report())
        server.outcomes = Outcomes()
    assert (await model.harness.master.admin.get_status()).unavailable_chunks == len(await model.committed())
    await model.step(30)
    assert await model.harness.rows("SELECT * FROM missing_replicas") == []
    await model.check_claims()


@pytest.mark.usefixtures("small_orders")
async def test_what_nobody_has_is_asked_for_in_turn_and_keeps_nothing_else_from_coming(
    model: ModelCluster,
) -> None:
    server = model.server(1)
    lost = sorted(server.chunks)
    for other in model.servers.values():
        other.corrupt = set(lost) & other.chunks
        other.chunks -= other.corrupt
    await model.step(2)
    asked: set[ChunkId] = set()
    for _ in range(len(lost)):
        await model.harness.upkeep.step()
        asked.update((await model.harness.send(server.report())).missing)
    assert asked == set(lost)
