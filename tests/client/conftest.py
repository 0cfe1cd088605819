"""A cluster in this process, for the tests of the client."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from store_in_process import InProcessCluster, in_process_cluster

from dstore.client.client import AsyncClient


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[InProcessCluster]:
    async with in_process_cluster(tmp_path) as running:
        yield running


@pytest.fixture
def client(cluster: InProcessCluster) -> AsyncClient:
    return cluster.client()
