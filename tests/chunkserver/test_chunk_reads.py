"""Reading chunks: ranges, frames, checks, and what happens to a chunk that fails one."""

import asyncio
from contextlib import aclosing
from itertools import pairwise

import pytest
from small_cluster import CHUNK, Server, content, get, header_of, put, start_server

from dstore.chunkserver.chunkfile import file_size_bytes
from dstore.chunkserver.chunkreader import ChunkReader
from dstore.chunkserver.paths import chunk_path, corrupt_path
from dstore.core.checksum import crc32c
from dstore.core.chunks import ReadRequest
from dstore.core.errors import Corrupt, InvalidRequest, NotFound, Unavailable
from dstore.core.ids import ChunkId, GroupId
from dstore.core.limits import (
    CHECKSUM_BLOCK_SIZE_BYTES,
    CHUNK_FILE_HEADER_SIZE_BYTES,
    FRAME_SIZE_BYTES,
    FRAME_SIZE_BYTES_MAX,
)

BLOCK = CHECKSUM_BLOCK_SIZE_BYTES
LENGTH = 3 * BLOCK + 17
DATA = content(LENGTH)
BORDERS = sorted({0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK, LENGTH - 1, LENGTH})


@pytest.fixture
async def server() -> Server:
    server = await start_server()
    await put(server.service, DATA, frame_size=BLOCK)
    return server


@pytest.mark.parametrize("frame_size", [0, 1000, BLOCK - 1, BLOCK, BLOCK + 1, FRAME_SIZE_BYTES, FRAME_SIZE_BYTES_MAX])
async def test_every_range_between_borders(server: Server, frame_size: int) -> None:
    for start in BORDERS[:-1]:
        for end in BORDERS:
            if end <= start:
                continue
            request = ReadRequest(CHUNK, start, end - start, frame_size)
            frames = [frame async for frame in server.service.read_chunk(request)]
            assert b"".join(frame.data for frame in frames) == DATA[start:end]
            assert frames[0].offset == start
            assert all(one.offset + len(one.data) == two.offset for one, two in pairwise(frames))
            assert {len(frame.data) for frame in frames[:-1]} <= {frame_size or FRAME_SIZE_BYTES_MAX}
            assert all(crc32c(frame.data) == frame.crc32c for frame in frames)


async def test_every_range_between_borders_as_one_frame(server: Server) -> None:
    for start in BORDERS[:-1]:
        for end in BORDERS:
            if end > start:
                frame = await server.service.read_range(ReadRequest(CHUNK, start, end - start))
                assert (frame.offset, frame.crc32c, bytes(frame.data)) == (
                    start,
                    crc32c(DATA[start:end]),
                    DATA[start:end],
                )
    assert server.service.read_streams == 0


@pytest.mark.parametrize(
    ("offset", "length_bytes", "reason"),
    [
        (0, 0, "FRAME_TOO_LARGE"),
        (0, FRAME_SIZE_BYTES_MAX + 1, "FRAME_TOO_LARGE"),
        (LENGTH, 1, "RANGE_INVALID"),
        (0, LENGTH + 1, "RANGE_INVALID"),
        (-1, 1, "RANGE_INVALID"),
    ],
)
async def test_ranges_that_are_no_frame(server: Server, offset: int, length_bytes: int, reason: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await server.service.read_range(ReadRequest(CHUNK, offset, length_bytes))
    assert caught.value.reason == reason
    assert server.service.read_streams == 0


@pytest.mark.parametrize("start", BORDERS[:-1])
async def test_a_length_of_zero_means_to_the_end(server: Server, start: int) -> None:
    assert await get(server.service, CHUNK, start, 0) == DATA[start:]


@pytest.mark.parametrize(
    ("offset", "length_bytes"),
    [(LENGTH, 0), (LENGTH, 1), (LENGTH + 1, 0), (LENGTH - 1, 2), (0, LENGTH + 1), (2**64 - 1, 1), (-1, 1), (-1, 0)],
)
async def test_a_range_outside_the_chunk_is_refused(server: Server, offset: int, length_bytes: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await get(server.service, CHUNK, offset, length_bytes)
    assert caught.value.reason == "RANGE_INVALID"


@pytest.mark.parametrize("frame_size", [FRAME_SIZE_BYTES_MAX + 1, -1])
async def test_frames_of_other_sizes_are_refused(server: Server, frame_size: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        _ = [frame async for frame in server.service.read_chunk(ReadRequest(CHUNK, 0, 1, frame_size))]
    assert caught.value.reason == "FRAME_TOO_LARGE"


async def test_an_unknown_chunk(server: Server) -> None:
    missing = ChunkId(GroupId(42), 500)
    ranged = server.service.read_range(ReadRequest(missing, 0, 1))
    for call in (get(server.service, missing), ranged, server.service.stat_chunk(missing)):
        with pytest.raises(NotFound, match="no chunk") as caught:
            await call
        assert caught.value.reason == "CHUNK_NOT_FOUND"
        assert caught.value.metadata["server_name"] == "cs-1"


async def test_stat(server: Server) -> None:
    stat = await server.service.stat_chunk(CHUNK)
    assert (stat.chunk_id, stat.length_bytes, stat.crc32c) == (CHUNK, LENGTH, crc32c(DATA))
    assert stat.descriptor == b"descriptor"


async def test_every_flipped_byte_is_noticed_by_a_reader() -> None:
    server = await start_server()
    data = content(300)
    await put(server.service, data)
    raw = server.memory.content(chunk_path(CHUNK))
    for index in range(file_size_bytes(len(data))):
        raw[index] ^= 0x10
        again = await start_server(server.memory)
        with pytest.raises(Corrupt) as caught:
            await get(again.service)
        assert caught.value.reason == "CHUNK_CORRUPT"
        raw[index] ^= 0x10
        await server.memory.remove(corrupt_path(CHUNK))
    assert await get((await start_server(server.memory)).service) == data


async def test_a_damaged_block_is_never_sent_and_never_deleted(server: Server) -> None:
    server.memory.content(chunk_path(CHUNK))[CHUNK_FILE_HEADER_SIZE_BYTES + 2 * BLOCK + 5] ^= 1
    assert await get(server.service, CHUNK, 0, 2 * BLOCK) == DATA[: 2 * BLOCK]
    received = b""
    with pytest.raises(Corrupt) as caught:
        async for frame in server.service.read_chunk(ReadRequest(CHUNK, 0, 0, BLOCK)):
            received += bytes(frame.data)
    assert received == DATA[: 2 * BLOCK], "what is good up to there is sent, and not one byte more"
    assert caught.value.metadata["chunk_id"] == str(CHUNK)
    assert caught.value.metadata["server_name"] == "cs-1"
    assert caught.value.metadata["server_id"] == server.store.identity.server_id
    assert str(CHUNK) in str(caught.value)
    assert server.store.corrupt == {CHUNK}
    for call in (get(server.service, CHUNK, 0, 1), server.service.stat_chunk(CHUNK)):
        with pytest.raises(Corrupt, match="earlier"):
            await call
    assert chunk_path(CHUNK) in server.memory.paths()
    assert server.store.chunk_count == 1


async def test_a_damaged_chunk_is_not_forgotten_by_a_restart_or_a_power_loss(server: Server) -> None:
    raw = server.memory.content(chunk_path(CHUNK))
    raw[CHUNK_FILE_HEADER_SIZE_BYTES] ^= 1
    with pytest.raises(Corrupt):
        await get(server.service)
    # A bit that flips back, as on a disk that reads differently each time, makes the copy no better.
    raw[CHUNK_FILE_HEADER_SIZE_BYTES] ^= 1
    server.memory.crash()
    again = await start_server(server.memory)
    assert again.store.corrupt == {CHUNK}
    assert again.store.recovery.unknown_count == 0
    with pytest.raises(Corrupt, match="earlier"):
        await get(again.service)


@pytest.mark.parametrize("size", [0, 1, CHUNK_FILE_HEADER_SIZE_BYTES, LENGTH, file_size_bytes(LENGTH) - 1])
async def test_a_short_file_is_noticed(server: Server, size: int) -> None:
    del server.memory.content(chunk_path(CHUNK))[size:]
    with pytest.raises(Corrupt):
        await get((await start_server(server.memory)).service)


async def test_a_file_cut_short_while_it_is_open(server: Server) -> None:
    await get(server.service, CHUNK, 0, 1)
    del server.memory.content(chunk_path(CHUNK))[CHUNK_FILE_HEADER_SIZE_BYTES + BLOCK :]
    with pytest.raises(Corrupt, match="shorter"):
        await get(server.service, CHUNK, BLOCK, 1)


async def test_a_chunk_in_the_place_of_another_is_noticed(server: Server) -> None:
    other = ChunkId(GroupId(42), 499 + 256)
    await server.memory.rename(chunk_path(CHUNK), chunk_path(other))
    with pytest.raises(Corrupt, match="is that of chunk"):
        await get((await start_server(server.memory)).service, other)


async def test_a_failing_disk(server: Server) -> None:
    async def before(operation: str, path: str) -> None:
        if operation == "read":
            raise OSError(5, "injected")

    server.disk.before = before
    with pytest.raises(Unavailable) as caught:
        await get(server.service)
    assert caught.value.reason == "DISK_FAILED"
    assert server.store.suspicion is not None
    assert server.store.corrupt == set()


async def test_few_files_are_kept_open(server: Server) -> None:
    chunks = [ChunkId(GroupId(1), sequence) for sequence in range(1, 6)]
    for chunk_id in chunks:
        await put(server.service, DATA, header_of(DATA, chunk_id), frame_size=BLOCK)
    opened: list[str] = []

    async def before(operation: str, path: str) -> None:
        if operation == "open":
            opened.append(path)

    server.disk.before = before
    reader = ChunkReader(server.store, open_chunks_max=2)

    async def touch(chunk_id: ChunkId) -> None:
        await reader.stat(chunk_id)

    for index in (0, 1, 0, 1, 2, 1, 2, 0):
        await touch(chunks[index])
    assert opened == [chunk_path(chunks[index]) for index in (0, 1, 2, 0)]
    await reader.close()


async def test_a_chunk_that_is_being_read_stays_open_when_others_push_it_out(server: Server) -> None:
    other = ChunkId(GroupId(1), 1)
    await put(server.service, DATA, header_of(DATA, other), frame_size=BLOCK)
    reader = ChunkReader(server.store, open_chunks_max=1)
    async with aclosing(reader.read(ReadRequest(CHUNK, 0, 0, BLOCK))) as frames:
        first = await anext(frames)
        await reader.stat(other)
        rest = [frame.data async for frame in frames]
    assert b"".join([first.data, *rest]) == DATA


async def test_a_reader_that_leaves_early_leaves_nothing_running(server: Server) -> None:
    async with aclosing(server.service.read_chunk(ReadRequest(CHUNK, 0, 0, 1000))) as frames:  # type: ignore[type-var]
        await anext(frames)
    assert server.service.read_streams == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_next_frame_is_read_while_one_is_sent(server: Server) -> None:
    reads = 0

    async def before(operation: str, path: str) -> None:
        nonlocal reads
        reads += operation == "read"

    await server.service.stat_chunk(CHUNK)
    server.disk.before = before
    async with aclosing(server.service.read_chunk(ReadRequest(CHUNK, 0, 0, 1000))) as frames:  # type: ignore[type-var]
        await anext(frames)
        for _ in range(5):
            await asyncio.sleep(0)
        assert reads == 2, "one frame ahead, and not more"


async def test_what_is_read_is_counted(server: Server) -> None:
    await get(server.service, CHUNK, 0, 1000)
    await server.service.refresh_metrics()
    text = server.metrics.render().decode()
    assert "dstore_chunk_read_bytes_total 1000.0" in text
    assert f"dstore_chunk_write_bytes_total {float(LENGTH)}" in text
    assert "dstore_disk_chunks 1.0" in text
    assert "dstore_corrupt_chunks 0.0" in text
    assert 'dstore_chunk_operation_duration_seconds_count{op="read"} 1.0' in text
    assert 'role="chunkserver"' in text


async def test_a_damaged_chunk_is_reported_to_everybody_who_reads_it_at_once() -> None:
    server = await start_server()
    await put(server.service, DATA, frame_size=BLOCK)
    server.memory.content(chunk_path(CHUNK))[CHUNK_FILE_HEADER_SIZE_BYTES + 5] ^= 1
    opened = asyncio.Semaphore(0)
    slow = asyncio.Event()

    async def before(operation: str, path: str) -> None:
        if operation == "open":
            opened.release()
            await slow.wait()

    server.disk.before = before
    server.disk.close_slowly = True
    readers = [asyncio.create_task(get(server.service)) for _ in range(3)]
    for _ in readers:
        await opened.acquire()
    slow.set()
    outcomes = await asyncio.gather(*readers, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Corrupt] * 3
