"""Writing a chunk to a disk that is full, slow or broken."""

import asyncio
import errno
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from small_cluster import (
    CLUSTER,
    Hook,
    Network,
    SeededRandom,
    StoppedClock,
    content,
    finish_of,
    frames_of,
    get,
    header_of,
    no_fault,
    put,
    start_server,
)

from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.disk import LocalDisk, LocalDiskFile
from dstore.chunkserver.memory import MemoryDisk
from dstore.chunkserver.metrics import ChunkserverMetrics
from dstore.chunkserver.paths import chunk_path
from dstore.chunkserver.service import ChunkService
from dstore.core.errors import NotReady, OutOfSpace, Unavailable
from dstore.core.groups import GroupEpoch
from dstore.core.ids import GroupId
from dstore.core.limits import WRITE_BEHIND_FRAMES_MAX

DATA = content(3500)


@pytest.mark.parametrize("fill", ["before", "during"])
async def test_a_full_disk_takes_no_chunk(fill: str) -> None:
    total = 100_000
    memory = MemoryDisk(total_bytes=total)
    server = await start_server(memory)
    data = content(20_000)
    writer = None
    if fill == "during":
        writer = await server.service.write_chunk(header_of(data))
    ballast = await memory.create("ballast")
    await ballast.write_at(0, [bytes(total - 15_000)])
    with pytest.raises(OutOfSpace) as caught:
        writer = writer or await server.service.write_chunk(header_of(data))
        for each in frames_of(data):
            await writer.send(each)
        await writer.finish(finish_of(data))
    assert caught.value.reason == "DISK_FULL"
    assert [path for path in server.chunk_paths() if path != "ballast"] == []
    assert server.store.suspicion is None, "a full disk is no broken disk"
    await memory.remove("ballast")
    await put(server.service, data)


async def test_the_watermark_is_where_the_limits_say() -> None:
    memory = MemoryDisk(total_bytes=1000)
    server = await start_server(memory)
    used = (await memory.capacity()).used_bytes
    for length_bytes, accepted in ((950 - used + 1, False), (950 - used, True)):
        header = replace(header_of(DATA), length_bytes=length_bytes)
        if accepted:
            writer = await server.service.write_chunk(header)
            await writer.abort()
            continue
        with pytest.raises(OutOfSpace):
            await server.service.write_chunk(header)


def fails(operation: str, path_start: str, number: int) -> Hook:
    async def before(each: str, path: str) -> None:
        if each == operation and path.startswith(path_start):
            raise OSError(number, "injected")

    return before


@pytest.mark.parametrize(
    ("operation", "path_start"),
    [
        ("capacity", ""),
        ("create", "tmp/0000002a"),
        ("make_directory", "groups/0000002a/f3"),
        ("write", "tmp/0000002a"),
        ("sync", "tmp/0000002a"),
        ("rename", "groups/0000002a/f3"),
        ("sync_directory", "groups/0000002a/f3"),
        ("sync", "tmp/EPOCH"),
    ],
)
async def test_a_failing_disk_drops_the_chunk_and_takes_no_more(operation: str, path_start: str) -> None:
    server = await start_server()
    server.disk.before = fails(operation, path_start, errno.EIO)
    with pytest.raises(Unavailable) as caught:
        await put(server.service, DATA)
    assert caught.value.reason == "DISK_FAILED"
    assert caught.value.metadata["server_name"] == "cs-1"
    assert server.store.suspicion is not None
    server.disk.before = fails("nothing", "", 0)
    with pytest.raises(Unavailable, match="failed earlier"):
        await put(server.service, DATA)
    assert [path for path in server.chunk_paths() if not path.startswith("tmp/EPOCH")] == []
    assert server.service.write_streams == 0


async def test_a_shortage_of_descriptors_says_nothing_about_the_disk() -> None:
    server = await start_server()
    server.disk.before = fails("create", "tmp/0000002a", errno.EMFILE)
    with pytest.raises(Unavailable):
        await put(server.service, DATA)
    assert server.store.suspicion is None


async def test_a_slow_disk_slows_the_writer_down() -> None:
    """At most WRITE_BEHIND_FRAMES_MAX frames wait for the disk, and they go out in one write."""
    gate, writes = asyncio.Event(), []

    async def before(operation: str, path: str) -> None:
        if operation == "write" and path.startswith("tmp/0000002a"):
            writes.append(path)
            await gate.wait()

    server = await start_server(before=before)
    data = content(20_000)
    writer = await server.service.write_chunk(header_of(data))
    sent = 0

    async def send_all() -> None:
        nonlocal sent
        for each in frames_of(data):
            await writer.send(each)
            sent += 1

    task = asyncio.create_task(send_all())
    for _ in range(100):
        await asyncio.sleep(0)
    assert sent == WRITE_BEHIND_FRAMES_MAX - 1
    assert len(writes) == 1
    gate.set()
    await task
    await writer.finish(finish_of(data))
    assert len(writes) < len(frames_of(data))
    assert await get(server.service) == data


@pytest.mark.parametrize(("frame_count", "write_count"), [(1, 1), (3, 1), (4, 2)])
async def test_pieces_go_to_the_disk_together(frame_count: int, write_count: int) -> None:
    """The last ones go with the footer; the others when ``WRITE_BEHIND_FRAMES_MAX`` wait, or enough bytes."""
    writes = []

    async def before(operation: str, path: str) -> None:
        if operation == "write" and path.startswith("tmp/0000002a"):
            writes.append(path)

    server = await start_server(before=before)
    data = content(frame_count * 1000)
    await put(server.service, data)
    assert len(writes) == write_count
    assert await get(server.service) == data


@pytest.mark.parametrize("operation", ["write", "sync", "rename"])
async def test_a_record_that_could_not_be_stored_leaves_no_file_behind(operation: str) -> None:
    server = await start_server()
    server.disk.before = fails(operation, "tmp/EPOCH" if operation != "rename" else "groups/", errno.ENOSPC)
    for _ in range(3):
        with pytest.raises(OutOfSpace):
            await server.store.adopt_epochs([GroupEpoch(GroupId(7), 3)])
    assert [path for path in server.memory.paths() if path.startswith("tmp/")] == []
    server.disk.before = no_fault
    await server.store.adopt_epochs([GroupEpoch(GroupId(7), 3)])
    assert server.store.epochs.get(GroupId(7)) == 3


async def test_a_write_that_is_cancelled_while_it_begins_leaves_no_file_behind(tmp_path: Path) -> None:
    disk = LocalDisk(tmp_path)
    store = await ChunkStore.open(disk, SeededRandom(), name="cs-1")
    await store.bind_cluster(CLUSTER)
    store.reconciled()
    service = ChunkService(store, Network(), StoppedClock(), ChunkserverMetrics())
    created, go_on = threading.Event(), threading.Event()

    class SlowDisk(LocalDisk):
        def _open(self, path: str, flags: int) -> LocalDiskFile:
            file = super()._open(path, flags)
            if path.startswith("tmp/"):
                created.set()
                go_on.wait(10)
            return file

    store.disk = SlowDisk(tmp_path)
    beginning = asyncio.create_task(service.write_chunk(header_of(DATA)))
    await asyncio.to_thread(created.wait, 10)
    beginning.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await beginning
    assert service.write_streams == 0
    assert list((tmp_path / "tmp").iterdir()) == []
    store.disk.close()
    disk.close()


@pytest.mark.parametrize(
    ("operation", "path_start", "leaves_chunk"),
    [("sync", "tmp/", False), ("open", "groups/", False), ("sync_directory", "groups/", True)],
)
async def test_an_epoch_that_comes_while_a_chunk_is_stored_is_obeyed(
    operation: str, path_start: str, leaves_chunk: bool
) -> None:
    server = await start_server()
    header = header_of(DATA)
    writer = await server.service.write_chunk(header)
    for each in frames_of(DATA):
        await writer.send(each)

    async def before(each: str, path: str) -> None:
        if each == operation and path.startswith(path_start):
            server.disk.before = no_fault
            await server.store.adopt_epochs([GroupEpoch(header.chunk_id.group_id, 5)])

    server.disk.before = before
    with pytest.raises(NotReady) as caught:
        await writer.finish(finish_of(DATA))
    assert caught.value.reason == "STALE_GROUP_EPOCH"
    await writer.abort()
    # A chunk that has its name already stays, for the master to collect; nobody counts it.
    assert server.chunk_paths() == ((chunk_path(header.chunk_id),) if leaves_chunk else ())
