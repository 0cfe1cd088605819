"""When a server may be away for a while, and when the cluster may let go of one."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from master_harness import MasterHarness, server_id
from model_servers import ModelCluster
from planner_model import group, policy, servers

from dstore.core import errors
from dstore.core.groups import Duty
from dstore.core.limits import SERVER_OUT_AFTER_DEFAULT_S
from dstore.master.stopping import check_stoppable
from dstore.master.store.runner import InlineRunner

T = TypeVar("T")

#: (servers, groups) in which server 1 may be stopped
STOPPABLE = {
    "two more good copies": ("1 2 3", ("1W 2W 3W",)),
    "one more good copy": ("1 2:down 3", ("1W 2W 3W",)),
    "nothing on it": ("1 2:down 3:down 4:down", ("2W 3W 4W",)),
    "down itself": ("1:down 2:down 3:down", ("1W 2W 3W",)),
    "out itself": ("1:out 2:down 3:down", ("1W 2W 3W",)),
    "drained in part": ("1:draining 2 3 4", ("1L 2W 3W 4F",)),
    "a member that drains is read from": ("1 2:draining 3:down", ("1W 2W 3W",)),
}
#: (servers, groups, lacking, the groups that are named, the advice)
REFUSED = {
    "the only server": ("1", ("1W",), (), "1 placement group (1)", "wait until others"),
    "the others are down": ("1 2:down 3:out", ("1W 2W 3W",), (), "1 placement group (1)", "wait until others"),
    "the others are suspect": ("1 2:suspect 3:down", ("1W 2W 3W",), (), "1 placement group (1)", "wait until others"),
    "others are being filled": ("1 2 3", ("1W 2F 3F",), (), "1 placement group (1)", "wait until others"),
    "others lack chunks": ("1 2 3", ("1W 2W 3W",), (2, 3), "1 placement group (1)", "wait until others"),
    "it leaves, and nobody is whole": ("1:draining 2 3", ("1L 2F 3F",), (), "1 placement group (1)", "wait until"),
    "others may be stopped": (
        "1 2:maintenance 3:maintenance",
        ("1W 2W 3W",),
        (),
        "1 placement group (1)",
        "end the maintenance of cs-2, cs-3 first",
    ),
    "some of many": (
        "1 2:down 3:down 4",
        ("1W 2W 3W", "1W 2W 4W") * 6,
        (),
        "6 placement groups (1, 3, 5, 7, 9 and 1 more)",
        "wait until others",
    ),
}


@pytest.mark.parametrize(("known", "members"), STOPPABLE.values(), ids=STOPPABLE)
def test_who_can_be_away(known: str, members: tuple[str, ...]) -> None:
    groups = [group(text, number=number) for number, text in enumerate(members, start=1)]
    assert check_stoppable(server_id(1), servers(known), groups, policy()) is None


@pytest.mark.parametrize(("known", "members", "lacking", "named", "advice"), REFUSED.values(), ids=REFUSED)
def test_who_cannot(known: str, members: tuple[str, ...], lacking: tuple[int, ...], named: str, advice: str) -> None:
    groups = [group(text, number=number, missing=lacking) for number, text in enumerate(members, start=1)]
    refusal = check_stoppable(server_id(1), servers(known), groups, policy())
    assert refusal is not None
    assert refusal.startswith(f"cs-1 cannot be away: nobody else could be asked for what is in {named}, so that ")
    assert advice in refusal
    empty = [replace(each, chunk_count=0) for each in groups]
    assert check_stoppable(server_id(1), servers(known), empty, policy()) is None


@pytest.fixture
async def model(empty: MasterHarness) -> ModelCluster:
    """Three servers that hold one file."""
    model = ModelCluster(empty)
    await model.start(1, 2, 3)
    await model.step()
    await model.write("/x", chunk_count=12)
    await model.step(2)
    return model


async def maintain(model: ModelCluster, number: int, *, dry_run: bool = False) -> None:
    await model.harness.master.admin.set_node_duty(f"cs-{number}", Duty.MAINTENANCE, duration_s=60.0, dry_run=dry_run)


async def refusal(model: ModelCluster, number: int, *, dry_run: bool = False) -> errors.NotReady:
    with pytest.raises(errors.NotReady) as caught:
        await maintain(model, number, dry_run=dry_run)
    assert caught.value.reason == "MAINTENANCE_REFUSED"
    return caught.value


def duty(model: ModelCluster, number: int) -> Duty:
    shared = model.harness.master.shared
    state = shared.membership.state(server_id(number), model.harness.clock.now_s)
    assert state is not None
    return state.record.duty


async def test_the_last_one_that_can_be_read_is_not_let_go(model: ModelCluster) -> None:
    await maintain(model, 1)
    await maintain(model, 2, dry_run=True)
    assert duty(model, 2) is Duty.ACTIVE
    await maintain(model, 2)
    for dry_run in (True, False):
        assert "end the maintenance of cs-1, cs-2 first" in (await refusal(model, 3, dry_run=dry_run)).message
    assert duty(model, 3) is Duty.ACTIVE
    # Again for those that are in maintenance already: their time starts anew.
    await maintain(model, 1)
    await model.harness.master.admin.set_node_duty("cs-1", Duty.ACTIVE, duration_s=0.0, dry_run=False)
    await maintain(model, 3)


async def test_what_another_master_stored_meanwhile_is_seen(model: ModelCluster) -> None:
    await model.harness.store.write(
        lambda tx: tx.execute("UPDATE servers SET duty = 'maintenance' WHERE server_id = ?", (server_id(1),))
    )
    with pytest.raises(errors.Conflict) as caught:
        await maintain(model, 2)
    assert caught.value.reason == "DUTY_CHANGED"
    assert duty(model, 2) is Duty.ACTIVE


async def test_a_server_that_is_out_has_nothing_to_be_kept(model: ModelCluster) -> None:
    model.stop(2)
    await model.step(7)
    model.harness.clock.now_s += SERVER_OUT_AFTER_DEFAULT_S
    await model.step(3)
    assert "cs-2 is out" in (await refusal(model, 2)).message


async def test_maintenance_does_not_heed_wall_clocks(model: ModelCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    await maintain(model, 2)
    clock = model.harness.clock
    for jump_s in (86_400, -86_400):
        start_ns = clock.wall_ns()
        monkeypatch.setattr(clock, "wall_ns", lambda start_ns=start_ns, jump_s=jump_s: start_ns + jump_s * 10**9)
        await model.step(10)
        assert duty(model, 2) is Duty.MAINTENANCE
    await model.step(50)
    assert duty(model, 2) is Duty.ACTIVE


async def test_a_disk_with_the_last_copies_is_not_forgotten(model: ModelCluster) -> None:
    await model.start(4)
    await model.harness.master.admin.set_node_duty("cs-1", Duty.DRAINING, duration_s=0.0, dry_run=False)
    await model.step(12)
    rows = await model.harness.rows(f"SELECT 1 FROM group_members WHERE server_id = '{server_id(1)}'")
    assert not rows
    lost = min(model.server(1).chunks)
    for number in (2, 3, 4):
        model.server(number).corrupt.add(lost)
        model.server(number).chunks.discard(lost)
        model.server(number).orders = None
    await model.step(copy=False)
    await model.step(copy=False)
    for number in (2, 3, 4):
        server = model.server(number)
        server.outcomes = replace(server.outcomes, corrupt=(lost,))
    await model.beat()
    with pytest.raises(errors.NotReady) as caught:
        await model.harness.master.admin.remove_node("cs-1")
    assert caught.value.reason == "NODE_IN_USE"
    assert "cs-1 may have the last good copies of 1 chunk that other" in caught.value.message
    await model.step(12)
    await model.harness.master.admin.remove_node("cs-1")
    del model.servers[server_id(1)]
    await model.step(2)
    assert await model.copies() == 3


class SlowReads(InlineRunner):
    """Others get their turns while something is read, as with threads."""

    async def read(self, job: Callable[[], T]) -> T:
        result = await super().read(job)
        for _ in range(5):
            await asyncio.sleep(0)
        return result


@pytest.mark.parametrize("duty", [Duty.MAINTENANCE, Duty.DRAINING])
@pytest.mark.parametrize("steps", range(12))
async def test_what_cannot_be_granted_to_all_is_not_granted_to_callers_at_once(
    tmp_path: Path, duty: Duty, steps: int
) -> None:
    harness = MasterHarness(tmp_path, runner=SlowReads)
    await harness.open()
    model = ModelCluster(harness)
    await model.start(1, 2, 3, 4)
    await model.step()
    await model.write("/x", chunk_count=32)
    await model.step(2)

    async def tell(number: int) -> None:
        for _ in range(steps * (number - 1)):
            await asyncio.sleep(0)
        duration_s = 60.0 if duty is Duty.MAINTENANCE else 0.0
        await harness.master.admin.set_node_duty(f"cs-{number}", duty, duration_s=duration_s, dry_run=False)

    answers = await asyncio.gather(*(tell(number) for number in range(1, 5)), return_exceptions=True)
    granted = sum(answer is None for answer in answers)
    # Without a server, there are three left; and of each group, one has to stay readable.
    assert granted <= (2 if duty is Duty.MAINTENANCE else 1), answers
    await harness.store.close()
