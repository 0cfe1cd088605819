"""Reads that take unusually long are asked of a second replica, seldom, and nothing of the first one stays behind."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from store_in_process import CHUNK_SIZE, InProcessCluster, flip_frame, in_process_cluster, pattern

from dstore.client.client import AsyncClient
from dstore.client.hedging import DELAY_DEFAULT_S, DELAY_MAX_S, DELAY_MIN_S, SAVED_MAX, SHARE_MAX, Hedging
from dstore.core.groups import Replica, ServerPhase
from dstore.core.ids import ServerId
from dstore.core.limits import FRAME_SIZE_BYTES, KIB, MIB

A, B, C = (ServerId(name) for name in "abc")
MEMBERS = tuple(Replica(server_id, server_id, "", ServerPhase.UP) for server_id in (A, B, C))
SHORT = 16 * KIB
DATA = pattern(3 * CHUNK_SIZE)


class Clock:
    now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s

    def wall_ns(self) -> int:
        raise AssertionError("nobody asks")


@pytest.mark.parametrize(
    ("times_s", "expected_s"),
    [
        ([], DELAY_DEFAULT_S),
        ([0.02] * 31, DELAY_DEFAULT_S),
        ([0.02] * 32, 0.02),
        ([0.0] * 32, DELAY_MIN_S),
        ([9.0] * 32, DELAY_MAX_S),
        ([number / 1000 for number in range(256)], 0.242),
        ([9.0] * 256 + [0.02] * 256, 0.02),
        ([0.02] * 247 + [9.0] * 9, 0.02),
    ],
)
def test_the_delay_is_the_95th_percentile_of_the_latest_reads(times_s: list[float], expected_s: float) -> None:
    hedging = Hedging(Clock())
    for time_s in times_s:
        hedging.note_first_bytes(A, SHORT, time_s)
    assert hedging.delay_s(SHORT) == pytest.approx(expected_s)
    assert hedging.delay_s(MIB) == DELAY_DEFAULT_S, "frames are told apart from short ranges"


def test_only_a_share_of_the_reads_is_asked_twice() -> None:
    hedging = Hedging(Clock())
    granted = [hedging.may_ask_second() for _ in range(100)]
    assert granted == [True] * int(SAVED_MAX) + [False] * (100 - int(SAVED_MAX))
    asked = 0
    for _ in range(2_000):
        hedging.note_first_bytes(A, SHORT, 0.0)
        asked += hedging.may_ask_second()
    assert 0.95 * SHARE_MAX <= asked / 2_000 <= SHARE_MAX
    for _ in range(2_000):
        hedging.note_first_bytes(A, SHORT, 0.0)
    assert sum(hedging.may_ask_second() for _ in range(100)) == SAVED_MAX


def test_how_much_slower_servers_are() -> None:
    clock = Clock()
    hedging = Hedging(clock)
    assert hedging.slowness(MEMBERS, SHORT) == {}
    for server_id, time_s in ((A, 0.009), (B, 0.018), (C, 0.09)):
        hedging.note_first_bytes(server_id, SHORT, time_s)
    assert hedging.slowness(MEMBERS, SHORT) == {A: 1, B: 1, C: 8}
    assert hedging.slowness(MEMBERS[1:], SHORT) == {B: 1, C: 4}
    assert hedging.slowness(MEMBERS, MIB) == {}
    clock.now_s += 80.0
    hedging.note_first_bytes(A, SHORT, 0.009)
    assert hedging.slowness(MEMBERS, SHORT)[C] == 1, "it is tried again after a while"


def test_a_server_that_loses_again_and_again_is_hardly_asked() -> None:
    hedging = Hedging(Clock())
    hedging.note_first_bytes(A, SHORT, 0.005)
    slowness = []
    for _ in range(12):
        hedging.note_lost(B, SHORT, 0.01)
        slowness.append(hedging.slowness(MEMBERS, SHORT)[B])
    assert slowness == sorted(slowness)
    assert (slowness[0], slowness[-1]) == (2, 64)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a second request can help in time."""
    monkeypatch.setattr("dstore.client.chunk_fetching.STREAM_STALL_TIMEOUT_S", 30.0)
    monkeypatch.setattr("dstore.client.hedging.DELAY_DEFAULT_S", 0.02)


async def assert_nothing_is_left(client: AsyncClient) -> None:
    session = await client._contact.session()
    assert sum(session.use._streams.values()) == 0
    names = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]  # type: ignore[union-attr]
    assert not any("_Source" in name for name in names), names


@pytest.fixture(params=[64 * KIB, 4 * FRAME_SIZE_BYTES], ids=["whole", "streams"])
async def large(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[InProcessCluster, bytes]]:
    """A cluster, and the content of a chunk that is one frame, or several."""
    size = request.param - request.param % (16 * KIB)
    async with in_process_cluster(tmp_path, chunk_size_bytes=size) as cluster:
        yield cluster, pattern(size)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_server_that_hangs_is_overtaken(large: tuple[InProcessCluster, bytes], number: int) -> None:
    cluster, data = large
    client = cluster.client()
    await client.put("/f", data)
    cluster.faults(number).hangs = True
    async with asyncio.timeout(20):
        for _ in range(8):
            assert await client.get("/f") == data
    await assert_nothing_is_left(client)
    assert (await client._contact.session()).avoided.current() == (), "slow is not the same as broken"
    assert client.hedged_reads["none"] == 0
    # Which server is asked first is drawn; of the one that hangs nothing came, so another one was asked as well.
    assert not cluster.faults(number).reads or sum(client.hedged_reads.values()) >= 1


@pytest.mark.usefixtures("patient")
async def test_wrong_bytes_do_not_win(large: tuple[InProcessCluster, bytes]) -> None:
    cluster, data = large
    client = cluster.client()
    await client.put("/f", data)
    cluster.faults(1).alter_read = flip_frame
    async with asyncio.timeout(20):
        for _ in range(8):
            cluster.faults(2).hangs = True
            task = asyncio.create_task(client.get("/f"))
            await asyncio.sleep(0.1)
            cluster.faults(2).hangs = False
            cluster.faults(2).release()
            assert await task == data
    await assert_nothing_is_left(client)


@pytest.mark.usefixtures("patient")
async def test_a_read_that_is_given_up_leaves_nothing(large: tuple[InProcessCluster, bytes]) -> None:
    cluster, data = large
    client = cluster.client()
    await client.put("/f", data)
    for number in (1, 2, 3):
        cluster.faults(number).hangs = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await client.get("/f")
    assert sum(cluster.faults(number).hanging for number in (1, 2, 3)) == 0
    await assert_nothing_is_left(client)


@pytest.mark.usefixtures("patient")
async def test_quick_answers_are_not_asked_twice(cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dstore.client.hedging.DELAY_DEFAULT_S", 5.0)
    client = cluster.client()
    await client.put("/f", DATA)
    for _ in range(5):
        assert await client.get("/f", 0, 10) == DATA[:10]
    assert sum(cluster.faults(number).reads for number in (1, 2, 3)) == 5
