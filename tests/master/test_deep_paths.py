"""Paths of every depth lead to what is there, and a path that leads nowhere names the part that is the reason."""

import pytest
from master_harness import MasterHarness, refused

from dstore.core.errors import NotADirectory, NotFound
from dstore.core.limits import PATH_DEPTH_MAX
from dstore.core.paths import join_path

DEPTHS = [1, 2, 15, 16, 17, 31, 32, 33, PATH_DEPTH_MAX]


def names(depth: int) -> tuple[str, ...]:
    # The same name on several levels: each is another directory.
    return tuple(f"n{level % 3}" for level in range(depth))


@pytest.mark.parametrize("depth", DEPTHS)
async def test_what_is_there_is_found(cluster: MasterHarness, depth: int) -> None:
    path = join_path(names(depth))
    made = await cluster.make_directory(path)
    found = await cluster.namespace.stat(path)
    assert (found.path, found.file_id) == (path, made.file_id)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("existing", [0, 1, 15, 16, 17])
async def test_the_first_name_that_is_not_there_is_told(cluster: MasterHarness, depth: int, existing: int) -> None:
    if existing >= depth:
        return
    if existing:
        await cluster.make_directory(join_path(names(existing)))
    error = await refused(cluster.namespace.stat(join_path(names(depth))))
    assert isinstance(error, NotFound)
    assert error.metadata["path"] == join_path(names(existing + 1))


@pytest.mark.parametrize("depth", [depth for depth in DEPTHS if depth > 1])
@pytest.mark.parametrize("level", [1, 15, 16, 17])
async def test_a_file_on_the_way_is_told(cluster: MasterHarness, depth: int, level: int) -> None:
    if level >= depth:
        return
    if level > 1:
        await cluster.make_directory(join_path(names(level - 1)))
    await cluster.write(join_path(names(level)))
    error = await refused(cluster.namespace.stat(join_path(names(depth))))
    assert isinstance(error, NotADirectory)
    assert error.metadata["path"] == join_path(names(level))


async def test_what_was_removed_is_not_found_though_its_rows_are_kept(cluster: MasterHarness) -> None:
    await cluster.make_directory("/a/b")
    await cluster.write("/a/b/c")
    await cluster.remove("/a/b", recursive=True)
    for path, culprit in (("/a/b", "/a/b"), ("/a/b/c", "/a/b")):
        error = await refused(cluster.namespace.stat(path))
        assert (error.reason, error.metadata["path"]) == ("FILE_NOT_FOUND", culprit)


async def test_a_listing_shows_what_lives_among_many_that_ended(cluster: MasterHarness) -> None:
    for name in "abcdef":
        await cluster.write(f"/{name}")
        await cluster.write(f"/{name}")
    for name in "bdf":
        await cluster.remove(f"/{name}")
    seen, token = [], ""
    while True:
        page = await cluster.namespace.list("/", page_size=1, page_token=token)
        seen += [entry.name for entry in page.entries]
        token = page.next_page_token
        if not token:
            break
    assert seen == ["a", "c", "e"]
