"""Which clock a test of the chunkserver lives by."""

import asyncio
from collections.abc import Callable

import pytest
from virtual_time import VirtualLoop


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests marked ``virtual_time`` wait for nothing, and no busy machine makes their timeouts expire."""
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualLoop}
    return {"real": asyncio.new_event_loop}
