"""How writes in progress live and end, and where their chunks may go."""

import asyncio
from dataclasses import replace

import pytest
from master_harness import UNKNOWN_INTENT, MasterHarness, server_id, written

from dstore.core import errors
from dstore.core.files import WriteIntent
from dstore.core.ids import ServerId
from dstore.core.limits import INTENT_LEASE_DURATION_S


async def use(cluster: MasterHarness, intent: WriteIntent, how: str) -> object:
    match how:
        case "allocate":
            return await cluster.namespace.allocate_chunks(
                intent.intent_id, count=1, written=(), avoid=(), request_id=cluster.request_id()
            )
        case "renew":
            return await cluster.namespace.renew_intent(intent.intent_id, fresh_version=False)
        case "fresh":
            return await cluster.namespace.renew_intent(intent.intent_id, fresh_version=True)
        case _:
            return await cluster.commit(intent)


USES = ["allocate", "renew", "fresh", "commit"]


@pytest.mark.parametrize("how", USES)
@pytest.mark.parametrize("end", ["expired, before upkeep", "expired", "abandoned", "committed", "never begun"])
async def test_an_intent_that_has_ended_is_refused(cluster: MasterHarness, how: str, end: str) -> None:
    intent = await cluster.begin("/x", chunk_count=2)
    match end:
        case "expired, before upkeep":
            await cluster.advance(INTENT_LEASE_DURATION_S)
        case "expired":
            await cluster.advance(INTENT_LEASE_DURATION_S)
            await cluster.upkeep.step()
            assert await cluster.rows("SELECT reason FROM deleted_chunks") == [("expired",)] * 2
            assert await cluster.rows("SELECT * FROM intents") == []
        case "abandoned":
            await cluster.namespace.abandon_write(intent.intent_id, request_id=cluster.request_id())
            assert await cluster.rows("SELECT reason FROM deleted_chunks") == [("abandoned",)] * 2
        case "committed":
            await cluster.commit(intent)
        case _:
            intent = replace(intent, intent_id=UNKNOWN_INTENT)
    with pytest.raises(errors.Conflict) as caught:
        await use(cluster, intent, how)
    assert caught.value.reason == "INTENT_EXPIRED"
    await cluster.namespace.abandon_write(intent.intent_id, request_id=cluster.request_id())


@pytest.mark.parametrize("how", ["allocate", "renew", "fresh"])
async def test_every_use_renews_the_lease(cluster: MasterHarness, how: str) -> None:
    intent = await cluster.begin("/x")
    for _ in range(3):
        await cluster.advance(INTENT_LEASE_DURATION_S - 0.001)
        await cluster.upkeep.step()
        await use(cluster, intent, how)
    await cluster.advance(INTENT_LEASE_DURATION_S)
    await cluster.upkeep.step()
    assert await cluster.rows("SELECT * FROM intents") == []


async def test_a_restart_gives_a_full_lease(cluster: MasterHarness) -> None:
    intent = await cluster.begin("/x", chunk_count=1)
    await cluster.advance(INTENT_LEASE_DURATION_S - 1)
    await cluster.restart()
    await cluster.advance(INTENT_LEASE_DURATION_S - 1)
    await cluster.upkeep.step()
    await cluster.commit(intent, [written(intent.placements[0], 0)])
    assert await cluster.names("/") == ["x"]


async def test_a_lease_outlives_a_caller_that_goes_away(cluster: MasterHarness) -> None:
    await cluster.write("/before", chunk_count=1)
    begin = asyncio.ensure_future(cluster.begin("/x", chunk_count=1))
    await asyncio.sleep(0)
    assert not begin.done()
    begin.cancel()
    await asyncio.gather(begin, return_exceptions=True)
    assert begin.cancelled()
    assert len(await cluster.rows("SELECT * FROM intents")) == 1
    await cluster.advance(INTENT_LEASE_DURATION_S)
    await cluster.upkeep.step()
    assert await cluster.rows("SELECT * FROM intents") == []
    assert len(cluster.master.shared.leases) == 0


async def test_avoided_servers_get_no_chunk(cluster: MasterHarness) -> None:
    await cluster.join(4)
    intent = await cluster.begin("/x")
    avoid: tuple[ServerId, ...] = (server_id(2),)
    placements = await cluster.namespace.allocate_chunks(
        intent.intent_id, count=10, written=(), avoid=avoid, request_id=cluster.request_id()
    )
    assert all(server_id(2) not in placement.chain for placement in placements)


async def test_a_server_that_is_down_gets_no_chunk_and_the_file_is_committed(cluster: MasterHarness) -> None:
    await cluster.write("/before", chunk_count=1)
    await cluster.stop(2)
    intent = await cluster.begin("/x", chunk_count=4)
    assert all(sorted(p.chain) == [server_id(1), server_id(3)] for p in intent.placements)
    await cluster.commit(intent, [written(placement, index) for index, placement in enumerate(intent.placements)])
    assert await cluster.rows("SELECT DISTINCT server_id FROM missing_replicas") == [(server_id(2),)]


@pytest.mark.parametrize("joined", [0, 1])
async def test_too_few_servers_is_said_at_once(empty: MasterHarness, joined: int) -> None:
    await empty.join(*range(1, joined + 1))
    await empty.write("/no chunks")
    with pytest.raises(errors.Unavailable, match=f"{joined} of {joined} chunkservers .* needs 2") as caught:
        await empty.begin("/x", chunk_count=1)
    assert caught.value.reason == "NOT_ENOUGH_SERVERS"
    assert await empty.rows("SELECT COUNT(*) FROM intents") == [(0,)]


async def test_two_servers_are_enough_to_write(empty: MasterHarness) -> None:
    await empty.join(1, 2)
    await empty.write("/x", chunk_count=3)
    await empty.join(3)
    intent = await empty.begin("/y", chunk_count=3)
    assert all(len(placement.chain) == 3 for placement in intent.placements)
