"""Data directories whose names survive a loss of power."""

import asyncio
import os
from pathlib import Path

import pytest

from dstore.chunkserver.config import ChunkserverConfig
from dstore.chunkserver.process import _Process
from dstore.master.config import MasterConfig
from dstore.master.process import serve as serve_master
from dstore.system.directories import make_directory


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The inodes that were synced since their last name was made."""
    inodes: set[int] = set()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        inodes.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    return inodes


def holders(top: Path, bottom: Path) -> dict[str, int]:
    """Return the directories that hold the names on the way from ``top`` to ``bottom``."""
    return {str(each): each.stat().st_ino for each in bottom.parents if each.is_relative_to(top)}


@pytest.mark.parametrize("exists", [False, True])
def test_every_new_name_on_the_way_is_synced(tmp_path: Path, synced: set[int], exists: bool) -> None:
    path = tmp_path / "a" / "b" / "c"
    if exists:
        path.mkdir(parents=True)
    make_directory(path)
    assert path.is_dir()
    assert set(holders(tmp_path, path).values()) <= synced


def test_a_parent_that_cannot_be_read_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refuse(path: Path, flags: int) -> int:
        if Path(path) == tmp_path.parent:
            raise PermissionError(13, "Permission denied")
        return real(path, flags)

    monkeypatch.setattr(os, "open", refuse)
    make_directory(tmp_path / "a")


@pytest.mark.parametrize("role", ["master", "chunkserver"])
async def test_the_directory_of_a_server_is_durable_before_it_serves(
    tmp_path: Path, synced: set[int], role: str
) -> None:
    directory = tmp_path / "new" / "cluster" / role
    stopping = asyncio.Event()
    stopping.set()
    if role == "master":
        await serve_master(
            MasterConfig(directory, "127.0.0.1:0", "127.0.0.1:0", 3, 2, 1024 * 1024, "server", "info"), stopping
        )
    else:
        config = ChunkserverConfig(
            directory, "127.0.0.1:0", None, "127.0.0.1:0", "127.0.0.1:1", "cs-1", "h", "", "info"
        )
        await _Process(config).run(stopping)
    assert set(holders(tmp_path, directory).values()) <= synced
