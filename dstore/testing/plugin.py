"""The pytest plug-in: a real cluster for tests that ask for one. docs/testing-with-dstore.md shows its use.

pytest imports this module in every run of everybody who has dstore installed, so it imports nothing that is heavy.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dstore.client.blocking import Client
    from dstore.testing.local_cluster import LocalCluster


@pytest.fixture(scope="session")
def dstore_cluster_options() -> dict[str, Any]:
    """Arguments of the LocalCluster of this session; define a fixture of this name to choose others."""
    return {}


@pytest.fixture(scope="session")
def dstore_cluster(dstore_cluster_options: dict[str, Any]) -> "Iterator[LocalCluster]":
    """A dstore.testing.LocalCluster that runs as long as the session: real processes, in a temporary directory."""
    from dstore.testing.local_cluster import LocalCluster

    with LocalCluster(**dstore_cluster_options) as cluster:
        yield cluster


@pytest.fixture
def dstore_client(dstore_cluster: "LocalCluster") -> "Iterator[Client]":
    """A blocking client of dstore_cluster, which is empty and has all its chunkservers when the test begins."""
    dstore_cluster.reset()
    with dstore_cluster.connect() as client:
        yield client


@pytest.fixture
def dstore_environment(dstore_cluster: "LocalCluster", monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Variables, set for the test, that lead dstore.connect(), the dstore command and fsspec to dstore_cluster."""
    environment = dstore_cluster.environment
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment
