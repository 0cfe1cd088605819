"""The pytest plug-in, in runs of pytest of its own: found by its entry point, and idle unless it is asked."""

import pytest

pytest_plugins = ["pytester"]

USES = """
import asyncio, os
import dstore
import pytest

DIRECTORIES = []

def test_a_client_of_an_empty_cluster(dstore_cluster, dstore_client):
    DIRECTORIES.append(dstore_cluster.directory)
    assert list(dstore_client.list("/")) == []
    dstore_client.put("/left-behind", b"1")
    dstore_cluster.stop_chunkserver(2)

def test_the_next_one_sees_nothing_of_it(dstore_cluster, dstore_client):
    assert not dstore_client.exists("/left-behind")
    assert dstore_cluster.stopped == ()
    assert dstore_cluster.directory == DIRECTORIES[0]

def test_code_that_is_told_by_the_environment(dstore_client, dstore_environment):
    dstore_client.put("/seen", b"by all")
    assert os.environ["DSTORE_ENDPOINT"] == dstore_environment["DSTORE_ENDPOINT"]
    with dstore.connect() as other:
        assert other.get("/seen") == b"by all"

def test_the_environment_is_back():
    assert "DSTORE_ENDPOINT" not in os.environ

def test_a_loop(dstore_cluster, dstore_client):
    async def use():
        async with dstore_cluster.connect_async() as client:
            await client.put("/looped", b"2")
    asyncio.run(use())
    assert dstore_client.get("/looped") == b"2"

@pytest.mark.asyncio
async def test_a_loop_of_another_plug_in(dstore_cluster, dstore_client):
    async with dstore_cluster.connect_async() as client:
        await client.put("/looped", b"3")
    await dstore_cluster.stop_chunkserver_async(1)
"""

CHOOSES = """
import pytest

@pytest.fixture(scope="session")
def dstore_cluster_options():
    return {"chunkservers": %s}

def test_it(dstore_cluster, dstore_client):
    assert dstore_cluster.chunkservers == dstore_client.status().servers_up == 1
"""

IGNORES = """
import sys

def test_nothing_is_imported():
    assert "dstore.testing.plugin" in sys.modules
    assert not {"grpc", "cryptography", "dstore.testing.local_cluster"} & set(sys.modules)
"""


@pytest.fixture(autouse=True)
def plain_project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    # pytest-asyncio warns whoever leaves this open, and warnings are errors here.
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    monkeypatch.delenv("DSTORE_ENDPOINT", raising=False)


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest without what else is installed for it, most of which takes longer to load than these tests."""
    others = ("hypothesispytest", "schemathesis", "zarr")
    return pytester.runpytest_subprocess(*(f"-pno:{name}" for name in others), *arguments)


def test_the_fixtures(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(USES)
    run(pytester, "-W", "error").assert_outcomes(passed=6)


def test_another_kind_of_cluster(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CHOOSES % "1")
    run(pytester, "-W", "error").assert_outcomes(passed=1)


def test_a_kind_of_cluster_that_cannot_be(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CHOOSES % "0")
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*A test cluster can have 1 to 16 chunkservers, not 0*")


def test_who_does_not_use_them_pays_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(IGNORES)
    run(pytester).assert_outcomes(passed=1)


def test_they_are_listed_with_what_they_do(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--fixtures")
    result.stdout.fnmatch_lines(
        [
            "*fixtures defined from dstore.testing.plugin*",
            "dstore_cluster_options *session*",
            "dstore_cluster *session*",
            "dstore_client *",
            "dstore_environment *",
        ]
    )
