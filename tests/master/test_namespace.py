"""The tree: what each call does, and what it refuses."""

from collections.abc import Awaitable, Callable

import pytest
from master_harness import MasterHarness

from dstore.core import errors
from dstore.core.errors import DstoreError
from dstore.core.files import FileKind, RemoveResult, Rename
from dstore.core.ids import Version

BAD_PATHS = [
    ("", "PATH_NOT_ABSOLUTE"),
    ("a", "PATH_NOT_ABSOLUTE"),
    ("//", "PATH_EMPTY_NAME"),
    ("/a//b", "PATH_EMPTY_NAME"),
    ("/a/../b", "PATH_RELATIVE_NAME"),
    ("/.", "PATH_RELATIVE_NAME"),
    ("/a\0b", "PATH_HAS_NUL"),
    ("/\udcff", "PATH_NOT_UTF8"),
    ("/" + "x" * 256, "NAME_TOO_LONG"),
    ("/" + "ü" * 128, "NAME_TOO_LONG"),
    ("/x" * 129, "PATH_TOO_DEEP"),
    ("/" + "/".join(["y" * 200] * 21), "PATH_TOO_LONG"),
]


@pytest.mark.parametrize(("path", "reason"), BAD_PATHS)
async def test_bad_paths_are_refused_everywhere(cluster: MasterHarness, path: str, reason: str) -> None:
    name = cluster.namespace
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: name.stat(path),
        lambda: name.list(path, page_size=0, page_token=""),
        lambda: cluster.make_directory(path),
        lambda: cluster.remove(path),
        lambda: name.prepare_rename(path, "/target"),
        lambda: cluster.begin(path),
        lambda: name.open_file(path),
        lambda: cluster.master.admin.describe_file(path, start_index=0, count=0),
    ]
    for call in calls:
        with pytest.raises(errors.InvalidRequest) as caught:
            await call()
        assert caught.value.reason == reason


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "a b", "...", "名前", "-", "\n", "\x7f"])
async def test_unusual_names_are_fine(cluster: MasterHarness, name: str) -> None:
    await cluster.write("/" + name)
    assert await cluster.names("/") == [name]


@pytest.fixture
async def tree(cluster: MasterHarness) -> MasterHarness:
    """``/file``, ``/dir/inner``, ``/dir/sub`` and ``/empty``."""
    for path in ("/dir/sub", "/empty"):
        await cluster.make_directory(path)
    await cluster.write("/file", chunk_count=1)
    await cluster.write("/dir/inner", chunk_count=2)
    return cluster


REFUSALS = [
    ("stat", ("/none",), errors.NotFound, "FILE_NOT_FOUND"),
    ("stat", ("/none/x",), errors.NotFound, "FILE_NOT_FOUND"),
    ("stat", ("/file/x",), errors.NotADirectory, "NOT_A_DIRECTORY"),
    ("list", ("/none",), errors.NotFound, "FILE_NOT_FOUND"),
    ("list", ("/file",), errors.NotADirectory, "NOT_A_DIRECTORY"),
    ("open", ("/none",), errors.NotFound, "FILE_NOT_FOUND"),
    ("open", ("/dir",), errors.IsADirectory, "IS_A_DIRECTORY"),
    ("open", ("/",), errors.IsADirectory, "IS_A_DIRECTORY"),
    ("open", ("/file/x",), errors.NotADirectory, "NOT_A_DIRECTORY"),
    ("describe", ("/none",), errors.NotFound, "FILE_NOT_FOUND"),
    ("describe", ("/dir",), errors.IsADirectory, "IS_A_DIRECTORY"),
    ("begin", ("/dir",), errors.IsADirectory, "IS_A_DIRECTORY"),
    ("begin", ("/",), errors.IsADirectory, "IS_A_DIRECTORY"),
    ("begin", ("/none/x",), errors.NotFound, "FILE_NOT_FOUND"),
    ("begin", ("/file/x",), errors.NotADirectory, "NOT_A_DIRECTORY"),
    ("remove", ("/none",), errors.NotFound, "FILE_NOT_FOUND"),
    ("remove", ("/",), errors.InvalidRequest, "ROOT_IMMOVABLE"),
    ("remove", ("/dir",), errors.DirectoryNotEmpty, "DIRECTORY_NOT_EMPTY"),
    ("remove", ("/file/x",), errors.NotADirectory, "NOT_A_DIRECTORY"),
    ("rename", ("/none", "/x"), errors.NotFound, "FILE_NOT_FOUND"),
    ("rename", ("/file", "/none/x"), errors.NotFound, "FILE_NOT_FOUND"),
    ("rename", ("/file", "/file/x"), errors.InvalidRequest, "RENAME_INTO_ITSELF"),
    ("rename", ("/dir/inner", "/file/x"), errors.NotADirectory, "NOT_A_DIRECTORY"),
    ("rename", ("/", "/x"), errors.InvalidRequest, "ROOT_IMMOVABLE"),
    ("rename", ("/file", "/"), errors.InvalidRequest, "ROOT_IMMOVABLE"),
    ("rename", ("/dir", "/dir/sub/x"), errors.InvalidRequest, "RENAME_INTO_ITSELF"),
    ("rename", ("/file", "/dir"), errors.IsADirectory, "IS_A_DIRECTORY"),
    ("rename", ("/file", "/empty"), errors.IsADirectory, "IS_A_DIRECTORY"),
    ("rename", ("/dir", "/file"), errors.NotADirectory, "NOT_A_DIRECTORY"),
    ("rename", ("/empty", "/dir"), errors.DirectoryNotEmpty, "DIRECTORY_NOT_EMPTY"),
    ("rename", ("/dir/sub", "/dir"), errors.DirectoryNotEmpty, "DIRECTORY_NOT_EMPTY"),
    ("rename", ("/dir/inner", "/dir"), errors.IsADirectory, "IS_A_DIRECTORY"),
]


@pytest.mark.parametrize(("call", "arguments", "kind", "reason"), REFUSALS)
async def test_refusals(
    tree: MasterHarness, call: str, arguments: tuple[str, ...], kind: type[DstoreError], reason: str
) -> None:
    calls: dict[str, Callable[..., Awaitable[object]]] = {
        "stat": tree.namespace.stat,
        "list": lambda path: tree.namespace.list(path, page_size=0, page_token=""),
        "open": tree.namespace.open_file,
        "describe": lambda path: tree.master.admin.describe_file(path, start_index=0, count=0),
        "begin": tree.begin,
        "remove": tree.remove,
        "rename": tree.rename,
    }
    before = await tree.rows("SELECT parent_id, name, file_id FROM entries ORDER BY parent_id, name")
    with pytest.raises(kind) as caught:
        await calls[call](*arguments)
    assert caught.value.reason == reason
    assert await tree.rows("SELECT parent_id, name, file_id FROM entries ORDER BY parent_id, name") == before


MAKE_DIRECTORY = [
    # path, parents, exist_ok, what comes
    ("/new", False, False, None),
    ("/new/", False, False, None),
    ("/new/deeper", False, False, "FILE_NOT_FOUND"),
    ("/new/deeper/still", True, False, None),
    ("/dir", False, False, "FILE_EXISTS"),
    ("/dir", True, False, "FILE_EXISTS"),
    ("/dir", False, True, None),
    ("/dir/sub", True, True, None),
    ("/", False, False, "FILE_EXISTS"),
    ("/", False, True, None),
    ("/file", False, False, "FILE_EXISTS"),
    ("/file", True, True, "FILE_EXISTS"),
    ("/file/x", True, True, "NOT_A_DIRECTORY"),
]


@pytest.mark.parametrize(("path", "parents", "exist_ok", "reason"), MAKE_DIRECTORY)
async def test_make_directory(
    tree: MasterHarness, path: str, parents: bool, exist_ok: bool, reason: str | None
) -> None:
    async def make() -> None:
        info = await tree.namespace.make_directory(
            path, parents=parents, exist_ok=exist_ok, request_id=tree.request_id()
        )
        assert info.kind is FileKind.DIRECTORY
        assert info == await tree.namespace.stat(path)

    if reason is None:
        await make()
    else:
        with pytest.raises(DstoreError) as caught:
            await make()
        assert caught.value.reason == reason


async def test_stat_of_a_file_and_of_the_root(tree: MasterHarness) -> None:
    info = await tree.namespace.stat("/dir/inner/")
    assert (info.path, info.kind, info.size_bytes, info.chunk_count) == ("/dir/inner", FileKind.FILE, 32768, 2)
    root = await tree.namespace.stat("/")
    assert (root.path, root.file_id, root.is_directory) == ("/", 1, True)


async def test_list_is_in_order_of_utf8_bytes(cluster: MasterHarness) -> None:
    names = ["\U0001f600", "￿", "é", "z", "Z", "a", "a!", "a b", "B", "ab"]
    for name in names:
        await cluster.write("/" + name)
    assert await cluster.names("/") == sorted(names, key=str.encode)


@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 5, 6])
async def test_pages_join_to_the_whole(cluster: MasterHarness, page_size: int) -> None:
    for number in range(5):
        await cluster.write(f"/{number}")
    seen: list[str] = []
    token = ""
    while True:
        page = await cluster.namespace.list("/", page_size=page_size, page_token=token)
        assert len(page.entries) <= page_size
        seen += [entry.name for entry in page.entries]
        token = page.next_page_token
        if not token:
            break
        # A name that comes or goes during the listing does not disturb the others.
        await cluster.write("/0new")
    assert [name for name in seen if name != "0new"] == ["0", "1", "2", "3", "4"]


async def test_an_empty_directory_is_one_empty_page(cluster: MasterHarness) -> None:
    assert await cluster.names("/") == []


async def test_a_page_of_long_paths_stays_within_a_message(cluster: MasterHarness) -> None:
    deep = "/" + "/".join(["d" * 250] * 15)
    await cluster.make_directory(deep)
    for number in range(700):
        await cluster.write(f"{deep}/{number:0250}")
    page = await cluster.namespace.list(deep, page_size=0, page_token="")
    assert sum(len(entry.path) for entry in page.entries) <= 2 * 1024 * 1024
    rest = await cluster.namespace.list(deep, page_size=0, page_token=page.next_page_token)
    assert len(page.entries) + len(rest.entries) == 700


@pytest.mark.parametrize("token", ["x", "AAAA", "not base64!", "ü", "\udcff", "A" * 400])
async def test_a_strange_page_token_is_refused(cluster: MasterHarness, token: str) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        await cluster.namespace.list("/", page_size=0, page_token=token)
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


async def test_a_page_token_is_only_good_for_its_directory(tree: MasterHarness) -> None:
    page = await tree.namespace.list("/", page_size=1, page_token="")
    with pytest.raises(errors.InvalidRequest) as caught:
        await tree.namespace.list("/dir", page_size=1, page_token=page.next_page_token)
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


async def test_a_negative_page_size_is_refused(cluster: MasterHarness) -> None:
    with pytest.raises(errors.InvalidRequest):
        await cluster.namespace.list("/", page_size=-1, page_token="")


async def test_remove_recursively_in_one_step(tree: MasterHarness) -> None:
    await tree.write("/dir/sub/deep", chunk_count=3)
    result = await tree.namespace.remove("/dir", recursive=True, request_id=tree.request_id())
    assert result == RemoveResult(files=2, directories=2)
    assert await tree.names("/") == ["empty", "file"]
    assert await tree.rows("SELECT COUNT(*) FROM deleted_chunks") == [(0,)]
    await tree.collect_all()
    assert await tree.rows("SELECT reason, COUNT(*) FROM deleted_chunks GROUP BY reason") == [("released", 5)]


async def test_remove_of_a_file_and_of_an_empty_directory(tree: MasterHarness) -> None:
    for path, expected in (("/file", RemoveResult(1, 0)), ("/empty", RemoveResult(0, 1))):
        assert await tree.namespace.remove(path, recursive=False, request_id=tree.request_id()) == expected
    assert await tree.names("/") == ["dir"]


async def test_a_tree_that_is_too_large_is_refused_whole(tree: MasterHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dstore.master.namespace.REMOVE_ENTRIES_MAX", 2)
    await tree.write("/dir/sub/deep")
    with pytest.raises(errors.LimitExceeded) as caught:
        await tree.remove("/dir", recursive=True)
    assert caught.value.reason == "TREE_TOO_LARGE"
    assert await tree.names("/dir") == ["inner", "sub"]
    await tree.remove("/dir/sub/deep")
    await tree.remove("/dir", recursive=True)


async def test_rename_moves_a_file_and_keeps_its_content(tree: MasterHarness) -> None:
    before = await tree.namespace.open_file("/dir/inner")
    info = await tree.rename("/dir/inner", "/empty/moved")
    after = await tree.namespace.open_file("/empty/moved")
    assert info == after.info
    assert info.path == "/empty/moved"
    assert info.file_id == before.info.file_id
    assert info.version > before.info.version
    assert after.page.chunks == before.page.chunks
    assert after.sealed_manifest == b"sealed again"
    assert after.wrapped_keys == before.wrapped_keys
    assert after.parent_id == (await tree.namespace.stat("/empty")).file_id
    assert await tree.names("/dir") == ["sub"]


async def test_rename_onto_a_file_replaces_it(tree: MasterHarness) -> None:
    await tree.rename("/dir/inner", "/file")
    assert (await tree.namespace.stat("/file")).size_bytes == 32768
    await tree.collect_all()
    assert await tree.rows("SELECT reason FROM deleted_chunks") == [("released",)]


async def test_rename_moves_a_directory_with_all_that_is_in_it(tree: MasterHarness) -> None:
    await tree.rename("/dir", "/empty")
    assert await tree.names("/") == ["empty", "file"]
    assert await tree.names("/empty") == ["inner", "sub"]


@pytest.mark.parametrize("path", ["/file", "/dir"])
async def test_rename_to_the_same_name_changes_only_the_version(tree: MasterHarness, path: str) -> None:
    before = await tree.namespace.stat(path)
    after = await tree.rename(path, path)
    assert after.version > before.version
    assert (after.path, after.file_id, after.chunk_count) == (path, before.file_id, before.chunk_count)


async def test_a_rename_ticket_describes_what_is_to_be_sealed(tree: MasterHarness) -> None:
    ticket = await tree.namespace.prepare_rename("/dir/inner", "/empty/moved")
    assert ticket.source == await tree.namespace.stat("/dir/inner")
    assert ticket.source_parent_id == (await tree.namespace.stat("/dir")).file_id
    assert ticket.target_parent_id == (await tree.namespace.stat("/empty")).file_id
    assert (ticket.target_name, ticket.sealed_manifest) == ("moved", b"sealed")
    directory = await tree.namespace.prepare_rename("/dir", "/other")
    assert (directory.sealed_manifest, directory.wrapped_keys) == (b"", ())
    assert directory.version > ticket.version


OVERTAKEN = [
    ("source replaced", ["write /file"]),
    ("source renamed and back", ["rename /file /other", "rename /other /file"]),
    ("target written", ["write /target"]),
    ("target written and removed", ["write /target", "remove /target"]),
    ("target written and renamed away", ["write /target", "rename /target /other"]),
]


@pytest.mark.parametrize(("what", "meanwhile"), OVERTAKEN)
async def test_an_overtaken_ticket_is_refused(tree: MasterHarness, what: str, meanwhile: list[str]) -> None:
    verbs: dict[str, Callable[..., Awaitable[object]]]
    verbs = {"write": tree.write, "rename": tree.rename, "remove": tree.remove}
    ticket = await tree.namespace.prepare_rename("/file", "/target")
    for step in meanwhile:
        verb, *paths = step.split()
        await verbs[verb](*paths)
    rename = Rename("/file", "/target", ticket.source.version, ticket.version, b"sealed again")
    with pytest.raises(errors.Conflict) as caught:
        await tree.namespace.rename(rename, request_id=tree.request_id())
    assert caught.value.reason == "VERSION_CHANGED"
    await tree.rename("/file", "/target")


@pytest.mark.parametrize("version", [0, 1, 1 << 40, (1 << 64) - 1])
async def test_a_version_that_was_not_given_out_is_refused(tree: MasterHarness, version: int) -> None:
    source = await tree.namespace.stat("/file")
    rename = Rename("/file", "/target", source.version, Version(version), b"sealed again")
    with pytest.raises(errors.Conflict) as caught:
        await tree.namespace.rename(rename, request_id=tree.request_id())
    assert caught.value.reason == "VERSION_CHANGED"


@pytest.mark.parametrize(
    ("path", "manifest", "reason"),
    [
        ("/file", b"", "MANIFEST_INVALID"),
        ("/dir", b"x", "MANIFEST_INVALID"),
        ("/file", b"x" * 65537, "MANIFEST_TOO_LARGE"),
    ],
)
async def test_a_rename_needs_the_right_manifest(tree: MasterHarness, path: str, manifest: bytes, reason: str) -> None:
    ticket = await tree.namespace.prepare_rename(path, "/target")
    rename = Rename(path, "/target", ticket.source.version, ticket.version, manifest)
    with pytest.raises(DstoreError) as caught:
        await tree.namespace.rename(rename, request_id=tree.request_id())
    assert caught.value.reason == reason


async def test_the_tree_survives_a_restart(tree: MasterHarness) -> None:
    before = [await tree.namespace.stat(path) for path in ("/", "/file", "/dir/inner", "/empty")]
    cluster_info = await tree.namespace.get_cluster()
    await tree.restart()
    assert [await tree.namespace.stat(path) for path in ("/", "/file", "/dir/inner", "/empty")] == before
    assert await tree.namespace.get_cluster() == cluster_info
