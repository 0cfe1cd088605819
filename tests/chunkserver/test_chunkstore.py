"""Opening a directory: recovery, identity, epochs across restarts, and what is left alone."""

import pytest
from small_cluster import (
    CHUNK,
    CLUSTER,
    SeededRandom,
    content,
    finish_of,
    frames_of,
    get,
    header_of,
    put,
    start_server,
    with_epoch,
)

from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.memory import MemoryDisk
from dstore.chunkserver.paths import chunk_path
from dstore.core.errors import Corrupt, NotReady, Unavailable
from dstore.core.groups import GroupEpoch
from dstore.core.ids import ChunkId, ClusterId, GroupId
from dstore.core.limits import UNKNOWN_NAMES_REPORTED_MAX

OTHER_CLUSTER = ClusterId("00000000-0000-4000-8000-000000000000")
DATA = content(3000)


async def write_file(disk: MemoryDisk, path: str, data: bytes = b"x") -> None:
    file = await disk.create(path)
    await file.write_at(0, [data])
    await file.close()


async def test_a_fresh_directory_gets_an_identity_that_stays() -> None:
    disk = MemoryDisk()
    first = await ChunkStore.open(disk, SeededRandom(1), name="cs-1")
    assert first.identity.cluster_id is None
    disk.crash()
    second = await ChunkStore.open(disk, SeededRandom(2), name="cs-1")
    assert second.identity == first.identity
    await second.bind_cluster(CLUSTER)
    disk.crash()
    third = await ChunkStore.open(disk, SeededRandom(3), name="cs-1")
    assert (third.identity.server_id, third.identity.cluster_id) == (first.identity.server_id, CLUSTER)


async def test_a_directory_of_another_cluster_is_refused() -> None:
    server = await start_server()
    await server.store.bind_cluster(CLUSTER)
    with pytest.raises(NotReady, match="belongs to cluster") as caught:
        await server.store.bind_cluster(OTHER_CLUSTER)
    assert caught.value.reason == "WRONG_CLUSTER"
    assert server.store.identity.cluster_id == CLUSTER


async def test_chunks_without_an_identity_are_nobody_s() -> None:
    server = await start_server()
    await put(server.service, DATA)
    await server.memory.remove("IDENTITY")
    with pytest.raises(Corrupt) as caught:
        await start_server(server.memory)
    assert caught.value.reason == "IDENTITY_MISSING"
    assert chunk_path(CHUNK) in server.memory.paths()


async def test_every_flipped_byte_of_the_identity_is_noticed() -> None:
    server = await start_server()
    raw = server.memory.content("IDENTITY")
    for index in range(len(raw)):
        raw[index] ^= 0x01
        with pytest.raises(Corrupt, match="IDENTITY"):
            await start_server(server.memory)
        raw[index] ^= 0x01
    await start_server(server.memory)


async def test_recovery_removes_unfinished_files_and_nothing_else() -> None:
    server = await start_server()
    await put(server.service, DATA)
    writer = await server.service.write_chunk(header_of(DATA, ChunkId(GroupId(42), 500)))
    assert len(await server.memory.list("tmp")) == 1
    strangers = (
        "notes.txt",
        "tmp/notes.txt",
        "groups/README",
        "groups/0000002a/stray",
        "groups/0000002a/f3/0000002a-00000000000001f4",
        "groups/0000002a/f3/0000002b-00000000000001f3",
    )
    for path in strangers:
        await write_file(server.memory, path)
    await server.memory.make_directory("groups/lost+found")
    await write_file(server.memory, "groups/0000002b")
    await server.memory.make_directory("groups/0000002a/F3")
    before = server.memory.paths()
    server.memory.restart()

    again = await start_server(server.memory)
    recovery = again.store.recovery
    assert recovery.removed_count == 1
    assert recovery.chunk_count == again.store.chunk_count == 1
    unknown = {*strangers, "groups/lost+found", "groups/0000002b", "groups/0000002a/F3"}
    assert set(recovery.unknown_paths) == unknown
    assert recovery.unknown_count == len(unknown)
    left = [path for path in before if not path.startswith("tmp/0000002a")]
    assert list(again.memory.paths()) == left
    assert await get(again.service) == DATA
    await writer.abort()


async def test_the_report_of_unknown_names_is_bounded() -> None:
    disk = MemoryDisk()
    await disk.make_directory("tmp")
    for index in range(UNKNOWN_NAMES_REPORTED_MAX + 5):
        await write_file(disk, f"tmp/unknown-{index:04}")
    recovery = (await start_server(disk)).store.recovery
    assert recovery.unknown_count == UNKNOWN_NAMES_REPORTED_MAX + 5
    assert len(recovery.unknown_paths) == UNKNOWN_NAMES_REPORTED_MAX


async def test_an_older_epoch_is_refused_also_after_a_power_loss() -> None:
    server = await start_server()
    await put(server.service, DATA, with_epoch(header_of(DATA), 7))
    server.memory.crash()
    server = await start_server(server.memory)
    assert server.store.epochs.get(GroupId(42)) == 7
    other = header_of(DATA, ChunkId(GroupId(42), 500))
    with pytest.raises(NotReady) as caught:
        await put(server.service, DATA, with_epoch(other, 6))
    assert caught.value.reason == "STALE_GROUP_EPOCH"
    assert caught.value.metadata["epoch"] == "7"
    await put(server.service, DATA, with_epoch(other, 7))


async def test_a_newer_epoch_is_durable_before_the_write_begins() -> None:
    server = await start_server()
    writer = await server.service.write_chunk(with_epoch(header_of(DATA), 9))
    server.memory.crash()
    again = await start_server(server.memory)
    assert again.store.epochs.get(GroupId(42)) == 9
    await writer.abort()


async def test_an_epoch_that_moves_on_during_a_write_stops_it() -> None:
    server = await start_server()
    writer = await server.service.write_chunk(header_of(b"x"))
    await server.store.adopt_epochs([GroupEpoch(GroupId(42), 2)])
    with pytest.raises(NotReady) as caught:
        await writer.send(frames_of(b"x")[0])
        await writer.finish(finish_of(b"x"))
    assert caught.value.reason == "STALE_GROUP_EPOCH"
    assert server.chunk_paths() == ()


async def test_epochs_of_the_master_only_go_up() -> None:
    server = await start_server()
    for epoch, expected in ((3, 3), (2, 3), (3, 3), (4, 4)):
        await server.store.adopt_epochs([GroupEpoch(GroupId(7), epoch)])
        assert server.store.epochs.get(GroupId(7)) == expected
    assert server.store.epochs.get(GroupId(8)) == 0


async def test_a_damaged_epoch_closes_the_group_until_the_master_names_it() -> None:
    server = await start_server()
    await put(server.service, DATA, with_epoch(header_of(DATA), 7))
    server.memory.content("groups/0000002a/EPOCH")[10] ^= 0x01
    server = await start_server(server.memory)
    other = with_epoch(header_of(DATA, ChunkId(GroupId(42), 500)), 7)
    with pytest.raises(Unavailable, match="damaged"):
        await put(server.service, DATA, other)
    assert await get(server.service) == DATA
    await server.store.adopt_epochs([GroupEpoch(GroupId(42), 7)])
    await put(server.service, DATA, other)
    assert (await start_server(server.memory)).store.epochs.get(GroupId(42)) == 7
