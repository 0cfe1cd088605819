"""Removing and restoring from the command line, with real servers."""

import json
import random

import pytest
from cluster import LocalTestCluster


@pytest.fixture
def cluster(small_chunks_cluster: LocalTestCluster) -> LocalTestCluster:
    return small_chunks_cluster


def error_of(cluster: LocalTestCluster, *arguments: str) -> dict[str, object]:
    error = json.loads(cluster.run(*arguments, "--json").stderr)["error"]
    assert isinstance(error, dict)
    return error


def test_removed_files_come_back(cluster: LocalTestCluster) -> None:
    cluster.check("mkdir", "/gone")
    data = random.Random(1).randbytes(200_000)
    cluster.check("put", "-", "/gone/a", stdin=data)
    cluster.check("put", "-", "/gone/b", stdin=b"first")
    first = cluster.check_json("stat", "/gone/b")
    cluster.check("put", "-", "/gone/b", stdin=b"second")
    cluster.check("rm", "-r", "/gone")
    [old, tree] = [json.loads(line) for line in cluster.check("trash", "/gone/b", "--json").splitlines()]
    assert (old["version"], old["reason"], tree["reason"]) == (first["version"], "replaced", "removed")
    lines = cluster.check("trash").decode().splitlines()
    assert any(line.startswith("d") and line.endswith("  /gone") for line in lines)
    assert not any(line.endswith("/gone/a") for line in lines), "what went in one step is one line"
    assert error_of(cluster, "restore", "/gone/a")["reason"] == "PARENT_REMOVED"
    status = cluster.check_json("status")
    assert (status["retained_file_count"], status["retained_bytes"]) == (3, 200_000 + len("first") + len("second"))
    assert b"  kept:    3 removed or replaced files (195.3 KiB), restorable for 24 h;" in cluster.check("status")
    assert cluster.check("restore", "/gone") == b"restored /gone  (2 files, 1 directory)\n"
    assert cluster.check("cat", "/gone/a") == data
    assert cluster.check("cat", "/gone/b") == b"second"
    back = cluster.check_json("restore", "/gone/b", "--version", str(first["version"]), "--to", "/gone/old")
    assert (back["path"], back["files"], back["directories"]) == ("/gone/old", 1, 0)
    assert cluster.check("cat", "/gone/old") == b"first"
    assert error_of(cluster, "restore", "/gone")["reason"] == "FILE_EXISTS"
    assert cluster.check("trash", "/gone") == b""
    assert error_of(cluster, "trash", "/never")["exit_code"] == 10
