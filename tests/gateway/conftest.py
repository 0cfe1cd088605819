"""A gateway on a real socket, in front of a cluster in this process."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from gateway_in_process import GatewayInProcess, gateway_in_process
from store_in_process import InProcessCluster, in_process_cluster


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[InProcessCluster]:
    async with in_process_cluster(tmp_path) as running:
        yield running


@pytest.fixture
async def gateway(cluster: InProcessCluster) -> AsyncIterator[GatewayInProcess]:
    async with gateway_in_process(cluster) as running:
        yield running


@pytest.fixture
async def http(gateway: GatewayInProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.connect() as client:
        yield client
