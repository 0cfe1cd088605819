"""What is on the disk, in memory: the same holdings have the same digests, and a million chunks fit."""

import random
import tracemalloc

import pytest

from dstore.chunkserver.catalog import Catalog
from dstore.chunkserver.chunkmap import ChunkMap
from dstore.core.digests import BucketDigest, HeldChunk, bucket_of, group_digest
from dstore.core.ids import ChunkId, GroupId
from dstore.core.limits import MIB

GROUP = GroupId(42)


def held(sequence: int, *, crc: int | None = None) -> HeldChunk:
    return HeldChunk(sequence, 1 + sequence % 67_000_000, sequence * 7919 % 2**32 if crc is None else crc)


def catalog_of(chunks: list[HeldChunk], *, group_id: GroupId = GROUP) -> Catalog:
    catalog = Catalog()
    for chunk in chunks:
        catalog.add(ChunkId(group_id, chunk.sequence), chunk)
    return catalog


def test_digests_do_not_depend_on_the_order_of_events() -> None:
    chunks = [held(sequence) for sequence in (1, 2, 3, 257, 513, 2**63 - 1)]
    expected = catalog_of(chunks)
    for seed in range(20):
        shuffled = random.Random(seed).sample(chunks, len(chunks))
        catalog = catalog_of([*shuffled[:3], held(99), held(1, crc=5)])
        catalog.remove(ChunkId(GROUP, 99))
        for chunk in shuffled:
            catalog.add(ChunkId(GROUP, chunk.sequence), chunk)
        assert catalog.buckets(GROUP) == expected.buckets(GROUP)
        assert catalog.summary(GROUP, 7) == expected.summary(GROUP, 7)


def test_digests_are_those_of_the_contract() -> None:
    chunks = [held(1), held(257), held(5)]
    catalog = catalog_of(chunks)
    buckets = [BucketDigest() for _ in range(256)]
    for chunk in chunks:
        buckets[bucket_of(chunk.sequence)].add(chunk)
    values = tuple(bucket.value() for bucket in buckets)
    assert catalog.buckets(GROUP) == values
    summary = catalog.summary(GROUP, 3)
    assert summary.digest == group_digest(values)
    assert (summary.epoch, summary.chunk_count) == (3, 3)
    assert summary.chunk_bytes == sum(chunk.length_bytes for chunk in chunks)


def test_the_example_of_the_format_page() -> None:
    one, two = HeldChunk(499, 11, 0xB2556AA0), HeldChunk(755, 11, 0xB2556AA0)
    catalog = catalog_of([one])
    assert catalog.buckets(GROUP)[0xF3].hex() == "8e87504f42cb01bc504a6601aaa63230"
    assert catalog.summary(GROUP, 1).digest.hex() == "51d2f7cd496d1db6c711a20d3ccb8b5d"
    assert catalog_of([two]).buckets(GROUP)[0xF3].hex() == "6604d86627de8e0392f2ed4cd4b79d91"
    assert catalog_of([two, one]).buckets(GROUP)[0xF3].hex() == "f48c28b56aa98fbfe33d534e7f5dcfc1"


@pytest.mark.parametrize(
    "other", [HeldChunk(5, 6, 5 * 7919), HeldChunk(5, 7, 0), HeldChunk(6, 6, 6), HeldChunk(261, 6, 5 * 7919)]
)
def test_every_difference_shows_in_the_digest(other: HeldChunk) -> None:
    one, two = catalog_of([held(1), HeldChunk(5, 6, 1)]), catalog_of([held(1), other])
    assert one.summary(GROUP, 1).digest != two.summary(GROUP, 1).digest


def test_a_group_has_no_digest_while_a_chunk_was_not_read() -> None:
    catalog = catalog_of([held(1), held(2)])
    whole = catalog.summary(GROUP, 1)
    catalog.remove(ChunkId(GROUP, 2))
    catalog.add(ChunkId(GROUP, 2), None)
    summary = catalog.summary(GROUP, 1)
    assert (summary.digest, summary.chunk_count, summary.chunk_bytes) == (b"", 2, held(1).length_bytes)
    assert catalog.not_read(GROUP) == catalog.not_read(GROUP, bucket=2) == [2]
    assert catalog.not_read(GROUP, bucket=1) == []
    assert catalog.has(ChunkId(GROUP, 2)) and catalog.held(ChunkId(GROUP, 2)) is None
    catalog.add(ChunkId(GROUP, 2), held(2))
    assert catalog.summary(GROUP, 1) == whole
    assert catalog.not_read(GROUP) == []


def test_counts_and_what_is_not_there() -> None:
    catalog = Catalog()
    one, other = ChunkId(GROUP, 10), ChunkId(GroupId(7), 3)
    catalog.remove(one)
    assert (catalog.chunk_count, catalog.groups(), catalog.buckets(GROUP), catalog.count(GROUP)) == (0, (), (), 0)
    assert catalog.summary(GROUP, 4).chunk_count == 0
    catalog.add(one, held(10))
    catalog.add(one, held(10))
    catalog.add(other, None)
    assert (catalog.chunk_count, catalog.groups(), catalog.count(GROUP)) == (2, (7, 42), 1)
    assert catalog.held(one) == held(10)
    assert not catalog.has(ChunkId(GroupId(7), 10))
    catalog.remove(one)
    catalog.remove(other)
    assert (catalog.chunk_count, catalog.groups(), catalog.newest_sequence) == (0, (), 10)
    catalog.note(ChunkId(GROUP, 77))
    assert (catalog.chunk_count, catalog.newest_sequence) == (0, 77)


@pytest.mark.parametrize("count", [1, 2, 3, 599, 600, 601])
def test_pages_are_complete_and_in_order(count: int) -> None:
    chunks = [held(sequence) for sequence in range(1, 1200, 2)]
    catalog = catalog_of(random.Random(1).sample(chunks, len(chunks)))
    found: list[HeldChunk] = []
    while True:
        page = catalog.page(GROUP, bucket=None, after_sequence=found[-1].sequence if found else 0, count=count)
        found += page.chunks
        if page.is_last:
            break
        assert len(page.chunks) == count
    assert found == chunks
    bucket = catalog.page(GROUP, bucket=3, after_sequence=0, count=10)
    assert [chunk.sequence for chunk in bucket.chunks] == [3, 259, 515, 771, 1027]
    assert catalog.page(GROUP, bucket=3, after_sequence=259, count=2).chunks == bucket.chunks[2:4]
    assert catalog.page(GROUP, bucket=4, after_sequence=0, count=10).chunks == ()
    assert catalog.page(GROUP, bucket=4, after_sequence=0, count=10).is_last
    assert catalog.sequences(GROUP, after_sequence=2, count=3) == [3, 5, 7]


def test_the_map_against_a_dictionary() -> None:
    dice, chunk_map = random.Random(3), ChunkMap()
    model: dict[ChunkId, int] = {}
    for _ in range(20_000):
        chunk_id = ChunkId(GroupId(dice.randrange(1, 4)), dice.randrange(1, 2000))
        if dice.random() < 0.6:
            value = dice.choice((0, 1, 2**64 - 1))
            assert chunk_map.set(chunk_id, value) == model.get(chunk_id)
            model[chunk_id] = value
        else:
            assert chunk_map.pop(chunk_id) == model.pop(chunk_id, None)
        assert chunk_map.get(chunk_id) == model.get(chunk_id)
        assert len(chunk_map) == len(model)
    for group_id in chunk_map.groups():
        mine = sorted((chunk_id.sequence, value) for chunk_id, value in model.items() if chunk_id.group_id == group_id)
        assert chunk_map.page(group_id, bucket=None, after_sequence=0, count=10_000) == mine
        assert sorted(chunk_map.find(group_id, 0)) == [sequence for sequence, value in mine if not value]
        assert chunk_map.count(group_id) == len(mine)


def test_a_chunk_takes_few_bytes_of_memory() -> None:
    """A million chunks must stay far below the 200 MiB that a chunkserver may take."""
    count, groups = 100_000, 36
    tracemalloc.start()
    catalog = Catalog()
    for sequence in range(1, count + 1):
        catalog.add(ChunkId(GroupId(1 + sequence * 31 % groups), sequence), held(sequence))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert catalog.chunk_count == count
    # What the buckets themselves take does not grow with the chunks.
    per_bucket = 600 * groups * 256
    assert used < count * 40 + per_bucket
    assert 10 * count * 40 + per_bucket < 50 * MIB
