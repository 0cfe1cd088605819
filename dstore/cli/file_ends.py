"""The two ends of a file, found with few short reads."""

from collections.abc import AsyncIterator, Awaitable, Callable

from dstore.core.limits import KIB, MIB

#: Reads bytes: offset and length, both within the file.
Read = Callable[[int, int], Awaitable[bytes]]

#: What is read first, and each time twice as much, up to the second: ten lines are short, a million are not.
PIECE_SIZE_BYTES_MIN = 64 * KIB
PIECE_SIZE_BYTES_MAX = 4 * MIB


async def first_lines(read: Read, size_bytes: int, lines: int) -> AsyncIterator[bytes]:
    """Yield the first lines of a file in pieces. What is after the last newline is a line too."""
    offset, length = 0, PIECE_SIZE_BYTES_MIN
    while lines > 0 and offset < size_bytes:
        data = await read(offset, min(length, size_bytes - offset))
        end = 0
        while lines > 0 and end < len(data):
            newline = data.find(b"\n", end)
            if newline < 0:
                end = len(data)
            else:
                end, lines = newline + 1, lines - 1
        yield data[:end]
        offset += len(data)
        length = min(2 * length, PIECE_SIZE_BYTES_MAX)


async def start_of_last_lines(read: Read, size_bytes: int, lines: int) -> int:
    """Return where the last lines of a file begin. A newline at the end of the file ends its last line."""
    if lines == 0:
        return size_bytes
    # The last byte begins no line after it.
    end, length = size_bytes - 1, PIECE_SIZE_BYTES_MIN
    while end > 0:
        start = max(0, end - length)
        data = await read(start, end - start)
        newline = len(data)
        while (newline := data.rfind(b"\n", 0, newline)) >= 0:
            lines -= 1
            if lines == 0:
                return start + newline + 1
        end, length = start, min(2 * length, PIECE_SIZE_BYTES_MAX)
    return 0


async def pieces(read: Read, start: int, end: int) -> AsyncIterator[bytes]:
    """Yield the bytes from ``start`` to before ``end``, in pieces."""
    while start < end:
        data = await read(start, min(PIECE_SIZE_BYTES_MAX, end - start))
        yield data
        start += len(data)
