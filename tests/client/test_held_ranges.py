"""Ranges that come before there is a place for them, and the read-ahead that is made of them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from store_in_process import InProcessCluster, in_process_cluster, pattern

from dstore.client.held_range import HeldRange
from dstore.client.reader import FileReader
from dstore.core.chunks import Frame
from dstore.core.errors import Corrupt
from dstore.core.limits import (
    CHUNK_FILE_HEADER_SIZE_BYTES,
    CHUNK_HEADER_SIZE_BYTES,
    MIB,
    SEGMENT_SEALED_SIZE_BYTES,
    SEGMENT_SIZE_BYTES,
)

CHUNK_SIZE = 3 * MIB
DATA = pattern(3 * CHUNK_SIZE + 5 * SEGMENT_SIZE_BYTES + 7)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[InProcessCluster]:
    async with in_process_cluster(tmp_path, chunk_size_bytes=CHUNK_SIZE) as running:
        yield running


async def open_reader(cluster: InProcessCluster) -> FileReader:
    client = cluster.client()
    await client.put("/f", DATA)
    return await client._fetching.open("/f")


def take_all(held: HeldRange, size: int) -> bytes:
    """Take in pieces of a size; the ends of the pieces do not care about frames."""
    whole = bytearray()
    while not held.is_over:
        assert held.is_ready
        out = memoryview(bytearray(0 if held.is_taken else size))
        whole += out[: held.take(out)]
    return bytes(whole)


@pytest.mark.parametrize(
    "size", [1_000, SEGMENT_SIZE_BYTES - 1, SEGMENT_SIZE_BYTES, SEGMENT_SIZE_BYTES + 1, CHUNK_SIZE]
)
@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, CHUNK_SIZE),
        (1, SEGMENT_SIZE_BYTES - 1),
        (SEGMENT_SIZE_BYTES + 5, 2 * SEGMENT_SIZE_BYTES - 5),
        (CHUNK_SIZE + 5, CHUNK_SIZE - 5),
        (CHUNK_SIZE, MIB),
        (3 * CHUNK_SIZE, len(DATA) - 3 * CHUNK_SIZE),
        (len(DATA) - 1, 1),
    ],
)
async def test_pieces_of_any_size(cluster: InProcessCluster, offset: int, length: int, size: int) -> None:
    reader = await open_reader(cluster)
    held = reader.hold(offset, length)
    assert not held.is_ready and not held.is_over
    await reader.fetch(offset, held)
    assert take_all(held, size) == DATA[offset : offset + length]


@pytest.mark.parametrize("size", [1_000, 2 * SEGMENT_SIZE_BYTES + 3, CHUNK_SIZE])
@pytest.mark.parametrize("segment_counts", [(1,), (3, 2)])
async def test_a_range_that_begins_on_this_machine(
    cluster: InProcessCluster, segment_counts: tuple[int, ...], size: int
) -> None:
    reader = await open_reader(cluster)
    address, path = next(each for each in cluster.chunk_files() if str(reader.file.records[0].chunk_id) in each[1])
    content = cluster.disks[address].content(path)
    held = reader.hold(5, CHUNK_SIZE - 5)
    position = CHUNK_FILE_HEADER_SIZE_BYTES + CHUNK_HEADER_SIZE_BYTES
    for count in segment_counts:
        buffer = bytearray(content[position : position + count * SEGMENT_SEALED_SIZE_BYTES])
        position += len(buffer)
        held.decrypt(memoryview(buffer))
        buffer[:] = bytes(len(buffer))  # it is somebody else's
    await reader.fetch(5, held)
    assert take_all(held, size) == DATA[5:CHUNK_SIZE]


@pytest.mark.parametrize("position", [0, SEGMENT_SIZE_BYTES, -1])
async def test_altered_bytes_are_not_handed_out(cluster: InProcessCluster, position: int) -> None:
    """Invariant 5, also for the last segment of a full chunk, which has no bytes but a proof that nothing was cut."""
    reader = await open_reader(cluster)

    def alter(frame: Frame) -> Frame:
        data = bytearray(frame.data)
        data[position] ^= 1
        return replace(frame, data=bytes(data))

    for number in (1, 2, 3):
        cluster.faults(number).alter_read = alter
    held = reader.hold(0, CHUNK_SIZE)
    await reader.fetch(0, held)
    out = memoryview(bytearray(CHUNK_SIZE))
    done = 0
    with pytest.raises(Corrupt):
        while not held.is_over:
            done += held.take(out[done:])
    assert out[:done] == DATA[:done] and not any(out[done:])


@pytest.mark.parametrize("size", [100_000, MIB, CHUNK_SIZE])
async def test_reading_ahead_from_servers_that_sometimes_lie(cluster: InProcessCluster, size: int) -> None:
    await open_reader(cluster)
    count = 0

    def alter(frame: Frame) -> Frame:
        nonlocal count
        count += 1
        return replace(frame, data=bytes(len(frame.data))) if count in {2, 4, 6} else frame

    for number in (1, 2, 3):
        cluster.faults(number).alter_read = alter
    buffer, whole = bytearray(size), bytearray()
    async with await cluster.client().open("/f") as file:
        while taken := await file.readinto(buffer):
            whole += memoryview(buffer)[:taken]
    assert bytes(whole) == DATA
    assert count >= 6
