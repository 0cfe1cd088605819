"""A chunkserver that has acknowledged a chunk as replicated and cannot sync it."""

import asyncio
import errno
from dataclasses import replace

from small_cluster import CHUNK, Hook, Server, content, header_of, put, start_server

from dstore.core.chunks import ChainMember, Durability, WriteHeader, WriteResult
from dstore.core.ids import ChunkId

DATA = content(20_000)
GROUP = CHUNK.group_id
GROUP_NAME = f"{GROUP:08x}"


def relaxed(chunk_id: ChunkId = CHUNK, *, chain: tuple[ChainMember, ...] = (), data: bytes = DATA) -> WriteHeader:
    return replace(header_of(data, chunk_id, chain=chain), durability=Durability.REPLICATED)


def promised(result: WriteResult) -> list[Durability]:
    return [ack.durability for ack in result.replicas]


async def never_syncs(operation: str, path: str) -> None:
    """Let syncs of chunks hang."""
    if operation == "sync" and f"{GROUP_NAME}-" in path:
        await asyncio.sleep(1e6)


def fails(operation: str, part: str, number: int = errno.EIO) -> Hook:
    async def before(called: str, path: str) -> None:
        if called == operation and part in path:
            raise OSError(number, "It fails.")

    return before


async def server_with_unsynced() -> Server:
    """Return a server that has acknowledged ``CHUNK`` and cannot sync it."""
    server = await start_server()
    server.disk.before = never_syncs
    assert promised(await put(server.service, DATA, relaxed())) == [Durability.REPLICATED]
    return server
