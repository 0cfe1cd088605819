"""What a client remembers of the versions it saw."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dstore.client import high_water
from dstore.client.high_water import HighWaterMarks, SqliteHighWaterFile
from dstore.core.errors import Corrupt, PermissionDenied
from dstore.core.ids import ClusterId, FileId, Version

CLUSTER = ClusterId("6b1f8a52-0c3d-4e9f-8a7b-112233445566")
OTHER = ClusterId("6b1f8a52-0c3d-4e9f-8a7b-112233445567")
PARENT = FileId(1)


async def test_marks_only_rise(tmp_path: Path) -> None:
    for file in (None, SqliteHighWaterFile(tmp_path)):
        marks = HighWaterMarks(file)
        assert await marks.highest(CLUSTER, PARENT, "f") == 0
        for version in (5, 3, 7, 6):
            await marks.note(CLUSTER, PARENT, "f", Version(version))
        assert await marks.highest(CLUSTER, PARENT, "f") == 7
        for place in ((OTHER, PARENT, "f"), (CLUSTER, FileId(2), "f"), (CLUSTER, PARENT, "g")):
            assert await marks.highest(*place) == 0
        await marks.close()
        await marks.close()


async def test_they_outlive_the_process_and_are_shared(tmp_path: Path) -> None:
    first, second = (HighWaterMarks(SqliteHighWaterFile(tmp_path / "state")) for _ in range(2))
    await first.note(CLUSTER, PARENT, "f", Version(7))
    await second.note(CLUSTER, PARENT, "f", Version(5))
    await first.flush()
    await second.flush()
    await second.close()
    third = HighWaterMarks(SqliteHighWaterFile(tmp_path / "state"))
    assert await third.highest(CLUSTER, PARENT, "f") == 7
    await third.close()
    await first.close()


async def test_a_full_batch_is_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(high_water, "HIGH_WATER_BATCH_MAX", 3)
    marks = HighWaterMarks(SqliteHighWaterFile(tmp_path))
    for number in range(3):
        await marks.note(CLUSTER, PARENT, f"f{number}", Version(number + 1))
    with sqlite3.connect(tmp_path / "versions.sqlite3") as connection:
        assert connection.execute("SELECT COUNT(*) FROM seen").fetchone() == (3,)
    connection.close()
    await marks.close()


async def test_memory_is_bounded_and_nothing_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(high_water, "HIGH_WATER_BATCH_MAX", 3)
    monkeypatch.setattr(high_water, "HIGH_WATER_REMEMBERED_MAX", 5)
    marks = HighWaterMarks(SqliteHighWaterFile(tmp_path))
    for number in range(50):
        await marks.note(CLUSTER, PARENT, f"f{number}", Version(number + 1))
        assert len(marks._seen) <= 5
    for number in range(50):
        assert await marks.highest(CLUSTER, PARENT, f"f{number}") == number + 1
    await marks.close()


async def test_names_are_not_written(tmp_path: Path) -> None:
    marks = HighWaterMarks(SqliteHighWaterFile(tmp_path))
    await marks.note(CLUSTER, PARENT, "a-very-secret-name", Version(1 << 63))
    await marks.close()
    assert b"secret" not in (tmp_path / "versions.sqlite3").read_bytes()


@pytest.mark.parametrize("content", [b"this is no database " * 100, b"x" * 5_000])
async def test_a_broken_file_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "versions.sqlite3").write_bytes(content)
    marks = HighWaterMarks(SqliteHighWaterFile(tmp_path))
    with pytest.raises(Corrupt, match="remove it and try again") as caught:
        await marks.highest(CLUSTER, PARENT, "f")
    assert caught.value.reason == "STATE_FILE_DAMAGED"
    assert caught.value.metadata["path"] == str(tmp_path / "versions.sqlite3")
    await marks.note(CLUSTER, PARENT, "f", Version(1))
    with pytest.raises(Corrupt):
        await marks.close()


async def test_a_file_of_a_later_program_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "versions.sqlite3")
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    marks = HighWaterMarks(SqliteHighWaterFile(tmp_path))
    with pytest.raises(Corrupt, match="format 9"):
        await marks.highest(CLUSTER, PARENT, "f")
    await marks.close()


async def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    marks = HighWaterMarks(SqliteHighWaterFile(tmp_path / "file" / "state"))
    with pytest.raises(PermissionDenied, match="DSTORE_STATE_DIR") as caught:
        await marks.highest(CLUSTER, PARENT, "f")
    assert caught.value.reason == "STATE_DIRECTORY_UNUSABLE"
    await marks.close()


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from dstore.client.high_water import SqliteHighWaterFile\n"
        "file = SqliteHighWaterFile(Path(sys.argv[1]))\n"
        "for version in range(1, 60): file.store({b'shared': version, sys.argv[2].encode(): version})\n"
        "file.close()"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), str(n)]) for n in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    file = SqliteHighWaterFile(tmp_path)
    assert file.highest([b"shared", b"0", b"other", b"1", b"2"]) == dict.fromkeys([b"shared", b"0", b"1", b"2"], 59)
    file.close()
