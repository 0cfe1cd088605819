"""What goes in comes out, at every boundary of size, through every verb."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_in_process import CHUNK_SIZE, InProcessCluster, in_process_cluster, pattern

from dstore.client.client import AsyncClient
from dstore.core.errors import InvalidRequest
from dstore.core.limits import FRAME_SEGMENTS, INLINE_SIZE_BYTES_MAX, SEGMENT_SIZE_BYTES

SEGMENT = SEGMENT_SIZE_BYTES
SIZES = [
    0,
    1,
    SEGMENT - 1,
    SEGMENT,
    SEGMENT + 1,
    CHUNK_SIZE - 1,
    CHUNK_SIZE,
    CHUNK_SIZE + 1,
    3 * CHUNK_SIZE,
    3 * CHUNK_SIZE + 5,
]


@pytest.mark.parametrize("size", SIZES)
async def test_every_way_in_and_every_way_out(client: AsyncClient, tmp_path: Path, size: int) -> None:
    data = pattern(size)
    source = tmp_path / "source"
    source.write_bytes(data)
    put = await client.put("/put", data)
    put_file = await client.put_file(source, "/put_file")
    async with await client.open("/open", "wb") as file:
        for start in range(0, size, 10_000):
            assert await file.write(data[start : start + 10_000]) == len(data[start : start + 10_000])
    assert file.info is not None
    for info in (put, put_file, file.info):
        is_small = size <= INLINE_SIZE_BYTES_MAX and info is not file.info
        assert (info.size_bytes, info.chunk_count) == (size, 0 if is_small else -(-size // CHUNK_SIZE))
        assert await client.get(info.path) == data
        target = tmp_path / "target"
        assert (await client.get_file(info.path, target)).size_bytes == size
        assert target.read_bytes() == data
        async with await client.open(info.path) as reader:
            assert await reader.read() == data
            reader.seek(0)
            blocks = []
            while block := await reader.read(7_777):
                blocks.append(block)
            assert b"".join(blocks) == data
    assert sorted(os.listdir(tmp_path)) == ["metadata.db", "metadata.db-shm", "metadata.db-wal", "source", "target"]


STRIDE = FRAME_SEGMENTS * SEGMENT


@pytest.mark.parametrize("size", [STRIDE - 1, STRIDE, STRIDE + 1, 2 * STRIDE, 2 * STRIDE + 1])
async def test_chunks_of_several_frames(tmp_path: Path, size: int) -> None:
    data = pattern(size)
    async with in_process_cluster(tmp_path, chunk_size_bytes=2 * STRIDE) as cluster:
        client = cluster.client()
        await client.put("/f", data)
        assert await client.get("/f") == data
        for offset in (0, 1, STRIDE - 1, STRIDE, STRIDE + 1):
            assert await client.get("/f", offset, 3) == data[offset : offset + 3]
            assert await client.get("/f", offset) == data[offset:]


@pytest.fixture(scope="module")
def model() -> bytes:
    return pattern(3 * CHUNK_SIZE + 5)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    offset=st.integers(0, 3 * CHUNK_SIZE + 40),
    length=st.one_of(st.none(), st.integers(0, 3 * CHUNK_SIZE + 40), st.integers(0, 50)),
)
def test_ranges_are_those_of_bytes(
    shared: tuple[Callable[..., Any], AsyncClient], model: bytes, offset: int, length: int | None
) -> None:
    run, client = shared
    expected = model[offset:] if length is None else model[offset : offset + length]
    assert run(client.get("/model", offset, length)) == expected


@pytest.fixture
def shared(tmp_path: Path, model: bytes) -> Iterator[tuple[Callable[..., Any], AsyncClient]]:
    with asyncio.Runner() as runner:
        opened = in_process_cluster(tmp_path)
        cluster = runner.run(opened.__aenter__())
        client = cluster.client()
        runner.run(client.put("/model", model))
        yield runner.run, client
        runner.run(opened.__aexit__(None, None, None))


@pytest.mark.parametrize(
    ("offset", "length"), [(-1, None), (0, -1), (-5, 2), (1.5, None), (0, 1.0), ("1", 2), (None, 1)]
)
async def test_ranges_that_cannot_be_are_refused(client: AsyncClient, offset: Any, length: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await client.get("/f", offset, length)
    assert caught.value.reason == "RANGE_INVALID"


async def test_bytes_like_data(client: AsyncClient) -> None:
    data = pattern(CHUNK_SIZE + 8)
    views: list[bytearray | memoryview[int]] = [bytearray(data), memoryview(data), memoryview(data).cast("I")]
    for number, view in enumerate(views):
        await client.put(f"/{number}", view)
        assert await client.get(f"/{number}") == data
    await client.put("/strided", memoryview(data)[::2])
    assert await client.get("/strided") == data[::2]
    with pytest.raises(InvalidRequest, match="not str; encode"):
        await client.put("/text", "text")  # type: ignore[arg-type]


async def test_progress_reaches_the_size_and_never_goes_back(cluster: InProcessCluster, tmp_path: Path) -> None:
    client = cluster.client()
    local = tmp_path / "local"
    local.write_bytes(pattern(3 * CHUNK_SIZE + 5))
    seen: list[int] = []
    await client.put_file(local, "/f", progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 3 * CHUNK_SIZE + 5 and len(seen) == 4
    seen.clear()
    await client.get_file("/f", local, progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 3 * CHUNK_SIZE + 5 and len(seen) == 4
