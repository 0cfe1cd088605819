"""Power loss before every operation of the disk, while chunks are discarded, purged, dropped, copied and replaced."""

import pytest
from small_cluster import Server, content, get, start_server
from storage_faults import (
    GROUP,
    copy,
    damage,
    find_damage,
    held_of,
    is_refused,
    runs_with_power_loss,
    server_with,
)

from dstore.chunkserver.memory import MemoryDisk
from dstore.chunkserver.paths import chunk_path, dropped_path
from dstore.core.errors import Corrupt, NotFound
from dstore.core.ids import ChunkId

A, B, CORRUPT, ABSENT, STAYS = (ChunkId(GROUP, sequence) for sequence in (1, 2, 257, 300, 5))
DISCARDED = (A, B, CORRUPT, ABSENT)
DATA = content(3500)


async def disk_with_chunks() -> MemoryDisk:
    server = await server_with({A: DATA, B: DATA, CORRUPT: DATA, STAYS: DATA})
    damage(server.memory, CORRUPT, DATA)
    await find_damage(server, CORRUPT)
    return server.memory


async def disk_with_trash() -> MemoryDisk:
    memory = await disk_with_chunks()
    server = await start_server(memory)
    await server.store.trash.discard(DISCARDED)
    return memory


async def disk_with_damage() -> MemoryDisk:
    server = await server_with({A: DATA, STAYS: DATA})
    damage(server.memory, A, DATA)
    await find_damage(server, A)
    return server.memory


async def restarted(memory: MemoryDisk) -> Server:
    server = await start_server(memory)
    assert await memory.list("tmp") == ()
    assert server.store.recovery.unknown_count == 0
    assert await get(server.service, STAYS) == DATA
    digest = await server.service.get_group_digest(GROUP)
    assert digest.chunk_count == server.store.catalog.count(GROUP)
    return server


async def check_discarded(server: Server, chunk_id: ChunkId) -> None:
    assert server.store.trash.contains(chunk_id)
    assert not server.store.catalog.has(chunk_id) and chunk_id not in server.store.corrupt
    assert chunk_path(chunk_id) not in server.memory.paths()
    with pytest.raises(NotFound):
        await get(server.service, chunk_id)
    assert await is_refused(server, chunk_id, DATA)


async def check_kept(server: Server, chunk_id: ChunkId) -> None:
    if chunk_id == ABSENT:
        assert not server.store.catalog.has(chunk_id)
    elif chunk_id == CORRUPT:
        assert chunk_id in server.store.corrupt
        with pytest.raises(Corrupt):
            await get(server.service, chunk_id)
    else:
        assert await get(server.service, chunk_id) == DATA


async def check_discards(memory: MemoryDisk, *, is_done: bool) -> int:
    """Check that every chunk is either kept as it was or discarded; return how many were discarded."""
    server = await restarted(memory)
    count = 0
    for chunk_id in DISCARDED:
        if server.store.trash.contains(chunk_id):
            count += 1
            await check_discarded(server, chunk_id)
        else:
            assert not is_done, f"the discard of {chunk_id} is forgotten"
            await check_kept(server, chunk_id)
    return count


async def test_discards() -> None:
    counts = set()

    async def discard(server: Server) -> None:
        await server.store.trash.discard(DISCARDED)

    async for is_done, memory in runs_with_power_loss(disk_with_chunks, discard):
        counts.add(await check_discards(memory, is_done=is_done))
        memory.crash()
        counts.add(await check_discards(memory, is_done=is_done))
        server = await restarted(memory)
        await server.store.trash.discard(DISCARDED)
        memory.crash()
        assert await check_discards(memory, is_done=True) == len(DISCARDED)
    assert {0, 1, 4} <= counts


async def test_the_check_of_discards_notices_a_disk_that_ignores_syncs() -> None:
    memory = await disk_with_chunks()
    server = await start_server(memory, ignores_sync=True)
    await server.store.trash.discard(DISCARDED)
    memory.crash()
    with pytest.raises(AssertionError, match="is forgotten"):
        await check_discards(memory, is_done=True)


async def test_purges() -> None:
    """Whatever is lost: a chunk that was discarded is not there again, and what was told as purged stays away."""
    counts = set()

    async def purge(server: Server) -> None:
        assert await server.store.trash.purge(0.0, 0.0) == len(DISCARDED)

    async for is_done, memory in runs_with_power_loss(disk_with_trash, purge):
        for _ in range(2):
            server = await restarted(memory)
            for chunk_id in DISCARDED:
                assert not server.store.catalog.has(chunk_id) and chunk_id not in server.store.corrupt
                assert chunk_path(chunk_id) not in memory.paths()
            if is_done:
                assert len(server.store.trash) == 0
                assert await memory.list("trash") == ()
            counts.add(len(server.store.trash))
            memory.crash()
    assert {0, 4} <= counts


async def test_a_discard_that_lost_its_old_directory_is_finished_before_it_is_purged() -> None:
    """The names in the groups come back with a power loss until their directories are synced."""
    memory = await disk_with_trash()
    memory.crash()
    assert chunk_path(A) in memory.paths(), "this disk brings it back"
    server = await start_server(memory)
    assert chunk_path(A) not in memory.paths()
    server.store.settled_sequence = 1000
    await server.store.trash.purge(0.0, 0.0)
    memory.crash()
    again = await start_server(memory)
    assert again.store.catalog.sequences(GROUP, after_sequence=0, count=9) == [STAYS.sequence]
    assert [path for path in memory.paths() if "trash" in path] == []


async def test_drops() -> None:
    counts = set()

    async def drop(server: Server) -> None:
        await server.store.trash.drop_group(GROUP, 7)

    async for is_done, memory in runs_with_power_loss(disk_with_chunks, drop):
        server = await start_server(memory)
        left = 0
        for chunk_id in (A, B, CORRUPT, STAYS):
            if chunk_path(chunk_id) in memory.paths():
                left += 1
                await check_kept(server, chunk_id)
            else:
                assert not server.store.catalog.has(chunk_id) and chunk_id not in server.store.corrupt
                assert dropped_path(chunk_id) in memory.paths(), "nothing is lost before the delay is over"
        if is_done:
            assert left == 0
            assert server.store.epochs.get(GROUP) == 7
        counts.add(left)
        await server.store.trash.drop_group(GROUP, 7)
        assert server.store.catalog.groups() == ()
    assert {0, 4} <= counts


async def test_copies() -> None:
    source = await server_with({A: DATA}, name="cs-2")
    outcomes = set()

    async def prepare() -> MemoryDisk:
        return (await server_with({STAYS: DATA})).memory

    async def import_it(server: Server) -> None:
        await copy(server, source.service, A, held_of(A, DATA))

    async for is_done, memory in runs_with_power_loss(prepare, import_it):
        server = await restarted(memory)
        is_held = server.store.catalog.has(A)
        assert is_held or not is_done, "the copy is lost"
        if is_held:
            assert await get(server.service, A) == DATA
        outcomes.add((is_done, is_held))
        await copy(server, source.service, A)
        assert await get(server.service, A) == DATA
    assert outcomes == {(False, False), (False, True), (True, True)}


async def test_copies_in_the_place_of_damaged_ones() -> None:
    """Invariant 10: at any moment, the name is there, and what is not good is marked."""
    source = await server_with({A: DATA}, name="cs-2")
    outcomes = set()

    async def import_it(server: Server) -> None:
        await copy(server, source.service, A, held_of(A, DATA))

    async for is_done, memory in runs_with_power_loss(disk_with_damage, import_it):
        for _ in range(2):
            assert chunk_path(A) in memory.paths(), "the old went before the new was durable"
            server = await restarted(memory)
            is_good = A not in server.store.corrupt
            assert is_good or not is_done
            if is_good:
                assert await get(server.service, A) == DATA
            outcomes.add((is_done, is_good))
            memory.crash()
        server = await restarted(memory)
        await copy(server, source.service, A, held_of(A, DATA))
        memory.crash()
        assert await get((await restarted(memory)).service, A) == DATA
    assert {(False, False), (True, True)} <= outcomes


async def test_the_check_of_copies_notices_a_disk_that_ignores_syncs() -> None:
    source = await server_with({A: DATA}, name="cs-2")
    memory = (await server_with({STAYS: DATA})).memory
    server = await start_server(memory, ignores_sync=True)
    await copy(server, source.service, A)
    memory.crash()
    assert not (await restarted(memory)).store.catalog.has(A)
