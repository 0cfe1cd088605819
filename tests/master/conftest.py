from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from master_harness import MasterHarness


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
