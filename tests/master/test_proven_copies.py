"""No copy is counted that is not proven: what a member that is being filled says, and what it is worth."""

from dataclasses import replace

import pytest
from master_harness import server_id
from model_servers import ModelCluster

from dstore.core.groups import MemberState
from dstore.core.limits import SERVER_OUT_AFTER_DEFAULT_S
from dstore.core.upkeep import Filled, Outcomes


async def jump(model: ModelCluster, duration_s: float) -> None:
    """Let time pass while servers beat, without copying."""
    model.harness.clock.now_s += duration_s
    await model.beat()
    await model.harness.upkeep.step()


async def filling(model: ModelCluster) -> tuple[int, Filled]:
    """Return a server that is being filled, and what it would report when it had compared with all others."""
    model.stop(2)
    await model.step(7, copy=False)
    await jump(model, SERVER_OUT_AFTER_DEFAULT_S)
    await model.beat()
    committed = {chunk_id.group_id for chunk_id in await model.committed()}
    for server in model.servers.values():
        for assignment in server.assignments:
            if server.is_running and assignment.state is MemberState.FILLING and assignment.group_id in committed:
                sources = tuple(source.server_id for source in assignment.sources if source.is_member)
                return server.number, Filled(assignment.group_id, assignment.epoch, sources)
    raise AssertionError("nobody is filled")


async def state_of(model: ModelCluster, number: int, filled: Filled) -> object:
    rows = await model.harness.rows(
        f"SELECT state FROM group_members WHERE group_id = {filled.group_id} AND server_id = '{server_id(number)}'"
    )
    return rows[0][0]


@pytest.mark.parametrize("what", ["an older epoch", "a newer epoch", "nobody compared", "strangers compared"])
async def test_a_report_that_proves_nothing_makes_nobody_whole(model: ModelCluster, what: str) -> None:
    number, good = await filling(model)
    bad = {
        "an older epoch": replace(good, epoch=good.epoch - 1),
        "a newer epoch": replace(good, epoch=good.epoch + 1),
        "nobody compared": replace(good, compared=()),
        "strangers compared": replace(good, compared=(server_id(2), server_id(number), server_id(9))),
    }[what]
    server = model.server(number)
    server.outcomes = Outcomes(filled=(bad,))
    await model.beat(number)
    assert await state_of(model, number, good) == "filling"
    model.work(server)
    await model.beat(number)
    assert await state_of(model, number, good) == "whole"
    await model.check_claims()


async def test_what_no_compared_member_is_known_to_hold_stays_missing(model: ModelCluster) -> None:
    number, good = await filling(model)
    source = model.servers[good.compared[0]]
    # One chunk is corrupt at the only member that it compared itself with.
    lost = min(source.held(good.group_id))
    source.chunks.discard(lost)
    source.corrupt.add(lost)
    model.work(source)
    await model.beat(source.number)
    server = model.server(number)
    server.chunks |= source.held(good.group_id)
    server.outcomes = Outcomes(filled=(replace(good, compared=good.compared[:1]),))
    await model.beat(number)
    assert await state_of(model, number, good) == "whole"
    rows = await model.harness.rows(f"SELECT sequence FROM missing_replicas WHERE server_id = '{server_id(number)}'")
    assert rows == [(lost.sequence,)]
    await model.check_claims()
    await model.step(10)
    await model.check_claims()
    assert await model.copies() == 3


async def test_a_copy_that_appears_after_the_comparison_proves_nothing(model: ModelCluster) -> None:
    number, good = await filling(model)
    source, server = model.servers[good.compared[0]], model.server(number)
    late = min(source.held(good.group_id))
    source.chunks.discard(late)
    source.corrupt.add(late)
    model.work(source)
    await model.beat(source.number)
    # It looks at the source now, and tells of it only after the source has got the chunk again.
    seen = source.held(good.group_id)
    await model.harness.upkeep.step()
    await model.beat(source.number)
    model.work(source)
    assert late in source.chunks
    await model.beat(source.number)
    server.chunks -= server.held(good.group_id)
    server.chunks |= seen
    server.outcomes = Outcomes(filled=(replace(good, compared=good.compared[:1]),))
    await model.beat(number)
    await model.check_claims()


async def test_who_looked_at_a_member_that_was_being_filled_is_not_whole_when_that_one_is(model: ModelCluster) -> None:
    model.stop(1, 2)
    await model.step(7, copy=False)
    await jump(model, SERVER_OUT_AFTER_DEFAULT_S)
    await model.step(2, copy=False)
    committed = {chunk_id.group_id for chunk_id in await model.committed()}
    by_id = model.harness.master.shared.allocator.groups.by_id
    group = next(each for each in by_id.values() if each.group_id in committed and len(each.filling) == 2)
    early, first = (model.servers[each] for each in sorted(group.filling))
    # It cannot reach the whole member, and finds nothing at the one that has nothing yet.
    seen_early = Outcomes(filled=(Filled(group.group_id, group.epoch, (first.server_id,)),))
    early.outcomes = seen_early
    await model.beat(early.number)
    model.work(first)
    await model.beat(first.number)
    early.outcomes = seen_early
    await model.beat(early.number)
    await model.check_claims()
    await model.step(60)
    await model.check_claims()
    assert await model.copies() == 3
