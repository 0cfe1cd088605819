"""Several ranges of one file at once: what is fetched together, and that every byte is the right one."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_in_process import CHUNK_SIZE, InProcessCluster, in_process_cluster, pattern

from dstore.client.client import AsyncClient
from dstore.client.ranges import Fetch, Range, Span, check_ranges, clip, plan
from dstore.core.errors import DstoreError, InvalidRequest, LimitExceeded, NotFound
from dstore.core.limits import (
    FRAME_SEGMENTS,
    MIB,
    RANGE_GAP_SIZE_BYTES_MAX,
    RANGES_MAX,
    RANGES_SIZE_BYTES_MAX,
    SEGMENT_SIZE_BYTES,
)

GAP = RANGE_GAP_SIZE_BYTES_MAX
STRIDE = FRAME_SEGMENTS * SEGMENT_SIZE_BYTES
CHUNK = 16 * MIB
DATA = pattern(40 * CHUNK_SIZE + 11)


def extents(*ranges: Range, size_bytes: int = 1 << 40, chunk_size_bytes: int = CHUNK) -> list[tuple[int, int, int]]:
    """Return start, length and number of ranges of every fetch."""
    fetches = plan(clip(ranges, size_bytes), chunk_size_bytes)
    return [(fetch.start, fetch.end - fetch.start, len(fetch.spans)) for fetch in fetches]


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([], []),
        ([(0, 0)], []),
        ([(7, 0), (CHUNK, 0)], []),
        ([(5, 10)], [(5, 10, 1)]),
        ([(5, 3 * CHUNK)], [(5, 3 * CHUNK, 1)]),
        ([(0, 1), (1, 1)], [(0, 2, 2)]),
        ([(1, 1), (0, 1)], [(0, 2, 2)]),
        ([(0, 10), (0, 10)], [(0, 10, 2)]),
        ([(0, 10), (2, 3)], [(0, 10, 2)]),
        ([(0, 1), (GAP, 1)], [(0, GAP + 1, 2)]),
        ([(0, 1), (GAP + 1, 1)], [(0, GAP + 2, 2)]),
        ([(0, 1), (GAP + 2, 1)], [(0, 1, 1), (GAP + 2, 1, 1)]),
        ([(0, GAP + 5), (1, 2), (GAP + 6, 1)], [(0, GAP + 7, 3)]),
        ([(CHUNK - 1, 1), (CHUNK, 1)], [(CHUNK - 1, 1, 1), (CHUNK, 1, 1)]),
        ([(STRIDE - 1, 1), (STRIDE, 1)], [(STRIDE - 1, 1, 1), (STRIDE, 1, 1)]),
        ([(STRIDE - 1, 2), (STRIDE - 2, 3)], [(STRIDE - 2, 2, 2), (STRIDE, 1, 2)]),
        ([(0, 2 * STRIDE), (5, 1)], [(0, STRIDE, 2), (STRIDE, STRIDE, 1)]),
        ([(STRIDE - 3, 1), (STRIDE + GAP - 2, 1)], [(STRIDE - 3, 1, 1), (STRIDE + GAP - 2, 1, 1)]),
    ],
)
def test_what_is_fetched_together(ranges: list[Range], expected: list[tuple[int, int, int]]) -> None:
    assert extents(*ranges) == expected


def test_a_piece_without_any_range_is_not_fetched() -> None:
    # The chunk between the two is smaller than the gap.
    assert extents((CHUNK_SIZE - 1, 1), (2 * CHUNK_SIZE, 1), chunk_size_bytes=CHUNK_SIZE) == [
        (CHUNK_SIZE - 1, 1, 1),
        (2 * CHUNK_SIZE, 1, 1),
    ]


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([(0, None)], [(0, 10)]),
        ([(3, None), (3, 4), (3, 7), (3, 8)], [(3, 10), (3, 7), (3, 10), (3, 10)]),
        ([(9, 1), (10, 1), (11, 5), (11, None)], [(9, 10), (10, 10), (10, 10), (10, 10)]),
    ],
)
def test_what_is_past_the_end_is_left_out(ranges: list[Range], expected: list[tuple[int, int]]) -> None:
    assert [(span.start, span.end) for span in clip(ranges, 10)] == expected


SIZES = st.one_of(st.integers(0, 3 * STRIDE), st.sampled_from([0, 1, SEGMENT_SIZE_BYTES, GAP, STRIDE, CHUNK_SIZE]))
RANGES = st.lists(st.tuples(SIZES, st.one_of(st.none(), SIZES, st.integers(0, 100))), max_size=12)


@given(RANGES, st.integers(0, 3 * STRIDE), st.sampled_from([SEGMENT_SIZE_BYTES, CHUNK_SIZE, STRIDE + 16_384, CHUNK]))
def test_every_byte_is_fetched_once_and_given_to_all_that_want_it(
    ranges: list[Range], size_bytes: int, chunk_size_bytes: int
) -> None:
    spans = clip(ranges, size_bytes)
    fetches = list(plan(spans, chunk_size_bytes))
    for span in spans:
        parts = [part for fetch in fetches for part in fetch.spans if part.range_index == span.range_index]
        position = span.start
        for part in parts:
            assert (part.start, part.start < part.end) == (position, True)
            position = part.end
        assert position == span.end
    segments = [segment for fetch in fetches for segment in segments_of(fetch, chunk_size_bytes)]
    assert len(segments) == len(set(segments))
    for fetch in fetches:
        assert fetch.is_of_one_range or len({*chunks_of(fetch, chunk_size_bytes)}) == 1
        assert fetch.is_of_one_range or fetch.end - fetch.start <= STRIDE
        assert all(fetch.start <= part.start < part.end <= fetch.end for part in fetch.spans)
        assert not fetch.is_of_one_range or fetch.spans == (Span(fetch.spans[0].range_index, fetch.start, fetch.end),)


def segments_of(fetch: Fetch, chunk_size_bytes: int) -> set[tuple[int, int]]:
    """Return chunk and number of each segment that the fetch needs."""
    found = set()
    for chunk in chunks_of(fetch, chunk_size_bytes):
        start = max(fetch.start - chunk * chunk_size_bytes, 0)
        end = min(fetch.end - chunk * chunk_size_bytes, chunk_size_bytes)
        found |= {(chunk, number) for number in range(start // SEGMENT_SIZE_BYTES, (end - 1) // SEGMENT_SIZE_BYTES + 1)}
    return found


def chunks_of(fetch: Fetch, chunk_size_bytes: int) -> range:
    return range(fetch.start // chunk_size_bytes, (fetch.end - 1) // chunk_size_bytes + 1)


@pytest.mark.parametrize("bad", [(-1, 5), (0, -1), (1.5, 2), ("a", 1), (1,), (1, 2, 3), 7, None, (0, "x")])
def test_bad_ranges_are_named(bad: Range) -> None:
    with pytest.raises(InvalidRequest, match="Range 1 is") as caught:
        check_ranges([(0, 1), bad])
    assert caught.value.reason == "RANGE_INVALID"


@pytest.mark.parametrize("bad", [5, ((0, 1) for _ in range(2))], ids=["number", "generator"])
def test_ranges_are_a_list(bad: Any) -> None:
    with pytest.raises(InvalidRequest, match="give a list of pairs") as caught:
        check_ranges(bad)
    assert caught.value.reason == "RANGE_INVALID"


def test_limits_of_number_and_size() -> None:
    assert len(check_ranges([(0, 1)] * RANGES_MAX)) == RANGES_MAX
    with pytest.raises(LimitExceeded) as caught:
        check_ranges([(0, 1)] * (RANGES_MAX + 1))
    assert caught.value.reason == "TOO_MANY_RANGES"
    with pytest.raises(InvalidRequest):
        check_ranges([(0, 1)], 5)
    with pytest.raises(InvalidRequest):
        check_ranges([(0, 1)], 0, 5)


async def test_more_bytes_than_one_call_returns(client: AsyncClient) -> None:
    await client.put("/f", DATA)
    count = RANGES_SIZE_BYTES_MAX // len(DATA) + 1
    with pytest.raises(LimitExceeded) as caught:
        await client.get("/f", ranges=[(0, None)] * count)
    assert caught.value.reason == "RANGES_TOO_LARGE"


RANGES_READ: list[Range] = [
    (CHUNK_SIZE - 5, 10),
    (0, 0),
    (len(DATA) - 3, 100),
    (len(DATA), 5),
    (len(DATA) + 5, None),
    (0, 3),
    (7 * CHUNK_SIZE, 5 * CHUNK_SIZE + 3),
    (8 * CHUNK_SIZE + 1, 4),
    (len(DATA) - 7, None),
]


def expected_of(ranges: list[Range]) -> list[bytes]:
    return [DATA[offset:] if length is None else DATA[offset : offset + length] for offset, length in ranges]


async def test_ranges_of_a_file(client: AsyncClient) -> None:
    await client.put("/f", DATA)
    assert await client.get("/f", ranges=RANGES_READ) == expected_of(RANGES_READ)
    assert await client.get("/f", ranges=[]) == []
    assert await client.get("/f", ranges=[(5, 6)]) == [DATA[5:11]]
    async with await client.open("/f") as file:
        assert await file.read(5) == DATA[:5]
        assert await file.read_ranges(RANGES_READ) == expected_of(RANGES_READ)
        assert await file.read(5) == DATA[5:10]
    with pytest.raises(NotFound):
        await client.get("/g", ranges=[(0, 1)])
    with pytest.raises(InvalidRequest):
        await client.get("/f", ranges=[(0, -1)])


async def test_ranges_of_an_empty_file(client: AsyncClient) -> None:
    await client.put("/f", b"")
    assert await client.get("/f", ranges=[(0, 10), (5, None)]) == [b"", b""]


async def test_a_range_that_cannot_be_read_fails_the_call(cluster: InProcessCluster) -> None:
    client = cluster.client()
    await client.put("/f", DATA)
    for number in (1, 2, 3):
        cluster.faults(number).is_down = True
    with pytest.raises(DstoreError) as caught:
        await client.get("/f", ranges=[(0, 10), (20 * CHUNK_SIZE, 10)])
    assert caught.value.reason == "CHUNK_UNAVAILABLE"


async def test_neighbours_are_one_read(tmp_path: Path) -> None:
    data = pattern(STRIDE + SEGMENT_SIZE_BYTES)
    async with in_process_cluster(tmp_path, chunk_size_bytes=len(data)) as cluster:
        client = cluster.client()
        await client.put("/f", data)
        ranges: list[Range] = [(offset, 1_000) for offset in range(0, len(data) - 1_000, 10_000)]
        before = sum(cluster.faults(number).reads for number in (1, 2, 3))
        assert await client.get("/f", ranges=ranges) == [data[start : start + 1_000] for start, _ in ranges]
        # The chunk is a little more than one frame.
        assert sum(cluster.faults(number).reads for number in (1, 2, 3)) == before + 2
