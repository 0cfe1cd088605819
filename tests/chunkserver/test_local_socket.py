"""The local socket of a chunkserver: who gets an open file of what, and what a bad client can do."""

import asyncio
import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from small_cluster import CHUNK, CLUSTER, Network, StoppedClock, content, put

from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.disk import LocalDisk
from dstore.chunkserver.local_socket import LocalSocket
from dstore.chunkserver.metrics import ChunkserverMetrics
from dstore.chunkserver.service import ChunkService
from dstore.core.ids import ChunkId, ClusterId, GroupId, ServerId
from dstore.core.limits import LOCAL_CONNECTIONS_MAX
from dstore.core.local_reads import LocalReads
from dstore.rpc.local_messages import LocalAnswer, LocalRequest, decode_answer, encode_request, socket_name
from dstore.system.environment import SystemRandom

DATA = content(200_000)
OTHER_CLUSTER = ClusterId("6f2c1a52-93b1-4d1f-8a57-0f9be7d9a002")
OTHER_SERVER = ServerId("6f2c1a52-93b1-4d1f-8a57-0f9be7d9a003")


@dataclass
class Server:
    """One chunkserver on a real directory, with its local socket."""

    root: Path
    disk: LocalDisk
    store: ChunkStore
    service: ChunkService
    socket: LocalSocket

    @property
    def server_id(self) -> ServerId:
        return self.store.identity.server_id

    @property
    def request(self) -> LocalRequest:
        return LocalRequest(CLUSTER, self.server_id, CHUNK)

    def path(self) -> Path:
        (path,) = self.root.glob(f"groups/*/*/{CHUNK}")
        return path


@asynccontextmanager
async def serving(
    root: Path,
    *,
    allowed: LocalReads = LocalReads.OWN,
    connections_max: int = LOCAL_CONNECTIONS_MAX,
    idle_s: float = 30.0,
) -> AsyncIterator[Server]:
    disk = LocalDisk(root)
    # The names of sockets are the machine's: other tests run at the same time.
    store = await ChunkStore.open(disk, SystemRandom(), name="cs-1")
    await store.bind_cluster(CLUSTER)
    store.reconciled()
    service = ChunkService(store, Network(), StoppedClock(), ChunkserverMetrics())
    local = LocalSocket(
        service,
        lambda: store.identity,
        allowed=allowed,
        own_uid=os.geteuid(),
        connections_max=connections_max,
        idle_s=idle_s,
    )
    try:
        await put(service, DATA)
        assert await local.start() is (allowed is not LocalReads.OFF)
        yield Server(root, disk, store, service, local)
    finally:
        await local.stop()
        await service.close()
        disk.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(tmp_path) as running:
        yield running


def connect(server: Server) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(30)
    try:
        connection.connect(socket_name(server.server_id))
    except OSError:
        connection.close()
        raise
    return connection


async def say(connection: socket.socket, packet: bytes) -> tuple[bytes, list[int]]:
    """Send a packet and return the answer; no bytes when the server has left."""

    def exchange() -> tuple[bytes, list[int]]:
        try:
            connection.send(packet)
            answer, descriptors, _, _ = socket.recv_fds(connection, 1024, 4)
        except ConnectionError:
            return b"", []
        return answer, descriptors

    return await asyncio.to_thread(exchange)


async def ask(server: Server, request: LocalRequest) -> tuple[LocalAnswer, list[int]]:
    with connect(server) as connection:
        answer, descriptors = await say(connection, encode_request(request))
        return decode_answer(answer), descriptors


async def test_the_open_file_is_the_chunk_and_cannot_be_written(server: Server) -> None:
    answer, (descriptor,) = await ask(server, server.request)
    try:
        assert (answer.cluster_id, answer.server_id, answer.chunk_id) == (CLUSTER, server.server_id, CHUNK)
        assert (answer.length_bytes, answer.refusal) == (len(DATA), "")
        assert os.pread(descriptor, len(DATA), answer.offset) == DATA
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.pwrite(descriptor, b"x", 0)
        assert b"dstore_chunk_files_lent_total 1.0" in server.service._metrics.render()
    finally:
        os.close(descriptor)


async def test_no_client_can_change_flags_for_others(server: Server) -> None:
    with connect(server) as connection:
        _, (first,) = await say(connection, encode_request(server.request))
        _, (second,) = await say(connection, encode_request(server.request))
    fcntl.fcntl(first, fcntl.F_SETFL, os.O_NONBLOCK)
    os.lseek(first, 77, os.SEEK_SET)
    assert not fcntl.fcntl(second, fcntl.F_GETFL) & os.O_NONBLOCK
    assert os.lseek(second, 0, os.SEEK_CUR) == 0
    os.close(first)
    os.close(second)


async def unreconciled(server: Server) -> None:
    server.store.is_reconciled = False


async def suspect(server: Server) -> None:
    server.store.fail(OSError(5, "Input/output error"), "writing")


async def corrupt(server: Server) -> None:
    await server.store.report_corrupt(CHUNK, "it was read by the scrub")


async def gone(server: Server) -> None:
    server.path().unlink()


async def flipped_header(server: Server) -> None:
    flip(server.path(), 20)


async def flipped_footer(server: Server) -> None:
    flip(server.path(), server.path().stat().st_size - 1)


async def cut(server: Server) -> None:
    os.truncate(server.path(), 4096 + 1000)


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (unreconciled, "UNAVAILABLE"),
        (suspect, "DISK_FAILED"),
        (corrupt, "CHUNK_CORRUPT"),
        (gone, "CHUNK_NOT_FOUND"),
        (flipped_header, "CHUNK_CORRUPT"),
        (flipped_footer, "CHUNK_CORRUPT"),
        (cut, "CHUNK_CORRUPT"),
    ],
)
async def test_only_what_would_be_served_is_given(
    server: Server, change: Callable[[Server], Awaitable[None]], reason: str
) -> None:
    await change(server)
    answer, descriptors = await ask(server, server.request)
    assert (answer.refusal, descriptors) == (reason, [])
    assert (CHUNK in server.store.corrupt) is (reason == "CHUNK_CORRUPT")


async def test_requests_for_others_are_refused(server: Server) -> None:
    for request, reason in [
        (LocalRequest(OTHER_CLUSTER, server.server_id, CHUNK), "WRONG_CLUSTER"),
        (LocalRequest(CLUSTER, OTHER_SERVER, CHUNK), "WRONG_SERVER"),
        (LocalRequest(CLUSTER, server.server_id, ChunkId(GroupId(42), 500)), "CHUNK_NOT_FOUND"),
    ]:
        answer, descriptors = await ask(server, request)
        assert (answer.refusal, descriptors) == (reason, [])


@pytest.mark.parametrize("garbage", [b"x", b"GET / HTTP/1.1\r\n\r\n", bytes(10_000), b"dstoreLQ"])
async def test_who_says_something_else_is_left_and_the_others_stay(server: Server, garbage: bytes) -> None:
    with connect(server) as good, connect(server) as bad:
        assert await say(bad, garbage) == (b"", [])
        answer, (descriptor,) = await say(good, encode_request(server.request))
        os.close(descriptor)
        assert decode_answer(answer).refusal == ""


async def test_a_client_that_takes_no_answers_has_to_leave(server: Server) -> None:
    with connect(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)

        def flood() -> None:
            with pytest.raises(ConnectionError):
                for _ in range(100_000):
                    connection.send(encode_request(server.request))

        await asyncio.to_thread(flood)
    answer, (descriptor,) = await ask(server, server.request)
    os.close(descriptor)
    assert answer.refusal == ""


async def test_descriptors_from_clients_are_dropped(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "sent"
    path.write_bytes(b"")
    with connect(server) as connection:
        with path.open("rb") as sent:
            await asyncio.to_thread(socket.send_fds, connection, [encode_request(server.request)], [sent.fileno()] * 3)
        _, (descriptor,), _, _ = await asyncio.to_thread(socket.recv_fds, connection, 1024, 4)
        os.close(descriptor)
        assert not [name for name in os.listdir("/proc/self/fd") if links_to(name, path)]


def links_to(name: str, path: Path) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{name}") == str(path)
    except FileNotFoundError:
        return False


async def test_connections_are_bounded(tmp_path: Path) -> None:
    async with serving(tmp_path, connections_max=2) as server:
        with connect(server) as first, connect(server) as second, connect(server) as third:
            for connection in (first, second):
                _, (descriptor,) = await say(connection, encode_request(server.request))
                os.close(descriptor)
            assert await say(third, encode_request(server.request)) == (b"", [])


async def test_a_silent_client_loses_its_place(tmp_path: Path) -> None:
    async with serving(tmp_path, idle_s=0.05) as server:
        with connect(server) as connection:
            assert await asyncio.to_thread(connection.recv, 100) == b""


async def test_stopping_ends_connections_and_frees_the_name(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        with connect(server) as connection:
            _, (descriptor,) = await say(connection, encode_request(server.request))
            os.close(descriptor)
            await server.socket.stop()
            assert await asyncio.to_thread(connection.recv, 100) == b""
        with pytest.raises(ConnectionRefusedError):
            connect(server)
        assert await server.socket.start() is True


async def test_a_name_that_is_taken_costs_only_the_speed(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    second = LocalSocket(server.service, lambda: server.store.identity, allowed=LocalReads.OWN, own_uid=os.geteuid())
    assert await second.start() is False
    assert "read over the network" in caplog.text
    await second.stop()


async def test_switched_off_there_is_no_socket(tmp_path: Path) -> None:
    async with serving(tmp_path, allowed=LocalReads.OFF) as server:
        with pytest.raises(ConnectionRefusedError):
            connect(server)


_AS_ANOTHER_USER = """
import os, socket, sys
os.setuid(65534)
connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
connection.settimeout(5)
connection.connect(bytes.fromhex(sys.argv[1]))
try:
    connection.send(bytes.fromhex(sys.argv[2]))
    print(len(socket.recv_fds(connection, 1024, 1)[1]))
except ConnectionError:
    print(0)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(("allowed", "given"), [(LocalReads.OWN, "0"), (LocalReads.ANY, "1")])
async def test_other_users_are_refused_unless_all_are_allowed(tmp_path: Path, allowed: LocalReads, given: str) -> None:
    async with serving(tmp_path, allowed=allowed) as server:
        name, packet = socket_name(server.server_id).hex(), encode_request(server.request).hex()
        command = [sys.executable, "-I", "-c", _AS_ANOTHER_USER, name, packet]
        assert (await asyncio.to_thread(subprocess.check_output, command, text=True, timeout=30)).strip() == given


async def test_many_clients_at_once(server: Server) -> None:
    async def one() -> bytes:
        answer, (descriptor,) = await ask(server, server.request)
        try:
            return os.pread(descriptor, answer.length_bytes, answer.offset)
        finally:
            os.close(descriptor)

    assert set(await asyncio.gather(*(one() for _ in range(40)))) == {DATA}
