"""``sync`` and ``cp`` between a real cluster and this machine."""

import os
from pathlib import Path
from typing import Any

import pytest
from cluster import LocalTestCluster
from command_in_process import Command

from dstore.cli import syncing
from dstore.cli.place_copying import copy_file

FILES = {"one.txt": b"1", "d/two.bin": b"\x02" * 1_500_000, "d/e/three": b"", "é \x07": b"bell"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    for name, data in FILES.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(data)
    (top / "nothing-in-it").mkdir()
    return top


def files_of(top: Path) -> dict[str, bytes]:
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def outcome(rows: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    return sorted((row["action"], row["path"], row["reason"], row["outcome"]) for row in rows[:-1])


def test_there_and_back(command: Command, tree: Path, tmp_path: Path) -> None:
    planned = command.json("sync", str(tree), "dstore:/there", "--dry-run")
    assert planned[-1]["summary"]["is_dry_run"] is True
    assert command.reason("ls", "/there", code=10) == "FILE_NOT_FOUND"
    rows = command.json("sync", str(tree), "dstore:/there")
    assert outcome(rows) == [(*step[:3], "done") for step in outcome(planned)]
    summary = rows[-1]["summary"]
    assert (summary["copied_files"], summary["copied_bytes"], summary["made_directories"]) == (4, 1_500_005, 3)
    for options in ((), ("--checksum",), ("--delete",)):
        rows = command.json("sync", str(tree), "dstore:/there", *options)
        assert (len(rows), rows[0]["summary"]["unchanged_files"]) == (1, 4)
    back = tmp_path / "deep" / "back"
    lines = command.lines("sync", "dstore:/there", str(back))
    assert "copied  é \\x07  (4 B, missing)" in lines
    assert files_of(back) == FILES
    assert (back / "nothing-in-it").is_dir()
    # The files have got the times of the stored ones, so neither direction has anything to do.
    assert len(command.json("sync", "dstore:/there", str(back))) == 1
    assert len(command.json("sync", str(back), "dstore:/there")) == 1


def test_what_changed_and_what_went(command: Command, tree: Path) -> None:
    command.run("sync", str(tree), "dstore:/changed")
    (tree / "d/two.bin").unlink()
    (tree / "d/e/three").unlink()
    (tree / "d/e").rmdir()
    (tree / "one.txt").write_bytes(b"one")
    os.utime(tree / "é \x07", ns=(0, 2**62))
    (tree / "new").write_bytes(b"new")
    copies = [("copy", "new", "missing"), ("copy", "one.txt", "size"), ("copy", "é \x07", "newer")]
    rows = command.json("sync", str(tree), "dstore:/changed", "--dry-run")
    assert [step[:3] for step in outcome(rows)] == copies
    rows = command.json("sync", str(tree), "dstore:/changed", "--delete")
    assert [step[:3] for step in outcome(rows)] == [
        *copies,
        ("delete", "d/e", "extra"),
        ("delete", "d/e/three", "extra"),
        ("delete", "d/two.bin", "extra"),
    ]
    left = ["/changed/new", "/changed/one.txt", "/changed/é \\x07"]
    assert command.lines("find", "/changed", "--type", "file") == left
    # The other way round, with the same options.
    (tree / "only-here").write_bytes(b"")
    (tree / "only-here-too").symlink_to("/nonexistent")
    rows = command.json("sync", "dstore:/changed", str(tree), "--delete")
    assert ("delete", "only-here", "extra", "done") in outcome(rows)
    assert sorted(path.name for path in tree.iterdir()) == ["d", "new", "nothing-in-it", "one.txt", "é \x07"]


def test_by_content(command: Command, tree: Path) -> None:
    command.run("sync", str(tree), "dstore:/content")
    (tree / "one.txt").write_bytes(b"2")
    os.utime(tree / "one.txt", ns=(0, 1))
    assert len(command.json("sync", str(tree), "dstore:/content")) == 1
    rows = command.json("sync", str(tree), "dstore:/content", "--checksum")
    assert outcome(rows) == [("copy", "one.txt", "content", "done")]
    assert command.run("cat", "/content/one.txt")[0] == "2"


def test_an_empty_source_deletes_only_by_force(command: Command, tree: Path, tmp_path: Path) -> None:
    command.run("sync", str(tree), "dstore:/full")
    empty = tmp_path / "empty"
    (empty / "d").mkdir(parents=True)
    assert command.reason("sync", str(empty), "dstore:/full", "--delete", code=11) == "SOURCE_EMPTY"
    assert command.reason("sync", str(empty), "dstore:/full", "--delete", "--dry-run", code=11) == "SOURCE_EMPTY"
    assert command.reason("sync", str(tmp_path / "gone"), "dstore:/full", "--delete", "--force", code=10)
    assert command.reason("sync", "dstore:/gone", str(tree), "--delete", "--force", code=10)
    assert files_of(tree) == FILES
    assert command.json("du", "-s", "/full")[0]["files"] == 4
    command.run("sync", str(empty), "dstore:/full", "--delete", "--force")
    assert command.lines("find", "/full") == ["/full", "/full/d"]


def test_nothing_is_deleted_when_something_failed(command: Command, tree: Path) -> None:
    command.run("sync", str(tree), "dstore:/failing")
    (tree / "one.txt").unlink()
    (tree / "one.txt").mkdir()
    (tree / "d/two.bin").unlink()
    (tree / os.fsdecode(b"no-text-\xff")).write_bytes(b"")
    rows = command.json("sync", str(tree), "dstore:/failing", "--delete", code=1)
    summary = rows[-1]["summary"]
    assert (summary["failed"], summary["is_delete_withheld"], summary["deleted_files"]) == (2, True, 0)
    reasons = {row["error"]["reason"] for row in rows[:-1] if row["error"]}
    assert reasons == {"KIND_CHANGED", "PATH_NOT_UTF8"}
    assert command.json("du", "-s", "/failing")[0]["files"] == 4


def test_one_file_that_cannot_be_read_does_not_end_it(
    command: Command, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def copy(client: Any, source: Any, target: Any, **options: Any) -> int:
        if source.path.endswith("one.txt"):
            raise PermissionError(13, "Permission denied", source.path)
        return await copy_file(client, source, target, **options)

    # Tests may run as root, who may read everything.
    monkeypatch.setattr(syncing, "copy_file", copy)
    out, err = command.run("sync", str(tree), "dstore:/partly", code=1)
    assert "LOCAL_PERMISSION_DENIED" in err
    assert "3 files copied" in out.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "reason", "code"),
    [
        (("sync", "/tmp", "/var"), "PLACE_INVALID", 2),
        (("sync", "dstore:/", "dstore:/x"), "PLACE_INVALID", 2),
        (("sync", "dstore:x", "/tmp"), "PATH_NOT_ABSOLUTE", 2),
        (("sync", "/etc/hostname", "dstore:/x"), "NOT_A_DIRECTORY", 11),
        (("sync", "/tmp", "dstore:/x", "-j", "0"), "JOBS_INVALID", 2),
        (("cp", "/etc/hostname", "/tmp/x"), "PLACE_INVALID", 2),
        (("cp", "/etc", "dstore:/etc"), "IS_A_DIRECTORY", 11),
        (("cp", "dstore:/none", "/tmp/"), "FILE_NOT_FOUND", 10),
        (("cp", "dstore:/none*", "/tmp/"), "NO_MATCH", 10),
        (("cp", "/etc/hostname", "dstore:/none/"), "NOT_A_DIRECTORY", 11),
        (("cp", "-r", "dstore:/", "dstore:/self"), "INTO_ITSELF", 2),
    ],
)
def test_bad_input(command: Command, arguments: tuple[str, ...], reason: str, code: int) -> None:
    assert command.reason(*arguments, code=code) == reason


def test_cp(command: Command, tree: Path, tmp_path: Path, small_chunks_cluster: LocalTestCluster) -> None:
    rows = command.json("cp", "-r", "-j", "2", str(tree), "dstore:/cp")
    assert sorted(row["target"] for row in rows) == sorted(f"dstore:/cp/{name}" for name in FILES)
    command.run("cp", "-r", str(tree), "dstore:/cp")
    assert command.run("cat", "/cp/tree/one.txt")[0] == "1"
    command.run("cp", "-r", "dstore:/cp/tree", str(tmp_path / "copy"))
    assert files_of(tmp_path / "copy") == FILES
    command.run("cp", "dstore:/cp/one.txt", "dstore:/cp/again")
    assert command.run("cat", "/cp/again")[0] == "1"
    place = tmp_path / "place"
    place.mkdir()
    command.run("cp", "dstore:/cp/*.txt", "dstore:/cp/tree/**/t*", f"{place}/")
    assert files_of(place) == {"one.txt": b"1", "two.bin": FILES["d/two.bin"], "three": b""}
    # A name that is itself a pattern is taken as it is.
    small_chunks_cluster.check("put", "-", "/cp/*.txt", stdin=b"star")
    command.run("cp", "dstore:/cp/*.txt", str(tmp_path / "star"))
    assert (tmp_path / "star").read_bytes() == b"star"
