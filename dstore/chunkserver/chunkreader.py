"""Reading chunks: every byte is checked against the footer before it leaves."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.openchunk import OpenChunk, open_checked
from dstore.core.chunks import ChunkStat, Frame, ReadRequest
from dstore.core.errors import Corrupt, DstoreError, InvalidRequest, NotFound
from dstore.core.ids import ChunkId
from dstore.core.limits import FRAME_SIZE_BYTES_MAX, OPEN_CHUNKS_MAX
from dstore.rpc.read_messages import ReadMessages


@dataclass(eq=False, slots=True)
class _Opening:
    """A file that is being opened; it is overtaken when the chunk is removed or replaced meanwhile."""

    chunk_id: ChunkId
    is_overtaken: bool = False


class ChunkReader:
    """Serves ranges of the chunks of a store."""

    def __init__(self, store: ChunkStore, *, open_chunks_max: int = OPEN_CHUNKS_MAX) -> None:
        self._store = store
        self._open_chunks_max = open_chunks_max
        self._open: OrderedDict[ChunkId, OpenChunk] = OrderedDict()
        self._lent: list[OpenChunk] = []
        self._openings: list[_Opening] = []
        self._messages = ReadMessages()
        store.watch(self._dismiss)

    async def read(self, request: ReadRequest) -> AsyncGenerator[Frame, None]:
        """Yield the range as frames of exactly the size that was asked for, except the last.

        Raises:
            InvalidRequest: ``FRAME_TOO_LARGE``, ``RANGE_INVALID``.
            NotFound: ``CHUNK_NOT_FOUND``.
            Corrupt: ``CHUNK_CORRUPT``.
            Unavailable: ``DISK_FAILED``.
        """
        frame_size = request.frame_size_bytes or FRAME_SIZE_BYTES_MAX
        _check_frame_size(frame_size)
        async with self._use(request.chunk_id) as chunk:
            end = _end_of_range(request, chunk.header.length_bytes)
            offset = request.offset
            ahead = asyncio.create_task(chunk.read(offset, min(frame_size, end - offset), self._messages))
            try:
                while True:
                    frame = await ahead
                    if chunk.is_gone:
                        raise self._not_here(request.chunk_id)
                    offset += len(frame.data)
                    if offset == end:
                        yield frame
                        return
                    # The disk reads the next frame while the network sends this one.
                    ahead = asyncio.create_task(chunk.read(offset, min(frame_size, end - offset), self._messages))
                    yield frame
            finally:
                if not ahead.done():
                    ahead.cancel()
                    await asyncio.wait([ahead])
                elif not ahead.cancelled():
                    ahead.exception()  # nobody waits for it any more

    async def read_range(self, request: ReadRequest) -> Frame:
        """Return the range as one frame.

        Raises:
            InvalidRequest: ``FRAME_TOO_LARGE``, ``RANGE_INVALID``.
            NotFound: ``CHUNK_NOT_FOUND``.
            Corrupt: ``CHUNK_CORRUPT``.
            Unavailable: ``DISK_FAILED``.
        """
        _check_frame_size(request.length_bytes)
        async with self._use(request.chunk_id) as chunk:
            _end_of_range(request, chunk.header.length_bytes)
            frame = await chunk.read(request.offset, request.length_bytes, self._messages)
            if chunk.is_gone:
                raise self._not_here(request.chunk_id)
            return frame

    async def stat(self, chunk_id: ChunkId) -> ChunkStat:
        """Return what header and footer say.

        Raises:
            NotFound: ``CHUNK_NOT_FOUND``.
            Corrupt: ``CHUNK_CORRUPT``.
            Unavailable: ``DISK_FAILED``.
        """
        async with self._use(chunk_id) as chunk:
            return chunk.stat

    @asynccontextmanager
    async def lend(self, chunk_id: ChunkId) -> AsyncIterator[OpenChunk]:
        """Open the file of a chunk for somebody else, after the checks that come before reading.

        Every call opens it anew: flags and position of an open file belong to all who share it.

        Raises:
            NotFound: ``CHUNK_NOT_FOUND``.
            Corrupt: ``CHUNK_CORRUPT``.
            Unavailable: ``DISK_FAILED``.
        """
        if chunk_id in self._store.corrupt:
            raise await self._store.report_corrupt(chunk_id, "it failed a check earlier")
        async with self._store.translate(f"opening chunk {chunk_id}"):
            try:
                chunk = await self._open_current(chunk_id)
            except Corrupt as error:
                raise await self._report(chunk_id, error) from error
        try:
            yield chunk
        finally:
            await chunk.file.close()

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
            try:
                chunk = await self._acquire(chunk_id)
            except Corrupt as error:
                raise await self._report(chunk_id, error) from error
            try:
                yield chunk
            except Corrupt as error:
                # Between this look and the report nobody may wait: what is wrong with a file that is gone says nothing
                # about the one that took its place.
                if chunk.is_gone:
                    raise self._not_here(chunk_id) from error
                raise await self._report(chunk_id, error) from error
            finally:
                self._give_back(chunk)
                if chunk.is_retired:
                    await self._retire(chunk)
        except DstoreError:
            raise
        except OSError as error:
            raise self._store.fail(error, f"reading chunk {chunk_id}") from error

    async def _report(self, chunk_id: ChunkId, error: Corrupt) -> Corrupt:
        self._forget(chunk_id)
        return await self._store.report_corrupt(chunk_id, error.metadata.get("problem", str(error)))

    async def _acquire(self, chunk_id: ChunkId) -> OpenChunk:
        chunk = self._open.get(chunk_id)
        unwanted: list[OpenChunk] = []
        if chunk is None:
            opened = await self._open_current(chunk_id)
            chunk = self._open.setdefault(chunk_id, opened)
            if chunk is not opened:  # somebody else was faster
                unwanted.append(opened)
        # Taken before the next wait, in which others may evict or forget it.
        self._open.move_to_end(chunk_id)
        chunk.users += 1
        self._lent.append(chunk)
        while len(self._open) > self._open_chunks_max:
            unwanted.append(self._open.popitem(last=False)[1])
        try:
            for each in unwanted:
                await self._retire(each)
        except BaseException:
            self._give_back(chunk)
            raise
        return chunk

    def _give_back(self, chunk: OpenChunk) -> None:
        chunk.users -= 1
        self._lent.remove(chunk)

    async def _open_current(self, chunk_id: ChunkId) -> OpenChunk:
        """Open the file that is the chunk's when this returns."""
        while True:
            opening = _Opening(chunk_id)
            self._openings.append(opening)
            try:
                chunk = await self._open_either(chunk_id)
            except FileNotFoundError:
                raise self._not_here(chunk_id) from None
            except Corrupt:
                if not opening.is_overtaken:
                    raise
                continue
            finally:
                self._openings.remove(opening)
            if not opening.is_overtaken:
                return chunk
            await chunk.file.close()

    async def _open_either(self, chunk_id: ChunkId) -> OpenChunk:
        """Open the file of a chunk where it is: one that is unsynced gets its name at any moment."""
        store = self._store
        *earlier, named = store.unsynced.paths_of(chunk_id)
        for path in earlier:
            with contextlib.suppress(FileNotFoundError):
                return await open_checked(store.disk, path, chunk_id, store.identity.cluster_id)
        return await open_checked(store.disk, named, chunk_id, store.identity.cluster_id)

    async def _dismiss(self, chunk_id: ChunkId) -> None:
        """Let no byte leave any more of the file that a chunk had until now."""
        for opening in self._openings:
            if opening.chunk_id == chunk_id:
                opening.is_overtaken = True
        for chunk in [chunk for chunk in self._lent if chunk.header.chunk_id == chunk_id]:
            chunk.is_gone = True
        unused = self._open.pop(chunk_id, None)
        if unused is not None:
            unused.is_gone = True
            await self._retire(unused)

    def _not_here(self, chunk_id: ChunkId) -> NotFound:
        return NotFound(
            f"{self._store.name} has no chunk {chunk_id}. Ask another member of its group.",
            reason="CHUNK_NOT_FOUND",
            metadata={"chunk_id": str(chunk_id)},
        )

    def _forget(self, chunk_id: ChunkId) -> None:
        chunk = self._open.pop(chunk_id, None)
        if chunk is not None:
            chunk.is_retired = True

    async def _retire(self, chunk: OpenChunk) -> None:
        """Close the file now, or when its last reader leaves."""
        chunk.is_retired = True
        if chunk.users == 0:
            await chunk.file.close()


def _check_frame_size(size_bytes: int) -> None:
    if not 0 < size_bytes <= FRAME_SIZE_BYTES_MAX:
        raise InvalidRequest(
            f"Frames of {size_bytes} bytes are asked for; they have 1 to {FRAME_SIZE_BYTES_MAX}. Ask for less.",
            reason="FRAME_TOO_LARGE",
        )


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
