"""Chunk ids with a number each, in 16 bytes a chunk: a million chunks as Python objects would take 200 MiB. Pure.

The chunks of a group lie in the buckets of ``core.digests``, each a sorted array: sequences grow, so that nearly
every new one goes to the end.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from heapq import merge
from itertools import islice

from dstore.core.digests import bucket_of
from dstore.core.ids import ChunkId, GroupId

#: An unsigned 64-bit number.
_TYPE = "Q"


class ChunkMap:
    """Maps chunk ids to numbers from 0 to 2^64 - 1."""

    __slots__ = ("_counts", "_groups")

    def __init__(self) -> None:
        self._groups: dict[GroupId, dict[int, _Bucket]] = {}
        self._counts: dict[GroupId, int] = {}

    def __len__(self) -> int:
        return sum(self._counts.values())

    def __contains__(self, chunk_id: ChunkId) -> bool:
        return self.get(chunk_id) is not None

    def get(self, chunk_id: ChunkId) -> int | None:
        """Return the number of a chunk; None when it is not there."""
        buckets = self._groups.get(chunk_id.group_id)
        bucket = buckets.get(bucket_of(chunk_id.sequence)) if buckets else None
        return bucket.get(chunk_id.sequence) if bucket else None

    def set(self, chunk_id: ChunkId, value: int) -> int | None:
        """Add a chunk or change its number; return the earlier one."""
        buckets = self._groups.setdefault(chunk_id.group_id, {})
        earlier = buckets.setdefault(bucket_of(chunk_id.sequence), _Bucket()).set(chunk_id.sequence, value)
        if earlier is None:
            self._counts[chunk_id.group_id] = self.count(chunk_id.group_id) + 1
        return earlier

    def pop(self, chunk_id: ChunkId) -> int | None:
        """Take a chunk out and return its number; None when it was not there."""
        group_id, number = chunk_id.group_id, bucket_of(chunk_id.sequence)
        buckets = self._groups.get(group_id, {})
        value = buckets[number].pop(chunk_id.sequence) if number in buckets else None
        if value is None:
            return None
        if not buckets[number].sequences:
            del buckets[number]
        self._counts[group_id] -= 1
        if not self._counts[group_id]:
            del self._counts[group_id], self._groups[group_id]
        return value

    def groups(self) -> tuple[GroupId, ...]:
        """Return the groups that have chunks here, sorted."""
        return tuple(sorted(self._groups))

    def count(self, group_id: GroupId) -> int:
        """Return how many chunks of a group are here."""
        return self._counts.get(group_id, 0)

    def page(self, group_id: GroupId, *, bucket: int | None, after_sequence: int, count: int) -> list[tuple[int, int]]:
        """Return up to ``count`` sequences of a group, or of one bucket, with their numbers, in order."""
        buckets = self._groups.get(group_id, {})
        wanted = (buckets[number] for number in _chosen(buckets, bucket))
        return list(islice(merge(*(each.items(after_sequence) for each in wanted)), count))

    def find(self, group_id: GroupId, value: int, *, bucket: int | None = None) -> list[int]:
        """Return the sequences of a group, or of one bucket, that have this number."""
        buckets = self._groups.get(group_id, {})
        return [sequence for number in _chosen(buckets, bucket) for sequence in buckets[number].find(value)]


class _Bucket:
    """Sequences in order, and their numbers at the same places."""

    __slots__ = ("sequences", "values")

    def __init__(self) -> None:
        self.sequences = array(_TYPE)
        self.values = array(_TYPE)

    def get(self, sequence: int) -> int | None:
        index = bisect_left(self.sequences, sequence)
        return self.values[index] if self._is_at(index, sequence) else None

    def set(self, sequence: int, value: int) -> int | None:
        index = bisect_left(self.sequences, sequence)
        if self._is_at(index, sequence):
            earlier = self.values[index]
            self.values[index] = value
            return earlier
        self.sequences.insert(index, sequence)
        self.values.insert(index, value)
        return None

    def pop(self, sequence: int) -> int | None:
        index = bisect_left(self.sequences, sequence)
        if not self._is_at(index, sequence):
            return None
        self.sequences.pop(index)
        return self.values.pop(index)

    def items(self, after_sequence: int) -> Iterator[tuple[int, int]]:
        start = bisect_right(self.sequences, after_sequence)
        return ((self.sequences[index], self.values[index]) for index in range(start, len(self.sequences)))

    def find(self, value: int) -> Iterator[int]:
        if value not in self.values:
            return iter(())
        return (sequence for sequence, each in zip(self.sequences, self.values, strict=True) if each == value)

    def _is_at(self, index: int, sequence: int) -> bool:
        return index < len(self.sequences) and self.sequences[index] == sequence


def _chosen(buckets: dict[int, _Bucket], bucket: int | None) -> list[int]:
    """Return the numbers of the buckets that are there: of all, or of the one that is wanted."""
    return [number for number in sorted(buckets) if bucket is None or number == bucket]
