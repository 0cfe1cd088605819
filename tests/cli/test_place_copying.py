"""Files that are written while they are read, and several copies at once."""

import os
from pathlib import Path
from typing import Any, cast

import pytest

from dstore.cli.place_copying import check_jobs, copy_file, in_parallel
from dstore.cli.places import Place
from dstore.client.client import AsyncClient
from dstore.client.local_files import run_blocking
from dstore.core.errors import Conflict, InvalidRequest
from dstore.core.files import FileInfo, FileKind
from dstore.core.ids import FileId, Version


class StoreBesideAWriter:
    """Takes files, while somebody appends to them the first ``changes`` times."""

    def __init__(self, changes: int):
        self.changes = changes
        self.stored: list[bytes] = []

    async def put_file(self, local: Path, path: str) -> FileInfo:
        data = await run_blocking(local.read_bytes)
        self.stored.append(data)
        if len(self.stored) <= self.changes:
            await run_blocking(local.write_bytes, data + b"+")
        return FileInfo(path, FileKind.FILE, FileId(2), len(data), Version(3), 0, 0)


@pytest.mark.parametrize(("changes", "stored"), [(0, b"x"), (1, b"x+"), (2, b"x++")])
async def test_a_file_that_is_changed_meanwhile_is_stored_again(tmp_path: Path, changes: int, stored: bytes) -> None:
    (tmp_path / "f").write_bytes(b"x")
    store = StoreBesideAWriter(changes)
    size = await copy_file(cast(AsyncClient, store), Place(str(tmp_path / "f"), False), Place("/f", True))
    assert (store.stored[-1], len(store.stored), size) == (stored, changes + 1, len(stored))


async def test_a_file_that_never_rests(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    store = StoreBesideAWriter(99)
    with pytest.raises(Conflict) as raised:
        await copy_file(cast(AsyncClient, store), Place(str(tmp_path / "f"), False), Place("/f", True))
    assert raised.value.reason == "LOCAL_FILE_CHANGING"
    assert len(store.stored) == 3


async def test_a_fetched_file_gets_its_time(tmp_path: Path) -> None:
    class Store:
        async def get_file(self, path: str, local: str) -> Any:
            await run_blocking(Path(local).write_bytes, b"abc")
            return FileInfo(path, FileKind.FILE, FileId(2), 3, Version(3), 0, 0)

    place = Place(str(tmp_path / "f"), False)
    assert await copy_file(cast(AsyncClient, Store()), Place("/f", True), place, modified_ns=123_456_789) == 3
    assert os.stat(place.path).st_mtime_ns == 123_456_789


async def test_the_first_error_ends_all() -> None:
    done: list[int] = []

    async def work(number: int) -> None:
        if number == 3:
            raise Conflict("third")
        done.append(number)

    with pytest.raises(Conflict, match="third"):
        await in_parallel(1, work, range(10))
    assert done == [0, 1, 2]
    await in_parallel(3, work, [])
    await in_parallel(3, work, [7, 8])
    assert sorted(done) == [0, 1, 2, 7, 8]


@pytest.mark.parametrize("jobs", [0, -1, 65])
def test_jobs(jobs: int) -> None:
    assert check_jobs(1) == 1
    assert check_jobs(64) == 64
    with pytest.raises(InvalidRequest):
        check_jobs(jobs)
