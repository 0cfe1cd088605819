"""cluster.json: what is written is read again, and nothing else is."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from dstore.cli import cluster_file
from dstore.cli.cluster_file import LocalCluster, LocalProcess, decode, encode
from dstore.core.errors import Corrupt

CLUSTER = LocalCluster(
    endpoint="127.0.0.1:7070",
    port=7070,
    profile="dev",
    replicas=1,
    min_replicas=1,
    chunk_size_bytes=65_536,
    processes=(
        LocalProcess("master", "master", 41, 7070, 7170, "/data/master"),
        LocalProcess("cs-1", "chunkserver", 42, 7071, 7171, "/data/cs-1"),
    ),
)


def test_round_trip() -> None:
    assert decode(encode(CLUSTER), path="x") == CLUSTER
    smaller = dataclasses.replace(CLUSTER, out_after_s=7, trash_delay_s=0, removed=("cs-2", "cs-4"))
    assert decode(encode(smaller), path="x") == smaller
    served = dataclasses.replace(CLUSTER, gateway=LocalProcess("gateway", "gateway", 9, 8070, 8070, "/data/gateway"))
    assert decode(encode(served), path="x") == served


def test_a_file_of_an_older_version_has_the_defaults() -> None:
    value = json.loads(encode(CLUSTER))
    for name in ("out_after_s", "trash_delay_s", "removed", "gateway"):
        del value[name]
    assert decode(json.dumps(value), path="x") == CLUSTER


def test_names() -> None:
    assert CLUSTER.master.name == "master"
    assert [process.name for process in CLUSTER.chunkservers] == ["cs-1"]
    found = CLUSTER.process("cs-1")
    assert found is not None
    assert found.pid == 42
    assert CLUSTER.process("cs-2") is None


def changed(**changes: object) -> str:
    return json.dumps({**json.loads(encode(CLUSTER)), **changes})


def changed_process(**changes: object) -> str:
    value = json.loads(encode(CLUSTER))
    value["processes"][1].update(changes)
    return json.dumps(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        encode(CLUSTER)[:-20],
        changed(format=2),
        changed(unknown=1),
        changed(port="7070"),
        changed(port=True),
        changed(profile=1),
        changed(out_after_s="7"),
        changed(trash_delay_s=1.5),
        changed(removed=[1]),
        changed(removed=7),
        changed(gateway=7),
        changed(gateway={}),
        changed(gateway=json.loads(encode(CLUSTER))["processes"][0]),
        changed(processes=[]),
        changed(processes="none"),
        changed_process(pid="42"),
        changed_process(role="master"),
        changed_process(directory=None),
        changed_process(other=1),
    ],
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(Corrupt, match=r"/data/cluster\.json") as caught:
        decode(text, path="/data/cluster.json")
    assert caught.value.reason == "CLUSTER_FILE_INVALID"


def test_files(tmp_path: Path) -> None:
    assert cluster_file.read(tmp_path) is None
    cluster_file.write(tmp_path, CLUSTER)
    other = dataclasses.replace(CLUSTER, port=8080)
    cluster_file.write(tmp_path, other)
    assert cluster_file.read(tmp_path) == other
    assert os.listdir(tmp_path) == ["cluster.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster_file.write(tmp_path, CLUSTER)

    def fail(source: object, target: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no"):
        cluster_file.write(tmp_path, dataclasses.replace(CLUSTER, port=8080))
    assert cluster_file.read(tmp_path) == CLUSTER
    assert os.listdir(tmp_path) == ["cluster.json"]


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_bytes(b"\xff\xfe")
    with pytest.raises(Corrupt):
        cluster_file.read(tmp_path)
