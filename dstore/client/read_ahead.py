"""Reads ahead of a caller that reads in sequence, and leaves one that jumps about alone."""

import asyncio
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass

from dstore.client.reader import FileReader
from dstore.core.limits import (
    CHUNKS_IN_FLIGHT_READ,
    LOCAL_PART_SIZE_BYTES,
    READ_AHEAD_SIZE_BYTES_MAX,
    READ_AHEAD_SIZE_BYTES_MIN,
    SEGMENT_SIZE_BYTES,
)


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """A range that is being fetched, or is there."""

    start: int
    length: int
    buffer: bytearray
    task: asyncio.Task[None]

    @property
    def end(self) -> int:
        return self.start + self.length


class ReadAhead:
    """Serves reads at any position; while they follow each other, the next windows are already on their way.

    The first windows are few and small, and double: whoever reads only a header pays for little more than that.
    """

    def __init__(self, reader: FileReader) -> None:
        self._reader = reader
        self._windows: deque[_Window] = deque()
        self._spare_buffers: list[bytearray] = []
        self._next_offset = 0
        self._window_size_bytes = READ_AHEAD_SIZE_BYTES_MIN
        self._windows_max = 0

    async def read_into(self, offset: int, out: memoryview) -> None:
        """Fill ``out``; the range must lie within the file.

        Raises:
            DstoreError: as ``FileReader.read_into``.
        """
        if len(out) >= 2 * LOCAL_PART_SIZE_BYTES and self._reader.is_local:
            # There is no way whose time could be hidden, and a window costs a copy, which is most of what is left.
            await self.stop()
            await self._reader.read_into(offset, out)
            self._next_offset = offset + len(out)
            return
        if offset == self._next_offset:
            self._windows_max = min(self._windows_max + 1, CHUNKS_IN_FLIGHT_READ)
        else:
            await self.stop()
        end = offset + len(out)
        position = offset
        while position < end:
            window = self._windows[0] if self._windows else None
            if window is None:
                # What no window covers is fetched straight into place, and what follows it at the same time.
                self._fill(end)
                await self._guard(self._reader.read_into(position, out[position - offset :]))
                break
            await self._guard(asyncio.shield(window.task))
            begin = position - window.start
            size = min(window.length - begin, end - position)
            out[position - offset : position - offset + size] = memoryview(window.buffer)[begin : begin + size]
            position += size
            if position == window.end:
                self._spare_buffers.append(self._windows.popleft().buffer)
                self._fill(position)
        self._next_offset = end
        self._fill(end)

    async def stop(self) -> None:
        """Give up what is on its way; the next read that follows another starts small again."""
        windows, self._windows = self._windows, deque()
        self._spare_buffers.clear()
        self._window_size_bytes = READ_AHEAD_SIZE_BYTES_MIN
        self._windows_max = 0
        if windows:
            for window in windows:
                window.task.cancel()
            await asyncio.gather(*(window.task for window in windows), return_exceptions=True)

    async def _guard(self, step: Awaitable[None]) -> None:
        try:
            await step
        except BaseException:
            await self.stop()
            raise

    def _fill(self, start: int) -> None:
        """Start windows behind those that are there, or at ``start`` if there are none."""
        if self._windows:
            start = self._windows[-1].end
        while len(self._windows) < self._windows_max and start < self._reader.size_bytes:
            end = self._window_end(start)
            buffer = self._take_buffer(end - start)
            work = self._reader.read_into(start, memoryview(buffer)[: end - start])
            self._windows.append(_Window(start, end - start, buffer, asyncio.create_task(work)))
            self._window_size_bytes = min(2 * self._window_size_bytes, READ_AHEAD_SIZE_BYTES_MAX)
            start = end

    def _window_end(self, start: int) -> int:
        """Return where a window from ``start`` ends: with a segment, and with its chunk, so that it is one stream."""
        chunk_size_bytes = self._reader.file.manifest.chunk_size_bytes
        end = start + self._window_size_bytes
        chunk_end = start - start % chunk_size_bytes + chunk_size_bytes
        return min(end - end % SEGMENT_SIZE_BYTES, chunk_end, self._reader.size_bytes)

    def _take_buffer(self, size: int) -> bytearray:
        while self._spare_buffers:
            buffer = self._spare_buffers.pop()
            if len(buffer) >= size:
                return buffer
        return bytearray(size)
