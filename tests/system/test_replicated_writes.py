"""Writes that are acknowledged before they are synced, with real processes: what their end takes, and what is told."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from cluster import LocalTestCluster, wait_until
from large_files import client_of

from dstore.core.limits import MIB

SERVERS = ("cs-1", "cs-2", "cs-3")
DATA = bytes(range(256)) * (5 * MIB // 256)
ATTEMPTS_MAX = 5


def kill_all(cluster: LocalTestCluster) -> None:
    for pid in [cluster.pid(name) for name in SERVERS]:
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    for name in SERVERS:
        cluster.kill(name)  # waits until it is gone


def start_all(cluster: LocalTestCluster) -> None:
    for name in SERVERS:
        cluster.start_node(name)


def unsynced(cluster: LocalTestCluster) -> list[Path]:
    return [path for name in SERVERS for path in (cluster.directory(name) / "unsynced").iterdir()]


def health(cluster: LocalTestCluster) -> str:
    return str(cluster.check_json("status")["health"])


@pytest.mark.timeout(300)
def test_killing_every_chunkserver_at_once_loses_nothing(own_cluster: LocalTestCluster) -> None:
    left = 0
    with client_of(own_cluster) as client:
        for attempt in range(ATTEMPTS_MAX):
            client.put(f"/{attempt}", DATA, durability="replicated")
            kill_all(own_cluster)
            left += len(unsynced(own_cluster))
            start_all(own_cluster)
            assert client.get(f"/{attempt}") == DATA
            assert not unsynced(own_cluster)
            if left:
                break
    assert left, "everything was synced before the servers were killed"
    wait_until(lambda: health(own_cluster) == "HEALTH_OK", what="the doubts are looked into", timeout_s=60)


@pytest.mark.timeout(300)
def test_what_a_power_loss_of_all_takes_is_told_and_read_as_nothing_else(own_cluster: LocalTestCluster) -> None:
    with client_of(own_cluster) as client:
        client.put("/kept", DATA)
        client.put("/lost", DATA[::-1], durability="replicated")
        lost = {str(chunk.record.chunk_id) for chunk in client.describe("/lost").chunks}
        kill_all(own_cluster)
        # As a power loss does with what was not synced, had it come before the background was done.
        for name in SERVERS:
            for path in (own_cluster.directory(name) / "groups").rglob("*-*"):
                if path.name in lost:
                    path.unlink()
            shutil.rmtree(own_cluster.directory(name) / "unsynced")
        start_all(own_cluster)
        wait_until(lambda: client.status().unavailable_chunks == len(lost), what="it is told", timeout_s=60)
        assert client.status().health.value == "HEALTH_ERR"
        with pytest.raises(OSError, match="CHUNK_NOT_FOUND"):
            client.get("/lost")
        assert client.get("/kept") == DATA


@pytest.mark.timeout(180)
def test_the_command_line_declares_it_and_shows_what_is_not_synced(
    small_chunks_cluster: LocalTestCluster, tmp_path: Path
) -> None:
    cluster, source = small_chunks_cluster, tmp_path / "source"
    source.write_bytes(DATA)
    cluster.check("put", "--durability", "replicated", str(source), "/f")
    assert cluster.check("cat", "/f") == DATA
    wait_until(lambda: cluster.check_json("status")["unsynced_copies"] == 0, what="all is synced", timeout_s=30)
    refused = cluster.run("put", "--durability", "eventually", str(source), "/g")
    assert refused.returncode == 2 and b"'synced', 'replicated'" in refused.stderr
