"""Fixtures of the system tests: real processes on this machine."""

from collections.abc import Iterator

import pytest
from cluster import LocalTestCluster


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
