"""Invariant 1: an acknowledged chunk survives a power loss at any moment, and nothing half-written is ever served."""

import asyncio
from collections import Counter

import pytest
from small_cluster import (
    CHUNK,
    Server,
    content,
    get,
    header_of,
    put,
    start_server,
    with_epoch,
)
from storage_faults import PowerLoss, loses_power_at

from dstore.chunkserver.memory import MemoryDisk
from dstore.chunkserver.paths import chunk_path
from dstore.core.errors import Corrupt, DstoreError, NotFound
from dstore.core.ids import ChunkId, GroupId

DATA = content(3500)
SECOND = ChunkId(GroupId(42), 500)


async def run_until_power_loss(memory: MemoryDisk, operation_number: int) -> tuple[int, int]:
    """Start, write two chunks under a newer epoch; return what was acknowledged: the epoch and the chunks."""
    acknowledged_epoch = acknowledged_chunks = 0
    try:
        server = await start_server(memory, before=loses_power_at(operation_number))
        for chunk_id in (CHUNK, SECOND):
            writer = await server.service.write_chunk(with_epoch(header_of(DATA, chunk_id), 5))
            acknowledged_epoch = 5
            await writer.abort()
            await put(server.service, DATA, with_epoch(header_of(DATA, chunk_id), 5))
            acknowledged_chunks += 1
    except PowerLoss:
        pass
    return acknowledged_epoch, acknowledged_chunks


async def check_recovered(memory: MemoryDisk, epoch: int, chunks: int) -> Server:
    server = await start_server(memory)
    if epoch:
        assert server.store.epochs.get(GroupId(42)) == epoch
    for index, chunk_id in enumerate((CHUNK, SECOND)):
        try:
            assert await get(server.service, chunk_id) == DATA
        except NotFound:
            assert index >= chunks, f"the acknowledged chunk {chunk_id} is lost"
    assert await memory.list("tmp") == ()
    return server


@pytest.mark.parametrize("keeps_unsynced", [False, True])
async def test_power_loss_before_every_operation_of_the_disk(keeps_unsynced: bool) -> None:
    """Both extremes of what a disk may do with unsynced data: lose all of it, or keep all of it."""
    outcomes: Counter[tuple[int, int]] = Counter()
    for operation_number in range(1000):
        memory = MemoryDisk()
        epoch, chunks = await run_until_power_loss(memory, operation_number)
        if keeps_unsynced:
            memory.restart()
        else:
            memory.crash()
        await check_recovered(memory, epoch, chunks)
        outcomes[(epoch, chunks)] += 1
        if chunks == 2:
            break
    assert set(outcomes) == {(0, 0), (5, 0), (5, 1), (5, 2)}
    assert outcomes[(5, 2)] == 1
    assert sum(outcomes.values()) > 40, "the run should have had many operations"


async def test_the_test_notices_a_disk_that_ignores_syncs() -> None:
    """The same check must fail when nothing is synced, or it proves nothing."""
    memory = MemoryDisk()
    await start_server(memory)  # the identity is durable
    server = await start_server(memory, ignores_sync=True)
    await put(server.service, DATA)
    assert await get(server.service) == DATA
    memory.crash()
    with pytest.raises(AssertionError, match="is lost"):
        await check_recovered(memory, 0, 1)


async def test_a_name_without_its_content_is_not_served() -> None:
    """A disk that keeps the name but lost the content: the chunk is corrupt, not empty."""
    server = await start_server()
    await put(server.service, DATA)
    server.memory.content(chunk_path(CHUNK)).clear()
    again = await start_server(server.memory)
    with pytest.raises(Corrupt):
        await get(again.service)
    assert chunk_path(CHUNK) in again.memory.paths()


async def test_syncs_come_in_the_order_that_durability_needs() -> None:
    operations: list[str] = []

    async def before(operation: str, path: str) -> None:
        if "EPOCH" not in path and operation in ("write", "sync", "rename", "sync_directory"):
            operations.append(f"{operation} {path}")

    server = await start_server()
    await server.store.epochs.adopt(GroupId(42), 1)
    server.disk.before = before
    await put(server.service, DATA, frame_size=len(DATA))
    target = chunk_path(CHUNK)
    writes = [each for each in operations if each.startswith("write")]
    assert operations == [*writes, operations[len(writes)], f"rename {target}", "sync_directory groups/0000002a/f3"]
    assert operations[len(writes)].startswith("sync tmp/0000002a")


async def test_a_sync_that_fails_is_never_repeated() -> None:
    """After a failed fsync the kernel may have dropped the data and call the next one a success."""
    syncs = []

    async def before(operation: str, path: str) -> None:
        if operation == "sync" and path.startswith("tmp/0000002a"):
            syncs.append(path)
            raise OSError(5, "injected")

    server = await start_server(before=before)
    with pytest.raises(DstoreError):
        await put(server.service, DATA)
    assert len(syncs) == 1
    with pytest.raises(DstoreError):
        await put(server.service, DATA)
    assert len(syncs) == 1
    await asyncio.sleep(0)
    assert server.chunk_paths() == ()
