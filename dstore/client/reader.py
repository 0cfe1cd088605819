"""Reads ranges of one opened file: several chunks in flight, each from whichever replica can give it."""

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

from dstore.client.chunk_fetching import fetch, fetch_range
from dstore.client.concurrency import run_together
from dstore.client.held_range import HeldRange
from dstore.client.opening import VerifiedFile, chunk_length
from dstore.client.session import Progress, Session
from dstore.core.limits import CHUNK_SIZE_BYTES_MAX, CHUNKS_IN_FLIGHT_READ, LOCAL_PART_SIZE_BYTES, SEGMENT_SIZE_BYTES

#: Takes the plaintext of one chunk, and the chunk's place in the file.
Sink = Callable[[int, memoryview], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a range that lies in one chunk.

    Attributes:
        offset: in the chunk.
        start: in the range.
    """

    chunk_index: int
    offset: int
    start: int
    length: int


def split_range(
    offset: int, length: int, chunk_size_bytes: int, *, part_size_bytes: int | None = None
) -> Iterator[Piece]:
    """Yield the parts of a range, chunk by chunk, and within chunks in parts of a size if there is one."""
    position, end = offset, offset + length
    part_size_bytes = part_size_bytes or chunk_size_bytes
    while position < end:
        index, inner = divmod(position, chunk_size_bytes)
        size = min(chunk_size_bytes - inner, part_size_bytes - inner % part_size_bytes, end - position)
        yield Piece(index, inner, position - offset, size)
        position += size


def _local_part_size(length: int) -> int:
    """Return in which parts threads read so much on this machine: handing over a part takes as long as reading some."""
    return max(LOCAL_PART_SIZE_BYTES, -(-length // (CHUNKS_IN_FLIGHT_READ * SEGMENT_SIZE_BYTES)) * SEGMENT_SIZE_BYTES)


class FileReader:
    """Reads one version of a file; whatever happens to the path meanwhile, all bytes are of that version."""

    def __init__(self, session: Session, file: VerifiedFile) -> None:
        self._session = session
        self.file = file

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return self.file.manifest.size_bytes

    @property
    def is_local(self) -> bool:
        """Whether what was read last came from a disk of this machine: there is no way to hide then."""
        return self._session.local is not None and self._session.local.is_serving

    async def read_into(self, offset: int, out: memoryview, *, progress: Progress | None = None) -> None:
        """Fill ``out`` from ``offset`` on; the range must lie within the file.

        Raises:
            DstoreError: as ``fetch_range``; what is in ``out`` then must not be used.
        """
        self._session.guard.check()
        content = self.file.manifest.content
        if content:
            out[:] = memoryview(content)[offset : offset + len(out)]
            if progress is not None:
                progress(len(out))
            return
        part_size_bytes = _local_part_size(len(out)) if self.is_local else None
        pieces = split_range(offset, len(out), self.file.manifest.chunk_size_bytes, part_size_bytes=part_size_bytes)
        done = 0

        async def work() -> None:
            nonlocal done
            for piece in pieces:
                target = out[piece.start : piece.start + piece.length]
                await fetch_range(self._session, self.file, piece.chunk_index, piece.offset, target)
                done += piece.length
                if progress is not None:
                    progress(done)

        await self._run_workers(work, self._parts_touched(offset, len(out), part_size_bytes))

    def hold(self, offset: int, length: int) -> HeldRange:
        """Return a range, within one chunk and up to the end of a segment, for ``fetch`` to get."""
        index, inner = divmod(offset, self.file.manifest.chunk_size_bytes)
        return HeldRange(self.file, self.file.records[index], inner, length)

    async def fetch(self, offset: int, held: HeldRange) -> None:
        """Get what ``hold`` returned for ``offset``.

        Raises:
            DstoreError: as ``fetch_range``.
        """
        self._session.guard.check()
        record = self.file.records[offset // self.file.manifest.chunk_size_bytes]
        await fetch(self._session, self.file, record, held)

    async def read_chunks(self, sink: Sink, *, progress: Progress | None = None) -> None:
        """Pass every chunk to ``sink``, in any order, several at once; memory stays bounded.

        Raises:
            DstoreError: as ``fetch_range``, and what ``sink`` raises.
        """
        manifest = self.file.manifest
        if manifest.content:
            await sink(0, memoryview(manifest.content))
            if progress is not None:
                progress(manifest.size_bytes)
            return
        indexes = iter(range(manifest.chunk_count))
        done = 0

        async def work() -> None:
            nonlocal done
            buffer = memoryview(bytearray(min(manifest.chunk_size_bytes, manifest.size_bytes)))
            for index in indexes:
                target = buffer[: chunk_length(manifest, index)]
                await fetch_range(self._session, self.file, index, 0, target)
                await sink(index * manifest.chunk_size_bytes, target)
                done += len(target)
                if progress is not None:
                    progress(done)

        await self._run_workers(work, manifest.chunk_count)

    def _parts_touched(self, offset: int, length: int, part_size_bytes: int | None) -> int:
        size_bytes = min(self.file.manifest.chunk_size_bytes, part_size_bytes or CHUNK_SIZE_BYTES_MAX)
        return (offset + length - 1) // size_bytes - offset // size_bytes + 1 if length else 0

    async def _run_workers(self, work: Callable[[], Coroutine[Any, Any, None]], chunk_count: int) -> None:
        if chunk_count == 1:
            await work()
        else:
            await run_together(work() for _ in range(min(CHUNKS_IN_FLIGHT_READ, chunk_count)))
