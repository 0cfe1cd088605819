"""Reading chunks: every byte is checked against the footer before it leaves."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from dstore.chunkserver import paths
from dstore.chunkserver.chunkfile import (
    ChunkFooter,
    ChunkHeader,
    check_blocks,
    decode_footer,
    decode_header,
    footer_size_bytes,
)
from dstore.chunkserver.chunkstore import ChunkStore
from dstore.core.checksum import crc32c
from dstore.core.chunks import ChunkStat, Frame, ReadRequest
from dstore.core.environment import DiskFile
from dstore.core.errors import Corrupt, InvalidRequest, NotFound
from dstore.core.ids import ChunkId
from dstore.core.limits import (
    CHECKSUM_BLOCK_SIZE_BYTES,
    CHUNK_FILE_HEADER_SIZE_BYTES,
    FRAME_SIZE_BYTES_MAX,
)

#: Files with checked header and footer that are kept open: a descriptor and about 10 KiB each.
OPEN_CHUNKS_MAX = 128


class OpenChunk:
    """An open chunk file whose header and footer were checked."""

    __slots__ = ("file", "footer", "header", "retired", "users")

    def __init__(self, file: DiskFile, header: ChunkHeader, footer: ChunkFooter) -> None:
        self.file = file
        self.header = header
        self.footer = footer
        self.users = 0
        self.retired = False

    async def read(self, offset: int, length_bytes: int) -> Frame:
        """Return a range that lies within the chunk, after checking the blocks that cover it.

        Raises:
            Corrupt: a block does not match its checksum, or is not there.
        """
        block, skipped = divmod(offset, CHECKSUM_BLOCK_SIZE_BYTES)
        start = offset - skipped
        covered = -(-(skipped + length_bytes) // CHECKSUM_BLOCK_SIZE_BYTES) * CHECKSUM_BLOCK_SIZE_BYTES
        size = min(covered, self.header.length_bytes - start)
        raw = await self.file.read_at(CHUNK_FILE_HEADER_SIZE_BYTES + start, size)
        if len(raw) != size:
            raise Corrupt(
                "The chunk file is shorter than its header says.",
                metadata={"problem": "the file is shorter than its header says"},
            )
        check_blocks(self.footer, block, raw)
        data = memoryview(raw)[skipped : skipped + length_bytes]
        return Frame(offset, crc32c(data), data)


class ChunkReader:
    """Serves ranges of the chunks of a store."""

    def __init__(self, store: ChunkStore, *, open_chunks_max: int = OPEN_CHUNKS_MAX) -> None:
        self._store = store
        self._open_chunks_max = open_chunks_max
        self._open: OrderedDict[ChunkId, OpenChunk] = OrderedDict()

    async def read(self, request: ReadRequest) -> AsyncGenerator[Frame, None]:
        """Yield the range as frames of exactly the size that was asked for, except the last.

        Raises:
            InvalidRequest: ``FRAME_TOO_LARGE``, ``RANGE_INVALID``.
            NotFound: ``CHUNK_NOT_FOUND``.
            Corrupt: ``CHUNK_CORRUPT``.
            Unavailable: ``DISK_FAILED``.
        """
        frame_size = request.frame_size_bytes or FRAME_SIZE_BYTES_MAX
        if not 0 < frame_size <= FRAME_SIZE_BYTES_MAX:
            raise InvalidRequest(
                f"Frames of {frame_size} bytes are asked for; the limit is {FRAME_SIZE_BYTES_MAX}. Ask for less.",
                reason="FRAME_TOO_LARGE",
            )
        async with self._use(request.chunk_id) as chunk:
            end = _end_of_range(request, chunk.header.length_bytes)
            offset = request.offset
            ahead = asyncio.create_task(chunk.read(offset, min(frame_size, end - offset)))
            try:
                while True:
                    frame = await ahead
                    offset += len(frame.data)
                    if offset == end:
                        yield frame
                        return
                    # The disk reads the next frame while the network sends this one.
                    ahead = asyncio.create_task(chunk.read(offset, min(frame_size, end - offset)))
                    yield frame
            finally:
                if not ahead.done():
                    ahead.cancel()
                    await asyncio.wait([ahead])
                elif not ahead.cancelled():
                    ahead.exception()  # nobody waits for it any more

    async def stat(self, chunk_id: ChunkId) -> ChunkStat:
        """Return what header and footer say.

        Raises:
            NotFound: ``CHUNK_NOT_FOUND``.
            Corrupt: ``CHUNK_CORRUPT``.
            Unavailable: ``DISK_FAILED``.
        """
        async with self._use(chunk_id) as chunk:
            header = chunk.header
            return ChunkStat(chunk_id, header.length_bytes, chunk.footer.crc32c, header.descriptor)

    async def verify(self, chunk_id: ChunkId) -> ChunkStat:
        """Read the whole chunk and return what header and footer say.

        Raises:
            NotFound: ``CHUNK_NOT_FOUND``.
            Corrupt: ``CHUNK_CORRUPT``.
            Unavailable: ``DISK_FAILED``.
        """
        async with aclosing(self.read(ReadRequest(chunk_id, 0, 0))) as frames:
            async for _ in frames:
                pass
        return await self.stat(chunk_id)

    async def close(self) -> None:
        """Close all files that nobody reads."""
        while self._open:
            _, chunk = self._open.popitem()
            await self._retire(chunk)

    @asynccontextmanager
    async def _use(self, chunk_id: ChunkId) -> AsyncIterator[OpenChunk]:
        """Lend an open chunk; what goes wrong while it is used becomes an error that names it."""
        if chunk_id in self._store.corrupt:
            raise await self._store.report_corrupt(chunk_id, "it failed a check earlier")
        try:
            async with self._store.translate(f"reading chunk {chunk_id}"):
                chunk = await self._acquire(chunk_id)
                try:
                    yield chunk
                finally:
                    chunk.users -= 1
                    if chunk.retired:
                        await self._retire(chunk)
        except Corrupt as error:
            self._forget(chunk_id)
            raise await self._store.report_corrupt(chunk_id, error.metadata.get("problem", str(error))) from error

    async def _acquire(self, chunk_id: ChunkId) -> OpenChunk:
        chunk = self._open.get(chunk_id)
        unwanted: list[OpenChunk] = []
        if chunk is None:
            opened = await self._open_checked(chunk_id)
            chunk = self._open.setdefault(chunk_id, opened)
            if chunk is not opened:  # somebody else was faster
                unwanted.append(opened)
        # Taken before the next wait, in which others may evict or forget it.
        self._open.move_to_end(chunk_id)
        chunk.users += 1
        while len(self._open) > self._open_chunks_max:
            unwanted.append(self._open.popitem(last=False)[1])
        try:
            for each in unwanted:
                await self._retire(each)
        except BaseException:
            chunk.users -= 1
            raise
        return chunk

    async def _open_checked(self, chunk_id: ChunkId) -> OpenChunk:
        try:
            file = await self._store.disk.open(paths.chunk_path(chunk_id))
        except FileNotFoundError:
            raise NotFound(
                f"{self._store.name} has no chunk {chunk_id}. Ask another member of its group.",
                reason="CHUNK_NOT_FOUND",
                metadata={"chunk_id": str(chunk_id)},
            ) from None
        try:
            page = await file.read_at(0, CHUNK_FILE_HEADER_SIZE_BYTES)
            header = decode_header(page)
            belongs = header.chunk_id == chunk_id and header.cluster_id == self._store.identity.cluster_id
            if not belongs:
                problem = f"the file is that of chunk {header.chunk_id} of cluster {header.cluster_id}"
                raise Corrupt("The chunk file is misplaced.", metadata={"problem": problem})
            # One byte more, to notice a file that is too long.
            size = footer_size_bytes(header.length_bytes) + 1
            raw = await file.read_at(CHUNK_FILE_HEADER_SIZE_BYTES + header.length_bytes, size)
            return OpenChunk(file, header, decode_footer(page, header, raw))
        except BaseException:
            await file.close()
            raise

    def _forget(self, chunk_id: ChunkId) -> None:
        chunk = self._open.pop(chunk_id, None)
        if chunk is not None:
            chunk.retired = True

    async def _retire(self, chunk: OpenChunk) -> None:
        """Close the file now, or when its last reader leaves."""
        chunk.retired = True
        if chunk.users == 0:
            await chunk.file.close()


def _end_of_range(request: ReadRequest, length_bytes: int) -> int:
    """Return the end of the range that is asked for; it must have at least one byte."""
    end = request.offset + request.length_bytes if request.length_bytes else length_bytes
    if not 0 <= request.offset < end <= length_bytes:
        raise InvalidRequest(
            f"The range of {request.length_bytes} bytes at {request.offset} does not lie within chunk "
            f"{request.chunk_id}, which has {length_bytes} bytes. Ask for bytes that it has.",
            reason="RANGE_INVALID",
            metadata={
                "offset": str(request.offset),
                "length_bytes": str(request.length_bytes),
                "chunk_length_bytes": str(length_bytes),
            },
        )
    return end
