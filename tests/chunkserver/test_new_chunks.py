"""A chunk of which one write failed, whenever that is noticed, never gets its name."""

import asyncio
import errno

import pytest
from small_cluster import CHUNK, Hook, Server, content, get, header_of, no_fault, put, start_server
from storage_faults import copy, server_with

from dstore.core.errors import OutOfSpace

#: Writes of one chunk are never more than its frames, its header and its footer.
WRITES_MAX = 10
DATA = content(5_000_000)


def one_write_fails(number: int, after_steps: int, failed: list[str]) -> Hook:
    """Return a hook that lets one write of a chunk fail, counted from 1, some steps of the loop after its begin."""
    count = 0

    async def before(operation: str, path: str) -> None:
        nonlocal count
        if operation != "write" or str(CHUNK) not in path:
            return
        count += 1
        for _ in range(after_steps):
            await asyncio.sleep(0)
        if count == number:
            failed.append(path)
            raise OSError(errno.ENOSPC, "No space left on device")

    return before


async def is_missing_or_whole(server: Server, *, failed: bool) -> None:
    assert server.store.catalog.has(CHUNK) is not failed
    assert bool(server.chunk_paths()) is not failed
    server.disk.before = no_fault
    if not failed:
        assert await get(server.service) == DATA


@pytest.mark.parametrize("after_steps", range(8))
@pytest.mark.parametrize("number", range(1, WRITES_MAX + 1))
async def test_a_chunk_that_was_not_written_as_a_whole_is_not_acknowledged(number: int, after_steps: int) -> None:
    failed: list[str] = []
    server = await start_server()
    server.disk.before = one_write_fails(number, after_steps, failed)
    try:
        await put(server.service, DATA, header_of(DATA), frame_size=1_000_000)
    except OutOfSpace:
        assert failed
    else:
        assert not failed
    await is_missing_or_whole(server, failed=bool(failed))


@pytest.mark.parametrize("after_steps", range(4))
@pytest.mark.parametrize("number", range(1, WRITES_MAX + 1))
async def test_a_copy_that_was_not_written_as_a_whole_does_not_count(number: int, after_steps: int) -> None:
    failed: list[str] = []
    source = await server_with({CHUNK: DATA})
    server = await start_server(name="cs-2")
    server.disk.before = one_write_fails(number, after_steps, failed)
    try:
        await copy(server, source.service, CHUNK)
    except OutOfSpace:
        assert failed
    else:
        assert not failed
    await is_missing_or_whole(server, failed=bool(failed))
