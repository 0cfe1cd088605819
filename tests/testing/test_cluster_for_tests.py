"""LocalCluster with real processes: it serves, loses chunkservers and gets them back, and keeps to itself."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_traces import names_in, processes_of, wait_until

import dstore
from dstore.core.errors import NotFound
from dstore.core.status import Health
from dstore.testing import LocalCluster

#: Too long to be kept in its manifest.
LARGE = bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster() as cluster:
        yield cluster


def copies(client: dstore.Client, path: str) -> int:
    """How many servers hold the first chunk of a file."""
    chunk = client.describe(path).chunks[0]
    return len(chunk.group.members) - len(chunk.missing)


def side_port(cluster: LocalCluster, name: str) -> str:
    """Where the latest run of a server answers probes, which differs from run to run."""
    lines = (cluster.directory / "logs" / f"{name}.log").read_text().splitlines()
    return str([json.loads(line) for line in lines if line.startswith('{"event": "ready"')][-1]["http_address"])


def test_it_is_healthy_from_the_start(cluster: LocalCluster) -> None:
    with cluster.connect() as client:
        status = client.status()
        assert (status.health, status.servers_up, status.servers_total) == (Health.OK, 3, 3)
        client.put("/first", LARGE)
        assert copies(client, "/first") == 3
        assert client.get("/first") == LARGE
    assert repr(cluster) == f"LocalCluster(chunkservers=3, endpoint='{cluster.endpoint}')"
    assert len(processes_of(cluster.directory)) == 4


def test_a_chunkserver_goes_and_comes_back(cluster: LocalCluster) -> None:
    with cluster.connect() as client:
        client.put("/survivor", LARGE)
        for number in (1, 2):
            cluster.stop_chunkserver(number)
            cluster.stop_chunkserver(number)
        assert [*cluster.stopped] == [1, 2]
        assert repr(cluster).endswith("stopped=(1, 2))")
        assert len(processes_of(cluster.directory)) == 2
        assert client.get("/survivor") == LARGE
        for number in (2, 1):
            cluster.start_chunkserver(number)
            cluster.start_chunkserver(number)
        assert not cluster.stopped
        assert len(processes_of(cluster.directory)) == 4
        # The master knows this run of each, not only the one that was killed.
        known = {server.name: server.http_address for server in client.status().servers}
        assert known == {name: side_port(cluster, name) for name in ("cs-1", "cs-2", "cs-3")}
        client.put("/after", LARGE)
        assert copies(client, "/after") == 3
        cluster.stop_chunkserver(3)
        assert client.get("/after") == client.get("/survivor") == LARGE
        cluster.start_chunkserver(3)


@pytest.mark.parametrize("number", [0, 4, -1, "cs-1", True])
def test_chunkservers_that_it_does_not_have(cluster: LocalCluster, number: int) -> None:
    with pytest.raises(NotFound, match="numbers 1 to 3") as caught:
        cluster.stop_chunkserver(number)
    assert caught.value.reason == "NODE_UNKNOWN"
    with pytest.raises(NotFound):
        cluster.start_chunkserver(number)
    assert not cluster.stopped


def test_a_reset_leaves_an_empty_and_whole_cluster(cluster: LocalCluster) -> None:
    with cluster.connect() as client:
        client.make_directory("/deep/below", parents=True)
        client.put_many({f"/deep/below/{number}": b"x" for number in range(20)} | {"/shallow": b"y"})
        cluster.stop_chunkserver(1)
        cluster.reset()
        assert list(client.list("/")) == []
        assert not cluster.stopped


def test_other_processes_use_it_whatever_the_user_has_set(cluster: LocalCluster, tmp_path: Path) -> None:
    own = {"DSTORE_ENDPOINT": "nowhere:1", "DSTORE_PROFILE": "mine", "DSTORE_PASSPHRASE_FILE": "/nowhere"}
    environ = {**os.environ, **own, "DSTORE_CONFIG_DIR": str(tmp_path), **cluster.environment}

    def run(*arguments: str) -> bytes:
        command = [sys.executable, "-m", "dstore", *arguments]
        return subprocess.run(command, env=environ, input=b"from far", stdout=subprocess.PIPE, check=True).stdout

    run("put", "-", "/elsewhere")
    assert run("cat", "/elsewhere") == b"from far"
    assert names_in(tmp_path) == []


def test_the_storage_options_lead_to_it(cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSTORE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("DSTORE_STATE_DIR", str(tmp_path / "state"))
    options = cluster.storage_options
    assert options.keys() == {"endpoint", "key_file"}
    with dstore.connect(options["endpoint"], key_file=options["key_file"]) as client:
        client.put("/options", b"1")
        assert client.get("/options") == b"1"


async def test_on_an_event_loop() -> None:
    async with LocalCluster(2, chunk_size_bytes=65_536) as cluster, cluster.connect_async() as client:
        directory = cluster.directory
        await client.put("/large", LARGE)
        assert len((await client.describe("/large")).chunks) == 4
        await cluster.stop_chunkserver_async(2)
        assert await client.get("/large") == LARGE
        await cluster.start_chunkserver_async(2)
        assert not cluster.stopped
        await cluster.reset_async()
        assert not await client.exists("/large")
    assert not directory.exists()
    assert processes_of(directory) == []


async def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def use() -> None:
        async with LocalCluster(1):
            await asyncio.Event().wait()

    using = asyncio.create_task(use())
    await asyncio.to_thread(wait_until, lambda: bool(processes_of(tmp_path)), what="a server was started")
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert names_in(tmp_path) == []
    assert processes_of(tmp_path) == []


def test_two_at_once_and_one_again_after_the_other(tmp_path: Path) -> None:
    kept = LocalCluster(1, directory=tmp_path / "kept")
    with kept, LocalCluster(1, retention_s=0) as other:
        assert kept.endpoint != other.endpoint
        with kept.connect() as first, other.connect() as second:
            first.put("/only-here", b"1")
            assert not second.exists("/only-here")
    assert "ready" in (tmp_path / "kept" / "logs" / "cs-1.log").read_text()
    with other, other.connect() as second:
        assert list(second.list("/")) == []
    assert processes_of(tmp_path) == []
