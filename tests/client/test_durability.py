"""How durable a write is when it is acknowledged: what is asked for, and what counts."""

import pytest
from store_in_process import InProcessCluster, pattern

from dstore.core.chunks import Durability, ReplicaAck, WriteResult
from dstore.core.errors import InvalidRequest, Unavailable
from dstore.core.ids import ServerId
from dstore.core.limits import INLINE_SIZE_BYTES_MAX

CHUNKED = pattern(INLINE_SIZE_BYTES_MAX + 1)


async def test_what_is_asked_for_reaches_every_server(cluster: InProcessCluster) -> None:
    asked: list[Durability] = []
    client = cluster.client()

    def note(result: WriteResult) -> WriteResult:
        asked.extend(ack.durability for ack in result.replicas)
        return result

    for number in (1, 2, 3):
        cluster.faults(number).alter_result = note
    await client.put("/f", CHUNKED, durability="replicated")
    assert asked == [Durability.REPLICATED] * 3
    asked.clear()
    async with await client.open_write("/g", durability="synced") as file:
        await file.write(CHUNKED)
    assert asked == [Durability.SYNCED] * 3
    asked.clear()
    await client.put_many({"/h": CHUNKED, "/small": b"with its inode"}, durability="replicated")
    async with await client.open("/i", "wb", durability="replicated") as file:
        await file.write(CHUNKED)
    assert asked == [Durability.REPLICATED] * 6
    assert await client.get_many(["/f", "/g", "/h", "/i"]) == [CHUNKED] * 4


async def test_less_than_was_asked_for_does_not_count_and_more_does(cluster: InProcessCluster) -> None:
    def as_durable(durability: Durability) -> None:
        for number in (1, 2, 3):
            cluster.faults(number).alter_result = lambda result: WriteResult(
                tuple(ReplicaAck(ack.server_id, durability) for ack in result.replicas)
            )

    as_durable(Durability.SYNCED)
    await cluster.client().put("/f", CHUNKED, durability="replicated")
    as_durable(Durability.REPLICATED)
    with pytest.raises(Unavailable, match="0 copies as synced"):
        await cluster.client().put("/g", CHUNKED)
    assert not await cluster.client().exists("/g")


@pytest.mark.parametrize("data", [b"", CHUNKED], ids=["small", "chunked"])
async def test_an_unknown_durability_is_refused(cluster: InProcessCluster, data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="synced, replicated") as caught:
        await cluster.client().put("/f", data, durability="eventually")
    assert caught.value.reason == "DURABILITY_INVALID"
    with pytest.raises(InvalidRequest, match="synced, replicated"):
        await cluster.client().put_many({"/f": data}, durability="eventually")
    assert not await cluster.client().exists("/f")


def without_the_tail(result: WriteResult) -> WriteResult:
    return WriteResult(result.replicas[:1])


def twice_the_same(result: WriteResult) -> WriteResult:
    return WriteResult((result.replicas[0], result.replicas[0], result.replicas[0]))


def strangers(result: WriteResult) -> WriteResult:
    return WriteResult(
        tuple(ReplicaAck(ServerId(f"other-{i}"), ack.durability) for i, ack in enumerate(result.replicas))
    )


@pytest.mark.parametrize("lie", [without_the_tail, twice_the_same, strangers])
async def test_acknowledgements_that_prove_too_little_do_not_count(cluster: InProcessCluster, lie: object) -> None:
    for number in (1, 2, 3):
        cluster.faults(number).alter_result = lie  # type: ignore[assignment]
    with pytest.raises(Unavailable, match="copies as synced"):
        await cluster.client().put("/f", CHUNKED)
    assert await cluster.sql("SELECT COUNT(*) FROM intents") == [(0,)]
    assert not await cluster.client().exists("/f")
