"""Files that are durable before they are visible, and reads anywhere in an open file."""

import asyncio

import pytest
from store_in_process import CHUNK_SIZE, InProcessCluster, pattern

from dstore.client.client import AsyncClient
from dstore.core.errors import DstoreError, InvalidRequest, Unavailable

DATA = pattern(3 * CHUNK_SIZE + 11)
SIZES = [0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, len(DATA)]


@pytest.mark.parametrize("size", SIZES)
async def test_settled_is_durable_and_not_visible(cluster: InProcessCluster, size: int) -> None:
    client = cluster.client()
    async with client, await client.open_write("/f") as file:
        await file.write(DATA[:size])
        await file.settle()
        await file.settle()
        assert len(cluster.chunk_files()) == 3 * -(-size // CHUNK_SIZE)
        assert not await client.exists("/f")
        # No server is needed any more, only the master.
        for number in (1, 2, 3):
            cluster.faults(number).is_down = True
        await file.close()
        for number in (1, 2, 3):
            cluster.faults(number).is_down = False
        assert await client.get("/f") == DATA[:size]


async def test_nothing_follows_what_is_settled(client: AsyncClient) -> None:
    file = await client.open_write("/f")
    await file.write(DATA)
    await file.settle()
    assert await file.write(b"") == 0
    with pytest.raises(InvalidRequest) as caught:
        await file.write(b"1")
    assert caught.value.reason == "FILE_SETTLED"
    await file.close()
    assert await client.get("/f") == DATA
    with pytest.raises(InvalidRequest) as caught:
        await file.settle()
    assert caught.value.reason == "FILE_CLOSED"


async def test_settled_files_can_be_given_up(client: AsyncClient) -> None:
    file = await client.open_write("/f")
    await file.write(DATA)
    await file.settle()
    await file.discard()
    assert not await client.exists("/f")


async def test_what_cannot_be_settled_is_discarded(cluster: InProcessCluster) -> None:
    client = cluster.client()
    file = await client.open_write("/f")
    await file.write(DATA[:CHUNK_SIZE])
    for number in (1, 2, 3):
        cluster.faults(number).is_down = True
    with pytest.raises(Unavailable):
        await file.settle()
    with pytest.raises(DstoreError) as caught:
        await file.close()
    assert caught.value.reason == "FILE_DISCARDED"
    assert not await client.exists("/f")


async def test_reading_anywhere_at_once(client: AsyncClient) -> None:
    await client.put("/f", DATA)
    spans = [(offset, length) for offset in [*SIZES, len(DATA) + 5] for length in SIZES]
    async with await client.open_read("/f") as file:
        file.seek(7)
        read = await asyncio.gather(*(file.read_at(offset, length) for offset, length in spans))
        assert read == [DATA[offset : offset + length] for offset, length in spans]
        assert file.tell() == 7
        for offset, length in ((-1, 1), (0, -1)):
            with pytest.raises(InvalidRequest) as caught:
                await file.read_at(offset, length)
            assert caught.value.reason == "RANGE_INVALID"
    with pytest.raises(InvalidRequest):
        await file.read_at(0, 1)
