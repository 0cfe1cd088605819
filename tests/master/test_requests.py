"""A mutation takes effect once, whatever is repeated (Invariant 4)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from master_harness import KEYS, MasterHarness, written

from dstore.core import errors
from dstore.core.files import ABSENT, ANY, Commit, Rename
from dstore.core.ids import RequestId
from dstore.core.limits import LEADER_LEASE_S, REQUEST_RETENTION_S, RUNNING_TIME_STEP_S

Call = Callable[[RequestId], Awaitable[object]]


async def prepare(cluster: MasterHarness, what: str) -> tuple[Call, Call]:
    """Return a mutation, and the same method with other content."""

    match what:
        case "make directory":
            return (
                lambda rid: cluster.namespace.make_directory("/new", parents=False, exist_ok=False, request_id=rid),
                lambda rid: cluster.namespace.make_directory("/other", parents=False, exist_ok=False, request_id=rid),
            )
        case "remove":
            await cluster.write("/old", chunk_count=1)
            return (
                lambda rid: cluster.namespace.remove("/old", recursive=False, request_id=rid),
                lambda rid: cluster.namespace.remove("/old", recursive=True, request_id=rid),
            )
        case "rename":
            await cluster.write("/old", chunk_count=1)
            ticket = await cluster.namespace.prepare_rename("/old", "/new")
            rename = Rename("/old", "/new", ticket.source.version, ticket.version, b"sealed")
            return (
                lambda rid: cluster.namespace.rename(rename, request_id=rid),
                lambda rid: cluster.namespace.rename(replace(rename, sealed_manifest=b"other"), request_id=rid),
            )
        case "remove one version":
            old = await cluster.write("/old", chunk_count=1)
            return (
                lambda rid: cluster.namespace.remove("/old", recursive=False, request_id=rid, version=old.version),
                lambda rid: cluster.namespace.remove("/old", recursive=False, request_id=rid),
            )
        case "rename to a free name":
            await cluster.write("/old", chunk_count=1)
            ticket = await cluster.namespace.prepare_rename("/old", "/new", ABSENT)
            rename = Rename("/old", "/new", ticket.source.version, ticket.version, b"sealed", ABSENT)
            return (
                lambda rid: cluster.namespace.rename(rename, request_id=rid),
                lambda rid: cluster.namespace.rename(replace(rename, precondition=ANY), request_id=rid),
            )
        case "begin":
            return (
                lambda rid: cluster.namespace.begin_write("/x", precondition=ANY, chunk_count=3, request_id=rid),
                lambda rid: cluster.namespace.begin_write("/x", precondition=ANY, chunk_count=2, request_id=rid),
            )
    intent = await cluster.begin("/x", chunk_count=2)
    chunks = tuple(written(placement, index) for index, placement in enumerate(intent.placements))
    match what:
        case "allocate":
            return (
                lambda rid: cluster.namespace.allocate_chunks(
                    intent.intent_id, count=2, written=chunks, avoid=(), request_id=rid
                ),
                lambda rid: cluster.namespace.allocate_chunks(
                    intent.intent_id, count=2, written=chunks[:1], avoid=(), request_id=rid
                ),
            )
        case "commit":
            commit = Commit(intent.intent_id, intent.version, 2 * 16384, 2, chunks, b"sealed", KEYS)
            return (
                lambda rid: cluster.namespace.commit_write(commit, request_id=rid),
                lambda rid: cluster.namespace.commit_write(replace(commit, sealed_manifest=b"other"), request_id=rid),
            )
        case _:
            other = await cluster.begin("/y")
            return (
                lambda rid: cluster.namespace.abandon_write(intent.intent_id, request_id=rid),
                lambda rid: cluster.namespace.abandon_write(other.intent_id, request_id=rid),
            )


MUTATIONS = [
    "make directory",
    "remove",
    "remove one version",
    "rename",
    "rename to a free name",
    "begin",
    "allocate",
    "commit",
    "abandon",
]
TABLES = ["counters", "inodes", "entries", "chunks", "intents", "intent_chunks", "deleted_chunks", "requests"]


async def snapshot(cluster: MasterHarness) -> list[object]:
    return [sorted(map(repr, await cluster.rows(f"SELECT * FROM {table}"))) for table in TABLES]


@pytest.mark.parametrize("what", MUTATIONS)
async def test_a_repeated_request_returns_the_first_answer_and_changes_nothing(
    cluster: MasterHarness, what: str
) -> None:
    call, _ = await prepare(cluster, what)
    before = await snapshot(cluster)
    first = await call(RequestId("the-id"))
    after = await snapshot(cluster)
    assert after != before
    assert await call(RequestId("the-id")) == first
    assert await snapshot(cluster) == after


@pytest.mark.parametrize("what", MUTATIONS)
async def test_the_answer_survives_a_restart_and_a_loss_of_servers(cluster: MasterHarness, what: str) -> None:
    call, _ = await prepare(cluster, what)
    first = await call(RequestId("the-id"))
    await cluster.stop(1, 2, 3)
    await cluster.restart()
    assert await call(RequestId("the-id")) == first


@pytest.mark.parametrize("what", MUTATIONS)
async def test_the_same_request_sent_twice_at_once_takes_effect_once(cluster: MasterHarness, what: str) -> None:
    call, _ = await prepare(cluster, what)
    answers = await asyncio.gather(*(call(RequestId("the-id")) for _ in range(3)))
    assert answers == [answers[0]] * 3


@pytest.mark.parametrize("what", MUTATIONS)
async def test_an_id_with_other_content_is_refused(cluster: MasterHarness, what: str) -> None:
    call, other = await prepare(cluster, what)
    await call(RequestId("the-id"))
    before = await snapshot(cluster)
    with pytest.raises(errors.InvalidRequest) as caught:
        await other(RequestId("the-id"))
    assert caught.value.reason == "REQUEST_ID_REUSED"
    assert await snapshot(cluster) == before


async def test_an_id_of_another_method_is_refused(cluster: MasterHarness) -> None:
    call, _ = await prepare(cluster, "make directory")
    await call(RequestId("the-id"))
    with pytest.raises(errors.InvalidRequest) as caught:
        await cluster.namespace.remove("/new", recursive=False, request_id=RequestId("the-id"))
    assert caught.value.reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize("request_id", ["", "x" * 65, "ü" * 33, "a\0b", "\udcff" * 65])
@pytest.mark.parametrize("what", MUTATIONS)
async def test_a_bad_request_id_is_refused(cluster: MasterHarness, what: str, request_id: str) -> None:
    call, _ = await prepare(cluster, what)
    with pytest.raises(errors.InvalidRequest) as caught:
        await call(RequestId(request_id))
    assert caught.value.reason == "REQUEST_ID_INVALID"


@pytest.mark.parametrize("request_id", ["x", "x" * 64, "ü" * 32])
async def test_the_longest_request_id_is_fine(cluster: MasterHarness, request_id: str) -> None:
    call, _ = await prepare(cluster, "make directory")
    assert await call(RequestId(request_id)) == await call(RequestId(request_id))


async def test_a_refusal_is_an_answer_too(cluster: MasterHarness) -> None:
    # A copy of the call that was late on its way must not remove what others made since.
    with pytest.raises(errors.NotFound) as first:
        await cluster.namespace.remove("/later", recursive=False, request_id=RequestId("the-id"))
    await cluster.write("/later")
    before = await snapshot(cluster)
    with pytest.raises(errors.NotFound) as second:
        await cluster.namespace.remove("/later", recursive=False, request_id=RequestId("the-id"))
    assert repr(second.value) == repr(first.value) and second.value.metadata == first.value.metadata
    assert await snapshot(cluster) == before


async def test_what_a_refused_call_had_begun_is_undone(cluster: MasterHarness) -> None:
    await cluster.write("/file")
    before = (await snapshot(cluster))[:-1]
    with pytest.raises(errors.NotADirectory):
        await cluster.namespace.make_directory(
            "/file/below/it", parents=True, exist_ok=True, request_id=RequestId("the-id")
        )
    assert (await snapshot(cluster))[:-1] == before


async def test_what_passes_by_itself_is_not_remembered(cluster: MasterHarness) -> None:
    await cluster.stop(1, 2, 3)
    call, _ = await prepare(cluster, "begin")
    with pytest.raises(errors.Unavailable):
        await call(RequestId("the-id"))
    await cluster.beat(1, 2, 3)
    await call(RequestId("the-id"))


async def test_answers_are_kept_for_their_retention_and_then_forgotten(cluster: MasterHarness) -> None:
    call, _ = await prepare(cluster, "make directory")
    first = await call(RequestId("the-id"))
    hours = int(REQUEST_RETENTION_S / 3600)
    for _ in range(hours):
        await cluster.advance(3600)
        await cluster.upkeep.step()
        # A restart neither ends a retention nor lets it start again.
        await cluster.restart()
        assert await call(RequestId("the-id")) == first
    await cluster.advance(2 * RUNNING_TIME_STEP_S + LEADER_LEASE_S)
    await cluster.upkeep.step()
    with pytest.raises(errors.AlreadyExists):
        await call(RequestId("the-id"))
