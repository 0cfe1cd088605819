"""Small files in one call: what is sealed, what is learned from refusals, and what happens when calls get lost."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from store_in_process import CHUNK_SIZE, InProcessCluster, fail_times, pattern

from dstore.client.client import AsyncClient
from dstore.core.errors import (
    AlreadyExists,
    CommitUnknown,
    Conflict,
    Corrupt,
    DstoreError,
    Internal,
    IsADirectory,
    NotADirectory,
    NotFound,
)
from dstore.core.files import FileInfo, OpenedFile, SmallFile
from dstore.core.ids import FileId, RequestId, Version
from dstore.core.limits import INLINE_SIZE_BYTES_MAX

SIZES = [0, 1, 100, INLINE_SIZE_BYTES_MAX - 1, INLINE_SIZE_BYTES_MAX]


@pytest.mark.parametrize("size", SIZES)
async def test_one_call_and_no_chunk(cluster: InProcessCluster, client: AsyncClient, size: int) -> None:
    data = pattern(size)
    await client.put("/first", b"1")
    cluster.calls.names.clear()
    info = await client.put("/f", data)
    assert cluster.calls.names == ["reserve_files", "put_files"]
    assert await client.put("/g", data)
    assert cluster.calls.names == ["reserve_files", "put_files", "put_files"]
    assert info == await client.stat("/f")
    assert (info.size_bytes, info.chunk_count) == (size, 0)
    cluster.calls.names.clear()
    assert await cluster.client().get("/f") == data
    assert cluster.calls.names == ["get_cluster", "open_file"]
    assert await cluster.sql("SELECT COUNT(*) FROM chunks") == [(0,)]
    assert cluster.chunk_files() == []


async def test_one_byte_more_makes_a_chunk(client: AsyncClient) -> None:
    assert (await client.put("/f", pattern(INLINE_SIZE_BYTES_MAX + 1))).chunk_count == 1


async def test_no_chunkserver_is_needed(cluster: InProcessCluster, client: AsyncClient) -> None:
    for number in (1, 2, 3):
        cluster.faults(number).is_down = True
    await client.put("/f", b"data")
    assert await client.get("/f") == b"data"


async def test_the_content_is_nowhere_in_clear(cluster: InProcessCluster, client: AsyncClient) -> None:
    await client.put("/f", b"a very secret content" * 10)
    for path in cluster.database.parent.glob("metadata.db*"):
        assert b"secret" not in path.read_bytes(), path


@pytest.mark.parametrize("size", [1, 15_000, INLINE_SIZE_BYTES_MAX])
async def test_ranges_streams_and_local_files(client: AsyncClient, tmp_path: Path, size: int) -> None:
    data = pattern(size)
    await client.put("/f", data)
    for offset, length in ((0, None), (0, 0), (0, 1), (size - 1, None), (size, None), (size - 1, 5), (size + 5, 5)):
        assert await client.get("/f", offset, length) == data[offset : None if length is None else offset + length]
    assert await client.get("/f", ranges=[(size - 1, 9), (0, 1)]) == [data[-1:], data[:1]]
    async with await client.open("/f") as file:
        assert await file.read(1) + await file.read() == data
        file.seek(-1, 2)
        target = bytearray(10)
        assert await file.readinto(target) == 1 and target[:1] == data[-1:]
        assert file.info.size_bytes == size
    seen: list[int] = []
    await client.get_file("/f", tmp_path / "local", progress=seen.append)
    assert (tmp_path / "local").read_bytes() == data and seen == [size]


@pytest.mark.parametrize("size", [*SIZES, INLINE_SIZE_BYTES_MAX + 1, CHUNK_SIZE, CHUNK_SIZE + 1])
async def test_local_files_of_any_size(client: AsyncClient, tmp_path: Path, size: int) -> None:
    (tmp_path / "local").write_bytes(pattern(size))
    seen: list[int] = []
    info = await client.put_file(tmp_path / "local", "/f", progress=seen.append)
    assert (info.size_bytes, info.chunk_count) == (
        size,
        0 if size <= INLINE_SIZE_BYTES_MAX else -(-size // CHUNK_SIZE),
    )
    assert await client.get("/f") == pattern(size)
    assert seen[-1:] == ([size] if size else [])


async def test_it_moves_and_comes_back_with_its_content(client: AsyncClient, cluster: InProcessCluster) -> None:
    await client.make_directory("/d")
    await client.put("/f", b"content")
    await client.rename("/f", "/d/g")
    assert await cluster.client().get("/d/g") == b"content"
    await client.remove("/d", recursive=True)
    await client.restore("/d")
    assert await cluster.client().get("/d/g") == b"content"
    await client.put("/d/g", b"new")
    assert await cluster.client().get("/d/g") == b"new"


class TestPreconditions:
    async def test_absent_and_version(self, client: AsyncClient) -> None:
        first = await client.put("/f", b"1", if_absent=True)
        with pytest.raises(AlreadyExists):
            await client.put("/f", b"2", if_absent=True)
        second = await client.put("/f", b"2", if_version=first.version)
        with pytest.raises(Conflict) as caught:
            await client.put("/f", b"3", if_version=first.version)
        assert caught.value.reason == "VERSION_CHANGED"
        assert second.version > first.version and await client.get("/f") == b"2"

    async def test_places_where_no_file_can_be(self, client: AsyncClient) -> None:
        await client.make_directory("/d")
        await client.put("/f", b"1")
        with pytest.raises(IsADirectory):
            await client.put("/d", b"2")
        with pytest.raises(IsADirectory):
            await client.put("/", b"2")
        with pytest.raises(NotADirectory):
            await client.put("/f/g", b"2")
        with pytest.raises(NotFound) as caught:
            await client.put("/none/g", b"2")
        assert caught.value.reason == "FILE_NOT_FOUND"


class TestDirectories:
    async def test_another_directory_took_the_place(self, client: AsyncClient, cluster: InProcessCluster) -> None:
        await client.make_directory("/d")
        await client.put("/d/f", b"1")
        other = cluster.client()
        await other.rename("/d", "/old")
        await other.make_directory("/d")
        await client.put("/d/f", b"2")
        assert await other.get("/d/f") == b"2" and await other.get("/old/f") == b"1"
        cluster.calls.names.clear()
        await client.put("/d/g", b"3")
        assert cluster.calls.names.count("put_files") == 1, "it learned"

    async def test_a_directory_that_went_and_came_back(self, client: AsyncClient, cluster: InProcessCluster) -> None:
        await client.make_directory("/d")
        await client.put("/d/f", b"1")
        other = cluster.client()
        await other.remove("/d", recursive=True)
        with pytest.raises(NotFound):
            await client.put("/d/f", b"2")
        await other.make_directory("/d")
        await client.put("/d/f", b"3")
        assert await other.get("/d/f") == b"3"

    async def test_a_directory_that_became_a_file(self, client: AsyncClient, cluster: InProcessCluster) -> None:
        await client.make_directory("/d")
        await client.put("/d/f", b"1")
        other = cluster.client()
        await other.remove("/d", recursive=True)
        await other.put("/d", b"file")
        with pytest.raises(NotADirectory):
            await client.put("/d/f", b"2")


class TestVersions:
    async def test_a_reservation_that_others_overtook(self, client: AsyncClient, cluster: InProcessCluster) -> None:
        other = cluster.client()
        for number in range(6):
            # Reserved ahead by now, and older than what the other one writes.
            await client.put("/mine", bytes([number]))
            theirs = await other.put("/shared", b"theirs")
            mine = await client.put("/shared", bytes([number]))
            assert mine.version > theirs.version
            assert await other.get("/shared") == bytes([number])

    async def test_a_removed_version_holds_back_old_ones(self, client: AsyncClient, cluster: InProcessCluster) -> None:
        other = cluster.client()
        await client.put("/a", b"1")
        await client.put("/b", b"2")
        await other.put("/f", b"3")
        await other.remove("/f")
        assert (await client.put("/f", b"4")).size_bytes == 1
        assert await other.get("/f") == b"4"

    async def test_many_at_one_path_end_with_one_of_them(self, cluster: InProcessCluster) -> None:
        clients = [cluster.client() for _ in range(4)]
        infos = await asyncio.gather(
            *(clients[number % 4].put("/f", bytes([number]) * (number + 1)) for number in range(24))
        )
        assert len({info.version for info in infos}) == len({info.file_id for info in infos}) == 24
        newest = max(range(24), key=lambda number: infos[number].version)
        assert await cluster.client().get("/f") == bytes([newest]) * (newest + 1)

    async def test_who_is_always_overtaken_is_told(
        self, client: AsyncClient, cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dstore.client.small_files.COMMIT_ATTEMPTS_MAX", 3)

        def overtaken(_: object) -> tuple[DstoreError]:
            return (Conflict("Overtaken.", reason="VERSION_SUPERSEDED", metadata={"version": "99999999"}),)

        cluster.calls.answers["put_files"] = overtaken
        with pytest.raises(Conflict) as caught:
            await client.put("/f", b"1")
        assert caught.value.reason == "VERSION_SUPERSEDED"
        assert cluster.calls.names.count("put_files") == 3

    async def test_a_master_that_goes_back_behind_what_was_seen(
        self, client: AsyncClient, cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dstore.client.small_files.COMMIT_ATTEMPTS_MAX", 3)
        await client.put("/f", b"1")
        cluster.calls.answers["reserve_files"] = lambda reservation: replace(reservation, first_version=Version(1))
        with pytest.raises(Corrupt) as caught:
            await client.put("/f", b"2")
        assert caught.value.reason == "VERSION_ROLLED_BACK"
        assert cluster.calls.names.count("put_files") == 1
        monkeypatch.undo()


class TestLostCalls:
    @pytest.mark.parametrize("call", ["reserve_files", "put_files", "stat", "open_file"])
    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_they_are_repeated_and_take_effect_once(
        self, cluster: InProcessCluster, call: str, when: str
    ) -> None:
        client = cluster.client()
        await client.make_directory("/d")
        getattr(cluster.calls, when)[call] = fail_times(2)
        info = await client.put("/d/f", b"data", if_absent=True)
        assert await client.get("/d/f") == b"data"
        assert cluster.calls.names.count(call) >= 3
        assert await cluster.sql("SELECT COUNT(*) FROM inodes WHERE kind = 'file'") == [(1,)]
        assert (await client.stat("/d/f")).version == info.version

    async def test_a_lost_answer_hides_no_refusal(self, cluster: InProcessCluster) -> None:
        """The stored answer comes first: the version at the path is the one that this very call made."""
        client = cluster.client()
        first = await client.put("/f", b"1")
        cluster.calls.after["put_files"] = fail_times(1)
        second = await client.put("/f", b"2", if_version=first.version)
        assert second.version > first.version and cluster.calls.names.count("put_files") == 3

    async def test_callers_of_one_batch_that_is_lost_are_unknown_each_for_himself(
        self, cluster: InProcessCluster
    ) -> None:
        client = cluster.client(patience_s=0.2)
        await client.put("/a", b"old")
        cluster.calls.after["put_files"] = fail_times(1_000)
        results = await asyncio.gather(
            *(client.put(path, path.encode()) for path in ("/a", "/b", "/c")), return_exceptions=True
        )
        assert [type(result) for result in results] == [CommitUnknown] * 3
        request_ids = [result.metadata["request_id"] for result in results if isinstance(result, CommitUnknown)]
        assert len(set(request_ids)) == 3
        cluster.calls.after.clear()
        for path, request_id in zip(("/a", "/b", "/c"), request_ids, strict=True):
            info = await client.resolve(RequestId(request_id))
            assert isinstance(info, FileInfo)
            assert await client.get(path) == path.encode()
        assert await cluster.sql("SELECT COUNT(*) FROM live_entries") == [(3,)]


class TestLies:
    """What no honest master says about small files."""

    @pytest.mark.parametrize("answer", [(), ("twice", "twice")])
    async def test_too_few_or_too_many_results(
        self, client: AsyncClient, cluster: InProcessCluster, answer: tuple[object, ...]
    ) -> None:
        cluster.calls.answers["put_files"] = lambda _: answer
        with pytest.raises(Internal) as caught:
            await client.put("/f", b"1")
        assert caught.value.reason == "ANSWER_INVALID"

    @pytest.mark.parametrize("parent_id", ["", "-1", "x", "٣", "9" * 40, str(1 << 64), "1"])
    async def test_a_directory_that_cannot_be(
        self, cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch, parent_id: str
    ) -> None:
        monkeypatch.setattr("dstore.client.small_files.COMMIT_ATTEMPTS_MAX", 2)
        client = cluster.client()
        await client.make_directory("/d")
        cluster.calls.answers["put_files"] = lambda _: (
            Conflict("Moved.", reason="PARENT_CHANGED", metadata={"parent_id": parent_id}),
        )
        with pytest.raises((Conflict, Internal)):
            await client.put("/d/f", b"1")

    async def test_the_root_is_never_another_directory(self, client: AsyncClient, cluster: InProcessCluster) -> None:
        """Or a write could be sent to another directory, and the version before shown again as the newest."""
        await client.put("/f", b"old")
        sent: list[SmallFile] = []
        original = cluster.master.namespace.put_files

        async def put_files(items: tuple[tuple[SmallFile, RequestId], ...]) -> object:
            sent.extend(file for file, _ in items)
            return (Conflict("Moved.", reason="PARENT_CHANGED", metadata={"parent_id": "77"}),)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cluster.master.namespace, "put_files", put_files)
            patch.setattr("dstore.client.small_files.COMMIT_ATTEMPTS_MAX", 3)
            with pytest.raises(Conflict):
                await client.put("/f", b"new")
        assert {file.parent_id for file in sent} == {1}
        assert cluster.master.namespace.put_files == original

    @pytest.mark.parametrize(
        "change",
        [
            lambda opened: replace(opened, sealed_manifest=opened.sealed_manifest[:-1]),
            lambda opened: replace(
                opened, sealed_manifest=opened.sealed_manifest[:-1] + bytes([opened.sealed_manifest[-1] ^ 1])
            ),
            lambda opened: replace(opened, info=replace(opened.info, size_bytes=opened.info.size_bytes + 1)),
            lambda opened: replace(opened, info=replace(opened.info, chunk_count=1)),
            lambda opened: replace(opened, info=replace(opened.info, file_id=FileId(opened.info.file_id + 1))),
            lambda opened: replace(opened, info=replace(opened.info, version=Version(opened.info.version + 1))),
            lambda opened: replace(opened, parent_id=FileId(9)),
            lambda opened: replace(opened, wrapped_keys=()),
        ],
        ids=["cut", "flipped", "size", "chunks", "file id", "version", "directory", "no key"],
    )
    async def test_content_that_was_altered_or_moved(
        self, client: AsyncClient, cluster: InProcessCluster, change: Callable[[OpenedFile], OpenedFile]
    ) -> None:
        await client.put("/f", b"data" * 100)
        cluster.calls.answers["open_file"] = change
        with pytest.raises(DstoreError) as caught:
            await cluster.client().get("/f")
        assert isinstance(caught.value, Corrupt) or caught.value.reason == "WRONG_KEY"

        def change_all(answers: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(change(each) for each in answers)

        cluster.calls.answers["open_files"] = change_all
        (result,) = await cluster.client().get_many(["/f"])
        assert isinstance(result, Corrupt) or (isinstance(result, DstoreError) and result.reason == "WRONG_KEY")

    async def test_an_older_version_than_was_seen(self, client: AsyncClient, cluster: InProcessCluster) -> None:
        await client.put("/f", b"old")
        old = await cluster.master.namespace.open_file("/f")
        await client.put("/f", b"new")
        cluster.calls.answers["open_file"] = lambda _: old
        cluster.calls.answers["open_files"] = lambda _: (old,)
        with pytest.raises(Corrupt) as caught:
            await client.get("/f")
        assert caught.value.reason == "VERSION_ROLLED_BACK"
        (result,) = await client.get_many(["/f"])
        assert isinstance(result, Corrupt) and result.reason == "VERSION_ROLLED_BACK"
