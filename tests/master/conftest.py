from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from master_harness import MasterHarness
from model_servers import ModelCluster


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[MasterHarness]:
    """A master whose chunkservers have not joined yet."""
    harness = MasterHarness(tmp_path)
    await harness.open()
    yield harness
    await harness.check_counters()
    await harness.store.close()


@pytest.fixture
async def cluster(empty: MasterHarness) -> MasterHarness:
    """A master with three chunkservers."""
    await empty.join(1, 2, 3)
    return empty


@pytest.fixture
async def model(empty: MasterHarness) -> ModelCluster:
    """Five servers with some files."""
    model = ModelCluster(empty)
    await model.start(1, 2, 3, 4, 5)
    await model.step()
    for number in range(4):
        await model.write(f"/{number}", chunk_count=5)
    await model.step(2)
    return model
