"""Chunks that are not wanted any more: to the trash, and gone when the delay is over."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from small_cluster import (
    CLUSTER,
    Network,
    SeededRandom,
    StoppedClock,
    content,
    get,
    header_of,
    no_fault,
    put,
    with_epoch,
)
from storage_faults import GROUP, damage, find_damage, server_with

from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.disk import LocalDisk
from dstore.chunkserver.memory import MemoryDisk
from dstore.chunkserver.metrics import ChunkserverMetrics
from dstore.chunkserver.paths import dropped_path
from dstore.chunkserver.service import ChunkService
from dstore.core.environment import Disk
from dstore.core.errors import NotFound, NotReady
from dstore.core.groups import GroupEpoch
from dstore.core.ids import ChunkId, GroupId

A, B, C, D = (ChunkId(GROUP, sequence) for sequence in (1, 257, 258, 999))
OTHER = ChunkId(GroupId(43), 5)
DATA = content(3500)
SETTLED = 1_000_000


@pytest.fixture(params=["local", "memory"])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ChunkService]:
    """A server on either kind of disk, with the chunks A, B, C and one of another group."""
    disk: Disk = LocalDisk(tmp_path) if request.param == "local" else MemoryDisk()
    store = await ChunkStore.open(disk, SeededRandom(), name="cs-1")
    await store.bind_cluster(CLUSTER)
    store.reconciled()
    service = ChunkService(store, Network(), StoppedClock(), ChunkserverMetrics())
    for chunk_id in (A, B, C, OTHER):
        await put(service, DATA, header_of(DATA, chunk_id))
    yield service
    await service.close()
    if isinstance(disk, LocalDisk):
        disk.close()


async def names(service: ChunkService, directory: str) -> tuple[str, ...]:
    return await service._store.disk.list(directory)


async def reopened(service: ChunkService) -> ChunkStore:
    return await ChunkStore.open(service._store.disk, SeededRandom(), name="cs-1")


async def test_a_discarded_chunk_is_not_served_counted_or_accepted(service: ChunkService) -> None:
    store = service._store
    await get(service, A)
    await store.trash.discard([A, B, D, A])
    assert len(store.trash) == 3
    assert [store.trash.contains(chunk_id) for chunk_id in (A, B, C, D)] == [True, True, False, True]
    assert store.catalog.sequences(GROUP, after_sequence=0, count=10) == [C.sequence]
    assert (await service.get_group_digest(GROUP)).chunk_count == 1
    assert await names(service, "trash") == (str(A), str(B), str(D))
    assert store.catalog.newest_sequence == D.sequence
    for chunk_id in (A, B, D):
        with pytest.raises(NotFound):
            await get(service, chunk_id)
        with pytest.raises(NotReady) as caught:
            await put(service, DATA, header_of(DATA, chunk_id))
        assert caught.value.reason == "CHUNK_SETTLED"
    assert await get(service, C) == await get(service, OTHER) == DATA
    again = await reopened(service)
    assert len(again.trash) == 3 and again.trash.contains(A) and again.trash.contains(D)
    assert (again.recovery.unknown_count, again.chunk_count, again.catalog.newest_sequence) == (0, 2, D.sequence)


async def test_discarding_again_is_fine(service: ChunkService) -> None:
    trash = service._store.trash
    await trash.discard([])
    await trash.discard([A, D])
    await trash.discard([D, A, C])
    assert await names(service, "trash") == (str(A), str(C), str(D))


async def test_the_trash_is_emptied_when_the_delay_is_over(service: ChunkService) -> None:
    store = service._store
    store.settled_sequence = SETTLED
    assert await store.trash.purge(100.0, 10.0) == 0
    await store.trash.discard([A, D])
    assert await store.trash.purge(1000.0, 10.0) == 0, "the delay begins now"
    await store.trash.discard([B])
    assert await store.trash.purge(1009.9, 10.0) == 0
    assert await store.trash.purge(1010.0, 10.0) == 2
    assert await names(service, "trash") == (str(B),)
    assert await store.trash.purge(1019.8, 10.0) == 0
    assert await store.trash.purge(1019.9, 10.0) == 1
    assert len(store.trash) == 0 and await names(service, "trash") == ()
    assert await store.trash.purge(5000.0, 10.0) == 0
    assert await get(service, C) == DATA


async def test_a_discard_again_begins_the_delay_anew(service: ChunkService) -> None:
    store = service._store
    store.settled_sequence = SETTLED
    await store.trash.discard([A, B])
    await store.trash.purge(0.0, 10.0)
    await store.trash.discard([A])
    assert await store.trash.purge(9.0, 10.0) == 0
    assert await store.trash.purge(10.0, 10.0) == 1
    assert await names(service, "trash") == (str(A),)
    assert await store.trash.purge(19.0, 10.0) == 1


async def test_a_restart_begins_the_delay_anew(service: ChunkService) -> None:
    await service._store.trash.discard([A])
    again = await reopened(service)
    again.settled_sequence = SETTLED
    assert await again.trash.purge(1e9, 10.0) == 0
    assert await again.trash.purge(1e9 + 9.9, 10.0) == 0
    assert await again.trash.purge(1e9 + 10.0, 10.0) == 1


async def test_what_is_not_settled_stays_in_the_trash(service: ChunkService) -> None:
    """Without its entry, a late writer would be let in again."""
    store = service._store
    await store.trash.discard([A, B, C])
    store.settled_sequence = B.sequence
    await store.trash.purge(0.0, 1.0)
    assert await store.trash.purge(10.0, 1.0) == 1
    assert await names(service, "trash") == (str(B), str(C))
    assert await store.trash.purge(20.0, 1.0) == 0
    store.settled_sequence = C.sequence + 1
    await store.trash.discard([C])
    assert await store.trash.purge(20.0, 1.0) == 1, "C waits anew"
    assert await store.trash.purge(21.0, 1.0) == 1
    for chunk_id in (A, B, C):
        with pytest.raises(NotReady):
            await put(service, DATA, header_of(DATA, chunk_id))


async def test_many_chunks_need_few_syncs() -> None:
    server = await server_with({})
    chunk_ids = [ChunkId(GROUP, sequence) for sequence in range(1, 600)]
    for chunk_id in chunk_ids[:40]:
        await put(server.service, b"x", header_of(b"x", chunk_id))
    syncs: list[str] = []

    async def note(operation: str, path: str) -> None:
        if operation == "sync_directory":
            syncs.append(path)

    server.disk.before = note
    await server.store.trash.discard(chunk_ids)
    assert syncs == ["trash"]
    server.store.settled_sequence = SETTLED
    await server.store.trash.purge(0.0, 0.0)
    assert len(server.store.trash) == 0
    assert await server.memory.list("trash") == ()


async def test_a_corrupt_chunk_goes_with_its_mark() -> None:
    server = await server_with({A: DATA, B: DATA})
    damage(server.memory, A, DATA)
    await find_damage(server, A)
    await server.store.trash.discard([A])
    assert server.store.corrupt == set()
    assert await server.memory.list("corrupt") == ()
    assert server.store.chunk_count == 1
    with pytest.raises(NotFound):
        await get(server.service, A)


async def test_a_dropped_group_goes_whole_and_may_come_back(service: ChunkService) -> None:
    store = service._store
    await store.trash.drop_group(GROUP, 4)
    assert store.catalog.groups() == (OTHER.group_id,)
    assert store.epochs.get(GROUP) == 4, "Invariant 7: the epoch stays"
    assert await names(service, "trash") == tuple(f"{chunk_id}.dropped" for chunk_id in (A, B, C))
    assert not store.trash.contains(A) and len(store.trash) == 3
    with pytest.raises(NotFound):
        await get(service, A)
    with pytest.raises(NotReady) as caught:
        await put(service, DATA, with_epoch(header_of(DATA, A), 3))
    assert caught.value.reason == "STALE_GROUP_EPOCH"
    await put(service, DATA, with_epoch(header_of(DATA, A), 5))
    assert await get(service, A) == DATA
    again = await reopened(service)
    assert (again.catalog.count(GROUP), len(again.trash), again.recovery.unknown_count) == (1, 3, 0)
    assert await again.trash.purge(0.0, 5.0) == 0
    assert await again.trash.purge(5.0, 5.0) == 3
    assert again.catalog.count(GROUP) == 1


async def test_a_group_of_which_nothing_is_here_can_be_dropped(service: ChunkService) -> None:
    await service._store.trash.drop_group(GroupId(99), 1)
    assert len(service._store.trash) == 0


async def test_a_group_is_not_dropped_when_a_newer_epoch_was_seen(service: ChunkService) -> None:
    await service._store.adopt_epochs([GroupEpoch(GROUP, 5)])
    with pytest.raises(NotReady) as caught:
        await service._store.trash.drop_group(GROUP, 4)
    assert caught.value.reason == "STALE_GROUP_EPOCH"
    assert service._store.catalog.count(GROUP) == 3
    await service._store.trash.drop_group(GROUP, 5)


async def test_a_newer_epoch_stops_a_drop_under_way() -> None:
    server = await server_with({A: DATA, B: DATA, C: DATA})

    async def rejoin(operation: str, path: str) -> None:
        if operation == "rename" and path == dropped_path(B):
            server.disk.before = no_fault
            await server.store.adopt_epochs([GroupEpoch(GROUP, 9)])

    server.disk.before = rejoin
    with pytest.raises(NotReady):
        await server.store.trash.drop_group(GROUP, 8)
    assert server.store.catalog.sequences(GROUP, after_sequence=0, count=9) == [C.sequence]


async def test_corrupt_chunks_are_dropped_with_their_group() -> None:
    server = await server_with({A: DATA, B: DATA, OTHER: DATA})
    for chunk_id in (A, OTHER):
        damage(server.memory, chunk_id, DATA)
        await find_damage(server, chunk_id)
    await server.store.trash.drop_group(GROUP, 2)
    assert server.store.corrupt == {OTHER}
    assert await server.memory.list("trash") == (f"{A}.dropped", f"{B}.dropped")


async def test_a_dropped_chunk_can_be_discarded_and_the_other_way_round(service: ChunkService) -> None:
    store = service._store
    await store.trash.drop_group(GROUP, 2)
    await store.trash.discard([A])
    assert store.trash.contains(A)
    assert len(store.trash) == 4
    store.settled_sequence = SETTLED
    assert await store.trash.purge(0.0, 0.0) == 4
    assert await names(service, "trash") == ()
