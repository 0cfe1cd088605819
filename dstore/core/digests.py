"""Digests of what a server holds of a group: a Merkle tree of two levels over chunk ids, lengths and checksums.

A group has 256 buckets, by the last byte of the sequence (the fan-out directories on disk). The digest of a bucket
is the sum of the hashes of its chunks modulo 2^128, so that adding and removing a chunk costs one hash, in any order;
the digest of the group is a hash over its buckets. Equal digests mean equal holdings; the buckets that differ are
listed and compared chunk by chunk. Nobody is to be fooled here: peers are compared that hold the same duty, and a
copy is checked by its checksum.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from dstore.core.ids import GroupId

BUCKET_COUNT = 256
DIGEST_SIZE_BYTES = 16
_MODULUS = 1 << (8 * DIGEST_SIZE_BYTES)


@dataclass(frozen=True, slots=True, order=True)
class HeldChunk:
    """A chunk of a group as one server holds it; intact as far as is known."""

    sequence: int
    length_bytes: int
    crc32c: int


@dataclass(frozen=True, slots=True)
class HeldPage:
    """Chunks of a group that a server holds, in order of their sequences; ``is_last`` when no more follow."""

    chunks: tuple[HeldChunk, ...]
    is_last: bool


@dataclass(frozen=True, slots=True)
class GroupDigest:
    """The tree of what one server holds of a group; chunks that failed a check are not in it.

    Attributes:
        epoch: the newest of the group that the server saw.
        buckets: one digest of 16 bytes for each bucket, in order; empty when it holds nothing of the group.
    """

    group_id: GroupId
    epoch: int
    chunk_count: int
    buckets: tuple[bytes, ...]


def bucket_of(sequence: int) -> int:
    """Return the bucket of a chunk."""
    return sequence % BUCKET_COUNT


class BucketDigest:
    """The digest of a bucket, kept up as chunks come and go."""

    __slots__ = ("_sum",)

    def __init__(self) -> None:
        self._sum = 0

    def add(self, chunk: HeldChunk) -> None:
        """Count a chunk in; it must not be counted already."""
        self._sum = (self._sum + _hash(chunk)) % _MODULUS

    def remove(self, chunk: HeldChunk) -> None:
        """Count a chunk out that was counted in as it is given here."""
        self._sum = (self._sum - _hash(chunk)) % _MODULUS

    def value(self) -> bytes:
        """Return the digest; 16 bytes, zeros for an empty bucket."""
        return self._sum.to_bytes(DIGEST_SIZE_BYTES)


def group_digest(buckets: Iterable[bytes]) -> bytes:
    """Return the digest of a group from those of all its buckets in order; 16 bytes."""
    return hashlib.blake2b(b"".join(buckets), digest_size=DIGEST_SIZE_BYTES).digest()


def _hash(chunk: HeldChunk) -> int:
    content = chunk.sequence.to_bytes(8) + chunk.length_bytes.to_bytes(4) + chunk.crc32c.to_bytes(4)
    return int.from_bytes(hashlib.blake2b(content, digest_size=DIGEST_SIZE_BYTES).digest())
