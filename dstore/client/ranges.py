"""Several ranges of one file at once: neighbours are fetched together, and no segment is fetched twice.

``plan`` is pure. Ranges that overlap, or lie close to each other, make a run; a run is cut, where segments end, into
fetches of one frame at most. A range that has a run for itself is one fetch, which goes straight into its place.
"""

import io
import operator
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from dstore.client.arguments import check_range
from dstore.client.concurrency import run_together
from dstore.client.reader import FileReader
from dstore.core.errors import InvalidRequest, LimitExceeded
from dstore.core.limits import (
    FRAME_SEGMENTS,
    MIB,
    RANGE_FETCHES_IN_FLIGHT,
    RANGE_GAP_SIZE_BYTES_MAX,
    RANGES_MAX,
    RANGES_SIZE_BYTES_MAX,
    SEGMENT_SIZE_BYTES,
)

#: Offset and length; no length means to the end of the file.
Range = tuple[int, int | None]

#: What one frame holds, in plaintext.
_STRIDE_SIZE_BYTES = FRAME_SEGMENTS * SEGMENT_SIZE_BYTES


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of the file, from ``start`` to before ``end``, that belong to one of the ranges."""

    range_index: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Fetch:
    """Bytes of the file that are fetched together, and whose they are; a byte may be of several ranges, or of none."""

    start: int
    end: int
    spans: tuple[Span, ...]

    @property
    def is_of_one_range(self) -> bool:
        """Whether every byte is of the same one range."""
        return len(self.spans) == 1


def check_ranges(ranges: Sequence[Range], offset: int = 0, length: int | None = None) -> tuple[Range, ...]:
    """Return the ranges that a caller asks for.

    Raises:
        InvalidRequest: reason ``RANGE_INVALID``: one is no pair of whole numbers, or negative; or there is also an
            offset or a length for a single range.
        LimitExceeded: reason ``TOO_MANY_RANGES``.
    """
    if offset != 0 or length is not None:
        raise InvalidRequest("Give an offset and a length, or ranges, but not both.", reason="RANGE_INVALID")
    if not isinstance(ranges, Collection):
        raise InvalidRequest(
            f"The ranges are no list but {type(ranges).__name__}; give a list of pairs of offset and length.",
            reason="RANGE_INVALID",
        )
    if len(ranges) > RANGES_MAX:
        raise LimitExceeded(
            f"{len(ranges)} ranges are asked for at once; the limit is {RANGES_MAX}. Ask for them in several calls.",
            reason="TOO_MANY_RANGES",
            metadata={"range_count": str(len(ranges)), "range_count_max": str(RANGES_MAX)},
        )
    return tuple(_checked(index, each) for index, each in enumerate(ranges))


def _checked(index: int, value: Range) -> Range:
    try:
        offset, length = value
        # Whole numbers of any kind, but no fractions.
        start, size = operator.index(offset), None if length is None else operator.index(length)
    except (TypeError, ValueError):
        start, size = -1, None
    if start < 0 or (size is not None and size < 0):
        raise InvalidRequest(
            f"Range {index} is {value!r:.100}. A range is an offset and a length in bytes, neither of them negative; "
            "the length may be None, for all that follows.",
            reason="RANGE_INVALID",
            metadata={"range_index": str(index)},
        )
    return start, size


def clip(ranges: Sequence[Range], size_bytes: int) -> tuple[Span, ...]:
    """Return what there is of each range in a file of this size, in order."""
    return tuple(
        Span(index, min(offset, size_bytes), size_bytes if length is None else min(offset + length, size_bytes))
        for index, (offset, length) in enumerate(ranges)
    )


def _check_total(spans: Sequence[Span]) -> None:
    total = sum(span.end - span.start for span in spans)
    if total > RANGES_SIZE_BYTES_MAX:
        raise LimitExceeded(
            f"The ranges have {total} bytes together; one call returns {RANGES_SIZE_BYTES_MAX // MIB} MiB at most. "
            "Ask for them in several calls, or read the file in one piece.",
            reason="RANGES_TOO_LARGE",
            metadata={"size_bytes": str(total), "size_bytes_max": str(RANGES_SIZE_BYTES_MAX)},
        )


def plan(spans: Sequence[Span], chunk_size_bytes: int) -> Iterator[Fetch]:
    """Yield the fetches that together give every span, in order of their place in the file."""
    for run in _runs(spans):
        if len(run) == 1:
            yield Fetch(run[0].start, run[0].end, tuple(run))
        else:
            yield from _cut(run, chunk_size_bytes)


def _runs(spans: Sequence[Span]) -> Iterator[list[Span]]:
    """Yield the spans that have bytes, in order of their starts; those of one run lie close to each other."""
    run: list[Span] = []
    end = 0
    for span in sorted((each for each in spans if each.start < each.end), key=lambda each: (each.start, each.end)):
        if run and span.start - end > RANGE_GAP_SIZE_BYTES_MAX:
            yield run
            run = []
        end = max(end, span.end) if run else span.end
        run.append(span)
    if run:
        yield run


def _cut(run: list[Span], chunk_size_bytes: int) -> Iterator[Fetch]:
    """Yield the fetches of one run. Only the spans that reach into the next piece are carried on to it."""
    position = run[0].start
    waiting = iter(run)
    following: Span | None = next(waiting)
    current: list[Span] = []
    while current or following:
        inner = position % chunk_size_bytes
        stop = position - inner + min(chunk_size_bytes, inner - inner % _STRIDE_SIZE_BYTES + _STRIDE_SIZE_BYTES)
        while following is not None and following.start < stop:
            current.append(following)
            following = next(waiting, None)
        if current:
            parts = tuple(Span(span.range_index, max(span.start, position), min(span.end, stop)) for span in current)
            start, end = min(part.start for part in parts), max(part.end for part in parts)
            yield Fetch(start, end, parts)
            current = [span for span in current if span.end > stop]
        position = stop


def reading_of(
    offset: int, length: int | None, ranges: Sequence[Range] | None
) -> Callable[[FileReader], Awaitable[bytes | list[bytes]]]:
    """Return what reads one range, of any size, or the ranges if there are any.

    Raises:
        DstoreError: as ``check_range`` and ``check_ranges``.
    """
    if ranges is not None:
        wanted = check_ranges(ranges, offset, length)
        return lambda reader: read_ranges(reader, wanted)
    check_range(offset, length)
    return lambda reader: _read_range(reader, offset, length)


async def _read_range(reader: FileReader, offset: int, length: int | None) -> bytes:
    content = reader.file.manifest.content
    if content:
        # A small file came with its manifest.
        return content[offset:] if length is None else content[offset : offset + length]
    (span,) = clip([(offset, length)], reader.size_bytes)
    output = _Output(span)
    if span.start < span.end:
        await reader.read_into(span.start, output.target(span))
    return output.take()


async def read_ranges(reader: FileReader, ranges: Sequence[Range]) -> list[bytes]:
    """Return the bytes of each range, in the order of the ranges; what is past the end is left out.

    Raises:
        LimitExceeded: reason ``RANGES_TOO_LARGE``: together they are more than one call returns.
        DstoreError: as ``FileReader.read_into``.
    """
    spans = clip(ranges, reader.size_bytes)
    _check_total(spans)
    outputs = [_Output(span) for span in spans]
    fetches = plan(spans, reader.file.manifest.chunk_size_bytes)

    async def work() -> None:
        for fetch in fetches:
            if fetch.is_of_one_range:
                (span,) = fetch.spans
                await reader.read_into(span.start, outputs[span.range_index].target(span))
                continue
            together = memoryview(bytearray(fetch.end - fetch.start))
            await reader.read_into(fetch.start, together)
            for span in fetch.spans:
                outputs[span.range_index].target(span)[:] = together[span.start - fetch.start : span.end - fetch.start]

    if len(spans) == 1:
        await work()
    else:
        await run_together(work() for _ in range(min(RANGE_FETCHES_IN_FLIGHT, len(spans))))
    return [output.take() for output in outputs]


class _Output:
    """Where the bytes of one range are put together; ``BytesIO`` gives them out without copying them once more."""

    __slots__ = ("_size_bytes", "_start", "_stream", "_view")

    def __init__(self, whole: Span) -> None:
        self._start = whole.start
        self._size_bytes = whole.end - whole.start
        # Bytes that nobody else has are taken over as they are, zeroed by the system where they are first written.
        self._stream = io.BytesIO(bytes(self._size_bytes))
        self._view = self._stream.getbuffer() if self._size_bytes else None

    def target(self, span: Span) -> memoryview:
        """Return the place of a part of the range."""
        assert self._view is not None, "a range without bytes has no parts"
        return self._view[span.start - self._start : span.end - self._start]

    def take(self) -> bytes:
        """Return the bytes; nothing may be written any more."""
        if self._view is not None:
            self._view.release()
        data = self._stream.getvalue()
        assert len(data) == self._size_bytes, "somebody still holds a part of the range"
        return data
