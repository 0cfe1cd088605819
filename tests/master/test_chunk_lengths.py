"""The chunks of a commit must be exactly those of a file of its size."""

from dataclasses import replace

import pytest
from master_harness import CHUNK_SIZE, SEALED_SIZE, MasterHarness, written

from dstore.core import errors
from dstore.core.files import WrittenChunk


def sealed_length(size_bytes: int) -> int:
    """The header, the plaintext, and the tag of each segment; the last one is never full."""
    return 56 + size_bytes + 16 * (size_bytes // 16384 + 1)


def with_length(chunk: WrittenChunk, length_bytes: int) -> WrittenChunk:
    return replace(chunk, record=replace(chunk.record, length_bytes=length_bytes))


@pytest.mark.parametrize(
    ("size_bytes", "chunk_count"),
    [(0, 0), (1, 1), (CHUNK_SIZE - 1, 1), (CHUNK_SIZE, 1), (CHUNK_SIZE + 1, 2), (2 * CHUNK_SIZE, 2)],
)
async def test_sizes_at_the_boundaries(cluster: MasterHarness, size_bytes: int, chunk_count: int) -> None:
    intent = await cluster.begin("/file", chunk_count=3)
    chunks = [written(intent.placements[index], index) for index in range(chunk_count)]
    if chunks:
        rest = size_bytes - (chunk_count - 1) * CHUNK_SIZE
        chunks[-1] = with_length(chunks[-1], sealed_length(rest))
    for number, chunk in enumerate(chunks):
        for difference in (-1, 1):
            length_bytes = chunk.record.length_bytes + difference
            if length_bytes > SEALED_SIZE:
                continue
            mixed = [*chunks[:number], with_length(chunk, length_bytes), *chunks[number + 1 :]]
            with pytest.raises(errors.InvalidRequest) as caught:
                await cluster.commit(intent, mixed, size_bytes=size_bytes)
            assert caught.value.reason == "CHUNK_RECORD_INVALID"
    for wrong in (chunk_count - 1, chunk_count + 1):
        with pytest.raises(errors.InvalidRequest) as caught:
            await cluster.commit(intent, chunks, size_bytes=size_bytes, chunk_count=wrong)
        assert caught.value.reason == "CHUNK_RECORD_INVALID"
    info = await cluster.commit(intent, chunks, size_bytes=size_bytes)
    assert (info.size_bytes, info.chunk_count) == (size_bytes, chunk_count)
