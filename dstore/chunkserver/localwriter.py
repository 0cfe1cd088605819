"""Writing one chunk to the own disk. States: receiving → committing → durable; from the first two also → dropped.

Frames are checked and summed as they arrive, on the event loop, and written behind it: while one write is with the
disk, the next frames gather and go out together. At most ``RELAY_FRAMES_MAX`` frames wait, then ``send`` does.
"""

import asyncio
import contextlib

from dstore.chunkserver import paths
from dstore.chunkserver.chunkfile import BlockSums, ChunkHeader, encode_footer, encode_header
from dstore.chunkserver.chunkreader import ChunkReader
from dstore.chunkserver.chunkstore import ChunkStore
from dstore.core.checksum import crc32c
from dstore.core.chunks import Durability, Frame, ReplicaAck, WriteFinish, WriteHeader, WriteResult
from dstore.core.environment import Buffer, DiskFile
from dstore.core.errors import AlreadyExists, Corrupt, InvalidRequest, NotFound, OutOfSpace
from dstore.core.ids import ChunkId
from dstore.core.limits import FILL_WRITE_MAX, FRAME_SIZE_BYTES_MAX, RELAY_FRAMES_MAX


async def open_local_writer(store: ChunkStore, reader: ChunkReader, header: WriteHeader) -> "LocalWriter":
    """Begin a chunk whose header was checked (``admission.check_header``). A caller that is cancelled leaves nothing.

    Raises:
        NotReady: ``STALE_GROUP_EPOCH``.
        OutOfSpace: ``DISK_FULL``.
        Unavailable: ``DISK_FAILED``.
    """
    opening = asyncio.ensure_future(_open(store, reader, header))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        # A disk call cannot be called back: a file would appear after its writer is gone, or an older epoch be
        # renamed over a newer one (Invariant 7). So what was begun comes to its end, and is undone.
        await asyncio.shield(asyncio.ensure_future(_undo(opening)))
        raise


async def _undo(opening: "asyncio.Future[LocalWriter]") -> None:
    await asyncio.wait([opening])
    if not opening.cancelled() and opening.exception() is None:
        await opening.result().abort()


async def _open(store: ChunkStore, reader: ChunkReader, header: WriteHeader) -> "LocalWriter":
    chunk_id = header.chunk_id
    store.epochs.check(chunk_id.group_id, header.group_epoch)
    store.require_good_disk()
    async with store.translate(f"beginning chunk {chunk_id}"):
        capacity = await store.disk.capacity()
        if capacity.used_bytes + header.length_bytes > FILL_WRITE_MAX * capacity.total_bytes:
            raise OutOfSpace(
                f"The disk of {store.name} is {capacity.fill:.0%} full and takes no more chunks. "
                "Delete files, or add a chunkserver.",
                reason="DISK_FULL",
            )
        # Invariant 7: the newer epoch is durable before the first thing is done under it.
        await store.epochs.adopt(chunk_id.group_id, header.group_epoch)
        await store.prepare_directory(chunk_id)
        temporary = store.names.new(str(chunk_id))
        file = await store.disk.create(temporary)
    return LocalWriter(store, reader, header, file, temporary)


class LocalWriter:
    """A ``ChunkWriter`` whose receiver is the own disk. An error of ``send`` or ``finish`` wants an ``abort``."""

    def __init__(
        self, store: ChunkStore, reader: ChunkReader, header: WriteHeader, file: DiskFile, temporary: str
    ) -> None:
        self._store = store
        self._reader = reader
        self._header = header
        self._file = file
        self._temporary = temporary
        chunk_header = ChunkHeader(header.cluster_id, header.chunk_id, header.length_bytes, header.descriptor)
        self._page = encode_header(chunk_header)
        self._sums = BlockSums()
        self._received_bytes = 0
        self._waiting: list[Buffer] = [self._page]
        self._written_bytes = 0
        self._unwritten_frames = 0
        self._flush: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
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
        self._sums.update(frame.data)
        self._received_bytes += len(frame.data)
        self._waiting.append(frame.data)
        self._unwritten_frames += 1
        self._start_flush()
        while self._unwritten_frames >= RELAY_FRAMES_MAX:
            self._room.clear()
            await self._room.wait()
            self._raise_failure()

    async def finish(self, finish: WriteFinish) -> WriteResult:
        """See ``ChunkWriter.finish``: file synced, renamed, directory synced (Invariant 1).

        Raises:
            AlreadyExists: ``CHUNK_EXISTS``.
            Corrupt: ``CHUNK_CRC_MISMATCH``; ``CHUNK_CORRUPT`` when the chunk is there already, but damaged.
            NotReady: ``STALE_GROUP_EPOCH``, when a newer epoch came while the chunk was written.
            OutOfSpace: ``DISK_FULL``.
            Unavailable: ``DISK_FAILED``.
        """
        self._require_receiving()
        received = WriteFinish(self._received_bytes, self._sums.crc32c)
        if finish != received or received.length_bytes != self._header.length_bytes:
            raise Corrupt(
                f"The finish says {_describe(finish)}, the header {self._header.length_bytes} bytes, but "
                f"{_describe(received)} arrived. The chunk is dropped; write it again under a new id.",
                reason="CHUNK_CRC_MISMATCH",
            )
        # Once it has begun, a commit comes to its end even when the caller is gone: its outcome stays definite.
        self._commit = asyncio.create_task(self._make_durable())
        return await asyncio.shield(self._commit)

    async def abort(self) -> None:
        """See ``ChunkWriter.abort``. A chunk that is durable stays: it is the master's to collect."""
        await asyncio.shield(asyncio.ensure_future(self._drop()))

    def _check(self, frame: Frame) -> None:
        size = len(frame.data)
        if not 0 < size <= FRAME_SIZE_BYTES_MAX:
            raise InvalidRequest(
                f"A frame has {size} bytes; it must have 1 to {FRAME_SIZE_BYTES_MAX}. Cut the chunk accordingly.",
                reason="FRAME_TOO_LARGE",
            )
        if frame.offset != self._received_bytes or frame.offset + size > self._header.length_bytes:
            raise InvalidRequest(
                f"A frame covers bytes {frame.offset} to {frame.offset + size}; it must start at "
                f"{self._received_bytes} and end by {self._header.length_bytes}. Send frames in order.",
                reason="FRAME_OFFSET_INVALID",
            )
        if crc32c(frame.data) != frame.crc32c:
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
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._flush is not None and self._flush.done():
            self._flush.result()

    def _start_flush(self) -> None:
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._write_behind())

    async def _write_behind(self) -> None:
        """Write everything that waits, and what comes meanwhile; one write at a time, so the file only grows."""
        try:
            async with self._store.translate(f"writing chunk {self._header.chunk_id}"):
                while self._waiting:
                    batch, frames = self._waiting, self._unwritten_frames
                    self._waiting = []
                    await self._file.write_at(self._written_bytes, batch)
                    self._written_bytes += sum(map(len, batch))
                    self._unwritten_frames -= frames
                    self._room.set()
        finally:
            self._room.set()

    async def _make_durable(self) -> WriteResult:
        footer = self._sums.footer()
        self._waiting.append(encode_footer(self._page, self._received_bytes, footer))
        self._start_flush()
        assert self._flush is not None
        await self._flush
        async with self._store.translate(f"storing chunk {self._header.chunk_id}"):
            await self._file.sync()
            await self._file.close()
            async with self._store.committing(self._header.chunk_id):
                # Invariant 7: the epoch may have moved on while the frames came, and during every wait here.
                self._check_epoch()
                if not await self._is_stored(footer.crc32c):
                    self._check_epoch()
                    await self._give_name()
                self._check_epoch()
        return WriteResult((ReplicaAck(self._store.identity.server_id, Durability.SYNCED),))

    def _check_epoch(self) -> None:
        self._store.epochs.check(self._header.chunk_id.group_id, self._header.group_epoch)

    async def _give_name(self) -> None:
        disk, path = self._store.disk, paths.chunk_path(self._header.chunk_id)
        await disk.rename(self._temporary, path)
        try:
            await disk.sync_directory(paths.chunk_directory(self._header.chunk_id))
        except OSError:
            # Whether the name lasts is unknown, and nobody was told that it does: the copy is dropped.
            with contextlib.suppress(OSError):
                await disk.remove(path)
            raise
        self._store.chunk_count += 1

    async def _is_stored(self, crc: int) -> bool:
        """Tell whether the same chunk is already there, and intact. Invariant 6: it is never replaced."""
        chunk_id = self._header.chunk_id
        try:
            stat = await self._reader.verify(chunk_id)
        except NotFound:
            return False
        if (stat.length_bytes, stat.crc32c, stat.descriptor) != (
            self._header.length_bytes,
            crc,
            self._header.descriptor,
        ):
            raise _exists(chunk_id, self._store.name)
        # Its writer may have been interrupted before this.
        await self._store.disk.sync_directory(paths.chunk_directory(chunk_id))
        await self._store.disk.remove(self._temporary)
        return True

    async def _drop(self) -> None:
        if self._commit is not None:
            await asyncio.wait([self._commit])
            if self._commit.exception() is None:
                return
        if self._dropped:
            return
        self._dropped = True
        self._waiting = []
        if self._flush is not None and not self._flush.done():
            self._flush.cancel()
        if self._flush is not None:
            await asyncio.wait([self._flush])
            if not self._flush.cancelled():
                self._flush.exception()  # it was raised already, or nobody is left to hear it
        try:
            await self._file.close()
            await self._store.disk.remove(self._temporary)
        except FileNotFoundError:
            return
        except OSError as error:
            # The next start removes it; that the disk is suspect is remembered and logged.
            self._store.fail(error, "dropping a chunk")


def _describe(finish: WriteFinish) -> str:
    return f"{finish.length_bytes} bytes with CRC32C {finish.crc32c:08x}"


def _exists(chunk_id: ChunkId, name: str) -> AlreadyExists:
    return AlreadyExists(
        f"Chunk {chunk_id} exists on {name} with other content. Chunks are written once; ask for a new id.",
        reason="CHUNK_EXISTS",
        metadata={"chunk_id": str(chunk_id)},
    )
