"""A cluster, and nothing said about it but what ``dstore up`` would have written: a profile, and where it is."""

import os
from collections.abc import Iterator

import pytest

from dstore.fsspec import DstoreFileSystem
from dstore.testing import LocalCluster


@pytest.fixture(scope="module", autouse=True)
def process_environment(dstore_cluster: LocalCluster) -> Iterator[dict[str, str]]:
    """Variables of this process, which those that it starts inherit; gone when the tests of another directory run."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in dstore_cluster.environment.items():
            environment.setenv(name, value)
        try:
            yield dict(os.environ)
        finally:
            # What the filesystems still hold is let go of while there is a cluster.
            for filesystem in list(DstoreFileSystem._cache.values()):
                if filesystem.loop_if_usable is not None:
                    filesystem.close()
            DstoreFileSystem.clear_instance_cache()


@pytest.fixture
def home(request: pytest.FixtureRequest) -> str:
    """The URL of a directory of one test."""
    return f"dstore:///{request.node.name.replace('[', '-').replace(']', '')}"
