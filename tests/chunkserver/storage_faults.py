"""Faults at every step of what a chunkserver does with its disk."""

from collections.abc import AsyncIterator, Awaitable, Callable

from small_cluster import Hook, Server, header_of, put, start_server

from dstore.chunkserver.chunkfile import file_size_bytes
from dstore.chunkserver.importing import import_chunk
from dstore.chunkserver.memory import MemoryDisk
from dstore.chunkserver.paths import chunk_path
from dstore.core.checksum import crc32c
from dstore.core.digests import HeldChunk
from dstore.core.errors import Corrupt, NotReady
from dstore.core.ids import ChunkId, GroupId
from dstore.core.interfaces import Chunks

GROUP = GroupId(42)


class PowerLoss(BaseException):
    """Ends a run; nothing of dstore catches it."""


def loses_power_at(operation_number: int) -> Hook:
    """Return a hook that raises from the given operation on; operations are counted from 0."""
    count = 0

    async def before(operation: str, path: str) -> None:
        nonlocal count
        count += 1
        if count > operation_number:
            raise PowerLoss

    return before


def at_operation(number: int, act: Callable[[], Awaitable[None]]) -> Hook:
    """Return a hook that acts before one operation, counted from 0, once."""
    count = 0

    async def before(operation: str, path: str) -> None:
        nonlocal count
        count += 1
        if count == number + 1:
            await act()

    return before


async def runs_with_power_loss(
    prepare: Callable[[], Awaitable[MemoryDisk]], work: Callable[[Server], Awaitable[None]]
) -> AsyncIterator[tuple[bool, MemoryDisk]]:
    """Do the same work again and again on the same disk, losing power before each operation of the disk in turn.

    Yields whether the work came to its end, and the disk, with both extremes of what a disk may do with what was not
    synced: lose all of it, or keep all of it. Ends with the runs that came to their end.
    """
    for number in range(1000):
        for keeps_unsynced in (False, True):
            memory = await prepare()
            server = await start_server(memory)
            server.store.settled_sequence = 1_000_000
            server.disk.before = loses_power_at(number)
            is_done = True
            try:
                await work(server)
            except PowerLoss:
                is_done = False
            if keeps_unsynced:
                memory.restart()
            else:
                memory.crash()
            yield is_done, memory
        if is_done:
            assert number > 0, "nothing was done"
            return
    raise AssertionError("the work never comes to its end")


class NoLimit:
    """A ``Limiter`` that lets everything pass, and counts."""

    def __init__(self) -> None:
        self.taken_bytes = 0

    async def take(self, size_bytes: int) -> None:
        self.taken_bytes += size_bytes


async def copy(
    server: Server, source: Chunks, chunk_id: ChunkId, expected: HeldChunk | None = None, limit: NoLimit | None = None
) -> HeldChunk:
    limiter = limit or NoLimit()
    return await import_chunk(server.store, server.service.reader, source, chunk_id, expected, limiter=limiter)


async def server_with(contents: dict[ChunkId, bytes], *, name: str = "cs-1") -> Server:
    server = await start_server(name=name)
    for chunk_id, data in contents.items():
        await put(server.service, data, header_of(data, chunk_id), frame_size=100_000)
    return server


def damage(memory: MemoryDisk, chunk_id: ChunkId, data: bytes) -> None:
    """Flip a bit of the ciphertext, durably."""
    inode = memory._find(chunk_path(chunk_id))
    assert len(inode.content) == file_size_bytes(len(data))
    inode.content[4096 + len(data) // 2] ^= 1
    inode.durable = bytes(inode.content)


async def find_damage(server: Server, chunk_id: ChunkId) -> None:
    """Have the server notice that a chunk is damaged."""
    try:
        await server.service.reader.verify(chunk_id)
    except Corrupt:
        return
    raise AssertionError(f"chunk {chunk_id} is good")


async def is_refused(server: Server, chunk_id: ChunkId, data: bytes) -> bool:
    """Tell whether a write of the chunk is refused because the chunk was discarded."""
    try:
        await put(server.service, data, header_of(data, chunk_id))
    except NotReady as error:
        assert error.reason == "CHUNK_SETTLED"
        return True
    return False


def held_of(chunk_id: ChunkId, data: bytes) -> HeldChunk:
    return HeldChunk(chunk_id.sequence, len(data), crc32c(data))
