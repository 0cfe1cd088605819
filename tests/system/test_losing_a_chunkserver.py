"""SIGKILL of any one chunkserver in the middle of a large put and of a large get: the caller sees nothing of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster import LocalTestCluster, wait_until
from large_files import client_of, sha256_of, write_large_file

SIZE_BYTES = 1024**3


@pytest.fixture(scope="module")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    path = tmp_path_factory.mktemp("large") / "source"
    yield path, write_large_file(path, SIZE_BYTES)
    path.unlink()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalTestCluster]:
    """A cluster with chunks of the default size."""
    cluster = LocalTestCluster(tmp_path)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def kill_at(cluster: LocalTestCluster, name: str, done_bytes: int) -> Callable[[int], None]:
    """Return a progress callback that kills a server once, in the middle of things."""

    def on_progress(done: int) -> None:
        if done >= done_bytes and cluster.pid(name) is not None:
            cluster.kill(name)

    return on_progress


@pytest.mark.timeout(300)
@pytest.mark.parametrize("victim", ["cs-1", "cs-2", "cs-3"])
def test_put_and_get_go_on(
    cluster: LocalTestCluster, large_file: tuple[Path, str], tmp_path: Path, victim: str
) -> None:
    source, digest = large_file
    target = tmp_path / "target"
    with client_of(cluster) as client:
        info = client.put_file(source, "/during-put", progress=kill_at(cluster, victim, SIZE_BYTES // 3))
        assert cluster.pid(victim) is None
        assert info.size_bytes == SIZE_BYTES
        status = client.status()
        assert status.health.value == "HEALTH_WARN"
        assert status.under_replicated_chunks > 0
        client.get_file("/during-put", target)
        assert sha256_of(target) == digest

        cluster.start_node(victim)
        wait_until(lambda: client.status().servers_up == 3, what=f"{victim} is up again", timeout_s=20)
        # It came back without the chunks that it missed: the cluster must not call that healthy.
        assert client.status().health.value == "HEALTH_WARN"
        client.get_file("/during-put", target, progress=kill_at(cluster, victim, SIZE_BYTES // 3))
        assert cluster.pid(victim) is None
    assert sha256_of(target) == digest


def test_a_dead_chunkserver_is_noticed_and_no_longer_chosen(own_cluster: LocalTestCluster) -> None:
    with client_of(own_cluster) as client:
        own_cluster.kill("cs-2")
        wait_until(
            lambda: {server.name: server.phase.value for server in client.status().servers}["cs-2"] == "down",
            what="the master notices within 10 s",
            timeout_s=10,
        )
        client.put("/after", bytes(3 * 1024 * 1024))
        for chunk in client.describe("/after").chunks:
            holders = {member.name for member in chunk.group.members if member.server_id not in chunk.missing}
            assert holders == {"cs-1", "cs-3"}


def test_writes_fail_at_once_and_clearly_below_the_minimum(own_cluster: LocalTestCluster) -> None:
    own_cluster.check("put", "-", "/before", stdin=b"written before")
    own_cluster.kill("cs-1")
    own_cluster.kill("cs-2")
    with client_of(own_cluster) as client:
        wait_until(lambda: client.status().servers_up == 1, what="the master notices", timeout_s=10)
    finished = own_cluster.run("put", "-", "/after", stdin=b"too few servers" * 2_000)
    assert finished.returncode == 69
    assert b"NOT_ENOUGH_SERVERS" in finished.stderr or b"1 of" in finished.stderr, finished.stderr
    assert own_cluster.check("cat", "/before") == b"written before"
    assert own_cluster.run("stat", "/after").returncode == 10
