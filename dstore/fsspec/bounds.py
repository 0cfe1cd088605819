"""Turns the bounds that callers of fsspec give, those of a slice, into ranges."""

from collections.abc import Iterator, Sequence

from dstore.core.limits import RANGES_MAX, RANGES_SIZE_BYTES_MAX

#: Where a slice starts and ends; negative ones count from the end of the file, None is its beginning or end.
Bound = int | None


def is_absolute(start: Bound, end: Bound) -> bool:
    """Whether the range is known without the size of the file."""
    return (start is None or start >= 0) and (end is None or end >= 0)


def absolute_range(start: Bound, end: Bound) -> tuple[int, int | None]:
    """Return offset and length of bounds of which neither is negative; no length is to the end of the file."""
    offset = start or 0
    return offset, None if end is None else max(0, end - offset)


def range_within(start: Bound, end: Bound, size_bytes: int) -> tuple[int, int]:
    """Return offset and length of what ``content[start:end]`` takes from a file of this size."""
    first, last, _ = slice(start, end).indices(size_bytes)
    return first, max(0, last - first)


def each_of(bounds: Bound | Sequence[Bound], count: int) -> list[Bound]:
    """Return one bound for each of ``count`` ranges, from a list of them or from one for all.

    Raises:
        ValueError: the list has another length.
    """
    each = list(bounds) if isinstance(bounds, Sequence) else [bounds] * count
    if len(each) != count:
        raise ValueError(f"There are {count} paths, but {len(each)} bounds; give one for each path, or one for all.")
    return each


def in_calls(ranges: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Yield the ranges, in order, in lists that one call to the client may ask for.

    A range that is larger than what one call returns is alone in its list, and must be read in another way.
    """
    batch: list[tuple[int, int]] = []
    size_bytes = 0
    for offset, length in ranges:
        if batch and (len(batch) == RANGES_MAX or size_bytes + length > RANGES_SIZE_BYTES_MAX):
            yield batch
            batch, size_bytes = [], 0
        batch.append((offset, length))
        size_bytes += length
    if batch:
        yield batch
