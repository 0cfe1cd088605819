"""What holds for all tests."""

import os
from collections.abc import Iterator

import pytest


def _settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("DSTORE_")}


_AT_THE_START = _settings()


@pytest.fixture(scope="module", autouse=True)
def same_settings() -> Iterator[None]:
    """No module leaves settings of dstore in the environment, where the clusters of others would find them."""
    yield
    assert _settings() == _AT_THE_START
