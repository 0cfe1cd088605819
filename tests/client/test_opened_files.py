"""Files as objects: positions, read-ahead, buffers."""

import asyncio
import io
from typing import Any

import pytest
from store_in_process import CHUNK_SIZE, InProcessCluster, pattern

from dstore.client.client import AsyncClient
from dstore.client.read_ahead import ReadAhead
from dstore.core.errors import Corrupt, InvalidRequest
from dstore.core.limits import CHUNKS_IN_FLIGHT_READ, READ_AHEAD_SIZE_BYTES_MIN

DATA = pattern(40 * CHUNK_SIZE + 11)
assert CHUNK_SIZE < READ_AHEAD_SIZE_BYTES_MIN


async def test_seeking_is_that_of_bytes_io(client: AsyncClient) -> None:
    await client.put("/f", DATA)
    model = io.BytesIO(DATA)
    async with await client.open("/f") as file:
        for offset, whence, size in [
            (5, 0, 10),
            (0, 1, 10),
            (-7, 2, 20),
            (0, 2, 5),
            (100, 2, 5),
            (-3, 1, 2),
            (CHUNK_SIZE - 1, 0, 2),
            (CHUNK_SIZE, 0, CHUNK_SIZE),
            (0, 0, -1),
        ]:
            assert file.seek(offset, whence) == model.seek(offset, whence)
            assert await file.read(size) == model.read(size)
            assert file.tell() == model.tell()
        impossible: list[Any] = [(-1, 0), (-(len(DATA) + 1), 2), (0, 3), (1.5, 0), ("1", 0), (None, 1), (0, "1")]
        for offset, whence in impossible:
            with pytest.raises(InvalidRequest) as caught:
                file.seek(offset, whence)
            assert caught.value.reason == "SEEK_INVALID"


@pytest.mark.parametrize("size", [1_000, 16_384, CHUNK_SIZE, 300_001, 5_000_000])
async def test_reading_in_sequence(client: AsyncClient, size: int) -> None:
    await client.put("/f", DATA)
    async with await client.open("/f") as file:
        buffer = bytearray(size)
        whole = bytearray()
        while count := await file.readinto(buffer):
            assert count == min(size, len(DATA) - len(whole))
            whole += memoryview(buffer)[:count]
    assert bytes(whole) == DATA


async def test_jumping_about_reads_no_more_than_is_asked_for(cluster: InProcessCluster) -> None:
    client = cluster.client()
    await client.put("/f", DATA)

    def streams() -> int:
        return sum(cluster.faults(number).reads for number in (1, 2, 3))

    async with await client.open("/f") as file:
        for offset in range(30 * CHUNK_SIZE, 0, -3 * CHUNK_SIZE):
            before = streams()
            file.seek(offset + 10)
            assert await file.read(100) == DATA[offset + 10 : offset + 110]
            for _ in range(5):
                await asyncio.sleep(0)
            assert streams() == before + 1


async def test_read_ahead_grows_and_stays_bounded(client: AsyncClient) -> None:
    await client.put("/f", DATA)
    async with await client.open("/f") as file:
        ahead = file._ahead
        assert isinstance(ahead, ReadAhead)
        counts = []
        for _ in range(6):
            await file.read(1_000)
            counts.append(len(ahead._windows))
        assert counts == [min(number, CHUNKS_IN_FLIGHT_READ) for number in range(1, 7)]
        # Each ends with a chunk.
        lengths = [window.length for window in ahead._windows]
        assert lengths == [CHUNK_SIZE - 1_000, *[CHUNK_SIZE] * (CHUNKS_IN_FLIGHT_READ - 1)]
        file.seek(30 * CHUNK_SIZE)
        await file.read(10)
        assert len(ahead._windows) == 0


async def test_a_failure_ahead_shows_only_where_it_is_read(cluster: InProcessCluster) -> None:
    client = cluster.client()
    await client.put("/f", DATA)
    damaged = (await client.describe("/f")).chunks[20].record.chunk_id
    for address, path in cluster.chunk_files():
        if path.endswith(str(damaged)):
            cluster.damage(address, path)
    async with await client.open("/f") as file:
        for offset in range(0, 20 * CHUNK_SIZE, CHUNK_SIZE):
            assert await file.read(CHUNK_SIZE) == DATA[offset : offset + CHUNK_SIZE]
        with pytest.raises(Corrupt) as caught:
            await file.read(CHUNK_SIZE)
        assert caught.value.metadata["chunk_index"] == "20"
        assert file.tell() == 20 * CHUNK_SIZE
        file.seek(21 * CHUNK_SIZE)
        assert await file.read(CHUNK_SIZE) == DATA[21 * CHUNK_SIZE : 22 * CHUNK_SIZE]


async def test_a_cancelled_read_can_be_repeated(cluster: InProcessCluster) -> None:
    client = cluster.client()
    await client.put("/f", DATA)
    async with await client.open("/f") as file:
        await file.read(10)
        for number in (1, 2, 3):
            cluster.faults(number).hangs = True
        task = asyncio.create_task(file.read(1_000_000))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for number in (1, 2, 3):
            cluster.faults(number).hangs = False
        assert await file.read(1_000_000) == DATA[10:1_000_010]


async def test_closed_files(client: AsyncClient) -> None:
    await client.put("/f", b"data")
    reader = await client.open("/f")
    await reader.close()
    await reader.close()
    writer = await client.open("/g", "wb")
    assert writer.info is None
    await writer.write(b"x")
    assert writer.tell() == 1
    await writer.close()
    await writer.close()
    assert [writer.closed, reader.closed] == [True, True]
    for call in (reader.read(), reader.readinto(bytearray(1)), writer.write(b"y")):
        with pytest.raises(InvalidRequest) as caught:
            await call
        assert caught.value.reason == "FILE_CLOSED"
    with pytest.raises(ValueError):
        reader.seek(0)
    assert await client.get("/g") == b"x"


async def test_readinto_takes_any_buffer(client: AsyncClient) -> None:
    await client.put("/f", DATA[:64])
    async with await client.open("/f") as file:
        target = memoryview(bytearray(32)).cast("I")
        assert await file.readinto(target) == 32
        assert target.tobytes() == DATA[:32]
        assert await file.readinto(bytearray()) == 0
        assert await file.read(0) == b""
        assert await file.read(1_000) == DATA[32:64]
        assert await file.read(1_000) == b""


async def test_one_version_whatever_happens_to_the_path(client: AsyncClient) -> None:
    """Invariant 2."""
    await client.put("/f", DATA)
    async with await client.open("/f") as file:
        first = await file.read(CHUNK_SIZE)
        await client.put("/f", b"new")
        assert first + await file.read() == DATA
    assert await client.get("/f") == b"new"


async def test_a_write_that_was_cancelled_is_never_committed(cluster: InProcessCluster) -> None:
    client = cluster.client()
    file = await client.open("/f", "wb")
    for number in (1, 2, 3):
        cluster.faults(number).hangs = True
    task = asyncio.create_task(file.write(DATA))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(InvalidRequest) as caught:
        await file.close()
    assert caught.value.reason == "FILE_DISCARDED"
    assert not await client.exists("/f")
