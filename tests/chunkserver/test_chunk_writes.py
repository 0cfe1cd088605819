"""Writing a chunk to one server: what is accepted, what is refused, and that a refusal leaves nothing behind."""

import asyncio
from dataclasses import replace

import pytest
from small_cluster import (
    CHUNK,
    Server,
    content,
    finish_of,
    frames_of,
    get,
    header_of,
    put,
    start_server,
    with_epoch,
)

from dstore.chunkserver.chunkfile import LENGTH_BYTES_MAX, file_size_bytes
from dstore.chunkserver.memory import MemoryDisk
from dstore.chunkserver.paths import chunk_path
from dstore.core.checksum import crc32c
from dstore.core.chunks import ChainMember, Frame, ReplicaAck, WriteFinish, WriteResult
from dstore.core.errors import (
    AlreadyExists,
    Corrupt,
    DstoreError,
    InvalidRequest,
    LimitExceeded,
    NotReady,
    OutOfSpace,
    Unavailable,
)
from dstore.core.ids import ChunkId, ClusterId, GroupId, ServerId
from dstore.core.limits import (
    CHECKSUM_BLOCK_SIZE_BYTES,
    DESCRIPTOR_SIZE_BYTES_MAX,
    FRAME_SIZE_BYTES_MAX,
    REPLICAS_MAX,
)

BLOCK = CHECKSUM_BLOCK_SIZE_BYTES
DATA = content(3500)


def chain(count: int) -> tuple[ChainMember, ...]:
    return tuple(ChainMember(ServerId(f"server-{index}"), f"cs-{index}") for index in range(count))


@pytest.mark.parametrize(
    "length_bytes",
    [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, FRAME_SIZE_BYTES_MAX, FRAME_SIZE_BYTES_MAX + 1, 2 * FRAME_SIZE_BYTES_MAX],
)
async def test_what_is_written_is_read_after_a_power_loss(length_bytes: int) -> None:
    server = await start_server()
    data = content(length_bytes)
    result = await put(server.service, data, frame_size=FRAME_SIZE_BYTES_MAX)
    assert [ack.server_id for ack in result.replicas] == [server.store.identity.server_id]
    assert server.chunk_paths() == (chunk_path(CHUNK),)
    assert len(server.memory.content(chunk_path(CHUNK))) == file_size_bytes(length_bytes)
    server.memory.crash()
    server = await start_server(server.memory)
    assert await get(server.service) == data
    assert server.store.chunk_count == 1


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        ({"cluster_id": ClusterId("00000000-0000-4000-8000-000000000000")}, NotReady, "WRONG_CLUSTER"),
        ({"cluster_id": ClusterId("")}, NotReady, "WRONG_CLUSTER"),
        ({"chunk_id": ChunkId(GroupId(0), 1)}, InvalidRequest, "HEADER_INVALID"),
        ({"chunk_id": ChunkId(GroupId(2**32), 1)}, InvalidRequest, "HEADER_INVALID"),
        ({"chunk_id": ChunkId(GroupId(42), 0)}, InvalidRequest, "HEADER_INVALID"),
        ({"chunk_id": ChunkId(GroupId(42), 2**63)}, InvalidRequest, "HEADER_INVALID"),
        ({"group_epoch": -1}, InvalidRequest, "HEADER_INVALID"),
        ({"group_epoch": 2**63}, InvalidRequest, "HEADER_INVALID"),
        ({"length_bytes": 0}, InvalidRequest, "HEADER_INVALID"),
        ({"length_bytes": LENGTH_BYTES_MAX + 1}, InvalidRequest, "HEADER_INVALID"),
        ({"descriptor": bytes(DESCRIPTOR_SIZE_BYTES_MAX + 1)}, InvalidRequest, "HEADER_INVALID"),
        ({"chain": chain(REPLICAS_MAX)}, InvalidRequest, "HEADER_INVALID"),
        ({"chain": chain(1) * 2}, InvalidRequest, "HEADER_INVALID"),
        ({"chain": (ChainMember(ServerId("x"), ""),)}, InvalidRequest, "HEADER_INVALID"),
        ({"group_epoch": 4}, NotReady, "STALE_GROUP_EPOCH"),
        ({"length_bytes": LENGTH_BYTES_MAX}, OutOfSpace, "DISK_FULL"),
    ],
)
async def test_a_bad_header_is_refused(change: dict[str, object], kind: type[DstoreError], reason: str) -> None:
    server = await start_server(MemoryDisk(total_bytes=LENGTH_BYTES_MAX))
    await server.store.epochs.adopt(GroupId(42), 5)
    header = replace(with_epoch(header_of(DATA), 5), **change)  # type: ignore[arg-type]
    with pytest.raises(kind) as caught:
        await server.service.write_chunk(header)
    assert caught.value.reason == reason
    await assert_untouched(server)


async def test_a_chain_with_this_server_in_it_is_refused() -> None:
    server = await start_server()
    with pytest.raises(InvalidRequest, match="this server is in it"):
        await server.service.write_chunk(header_of(DATA, chain=[server.member]))
    await assert_untouched(server)


async def test_a_server_without_a_cluster_takes_nothing() -> None:
    server = await start_server()
    server.store._identity = replace(server.store.identity, cluster_id=None)
    with pytest.raises(Unavailable, match="not joined"):
        await server.service.write_chunk(header_of(DATA))


def frame(offset: int, data: bytes, crc: int | None = None) -> Frame:
    return Frame(offset, crc32c(data) if crc is None else crc, data)


GOOD = frames_of(DATA)
LARGE = bytes(FRAME_SIZE_BYTES_MAX + 1)


@pytest.mark.parametrize(
    ("frames", "finish", "kind", "reason"),
    [
        ([frame(1, b"x")], None, InvalidRequest, "FRAME_OFFSET_INVALID"),
        ([GOOD[0], GOOD[0]], None, InvalidRequest, "FRAME_OFFSET_INVALID"),
        ([GOOD[0], GOOD[2]], None, InvalidRequest, "FRAME_OFFSET_INVALID"),
        ([*GOOD, frame(3500, b"x")], None, InvalidRequest, "FRAME_OFFSET_INVALID"),
        ([*GOOD[:3], frame(3000, bytes(501))], None, InvalidRequest, "FRAME_OFFSET_INVALID"),
        ([frame(0, b"")], None, InvalidRequest, "FRAME_TOO_LARGE"),
        ([frame(0, LARGE)], None, InvalidRequest, "FRAME_TOO_LARGE"),
        ([GOOD[0], frame(1000, b"x", crc=1)], None, Corrupt, "FRAME_CRC_MISMATCH"),
        ([], WriteFinish(0, 0), Corrupt, "CHUNK_CRC_MISMATCH"),
        ([], finish_of(DATA), Corrupt, "CHUNK_CRC_MISMATCH"),
        (GOOD[:3], finish_of(DATA[:3000]), Corrupt, "CHUNK_CRC_MISMATCH"),
        (GOOD[:3], finish_of(DATA), Corrupt, "CHUNK_CRC_MISMATCH"),
        (GOOD, WriteFinish(3500, 1), Corrupt, "CHUNK_CRC_MISMATCH"),
        (GOOD, WriteFinish(3499, crc32c(DATA)), Corrupt, "CHUNK_CRC_MISMATCH"),
    ],
)
async def test_a_bad_stream_is_refused(
    frames: list[Frame], finish: WriteFinish | None, kind: type[DstoreError], reason: str
) -> None:
    server = await start_server()
    writer = await server.service.write_chunk(header_of(DATA))
    with pytest.raises(kind) as caught:
        for each in frames:
            await writer.send(each)
        assert finish is not None, "the frames should have been refused"
        await writer.finish(finish)
    assert caught.value.reason == reason
    assert caught.value.metadata["server_id"] == server.store.identity.server_id
    assert caught.value.metadata["server_name"] == "cs-1"
    await assert_untouched(server)
    with pytest.raises(InvalidRequest) as again:
        await writer.send(GOOD[0])
    assert again.value.reason == "STREAM_INVALID"
    await writer.abort()


async def test_nothing_follows_a_finish() -> None:
    server = await start_server()
    writer = await server.service.write_chunk(header_of(b"x"))
    await writer.send(frame(0, b"x"))
    await writer.finish(finish_of(b"x"))
    for late in (writer.send(frame(0, b"x")), writer.finish(finish_of(b"x"))):
        with pytest.raises(InvalidRequest, match="has ended"):
            await late
    await writer.abort()
    assert await get(server.service) == b"x"


@pytest.mark.parametrize("sent", [0, 1, 4])
async def test_a_stream_without_a_finish_leaves_nothing(sent: int) -> None:
    server = await start_server()
    writer = await server.service.write_chunk(header_of(DATA))
    for each in GOOD[:sent]:
        await writer.send(each)
    await writer.abort()
    await writer.abort()
    await assert_untouched(server)


async def test_the_same_chunk_again_changes_nothing() -> None:
    server = await start_server()
    await put(server.service, DATA)
    before = bytes(server.memory.content(chunk_path(CHUNK)))
    result = await put(server.service, DATA, frame_size=7)
    assert len(result.replicas) == 1
    assert server.memory.content(chunk_path(CHUNK)) == before
    assert server.chunk_paths() == (chunk_path(CHUNK),)
    assert server.store.chunk_count == 1


@pytest.mark.parametrize(
    ("data", "descriptor"),
    [(DATA[:-1] + b"?", b"descriptor"), (DATA[:-1], b"descriptor"), (DATA, b"another"), (DATA, b"")],
)
async def test_other_content_under_the_same_id_is_refused(data: bytes, descriptor: bytes) -> None:
    server = await start_server()
    await put(server.service, DATA)
    with pytest.raises(AlreadyExists) as caught:
        await put(server.service, data, replace(header_of(data), descriptor=descriptor))
    assert caught.value.reason == "CHUNK_EXISTS"
    assert await get(server.service) == DATA
    assert server.chunk_paths() == (chunk_path(CHUNK),)


async def test_a_damaged_chunk_is_never_written_over() -> None:
    server = await start_server()
    await put(server.service, DATA)
    server.memory.content(chunk_path(CHUNK))[5000] ^= 1
    before = bytes(server.memory.content(chunk_path(CHUNK)))
    with pytest.raises(Corrupt) as caught:
        await put(server.service, DATA)
    assert caught.value.reason == "CHUNK_CORRUPT"
    assert server.memory.content(chunk_path(CHUNK)) == before


async def test_two_writers_of_one_chunk_at_once() -> None:
    """Whoever names it first wins; the other is told so, and nothing is replaced."""
    server = await start_server()
    other = DATA[:-1] + b"?"
    outcomes = await asyncio.gather(
        put(server.service, DATA), put(server.service, other), put(server.service, DATA), return_exceptions=True
    )
    assert await get(server.service) == DATA
    assert [type(outcome) for outcome in outcomes] == [WriteResult, AlreadyExists, WriteResult]
    assert server.chunk_paths() == (chunk_path(CHUNK),)
    assert server.store.chunk_count == 1


async def test_more_writes_at_once_than_the_limit() -> None:
    server = await start_server(write_streams_max=2)
    first = await server.service.write_chunk(header_of(DATA, ChunkId(GroupId(1), 1)))
    second = await server.service.write_chunk(header_of(DATA, ChunkId(GroupId(1), 2)))
    with pytest.raises(LimitExceeded) as caught:
        await server.service.write_chunk(header_of(DATA))
    assert caught.value.reason == "TOO_MANY_STREAMS"
    assert server.service.write_streams == 2
    await first.abort()
    await first.abort()
    assert server.service.write_streams == 1
    await put(server.service, DATA)
    await second.abort()
    await assert_idle(server)


async def test_a_caller_that_goes_away_while_a_chunk_is_made_durable() -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def before(operation: str, path: str) -> None:
        if operation == "sync" and path.startswith("tmp/0000002a"):
            reached.set()
            await go_on.wait()

    server = await start_server(before=before)
    task = asyncio.create_task(put(server.service, DATA))
    await reached.wait()
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    # The commit had begun, so it came to its end: the chunk is whole, for the master to collect.
    assert await get(server.service) == DATA
    assert server.chunk_paths() == (chunk_path(CHUNK),)
    assert server.store.chunk_count == 1
    await assert_idle(server)


class UnstoppableDisk(MemoryDisk):
    """Goes on with a rename when its caller is gone, as a call in a thread does."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    async def rename(self, source: str, target: str) -> None:
        await asyncio.shield(asyncio.ensure_future(self._rename(source, target)))

    async def _rename(self, source: str, target: str) -> None:
        if target.endswith("/EPOCH"):
            self.reached.set()
            await self.go_on.wait()
        await super().rename(source, target)


async def test_a_caller_that_goes_away_while_an_epoch_is_stored() -> None:
    disk = UnstoppableDisk()
    server = await start_server(disk)
    task = asyncio.create_task(server.service.write_chunk(with_epoch(header_of(DATA), 9)))
    await disk.reached.wait()
    task.cancel()
    await asyncio.sleep(0)
    disk.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    # What is on the disk is obeyed: otherwise an older epoch could still be renamed over a newer one (Invariant 7).
    assert server.store.epochs.get(CHUNK.group_id) == 9
    await assert_untouched(server)


async def test_acknowledgements_name_the_server_and_its_promise() -> None:
    server = await start_server()
    result = await put(server.service, DATA)
    assert isinstance(result.replicas[0], ReplicaAck)
    assert result.replicas[0].durability.value == "synced"


async def assert_untouched(server: Server) -> None:
    assert server.chunk_paths() == ()
    assert server.store.chunk_count == 0
    await assert_idle(server)


async def assert_idle(server: Server) -> None:
    assert server.service.write_streams == 0
    assert await server.memory.list("tmp") == () or all(
        name.startswith("EPOCH") for name in await server.memory.list("tmp")
    )
