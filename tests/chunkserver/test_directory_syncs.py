"""Whoever asks for a sync of a directory gets one that began afterwards; how many share it does not matter."""

import asyncio
import errno
from dataclasses import dataclass, field
from typing import cast

import pytest
from small_cluster import CHUNK, content, header_of, put, start_server

from dstore.chunkserver.directory_syncs import DirectorySyncs
from dstore.chunkserver.paths import chunk_directory
from dstore.core.environment import Disk
from dstore.core.ids import ChunkId


@dataclass
class SlowDisk:
    """Syncs directories when it is told to."""

    begun: list[str] = field(default_factory=list)
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    failures: list[OSError] = field(default_factory=list)

    async def sync_directory(self, path: str) -> None:
        self.begun.append(path)
        await self.gate.acquire()
        if self.failures:
            raise self.failures.pop()


@pytest.fixture
def disk() -> SlowDisk:
    return SlowDisk()


@pytest.fixture
def syncs(disk: SlowDisk) -> DirectorySyncs:
    return DirectorySyncs(cast("Disk", disk))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_those_who_come_during_a_sync_share_the_next(disk: SlowDisk, syncs: DirectorySyncs) -> None:
    first = asyncio.create_task(syncs.sync("a"))
    await settle()
    later = [asyncio.create_task(syncs.sync("a")) for _ in range(5)]
    other = asyncio.create_task(syncs.sync("b"))
    await settle()
    assert disk.begun == ["a", "b"]
    disk.gate.release()
    await first
    await settle()
    assert disk.begun == ["a", "b", "a"], "the sync that was under way counts for nobody who came later"
    assert not any(task.done() for task in later)
    for _ in range(2):
        disk.gate.release()
    await asyncio.gather(*later, other)
    assert disk.begun == ["a", "b", "a"]


async def test_a_failure_reaches_all_who_share_it_and_nobody_else(disk: SlowDisk, syncs: DirectorySyncs) -> None:
    first = asyncio.create_task(syncs.sync("a"))
    await settle()
    later = [asyncio.create_task(syncs.sync("a")) for _ in range(2)]
    disk.gate.release()
    await first
    await settle()
    last = asyncio.create_task(syncs.sync("a"))
    disk.failures.append(OSError(errno.EIO, "It fails."))
    disk.gate.release()
    results = await asyncio.gather(*later, return_exceptions=True)
    assert [type(each) for each in results] == [OSError, OSError]
    disk.gate.release()
    await last


async def test_a_caller_that_is_cancelled_takes_the_sync_from_nobody(disk: SlowDisk, syncs: DirectorySyncs) -> None:
    tasks = [asyncio.create_task(syncs.sync("a")) for _ in range(2)]
    await settle()
    tasks[0].cancel()
    await settle()
    disk.gate.release()
    await tasks[1]
    assert tasks[0].cancelled() and disk.begun == ["a"]


async def test_chunks_of_one_directory_that_commit_at_once_share_its_syncs() -> None:
    """Sequences of one write are mostly in different directories: there, nothing is shared but the disk's journal."""
    server = await start_server()
    data = content(2_000)
    directory, syncs = chunk_directory(CHUNK), []

    async def before(operation: str, path: str) -> None:
        if operation == "sync_directory" and path == directory:
            syncs.append(path)
            await settle()

    server.disk.before = before
    chunk_ids = [ChunkId(CHUNK.group_id, CHUNK.sequence + 256 * number) for number in range(16)]
    await asyncio.gather(*(put(server.service, data, header_of(data, chunk_id)) for chunk_id in chunk_ids))
    assert 1 <= len(syncs) <= 8
    assert server.store.catalog.count(CHUNK.group_id) == 16
