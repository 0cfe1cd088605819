"""What can be restored is listed: all of it, once, where it would come back."""

import pytest
from master_harness import MasterHarness, refused, told

from dstore.core.files import FileKind
from dstore.core.removed import RemovalReason


async def test_what_an_entry_says(cluster: MasterHarness) -> None:
    info = await cluster.write("/x", chunk_count=2)
    await cluster.advance(5.0)
    await cluster.remove("/x")
    [entry] = await cluster.removed()
    assert (entry.path, entry.kind, entry.file_id) == ("/x", FileKind.FILE, info.file_id)
    assert (entry.size_bytes, entry.version) == (info.size_bytes, info.version)
    assert entry.removed_ns == cluster.clock.wall_ns()
    assert (entry.expires_in_s, entry.reason) == (cluster.policy.retention_s, RemovalReason.REMOVED)


async def test_the_path_follows_the_directory(cluster: MasterHarness) -> None:
    await cluster.make_directory("/dir")
    await cluster.write("/dir/x")
    await cluster.remove("/dir/x")
    await cluster.rename("/dir", "/moved")
    assert told(await cluster.removed()) == [("/moved/x", "file", "removed")]
    await cluster.remove("/moved")
    assert told(await cluster.removed()) == [("/moved/x", "file", "removed"), ("/moved", "directory", "removed")]
    await cluster.restore("/moved", "/back")
    assert (await cluster.restore("/back/x")).path == "/back/x"


@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 8, 0])
async def test_pages_join_to_the_whole(cluster: MasterHarness, page_size: int) -> None:
    await cluster.make_directory("/dir")
    for number in range(5):
        await cluster.write(f"/dir/{number}")
    await cluster.remove("/dir/3")
    await cluster.remove("/dir", recursive=True)
    for number in range(2):
        await cluster.write(f"/{number}")
        await cluster.remove(f"/{number}")
    assert [entry.path for entry in await cluster.removed(page_size=page_size)] == ["/dir/3", "/dir", "/0", "/1"]
    assert [entry.path for entry in await cluster.removed("/dir", recursive=False, page_size=page_size)] == [
        "/dir/3",
        "/dir/0",
        "/dir/1",
        "/dir/2",
        "/dir/4",
    ]


async def test_one_page_looks_at_so_much_only(cluster: MasterHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dstore.master.removed.LIST_PAGE_SIZE_MAX", 3)
    await cluster.make_directory("/dir")
    for number in range(100):
        await cluster.write(f"/dir/{number:03}")
    await cluster.remove("/dir", recursive=True)
    await cluster.write("/x")
    await cluster.remove("/x")
    page = await cluster.namespace.list_removed("/", recursive=True, page_size=0, page_token="")
    assert [entry.path for entry in page.entries] == ["/dir"]
    assert page.next_page_token
    assert [entry.path for entry in await cluster.removed()] == ["/dir", "/x"]
    assert len(await cluster.removed("/dir", recursive=False)) == 100


@pytest.mark.parametrize("path", ["/never", "/file/x", "/dir/never", "/never/x"])
async def test_of_what_never_was(cluster: MasterHarness, path: str) -> None:
    await cluster.write("/file")
    await cluster.make_directory("/dir")
    assert (await refused(cluster.removed(path))).reason in ("FILE_NOT_FOUND", "NOT_A_DIRECTORY")


async def test_a_file_that_lives_has_had_no_versions(cluster: MasterHarness) -> None:
    await cluster.write("/file")
    assert await cluster.removed("/file") == []


async def test_tokens_are_good_for_their_listing_only(cluster: MasterHarness) -> None:
    for path in ("/a", "/b"):
        await cluster.write(path)
        await cluster.remove(path)
    page = await cluster.namespace.list_removed("/", recursive=True, page_size=1, page_token="")
    for token, recursive in (("x", True), ("ü", True), (page.next_page_token, False)):
        error = await refused(cluster.namespace.list_removed("/", recursive=recursive, page_size=1, page_token=token))
        assert error.reason == "PAGE_TOKEN_INVALID"
    error = await refused(cluster.namespace.list_removed("/", recursive=True, page_size=-1, page_token=""))
    assert error.reason == "PAGE_SIZE_INVALID"
