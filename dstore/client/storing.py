"""Stores whole files: small ones with one call to the master, all others in chunks."""

from pathlib import Path
from weakref import WeakSet

from dstore.client.contact import Contact
from dstore.client.local_files import LocalSource
from dstore.client.session import Progress
from dstore.client.writer import FileWriter
from dstore.core.chunks import Durability, parse_durability
from dstore.core.files import FileInfo, Precondition
from dstore.core.limits import INLINE_SIZE_BYTES_MAX


class Storing:
    """The writes of one client."""

    def __init__(self, contact: Contact, durability: Durability) -> None:
        self._contact = contact
        self._default = durability
        self._writers: WeakSet[FileWriter] = WeakSet()

    async def discard_all(self) -> None:
        """Give up what is still being written."""
        for writer in tuple(self._writers):
            await writer.discard()

    async def begin(
        self,
        path: str,
        precondition: Precondition,
        *,
        size_bytes: int | None,
        is_exact: bool = False,
        durability: str | None = None,
        progress: Progress | None = None,
    ) -> FileWriter:
        """Start to write a file in chunks; see ``FileWriter.begin``."""
        writer = await FileWriter.begin(
            await self._contact.session(),
            path,
            precondition=precondition,
            size_bytes=size_bytes,
            is_exact=is_exact,
            durability=self.durability(durability),
            progress=progress,
        )
        self._writers.add(writer)
        return writer

    async def put(
        self, path: str, precondition: Precondition, data: memoryview, *, durability: str | None = None
    ) -> FileInfo:
        """Store ``data``; raises as ``AsyncClient.put``."""
        self.durability(durability)
        if len(data) <= INLINE_SIZE_BYTES_MAX:
            return await (await self._contact.small_files()).put(path, precondition, bytes(data))
        async with await self.begin(
            path, precondition, size_bytes=len(data), is_exact=True, durability=durability
        ) as writer:
            for start in range(0, len(data), writer.chunk_size_bytes):
                await writer.write_chunk(data[start : start + writer.chunk_size_bytes])
            return await writer.finish()

    async def put_file(
        self,
        local: Path,
        path: str,
        precondition: Precondition,
        *,
        durability: str | None = None,
        progress: Progress | None,
    ) -> FileInfo:
        """Store a local file; raises as ``AsyncClient.put_file``."""
        self.durability(durability)
        async with LocalSource(local) as source:
            # Whether it is small is seen by reading it: it may be a pipe, and it may grow.
            start = bytearray(INLINE_SIZE_BYTES_MAX + 1)
            is_large = source.size_bytes is not None and source.size_bytes > INLINE_SIZE_BYTES_MAX
            start_size_bytes = 0 if is_large else await source.fill(memoryview(start))
            if not is_large and start_size_bytes <= INLINE_SIZE_BYTES_MAX:
                content = bytes(memoryview(start)[:start_size_bytes])
                info = await (await self._contact.small_files()).put(path, precondition, content)
                if progress is not None and content:
                    progress(len(content))
                return info
            async with await self.begin(
                path, precondition, size_bytes=source.size_bytes, durability=durability, progress=progress
            ) as writer:
                while True:
                    buffer = await writer.take_buffer()
                    # A chunk may be smaller than what was read already.
                    filled = min(start_size_bytes, len(buffer))
                    buffer[:filled] = memoryview(start)[:filled]
                    del start[:filled]
                    start_size_bytes -= filled
                    filled += await source.fill(memoryview(buffer)[filled:])
                    if filled:
                        await writer.write_chunk(memoryview(buffer)[:filled], buffer=buffer)
                    if filled < len(buffer):
                        return await writer.finish()

    def durability(self, durability: str | None) -> Durability:
        """Return what is promised of a write that asks for ``durability``, or for none.

        Raises:
            InvalidRequest: ``DURABILITY_INVALID``.
        """
        return self._default if durability is None else parse_durability(durability, what="The durability")
