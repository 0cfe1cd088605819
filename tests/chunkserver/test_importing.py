"""Copying a chunk from a peer: verified, durable, and new before old."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from small_cluster import (
    CLUSTER,
    Network,
    SeededRandom,
    Server,
    StoppedClock,
    content,
    get,
    header_of,
    no_fault,
    put,
    start_server,
)
from storage_faults import GROUP, NoLimit, at_operation, copy, damage, find_damage, held_of, server_with

from dstore.chunkserver import importing
from dstore.chunkserver.chunkfile import LENGTH_BYTES_MAX
from dstore.chunkserver.chunkreader import ChunkReader
from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.disk import LocalDisk
from dstore.chunkserver.importing import import_chunk
from dstore.chunkserver.memory import MemoryDisk
from dstore.chunkserver.metrics import ChunkserverMetrics
from dstore.chunkserver.paths import chunk_path
from dstore.chunkserver.service import ChunkService
from dstore.core.checksum import crc32c
from dstore.core.chunks import ChunkStat, Frame, ReadRequest
from dstore.core.digests import GroupDigest, HeldChunk, HeldPage
from dstore.core.environment import Disk
from dstore.core.errors import Corrupt, DeadlineExceeded, NotFound, NotReady, OutOfSpace, Unavailable
from dstore.core.ids import ChunkId, GroupId
from dstore.core.interfaces import Chunks
from dstore.core.limits import DESCRIPTOR_SIZE_BYTES_MAX, FRAME_SIZE_BYTES_MAX, WRITE_BEHIND_FRAMES_MAX

A, B = ChunkId(GROUP, 1), ChunkId(GROUP, 2)
DATA, OTHER_DATA = content(3500), content(3500, seed=2)
HELD = held_of(A, DATA)


@dataclass
class Doctored:
    """A source that tells and sends something else than it has."""

    inner: Chunks
    change_stat: Callable[[ChunkStat], ChunkStat] = lambda stat: stat
    change_frames: Callable[[list[Frame]], list[Frame]] = lambda frames: frames
    frame_size: int = 1000

    async def stat_chunk(self, chunk_id: ChunkId) -> ChunkStat:
        return self.change_stat(await self.inner.stat_chunk(chunk_id))

    async def read_chunk(self, request: ReadRequest) -> AsyncIterator[Frame]:
        request = replace(request, frame_size_bytes=self.frame_size)
        for frame in self.change_frames([frame async for frame in self.inner.read_chunk(request)]):
            yield frame

    async def write_chunk(self, header: object) -> object:
        raise NotImplementedError

    async def get_group_digest(self, group_id: GroupId) -> GroupDigest:
        return await self.inner.get_group_digest(group_id)

    async def list_group(self, group_id: GroupId, *, bucket: int | None, after_sequence: int, count: int) -> HeldPage:
        return await self.inner.list_group(group_id, bucket=bucket, after_sequence=after_sequence, count=count)


def doctored(
    source: Server,
    *,
    stat: Callable[[ChunkStat], ChunkStat] = lambda stat: stat,
    frames: Callable[[list[Frame]], list[Frame]] = lambda frames: frames,
) -> Chunks:
    return Doctored(source.service, stat, frames)  # type: ignore[return-value]


@pytest.fixture
async def source() -> Server:
    return await server_with({A: DATA}, name="cs-2")


async def check_held(server: Server) -> None:
    assert await get(server.service, A) == DATA
    assert server.store.catalog.held(A) == HELD
    assert server.store.corrupt == set()
    assert await server.memory.list("corrupt") == ()
    assert await server.memory.list("tmp") == ()


@pytest.mark.parametrize("expected", [None, HELD])
async def test_a_copy_is_the_same_file_and_durable(source: Server, expected: HeldChunk | None) -> None:
    server, limit = await start_server(), NoLimit()
    assert await copy(server, source.service, A, expected, limit) == HELD
    assert limit.taken_bytes == len(DATA)
    server.memory.crash()
    assert server.memory.content(chunk_path(A)) == source.memory.content(chunk_path(A))
    again = await start_server(server.memory)
    digests = [await each.service.get_group_digest(GROUP) for each in (again, source)]
    assert digests[0].buckets == digests[1].buckets
    await check_held(again)


async def test_what_is_here_already_is_not_copied(source: Server) -> None:
    server, limit = await server_with({A: DATA}), NoLimit()
    again = await start_server(server.memory)
    for each in (server, again):
        for expected in (None, HELD):
            assert await copy(each, source.service, A, expected, limit) == HELD
    assert limit.taken_bytes == 0


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("expected", [None, HELD])
async def test_a_damaged_copy_is_replaced(source: Server, expected: HeldChunk | None, is_known: bool) -> None:
    server = await server_with({A: DATA})
    damage(server.memory, A, DATA)
    if is_known:
        await find_damage(server, A)
    await copy(server, source.service, A, expected)
    await check_held(server)
    server.memory.crash()
    again = await start_server(server.memory)
    await again.service.get_group_digest(GROUP)
    await check_held(again)
    await get(again.service, A)


async def test_other_content_is_reported_and_replaced(source: Server) -> None:
    server = await server_with({A: OTHER_DATA})
    seen: list[str] = []

    async def note(operation: str, path: str) -> None:
        if (operation, path) in (("create", f"corrupt/{A}"), ("rename", chunk_path(A)), ("remove", f"corrupt/{A}")):
            seen.append(operation)

    server.disk.before = note
    assert await copy(server, source.service, A, None) == held_of(A, OTHER_DATA), "nothing says that it is wrong"
    await copy(server, source.service, A, HELD)
    assert seen == ["create", "rename", "remove"], "Invariant 10"
    await check_held(server)


async def test_a_reader_of_the_replaced_copy_gets_nothing_more_of_it(source: Server) -> None:
    server = await server_with({A: OTHER_DATA})
    frames = server.service.read_chunk(ReadRequest(A, 0, 0, 500))
    await anext(frames)
    await copy(server, source.service, A, HELD)
    with pytest.raises(NotFound):
        await anext(frames)
    await check_held(server)


async def test_damage_found_in_the_replaced_copy_says_nothing_about_the_new_one(source: Server) -> None:
    server = await server_with({A: DATA})
    damage(server.memory, A, DATA)

    async def replace_it() -> None:
        server.disk.before = no_fault
        await find_damage(server, A)
        await copy(server, source.service, A, HELD)

    for number in range(4):
        damaged = await server_with({A: DATA})
        damage(damaged.memory, A, DATA)
        server = damaged
        server.disk.before = at_operation(number, replace_it)
        try:
            assert await get(server.service, A) == DATA
        except NotFound:
            assert number > 0
        await check_held(server)


@pytest.mark.parametrize("data", [content(1), content(FRAME_SIZE_BYTES_MAX), content(5 * FRAME_SIZE_BYTES_MAX + 1)])
async def test_lengths(data: bytes) -> None:
    source, server = await server_with({A: data}, name="cs-2"), await start_server()
    assert await copy(server, source.service, A) == held_of(A, data)
    assert await get(server.service, A) == data


STATS: dict[str, Callable[[ChunkStat], ChunkStat]] = {
    "another chunk": lambda stat: replace(stat, chunk_id=B),
    "another checksum": lambda stat: replace(stat, crc32c=stat.crc32c ^ 1),
    "a shorter length": lambda stat: replace(stat, length_bytes=stat.length_bytes - 1),
    "a longer length": lambda stat: replace(stat, length_bytes=stat.length_bytes + 1),
    "no length": lambda stat: replace(stat, length_bytes=0),
    "a length out of range": lambda stat: replace(stat, length_bytes=LENGTH_BYTES_MAX + 1),
    "a long descriptor": lambda stat: replace(stat, descriptor=bytes(DESCRIPTOR_SIZE_BYTES_MAX + 1)),
}


def flipped(frame: Frame, *, crc_too: bool) -> Frame:
    data = bytes([frame.data[0] ^ 1, *frame.data[1:]])
    return Frame(frame.offset, crc32c(data) if crc_too else frame.crc32c, data)


FRAMES: dict[str, Callable[[list[Frame]], list[Frame]]] = {
    "a flipped bit": lambda frames: [flipped(frames[0], crc_too=False), *frames[1:]],
    "a flipped bit with its checksum": lambda frames: [flipped(frames[0], crc_too=True), *frames[1:]],
    "one frame missing": lambda frames: frames[1:],
    "an early end": lambda frames: frames[:-1],
    "nothing": lambda frames: [],
    "one frame twice": lambda frames: [frames[0], *frames],
    "another order": lambda frames: [frames[1], frames[0], *frames[2:]],
    "an empty frame": lambda frames: [Frame(0, 0, b""), *frames],
    "a large frame": lambda frames: [Frame(0, 0, bytes(FRAME_SIZE_BYTES_MAX + 1))],
    "more than all": lambda frames: [*frames[:-1], Frame(frames[-1].offset, 0, bytes(2000))],
}


@pytest.mark.parametrize("has_own", [False, True])
@pytest.mark.parametrize("lie", [*STATS, *FRAMES])
async def test_a_source_that_lies(source: Server, lie: str, has_own: bool) -> None:
    server = await server_with({A: DATA}) if has_own else await start_server()
    if has_own:
        damage(server.memory, A, DATA)
        await find_damage(server, A)
    files = {path: bytes(server.memory.content(path)) for path in server.memory.paths()}
    liar = doctored(source, stat=STATS.get(lie, lambda stat: stat), frames=FRAMES.get(lie, lambda frames: frames))
    for expected in (None, HELD):
        if lie == "a shorter length" and expected is None:
            continue  # the frames do not fit it, which is another lie of this table
        with pytest.raises(Corrupt) as caught:
            await copy(server, liar, A, expected)
        assert caught.value.reason == "CHUNK_CORRUPT"
        left = {path: bytes(server.memory.content(path)) for path in server.memory.paths()}
        assert {path: data for path, data in left.items() if "EPOCH" not in path} == {
            path: data for path, data in files.items() if "EPOCH" not in path
        }
    await copy(server, source.service, A, HELD)
    await check_held(server)


async def test_a_source_that_is_worse(source: Server) -> None:
    server = await start_server()
    damage(source.memory, A, DATA)
    for chunk_id, error in ((A, Corrupt), (B, NotFound)):
        with pytest.raises(error):
            await copy(server, source.service, chunk_id)
    assert server.chunk_paths() == ()
    assert await server.memory.list("tmp") == ()


@pytest.mark.parametrize("step", ["stat", "read"])
async def test_a_source_that_stands_still(source: Server, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "COPY_STALL_TIMEOUT_S", 0.02)
    server = await start_server()

    async def hang(operation: str, path: str) -> None:
        if operation == "open" if step == "stat" else operation == "read" and len(opened) > 1:
            await asyncio.Event().wait()
        opened.append(path)

    opened: list[str] = []
    source.disk.before = hang
    with pytest.raises(DeadlineExceeded) as caught:
        await copy(server, source.service, A)
    assert caught.value.reason == "STREAM_STALLED"
    assert server.chunk_paths() == ()


async def test_what_is_not_wanted_is_not_copied(source: Server) -> None:
    server = await start_server()
    server.store.settled_sequence = 1000
    await copy(server, source.service, A)
    await server.store.trash.discard([A])
    with pytest.raises(NotReady) as caught:
        await copy(server, source.service, A)
    assert caught.value.reason == "CHUNK_SETTLED"
    server.store.is_reconciled = False
    with pytest.raises(Unavailable):
        await copy(server, source.service, A)


async def test_a_full_disk_takes_no_copy(source: Server) -> None:
    memory = MemoryDisk(total_bytes=20_000)
    server = await start_server(memory)
    ballast = await memory.create("ballast")
    await ballast.write_at(0, [bytes(16_000)])
    with pytest.raises(OutOfSpace):
        await copy(server, source.service, A)
    await memory.remove("ballast")
    await copy(server, source.service, A)
    await check_held(server)


@pytest.mark.parametrize("has_own", [False, True])
@pytest.mark.parametrize("operation", ["make_directory", "create", "write", "sync", "rename", "sync_directory"])
async def test_a_broken_disk_takes_no_copy_and_keeps_what_it_has(source: Server, operation: str, has_own: bool) -> None:
    server = await server_with({A: DATA}) if has_own else await start_server()
    if has_own:
        damage(server.memory, A, DATA)
        await find_damage(server, A)
        server.store._directories.clear()

    async def broken(each: str, path: str) -> None:
        if each == operation and "corrupt" not in path:
            raise OSError(5, "injected")

    server.disk.before = broken
    with pytest.raises(Unavailable) as caught:
        await copy(server, source.service, A, HELD)
    assert caught.value.reason == "DISK_FAILED"
    server.disk.before = no_fault
    with pytest.raises(Unavailable, match="failed earlier"):
        await copy(server, source.service, A, HELD)
    assert (server.store.corrupt == {A}) is has_own
    assert (chunk_path(A) in server.memory.paths()) is has_own
    assert not server.store.catalog.has(A)
    assert await server.memory.list("tmp") == ()


async def test_a_copy_that_is_cancelled_leaves_nothing_or_the_whole_chunk(source: Server) -> None:
    outcomes = set()
    for number in range(100):
        server = await start_server()
        task = asyncio.create_task(copy(server, source.service, A, HELD))

        async def cancel(task: asyncio.Task[HeldChunk] = task) -> None:
            task.cancel()
            await asyncio.sleep(0)

        server.disk.before = at_operation(number, cancel)
        await asyncio.wait([task])
        server.disk.before = no_fault
        for _ in range(50):
            await asyncio.sleep(0)
        outcomes.add(server.store.catalog.has(A))
        assert await server.memory.list("tmp") == ()
        assert (chunk_path(A) in server.memory.paths()) is server.store.catalog.has(A)
        if not task.cancelled():
            break
    assert outcomes == {False, True}
    assert number > 6


async def test_a_writer_that_is_faster_wins(source: Server) -> None:
    server = await start_server()

    async def write_it() -> None:
        server.disk.before = no_fault
        await put(server.service, DATA, header_of(DATA, A))

    server.disk.before = at_operation(4, write_it)
    assert await copy(server, source.service, A, HELD) == HELD
    assert server.store.chunk_count == 1
    await check_held(server)


async def test_memory_stays_at_a_few_frames() -> None:
    """A disk that stands still lets the copy take no more than its share of frames."""
    data = content(12 * FRAME_SIZE_BYTES_MAX)
    source, server, limit = await server_with({A: data}, name="cs-2"), await start_server(), NoLimit()
    gate = asyncio.Event()

    async def slow(operation: str, path: str) -> None:
        if operation == "write":
            await gate.wait()

    server.disk.before = slow
    task = asyncio.create_task(copy(server, source.service, A, None, limit))
    for _ in range(200):
        await asyncio.sleep(0)
    assert limit.taken_bytes <= (WRITE_BEHIND_FRAMES_MAX + 1) * FRAME_SIZE_BYTES_MAX
    gate.set()
    await task
    assert limit.taken_bytes == len(data)


async def test_many_at_once_on_a_real_disk(tmp_path: Path) -> None:
    chunks = {ChunkId(GROUP, sequence): content(200_000 + sequence, seed=sequence) for sequence in range(1, 20)}
    source = await server_with(chunks, name="cs-2")
    disk: Disk = LocalDisk(tmp_path)
    store = await ChunkStore.open(disk, SeededRandom(), name="cs-1")
    await store.bind_cluster(CLUSTER)
    store.reconciled()
    service = ChunkService(store, Network(), StoppedClock(), ChunkserverMetrics())
    reader = ChunkReader(store)

    async def copy_one(chunk_id: ChunkId) -> HeldChunk:
        return await import_chunk(store, reader, source.service, chunk_id, None, limiter=NoLimit())

    copied = await asyncio.gather(*(copy_one(chunk_id) for chunk_id in chunks))
    assert copied == [held_of(chunk_id, data) for chunk_id, data in chunks.items()]
    mine, others = await service.get_group_digest(GROUP), await source.service.get_group_digest(GROUP)
    assert mine.buckets == others.buckets
    for chunk_id, data in chunks.items():
        assert await get(service, chunk_id) == data
    assert disk.queue_depth == 0
    await service.close()
    await reader.close()
    assert isinstance(disk, LocalDisk)
    disk.close()
