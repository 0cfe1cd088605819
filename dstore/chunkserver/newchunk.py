"""A chunk file on its way: written in ``tmp``, behind whoever has the data, then given its name.

    receiving ── write_out ──▶ written ── sync ──▶ sealed ── store_name ──▶ named
        └─────────────────────────┴──────────────────┴── drop ──▶ dropped

Data is summed on the event loop, added if its sum is right, and written behind: pieces gather, go out together, and the
last ones with the footer. At most ``WRITE_BEHIND_FRAMES_MAX`` of them wait, then ``add`` does.

A chunk that may be acknowledged before it is synced lies in ``unsynced`` instead, where the next start looks for it.
"""

import asyncio
import contextlib
from typing import TYPE_CHECKING

from dstore.chunkserver import paths
from dstore.chunkserver.chunkfile import BlockSums, ChunkHeader, encode_footer, encode_header
from dstore.core.digests import HeldChunk
from dstore.core.environment import Buffer, DiskFile
from dstore.core.ids import ChunkId
from dstore.core.limits import FRAME_SIZE_BYTES, WRITE_BEHIND_FRAMES_MAX

if TYPE_CHECKING:
    from dstore.chunkserver.chunkstore import ChunkStore

#: Each way to a thread of the disk and back costs as much as a copy of some hundred KiB.
_TOGETHER_SIZE_BYTES = 2 * FRAME_SIZE_BYTES


class NewChunk:
    """Made by ``create``. Every method but ``drop`` may raise ``OSError`` or what ``ChunkStore.translate`` makes of it.

    Attributes:
        received_bytes: of ciphertext, so far.
        path: where the file is until it has its name.
    """

    def __init__(self, store: "ChunkStore", header: ChunkHeader, file: DiskFile, path: str) -> None:
        self.received_bytes = 0
        self._store = store
        self._header = header
        self._file = file
        self.path = path
        self._page = encode_header(header)
        self._sums = BlockSums()
        self._waiting: list[Buffer] = [self._page]
        self._waiting_bytes = 0
        self._written_bytes = 0
        self._unwritten_count = 0
        self._flush: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._is_complete = False
        self._is_dropped = False

    @classmethod
    async def create(cls, store: "ChunkStore", header: ChunkHeader, *, outlasts_process: bool = False) -> "NewChunk":
        """Begin a file, and make the directory that it is for.

        Args:
            outlasts_process: whether the next start is to look for it, once it is written.

        Raises:
            OutOfSpace: ``DISK_FULL``.
            Unavailable: ``DISK_FAILED``.
        """
        async with store.translate(f"beginning chunk {header.chunk_id}"):
            await store.prepare_directory(header.chunk_id)
            chunk_id, names = header.chunk_id, store.names
            path = names.new_unsynced(chunk_id) if outlasts_process else names.new(str(chunk_id))
            file = await store.disk.create(path)
        return cls(store, header, file, path)

    @property
    def chunk_id(self) -> ChunkId:
        """Whose file it is."""
        return self._header.chunk_id

    @property
    def crc32c(self) -> int:
        """The checksum of everything so far."""
        return self._sums.crc32c

    @property
    def held(self) -> HeldChunk:
        """The chunk as it counts in digests, once everything was added."""
        return HeldChunk(self._header.chunk_id.sequence, self.received_bytes, self.crc32c)

    def sum(self, data: Buffer) -> int:
        """Take the checksum of the next piece of ciphertext into account, and return that of the piece alone."""
        return self._sums.update(data)

    async def add(self, data: Buffer) -> None:
        """Take the next piece of ciphertext, which was summed; its memory must not change before the chunk is sealed.

        Raises:
            OutOfSpace: ``DISK_FULL``.
            Unavailable: ``DISK_FAILED``.
        """
        self.received_bytes += len(data)
        assert self.received_bytes == self._sums.length_bytes, "a piece was summed and not added, or not summed"
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._unwritten_count += 1
        if self.received_bytes == self._header.length_bytes:
            return  # the footer goes with it
        if self._is_due:
            self._start_flush()
        while self._unwritten_count >= WRITE_BEHIND_FRAMES_MAX:
            self._room.clear()
            await self._room.wait()
            self.raise_failure()

    @property
    def _is_due(self) -> bool:
        """Whether what waits is worth a way to the disk, or must go because nothing more may come before."""
        return bool(self._waiting) and (
            self._waiting_bytes >= _TOGETHER_SIZE_BYTES
            or self._unwritten_count >= WRITE_BEHIND_FRAMES_MAX
            or self._is_complete
        )

    def raise_failure(self) -> None:
        """Raise what went wrong with an earlier piece."""
        if self._flush is not None and self._flush.done():
            self._flush.result()

    async def write_out(self) -> None:
        """Write the footer and all that waits; from here on only the power can take it.

        Raises:
            OutOfSpace: ``DISK_FULL``.
            Unavailable: ``DISK_FAILED``.
        """
        assert self.received_bytes == self._header.length_bytes
        self._is_complete = True
        self._waiting.append(encode_footer(self._page, self.received_bytes, self._sums.footer()))
        self._start_flush()
        assert self._flush is not None
        await self._flush

    async def sync(self) -> None:
        """Make the content durable.

        Raises:
            OutOfSpace: ``DISK_FULL``.
            Unavailable: ``DISK_FAILED``.
        """
        async with self._store.translate(f"storing chunk {self._header.chunk_id}"):
            await self._file.sync()
            await self._file.close()

    async def seal(self) -> None:
        """Write everything, and make it durable; as ``write_out`` and ``sync``."""
        await self.write_out()
        await self.sync()

    async def give_name(self) -> None:
        """Put the file into its place, whatever was there; not durable before the directory is synced.

        Raises:
            OSError: the disk failed.
        """
        await self._store.disk.rename(self.path, paths.chunk_path(self._header.chunk_id))
        self._is_dropped = True

    async def store_name(self) -> None:
        """Give the file, which is synced, a name that lasts, where nothing was.

        Raises:
            OSError: whether the name lasts is unknown, and nobody was told that it does: the copy is dropped.
        """
        store, chunk_id = self._store, self._header.chunk_id
        await self.give_name()
        try:
            await store.directory_syncs.sync(paths.chunk_directory(chunk_id))
        except OSError:
            with contextlib.suppress(OSError):
                await store.disk.remove(paths.chunk_path(chunk_id))
            raise

    async def drop(self) -> None:
        """Remove the file, unless it has its name; allowed at any time, never raises."""
        if self._is_dropped:
            return
        self._is_dropped = True
        self._waiting = []
        if self._flush is not None and not self._flush.done():
            self._flush.cancel()
        if self._flush is not None:
            await asyncio.wait([self._flush])
            if not self._flush.cancelled():
                self._flush.exception()  # it was raised already, or nobody is left to hear it
        try:
            await self._file.close()
            await self._store.disk.remove(self.path)
        except FileNotFoundError:
            return
        except OSError as error:
            # The next start removes it; that the disk is suspect is remembered and logged.
            self._store.fail(error, "dropping a chunk")

    def _start_flush(self) -> None:
        # A piece that failed is missing for good: nothing may be written behind it as if it were there.
        self.raise_failure()
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._write_behind())

    async def _write_behind(self) -> None:
        """Write what waits, and what comes meanwhile, as it is due; one write at a time, so the file only grows."""
        try:
            async with self._store.translate(f"writing chunk {self._header.chunk_id}"):
                while self._is_due:
                    batch, count = self._waiting, self._unwritten_count
                    self._waiting, self._waiting_bytes = [], 0
                    await self._file.write_at(self._written_bytes, batch)
                    self._written_bytes += sum(map(len, batch))
                    self._unwritten_count -= count
                    self._room.set()
        finally:
            self._room.set()
