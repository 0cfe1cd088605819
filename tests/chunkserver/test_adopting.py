"""Starts that find chunks which an earlier run had acknowledged and not synced, and cannot make them durable."""

import errno

import pytest
from small_cluster import CHUNK, get, no_fault, start_server
from unsynced_server import DATA, GROUP, GROUP_NAME, fails, server_with_unsynced
from virtual_time import virtually

from dstore.core.errors import NotFound
from dstore.core.upkeep import GroupDoubt


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename", "sync_directory"])
def test_what_a_start_cannot_copy_is_left_to_the_next(operation: str, number: int) -> None:
    async def run() -> None:
        server = await server_with_unsynced()
        server.memory.restart()
        left = await server.memory.list("unsynced")
        again = await start_server(server.memory, before=fails(operation, GROUP_NAME, number))
        assert again.store.suspicion is None if number == errno.ENOSPC else again.store.suspicion
        assert again.store.recovery.adopted_count == 0
        assert await again.memory.list("unsynced") == left
        assert again.store.doubts.report() == (GroupDoubt(GROUP, 1),)
        with pytest.raises(NotFound):
            await get(again.service)
        again.memory.restart()
        third = await start_server(server.memory)
        assert await get(third.service) == DATA
        assert await third.memory.list("unsynced") == ()

    virtually(run())


def test_what_a_start_left_does_not_outlive_its_discard() -> None:
    async def run() -> None:
        server = await server_with_unsynced()
        server.memory.restart()
        again = await start_server(server.memory, before=fails("write", str(CHUNK), errno.ENOSPC))
        again.disk.before = no_fault
        again.store.settled_sequence = CHUNK.sequence + 1
        await again.store.trash.discard([CHUNK])
        assert await again.memory.list("unsynced") == ()
        for now_s in (0.0, 1.0):
            await again.store.trash.purge(now_s, 0.5)
        assert await again.memory.list("trash") == ()
        again.memory.restart()
        assert not (await start_server(again.memory)).store.catalog.has(CHUNK)

    virtually(run())
