"""Fixtures of the system tests: real processes on this machine."""

import time
from collections.abc import Iterator

import pytest
from cluster import LocalTestCluster, wait_until
from command_in_process import Command, use_cluster


@pytest.fixture(scope="module")
def small_chunks_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestCluster]:
    """A master and three chunkservers with chunks of 1 MiB, shared by the tests of one module."""
    cluster = LocalTestCluster(tmp_path_factory.mktemp("cluster"), chunk_size_bytes=1024 * 1024)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestCluster]:
    """A cluster for one test that does harm to it: master and three chunkservers, chunks of 1 MiB."""
    cluster = LocalTestCluster(tmp_path_factory.mktemp("own"), chunk_size_bytes=1024 * 1024)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def command(
    small_chunks_cluster: LocalTestCluster, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """``dstore`` for the cluster of this module."""
    use_cluster(small_chunks_cluster, monkeypatch)
    return Command(capfd)


@pytest.fixture(scope="session")
def abandoned_write(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalTestCluster, float]]:
    """A cluster whose client was killed in the middle of a put, and when; its lease runs out during other tests."""
    home = tmp_path_factory.mktemp("abandoned")
    with (home / "large").open("wb") as large:
        large.truncate(1024 * 1024 * 1024)
    cluster = LocalTestCluster(home, chunk_size_bytes=1024 * 1024)
    try:
        cluster.start()
        with cluster.popen("put", str(home / "large"), "/abandoned") as putting:
            wait_until(lambda: len(cluster.unfinished_files()) >= 3, what="chunks are under way", timeout_s=20)
            putting.kill()
        yield cluster, time.monotonic()
    finally:
        cluster.stop()
