"""What peers compare: digests and lists, read from the disk when they are first asked for."""

import asyncio
import errno

import pytest
from small_cluster import (
    SeededRandom,
    Server,
    content,
    finish_of,
    frames_of,
    get,
    header_of,
    no_fault,
    put,
    start_server,
)
from storage_faults import GROUP, damage, find_damage, held_of, server_with

from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.paths import chunk_path, corrupt_path
from dstore.core.digests import HeldChunk
from dstore.core.errors import DstoreError, InvalidRequest, Unavailable
from dstore.core.ids import ChunkId, GroupId
from dstore.core.limits import HELD_CHUNKS_PER_PAGE_MAX

CONTENTS = {
    ChunkId(GROUP, sequence): content(1000 + sequence, seed=sequence) for sequence in (1, 2, 255, 256, 257, 513)
}
HELD = [held_of(chunk_id, data) for chunk_id, data in CONTENTS.items()]
OTHER = ChunkId(GroupId(43), 7)


async def listed(server: Server, *, bucket: int | None = None, count: int = 0) -> list[HeldChunk]:
    chunks: list[HeldChunk] = []
    while True:
        after = chunks[-1].sequence if chunks else 0
        page = await server.service.list_group(GROUP, bucket=bucket, after_sequence=after, count=count)
        chunks += page.chunks
        if page.is_last:
            return chunks


async def test_a_restart_reads_names_only_and_knows_the_same() -> None:
    server = await server_with({**CONTENTS, OTHER: content(5)})
    before = await server.service.get_group_digest(GROUP)
    summaries = server.store.holdings.summaries()
    operations: list[str] = []

    async def note(operation: str, path: str) -> None:
        operations.append(f"{operation} {path.split('/')[0]}")

    server.memory.crash()
    again = await start_server(server.memory, before=note)
    assert operations.count("open groups") == 2, "the epochs of two groups, and no chunk"
    assert again.store.chunk_count == 7
    assert again.store.catalog.newest_sequence == 513
    assert [summary.digest for summary in again.store.holdings.summaries()] == [b"", b""]
    assert await again.service.get_group_digest(GROUP) == before
    assert before.chunk_count == len(CONTENTS)
    await again.store.holdings.digest(OTHER.group_id)
    assert again.store.holdings.summaries() == summaries
    operations.clear()
    await again.service.get_group_digest(GROUP)
    assert await listed(again) == HELD
    assert operations == [], "what was read once is known"


@pytest.mark.parametrize("count", [0, 1, 2, 6, 7, HELD_CHUNKS_PER_PAGE_MAX + 1])
async def test_lists(count: int) -> None:
    server = await start_server((await server_with(CONTENTS)).memory)
    assert await listed(server, bucket=1, count=count) == [HELD[0], HELD[4], HELD[5]]
    assert server.store.catalog.not_read(GROUP) == [256, 2, 255], "other buckets are not read"
    assert await listed(server, count=count) == HELD
    assert await listed(server, bucket=3, count=count) == []


@pytest.mark.parametrize("bucket", [-1, 256])
async def test_there_are_256_buckets(bucket: int) -> None:
    server = await start_server()
    with pytest.raises(InvalidRequest) as caught:
        await server.service.list_group(GROUP, bucket=bucket, after_sequence=0, count=0)
    assert caught.value.reason == "BUCKET_INVALID"


async def test_nothing_of_a_group() -> None:
    server = await start_server()
    digest = await server.service.get_group_digest(GROUP)
    assert (digest.group_id, digest.epoch, digest.chunk_count, digest.buckets) == (GROUP, 0, 0, ())
    assert await listed(server) == []
    assert server.store.holdings.summaries() == ()


async def test_two_servers_with_the_same_chunks_have_the_same_digest() -> None:
    one = await server_with(CONTENTS)
    two = await server_with(dict(reversed(CONTENTS.items())), name="cs-2")
    assert await one.service.get_group_digest(GROUP) == await two.service.get_group_digest(GROUP)
    await put(two.service, b"x", header_of(b"x", ChunkId(GROUP, 512)))
    mine, others = await one.service.get_group_digest(GROUP), await two.service.get_group_digest(GROUP)
    assert [index for index in range(256) if mine.buckets[index] != others.buckets[index]] == [0]


async def test_a_damaged_footer_is_found_when_it_is_read() -> None:
    first = await server_with(CONTENTS)
    victim = ChunkId(GROUP, 255)
    expected = await first.service.get_group_digest(GROUP)
    first.memory.content(chunk_path(victim))[-1] ^= 1
    server = await start_server(first.memory)
    digest = await server.service.get_group_digest(GROUP)
    assert server.store.corrupt == {victim}
    assert corrupt_path(victim) in server.memory.paths()
    assert (digest.chunk_count, server.store.chunk_count) == (5, 6)
    assert [index for index in range(256) if digest.buckets[index] != expected.buckets[index]] == [255]
    assert victim.sequence not in [chunk.sequence for chunk in await listed(server)]


async def test_a_chunk_that_fails_a_check_leaves_the_digest_also_after_a_restart() -> None:
    server = await server_with(CONTENTS)
    victim = ChunkId(GROUP, 2)
    damage(server.memory, victim, CONTENTS[victim])
    await find_damage(server, victim)
    digest = await server.service.get_group_digest(GROUP)
    assert digest.chunk_count == 5
    server.memory.crash()
    again = await start_server(server.memory)
    assert await again.service.get_group_digest(GROUP) == digest
    assert again.store.corrupt == {victim}
    assert again.store.catalog.newest_sequence == 513


async def test_a_mark_without_its_chunk_is_removed_at_the_start() -> None:
    server = await server_with(CONTENTS)
    victim = ChunkId(GROUP, 2)
    damage(server.memory, victim, CONTENTS[victim])
    await find_damage(server, victim)
    await server.memory.remove(chunk_path(victim))
    await server.memory.sync_directory("groups/0000002a/02")
    server.memory.crash()
    again = await start_server(server.memory)
    assert again.store.corrupt == set()
    assert await again.memory.list("corrupt") == ()
    assert again.store.chunk_count == 5


async def test_what_is_known_has_a_durable_name() -> None:
    """An earlier run may have been killed between giving a name and syncing it."""
    server = await start_server()
    await put(server.service, b"first", header_of(b"first", ChunkId(GROUP, 256)))

    async def die(operation: str, path: str) -> None:
        if operation == "sync_directory" and path.startswith("groups/"):
            raise OSError(errno.EIO, "killed here")
        if operation == "remove" and path.startswith("groups/"):
            raise OSError(errno.EIO, "killed here")

    server.disk.before = die
    with pytest.raises(Unavailable):
        await put(server.service, b"x", header_of(b"x", ChunkId(GROUP, 512)))
    server.memory.restart()
    again = await start_server(server.memory)
    assert again.store.chunk_count == 2
    digest = await again.service.get_group_digest(GROUP)
    again.memory.crash()
    assert await (await start_server(again.memory)).service.get_group_digest(GROUP) == digest


async def test_a_call_that_is_cancelled_goes_on_later_and_many_read_once() -> None:
    first = await server_with(CONTENTS)
    opened: list[str] = []
    gate, reached = asyncio.Event(), asyncio.Event()

    async def slow(operation: str, path: str) -> None:
        if operation == "open" and path.startswith("groups/0000002a/0"):
            opened.append(path)
            reached.set()
            await gate.wait()

    server = await start_server(first.memory)
    server.disk.before = slow
    task = asyncio.create_task(server.service.get_group_digest(GROUP))
    await reached.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert server.store.catalog.not_read(GROUP), "some wait for the gate"
    opened.clear()
    gate.set()
    one, two = await asyncio.gather(server.service.get_group_digest(GROUP), server.service.get_group_digest(GROUP))
    assert one == two == await first.service.get_group_digest(GROUP)
    assert len(opened) == len(set(opened))


async def test_a_broken_disk_is_an_error_and_not_an_empty_group() -> None:
    server = await start_server((await server_with(CONTENTS)).memory)

    async def broken(operation: str, path: str) -> None:
        if operation == "open":
            raise OSError(errno.EIO, "injected")

    server.disk.before = broken
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            await server.service.get_group_digest(GROUP)
        assert (caught.value.reason, caught.value.metadata["server_name"]) == ("DISK_FAILED", "cs-1")
    server.disk.before = no_fault
    assert (await server.service.get_group_digest(GROUP)).chunk_count == len(CONTENTS)


async def test_nothing_is_served_before_the_orders_of_this_run_were_obeyed() -> None:
    server = await server_with(CONTENTS)
    store = await ChunkStore.open(server.memory, SeededRandom(), name="cs-1")
    server.service._store = store
    chunk_id = ChunkId(GROUP, 1)
    for call in (
        lambda: get(server.service, chunk_id),
        lambda: put(server.service, b"x", header_of(b"x", ChunkId(GROUP, 999))),
        lambda: server.service.stat_chunk(chunk_id),
        lambda: server.service.get_group_digest(GROUP),
        lambda: listed(server),
    ):
        with pytest.raises(Unavailable, match="has not heard from its master") as caught:
            await call()
        assert caught.value.reason == "UNAVAILABLE"
    assert server.service.write_streams == server.service.read_streams == 0
    store.reconciled()
    assert await listed(server) == HELD


async def test_a_write_below_the_settled_sequence_is_refused_at_its_begin_and_at_its_end() -> None:
    server = await start_server()
    late = await server.service.write_chunk(header_of(b"x", ChunkId(GROUP, 99)))
    server.store.settled_sequence = 100
    server.store.settled_sequence = 50
    assert server.store.settled_sequence == 100, "it only goes up"
    with pytest.raises(DstoreError) as caught:
        await server.service.write_chunk(header_of(b"x", ChunkId(GROUP, 99)))
    assert caught.value.reason == "CHUNK_SETTLED"
    with pytest.raises(DstoreError) as caught:
        await late.send(frames_of(b"x")[0])
        await late.finish(finish_of(b"x"))
    assert caught.value.reason == "CHUNK_SETTLED"
    assert server.chunk_paths() == ()
    await put(server.service, b"x", header_of(b"x", ChunkId(GROUP, 100)))
    assert server.store.catalog.groups() == (GROUP,)
