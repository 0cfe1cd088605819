"""A caller that goes away while the disk works leaves nothing half done, and blames no disk."""

import asyncio

from small_cluster import Hook, content, get, no_fault, start_server
from storage_faults import GROUP, copy, damage, server_with

from dstore.core.ids import ChunkId

A = ChunkId(GROUP, 1)
DATA = content(3500)


def lasts(wanted: str, in_path: str, begun: asyncio.Event) -> Hook:
    """Return a hook that lets one kind of operation take a while, and tells when it has begun."""

    async def before(operation: str, path: str) -> None:
        if operation == wanted and in_path in path:
            begun.set()
            await several_steps()

    return before


async def several_steps() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


async def test_a_copy_that_is_cancelled_while_it_gets_its_name_gets_it() -> None:
    source = await server_with({A: DATA})
    server = await start_server(name="cs-2")
    begun = asyncio.Event()
    server.disk.before = lasts("rename", "groups/", begun)
    task = asyncio.create_task(copy(server, source.service, A))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    await several_steps()
    assert server.store.suspicion is None, "a copy that nobody waits for says nothing about the disk"
    assert server.store.catalog.has(A)
    assert await get(server.service, A) == DATA
    assert await server.memory.list("tmp") == ()


async def test_a_reader_that_hangs_up_does_not_keep_a_chunk_from_being_marked_as_corrupt() -> None:
    server = await server_with({A: DATA})
    damage(server.memory, A, DATA)
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    async def before(operation: str, path: str) -> None:
        if operation == "create" and "corrupt" in path:
            begun.set()
            await may_go_on.wait()

    server.disk.before = before
    task = asyncio.create_task(get(server.service, A))
    await begun.wait()
    task.cancel()
    await several_steps()
    may_go_on.set()
    await asyncio.wait([task])
    await several_steps()
    server.disk.before = no_fault
    assert server.store.corrupt == {A}
    server.memory.crash()
    again = await start_server(server.memory)
    assert again.store.corrupt == {A}
