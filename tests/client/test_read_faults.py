"""Reads while servers die, hang or give wrong bytes: another replica goes on, or there is a clear error."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from store_in_process import CHUNK_SIZE, InProcessCluster, Wire, flip_frame, in_process_cluster, pattern

from dstore.client.servers import AvoidedServers, ServerUse, order_replicas
from dstore.core.checksum import crc32c
from dstore.core.chunks import Frame, ReadRequest
from dstore.core.errors import Corrupt, NotFound, Unavailable
from dstore.core.groups import Group, MemberState, Replica, ServerPhase
from dstore.core.ids import GroupId, ServerId
from dstore.core.limits import (
    CHUNKS_IN_FLIGHT_READ,
    FRAME_SEGMENTS,
    INLINE_SIZE_BYTES_MAX,
    SEGMENT_SIZE_BYTES,
    SERVER_AVOID_DURATION_S,
)

DATA = pattern(5 * CHUNK_SIZE + 7)
STRIDE = FRAME_SEGMENTS * SEGMENT_SIZE_BYTES


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dstore.client.chunk_fetching.STREAM_STALL_TIMEOUT_S", 0.3)


@pytest.mark.parametrize("fault", ["is_down", "hangs"])
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_one_server_is_gone(cluster: InProcessCluster, tmp_path: Path, number: int, fault: str) -> None:
    client = cluster.client()
    await client.put("/f", DATA)
    setattr(cluster.faults(number), fault, True)
    assert await client.get("/f") == DATA
    await client.get_file("/f", tmp_path / "local")
    assert (tmp_path / "local").read_bytes() == DATA


async def test_a_server_that_is_gone_is_not_asked_again_for_each_chunk(
    cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def refuse() -> None:
        nonlocal asked
        asked += 1
        raise Unavailable("Connection refused.", reason="SERVER_UNREACHABLE")

    data = pattern(30 * CHUNK_SIZE)
    client = cluster.client()
    await client.put("/f", data)
    monkeypatch.setattr(cluster.faults(1), "pass_call", refuse)
    assert await client.get("/f") == data
    assert 1 <= asked <= CHUNKS_IN_FLIGHT_READ


async def test_a_stream_that_never_ends_costs_its_server_the_next_ones(
    cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A healthy server that a busy machine makes wait does not count as silent.
    monkeypatch.setattr("dstore.client.chunk_fetching.STREAM_STALL_TIMEOUT_S", 2.0)
    monkeypatch.setattr("dstore.client.chunk_fetching.WHOLE_RANGE_SIZE_BYTES_MAX", 0)
    client = cluster.client()
    data = pattern(20 * CHUNK_SIZE)
    await client.put("/f", data)
    real = Wire.read_chunk
    hung = 0

    async def read_chunk(self: Wire, request: ReadRequest) -> AsyncIterator[Frame]:
        nonlocal hung
        async for frame in real(self, request):
            yield frame
        if self.faults is cluster.faults(1):
            hung += 1
            await asyncio.Event().wait()

    monkeypatch.setattr(Wire, "read_chunk", read_chunk)
    assert await client.get("/f") == data
    assert 1 <= hung <= 2


async def test_two_servers_are_gone(cluster: InProcessCluster) -> None:
    client = cluster.client()
    await client.put("/f", DATA)
    cluster.faults(1).is_down = cluster.faults(3).hangs = True
    assert await client.get("/f") == DATA


@pytest.mark.parametrize("fault", ["is_down", "hangs"])
async def test_all_servers_are_gone(cluster: InProcessCluster, fault: str) -> None:
    client = cluster.client()
    await client.put("/f", pattern(INLINE_SIZE_BYTES_MAX + 1))
    for number in (1, 2, 3):
        setattr(cluster.faults(number), fault, True)
    with pytest.raises(Unavailable) as caught:
        await client.get("/f")
    assert caught.value.reason == "CHUNK_UNAVAILABLE"
    assert caught.value.metadata["path"] == "/f"
    assert caught.value.metadata["servers"] == "cs-1,cs-2,cs-3"
    assert cluster.calls.names.count("list_chunks") == 1


@pytest.mark.parametrize("frames", [0, 1, 2, 3])
async def test_a_server_dies_in_the_middle_of_a_chunk(tmp_path: Path, frames: int) -> None:
    data = pattern(4 * STRIDE)
    async with in_process_cluster(tmp_path, chunk_size_bytes=4 * STRIDE) as cluster:
        client = cluster.client()
        await client.put("/f", data)
        for number in (1, 2):
            cluster.faults(number).read_frames_left = frames
        assert await client.get("/f") == data
        assert await client.get("/f", STRIDE + 5, 2 * STRIDE) == data[STRIDE + 5 : 3 * STRIDE + 5]


async def test_the_next_replica_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    data = pattern(4 * STRIDE)
    offsets: list[int] = []

    def note(frame: Frame) -> Frame:
        offsets.append(frame.offset)
        return frame

    async with in_process_cluster(tmp_path, chunk_size_bytes=4 * STRIDE) as cluster:
        client = cluster.client()
        await client.put("/f", data)
        for number in (1, 2, 3):
            cluster.faults(number).alter_read = note
            cluster.faults(number).read_frames_left = 2
        assert await client.get("/f") == data
    assert offsets == sorted(offsets)
    assert len(offsets) == len(set(offsets))


def cut_short(frame: Frame) -> Frame:
    return replace(frame, data=bytes(frame.data)[:-1])


def misplaced(frame: Frame) -> Frame:
    return replace(frame, offset=frame.offset + 16_400)


def other_bytes(frame: Frame) -> Frame:
    """What a lying server sends: the checksum fits."""
    data = bytes(len(frame.data))
    return Frame(frame.offset, crc32c(data), data)


@pytest.mark.parametrize("alter", [flip_frame, cut_short, misplaced, other_bytes])
async def test_wrong_frames_are_not_believed(cluster: InProcessCluster, alter: object) -> None:
    client = cluster.client()
    await client.put("/f", DATA)
    for number in (1, 2):
        cluster.faults(number).alter_read = alter  # type: ignore[assignment]
    assert await client.get("/f") == DATA
    assert await client.get("/f", 70_000, 1_000) == DATA[70_000:71_000]
    cluster.faults(3).alter_read = alter  # type: ignore[assignment]
    with pytest.raises(Corrupt) as caught:
        await client.get("/f")
    assert caught.value.reason == "CHUNK_CORRUPT"
    with pytest.raises(Corrupt):
        async with await client.open("/f", "rb") as file:
            await file.readinto(bytearray(10))


async def test_flipped_bits_on_disk(cluster: InProcessCluster) -> None:
    """Invariant 12, and the third replica serves."""
    client = cluster.client()
    await client.put("/f", DATA)
    files = cluster.chunk_files()
    assert len(files) == 18
    for address, path in files:
        if not address.startswith("cs-3"):
            cluster.damage(address, path)
    assert await client.get("/f") == DATA
    for address, path in files:
        if address.startswith("cs-3"):
            cluster.damage(address, path)
    with pytest.raises(Corrupt) as caught:
        await client.get("/f")
    assert caught.value.reason == "CHUNK_CORRUPT"
    assert caught.value.metadata["path"] == "/f"
    assert caught.value.metadata["chunk_index"] in str(caught.value)
    assert caught.value.metadata["chunk_id"] in str(caught.value)
    assert caught.value.metadata["servers"] == "cs-1,cs-2,cs-3"
    assert isinstance(caught.value, OSError)


async def test_a_failed_get_file_leaves_the_local_file_as_it_was(cluster: InProcessCluster, tmp_path: Path) -> None:
    directory = tmp_path / "local"
    directory.mkdir()
    local = directory / "file"
    local.write_bytes(b"as it was")
    client = cluster.client()
    await client.put("/f", DATA)
    for number in (1, 2, 3):
        cluster.faults(number).read_frames_left = 1
    with pytest.raises(Unavailable):
        await client.get_file("/f", local)
    assert [path.name for path in directory.iterdir()] == ["file"]
    assert local.read_bytes() == b"as it was"
    with pytest.raises(IsADirectoryError):
        await client.get_file("/f", directory)
    with pytest.raises(FileNotFoundError):
        await client.get_file("/f", directory / "missing" / "file")


async def test_a_version_that_vanishes_under_the_reader_is_read_anew(cluster: InProcessCluster) -> None:
    """Invariant 2: one version or another, never a mixture."""
    client = cluster.client()
    await client.put("/f", b"1" * CHUNK_SIZE * 2)
    for number in (1, 2, 3):
        cluster.faults(number).read_frames_left = 0

    def replace_it() -> None:
        for number in (1, 2, 3):
            cluster.faults(number).read_frames_left = None
            cluster.faults(number).is_down = False
        raise NotFound("That version is no longer kept.", reason="VERSION_NOT_FOUND")

    cluster.calls.before["list_chunks"] = replace_it
    assert await client.get("/f") == b"1" * CHUNK_SIZE * 2
    assert cluster.calls.names.count("open_file") == 2


async def test_a_version_that_keeps_vanishing_is_an_error_at_last(cluster: InProcessCluster) -> None:
    client = cluster.client()
    await client.put("/f", pattern(INLINE_SIZE_BYTES_MAX + 1))
    for number in (1, 2, 3):
        cluster.faults(number).is_down = True

    def vanish() -> None:
        raise NotFound("That version is no longer kept.", reason="VERSION_NOT_FOUND")

    cluster.calls.before["list_chunks"] = vanish
    with pytest.raises(NotFound):
        await client.get("/f")


class TestTheOrderOfReplicas:
    UP = Replica(ServerId("u1"), "u1", "", ServerPhase.UP)
    ALSO_UP = Replica(ServerId("u2"), "u2", "", ServerPhase.UP)
    SUSPECT = Replica(ServerId("s"), "s", "", ServerPhase.SUSPECT)
    DOWN = Replica(ServerId("d"), "d", "", ServerPhase.DOWN)

    @pytest.mark.parametrize(
        ("jitter", "avoided", "expected"),
        [
            (0.0, (), "u1 u2 s d"),
            (0.24, (), "u1 u2 s d"),
            (0.25, (), "u1 u2 s d"),
            (0.5, (), "u2 u1 s d"),
            (0.75, (), "u2 u1 s d"),
            (0.999, (), "u2 u1 s d"),
            (0.0, ("u1",), "u2 u1 s d"),
            (0.0, ("u1", "u2", "s", "d"), "u1 u2 s d"),
        ],
    )
    def test_order(self, jitter: float, avoided: tuple[ServerId, ...], expected: str) -> None:
        group = Group(GroupId(1), 1, (self.DOWN, self.UP, self.SUSPECT, self.ALSO_UP))
        ordered = order_replicas(group, avoided=avoided, use=ServerUse(), jitter=jitter, slowness={})
        assert " ".join(replica.name for replica in ordered) == expected

    def test_members_that_are_being_filled_come_before_servers_that_may_hang(self) -> None:
        filling = Replica(ServerId("f"), "f", "f:1", ServerPhase.UP, MemberState.FILLING)
        leaving = Replica(ServerId("l"), "l", "l:1", ServerPhase.UP, MemberState.LEAVING)
        out = Replica(ServerId("o"), "o", "o:1", ServerPhase.OUT)
        group = Group(GroupId(1), 1, (out, self.DOWN, filling, self.SUSPECT, self.UP, leaving))
        ordered = order_replicas(group, avoided=(ServerId("u1"),), use=ServerUse(), jitter=0, slowness={})
        assert " ".join(replica.name for replica in ordered) == "l f u1 s d o"

    def test_the_one_that_serves_least_comes_first(self) -> None:
        group = Group(GroupId(1), 1, (self.UP, self.ALSO_UP, self.DOWN))
        use = ServerUse()
        use.begin(ServerId("u1"))
        use.begin(ServerId("d"))
        ordered = order_replicas(group, avoided=(), use=use, jitter=0, slowness={})
        assert [replica.name for replica in ordered] == ["u2", "u1", "d"]
        use.end(ServerId("u1"))
        assert [use.count(ServerId(name)) for name in ("u1", "u2", "d")] == [0, 0, 1]

    @pytest.mark.parametrize(
        ("slowness", "streams", "expected"),
        [
            ({"u1": 2}, 0, "u2 u1 s d"),
            ({"u1": 2, "u2": 1}, 1, "u1 u2 s d"),
            ({"u1": 2, "u2": 1}, 2, "u1 u2 s d"),
            ({"u1": 4, "u2": 1}, 2, "u2 u1 s d"),
            ({"u1": 4}, 4, "u1 u2 s d"),
            ({"u1": 64, "u2": 64}, 0, "u1 u2 s d"),
        ],
    )
    def test_a_slow_one_gets_a_smaller_share(self, slowness: dict[ServerId, int], streams: int, expected: str) -> None:
        """``streams`` are those of the other one."""
        group = Group(GroupId(1), 1, (self.UP, self.ALSO_UP, self.SUSPECT, self.DOWN))
        use = ServerUse()
        for _ in range(streams):
            use.begin(ServerId("u2"))
        ordered = order_replicas(group, avoided=(), use=use, jitter=0, slowness=slowness)
        assert " ".join(replica.name for replica in ordered) == expected

    def test_a_group_without_members(self) -> None:
        assert order_replicas(Group(GroupId(1), 1, ()), avoided=(), use=ServerUse(), jitter=0.9, slowness={}) == ()

    def test_avoiding_ends(self) -> None:
        class Clock:
            now_s = 0.0

            def monotonic_s(self) -> float:
                return self.now_s

            def wall_ns(self) -> int:
                return 0

        clock = Clock()
        avoided = AvoidedServers(clock)
        avoided.add(ServerId("b"))
        avoided.add(ServerId("a"))
        assert avoided.current() == ("a", "b")
        clock.now_s = SERVER_AVOID_DURATION_S
        assert avoided.current() == ()


async def test_all_servers_are_read_from(cluster: InProcessCluster) -> None:
    client = cluster.client()
    await client.put("/f", pattern(60 * CHUNK_SIZE))
    await client.get("/f")
    # How often each depends on how fast it answered, which a busy machine decides.
    assert min(cluster.faults(number).reads for number in (1, 2, 3)) >= 1
