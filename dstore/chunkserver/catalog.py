"""What is on the disk, by group and bucket, in memory. Pure.

At the start only the names are read, so that a server with a million chunks is soon there; length and checksum of a
chunk are known once its header and footer were read. A chunk whose length is known has a durable name, as it was synced
in this run, unless it is still unsynced (``unsynced``). Chunks that failed a check are not in the catalog, nor is what
lies in the trash.
"""

from dataclasses import dataclass, field

from dstore.chunkserver.chunkmap import ChunkMap
from dstore.core.digests import BUCKET_COUNT, BucketDigest, HeldChunk, HeldPage, bucket_of, group_digest
from dstore.core.ids import ChunkId, GroupId
from dstore.core.upkeep import GroupSummary

#: No chunk packs to 0: the shortest has one byte.
_NOT_READ = 0
_CRC_BITS = 32
_CRC_MASK = (1 << _CRC_BITS) - 1
_NO_BUCKET = BucketDigest().value()


@dataclass(slots=True)
class _Sums:
    """What is kept up for a group as its chunks come and go."""

    chunk_bytes: int = 0
    not_read_count: int = 0
    digests: dict[int, BucketDigest] = field(default_factory=dict)
    digest: bytes = b""


class Catalog:
    """The chunks of one disk.

    Attributes:
        newest_sequence: the largest that was ever seen on this disk, in whatever group; 0 when there was none.
    """

    def __init__(self) -> None:
        self.newest_sequence = 0
        self._chunks = ChunkMap()
        self._sums: dict[GroupId, _Sums] = {}

    @property
    def chunk_count(self) -> int:
        """Chunks of all groups."""
        return len(self._chunks)

    def add(self, chunk_id: ChunkId, held: HeldChunk | None) -> None:
        """Add a chunk, or what is known of it now; None as long as its length and checksum were not read."""
        assert held is None or held.sequence == chunk_id.sequence
        self.note(chunk_id)
        earlier = self._chunks.set(chunk_id, _NOT_READ if held is None else _pack(held))
        sums = self._sums.get(chunk_id.group_id)
        if sums is None:
            sums = self._sums[chunk_id.group_id] = _Sums()
        if earlier is not None:
            _count_out(sums, chunk_id, earlier)
        sums.digest = b""
        if held is None:
            sums.not_read_count += 1
            return
        sums.chunk_bytes += held.length_bytes
        sums.digests.setdefault(bucket_of(held.sequence), BucketDigest()).add(held)

    def remove(self, chunk_id: ChunkId) -> None:
        """Take a chunk out; one that is not there is fine."""
        value = self._chunks.pop(chunk_id)
        if value is None:
            return
        _count_out(self._sums[chunk_id.group_id], chunk_id, value)
        if not self._chunks.count(chunk_id.group_id):
            del self._sums[chunk_id.group_id]

    def note(self, chunk_id: ChunkId) -> None:
        """Remember that this sequence was given out, whatever became of the chunk."""
        self.newest_sequence = max(self.newest_sequence, chunk_id.sequence)

    def has(self, chunk_id: ChunkId) -> bool:
        """Tell whether the chunk is here."""
        return chunk_id in self._chunks

    def held(self, chunk_id: ChunkId) -> HeldChunk | None:
        """Return what is known of a chunk; None when it is not here, or was not read yet."""
        value = self._chunks.get(chunk_id)
        return _unpack(chunk_id.sequence, value) if value else None

    def groups(self) -> tuple[GroupId, ...]:
        """Return the groups that have chunks here, sorted."""
        return self._chunks.groups()

    def count(self, group_id: GroupId) -> int:
        """Return how many chunks of a group are here."""
        return self._chunks.count(group_id)

    @property
    def not_read_count(self) -> int:
        """Chunks of all groups whose length and checksum were not read yet."""
        return sum(sums.not_read_count for sums in self._sums.values())

    def not_read(self, group_id: GroupId, *, bucket: int | None = None) -> list[int]:
        """Return the sequences of the group's chunks, or of one bucket's, that were not read yet."""
        sums = self._sums.get(group_id)
        if sums is None or not sums.not_read_count:
            return []
        return self._chunks.find(group_id, _NOT_READ, bucket=bucket)

    def buckets(self, group_id: GroupId) -> tuple[bytes, ...]:
        """Return the digests of all buckets in order, of the chunks that were read; none when nothing is here."""
        sums = self._sums.get(group_id)
        return () if sums is None else _bucket_values(sums)

    def summary(self, group_id: GroupId, epoch: int) -> GroupSummary:
        """Return what is here of a group that this server saw at this epoch."""
        sums = self._sums.get(group_id, _Sums())
        if not sums.digest and not sums.not_read_count:
            sums.digest = group_digest(_bucket_values(sums))
        return GroupSummary(group_id, epoch, self.count(group_id), sums.chunk_bytes, sums.digest)

    def page(self, group_id: GroupId, *, bucket: int | None, after_sequence: int, count: int) -> HeldPage:
        """Return up to ``count`` chunks of a group, or of one bucket, in order, without those that were not read."""
        found = self._chunks.page(group_id, bucket=bucket, after_sequence=after_sequence, count=count + 1)
        chunks = tuple(_unpack(sequence, value) for sequence, value in found[:count] if value != _NOT_READ)
        return HeldPage(chunks, is_last=len(found) <= count)

    def sequences(self, group_id: GroupId, *, after_sequence: int, count: int) -> list[int]:
        """Return up to ``count`` sequences of a group's chunks, read or not, in order."""
        found = self._chunks.page(group_id, bucket=None, after_sequence=after_sequence, count=count)
        return [sequence for sequence, _ in found]


def _count_out(sums: _Sums, chunk_id: ChunkId, value: int) -> None:
    sums.digest = b""
    if value == _NOT_READ:
        sums.not_read_count -= 1
        return
    held = _unpack(chunk_id.sequence, value)
    sums.chunk_bytes -= held.length_bytes
    sums.digests[bucket_of(held.sequence)].remove(held)


def _bucket_values(sums: _Sums) -> tuple[bytes, ...]:
    digests = sums.digests
    return tuple(digests[number].value() if number in digests else _NO_BUCKET for number in range(BUCKET_COUNT))


def _pack(held: HeldChunk) -> int:
    return held.length_bytes << _CRC_BITS | held.crc32c


def _unpack(sequence: int, value: int) -> HeldChunk:
    return HeldChunk(sequence, value >> _CRC_BITS, value & _CRC_MASK)
