"""Reads ahead of a caller that reads in sequence, and leaves one that jumps about alone."""

import asyncio
from collections import deque
from dataclasses import dataclass

from dstore.client.reader import FileReader
from dstore.core.limits import (
    CHUNKS_IN_FLIGHT_READ,
    READ_AHEAD_SIZE_BYTES_MAX,
    READ_AHEAD_SIZE_BYTES_MIN,
    SEGMENT_SIZE_BYTES,
)


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """A range that is being fetched, or is there."""

    start: int
    buffer: bytearray
    data: memoryview
    task: asyncio.Task[None]

    @property
    def end(self) -> int:
        return self.start + len(self.data)


class ReadAhead:
    """Serves reads at any position; while they follow each other, the next windows are already on their way.

    The first windows are few and small, and double: whoever reads only a header pays for little more than that.
    """

    def __init__(self, reader: FileReader) -> None:
        self._reader = reader
        self._windows: deque[_Window] = deque()
        self._next_offset = 0
        self._window_size_bytes = READ_AHEAD_SIZE_BYTES_MIN
        self._windows_max = 1
        self._spare: list[bytearray] = []

    async def read_into(self, offset: int, out: memoryview) -> None:
        """Fill ``out``; the range must lie within the file.

        Raises:
            DstoreError: as ``FileReader.read_into``.
        """
        if offset != self._next_offset:
            await self.stop()
        position, filled = offset, 0
        while filled < len(out):
            window = self._covering(position)
            if window is None:
                # What no window covers is fetched as one range, with several chunks in flight.
                await self._reader.read_into(position, out[filled:])
                position, filled = offset + len(out), len(out)
                break
            await self._wait(window)
            begin = position - window.start
            size = min(len(window.data) - begin, len(out) - filled)
            out[filled : filled + size] = window.data[begin : begin + size]
            position, filled = position + size, filled + size
        self._next_offset = position
        self._fill()

    async def stop(self) -> None:
        """Give up what is on its way, and start small again."""
        windows, self._windows = self._windows, deque()
        for window in windows:
            window.task.cancel()
        await asyncio.gather(*(window.task for window in windows), return_exceptions=True)
        self._window_size_bytes = READ_AHEAD_SIZE_BYTES_MIN
        self._windows_max = 1

    def _covering(self, position: int) -> _Window | None:
        while self._windows and self._windows[0].end <= position:
            used = self._windows.popleft().buffer
            # Memory that was touched before is several times faster to fill than fresh memory.
            if len(used) == READ_AHEAD_SIZE_BYTES_MAX:
                self._spare.append(used)
        return self._windows[0] if self._windows and self._windows[0].start <= position else None

    async def _wait(self, window: _Window) -> None:
        try:
            await asyncio.shield(window.task)
        except BaseException:
            await self.stop()
            raise

    def _fill(self) -> None:
        """Start windows behind those that are there."""
        start = self._windows[-1].end if self._windows else self._next_offset
        while len(self._windows) < self._windows_max and start < self._reader.size_bytes:
            end = start + self._window_size_bytes
            end = min(end - end % SEGMENT_SIZE_BYTES, self._reader.size_bytes)
            buffer = self._spare.pop() if self._spare else bytearray(self._window_size_bytes)
            data = memoryview(buffer)[: end - start]
            task = asyncio.create_task(self._reader.read_into(start, data))
            self._windows.append(_Window(start, buffer, data, task))
            self._window_size_bytes = min(2 * self._window_size_bytes, READ_AHEAD_SIZE_BYTES_MAX)
            start = end
        self._windows_max = min(self._windows_max + 1, CHUNKS_IN_FLIGHT_READ)
