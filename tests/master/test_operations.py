"""What operators ask for: drain, maintenance, removal, balancing, the scrub; and when it is refused."""

import pytest
from master_harness import CHUNK_SIZE, MasterHarness, boot_id, identity, server_id
from model_servers import ModelCluster

from dstore.core import errors
from dstore.core.groups import Capacity, Duty, ServerPhase
from dstore.core.ids import GroupId
from dstore.core.limits import SERVER_OUT_AFTER_DEFAULT_S
from dstore.core.operations import PauseAction
from dstore.core.status import Health
from dstore.core.upkeep import GroupDoubt


async def drain(model: ModelCluster, number: int, *, dry_run: bool = False) -> int:
    change = await model.harness.master.admin.set_node_duty(
        f"cs-{number}", Duty.DRAINING, duration_s=0.0, dry_run=dry_run
    )
    return change.move_count


async def memberships(model: ModelCluster, number: int) -> int:
    rows = await model.harness.rows(f"SELECT COUNT(*) FROM group_members WHERE server_id = '{server_id(number)}'")
    return int(str(rows[0][0]))


def codes(model: ModelCluster) -> list[str]:
    return [check.code for check in model.harness.shown[-1].checks]


async def test_a_drain_moves_everything_and_no_copy_is_missing_meanwhile(model: ModelCluster) -> None:
    count = await memberships(model, 2)
    assert await drain(model, 2, dry_run=True) == count
    await model.step(3)
    assert await memberships(model, 2) == count, "a dry run changes nothing"
    assert await drain(model, 2) == count
    for number in range(30):
        await model.write(f"/meanwhile-{number}", chunk_count=2)
        await model.step()
        await model.check_claims()
        assert await model.copies() == 3
        assert model.harness.shown[-1].under_replicated_chunks == 0
        if await memberships(model, 2) == 0:
            break
        assert "SERVER_DRAINING" in codes(model)
    assert await memberships(model, 2) == 0
    await model.step()
    assert codes(model) == ["SERVER_DRAINING"]
    assert "is drained" in model.harness.shown[-1].checks[0].message


async def test_a_drain_waits_for_members_of_which_it_is_not_known_what_they_lack(model: ModelCluster) -> None:
    groups = await model.harness.rows(
        "SELECT a.group_id FROM group_members a JOIN group_members b ON a.group_id = b.group_id "
        f"WHERE a.server_id = '{server_id(2)}' AND b.server_id = '{server_id(3)}'"
    )
    # As after a power loss.
    model.server(3).doubts = tuple(GroupDoubt(GroupId(int(str(row[0]))), 1) for row in groups)
    await drain(model, 2)
    await model.step(40)
    assert await memberships(model, 2) == len(groups) > 0
    model.server(3).doubts = ()
    await model.step(10)
    assert await memberships(model, 2) == 0
    await model.check_claims()


async def test_a_drained_server_gets_no_new_chunks(model: ModelCluster) -> None:
    await drain(model, 2)
    before = len(model.server(2).chunks)
    await model.write("/x", chunk_count=20)
    assert len(model.server(2).chunks) == before


async def test_a_drain_can_be_called_off(model: ModelCluster) -> None:
    await drain(model, 2)
    await model.step(copy=False)
    await model.harness.master.admin.set_node_duty("cs-2", Duty.ACTIVE, duration_s=0.0, dry_run=False)
    await model.step(10)
    await model.check_claims()
    assert model.harness.shown[-1].health is Health.OK
    assert await model.copies() == 3


async def test_a_drain_that_nobody_can_take_over_is_refused(empty: MasterHarness) -> None:
    model = ModelCluster(empty)
    await model.start(1, 2, 3)
    await model.write("/x", chunk_count=3)
    await model.step()
    for dry_run in (True, False):
        with pytest.raises(errors.NotReady) as caught:
            await drain(model, 1, dry_run=dry_run)
        assert caught.value.reason == "DRAIN_REFUSED"
        assert "Start or add a chunkserver" in caught.value.message
    assert await empty.rows("SELECT DISTINCT duty FROM servers") == [("active",)]


async def test_a_drain_of_the_last_holder_is_refused(model: ModelCluster) -> None:
    committed = await model.committed()
    members = [member for member, _ in next(iter(committed.values()))]
    last, *others = [model.servers[member].number for member in members]
    model.stop(*others)
    await model.step(7, copy=False)
    with pytest.raises(errors.NotReady) as caught:
        await drain(model, last)
    assert caught.value.reason == "DRAIN_REFUSED"
    assert "only good copy" in caught.value.message


async def test_a_server_in_maintenance_does_not_go_out_until_the_time_is_over(model: ModelCluster) -> None:
    admin = model.harness.master.admin
    await admin.set_node_duty("cs-3", Duty.MAINTENANCE, duration_s=2 * SERVER_OUT_AFTER_DEFAULT_S, dry_run=False)
    model.stop(3)
    phases = []
    for _ in range(40):
        model.harness.clock.now_s += 60
        await model.beat()
        await model.harness.upkeep.step()
        state = model.harness.master.shared.membership.state(server_id(3), model.harness.clock.now_s)
        assert state is not None
        phases.append(state.phase)
        assert ("SERVER_IN_MAINTENANCE" in codes(model)) == (state.record.duty is Duty.MAINTENANCE)
    assert phases[18] is ServerPhase.DOWN
    assert phases[-1] is ServerPhase.OUT
    assert 19 <= phases.index(ServerPhase.OUT) <= 22


async def test_a_server_in_maintenance_gets_no_new_chunks(model: ModelCluster) -> None:
    await model.harness.master.admin.set_node_duty("cs-3", Duty.MAINTENANCE, duration_s=60, dry_run=False)
    before = len(model.server(3).chunks)
    await model.write("/x", chunk_count=20)
    assert len(model.server(3).chunks) == before
    assert await model.copies() == 3


@pytest.mark.parametrize("duration_s", [0.0, -1.0, 7 * 86_400 + 1.0, float("inf"), float("nan")])
async def test_a_maintenance_has_an_end(model: ModelCluster, duration_s: float) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        await model.harness.master.admin.set_node_duty("cs-3", Duty.MAINTENANCE, duration_s=duration_s, dry_run=False)
    assert caught.value.reason == "DURATION_INVALID"


async def remove(model: ModelCluster, number: int) -> str:
    """Return the reason of the refusal."""
    with pytest.raises(errors.NotReady) as caught:
        await model.harness.master.admin.remove_node(f"cs-{number}")
    assert caught.value.message.endswith((".", ")"))
    return caught.value.reason


async def test_only_a_server_that_is_drained_is_removed(model: ModelCluster) -> None:
    assert await remove(model, 2) == "NODE_IN_USE"
    await drain(model, 2)
    assert await remove(model, 2) == "NODE_IN_USE"
    await model.step(40)
    assert await memberships(model, 2) == 0
    await model.harness.master.admin.remove_node("cs-2")
    # Its process is told at once, and ends when it tries to join again.
    with pytest.raises(errors.NotFound) as unknown:
        await model.beat(2)
    assert unknown.value.reason == "SERVER_UNKNOWN"
    del model.servers[server_id(2)]
    await model.step(8)
    await model.check_claims()
    assert model.harness.shown[-1].health is Health.OK
    assert [server.name for server in model.harness.shown[-1].servers] == ["cs-1", "cs-3", "cs-4", "cs-5"]
    with pytest.raises(errors.NotReady) as caught:
        await model.harness.master.cluster.register(identity(2, boot_id=boot_id(99)))
    assert caught.value.reason == "SERVER_REMOVED"
    # Another disk may have its name.
    await model.harness.master.cluster.register(identity(7, name="cs-2"))


async def test_a_server_stays_while_a_write_may_count_on_its_copies(model: ModelCluster) -> None:
    namespace = model.harness.namespace
    intent = await model.harness.begin("/slow", chunk_count=12)
    placement = next(each for each in intent.placements if server_id(2) in each.chain)
    record = model.harness.written(placement, 0, placement.chain)
    model.server(2).chunks.add(placement.chunk_id)
    await namespace.allocate_chunks(
        intent.intent_id, count=0, written=(record,), avoid=(), request_id=model.harness.request_id()
    )
    await drain(model, 2)
    for _ in range(5):
        await model.step(20)
        await namespace.renew_intent(intent.intent_id, fresh_version=False)
    assert await memberships(model, 2) == 0
    assert await remove(model, 2) == "NODE_IN_USE"
    await model.harness.commit(intent, size_bytes=CHUNK_SIZE, chunk_count=1)
    await model.step(30)
    await model.harness.master.admin.remove_node("cs-2")
    assert await model.copies() == 3


async def test_a_server_that_is_out_and_replaced_is_removed(model: ModelCluster) -> None:
    model.stop(4)
    await model.step(7)
    model.harness.clock.now_s += SERVER_OUT_AFTER_DEFAULT_S
    await model.step(15)
    await model.harness.master.admin.remove_node("cs-4")
    await model.step()
    assert model.harness.shown[-1].health is Health.OK


@pytest.mark.parametrize("name", ["cs-9", "", "master"])
async def test_servers_that_there_are_not(model: ModelCluster, name: str) -> None:
    admin = model.harness.master.admin
    for call in (admin.remove_node(name), admin.set_node_duty(name, Duty.ACTIVE, duration_s=0, dry_run=False)):
        with pytest.raises(errors.NotFound) as caught:
            await call
        assert caught.value.reason == "NODE_UNKNOWN"


async def test_a_new_server_gets_its_share(model: ModelCluster) -> None:
    await model.start(6)
    await model.step(70)
    await model.check_claims()
    counts = [await memberships(model, number) for number in range(1, 7)]
    assert max(counts) - min(counts) <= 3, counts
    assert await model.copies() == 3
    assert model.harness.shown[-1].health is Health.OK


async def test_balancing_can_be_paused(model: ModelCluster) -> None:
    admin = model.harness.master.admin
    paused = await admin.balance_cluster(PauseAction.PAUSE)
    assert paused.is_paused
    await model.start(6)
    await model.step(40)
    assert await memberships(model, 6) == 0
    state = await admin.balance_cluster(PauseAction.LOOK)
    assert state.is_paused
    assert state.move_count > 0
    assert {move.target for move in state.moves} == {"cs-6"}
    await model.harness.restart()
    await model.beat()
    assert (await model.harness.master.admin.balance_cluster(PauseAction.LOOK)).is_paused
    assert not (await model.harness.master.admin.balance_cluster(PauseAction.RESUME)).is_paused
    await model.step(60)
    assert await memberships(model, 6) > 0


async def test_balancing_that_is_resumed_begins_at_once(model: ModelCluster) -> None:
    """Not after the rest of the time that is between two plans, even when the planner never saw the pause."""
    admin = model.harness.master.admin
    await model.step(3)
    await model.start(6)
    await admin.balance_cluster(PauseAction.PAUSE)
    await admin.balance_cluster(PauseAction.RESUME)
    await model.step(3)
    assert await memberships(model, 6) > 0


async def test_disks_without_room_stay_uneven_and_it_is_said_why(empty: MasterHarness) -> None:
    model = ModelCluster(empty)
    await model.start(1, 2, 3)
    await model.write("/x", chunk_count=12)
    await model.start(4)
    for number, used in ((1, 250), (2, 250), (3, 250), (4, 899)):
        model.server(number).capacity = Capacity(1_000_000, 1_000 * used)
    await model.step(3)
    state = await empty.master.admin.balance_cluster(PauseAction.LOOK)
    assert state.move_count == 0
    assert "add chunkservers" in state.refusal
    assert await memberships(model, 4) == 0


async def test_the_scrub_can_be_paused_for_all(model: ModelCluster) -> None:
    admin = model.harness.master.admin
    assert not (await admin.set_scrub(PauseAction.LOOK)).is_paused
    assert (await admin.set_scrub(PauseAction.PAUSE)).is_paused
    await model.beat()
    assert all(
        server.orders is not None and server.orders.settings.scrub_is_paused for server in model.servers.values()
    )
    await model.harness.restart()
    assert (await model.harness.master.admin.set_scrub(PauseAction.LOOK)).is_paused
    assert not (await model.harness.master.admin.set_scrub(PauseAction.RESUME)).is_paused
    await model.beat(1)
    orders = model.server(1).orders
    assert orders is not None
    assert not orders.settings.scrub_is_paused
