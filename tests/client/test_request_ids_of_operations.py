"""Every operation of a client has one request id, which its callers may choose."""

import asyncio
import inspect
import random

import pytest
from store_in_process import InProcessCluster

from dstore.client.client import AsyncClient
from dstore.client.operating import Identified, RequestIds
from dstore.core.errors import NotFound
from dstore.core.request_ids import NO_REQUEST, current_request, request_id

LARGE = random.Random(1).randbytes(200_000)


def seen(cluster: InProcessCluster, *names: str) -> list[str]:
    """Collect the request ids under which these calls come in."""
    found: list[str] = []
    for name in names:
        cluster.calls.before[name] = lambda: found.append(current_request().request_id)
    return found


async def test_all_calls_of_one_operation_have_its_id(cluster: InProcessCluster, client: AsyncClient) -> None:
    await client.cluster()
    client.request_ids = RequestIds("c")
    found = seen(cluster, "begin_write", "commit_write", "open_file", "stat")
    await client.put("/large", LARGE)
    assert await client.get("/large") == LARGE
    # An id that nobody chose does not burden the shortest calls.
    assert found == ["c-1", "c-1", ""]
    assert current_request() == NO_REQUEST


async def test_a_caller_may_choose_the_id(cluster: InProcessCluster, client: AsyncClient) -> None:
    found = seen(cluster, "begin_write", "commit_write", "stat")
    with request_id("mine"):
        async with await client.open("/large", "wb") as file:
            await file.write(LARGE)
        await client.exists("/large")
    assert found == ["mine"] * 3


async def test_files_go_on_with_the_operation_that_opened_them(cluster: InProcessCluster, client: AsyncClient) -> None:
    found = seen(cluster, "begin_write", "commit_write")
    with request_id("opened"):
        file = await client.open("/large", "wb")
    await file.write(LARGE)
    await file.close()
    assert found == ["opened"] * 2


async def test_calls_that_go_together_have_the_ids_of_all(cluster: InProcessCluster, client: AsyncClient) -> None:
    await client.cluster()
    found = seen(cluster, "stat", "stat_files")

    async def ask(name: str) -> None:
        with request_id(name):
            assert not await client.exists("/none")

    await asyncio.gather(*(ask(name) for name in "abc"))
    assert sorted(",".join(found).split(",")) == ["a", "b", "c"] and len(found) < 3


async def test_an_error_tells_the_id_once(client: AsyncClient) -> None:
    client.request_ids = RequestIds("c")
    with pytest.raises(NotFound) as caught:
        await client.open("/none")
    assert caught.value.__notes__ == ["request id c-1"]


def test_every_verb_that_is_no_stream_is_an_operation() -> None:
    verbs = {name for name, _ in inspect.getmembers(AsyncClient, inspect.iscoroutinefunction)}
    assert verbs - set(Identified.OPERATIONS) == {"__aenter__", "__aexit__", "close", "exists", "key_ids", "open"}
