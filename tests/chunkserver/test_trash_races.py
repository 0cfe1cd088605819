"""Discards that meet readers, writers, copies, broken disks and cancelled callers."""

import asyncio
import errno

import pytest
from small_cluster import (
    Server,
    content,
    finish_of,
    frames_of,
    get,
    header_of,
    no_fault,
    start_server,
)
from storage_faults import GROUP, at_operation, copy, is_refused, server_with

from dstore.chunkserver.paths import chunk_path, discarded_path
from dstore.core.chunks import ReadRequest
from dstore.core.errors import DstoreError, NotFound, NotReady, OutOfSpace, Unavailable
from dstore.core.ids import ChunkId, GroupId
from dstore.core.limits import PURGE_BATCH_MAX

A, B, C, D = (ChunkId(GROUP, sequence) for sequence in (1, 257, 258, 999))
OTHER = ChunkId(GroupId(43), 5)
DATA = content(3500)
SETTLED = 1_000_000


async def test_no_byte_is_served_once_a_discard_has_returned() -> None:
    server = await server_with({A: DATA})
    frames = server.service.read_chunk(ReadRequest(A, 0, 0, 500))
    received = [await anext(frames), await anext(frames)]
    await server.store.trash.discard([A])
    with pytest.raises(NotFound):
        await anext(frames)
    assert len(received) == 2
    assert server.service.read_streams == 0


@pytest.mark.parametrize("number", range(4))
async def test_a_discard_while_a_reader_opens_the_chunk(number: int) -> None:
    server = await server_with({A: DATA})
    server.disk.before = at_operation(number, lambda: server.store.trash.discard([A]))
    frames = server.service.read_chunk(ReadRequest(A, 0, 0, 500))
    with pytest.raises(NotFound):
        await anext(frames)
    assert server.store.trash.contains(A)
    assert not server.service.reader._open and not server.service.reader._lent


async def begun(server: Server, chunk_id: ChunkId) -> asyncio.Task[object]:
    """Send a whole chunk, and return the commit that is still to run."""
    writer = await server.service.write_chunk(header_of(DATA, chunk_id))
    for frame in frames_of(DATA):
        await writer.send(frame)

    async def finish() -> None:
        try:
            await writer.finish(finish_of(DATA))
        except DstoreError as error:
            assert error.reason == "CHUNK_SETTLED"
            await writer.abort()

    return asyncio.create_task(finish())


async def check_gone(server: Server, chunk_id: ChunkId) -> None:
    assert server.store.trash.contains(chunk_id)
    assert chunk_path(chunk_id) not in server.memory.paths()
    assert discarded_path(chunk_id) in server.memory.paths()
    assert await server.memory.list("tmp") == ()
    assert not server.store.catalog.has(chunk_id)
    with pytest.raises(NotFound):
        await get(server.service, chunk_id)
    assert await is_refused(server, chunk_id, DATA)


async def test_a_discard_at_every_step_of_a_write() -> None:
    outcomes = set()
    for number in range(100):
        server = await start_server()
        discards: list[asyncio.Task[None]] = []

        async def discard(server: Server = server, discards: list[asyncio.Task[None]] = discards) -> None:
            discards.append(asyncio.create_task(server.store.trash.discard([A])))
            for _ in range(30):
                await asyncio.sleep(0)

        finish = await begun(server, A)
        server.disk.before = at_operation(number, discard)
        await finish
        if not discards:
            break
        await discards[0]
        server.disk.before = no_fault
        outcomes.add(len(server.memory.content(discarded_path(A))) > 0)
        await check_gone(server, A)
    assert outcomes == {True, False}, "some discards took the chunk away, others made a tombstone"
    assert number > 4


async def test_a_write_at_every_step_of_a_discard() -> None:
    for number in range(100):
        server = await start_server()
        finish = await begun(server, A)
        await asyncio.sleep(0)
        seen: list[bool] = []

        async def wait_for_finish(
            finish: asyncio.Task[object] = finish, seen: list[bool] = seen, server: Server = server
        ) -> None:
            server.disk.before = no_fault
            for _ in range(50):
                await asyncio.sleep(0)
            seen.append(finish.done())

        server.disk.before = at_operation(number, wait_for_finish)
        await server.store.trash.discard([A])
        server.disk.before = no_fault
        await finish
        await check_gone(server, A)
        if not seen:
            break
    assert number > 2


async def test_an_import_and_a_discard_of_the_same_chunk() -> None:
    source = await server_with({A: DATA}, name="cs-2")
    for number in range(100):
        server = await start_server()
        discards: list[asyncio.Task[None]] = []

        async def discard(server: Server = server, discards: list[asyncio.Task[None]] = discards) -> None:
            discards.append(asyncio.create_task(server.store.trash.discard([A])))
            for _ in range(30):
                await asyncio.sleep(0)

        server.disk.before = at_operation(number, discard)
        try:
            await copy(server, source.service, A)
        except NotReady as error:
            assert error.reason == "CHUNK_SETTLED"
        if not discards:
            break
        await discards[0]
        server.disk.before = no_fault
        await check_gone(server, A)
    assert number > 6


async def test_a_discard_that_is_cancelled_comes_to_its_end() -> None:
    server = await server_with({A: DATA, B: DATA})
    gate, reached = asyncio.Event(), asyncio.Event()

    async def slow(operation: str, path: str) -> None:
        if operation == "rename":
            reached.set()
            await gate.wait()

    server.disk.before = slow
    task = asyncio.create_task(server.store.trash.discard([A, B]))
    await reached.wait()
    task.cancel()
    await asyncio.wait([task])
    gate.set()
    await server.store.trash.discard([D])
    for chunk_id in (A, B):
        await check_gone(server, chunk_id)


async def test_a_broken_disk_confirms_no_discard() -> None:
    for operation in ("rename", "create", "sync_directory"):
        server = await server_with({A: DATA})

        async def broken(each: str, path: str, operation: str = operation) -> None:
            if each == operation and path.startswith("trash"):
                raise OSError(errno.EIO, "injected")

        server.disk.before = broken
        with pytest.raises(Unavailable):
            await server.store.trash.discard([A, D])
        server.disk.before = no_fault
        for call in (server.store.trash.discard([A, D]), server.store.trash.drop_group(GROUP, 1)):
            with pytest.raises(Unavailable, match="failed earlier"):
                await call
        again = await start_server(server.memory)
        await again.store.trash.discard([A, D])
        await check_gone(again, A)


async def test_a_full_disk_lets_chunks_go_but_takes_no_tombstone() -> None:
    server = await server_with({A: DATA, B: DATA})
    server.store.settled_sequence = SETTLED

    async def full(operation: str, path: str) -> None:
        if operation == "create":
            raise OSError(errno.ENOSPC, "injected")

    server.disk.before = full
    await server.store.trash.discard([A])
    for now_s in (0.0, 1.0, 2.0):
        with pytest.raises(OutOfSpace):
            await server.store.trash.discard([B, D])
        await server.store.trash.purge(now_s, 2.0)
    assert await server.memory.list("trash") == (), "what fails again and again does not keep the rest"
    assert server.store.suspicion is None


async def test_a_purge_that_fails_is_done_again() -> None:
    server = await server_with({A: DATA, B: DATA})
    server.store.settled_sequence = SETTLED
    await server.store.trash.discard([A, B])

    async def busy(operation: str, path: str) -> None:
        if operation == "remove" and path == discarded_path(B):
            raise OSError(errno.EMFILE, "injected")

    server.disk.before = busy
    with pytest.raises(Unavailable):
        await server.store.trash.purge(0.0, 0.0)
    server.disk.before = no_fault
    assert await server.store.trash.purge(1.0, 0.0) == 2
    assert len(server.store.trash) == 0


async def test_strangers_in_the_trash_are_left_alone() -> None:
    server = await server_with({A: DATA})
    await server.store.trash.discard([A])
    for name in ("notes.txt", f"{B}.old", f"{B}.dropped.dropped"):
        await (await server.memory.create(f"trash/{name}")).close()
    again = await start_server(server.memory)
    again.store.settled_sequence = SETTLED
    assert again.store.recovery.unknown_count == 3
    assert await again.store.trash.purge(0.0, 0.0) == 1
    assert len(await again.memory.list("trash")) == 3


async def test_a_purge_that_is_cancelled_goes_on_later() -> None:
    server = await server_with({})
    chunk_ids = [ChunkId(GROUP, sequence) for sequence in range(1, 3 * PURGE_BATCH_MAX)]
    server.store.settled_sequence = SETTLED
    await server.store.trash.discard(chunk_ids)
    reached = asyncio.Event()

    async def note(operation: str, path: str) -> None:
        reached.set()

    server.disk.before = note
    task = asyncio.create_task(server.store.trash.purge(0.0, 0.0))
    await reached.wait()
    task.cancel()
    await asyncio.wait([task])
    assert len(server.store.trash) > PURGE_BATCH_MAX
    await server.store.trash.purge(1.0, 1.0)
    assert len(server.store.trash) == 0
    assert await server.memory.list("trash") == ()
