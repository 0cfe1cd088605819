"""Three servers in a chain: acknowledgements, backpressure, and who is blamed when one of them fails."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from small_cluster import (
    CHUNK,
    FaultyChunks,
    Hook,
    Network,
    Server,
    content,
    finish_of,
    frames_of,
    get,
    header_of,
    put,
    start_server,
)

from dstore.chunkserver.relay import StallTimeouts
from dstore.core.chunks import Frame, WriteHeader
from dstore.core.errors import Corrupt, DeadlineExceeded, DstoreError, Internal, OutOfSpace, Unavailable
from dstore.core.limits import RELAY_FRAMES_MAX

pytestmark = pytest.mark.virtual_time
DATA = content(20_000)


@dataclass
class Chain:
    network: Network
    servers: list[Server]

    @property
    def header(self) -> WriteHeader:
        return header_of(DATA, chain=[server.member for server in self.servers[1:]])

    @property
    def first(self) -> Server:
        return self.servers[0]

    def spoil_way_to(self, index: int, before: Callable[[str], Awaitable[None]]) -> FaultyChunks:
        server = self.servers[index]
        faulty = FaultyChunks(server.service, before)
        self.network.servers[server.address] = faulty
        return faulty

    async def assert_idle(self) -> None:
        """Nobody holds anything any more."""
        for server in self.servers:
            assert server.service.write_streams == 0, server.address
            assert await server.memory.list("tmp") == (), server.address
        assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
async def chain() -> Chain:
    network = Network()
    names = ("cs-1", "cs-2", "cs-3")
    return Chain(network, [await start_server(network=network, name=name) for name in names])


async def hang() -> None:
    await asyncio.Event().wait()


async def test_every_copy_is_durable_before_the_acknowledgement(chain: Chain) -> None:
    result = await put(chain.first.service, DATA, chain.header)
    assert [ack.server_id for ack in result.replicas] == [server.member.server_id for server in chain.servers]
    for server in chain.servers:
        server.memory.crash()
        again = await start_server(server.memory, name=server.address)
        assert await get(again.service) == DATA
    await chain.assert_idle()


async def test_frames_pass_on_as_they_came(chain: Chain) -> None:
    """The encoded message travels along, so that no server encodes it again."""
    seen: list[bytes | None] = []
    opened = asyncio.Event()

    async def before(step: str) -> None:
        if step == "send":
            opened.set()

    faulty = chain.spoil_way_to(1, before)
    writer = await chain.first.service.write_chunk(chain.header)
    frames = [Frame(frame.offset, frame.crc32c, frame.data, encoded=b"message") for frame in frames_of(DATA)]
    await writer.send(frames[0])
    await opened.wait()
    inner, original = faulty.writers[0], faulty.writers[0].send

    async def send(frame: Frame) -> None:
        seen.append(frame.encoded)
        await original(frame)

    inner.send = send  # type: ignore[method-assign]
    for frame in frames[1:]:
        await writer.send(frame)
    await writer.finish(finish_of(DATA))
    assert seen == [b"message"] * (len(frames) - 1)


@pytest.mark.parametrize("failing", [0, 1, 2])
@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename"])
async def test_the_server_whose_disk_fails_is_named(chain: Chain, failing: int, operation: str) -> None:
    async def before(each: str, path: str) -> None:
        if each == operation and "0000002a-" in path:
            raise OSError(5, "injected")

    chain.servers[failing].disk.before = before
    with pytest.raises(Unavailable) as caught:
        await put(chain.first.service, DATA, chain.header)
    assert caught.value.reason == "DISK_FAILED"
    assert caught.value.metadata["server_id"] == chain.servers[failing].member.server_id
    assert caught.value.metadata["server_name"] == f"cs-{failing + 1}"
    assert chain.servers[failing].chunk_paths() == ()
    await chain.assert_idle()


@pytest.mark.parametrize("failing", [1, 2])
@pytest.mark.parametrize("step", ["open", "send", "finish"])
async def test_a_next_server_that_cannot_be_reached_is_named(chain: Chain, failing: int, step: str) -> None:
    async def before(each: str) -> None:
        if each == step:
            raise Unavailable("Connection refused.", reason="SERVER_UNREACHABLE")

    chain.spoil_way_to(failing, before)
    with pytest.raises(Unavailable) as caught:
        await put(chain.first.service, DATA, chain.header)
    assert caught.value.reason == "NEXT_SERVER_UNREACHABLE"
    assert caught.value.metadata["server_id"] == chain.servers[failing].member.server_id
    assert caught.value.metadata["server_address"] == f"cs-{failing + 1}"
    assert "server_name" not in caught.value.metadata
    assert chain.servers[failing].chunk_paths() == ()
    await chain.assert_idle()


@pytest.mark.parametrize("stalled", [1, 2])
@pytest.mark.parametrize("step", ["open", "send", "finish"])
async def test_a_next_server_that_stands_still_is_named_by_its_neighbour(chain: Chain, stalled: int, step: str) -> None:
    async def before(each: str) -> None:
        if each == step:
            await hang()

    chain.spoil_way_to(stalled, before)
    with pytest.raises(DeadlineExceeded) as caught:
        await put(chain.first.service, DATA, chain.header)
    assert caught.value.reason == "STREAM_STALLED"
    assert caught.value.metadata["server_id"] == chain.servers[stalled].member.server_id
    await chain.assert_idle()


async def test_the_edge_next_to_the_fault_waits_least() -> None:
    timeouts = StallTimeouts(base_s=4.0, step_s=1.0)
    assert [timeouts.toward_next_s(behind) for behind in (1, 2, 3)] == [5.0, 6.0, 7.0]
    assert timeouts.from_writer_s == 12.0


async def test_other_failures_of_the_way_are_blamed_on_the_next_server(chain: Chain) -> None:
    async def before(each: str) -> None:
        raise Internal("A defect.")

    chain.spoil_way_to(1, before)
    with pytest.raises(Internal) as caught:
        await put(chain.first.service, DATA, chain.header)
    assert caught.value.metadata["server_id"] == chain.servers[1].member.server_id


async def test_another_server_at_the_address_is_noticed(chain: Chain) -> None:
    stranger = await start_server(name="cs-9", network=Network(dict(chain.network.servers)))
    chain.network.servers["cs-2"] = stranger.service
    with pytest.raises(Unavailable, match="other servers") as caught:
        await put(chain.first.service, DATA, chain.header)
    assert caught.value.reason == "NEXT_SERVER_UNREACHABLE"


async def test_the_first_server_that_sees_bad_bytes_reports_them(chain: Chain) -> None:
    writer = await chain.first.service.write_chunk(chain.header)
    frames = frames_of(DATA)
    await writer.send(frames[0])
    with pytest.raises(Corrupt) as caught:
        await writer.send(Frame(frames[1].offset, frames[1].crc32c ^ 1, frames[1].data))
    assert caught.value.reason == "FRAME_CRC_MISMATCH"
    assert caught.value.metadata["server_name"] == "cs-1"
    await chain.assert_idle()
    assert [server.chunk_paths() for server in chain.servers] == [(), (), ()]


async def test_a_finish_that_does_not_match_leaves_nothing_anywhere(chain: Chain) -> None:
    writer = await chain.first.service.write_chunk(chain.header)
    for frame in frames_of(DATA):
        await writer.send(frame)
    with pytest.raises(Corrupt) as caught:
        await writer.finish(finish_of(DATA[:-1]))
    assert caught.value.reason == "CHUNK_CRC_MISMATCH"
    assert caught.value.metadata["server_name"] == "cs-1"
    await chain.assert_idle()
    assert [server.chunk_paths() for server in chain.servers] == [(), (), ()]


async def test_a_stream_without_a_finish_leaves_nothing_anywhere(chain: Chain) -> None:
    writer = await chain.first.service.write_chunk(chain.header)
    for frame in frames_of(DATA)[:7]:
        await writer.send(frame)
    await writer.abort()
    await chain.assert_idle()
    assert [server.chunk_paths() for server in chain.servers] == [(), (), ()]


async def test_a_full_disk_further_down(chain: Chain) -> None:
    chain.servers[2].memory._total_bytes = 10_000
    with pytest.raises(OutOfSpace) as caught:
        await put(chain.first.service, DATA, chain.header)
    assert caught.value.metadata["server_name"] == "cs-3"
    await chain.assert_idle()


async def test_a_slow_next_server_holds_the_writer_back(chain: Chain) -> None:
    """However long the chunk, a bounded number of frames waits in each server."""
    gate = asyncio.Event()
    taken = 0

    async def before(step: str) -> None:
        nonlocal taken
        if step == "send":
            taken += 1
            await gate.wait()

    chain.spoil_way_to(1, before)
    writer = await chain.first.service.write_chunk(chain.header)
    sent = 0

    async def send_all() -> None:
        nonlocal sent
        for frame in frames_of(DATA):
            await writer.send(frame)
            sent += 1

    task = asyncio.create_task(send_all())
    for _ in range(200):
        await asyncio.sleep(0)
    assert taken == 1
    assert sent == RELAY_FRAMES_MAX + 1, "the queue, and the one that is on its way"
    gate.set()
    await task
    await writer.finish(finish_of(DATA))
    assert await get(chain.servers[2].service) == DATA


async def test_a_failure_wakes_a_writer_that_waits_for_room(chain: Chain) -> None:
    async def before(step: str) -> None:
        if step == "send":
            for _ in range(100):
                await asyncio.sleep(0)
            raise Unavailable("Reset.", reason="UNAVAILABLE")

    chain.spoil_way_to(1, before)
    with pytest.raises(DstoreError) as caught:
        await put(chain.first.service, DATA, chain.header)
    assert caught.value.reason == "NEXT_SERVER_UNREACHABLE"
    await chain.assert_idle()


def _sets_on_remove(event: asyncio.Event) -> Hook:
    async def before(operation: str, path: str) -> None:
        if operation == "remove":
            event.set()

    return before


async def test_a_writer_that_falls_silent_is_given_up(chain: Chain) -> None:
    dropped = [asyncio.Event() for _ in chain.servers]
    for server, event in zip(chain.servers, dropped, strict=True):
        server.disk.before = _sets_on_remove(event)
    writer = await chain.first.service.write_chunk(chain.header)
    await writer.send(frames_of(DATA)[0])
    for event in dropped:
        await event.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    await chain.assert_idle()
    with pytest.raises(DeadlineExceeded) as caught:
        await writer.send(frames_of(DATA)[1])
    assert caught.value.reason == "STREAM_STALLED"
    assert caught.value.metadata["server_name"] == "cs-1"
    assert chain.first.service.write_streams == 0
    assert [server.chunk_paths() for server in chain.servers] == [(), (), ()]


async def test_the_same_chunk_again_along_the_chain(chain: Chain) -> None:
    await put(chain.first.service, DATA, chain.header)
    result = await put(chain.first.service, DATA, chain.header)
    assert len(result.replicas) == 3
    assert [server.store.chunk_count for server in chain.servers] == [1, 1, 1]
    await chain.assert_idle()


async def test_a_caller_that_goes_away_in_the_middle(chain: Chain) -> None:
    started = asyncio.Event()

    async def before(step: str) -> None:
        if step == "send":
            started.set()
            await hang()

    chain.spoil_way_to(2, before)
    task = asyncio.create_task(put(chain.first.service, DATA, chain.header))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await chain.assert_idle()
    assert {path for server in chain.servers for path in server.chunk_paths()} == set()
    assert CHUNK not in chain.first.store.corrupt


async def test_a_caller_that_goes_away_in_the_middle_of_giving_up(chain: Chain) -> None:
    writer = await chain.first.service.write_chunk(chain.header)
    await writer.send(frames_of(DATA)[0])
    giving_up = asyncio.create_task(writer.abort())
    await asyncio.sleep(0)
    giving_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await giving_up
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=10)
    await chain.assert_idle()
    assert {path for server in chain.servers for path in server.chunk_paths()} == set()
