"""A real cluster, and ``dstore://`` as a process finds it that was told nothing."""

from collections.abc import Iterator

import fsspec
import pytest
from cluster import LocalTestCluster

from dstore.fsspec import DstoreFileSystem


@pytest.fixture(scope="session")
def running_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestCluster]:
    """A master and three chunkservers with chunks of 1 MiB."""
    cluster = LocalTestCluster(tmp_path_factory.mktemp("fsspec"), chunk_size_bytes=1024 * 1024)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def store(running_store: LocalTestCluster) -> Iterator[LocalTestCluster]:
    """A cluster whose profile and key are those of this process, until the tests of another directory run."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in running_store.environ.items():
            environment.setenv(name, value)
        try:
            yield running_store
        finally:
            for filesystem in list(DstoreFileSystem._cache.values()):
                if filesystem.loop_if_usable is not None:
                    filesystem.close()
            DstoreFileSystem.clear_instance_cache()


@pytest.fixture
def fs(store: LocalTestCluster) -> DstoreFileSystem:
    """The filesystem without arguments."""
    filesystem = fsspec.filesystem("dstore")
    assert isinstance(filesystem, DstoreFileSystem)
    return filesystem


@pytest.fixture
def home(fs: DstoreFileSystem, request: pytest.FixtureRequest) -> str:
    """A directory of one test."""
    path = f"/home/{request.node.name.replace('/', '_')}"
    fs.makedirs(path)
    return path
