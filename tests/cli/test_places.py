"""Places as they are written, and the local half of what trees are compared by."""

import os
from pathlib import Path
from typing import cast

import pytest

from dstore.cli.places import Place, parse_place
from dstore.cli.tree_listing import EntryKind, list_tree
from dstore.client.client import AsyncClient
from dstore.core.errors import InvalidRequest, NotADirectory, NotFound

NO_CLIENT = cast(AsyncClient, None)


@pytest.mark.parametrize(
    ("text", "place", "inside"),
    [
        ("dstore:/", Place("/", True, True), "dstore:/x/y"),
        ("dstore:/a/", Place("/a", True, True), "dstore:/a/x/y"),
        ("dstore:///a/b", Place("/a/b", True), "dstore:/a/b/x/y"),
        ("/a/", Place("/a/", False, True), "/a/x/y"),
        (".", Place(".", False), "x/y"),
        ("./dstore:x", Place("./dstore:x", False), "dstore:x/x/y"),
    ],
)
def test_places(text: str, place: Place, inside: str) -> None:
    assert parse_place(text) == place
    assert str(place.inside("x/y")) == inside
    assert place.inside("") is place


@pytest.mark.parametrize("text", ["", "a\0b", "dstore:", "dstore:a", "dstore://host/a", "dstore:/a/../b"])
def test_places_that_are_none(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_place(text)


async def test_a_local_tree(tmp_path: Path) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "f").write_bytes(b"12345")
    os.utime(tmp_path / "d" / "f", ns=(0, 77))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-file").symlink_to("d/f")
    (tmp_path / "to-directory").symlink_to("d")
    (tmp_path / "to-nothing").symlink_to("nothing")
    (tmp_path / os.fsdecode(b"\xff")).write_bytes(b"")
    listing = await list_tree(NO_CLIENT, Place(str(tmp_path), is_remote=False))
    assert {path: entry.kind.value for path, entry in listing.entries.items()} == {
        "d": "directory",
        "d/e": "directory",
        "d/f": "file",
        "pipe": "special",
        "to-directory": "link",
        "to-file": "file",
        "to-nothing": "link",
    }
    assert listing.entries["d/f"] == listing.entries["to-file"]
    assert (listing.entries["d/f"].size_bytes, listing.entries["d/f"].modified_ns) == (5, 77)
    assert [error.reason for error in listing.problems.values()] == ["PATH_NOT_UTF8"]
    assert listing.entries["d"].kind is EntryKind.DIRECTORY


async def test_local_places_that_are_no_directory(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(NotADirectory):
        await list_tree(NO_CLIENT, Place(str(tmp_path / "f"), is_remote=False), may_be_missing=True)
    missing = Place(str(tmp_path / "missing"), is_remote=False)
    with pytest.raises(NotFound):
        await list_tree(NO_CLIENT, missing)
    assert not (await list_tree(NO_CLIENT, missing, may_be_missing=True)).exists
