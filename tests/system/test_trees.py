"""``du``, ``tree``, ``find``, ``head`` and ``tail`` against a real cluster."""

from pathlib import Path

import pytest
from cluster import LocalTestCluster
from command_in_process import Command

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def filled(small_chunks_cluster: LocalTestCluster, tmp_path_factory: pytest.TempPathFactory) -> LocalTestCluster:
    """A cluster with ``/t``: two directories, three files, and a name that would steer a terminal."""
    local = tmp_path_factory.mktemp("local")
    for name, data in (("one.txt", b"1\n" * 512), ("two.bin", b"\0" * 2048), ("empty", b"")):
        (local / name).write_bytes(data)
    small_chunks_cluster.check("mkdir", "-p", "/t/a/b")
    small_chunks_cluster.check("put", str(local / "one.txt"), "/t/a/")
    small_chunks_cluster.check("put", str(local / "two.bin"), "/t/a/b/")
    small_chunks_cluster.check("put", str(local / "empty"), "/t/bell\x07")
    return small_chunks_cluster


def test_du(filled: LocalTestCluster, command: Command) -> None:
    rows = command.json("du", "/t/")
    assert [(row["path"], row["size_bytes"], row["files"], row["directories"]) for row in rows] == [
        ("/t/a/b", 2048, 1, 0),
        ("/t/a", 3072, 2, 1),
        ("/t", 3072, 3, 2),
    ]
    assert [row["path"] for row in command.json("du", "-d", "1", "/t")] == ["/t/a", "/t"]
    assert command.lines("du", "-s", "/t") == ["   3.0 KiB       3 files  /t"]
    assert command.lines("du", "/t/a/one.txt") == ["   1.0 KiB        1 file  /t/a/one.txt"]
    assert command.json("du")[-1]["path"] == "/"
    assert command.reason("du", "/none", code=10) == "FILE_NOT_FOUND"
    assert command.reason("du", "--depth", "-1", "/t", code=2) == "DEPTH_INVALID"


def test_tree(filled: LocalTestCluster, command: Command) -> None:
    assert command.lines("tree", "/t") == [
        "/t",
        "├── a",
        "│   ├── b",
        "│   │   └── two.bin",
        "│   └── one.txt",
        "└── bell\\x07",
        "",
        "2 directories, 3 files",
    ]
    assert command.lines("tree", "-d", "-L", "1", "/t") == ["/t", "└── a", "", "1 directory"]
    *rows, last = command.json("tree", "/t")
    assert [(row["path"], row["depth"]) for row in rows][:2] == [("/t/a", 1), ("/t/a/b", 2)]
    assert last == {"summary": {"directories": 2, "files": 3}}
    assert command.reason("tree", "/t/a/one.txt", code=11) == "NOT_A_DIRECTORY"
    assert command.reason("tree", "--depth", "-2", "/t", code=2) == "DEPTH_INVALID"


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        ((), ["/t", "/t/a", "/t/bell\\x07", "/t/a/b", "/t/a/one.txt", "/t/a/b/two.bin"]),
        (("--name", "*.txt"), ["/t/a/one.txt"]),
        (("--type", "directory"), ["/t", "/t/a", "/t/a/b"]),
        (("--larger", "1KiB"), ["/t/a/b/two.bin"]),
        (("--smaller", "1"), ["/t/bell\\x07"]),
        (("--newer", "1d", "--type", "file", "--larger", "0"), ["/t/a/one.txt", "/t/a/b/two.bin"]),
        (("--older", "1d"), []),
    ],
)
def test_find(filled: LocalTestCluster, command: Command, arguments: tuple[str, ...], paths: list[str]) -> None:
    assert command.lines("find", "/t", *arguments) == paths
    rows = command.json("find", "/t", *arguments)
    assert [str(row["path"]).replace("\x07", "\\x07") for row in rows] == paths


def test_find_of_a_file_and_of_nothing(filled: LocalTestCluster, command: Command) -> None:
    assert command.lines("find", "/t/a/one.txt") == ["/t/a/one.txt"]
    assert command.reason("find", "/none", code=10) == "FILE_NOT_FOUND"
    assert command.reason("find", "--larger", "much", code=2) == "SIZE_INVALID"
    assert command.reason("find", "--newer", "soon", code=2) == "TIME_INVALID"


def test_head_and_tail(filled: LocalTestCluster, command: Command, tmp_path: Path) -> None:
    data = "".join(f"line {number:06}\n" for number in range(400_000)).encode()
    (tmp_path / "long").write_bytes(data)
    command.run("put", str(tmp_path / "long"), "/long")
    for name, part in (("head", slice(0, 10)), ("tail", slice(-10, None))):
        assert command.lines(name, "/long") == data.decode().splitlines()[part]
    assert command.run("head", "-c", "1MiB", "/long")[0].encode() == data[:MIB]
    assert command.run("tail", "-c", str(MIB + 7), "/long")[0].encode() == data[-MIB - 7 :]
    assert command.run("tail", "-c", "1GiB", "/t/a/one.txt")[0] == "1\n" * 512
    assert command.run("tail", "-n", "0", "/long")[0] == ""
    assert command.lines("head", "-n", "1", "/long", "/t/a/one.txt") == [
        "==> /long <==",
        "line 000000",
        "",
        "==> /t/a/one.txt <==",
        "1",
    ]
    out, told = command.run("tail", "-n", "2", "/long", "--json")
    assert (out, '"length_bytes": 24' in told) == ("line 399998\nline 399999\n", True)
    assert command.reason("tail", "-n", "two", "/long", code=2) == "COUNT_INVALID"
    assert command.reason("head", "/t", code=11) == "IS_A_DIRECTORY"


def test_tail_fetches_the_end_only(filled: LocalTestCluster, command: Command, tmp_path: Path) -> None:
    # All copies of the first chunk are gone from the disks, so whoever reads it fails.
    (tmp_path / "chunks").write_bytes(b"first\n" * (2 * MIB // 6) + b"the end\n")
    command.run("put", str(tmp_path / "chunks"), "/chunks")
    (described,) = command.json("stat", "/chunks")
    chunk_id = described["chunks"][0]["record"]["chunk_id"]
    copies = [path for name in filled.names[1:] for path in filled.directory(name).rglob(f"*{chunk_id}*")]
    assert len(copies) == 3, "the test finds the files of the chunk"
    for path in copies:
        path.unlink()
    assert command.lines("tail", "-n", "1", "/chunks") == ["the end"]
    command.run("cat", "/chunks", code=69)
