"""Reads ahead of a caller that reads in sequence, and leaves one that jumps about alone."""

import asyncio
import functools
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass

from dstore.client.held_range import HeldRange
from dstore.client.reader import FileReader
from dstore.core.errors import Corrupt
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
    held: HeldRange
    task: asyncio.Task[None]

    @property
    def end(self) -> int:
        return self.start + self.length

    async def read_into(self, out: memoryview) -> None:
        """Fill ``out`` with the next bytes; the last ones are there only when the end of the range is authentic, too.

        Raises:
            Corrupt: what came does not authenticate.
            DstoreError: as ``FileReader.fetch``.
        """
        held = self.held
        done = 0
        while done < len(out) or (held.is_taken and not held.is_over):
            if held.is_ready:
                done += held.take(out[done:])
                # What comes meanwhile must not wait until everything is decrypted that came before.
                await asyncio.sleep(0)
            elif self.task.done():
                self.task.result()
                raise AssertionError("a fetch that succeeds brings everything")
            else:
                await held.arrival()


class ReadAhead:
    """Serves reads at any position; while they follow each other, the next windows are already on their way.

    The first windows are few and small, and double: whoever reads only a header pays for little more than that.
    """

    def __init__(self, reader: FileReader) -> None:
        self._reader = reader
        self._windows: deque[_Window] = deque()
        #: Windows that were read up to their end, and whose streams are still to be.
        self._ending: set[asyncio.Task[None]] = set()
        self._next_offset = 0
        self._window_size_bytes = READ_AHEAD_SIZE_BYTES_MIN
        self._windows_max = 0

    async def read_into(self, offset: int, out: memoryview) -> None:
        """Fill ``out``; the range must lie within the file.

        Raises:
            DstoreError: as ``FileReader.read_into``.
        """
        is_local = len(out) >= 2 * LOCAL_PART_SIZE_BYTES and self._reader.is_local
        if is_local or self._reader.file.manifest.content:
            # There is no way whose time could be hidden.
            await self.stop()
            await self._reader.read_into(offset, out)
            self._next_offset = offset + len(out)
            return
        if offset == self._next_offset:
            if self._windows_max:
                # Whoever reads much at once, again and again, gets windows that are worth a stream.
                self._window_size_bytes = min(max(self._window_size_bytes, len(out)), READ_AHEAD_SIZE_BYTES_MAX)
            self._windows_max = min(self._windows_max + 1, CHUNKS_IN_FLIGHT_READ)
        else:
            await self.stop()
        await self._guard(self._read_into(offset, out))
        self._next_offset = offset + len(out)
        self._fill(self._next_offset)

    async def stop(self) -> None:
        """Give up what is on its way; the next read that follows another starts small again."""
        tasks = [*(window.task for window in self._windows), *self._ending]
        self._windows.clear()
        self._window_size_bytes = READ_AHEAD_SIZE_BYTES_MIN
        self._windows_max = 0
        if tasks:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read_into(self, offset: int, out: memoryview) -> None:
        done = 0
        while done < len(out):
            position = offset + done
            if not self._windows:
                # What no window covers is fetched straight into place, and what follows it at the same time.
                self._fill(offset + len(out))
                await self._reader.read_into(position, out[done:])
                return
            window = self._windows[0]
            target = out[done : done + window.end - position]
            try:
                await window.read_into(target)
            except Corrupt:
                # Which replicas are good, those find out that see to each frame before they go on.
                await self.stop()
                await self._reader.read_into(position, out[done:])
                return
            done += len(target)
            if window.held.is_over:
                self._retire(self._windows.popleft())
                self._fill(window.end)

    async def _guard(self, step: Awaitable[None]) -> None:
        try:
            await step
        except BaseException:
            await self.stop()
            raise

    def _retire(self, window: _Window) -> None:
        """Let the stream of a window come to its end by itself."""
        if not window.task.done():
            self._ending.add(window.task)
            window.task.add_done_callback(self._ending.discard)

    def _fill(self, start: int) -> None:
        """Start windows behind those that are there, or at ``start`` if there are none."""
        if self._windows:
            start = self._windows[-1].end
        while len(self._windows) < self._windows_max and start < self._reader.size_bytes:
            end = self._window_end(start)
            held = self._reader.hold(start, end - start)
            task = asyncio.create_task(self._reader.fetch(start, held))
            task.add_done_callback(functools.partial(_note_end, held))
            self._windows.append(_Window(start, end - start, held, task))
            self._window_size_bytes = min(2 * self._window_size_bytes, READ_AHEAD_SIZE_BYTES_MAX)
            start = end

    def _window_end(self, start: int) -> int:
        """Return where a window from ``start`` ends: with a segment, and with its chunk, so that it is one stream."""
        chunk_size_bytes = self._reader.file.manifest.chunk_size_bytes
        end = start + self._window_size_bytes
        chunk_end = start - start % chunk_size_bytes + chunk_size_bytes
        return min(end - end % SEGMENT_SIZE_BYTES, chunk_end, self._reader.size_bytes)


def _note_end(held: HeldRange, task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()  # who reads so far hears of it; often nobody does
    held.wake()
