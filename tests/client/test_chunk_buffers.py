"""Memory for what many files write at once is bounded, and never keeps one that has nothing waiting for another."""

import asyncio

import pytest
from store_in_process import CHUNK_SIZE, InProcessCluster, pattern

from dstore.client import chunk_buffers
from dstore.client.chunk_buffers import ChunkBuffers, FileBuffers

SIZE = 4


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> ChunkBuffers:
    """Room for four buffers."""
    monkeypatch.setattr(chunk_buffers, "IN_FLIGHT_SIZE_BYTES_MAX", 0)
    return ChunkBuffers()


async def test_one_file_gets_all_and_then_waits_for_its_own(shared: ChunkBuffers) -> None:
    file = FileBuffers(shared, SIZE)
    buffers = [await file.take() for _ in range(4)]
    fifth = asyncio.ensure_future(file.take())
    await asyncio.sleep(0)
    assert not fifth.done()
    file.give_back(buffers[0])
    assert await fifth is buffers[0]
    assert shared.used_bytes == 4 * SIZE
    file.give_all_back()
    assert shared.used_bytes == 0
    # What comes late, from a chunk that was in flight, is not counted twice.
    file.give_back(buffers[1])
    assert shared.used_bytes == 0


async def test_a_file_that_has_none_waits_for_nobody(shared: ChunkBuffers) -> None:
    files = [FileBuffers(shared, SIZE) for _ in range(6)]
    for file in files:
        await asyncio.wait_for(file.take(), 10)
    assert shared.used_bytes == 6 * SIZE
    second = asyncio.ensure_future(files[0].take())
    for file in files[1:3]:
        file.give_back()
        await asyncio.sleep(0)
        assert not second.done()
    files[3].give_back()
    await second


async def test_nothing_is_kept_when_nobody_writes(shared: ChunkBuffers) -> None:
    file = FileBuffers(shared, SIZE)
    first, second = await file.take(), await file.take()
    file.give_back(first)
    assert await file.take() is first
    file.give_back(first)
    file.give_back(second)
    third = await file.take()
    assert third is not first and third is not second


async def test_many_files_are_written_in_turn_by_one_caller(
    cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each holds a part of a chunk while the others go on: were one to wait for another's, nobody would."""
    monkeypatch.setattr(chunk_buffers, "IN_FLIGHT_SIZE_BYTES_MAX", 0)
    client = cluster.client()
    data = pattern(3 * CHUNK_SIZE + 7)
    files = [await client.open_write(f"/{number}") for number in range(8)]
    for start in range(0, len(data), CHUNK_SIZE // 2):
        for file in files:
            await asyncio.wait_for(file.write(data[start : start + CHUNK_SIZE // 2]), 60)
    await files[0].discard()
    for file in files[1:]:
        await file.close()
    assert [await client.get(f"/{number}") for number in range(1, 8)] == [data] * 7
    session = await client._contact.session()
    assert session.buffers.used_bytes == 0
