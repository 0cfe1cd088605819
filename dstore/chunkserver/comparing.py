"""What a server lacks of what another one holds. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dstore.core.digests import BUCKET_COUNT, GroupDigest, HeldChunk

#: When more buckets than this differ, the whole group is listed at once: less calls, and hardly more to read.
_BUCKETS_LISTED_MAX = 16
_EMPTY = bytes(16)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two servers hold different chunks of a group.

    Attributes:
        listings: the buckets to be listed; None stands for all at once.
        more_chunks: how many more the other one holds, at least.
    """

    listings: tuple[int | None, ...]
    more_chunks: int


def difference(own: GroupDigest, other: GroupDigest) -> Difference:
    """Return where ``other`` may hold what ``own`` does not; a bucket that it has nothing in is not one."""
    differing = tuple(
        number
        for number, (mine, theirs) in enumerate(zip(_buckets(own), _buckets(other), strict=True))
        if mine != theirs != _EMPTY
    )
    listings: tuple[int | None, ...] = (None,) if len(differing) > _BUCKETS_LISTED_MAX else differing
    return Difference(listings, max(0, other.chunk_count - own.chunk_count))


def lacking(listed: Iterable[HeldChunk], is_wanted: Callable[[int], bool]) -> list[HeldChunk]:
    """Return the chunks that are listed and wanted; ``is_wanted`` gets a sequence."""
    return [chunk for chunk in listed if is_wanted(chunk.sequence)]


def _buckets(digest: GroupDigest) -> Sequence[bytes]:
    return digest.buckets or (_EMPTY,) * BUCKET_COUNT
