"""What an earlier run had written and not synced: copied and synced afresh at the start, if it is whole.

Afresh, because that run may have tried to sync it and failed: then the memory of the machine shows content that its
disk does not have, and the next sync of the file would say that all is well.
"""

from typing import TYPE_CHECKING

from dstore.chunkserver.newchunk import NewChunk
from dstore.chunkserver.openchunk import OpenChunk, open_checked
from dstore.chunkserver.recovery import Recovery, list_unsynced
from dstore.core.errors import Corrupt, OutOfSpace
from dstore.core.ids import ChunkId
from dstore.core.limits import FRAME_SIZE_BYTES_MAX

if TYPE_CHECKING:
    from dstore.chunkserver.chunkstore import ChunkStore


async def adopt_unsynced(store: "ChunkStore", found: Recovery) -> None:
    """Give whole chunks their names, durably; remove what is not whole, or here already, or discarded.

    What cannot be read or copied, or finds the disk full, stays where it is, for the next start, unless it is discarded
    before. Nobody takes it for lost: the mark of its group is there, so that the master looks for it.

    Raises:
        OSError: a file cannot be removed.
    """
    async for chunk_id, path in list_unsynced(store.disk, found):
        try:
            if not store.has_file(chunk_id):
                await _adopt(store, chunk_id, path)
                found.adopted_count += 1
        except Corrupt:
            # It was not written to its end, or the power was lost; its group is in doubt.
            pass
        except OutOfSpace:
            store.left_unsynced[chunk_id] = path
            continue
        except OSError:
            # Also what the store made of it, when the copy failed: the disk is suspect, and others are still read.
            store.left_unsynced[chunk_id] = path
            found.report_unknown(path)
            continue
        await store.disk.remove(path)


async def _adopt(store: "ChunkStore", chunk_id: ChunkId, path: str) -> None:
    source = await open_checked(store.disk, path, chunk_id, store.identity.cluster_id)
    try:
        copy = await NewChunk.create(store, source.header)
        try:
            await _copy(source, copy)
            await copy.seal()
            async with store.translate(f"storing chunk {chunk_id}"):
                await copy.store_name()
        finally:
            await copy.drop()
    finally:
        await source.file.close()
    store.catalog.add(chunk_id, copy.held)


async def _copy(source: OpenChunk, copy: NewChunk) -> None:
    while copy.received_bytes < source.header.length_bytes:
        left = source.header.length_bytes - copy.received_bytes
        frame = await source.read(copy.received_bytes, min(FRAME_SIZE_BYTES_MAX, left))
        copy.sum(frame.data)
        await copy.add(frame.data)
