"""Reading the files of chunkservers on the same machine: what works, and what silently does not."""

import asyncio
import os
import random
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest
from local_servers import (
    CLUSTER,
    Collector,
    LocalServer,
    Script,
    eventually,
    lent_paths,
    local_chunks,
    local_server,
    open_descriptors,
    pretender,
    record_of,
    replica_of,
)
from store_in_process import StoppedClock

from dstore.client.lent_file import LentFile
from dstore.core.errors import Unavailable
from dstore.core.groups import MemberState
from dstore.core.ids import ChunkId, ClusterId, GroupId, ServerId
from dstore.core.limits import LOCAL_AVOID_DURATION_S, LOCAL_FILE_AGE_MAX_S, LOCAL_READ_SIZE_BYTES, LOCAL_READ_THREADS
from dstore.rpc.local_messages import LocalAnswer, LocalRequest, encode_answer
from dstore.system.environment import SystemRandom

DATA = random.Random(5).randbytes(3 * LOCAL_READ_SIZE_BYTES + 77)
RECORD = record_of(499, DATA)
SECONDS = 10.0


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines that run tests may be slow; the tests that are about time set their own."""
    monkeypatch.setattr("dstore.client.local_socket.LOCAL_ANSWER_TIMEOUT_S", 30.0)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalServer]:
    async with local_server(tmp_path / "server") as running:
        await running.put(499, DATA)
        yield running


def whole() -> Collector:
    return Collector(0, len(DATA))


def stranger() -> ServerId:
    return ServerId(SystemRandom().uuid())


SIZE = LOCAL_READ_SIZE_BYTES


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, 1),
        (0, SIZE - 1),
        (0, SIZE),
        (0, SIZE + 1),
        (56, SIZE + 56),
        (SIZE, 2 * SIZE),
        (0, len(DATA)),
        (len(DATA) - 1, len(DATA)),
        (7, 7),
    ],
)
async def test_ranges(server: LocalServer, start: int, end: int) -> None:
    cursor = Collector(start, end)
    async with local_chunks() as local:
        assert await local.fill((server.replica,), CLUSTER, RECORD, cursor) is None
    assert bytes(cursor.taken) == DATA[start:end]


async def test_servers_that_are_elsewhere_or_lack_the_chunk_are_passed_over(server: LocalServer) -> None:
    filling = replace(replica_of(stranger()), state=MemberState.FILLING)
    async with local_chunks() as local, local_server(server.root.parent / "empty") as empty:
        members = (filling, replica_of(stranger()), empty.replica, server.replica)
        cursor = whole()
        assert await local.fill(members, CLUSTER, RECORD, cursor) is None
        assert bytes(cursor.taken) == DATA
        cursor = whole()
        assert await local.fill(members[:3], CLUSTER, RECORD, cursor) is None
        assert cursor.position == 0


@pytest.mark.parametrize(("turn", "first"), [(0.0, 0), (0.49, 0), (0.5, 1), (0.99, 1)])
async def test_clients_begin_with_different_copies(server: LocalServer, turn: float, first: int) -> None:
    async with local_server(server.root.parent / "other") as other, local_chunks(turn=turn) as local:
        await other.put(499, DATA)
        servers = (server, other)
        await local.fill((server.replica, other.replica), CLUSTER, RECORD, whole())
        lent = [b"lent_total 1.0" in each.service._metrics.render() for each in servers]
    assert lent == [first == 0, first == 1]


async def test_a_server_that_is_not_here_is_not_looked_for_at_every_read(server: LocalServer) -> None:
    clock = StoppedClock()
    await server.socket.stop()
    async with local_chunks(clock) as local:
        cursor = whole()
        await local.fill((server.replica,), CLUSTER, RECORD, cursor)
        await server.socket.start()
        clock.now_s += LOCAL_AVOID_DURATION_S - 0.1
        await local.fill((server.replica,), CLUSTER, RECORD, cursor)
        assert cursor.position == 0
        clock.now_s += 0.1
        await local.fill((server.replica,), CLUSTER, RECORD, cursor)
        assert bytes(cursor.taken) == DATA


async def test_a_server_that_was_started_again_is_found_at_once(server: LocalServer) -> None:
    async with local_chunks(files_max=1) as local:
        await local.fill((server.replica,), CLUSTER, RECORD, whole())
        second = await server.put(500, DATA[::-1])
        await server.socket.stop()
        await server.socket.start()
        cursor = whole()
        await local.fill((server.replica,), CLUSTER, second, cursor)
        assert bytes(cursor.taken) == DATA[::-1]


@pytest.mark.parametrize("cluster_id", [ClusterId("6f2c1a52-93b1-4d1f-8a57-0f9be7d9a002")])
async def test_a_server_of_another_cluster_gives_nothing(server: LocalServer, cluster_id: ClusterId) -> None:
    cursor = whole()
    async with local_chunks() as local:
        assert await local.fill((server.replica,), cluster_id, RECORD, cursor) is None
    assert cursor.position == 0


def _answer(request: LocalRequest, **changes: object) -> bytes:
    answer = LocalAnswer(request.cluster_id, request.server_id, request.chunk_id, 4096, len(DATA))
    return encode_answer(replace(answer, **changes))  # type: ignore[arg-type]


def _hangs_up(connection: socket.socket, request: LocalRequest) -> None:
    connection.close()


def _says(packet: bytes) -> Script:
    def script(connection: socket.socket, request: LocalRequest) -> None:
        connection.send(packet)

    return script


def _gives_nothing(connection: socket.socket, request: LocalRequest) -> None:
    connection.send(_answer(request))


def _refuses(connection: socket.socket, request: LocalRequest) -> None:
    connection.send(_answer(request, refusal="UNAVAILABLE"))


def _gives(path: str, **changes: object) -> Script:
    def script(connection: socket.socket, request: LocalRequest) -> None:
        with open(path, "rb") as file:
            socket.send_fds(connection, [_answer(request, **changes)], [file.fileno()])

    return script


def _gives_many(connection: socket.socket, request: LocalRequest) -> None:
    with open("/dev/null", "rb") as file:
        socket.send_fds(connection, [_answer(request)], [file.fileno()] * 10)


def _gives_a_pipe(connection: socket.socket, request: LocalRequest) -> None:
    reading, writing = os.pipe()
    socket.send_fds(connection, [_answer(request)], [reading])
    os.close(reading)
    os.close(writing)


SCRIPTS: dict[str, Script] = {
    "hangs up": _hangs_up,
    "garbage": _says(b"HTTP/1.1 400 Bad Request"),
    "too long": _says(bytes(10_000)),
    "no file": _gives_nothing,
    "a refusal": _refuses,
    "a device": _gives("/dev/zero"),
    "a pipe": _gives_a_pipe,
    "many": _gives_many,
    "a short file": _gives("/proc/self/cmdline"),
    "another length": _gives(__file__, length_bytes=5),
    "an offset without end": _gives(__file__, offset=2**64 - 1),
    "another server": _gives(__file__, server_id=ServerId("6f2c1a52-93b1-4d1f-8a57-0f9be7d9a009")),
    "another cluster": _gives(__file__, cluster_id=ClusterId("6f2c1a52-93b1-4d1f-8a57-0f9be7d9a009")),
    "another chunk": _gives(__file__, chunk_id=ChunkId(GroupId(42), 500)),
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
async def test_whoever_took_the_name_of_a_server_gets_nowhere(script: Script) -> None:
    server_id, cursor = stranger(), whole()
    async with AsyncExitStack() as stack:
        requests = await stack.enter_async_context(pretender(server_id, script))
        before = open_descriptors()
        async with local_chunks() as local:
            for _ in range(3):
                assert await local.fill((replica_of(server_id),), CLUSTER, RECORD, cursor) is None
            assert local.file_count == 0
        assert len(requests) == 1, "it is left alone from then on"
        # The connection's other end is still there.
        assert open_descriptors() <= before + 1
    assert (cursor.position, lent_paths()) == (0, [])


async def test_a_server_that_says_nothing_costs_one_short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dstore.client.local_socket.LOCAL_ANSWER_TIMEOUT_S", 0.05)
    server_id, cursor = stranger(), whole()
    async with pretender(server_id, lambda connection, request: None) as requests, local_chunks() as local:
        await asyncio.gather(*(local.fill((replica_of(server_id),), CLUSTER, RECORD, cursor) for _ in range(20)))
        assert len(requests) == 1
    assert cursor.position == 0


async def test_bytes_that_do_not_authenticate_name_the_replica(server: LocalServer) -> None:
    async with local_chunks() as local, local_server(server.root.parent / "other") as other:
        await other.put(499, DATA)
        cursor = replace(whole(), is_bad_from=2 * SIZE)
        assert await local.fill((server.replica, other.replica), CLUSTER, RECORD, cursor) == server.replica
        assert cursor.position == 2 * SIZE, "what is good is kept"
        assert local.file_count == 0, "the damaged file is not read again"


async def test_a_file_that_was_cut_names_the_replica(server: LocalServer) -> None:
    async with local_chunks() as local:
        await local.fill((server.replica,), CLUSTER, RECORD, Collector(0, 1))
        os.truncate(server.path(RECORD), 4096 + SIZE + 5)
        cursor = whole()
        assert await local.fill((server.replica,), CLUSTER, RECORD, cursor) == server.replica
        assert bytes(cursor.taken) == DATA[:SIZE]


async def test_files_on_loan_are_bounded_and_given_back_when_idle(server: LocalServer) -> None:
    records = [await server.put(500 + number, DATA) for number in range(6)]
    clock = StoppedClock()
    async with local_chunks(clock, files_max=4, idle_s=0.05) as local:
        for record in records:
            await local.fill((server.replica,), CLUSTER, record, whole())
            assert local.file_count <= 4
        # The server closes its own a moment after it sent it.
        await eventually(lambda: len(lent_paths()) == 4)
        assert local.file_count == 4
        for record in records:
            server.path(record).unlink()
        assert all(path.endswith("(deleted)") for path in lent_paths())
        clock.now_s += 0.1
        await eventually(lambda: not lent_paths())
        assert local.file_count == 0


async def test_a_chunk_that_was_found_damaged_is_not_read_for_long(server: LocalServer) -> None:
    clock = StoppedClock()
    async with local_chunks(clock) as local:
        await local.fill((server.replica,), CLUSTER, RECORD, whole())
        await server.store.report_corrupt(RECORD.chunk_id, "it was found by the scrub")
        clock.now_s += LOCAL_FILE_AGE_MAX_S
        cursor = whole()
        assert await local.fill((server.replica,), CLUSTER, RECORD, cursor) is None
        assert (cursor.position, lent_paths()) == (0, [])


async def test_what_was_lent_outlives_the_server(server: LocalServer) -> None:
    async with local_chunks() as local:
        await local.fill((server.replica,), CLUSTER, RECORD, whole())
        await server.socket.stop()
        cursor = whole()
        await local.fill((server.replica,), CLUSTER, RECORD, cursor)
        assert bytes(cursor.taken) == DATA


async def test_many_reads_of_many_chunks_at_once(server: LocalServer) -> None:
    chunks = {499: DATA} | {500 + number: random.Random(number).randbytes(SIZE + number) for number in range(9)}
    records = [RECORD] + [await server.put(sequence, data) for sequence, data in list(chunks.items())[1:]]
    async with local_chunks(files_max=4) as local:

        async def read(number: int) -> None:
            record = records[number % len(records)]
            data = chunks[record.chunk_id.sequence]
            cursor = Collector(number, len(data))
            await local.fill((server.replica,), CLUSTER, record, cursor)
            assert bytes(cursor.taken) == data[number:]

        await asyncio.gather(*(read(number) for number in range(200)))
    assert lent_paths() == []


class HangingDisk:
    """The disk below the client's threads: reads hang until they are released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.hanging = 0
        self._read = os.preadv

    def preadv(self, descriptor: int, buffers: list[memoryview], offset: int, flags: int = 0) -> int:
        if threading.current_thread().name.startswith("local-chunks"):
            self.hanging += 1
            self.released.wait(SECONDS)
        return self._read(descriptor, buffers, offset, flags)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[HangingDisk]:
    hanging = HangingDisk()
    monkeypatch.setattr(os, "preadv", hanging.preadv)
    yield hanging
    hanging.released.set()


async def test_a_disk_that_hangs_is_left_and_writes_nothing_later(server: LocalServer, disk: HangingDisk) -> None:
    cursor = whole()
    async with local_chunks(stall_timeout_s=0.05) as local:
        assert await local.fill((server.replica,), CLUSTER, RECORD, cursor) is None
        assert (cursor.position, local.file_count) == (0, 0)
        # Not closed under the thread that still reads it.
        assert (disk.hanging, len(lent_paths())) == (1, 1)
        disk.released.set()
        await eventually(lambda: not lent_paths())
    assert cursor.position == 0


async def test_when_all_threads_are_stuck_nobody_waits_any_more(server: LocalServer, disk: HangingDisk) -> None:
    clock = StoppedClock()
    cursors = [whole() for _ in range(3 * LOCAL_READ_THREADS)]
    async with local_chunks(clock, stall_timeout_s=0.5) as local:
        await asyncio.gather(*(local.fill((server.replica,), CLUSTER, RECORD, cursor) for cursor in cursors))
        assert (disk.hanging, local.file_count) == (LOCAL_READ_THREADS, 0)
        clock.now_s += LOCAL_AVOID_DURATION_S
        await local.fill((server.replica,), CLUSTER, RECORD, cursors[0])
        assert local.file_count == 0, "not even asked for a file"
        disk.released.set()
        await eventually(lambda: not lent_paths())
        assert {cursor.position for cursor in cursors} == {0}
        await local.fill((server.replica,), CLUSTER, RECORD, cursors[0])
        assert bytes(cursors[0].taken) == DATA, "the disk is back"


async def test_a_read_that_is_cancelled_writes_nothing_later(server: LocalServer, disk: HangingDisk) -> None:
    cursor = whole()
    async with local_chunks() as local:
        reading = asyncio.create_task(local.fill((server.replica,), CLUSTER, RECORD, cursor))
        await eventually(lambda: disk.hanging == 1)
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()
        disk.released.set()
    await eventually(lambda: not lent_paths())
    assert cursor.position == 0


def test_a_file_that_was_given_back_is_not_read() -> None:
    file = LentFile(os.open(__file__, os.O_RDONLY), 0, 10, 0.0)
    file.give_back()
    file.give_back()
    with pytest.raises(Unavailable, match="given back"):
        file.read_into(0, memoryview(bytearray(10)))


def test_a_child_gives_back_what_it_inherited() -> None:
    before = open_descriptors()
    with closing(open(__file__, "rb")):
        file = LentFile(os.open(__file__, os.O_RDONLY), 0, 10, 0.0)
        file.close_in_child()
        assert open_descriptors() == before + 1
        file.give_back()
    assert open_descriptors() == before


async def test_it_is_known_whether_the_last_range_was_here(server: LocalServer) -> None:
    async with local_chunks() as local:
        seen = [local.is_serving]
        for replica, cursor in [
            (server.replica, whole()),
            (replica_of(stranger()), whole()),
            (server.replica, whole()),
            (server.replica, replace(whole(), is_bad_from=0)),
        ]:
            await local.fill((replica,), CLUSTER, RECORD, cursor)
            seen.append(local.is_serving)
    assert seen == [False, True, False, True, False]
