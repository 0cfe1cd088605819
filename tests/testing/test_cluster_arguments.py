"""What a LocalCluster is asked for in vain, and what it says."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster_traces import names_in

import dstore.testing
from dstore.core.errors import DirectoryNotEmpty, InvalidRequest, NotReady
from dstore.testing import LocalCluster
from dstore.testing.local_cluster import CHUNKSERVERS_MAX

HEAVY = {"apsw", "cryptography", "google.protobuf", "grpc", "uvloop", "dstore.client.client", "dstore.cli.app"}


@pytest.mark.parametrize("number", [-1, 0, CHUNKSERVERS_MAX + 1, 3.0, "3", None, True])
def test_numbers_of_chunkservers_that_cannot_be(number: int) -> None:
    with pytest.raises(InvalidRequest, match=f"1 to {CHUNKSERVERS_MAX} chunkservers, not ") as caught:
        LocalCluster(number)
    assert caught.value.reason == "CHUNKSERVERS_INVALID"


@pytest.mark.parametrize("number", [1, 3, CHUNKSERVERS_MAX])
def test_numbers_of_chunkservers_that_can_be(number: int) -> None:
    cluster = LocalCluster(number)
    assert cluster.chunkservers == number
    assert repr(cluster) == f"LocalCluster(chunkservers={number}, not running)"


def test_sizes_and_times_are_checked_when_it_is_made() -> None:
    with pytest.raises(InvalidRequest) as caught:
        LocalCluster(chunk_size_bytes=1000)
    assert caught.value.reason == "CHUNK_SIZE_INVALID"
    with pytest.raises(InvalidRequest) as caught:
        LocalCluster(retention_s=-1)
    assert caught.value.reason == "RETENTION_INVALID"


@pytest.mark.parametrize(
    "ask",
    [
        lambda cluster: cluster.endpoint,
        lambda cluster: cluster.environment,
        lambda cluster: cluster.storage_options,
        lambda cluster: cluster.stopped,
        lambda cluster: cluster.connect(),
        lambda cluster: cluster.connect_async(),
        lambda cluster: cluster.stop_chunkserver(1),
        lambda cluster: cluster.start_chunkserver(1),
        lambda cluster: cluster.reset(),
    ],
)
def test_a_cluster_that_does_not_run_says_so(ask: Callable[[LocalCluster], object]) -> None:
    with pytest.raises(NotReady, match="with LocalCluster") as caught:
        ask(LocalCluster())
    assert caught.value.reason == "CLUSTER_NOT_RUNNING"


def test_stopping_what_does_not_run_is_fine() -> None:
    LocalCluster().stop()


async def test_nothing_blocks_a_running_loop() -> None:
    cluster = LocalCluster()
    with pytest.raises(InvalidRequest, match="`async with LocalCluster\\(\\)`") as caught, cluster:
        pass
    assert caught.value.reason == "LOOP_RUNNING"
    with pytest.raises(InvalidRequest, match="await stop_chunkserver_async"):
        cluster.stop_chunkserver(1)
    with pytest.raises(InvalidRequest, match="await start_chunkserver_async"):
        cluster.start_chunkserver(1)
    with pytest.raises(InvalidRequest, match="await reset_async"):
        cluster.reset()


def test_missing_server_parts_are_named_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "apsw" else find_spec(name))
    with pytest.raises(InvalidRequest, match=r"apsw missing.*`pip install 'dstore\[all\]'`"):
        LocalCluster().start()


def test_a_directory_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("mine")
    with pytest.raises(DirectoryNotEmpty):
        LocalCluster(directory=tmp_path).start()
    assert names_in(tmp_path) == ["thesis"]


def test_the_package_has_one_name() -> None:
    assert "LocalCluster" in dir(dstore.testing)
    with pytest.raises(AttributeError, match="'Cluster'"):
        _ = dstore.testing.Cluster


def test_the_plug_in_imports_nothing_heavy() -> None:
    code = "import sys, pytest, dstore.testing.plugin; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True)
    imported = set(ended.stdout.split())
    assert "dstore.testing.plugin" in imported
    assert not HEAVY & imported
    # The names are those that a cluster does import.
    code = (
        "import sys, dstore; from dstore.testing import LocalCluster; LocalCluster; dstore.connect; print(*sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True)
    assert {"grpc", "cryptography", "google.protobuf", "dstore.client.client"} <= set(ended.stdout.split())
