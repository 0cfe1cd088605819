"""Chunks that are acknowledged as replicated: what they outlast, what they do not, and that what is lost is known."""

import asyncio
import contextlib
import errno

import pytest
from small_cluster import CHUNK, FaultyChunks, Network, get, no_fault, put, start_server
from unsynced_server import DATA, GROUP, GROUP_NAME, fails, promised, relaxed, server_with_unsynced
from upkeep_cluster import chunk, upkeep_cluster
from virtual_time import virtually

from dstore.chunkserver import unsynced
from dstore.chunkserver.memory import MemoryDisk
from dstore.chunkserver.paths import chunk_path, discarded_path, doubt_path
from dstore.core.chunks import Durability
from dstore.core.digests import HeldChunk
from dstore.core.errors import Corrupt, DstoreError, NotFound, NotReady, Unavailable
from dstore.core.ids import ChunkId, GroupId
from dstore.core.limits import UNSYNCED_AGE_MAX_S, UNSYNCED_MARKS_LINGER_S
from dstore.core.upkeep import GroupDoubt

#: Much more than syncing takes in virtual time.
SOON_S = UNSYNCED_AGE_MAX_S / 2


def test_a_chunk_is_acknowledged_when_it_is_written_and_is_durable_soon() -> None:
    async def run() -> None:
        server = await server_with_unsynced()
        store = server.store
        assert chunk_path(CHUNK) not in server.memory.paths(), "a file that has its name is whole"
        assert await get(server.service) == DATA
        assert (await server.service.stat_chunk(CHUNK)).length_bytes == len(DATA)
        assert (await server.service.get_group_digest(GROUP)).chunk_count == 1
        assert store.unsynced.report().chunk_count == 1
        assert store.unsynced.report().size_bytes == len(DATA)
        server = await start_server()
        await put(server.service, DATA, relaxed())
        await asyncio.sleep(SOON_S)
        assert server.store.unsynced.report().chunk_count == 0
        assert server.chunk_paths() == (doubt_path(GROUP), chunk_path(CHUNK))
        assert await get(server.service) == DATA
        server.memory.crash()
        assert await get((await start_server(server.memory)).service) == DATA

    virtually(run())


def test_every_replica_says_what_it_promises() -> None:
    async def run() -> None:
        network = Network()
        servers = [await start_server(network=network, name=f"cs-{number}") for number in (1, 2, 3)]
        tail = tuple(server.member for server in servers[1:])
        # The second one takes nothing more that is not synced, as one that stops.
        await servers[1].store.close()
        result = await put(servers[0].service, DATA, relaxed(chain=tail))
        expected = [Durability.REPLICATED, Durability.SYNCED, Durability.REPLICATED]
        assert promised(result) == expected
        # Whoever asks again for the same gets the same, until it is durable.
        assert promised(await put(servers[0].service, DATA, relaxed(chain=tail))) == expected
        await asyncio.sleep(SOON_S)
        assert promised(await put(servers[0].service, DATA, relaxed(chain=tail))) == [Durability.SYNCED] * 3

    virtually(run())


def test_who_asks_for_synced_gets_it_also_for_a_chunk_that_is_unsynced() -> None:
    async def run() -> None:
        server = await start_server()
        await put(server.service, DATA, relaxed())
        assert promised(await put(server.service, DATA)) == [Durability.SYNCED]
        server.memory.crash()
        assert await get((await start_server(server.memory)).service) == DATA

    virtually(run())


@pytest.mark.parametrize(
    ("bound", "value"), [("UNSYNCED_CHUNKS_MAX", 1), ("UNSYNCED_BYTES_MAX", 2 * len(DATA) - 1)], ids=["count", "bytes"]
)
def test_what_is_unsynced_is_bounded(bound: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsynced, bound, value)

    async def run() -> None:
        server = await server_with_unsynced()
        server.disk.before = fails("sync", f"{GROUP_NAME}-", errno.ENOSPC)
        second = ChunkId(GROUP, 7)
        with pytest.raises(Exception, match="no space"):
            await put(server.service, DATA, relaxed(second))
        assert server.store.unsynced.has(CHUNK)
        assert not server.store.catalog.has(second), "it was to be synced before it was acknowledged"

    virtually(run())


def test_a_server_whose_syncs_are_late_syncs_first() -> None:
    async def run() -> None:
        server = await server_with_unsynced()
        assert server.store.unsynced.takes(1)
        await asyncio.sleep(UNSYNCED_AGE_MAX_S)
        assert not server.store.unsynced.takes(1)
        assert server.store.unsynced.report().age_s >= UNSYNCED_AGE_MAX_S

    virtually(run())


def test_the_end_of_the_process_loses_nothing() -> None:
    async def run() -> None:
        server = await server_with_unsynced()
        server.memory.restart()
        again = await start_server(server.memory)
        assert again.store.recovery.adopted_count == 1
        assert await get(again.service) == DATA
        assert await again.memory.list("unsynced") == ()
        # It is durable before the server serves, however the run before had fared with syncing it.
        again.memory.crash()
        assert await get((await start_server(again.memory)).service) == DATA

    virtually(run())


def test_a_power_loss_may_take_it_and_then_the_server_says_so() -> None:
    async def run() -> None:
        server = await server_with_unsynced()
        server.memory.crash()
        again = await start_server(server.memory)
        with pytest.raises(NotFound):
            await get(again.service)
        assert again.store.doubts.report() == (GroupDoubt(GROUP, 1),)
        again.store.doubts.examined([GroupDoubt(GROUP, 2)])
        assert again.store.doubts.report(), "that was another doubt"
        again.store.doubts.examined([GroupDoubt(GROUP, 1)])
        assert again.store.doubts.report() == ()
        again.store.unsynced.wake()
        await asyncio.sleep(2 * UNSYNCED_MARKS_LINGER_S)
        assert await again.memory.list("doubts") == ()
        again.memory.crash()
        assert (await start_server(again.memory)).store.doubts.report() == ()

    virtually(run())


def test_what_a_power_loss_left_in_part_is_not_served() -> None:
    async def run() -> None:
        server = await server_with_unsynced()
        server.memory.restart()
        path = f"unsynced/{(await server.memory.list('unsynced'))[0]}"
        server.memory.content(path)[15_000] ^= 1
        again = await start_server(server.memory)
        with pytest.raises(NotFound):
            await get(again.service)
        assert not again.store.catalog.has(CHUNK) and CHUNK not in again.store.corrupt
        assert await again.memory.list("unsynced") == ()
        assert again.store.doubts.report()

    virtually(run())


def test_a_server_that_stops_in_good_order_leaves_no_doubt() -> None:
    async def run() -> None:
        server = await start_server()
        await put(server.service, DATA, relaxed())
        await server.store.close()
        assert server.chunk_paths() == (chunk_path(CHUNK),)
        server.memory.crash()
        again = await start_server(server.memory)
        assert await get(again.service) == DATA
        assert again.store.doubts.report() == ()

    virtually(run())


@pytest.mark.parametrize("operation", ["sync", "rename", "sync_directory"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_chunk_that_cannot_be_synced_is_lost_here_and_told(operation: str, number: int) -> None:
    async def run() -> None:
        server = await start_server()
        await put(server.service, DATA, relaxed(ChunkId(GROUP, 7)))
        await asyncio.sleep(SOON_S)
        server.disk.before = fails(operation, GROUP_NAME, number)
        await put(server.service, DATA, relaxed())
        await asyncio.sleep(SOON_S)
        store = server.store
        assert not store.catalog.has(CHUNK)
        assert store.doubts.report() == (GroupDoubt(GROUP, 1),)
        assert store.unsynced.report().chunk_count == 0
        assert (store.suspicion is not None) is (number == errno.EIO)
        with pytest.raises(NotFound):
            await get(server.service)
        server.disk.before = no_fault
        assert await get(server.service, ChunkId(GROUP, 7)) == DATA
        server.memory.crash()
        again = await start_server(server.memory)
        assert again.store.doubts.report() == (GroupDoubt(GROUP, 1),)

    virtually(run())


def test_a_copy_that_goes_while_the_chain_is_waited_for_is_not_acknowledged() -> None:
    async def run() -> None:
        network = Network()
        first, second = [await start_server(network=network, name=f"cs-{number}") for number in (1, 2)]

        async def slowly(step: str) -> None:
            if step == "finish":
                await asyncio.sleep(SOON_S)

        network.servers[second.address] = FaultyChunks(second.service, slowly)
        first.disk.before = fails("sync", f"unsynced/{GROUP_NAME}")
        with pytest.raises(Unavailable) as caught:
            await put(first.service, DATA, relaxed(chain=(second.member,)))
        assert caught.value.reason == "DISK_FAILED"
        assert caught.value.metadata["server_name"] == "cs-1"
        assert not first.store.catalog.has(CHUNK)

    virtually(run())


@pytest.mark.parametrize("operation", ["remove", "sync_directory"])
def test_marks_that_could_not_be_removed_go_later(operation: str) -> None:
    async def run() -> None:
        server = await start_server()
        await server.store.doubts.mark(GROUP)
        server.disk.before = fails(operation, "doubts", errno.ENOSPC)
        server.store.unsynced.wake()
        await asyncio.sleep(2 * UNSYNCED_MARKS_LINGER_S)
        server.disk.before = no_fault
        await asyncio.sleep(2 * UNSYNCED_MARKS_LINGER_S)
        server.memory.crash()
        assert await server.memory.list("doubts") == ()

    virtually(run())


def test_a_mark_that_is_examined_while_others_are_removed_goes_too() -> None:
    async def run() -> None:
        server = await start_server()
        doubts, other = server.store.doubts, GroupId(GROUP + 1)
        for group_id in (GROUP, other):
            await doubts.mark(group_id)
            doubts.add(group_id)
        doubts.examined([each for each in doubts.report() if each.group_id == other])

        async def examined_meanwhile(operation: str, path: str) -> None:
            if operation == "remove" and path == doubt_path(other):
                doubts.examined(doubts.report())
                server.store.unsynced.wake()

        server.disk.before = examined_meanwhile
        server.store.unsynced.wake()
        await asyncio.sleep(4 * UNSYNCED_MARKS_LINGER_S)
        assert await server.memory.list("doubts") == ()

    virtually(run())


def test_a_mark_for_a_chunk_that_is_refused_goes_too() -> None:
    async def run() -> None:
        server = await start_server()

        async def settle(operation: str, path: str) -> None:
            if (operation, path) == ("sync_directory", "doubts"):
                server.store.settled_sequence = CHUNK.sequence + 1

        server.disk.before = settle
        with pytest.raises(NotReady) as caught:
            await put(server.service, DATA, relaxed())
        assert caught.value.reason == "CHUNK_SETTLED"
        assert await server.memory.list("doubts") == (f"{GROUP:08x}",)
        await asyncio.sleep(SOON_S + UNSYNCED_MARKS_LINGER_S)
        assert await server.memory.list("doubts") == ()

    virtually(run())


def test_no_chunk_is_acknowledged_unsynced_before_the_mark_of_its_group_is_durable() -> None:
    async def run() -> None:
        server = await start_server()
        server.disk.before = fails("sync_directory", "doubts")
        with pytest.raises(Unavailable):
            await put(server.service, DATA, relaxed())
        assert server.chunk_paths() == (doubt_path(GROUP),)
        assert not server.store.catalog.has(CHUNK)

    virtually(run())


@pytest.mark.parametrize("keeps_unsynced", [False, True], ids=["lost", "kept"])
def test_power_loss_before_every_operation_of_the_disk(keeps_unsynced: bool) -> None:
    """What was acknowledged is there whole, or the group is in doubt; nothing else is ever served."""

    async def write_until(memory: MemoryDisk, operation_number: int) -> bool:
        count = 0

        async def before(operation: str, path: str) -> None:
            nonlocal count
            count += 1
            if count > operation_number:
                raise OSError(errno.EIO, "There is no power.")

        acknowledged = False
        with contextlib.suppress(OSError, DstoreError):
            server = await start_server(memory, before=before)
            await put(server.service, DATA, relaxed())
            acknowledged = True
            await server.store.unsynced.settle(CHUNK)
        return acknowledged

    async def run_once(operation_number: int) -> tuple[bool, bool, bool]:
        memory = MemoryDisk()
        acknowledged = await write_until(memory, operation_number)
        if keeps_unsynced:
            memory.restart()
        else:
            memory.crash()
        server = await start_server(memory)
        is_doubted = bool(server.store.doubts.report())
        try:
            return acknowledged, await get(server.service) == DATA, is_doubted
        except NotFound:
            return acknowledged, False, is_doubted

    outcomes = [virtually(run_once(number)) for number in range(60)]
    for acknowledged, is_whole, is_doubted in outcomes:
        assert is_whole or is_doubted or not acknowledged
        assert is_whole or not (keeps_unsynced and acknowledged)
    assert {acknowledged for acknowledged, _, _ in outcomes} == {False, True}
    assert outcomes[-1][:2] == (True, True)


def test_discarding_and_dropping_what_is_unsynced() -> None:
    async def run() -> None:
        server = await start_server()
        store = server.store
        store.settled_sequence = 0
        await put(server.service, DATA, relaxed())
        await store.trash.discard([CHUNK])
        assert not store.catalog.has(CHUNK) and discarded_path(CHUNK) in server.memory.paths()
        other = ChunkId(GroupId(43), 1)
        await put(server.service, DATA, relaxed(other))
        await store.trash.drop_group(other.group_id, 5)
        await asyncio.sleep(SOON_S)
        assert not store.catalog.has(other)
        left = [path for path in server.memory.paths() if path.startswith(("groups/", "unsynced/"))]
        assert [path for path in left if not path.endswith("EPOCH")] == []
        with pytest.raises(NotReady):
            await put(server.service, DATA, relaxed())

    virtually(run())


def test_a_damaged_unsynced_chunk_never_gets_its_name() -> None:
    async def run() -> None:
        server = await start_server()
        await put(server.service, DATA, relaxed())
        path = f"unsynced/{(await server.memory.list('unsynced'))[0]}"
        server.memory.content(path)[15_000] ^= 1
        with pytest.raises(Corrupt):
            await get(server.service)
        await asyncio.sleep(SOON_S)
        assert chunk_path(CHUNK) not in server.memory.paths()
        assert CHUNK in server.store.corrupt
        assert await server.memory.list("unsynced") == ()

    virtually(run())


def test_whoever_needs_a_chunk_to_last_waits_for_it() -> None:
    async def run() -> None:
        async with upkeep_cluster("a") as cluster:
            node = cluster.nodes["a"]
            await put(node.server.chunks, DATA, relaxed(chunk(1)))
            digest = await node.server.digest(GROUP)
            assert digest.chunk_count == 1
            assert not node.server.store.unsynced.has(chunk(1)), "whoever counts as filled must have it for good"
            await put(node.server.chunks, DATA, relaxed(chunk(2)))
            assert await node.server.is_intact(chunk(2))
            assert chunk_path(chunk(2)) in node.memory.paths()
            await asyncio.sleep(2.0)
            beat = cluster.master.last("a")
            assert (beat.unsynced.chunk_count, beat.doubts, beat.chunk_count) == (0, (), 2)

    virtually(run())


def test_a_name_that_appears_while_a_reader_looks_is_found() -> None:
    async def run() -> None:
        server = await start_server()
        await put(server.service, DATA, relaxed())
        held = HeldChunk(CHUNK.sequence, len(DATA), server.store.catalog.held(CHUNK).crc32c)  # type: ignore[union-attr]

        async def before(operation: str, path: str) -> None:
            if operation == "open" and path.startswith("unsynced/"):
                await server.store.unsynced.settle(CHUNK)

        server.disk.before = before
        assert await get(server.service) == DATA
        assert server.store.catalog.held(CHUNK) == held

    virtually(run())
