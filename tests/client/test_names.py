"""Directories, renames, removes, and what is refused before anything is called."""

import asyncio
from typing import Any

import pytest
from store_in_process import CHUNK_SIZE, InProcessCluster, fail_times, pattern

from dstore.client.client import AsyncClient
from dstore.core.errors import (
    AlreadyExists,
    Conflict,
    DirectoryNotEmpty,
    DstoreError,
    InvalidRequest,
    IsADirectory,
    NotADirectory,
    NotFound,
)
from dstore.core.files import FileKind

DATA = pattern(2 * CHUNK_SIZE + 1)


class TestListing:
    async def test_pages_are_joined_in_order(self, client: AsyncClient) -> None:
        names = sorted((f"n{number}" for number in range(25)), key=str.encode)
        for name in names:
            await client.put(f"/{name}", b"")
        assert [info.name async for info in client.list("/")] == names
        pages = [page async for page in client.list_pages("/", page_size=10)]
        assert [len(page) for page in pages] == [10, 10, 5]

    @pytest.mark.parametrize("page_size", [0, -1, 1.5, "3", None])
    async def test_page_sizes_that_cannot_be(self, client: AsyncClient, page_size: Any) -> None:
        with pytest.raises(InvalidRequest, match="give a whole number, 1 or more") as caught:
            await anext(client.list_pages("/", page_size=page_size))
        assert caught.value.reason == "PAGE_SIZE_INVALID"

    async def test_a_page_of_any_size_above(self, client: AsyncClient) -> None:
        await client.put("/f", b"")
        assert [len(page) async for page in client.list_pages("/", page_size=1 << 70)] == [1]

    async def test_walk(self, client: AsyncClient) -> None:
        await client.make_directory("/a/b/c", parents=True)
        await client.make_directory("/z")
        for path in ("/1", "/a/2", "/a/b/3", "/z/4"):
            await client.put(path, b"")
        steps = [
            (path, [info.name for info in directories], [info.name for info in files])
            async for path, directories, files in client.walk("/")
        ]
        assert steps == [
            ("/", ["a", "z"], ["1"]),
            ("/a", ["b"], ["2"]),
            ("/a/b", ["c"], ["3"]),
            ("/a/b/c", [], []),
            ("/z", [], ["4"]),
        ]

    async def test_walk_leaves_out_what_the_caller_removes_and_what_vanishes(self, client: AsyncClient) -> None:
        for path in ("/keep", "/skip", "/vanish"):
            await client.make_directory(path)
        seen = []
        async for path, directories, _ in client.walk("/"):
            seen.append(path)
            if path == "/":
                directories[:] = [info for info in directories if info.name != "skip"]
                await client.remove("/vanish")
        assert seen == ["/", "/keep"]

    @pytest.mark.parametrize(("path", "error"), [("/missing", NotFound), ("/f", NotADirectory)])
    async def test_what_cannot_be_listed(self, client: AsyncClient, path: str, error: type[DstoreError]) -> None:
        await client.put("/f", b"")
        with pytest.raises(error):
            async for _ in client.list(path):
                pass
        with pytest.raises(error):
            async for _ in client.walk(path):
                pass


class TestDirectories:
    async def test_options_are_those_of_pathlib(self, client: AsyncClient) -> None:
        with pytest.raises(FileNotFoundError):
            await client.make_directory("/a/b")
        info = await client.make_directory("/a/b", parents=True)
        assert info.kind is FileKind.DIRECTORY and info.path == "/a/b"
        with pytest.raises(FileExistsError):
            await client.make_directory("/a/b")
        assert (await client.make_directory("/a/b", exist_ok=True)).file_id == info.file_id

    async def test_remove(self, client: AsyncClient) -> None:
        await client.make_directory("/a/b", parents=True)
        await client.put("/a/b/f", DATA)
        with pytest.raises(DirectoryNotEmpty):
            await client.remove("/a")
        removed = await client.remove("/a", recursive=True)
        assert (removed.files, removed.directories) == (1, 2)
        assert not await client.exists("/a/b/f")
        with pytest.raises(NotFound):
            await client.remove("/a")

    async def test_exists(self, client: AsyncClient) -> None:
        await client.put("/f", b"")
        assert await client.exists("/f") and await client.exists("/")
        assert not await client.exists("/missing") and not await client.exists("/f/below")

    async def test_files_and_directories_are_told_apart(self, client: AsyncClient) -> None:
        await client.make_directory("/d")
        with pytest.raises(IsADirectory):
            await client.get("/d")
        with pytest.raises(IsADirectoryError):
            await client.put("/d", b"")
        with pytest.raises(IsADirectory):
            await client.open("/d")
        with pytest.raises(NotFound):
            await client.put("/missing/f", b"")
        with pytest.raises(NotFound):
            await client.get("/missing")


class TestRename:
    async def test_a_file(self, client: AsyncClient) -> None:
        await client.make_directory("/d")
        before = await client.put("/a", DATA)
        after = await client.rename("/a", "/d/b")
        assert (after.path, after.file_id) == ("/d/b", before.file_id) and after.version > before.version
        assert await client.get("/d/b") == DATA
        assert not await client.exists("/a")
        async with await client.open("/d/b") as file:
            assert file.info.size_bytes == len(DATA)

    async def test_onto_a_file_replaces_it(self, client: AsyncClient) -> None:
        await client.put("/a", DATA)
        await client.put("/b", b"replaced")
        await client.rename("/a", "/b")
        assert await client.get("/b") == DATA
        assert [info.name async for info in client.list("/")] == ["b"]

    async def test_a_directory_takes_its_files_along(self, client: AsyncClient) -> None:
        await client.make_directory("/a/inner", parents=True)
        await client.put("/a/inner/f", DATA)
        await client.rename("/a", "/b")
        assert await client.get("/b/inner/f") == DATA
        with pytest.raises(InvalidRequest):
            await client.rename("/b", "/b/inner/c")

    async def test_a_reader_goes_on(self, client: AsyncClient) -> None:
        await client.put("/a", DATA)
        async with await client.open("/a") as file:
            await client.rename("/a", "/b")
            assert await file.read() == DATA

    async def test_a_source_that_changes_meanwhile_is_prepared_again(self, cluster: InProcessCluster) -> None:
        client, other = cluster.client(), cluster.client()
        await client.put("/a", b"1")
        changes = [b"22", b"333"]

        async def rename_after_changes() -> None:
            original = cluster.master.namespace.rename

            async def rename(*arguments: object, **options: object) -> object:
                if changes:
                    await other.put("/a", changes.pop(0))
                return await original(*arguments, **options)  # type: ignore[arg-type]

            cluster.master.namespace.rename = rename  # type: ignore[method-assign, assignment]
            await client.rename("/a", "/b")

        await rename_after_changes()
        assert await client.get("/b") == b"333"
        assert cluster.calls.names.count("prepare_rename") == 3

    async def test_a_source_that_never_rests_is_a_conflict(
        self, cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dstore.client.renaming.RENAME_ATTEMPTS_MAX", 2)
        client = cluster.client()
        await client.put("/a", b"1")

        def changed() -> None:
            raise Conflict("Somebody was faster.")

        cluster.calls.before["rename"] = changed
        with pytest.raises(Conflict):
            await client.rename("/a", "/b")
        assert cluster.calls.names.count("rename") == 2


BAD_PATHS = {
    "": "PATH_NOT_ABSOLUTE",
    "relative": "PATH_NOT_ABSOLUTE",
    "//": "PATH_EMPTY_NAME",
    "/a//b": "PATH_EMPTY_NAME",
    "/a/../b": "PATH_RELATIVE_NAME",
    "/.": "PATH_RELATIVE_NAME",
    "/nul\0": "PATH_HAS_NUL",
    "/\udcff": "PATH_NOT_UTF8",
    "/" + "n" * 256: "NAME_TOO_LONG",
    "/" + "é" * 128: "NAME_TOO_LONG",
    "/n" * 129: "PATH_TOO_DEEP",
    ("/" + "n" * 255) * 17: "PATH_TOO_LONG",
}


@pytest.mark.parametrize("path", BAD_PATHS)
async def test_bad_paths_are_refused_before_any_call(cluster: InProcessCluster, path: str) -> None:
    client = cluster.client()
    for call in (
        client.get(path),
        client.put(path, b""),
        client.stat(path),
        client.exists(path),
        client.open(path, "rb"),
        client.open(path, "wb"),
        client.put_file("local", path),
        client.get_file(path, "local"),
        client.make_directory(path),
        client.remove(path),
        client.rename(path, "/f"),
        client.rename("/f", path),
        client.describe(path),
        anext(client.list(path)),
        anext(client.walk(path)),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await call
        assert caught.value.reason == BAD_PATHS[path]
    assert cluster.calls.names == []


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, "with space", "ünï\ncödé", "\x7f", "a.b", "..."])
async def test_unusual_names_work(client: AsyncClient, name: str) -> None:
    await client.put(f"/{name}", DATA)
    assert await client.get(f"/{name}") == DATA
    assert [info.name async for info in client.list("/")] == [name]
    await client.rename(f"/{name}", "/plain")
    await client.rename("/plain", f"/{name}/")
    assert await client.get(f"/{name}") == DATA


async def test_a_path_longer_than_a_descriptor(client: AsyncClient) -> None:
    path = ("/" + "d" * 255) * 14 + "/f"
    await client.make_directory(path.removesuffix("/f"), parents=True)
    await client.put(path, DATA)
    assert await client.get(path) == DATA


class TestTheCluster:
    async def test_status_and_describe(self, client: AsyncClient) -> None:
        await client.put("/f", DATA)
        status = await client.status()
        assert (status.file_count, status.chunk_count, status.servers_up) == (1, 3, 3)
        description = await client.describe("/f")
        assert [chunk.record.index for chunk in description.chunks] == [0, 1, 2]
        assert all(len(chunk.group.members) == 3 and chunk.missing == () for chunk in description.chunks)
        assert description.next_chunk_index is None
        assert (await client.cluster()).policy.chunk_size_bytes == CHUNK_SIZE

    async def test_describe_joins_pages(self, client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dstore.client.client._DESCRIBE_PAGE_SIZE", 2)
        await client.put("/f", pattern(5 * CHUNK_SIZE))
        description = await client.describe("/f")
        assert [chunk.record.index for chunk in description.chunks] == [0, 1, 2, 3, 4]

    async def test_modes(self, client: AsyncClient) -> None:
        for mode in ("r", "w", "ab", "r+b", "", "rw"):
            with pytest.raises(InvalidRequest) as caught:
                await client.open("/f", mode)
            assert caught.value.reason == "MODE_INVALID"

    async def test_a_first_contact_that_fails_is_shared(
        self, cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dstore.client.retries.FIRST_CONTACT_PATIENCE_S", 0.2)
        cluster.calls.before["get_cluster"] = fail_times(1_000)
        client = cluster.client()
        results = await asyncio.gather(*(client.exists("/") for _ in range(20)), return_exceptions=True)
        assert {getattr(result, "reason", None) for result in results} == {"MASTER_UNREACHABLE"}
        assert len(cluster.calls.names) < 10
        cluster.calls.before.clear()
        assert await client.exists("/")

    async def test_many_at_once(self, client: AsyncClient) -> None:
        paths = [f"/{number}" for number in range(40)]
        await asyncio.gather(*(client.put(path, path.encode() * 1_000) for path in paths))
        contents = await asyncio.gather(*(client.get(path) for path in paths))
        assert contents == [path.encode() * 1_000 for path in paths]
        with pytest.raises(AlreadyExists):
            await client.make_directory("/1")
