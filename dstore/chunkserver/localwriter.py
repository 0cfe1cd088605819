"""Writing one chunk to the own disk. States: receiving → committing → acknowledged; from the first two also → dropped.

Frames are checked as they arrive, and written behind (``newchunk``). A chunk that is to be replicated is acknowledged
once it is written, and synced afterwards (``unsynced``), as long as there is room; else it is synced before, as others.
"""

import asyncio

from dstore.chunkserver import paths
from dstore.chunkserver.chunkfile import ChunkHeader
from dstore.chunkserver.chunkreader import ChunkReader
from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.newchunk import NewChunk
from dstore.core.chunks import Durability, Frame, ReplicaAck, WriteFinish, WriteHeader, WriteResult
from dstore.core.errors import AlreadyExists, Corrupt, InvalidRequest, NotFound, Unavailable
from dstore.core.ids import ChunkId
from dstore.core.limits import FRAME_SIZE_BYTES_MAX
from dstore.system.finishing import to_its_end


async def open_local_writer(store: ChunkStore, reader: ChunkReader, header: WriteHeader) -> "LocalWriter":
    """Begin a chunk whose header was checked (``admission.check_header``). A caller that is cancelled leaves nothing.

    Raises:
        NotReady: ``STALE_GROUP_EPOCH``, ``CHUNK_SETTLED``.
        OutOfSpace: ``DISK_FULL``.
        Unavailable: ``DISK_FAILED``.
    """
    opening = asyncio.ensure_future(_open(store, reader, header))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        # A disk call cannot be called back: a file would appear after its writer is gone, or an older epoch be
        # renamed over a newer one (Invariant 7). So what was begun comes to its end, and is undone.
        await to_its_end(_undo(opening))
        raise


async def _undo(opening: "asyncio.Future[LocalWriter]") -> None:
    await asyncio.wait([opening])
    if not opening.cancelled() and opening.exception() is None:
        await opening.result().abort()


async def _open(store: ChunkStore, reader: ChunkReader, header: WriteHeader) -> "LocalWriter":
    chunk_id = header.chunk_id
    store.epochs.check(chunk_id.group_id, header.group_epoch)
    store.require_wanted(chunk_id, is_new=True)
    store.require_good_disk()
    await store.require_room(header.length_bytes)
    async with store.translate(f"beginning chunk {chunk_id}"):
        # Invariant 7: the newer epoch is durable before the first thing is done under it.
        await store.epochs.adopt(chunk_id.group_id, header.group_epoch)
    chunk_header = ChunkHeader(header.cluster_id, chunk_id, header.length_bytes, header.descriptor)
    outlasts_process = header.durability is Durability.REPLICATED
    chunk = await NewChunk.create(store, chunk_header, outlasts_process=outlasts_process)
    return LocalWriter(store, reader, header, chunk)


class LocalWriter:
    """A ``ChunkWriter`` whose receiver is the own disk. An error of ``send`` or ``finish`` wants an ``abort``."""

    def __init__(self, store: ChunkStore, reader: ChunkReader, header: WriteHeader, chunk: NewChunk) -> None:
        self._store = store
        self._reader = reader
        self._header = header
        self._chunk = chunk
        self._commit: asyncio.Task[WriteResult] | None = None
        self._dropped = False

    async def send(self, frame: Frame) -> None:
        """See ``ChunkWriter.send``.

        Raises:
            InvalidRequest: ``FRAME_OFFSET_INVALID``, ``FRAME_TOO_LARGE``.
            Corrupt: ``FRAME_CRC_MISMATCH``.
            OutOfSpace: ``DISK_FULL``.
            Unavailable: ``DISK_FAILED``.
        """
        self._require_receiving()
        self._check(frame)
        await self._chunk.add(frame.data)

    async def finish(self, finish: WriteFinish) -> WriteResult:
        """See ``ChunkWriter.finish``: file synced, renamed, directory synced, unless less was asked for (Invariant 1).

        Raises:
            AlreadyExists: ``CHUNK_EXISTS``.
            Corrupt: ``CHUNK_CRC_MISMATCH``; ``CHUNK_CORRUPT`` when the chunk is there already, but damaged.
            NotReady: ``STALE_GROUP_EPOCH``, ``CHUNK_SETTLED``, when these orders came while the chunk was written.
            OutOfSpace: ``DISK_FULL``.
            Unavailable: ``DISK_FAILED``.
        """
        self._require_receiving()
        received = WriteFinish(self._chunk.received_bytes, self._chunk.crc32c)
        if finish != received or received.length_bytes != self._header.length_bytes:
            raise Corrupt(
                f"The finish says {_describe(finish)}, the header {self._header.length_bytes} bytes, but "
                f"{_describe(received)} arrived. The chunk is dropped; write it again under a new id.",
                reason="CHUNK_CRC_MISMATCH",
            )
        # Once it has begun, a commit comes to its end even when the caller is gone: its outcome stays definite.
        self._commit = asyncio.create_task(self._store_chunk())
        return await asyncio.shield(self._commit)

    def require_held(self) -> None:
        """Refuse a chunk that was stored and is not here any more (Invariant 1).

        Its sync in the background may fail while the rest of the chain is waited for.

        Raises:
            Unavailable: ``DISK_FAILED``.
        """
        if not self._store.catalog.has(self._header.chunk_id):
            raise Unavailable(
                f"Chunk {self._header.chunk_id} was written on {self._store.name} and did not stay there; its disk "
                "could not sync it. Use another server, and look at this one's disk.",
                reason="DISK_FAILED",
            )

    async def abort(self) -> None:
        """See ``ChunkWriter.abort``. A chunk that is stored stays: it is the master's to collect."""
        await to_its_end(self._drop())

    def _check(self, frame: Frame) -> None:
        size = len(frame.data)
        if not 0 < size <= FRAME_SIZE_BYTES_MAX:
            raise InvalidRequest(
                f"A frame has {size} bytes; it must have 1 to {FRAME_SIZE_BYTES_MAX}. Cut the chunk accordingly.",
                reason="FRAME_TOO_LARGE",
            )
        if frame.offset != self._chunk.received_bytes or frame.offset + size > self._header.length_bytes:
            raise InvalidRequest(
                f"A frame covers bytes {frame.offset} to {frame.offset + size}; it must start at "
                f"{self._chunk.received_bytes} and end by {self._header.length_bytes}. Send frames in order.",
                reason="FRAME_OFFSET_INVALID",
            )
        if self._chunk.sum(frame.data) != frame.crc32c:
            raise Corrupt(
                f"The frame at {frame.offset} does not match its CRC32C; it was altered on the way. "
                "Write the chunk again under a new id.",
                reason="FRAME_CRC_MISMATCH",
            )

    def _require_receiving(self) -> None:
        if self._dropped or self._commit is not None:
            raise InvalidRequest(
                "The write stream has ended; nothing can be sent after a finish or a failure.",
                reason="STREAM_INVALID",
            )
        self._chunk.raise_failure()

    async def _store_chunk(self) -> WriteResult:
        await self._chunk.write_out()
        is_synced = self._header.durability is Durability.SYNCED or not self._store.unsynced.takes(
            self._header.length_bytes
        )
        if is_synced:
            await self._chunk.sync()
        durability = await self._commit_chunk(is_synced=is_synced)
        return WriteResult((ReplicaAck(self._store.identity.server_id, durability),))

    async def _commit_chunk(self, *, is_synced: bool) -> Durability:
        """Put the chunk where it belongs, and return what may be acknowledged."""
        store, chunk_id = self._store, self._header.chunk_id
        while True:
            if is_synced:
                await store.unsynced.settle(chunk_id)
            async with store.translate(f"storing chunk {chunk_id}"), store.committing(chunk_id):
                # Invariant 7: the orders may have moved on while the frames came, and during every wait here.
                self._check_wanted()
                if await self._is_stored():
                    if is_synced and store.unsynced.has(chunk_id):
                        continue
                elif is_synced:
                    self._check_wanted()
                    await self._chunk.store_name()
                    store.catalog.add(chunk_id, self._chunk.held)
                else:
                    await store.doubts.mark(chunk_id.group_id)
                    # A mark for nothing goes like any other.
                    store.unsynced.wake()
                    self._check_wanted()
                    store.unsynced.add(self._chunk)
                self._check_wanted()
                return Durability.REPLICATED if store.unsynced.has(chunk_id) else Durability.SYNCED

    def _check_wanted(self) -> None:
        self._store.epochs.check(self._header.chunk_id.group_id, self._header.group_epoch)
        self._store.require_wanted(self._header.chunk_id, is_new=True)

    async def _is_stored(self) -> bool:
        """Tell whether the same chunk is already there, and intact. Invariant 6: it is never replaced."""
        chunk_id = self._header.chunk_id
        try:
            stat = await self._reader.verify(chunk_id)
        except NotFound:
            return False
        expected = (self._header.length_bytes, self._chunk.crc32c, self._header.descriptor)
        if (stat.length_bytes, stat.crc32c, stat.descriptor) != expected:
            raise _exists(chunk_id, self._store.name)
        if not self._store.unsynced.has(chunk_id):
            # Its writer may have been interrupted before this.
            await self._store.directory_syncs.sync(paths.chunk_directory(chunk_id))
        await self._chunk.drop()
        return True

    async def _drop(self) -> None:
        if self._commit is not None:
            await asyncio.wait([self._commit])
            if self._commit.exception() is None:
                return
        self._dropped = True
        await self._chunk.drop()


def _describe(finish: WriteFinish) -> str:
    return f"{finish.length_bytes} bytes with CRC32C {finish.crc32c:08x}"


def _exists(chunk_id: ChunkId, name: str) -> AlreadyExists:
    return AlreadyExists(
        f"Chunk {chunk_id} exists on {name} with other content. Chunks are written once; ask for a new id.",
        reason="CHUNK_EXISTS",
        metadata={"chunk_id": str(chunk_id)},
    )
