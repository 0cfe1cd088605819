"""Copying one chunk from a peer: what comes is checked frame by frame and as a whole before it counts.

A copy is written like any chunk. Where the own copy is damaged, the new one takes its name in one step, durably, before
the mark of the old one goes (Invariant 10).
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol, cast

from dstore.chunkserver import paths
from dstore.chunkserver.chunkfile import LENGTH_BYTES_MAX, ChunkHeader
from dstore.chunkserver.chunkreader import ChunkReader
from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.newchunk import NewChunk
from dstore.core.chunks import ChunkStat, Frame, ReadRequest
from dstore.core.digests import HeldChunk
from dstore.core.errors import Corrupt, DeadlineExceeded, DstoreError, NotFound
from dstore.core.ids import ChunkId
from dstore.core.interfaces import Chunks
from dstore.core.limits import COPY_STALL_TIMEOUT_S, DESCRIPTOR_SIZE_BYTES_MAX, FRAME_SIZE_BYTES_MAX
from dstore.system.finishing import to_its_end


class Limiter(Protocol):
    """Keeps copies to a rate."""

    async def take(self, size_bytes: int) -> None:
        """Wait until that much may pass."""


async def import_chunk(
    store: ChunkStore,
    reader: ChunkReader,
    source: Chunks,
    chunk_id: ChunkId,
    expected: HeldChunk | None,
    *,
    limiter: Limiter,
) -> HeldChunk:
    """Copy a chunk, unless it is here already as it must be; durable when this returns.

    ``expected`` is what the copy must be; None means whatever the source has. The own copy is read as a whole; when it
    is damaged, or differs from ``expected``, it is reported as corrupt and replaced. A caller that is cancelled leaves
    nothing, or the whole copy.

    Raises:
        Corrupt: ``CHUNK_CORRUPT``, what the source has, or sent, is not what it must be.
        NotFound: ``CHUNK_NOT_FOUND``, the source does not have it.
        NotReady: ``CHUNK_SETTLED``, the chunk was discarded here.
        OutOfSpace: ``DISK_FULL``.
        DeadlineExceeded: ``STREAM_STALLED``, the source sends nothing any more.
        Unavailable: ``DISK_FAILED``; or the source cannot be reached.
    """
    store.require_reconciled()
    store.require_wanted(chunk_id, is_new=False)
    await store.unsynced.settle(chunk_id)
    if (own := await _own_copy(store, reader, chunk_id, expected)) is not None:
        return own
    store.require_good_disk()
    async with _in_time(chunk_id):
        stat = await source.stat_chunk(chunk_id)
    _check_stat(stat, chunk_id, expected)
    await store.require_room(stat.length_bytes)
    chunk = await _create(store, stat)
    try:
        await _receive(source, chunk, stat, limiter)
        await chunk.seal()
    except BaseException:
        await to_its_end(chunk.drop())
        raise
    # One task: a caller that is cancelled must not have the file removed that is just given its name.
    return await to_its_end(_commit_or_drop(store, chunk, chunk_id, expected))


async def _own_copy(
    store: ChunkStore, reader: ChunkReader, chunk_id: ChunkId, expected: HeldChunk | None
) -> HeldChunk | None:
    """Return the own copy if it is what it must be, to its last byte."""
    held = await store.holdings.held(chunk_id)
    if held is None:
        return None
    if expected is not None and held != expected:
        await store.report_corrupt(chunk_id, _difference(held, expected))
        return None
    try:
        await reader.verify(chunk_id)
    except (Corrupt, NotFound):
        return None
    return held


async def _create(store: ChunkStore, stat: ChunkStat) -> NewChunk:
    """Begin the file; a caller that is cancelled leaves none."""
    cluster_id = store.identity.cluster_id
    assert cluster_id is not None, "a server that is reconciled has joined"
    header = ChunkHeader(cluster_id, stat.chunk_id, stat.length_bytes, stat.descriptor)
    creating = asyncio.ensure_future(NewChunk.create(store, header))
    try:
        return await asyncio.shield(creating)
    except asyncio.CancelledError:
        await asyncio.wait([creating])
        if creating.exception() is None:
            await creating.result().drop()
        raise


async def _receive(source: Chunks, chunk: NewChunk, stat: ChunkStat, limiter: Limiter) -> None:
    """Take all frames, checking each, and what they are together."""
    chunk_id = stat.chunk_id
    frames = cast(AsyncGenerator[Frame, None], source.read_chunk(ReadRequest(chunk_id, 0, 0)))
    # Closed here and now: it holds a stream of the source.
    async with contextlib.aclosing(frames):
        while chunk.received_bytes < stat.length_bytes:
            async with _in_time(chunk_id):
                frame = await anext(frames, None)
            if frame is None:
                raise _bad_copy(chunk_id, f"it ended after {chunk.received_bytes} of {stat.length_bytes} bytes")
            _check_frame(frame, chunk, stat)
            await limiter.take(len(frame.data))
            await chunk.add(frame.data)
    if chunk.crc32c != stat.crc32c:
        raise _bad_copy(chunk_id, f"its CRC32C is {chunk.crc32c:08x} instead of {stat.crc32c:08x}")


def _check_stat(stat: ChunkStat, chunk_id: ChunkId, expected: HeldChunk | None) -> None:
    if stat.chunk_id != chunk_id:
        raise _bad_copy(chunk_id, f"the source describes chunk {stat.chunk_id}")
    if not 1 <= stat.length_bytes <= LENGTH_BYTES_MAX or len(stat.descriptor) > DESCRIPTOR_SIZE_BYTES_MAX:
        raise _bad_copy(chunk_id, f"its length is {stat.length_bytes}, that of its descriptor {len(stat.descriptor)}")
    offered = HeldChunk(chunk_id.sequence, stat.length_bytes, stat.crc32c)
    if expected is not None and offered != expected:
        raise _bad_copy(chunk_id, _difference(offered, expected))


def _check_frame(frame: Frame, chunk: NewChunk, stat: ChunkStat) -> None:
    size = len(frame.data)
    if not 0 < size <= FRAME_SIZE_BYTES_MAX:
        raise _bad_copy(stat.chunk_id, f"a frame has {size} bytes")
    if frame.offset != chunk.received_bytes or frame.offset + size > stat.length_bytes:
        raise _bad_copy(stat.chunk_id, f"a frame covers bytes {frame.offset} to {frame.offset + size}")
    if chunk.sum(frame.data) != frame.crc32c:
        raise _bad_copy(stat.chunk_id, f"the frame at {frame.offset} does not match its CRC32C")


async def _commit_or_drop(
    store: ChunkStore, chunk: NewChunk, chunk_id: ChunkId, expected: HeldChunk | None
) -> HeldChunk:
    try:
        return await _commit(store, chunk, chunk_id, expected)
    finally:
        await chunk.drop()


async def _commit(store: ChunkStore, chunk: NewChunk, chunk_id: ChunkId, expected: HeldChunk | None) -> HeldChunk:
    """Give the file its name, in the place of a damaged one, if there is one."""
    disk, directory = store.disk, paths.chunk_directory(chunk_id)
    async with store.translate(f"storing a copy of chunk {chunk_id}"), store.committing(chunk_id):
        store.require_wanted(chunk_id, is_new=False)
        if (own := store.catalog.held(chunk_id)) is not None:
            # A writer was faster.
            if expected is None or own == expected:
                return own
            await store.report_corrupt(chunk_id, _difference(own, expected))
        is_replacement = chunk_id in store.corrupt
        await chunk.give_name()
        try:
            await disk.sync_directory(directory)
        except OSError:
            # Whether the name lasts is unknown. The damaged copy is gone or back after a power loss, and marked.
            if not is_replacement:
                with contextlib.suppress(OSError):
                    await disk.remove(paths.chunk_path(chunk_id))
            raise
        # Invariant 10: only now that the new copy is durable, the old one and its mark may go.
        await store.dismiss(chunk_id)
        await store.clear_corrupt([chunk_id])
        store.catalog.add(chunk_id, chunk.held)
        # Whoever discards it meanwhile waits for this commit, and takes it away.
        store.require_wanted(chunk_id, is_new=False)
    return chunk.held


@contextlib.asynccontextmanager
async def _in_time(chunk_id: ChunkId) -> AsyncIterator[None]:
    """Give up on a source that is silent for too long."""
    try:
        async with asyncio.timeout(COPY_STALL_TIMEOUT_S):
            yield
    except TimeoutError as error:
        if isinstance(error, DstoreError):
            raise
        raise DeadlineExceeded(
            f"The source of chunk {chunk_id} sent nothing for {COPY_STALL_TIMEOUT_S:g} s. Use another source.",
            reason="STREAM_STALLED",
        ) from None


def _difference(one: HeldChunk, other: HeldChunk) -> str:
    return (
        f"it has {one.length_bytes} bytes with CRC32C {one.crc32c:08x}, "
        f"other replicas have {other.length_bytes} with {other.crc32c:08x}"
    )


def _bad_copy(chunk_id: ChunkId, problem: str) -> Corrupt:
    return Corrupt(
        f"The copy of chunk {chunk_id} that the source sent is not taken: {problem}. Use another source.",
        reason="CHUNK_CORRUPT",
        metadata={"chunk_id": str(chunk_id), "problem": problem},
    )
