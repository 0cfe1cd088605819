"""How many chunks a writer has in flight, on ways of every kind. Time is made up."""

import asyncio
import heapq
from typing import Any

import pytest
from store_in_process import CHUNK_SIZE, InProcessCluster, pattern

from dstore.client import chunk_sending, writer
from dstore.client.flight_depth import DEPTH_MAX, FlightDepth
from dstore.core.errors import LimitExceeded
from dstore.core.limits import CHUNKS_IN_FLIGHT_WRITE, MIB

LEAST = CHUNKS_IN_FLIGHT_WRITE


class Way:
    """A way to the servers: a chunk takes ``latency_s`` and, one after the other, ``service_s``."""

    def __init__(self, *, latency_s: float, service_s: float) -> None:
        self.latency_s = latency_s
        self.service_s = service_s
        self.now_s = 0.0
        self._free_s = 0.0
        self._arrivals: list[tuple[float, float]] = []

    def begin(self) -> None:
        self._free_s = max(self._free_s, self.now_s) + self.service_s
        heapq.heappush(self._arrivals, (self._free_s + self.latency_s, self.now_s))

    def wait(self) -> float | None:
        """Let time pass until the next chunk is acknowledged; return how long it was in flight."""
        if not self._arrivals:
            return None
        self.now_s, begun_s = heapq.heappop(self._arrivals)
        return self.now_s - begun_s


async def write(depth: FlightDepth, way: Way, count: int, *, pause_s: float = 0.0) -> None:
    """Send so many chunks through; a caller that pauses makes one only every so often."""
    for _ in range(count):
        slot = asyncio.create_task(depth.acquire())
        await asyncio.sleep(0)
        while not slot.done():
            depth.release(way.wait())
            await asyncio.sleep(0)
        way.now_s += pause_s
        way.begin()
        while pause_s and way._arrivals and way._arrivals[0][0] <= way.now_s:
            now_s = way.now_s
            depth.release(way.wait())
            way.now_s = now_s
    while (duration_s := way.wait()) is not None:
        depth.release(duration_s)


async def test_a_long_way_gets_as_many_as_there_may_be() -> None:
    depth, way = FlightDepth(LEAST, MIB), Way(latency_s=1.0, service_s=0.01)
    await write(depth, way, 200)
    assert depth.depth == DEPTH_MAX
    assert way.now_s < 200 / DEPTH_MAX * 1.2, "and is that much quicker"


async def test_a_way_that_is_full_gets_hardly_more() -> None:
    depth, way = FlightDepth(LEAST, MIB), Way(latency_s=0.01, service_s=1.0)
    await write(depth, way, 200)
    assert depth.depth <= LEAST + 1


async def test_a_way_that_fills_up_gets_fewer_again() -> None:
    depth, way = FlightDepth(LEAST, MIB), Way(latency_s=1.0, service_s=0.01)
    await write(depth, way, 200)
    way.service_s = 1.0
    await write(depth, way, 200)
    assert depth.depth < DEPTH_MAX / 2
    way.service_s = 0.01
    await write(depth, way, 200)
    assert depth.depth == DEPTH_MAX, "and more when there is room"


async def test_a_caller_that_takes_its_time_gets_no_more() -> None:
    depth, way = FlightDepth(LEAST, MIB), Way(latency_s=1.0, service_s=0.01)
    await write(depth, way, 50, pause_s=2.0)
    assert depth.depth == LEAST


@pytest.mark.parametrize(
    ("chunk_size_bytes", "most"), [(1, 8), (12 * MIB, 8), (16 * MIB, 6), (24 * MIB, 4), (64 * MIB, LEAST)]
)
async def test_memory_is_bounded(chunk_size_bytes: int, most: int) -> None:
    depth = FlightDepth(LEAST, chunk_size_bytes)
    await write(depth, Way(latency_s=1.0, service_s=0.0), 300)
    assert depth.depth == most


async def test_a_server_that_refuses_gets_the_fewest() -> None:
    depth, way = FlightDepth(LEAST, MIB), Way(latency_s=1.0, service_s=0.01)
    await write(depth, way, 200)
    depth.back_off()
    assert depth.depth == LEAST
    # Slots that were free already are taken in once they have been used.
    for _ in range(DEPTH_MAX):
        await depth.acquire()
    for _ in range(DEPTH_MAX):
        depth.release()
    taken = 0
    while not depth._slots.locked():
        await depth.acquire()
        taken += 1
    assert taken == LEAST


async def test_what_failed_teaches_nothing() -> None:
    depth = FlightDepth(LEAST, MIB)
    for _ in range(100):
        for _ in range(LEAST):
            await depth.acquire()
        for _ in range(LEAST):
            depth.release()
    assert depth.depth == LEAST


async def test_a_writer_goes_by_it(cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that stands still, no chunk ever waits in line; until a server refuses."""
    in_flight, seen, depths = 0, list[int](), list[int]()

    async def send_chunk(peers: Any, chunk: chunk_sending.ChunkToSend, *arguments: Any, **options: Any) -> Any:
        nonlocal in_flight
        in_flight += 1
        seen.append(in_flight)
        depths.append(file._writer._slots.depth)
        try:
            if len(seen) == 80:
                raise LimitExceeded("Too many writes.", reason="TOO_MANY_WRITES")
            return await chunk_sending.send_chunk(peers, chunk, *arguments, **options)
        finally:
            in_flight -= 1

    monkeypatch.setattr("store_in_process.RealClock.monotonic_s", lambda _: 0.0)
    monkeypatch.setattr(writer, "send_chunk", send_chunk)
    client = cluster.client()
    data = pattern(100 * CHUNK_SIZE)
    async with await client.open_write("/f") as file:
        await file.write(data)
    assert max(seen[:LEAST]) == LEAST
    assert max(seen) == DEPTH_MAX
    assert (depths[79], min(depths[80:])) == (DEPTH_MAX, LEAST)
    assert len(seen) == 101
    assert await client.get("/f") == data
