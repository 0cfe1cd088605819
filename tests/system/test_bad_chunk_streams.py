"""Chunk streams that a broken or hostile writer would send to a live chunkserver, byte by byte over gRPC."""

from collections.abc import Iterator
from dataclasses import replace

import grpc
import pytest
from clear_errors import call_raw, check_logs, refused_raw
from cluster import LocalTestCluster, wait_until
from large_files import client_of

from dstore.core.checksum import crc32c
from dstore.core.chunks import ChainMember, Durability, Frame, ReadRequest, WriteFinish, WriteHeader
from dstore.core.groups import Replica
from dstore.core.ids import ChunkId, GroupId, ServerId
from dstore.core.limits import FRAME_SIZE_BYTES_MAX, MESSAGE_SIZE_BYTES_MAX
from dstore.rpc import frames
from dstore.rpc.convert.chunks import finish_to_proto, header_to_proto, read_request_to_proto

METHOD = "ChunkService/WriteChunk"
PIECES = (b"first", b"second", b"third")
WHOLE = b"".join(PIECES)
#: Too much for a manifest, so it has a chunk.
KNOWN = b"known " * 4096
STRANGER = ServerId("11111111-2222-3333-4444-555555555555")


class Bench:
    """What a writer knows of a cluster: its servers in the order of a group, and an id that nobody else uses."""

    def __init__(self, cluster: LocalTestCluster):
        self.cluster = cluster
        with client_of(cluster) as client:
            client.put("/known", KNOWN)
            known = client.describe("/known").chunks[0]
            self.header = WriteHeader(
                chunk_id=ChunkId(known.group.group_id, 1_000_000),
                cluster_id=client.cluster().cluster_id,
                group_epoch=known.group.epoch,
                length_bytes=len(WHOLE),
                durability=Durability.SYNCED,
                chain=(),
                descriptor=b"opaque",
            )
        self.known = known.record
        self.members: tuple[Replica, ...] = known.group.members

    def fresh(self, **changes: object) -> WriteHeader:
        """Return a header for a chunk that nobody wrote yet."""
        sequence = self.header.chunk_id.sequence + 1
        self.header = replace(self.header, chunk_id=ChunkId(self.header.chunk_id.group_id, sequence))
        return replace(self.header, **changes)  # type: ignore[arg-type]

    @property
    def address(self) -> str:
        return self.members[0].address

    def chain(self, *numbers: int) -> tuple[ChainMember, ...]:
        return tuple(ChainMember(self.members[number].server_id, self.members[number].address) for number in numbers)

    def files(self) -> list[str]:
        """Return every file of the chunk on any server, finished or not."""
        return [
            str(path)
            for name in self.cluster.names[1:]
            for path in self.cluster.directory(name).rglob(f"*{self.header.chunk_id}*")
        ]


@pytest.fixture(scope="module")
def bench(small_chunks_cluster: LocalTestCluster) -> Iterator[Bench]:
    bench = Bench(small_chunks_cluster)
    yield bench
    with client_of(small_chunks_cluster) as client:
        assert client.get("/known") == KNOWN
        assert client.status().servers_up == 3
    check_logs(small_chunks_cluster)


def opening(header: WriteHeader) -> bytes:
    return header_to_proto(header).SerializeToString()


def frame(data: bytes, offset: int, crc: int | None = None) -> bytes:
    return frames.encode_write_frame(Frame(offset, crc32c(data) if crc is None else crc, data))


def finish(length_bytes: int = len(WHOLE), crc: int = crc32c(WHOLE)) -> bytes:
    return finish_to_proto(WriteFinish(length_bytes, crc)).SerializeToString()


GOOD = (frame(PIECES[0], 0), frame(PIECES[1], 5), frame(PIECES[2], 11))
BAD_STREAMS: dict[str, tuple[tuple[bytes, ...], str, str]] = {
    "wrong CRC": ((frame(PIECES[0], 0, crc=1),), "DATA_LOSS", "FRAME_CRC_MISMATCH"),
    "wrong CRC later": ((GOOD[0], frame(PIECES[1], 5, crc=1)), "DATA_LOSS", "FRAME_CRC_MISMATCH"),
    "gap": ((GOOD[0], GOOD[2]), "INVALID_ARGUMENT", "FRAME_OFFSET_INVALID"),
    "out of order": ((GOOD[1], GOOD[0]), "INVALID_ARGUMENT", "FRAME_OFFSET_INVALID"),
    "twice": ((GOOD[0], GOOD[0]), "INVALID_ARGUMENT", "FRAME_OFFSET_INVALID"),
    "huge offset": ((frame(PIECES[0], 2**63),), "INVALID_ARGUMENT", "FRAME_OFFSET_INVALID"),
    "past the length": ((*GOOD, frame(b"x", len(WHOLE))), "INVALID_ARGUMENT", "FRAME_OFFSET_INVALID"),
    "empty frame": ((frame(b"", 0),), "INVALID_ARGUMENT", "FRAME_TOO_LARGE"),
    "large frame": ((frame(bytes(FRAME_SIZE_BYTES_MAX + 1), 0),), "INVALID_ARGUMENT", "FRAME_TOO_LARGE"),
    "message over the limit": (
        (frame(bytes(MESSAGE_SIZE_BYTES_MAX), 0),),
        "RESOURCE_EXHAUSTED",
        "MESSAGE_TOO_LARGE",
    ),
    "finish says less": ((*GOOD, finish(length_bytes=len(WHOLE) - 1)), "DATA_LOSS", "CHUNK_CRC_MISMATCH"),
    "finish says other CRC": ((*GOOD, finish(crc=7)), "DATA_LOSS", "CHUNK_CRC_MISMATCH"),
    "finish too early": (
        (*GOOD[:2], finish(11, crc32c(WHOLE[:11]))),
        "DATA_LOSS",
        "CHUNK_CRC_MISMATCH",
    ),
    "no finish": (GOOD, "INVALID_ARGUMENT", "STREAM_INVALID"),
    "no frame": ((), "INVALID_ARGUMENT", "STREAM_INVALID"),
    "no message": ((*GOOD, b"\xff\xff"), "INVALID_ARGUMENT", "STREAM_INVALID"),
}


@pytest.mark.parametrize("servers", [1, 3])
@pytest.mark.parametrize("name", BAD_STREAMS)
def test_a_bad_stream_leaves_nothing_on_any_server(bench: Bench, name: str, servers: int) -> None:
    messages, code, reason = BAD_STREAMS[name]
    header = bench.fresh(chain=bench.chain(1, 2)[: servers - 1])
    found = refused_raw(bench.address, METHOD, opening(header), *messages)
    assert (found[0], found[1].reason) == (code, reason)
    if reason not in ("MESSAGE_TOO_LARGE", "STREAM_INVALID"):
        # Those two are refused before the stream has a server: by gRPC, or because it is no stream of dstore.
        assert found[1].metadata["server_id"] == bench.members[0].server_id
    wait_until(lambda: bench.files() == [], what="nothing of the chunk is left", timeout_s=10)


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        ({"cluster_id": STRANGER}, "FAILED_PRECONDITION", "WRONG_CLUSTER"),
        ({"cluster_id": "x"}, "INVALID_ARGUMENT", "UUID_INVALID"),
        ({"group_epoch": 0}, "FAILED_PRECONDITION", "STALE_GROUP_EPOCH"),
        ({"length_bytes": 0}, "INVALID_ARGUMENT", "HEADER_INVALID"),
        ({"length_bytes": 2**32 - 1}, "INVALID_ARGUMENT", "HEADER_INVALID"),
        ({"descriptor": bytes(3 * 1024 + 1)}, "INVALID_ARGUMENT", "HEADER_INVALID"),
        ({"chunk_id": ChunkId(GroupId(0), 0)}, "INVALID_ARGUMENT", "CHUNK_ID_INVALID"),
        ({"chain": (ChainMember(STRANGER, ""),)}, "INVALID_ARGUMENT", "HEADER_INVALID"),
    ],
    ids=str,
)
def test_a_bad_header(bench: Bench, change: dict[str, object], code: str, reason: str) -> None:
    header = bench.fresh(**change)
    found = refused_raw(bench.address, METHOD, opening(header), *GOOD, finish())
    assert (found[0], found[1].reason) == (code, reason)
    assert bench.files() == []


def test_a_chain_that_names_a_dead_server(bench: Bench) -> None:
    dead = ChainMember(STRANGER, "127.0.0.1:1")
    for chain in ((dead,), (*bench.chain(1), dead)):
        code, error = refused_raw(bench.address, METHOD, opening(bench.fresh(chain=chain)), *GOOD, finish())
        assert (code, error.reason) == ("UNAVAILABLE", "NEXT_SERVER_UNREACHABLE")
        assert error.metadata["server_id"] == STRANGER, "the writer learns whom to avoid"
        assert "127.0.0.1:1" in error.message
        wait_until(lambda: bench.cluster.unfinished_files() == [], what="nothing unfinished is left", timeout_s=10)


def test_a_chain_that_goes_through_something_else(bench: Bench) -> None:
    # The master and a side port answer, but neither is a chunkserver.
    for port in (bench.cluster.port, bench.cluster.port + 100):
        chain = (ChainMember(STRANGER, f"127.0.0.1:{port}"),)
        _, error = refused_raw(bench.address, METHOD, opening(bench.fresh(chain=chain)), *GOOD, finish())
        assert error.reason in ("SERVICE_NOT_OFFERED", "NEXT_SERVER_UNREACHABLE")
        assert error.metadata["server_id"] == STRANGER
        wait_until(lambda: bench.cluster.unfinished_files() == [], what="nothing unfinished is left", timeout_s=10)


@pytest.mark.parametrize("numbers", [(0,), (1, 0), (1, 1), (1, 2, 1)], ids=["itself", "back", "twice", "twice, apart"])
def test_a_chain_that_loops_back(bench: Bench, numbers: tuple[int, ...]) -> None:
    header = bench.fresh(chain=bench.chain(*numbers))
    code, error = refused_raw(bench.address, METHOD, opening(header), *GOOD, finish())
    assert (code, error.reason) == ("INVALID_ARGUMENT", "HEADER_INVALID")
    assert bench.files() == []


def test_a_chain_that_loops_back_under_another_name(bench: Bench) -> None:
    # The id is a stranger's, the address is that of the first server: its second stream has the same chunk.
    header = bench.fresh(chain=(*bench.chain(1), ChainMember(STRANGER, bench.address)))
    code, error = refused_raw(bench.address, METHOD, opening(header), *GOOD, finish())
    assert (code, error.reason) == ("UNAVAILABLE", "NEXT_SERVER_UNREACHABLE")
    assert "other servers" in error.message
    wait_until(lambda: bench.cluster.unfinished_files() == [], what="nothing unfinished is left", timeout_s=10)


@pytest.mark.parametrize(
    ("offset", "length", "frame_size", "code", "reason"),
    [
        (0, 10**9, 0, "OUT_OF_RANGE", "RANGE_INVALID"),
        (10**9, 1, 0, "OUT_OF_RANGE", "RANGE_INVALID"),
        (2**64 - 1, 2, 0, "OUT_OF_RANGE", "RANGE_INVALID"),
        (2**64 - 1, 2**64 - 1, 0, "OUT_OF_RANGE", "RANGE_INVALID"),
        (0, 0, FRAME_SIZE_BYTES_MAX + 1, "INVALID_ARGUMENT", "FRAME_TOO_LARGE"),
    ],
)
def test_a_bad_range_of_a_chunk(
    bench: Bench, offset: int, length: int, frame_size: int, code: str, reason: str
) -> None:
    request = read_request_to_proto(ReadRequest(bench.known.chunk_id, offset, length, frame_size))
    found = refused_raw(bench.address, "ChunkService/ReadChunk", request.SerializeToString())
    assert (found[0], found[1].reason) == (code, reason)


def test_requests_for_chunks_that_are_none(bench: Bench) -> None:
    group_id = bench.known.chunk_id.group_id
    requests = {
        read_request_to_proto(ReadRequest(ChunkId(group_id, 2**40), 0, 0)).SerializeToString(): "CHUNK_NOT_FOUND",
        read_request_to_proto(ReadRequest(ChunkId(group_id, 0), 0, 0)).SerializeToString(): "CHUNK_ID_INVALID",
        b"": "CHUNK_ID_INVALID",
        b"\xff\xff": "MESSAGE_INVALID",
    }
    for request, reason in requests.items():
        for method in ("ChunkService/ReadChunk", "ChunkService/StatChunk"):
            code, error = refused_raw(bench.address, method, request)
            assert (code, error.reason) == (
                "NOT_FOUND" if reason == "CHUNK_NOT_FOUND" else "INVALID_ARGUMENT",
                reason,
            )


async def test_a_good_stream_after_all_that(bench: Bench) -> None:
    header = bench.fresh(chain=bench.chain(1, 2))
    assert await call_raw(bench.address, METHOD, (opening(header), *GOOD, finish()))
    request = read_request_to_proto(ReadRequest(header.chunk_id, 0, 0)).SerializeToString()
    for member in bench.members:
        assert WHOLE in await call_raw(member.address, "ChunkService/ReadChunk", (request,))
    assert len(list(bench.cluster.root.rglob(f"*{header.chunk_id}*"))) == 3


async def test_a_stream_that_stops_half_way(bench: Bench) -> None:
    """The writer's connection ends; then a server is killed with the chunk half written."""
    header = bench.fresh(chain=bench.chain(1, 2))
    for ends_by_kill in (False, True):
        async with grpc.aio.insecure_channel(bench.address) as channel:
            call = channel.stream_unary(f"/dstore.v1.{METHOD}")()  # type: ignore[var-annotated]
            await call.write(opening(header))
            await call.write(GOOD[0])
            wait_until(lambda: len(bench.files()) == 3, what="the chunk is begun everywhere", timeout_s=10)
            if ends_by_kill:
                bench.cluster.kill(bench.members[0].name)
        if ends_by_kill:
            left = bench.files()
            assert [path for path in left if f"/{bench.members[0].name}/tmp/" in path], left
            bench.cluster.start_node(bench.members[0].name)
        wait_until(lambda: bench.files() == [], what="nothing of the chunk is left", timeout_s=10)


def test_a_killed_client_leaves_nothing_to_be_seen(abandoned_write: tuple[LocalTestCluster, float]) -> None:
    cluster, _ = abandoned_write
    wait_until(lambda: cluster.unfinished_files() == [], what="no temporary file is left", timeout_s=20)
    with client_of(cluster) as client:
        assert list(client.list("/")) == []
        # The name is free.
        client.put("/abandoned", b"another")
        assert client.get("/abandoned") == b"another"
        client.remove("/abandoned")
    check_logs(cluster)
