"""Many ranges of many files at once: each file is opened once, and neighbours are fetched together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dstore.client.client import AsyncClient
from dstore.core.errors import DstoreError
from dstore.fsspec.bounds import Bound, each_of, in_calls, range_within


@dataclass(frozen=True, slots=True)
class WantedRange:
    """One range of a file; ``index`` is its place in the answer."""

    index: int
    start: Bound
    end: Bound


def grouped(
    paths: Sequence[str], starts: Bound | Sequence[Bound], ends: Bound | Sequence[Bound]
) -> dict[str, list[WantedRange]]:
    """Return the ranges that are wanted of each file.

    Raises:
        ValueError: as ``each_of``.
    """
    by_path: dict[str, list[WantedRange]] = {}
    bounds = zip(paths, each_of(starts, len(paths)), each_of(ends, len(paths)), strict=True)
    for index, (path, start, end) in enumerate(bounds):
        by_path.setdefault(path, []).append(WantedRange(index, start, end))
    return by_path


async def read_each(client: AsyncClient, path: str, wanted: Sequence[WantedRange]) -> list[bytes]:
    """Return the bytes of each range, all of one version of the file; raises as ``AsyncClient.get``."""
    contents: list[bytes] = []
    async with await client.open_read(path) as file:
        size_bytes = file.info.size_bytes
        for ranges in in_calls([range_within(each.start, each.end, size_bytes) for each in wanted]):
            if len(ranges) == 1:
                contents.append(await file.read_at(*ranges[0]))
            else:
                contents += await file.read_ranges(ranges)
    return contents


def raise_first(answers: Sequence[Any]) -> None:
    """Raise the first error among the answers, if there is one."""
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer


def spread(by_path: Mapping[str, Sequence[WantedRange]], answers: Sequence[Any]) -> list[Any]:
    """Return what each range gave, or the error of its file, in the order in which they were asked for.

    Errors that are no statement about a file are raised.
    """
    contents: list[Any] = [None] * sum(map(len, by_path.values()))
    for wanted, answer in zip(by_path.values(), answers, strict=True):
        if isinstance(answer, BaseException) and not isinstance(answer, DstoreError):
            raise answer
        for place, each in enumerate(wanted):
            contents[each.index] = answer if isinstance(answer, DstoreError) else answer[place]
    return contents
