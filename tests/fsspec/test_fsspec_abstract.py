"""fsspec's own suite for backends, all of it, against a real cluster."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fsspec.tests import abstract

from dstore.fsspec import DstoreFileSystem


class DstoreFixtures(abstract.AbstractFixtures):
    """What the suite must know of this backend."""

    @pytest.fixture
    def fs(self, store: object) -> DstoreFileSystem:
        return DstoreFileSystem()

    @pytest.fixture
    def fs_path(self, fs: DstoreFileSystem) -> Iterator[str]:
        path = "/abstract"
        fs.makedirs(path)
        yield path
        fs.rm(path, recursive=True)

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return lambda *names: "/".join(names)

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return True


class TestCopy(abstract.AbstractCopyTests, DstoreFixtures):
    pass


class TestGet(abstract.AbstractGetTests, DstoreFixtures):
    pass


class TestPut(abstract.AbstractPutTests, DstoreFixtures):
    pass


class TestOpen(abstract.AbstractOpenTests, DstoreFixtures):
    pass


class TestPipe(abstract.AbstractPipeTests, DstoreFixtures):
    pass


def test_no_suite_is_left_out() -> None:
    ours: set[Any] = {base for each in (TestCopy, TestGet, TestPut, TestOpen, TestPipe) for base in each.__bases__}
    theirs = {value for name, value in vars(abstract).items() if name.startswith("Abstract") and name.endswith("Tests")}
    assert len(theirs) >= 5
    assert theirs <= ours
