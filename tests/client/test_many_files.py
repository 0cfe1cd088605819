"""Verbs about many files: each item with its own outcome, in order, whatever happens to the others."""

import asyncio
from array import array
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import pytest
from store_in_process import CHUNK_SIZE, InProcessCluster, fail_times, pattern

from dstore.client import batching, many_files
from dstore.client.client import AsyncClient
from dstore.core.errors import (
    AlreadyExists,
    CommitUnknown,
    Corrupt,
    DirectoryNotEmpty,
    DstoreError,
    Internal,
    InvalidRequest,
    IsADirectory,
    LimitExceeded,
    NotFound,
    Unavailable,
)
from dstore.core.files import FileInfo, RemoveResult, SmallFile
from dstore.core.ids import RequestId
from dstore.core.limits import INLINE_SIZE_BYTES_MAX, MANY_CALLS_IN_FLIGHT


def kinds(
    results: list[FileInfo | DstoreError] | list[bytes | DstoreError] | list[RemoveResult | DstoreError],
) -> list[type]:
    return [type(result) for result in results]


@pytest.fixture
def short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few items in a call that a handful of files makes several."""
    monkeypatch.setattr(many_files, "MANY_ITEMS_PER_CALL", 3)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 7, 20])
@pytest.mark.usefixtures("short_calls")
async def test_there_and_back(client: AsyncClient, cluster: InProcessCluster, count: int) -> None:
    paths = [f"/{number:02}" for number in range(count)]
    contents = [pattern(number) for number in range(count)]
    infos = await client.put_many(zip(paths, contents, strict=True))
    assert [info.path for info in infos if isinstance(info, FileInfo)] == paths
    assert cluster.calls.names.count("put_files") == -(-count // 3)
    assert await client.get_many(paths) == contents
    assert await cluster.client().get_many(reversed(paths)) == contents[::-1]
    assert await client.stat_many(paths) == infos
    assert await client.remove_many(paths) == [RemoveResult(1, 0)] * count
    assert kinds(await client.stat_many(paths)) == [NotFound] * count


async def test_files_of_all_sizes_in_one_list(client: AsyncClient) -> None:
    sizes = [0, INLINE_SIZE_BYTES_MAX, INLINE_SIZE_BYTES_MAX + 1, 1, 2 * CHUNK_SIZE + 5, 3]
    infos = await client.put_many({f"/{size}": pattern(size) for size in sizes})
    assert [info.size_bytes for info in infos if isinstance(info, FileInfo)] == sizes
    assert await client.get_many(f"/{size}" for size in sizes) == [pattern(size) for size in sizes]


async def test_more_than_a_message_holds(client: AsyncClient, cluster: InProcessCluster) -> None:
    """Both ways: calls are cut by size, and what the master's answer has no room for is asked for again."""
    content = pattern(INLINE_SIZE_BYTES_MAX)
    infos = await client.put_many((f"/{number}", content) for number in range(400))
    assert kinds(infos) == [FileInfo] * 400
    assert cluster.calls.names.count("put_files") >= 3
    assert await client.get_many(f"/{number}" for number in range(400)) == [content] * 400
    assert cluster.calls.names.count("open_files") >= 3


async def test_bad_items_among_good_ones(client: AsyncClient, cluster: InProcessCluster) -> None:
    await client.make_directory("/d")
    results = await client.put_many(
        [
            ("/good", b"1"),
            ("relative", b"2"),
            ("/d", b"3"),
            ("/none/f", b"4"),
            ("/text", "no bytes"),  # type: ignore[list-item]
            ("/a//b", b"5"),
            ("/", b"6"),
            ("/d/good", b"7"),
        ]
    )
    expected = [
        FileInfo,
        InvalidRequest,
        IsADirectory,
        NotFound,
        InvalidRequest,
        InvalidRequest,
        IsADirectory,
        FileInfo,
    ]
    assert kinds(results) == expected
    paths = ["/good", "/missing", "x", "/d", "/d/good"]
    assert await client.get_many(paths[:1]) == [b"1"]
    assert kinds(await client.get_many(paths)) == [bytes, NotFound, InvalidRequest, IsADirectory, bytes]
    assert kinds(await client.stat_many(paths)) == [FileInfo, NotFound, InvalidRequest, FileInfo, FileInfo]
    removed = await client.remove_many(["/good", "/missing", "x", "/d", "/d/good", "/d", "/d"])
    assert kinds(removed) == [
        RemoveResult,
        NotFound,
        InvalidRequest,
        DirectoryNotEmpty,
        RemoveResult,
        RemoveResult,
        NotFound,
    ]
    assert await cluster.sql("SELECT COUNT(*) FROM live_entries") == [(0,)]


async def test_items_of_wrong_types_among_good_ones(client: AsyncClient) -> None:
    released = memoryview(bytearray(b"gone"))
    released.release()
    items: list[Any] = [
        ("/good", b"1"),
        None,
        "/b",
        (None, b"2"),
        (b"/bytes", b"3"),
        (PurePosixPath("/p"), b"4"),
        ("/released", released),
        ("/none", None),
        ("/three", b"5", b"6"),
        ("/numbers", array("d", [1.0])),
    ]
    results = await client.put_many(items)
    reasons = [getattr(result, "reason", None) for result in results]
    assert reasons == [
        *(None, "ITEMS_INVALID", "ITEMS_INVALID", "PATH_NOT_TEXT", "PATH_NOT_TEXT", "PATH_NOT_TEXT"),
        *("DATA_NOT_BYTES", "DATA_NOT_BYTES", "ITEMS_INVALID", None),
    ]
    assert [info.name async for info in client.list("/")] == ["good", "numbers"]
    paths: list[Any] = [None, "/good", 5, b"/good"]
    expected = ["PATH_NOT_TEXT", None, "PATH_NOT_TEXT", "PATH_NOT_TEXT"]
    for found in (await client.get_many(paths), await client.stat_many(paths), await client.remove_many(paths)):
        assert [getattr(result, "reason", None) for result in found] == expected


@pytest.mark.parametrize("version", [-1, 0, 1 << 64, 1.5, "3", b"3"])
async def test_a_version_that_cannot_be_harms_nobody_who_asks_at_once(client: AsyncClient, version: Any) -> None:
    """What is asked at once shares a call."""
    calls = [client.put("/a", b"1"), client.put("/b", b"2", if_version=version), client.put("/c", b"3")]
    first, refused, last = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(first, FileInfo) and isinstance(last, FileInfo)
    assert isinstance(refused, InvalidRequest) and refused.reason == "VERSION_INVALID"


@pytest.mark.parametrize("items", [None, 5, "/d", b"/d"])
async def test_what_is_no_list(client: AsyncClient, items: Any) -> None:
    """A single path is no list of its letters, of which the first names the root."""
    await client.make_directory("/d")
    for verb in (client.put_many, client.get_many, client.stat_many, partial(client.remove_many, recursive=True)):
        with pytest.raises(
            InvalidRequest, match=f"not {type(items).__name__}; a single one goes into a list"
        ) as caught:
            await verb(items)
        assert caught.value.reason == "ITEMS_INVALID"


async def test_an_iterable_that_raises_stores_and_removes_nothing(client: AsyncClient) -> None:
    await client.put("/old", b"0")

    def files() -> Iterator[tuple[str, bytes]]:
        yield "/new", b"1"
        raise LookupError("Mine.")

    with pytest.raises(LookupError, match="Mine"):
        await client.put_many(files())
    with pytest.raises(LookupError, match="Mine"):
        await client.remove_many(path.replace("new", "old") for path, _ in files())
    assert [info.name async for info in client.list("/")] == ["old"]


async def test_trees_are_removed_with_what_is_in_them(client: AsyncClient) -> None:
    await client.make_directory("/a/b", parents=True)
    await client.put_many({"/a/f": b"1", "/a/b/f": b"2", "/c": b"3"})
    assert await client.remove_many(["/a", "/c"], recursive=True) == [RemoveResult(2, 2), RemoveResult(1, 0)]


@pytest.mark.usefixtures("short_calls")
async def test_of_several_files_for_one_path_the_last_one_stands(client: AsyncClient) -> None:
    """Whatever calls they are in; each is stored after the one before it."""
    paths = ["/f", "/g", "/f", "/h", "/i", "/f", "/j", "/f", "/g"]
    results = await client.put_many([(path, bytes([number])) for number, path in enumerate(paths)])
    infos = [result for result in results if isinstance(result, FileInfo)]
    assert [info.path for info in infos] == paths
    versions = [info.version for info in infos if info.path == "/f"]
    assert versions == sorted(set(versions))
    assert await client.get("/f") == b"\7" and await client.get("/g") == b"\x08"
    results = await client.put_many([("/new", b"1"), ("/new", b"2"), ("/f", b"3")], if_absent=True)
    assert kinds(results) == [FileInfo, AlreadyExists, AlreadyExists]
    assert await client.get("/new") == b"1"


@pytest.mark.parametrize("call", ["reserve_files", "put_files", "open_files", "stat_files", "remove_files"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.usefixtures("short_calls")
async def test_lost_calls_and_lost_answers_are_repeated(cluster: InProcessCluster, call: str, when: str) -> None:
    client = cluster.client()
    paths = [f"/{number}" for number in range(10)]
    getattr(cluster.calls, when)[call] = fail_times(2)
    infos = await client.put_many([(path, path.encode()) for path in paths], if_absent=True)
    assert kinds(infos) == [FileInfo] * 10
    assert await client.stat_many(paths) == infos
    assert await client.get_many(paths) == [path.encode() for path in paths]
    assert await client.remove_many(paths) == [RemoveResult(1, 0)] * 10
    assert await cluster.sql("SELECT COUNT(*) FROM live_entries") == [(0,)]


async def test_unknown_outcomes_are_resolved_one_by_one(cluster: InProcessCluster) -> None:
    client = cluster.client(patience_s=0.2)
    await client.put("/x", b"1")
    cluster.calls.after["put_files"] = cluster.calls.after["remove_files"] = fail_times(1_000)
    results = await client.put_many({"/a": b"a", "/b": b"b", "bad": b""})
    assert kinds(results) == [CommitUnknown, CommitUnknown, InvalidRequest]
    removed = await client.remove_many(["/x", "/y"])
    assert kinds(removed) == [CommitUnknown, CommitUnknown]
    cluster.calls.after.clear()

    async def resolve(error: object) -> object:
        assert isinstance(error, CommitUnknown)
        return await client.resolve(RequestId(error.metadata["request_id"]))

    assert [getattr(await resolve(each), "path", None) for each in results[:2]] == ["/a", "/b"]
    assert await resolve(removed[0]) == RemoveResult(1, 0)
    with pytest.raises(NotFound):
        await resolve(removed[1])
    assert await client.get_many(["/a", "/b"]) == [b"a", b"b"]


@pytest.mark.usefixtures("short_calls")
async def test_a_master_that_is_gone_costs_the_patience_once(cluster: InProcessCluster) -> None:
    client = cluster.client(patience_s=0.3)
    await client.put("/f", b"1")
    for call in ("put_files", "open_files"):
        cluster.calls.before[call] = fail_times(1_000)
    async with asyncio.timeout(5):
        results = await client.put_many((f"/{number}", b"1") for number in range(300))
        contents = await client.get_many(f"/{number}" for number in range(300))
    tried = MANY_CALLS_IN_FLIGHT * 3
    assert kinds(results).count(CommitUnknown) == tried
    not_tried = [each for each in results if isinstance(each, Unavailable) and each.reason == "NOT_TRIED"]
    assert len(not_tried) == 300 - tried
    assert kinds(contents) == [Unavailable] * 300


async def test_a_client_that_ends_in_the_middle(cluster: InProcessCluster) -> None:
    """What it had not sent is nowhere; what it had sent is whole."""
    client = cluster.client()
    sent = asyncio.Event()

    async def put_files(items: tuple[tuple[SmallFile, RequestId], ...]) -> object:
        answers = await cluster.master.namespace.put_files(items)
        sent.set()
        # The answer is on its way until the client ends.
        await asyncio.Event().wait()
        return answers

    cluster.calls.put_files = put_files  # type: ignore[attr-defined]
    work = asyncio.create_task(client.put_many((f"/{number:04}", pattern(number)) for number in range(1_200)))
    await sent.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    other = cluster.client()
    names = [info.name async for info in other.list("/")]
    assert 0 < len(names) < 1_200
    assert await other.get_many(f"/{name}" for name in names) == [pattern(int(name)) for name in names]


class TestLies:
    @pytest.mark.parametrize("call", ["open_files", "stat_files", "remove_files", "put_files"])
    async def test_too_few_results(self, client: AsyncClient, cluster: InProcessCluster, call: str) -> None:
        cluster.calls.answers[call] = lambda answers: answers[:-1]
        await client.put_many({"/c": b"1", "/d": b"2"})
        results = {
            "open_files": kinds(await client.get_many(["/c", "/d"])),
            "stat_files": kinds(await client.stat_many(["/c", "/d"])),
            "remove_files": kinds(await client.remove_many(["/c", "/d"])),
            "put_files": kinds(await client.put_many({"/a": b"1", "/b": b"2"})),
        }
        assert [name for name, found in results.items() if found == [Internal, Internal]] == [call]

    async def test_a_message_that_is_always_full(self, client: AsyncClient, cluster: InProcessCluster) -> None:
        await client.put_many({"/a": b"1", "/b": b"2"})
        full = LimitExceeded("Full.", reason="BATCH_FULL")
        cluster.calls.answers["open_files"] = lambda answers: tuple(full for _ in answers)
        async with asyncio.timeout(5):
            assert kinds(await client.get_many(["/a", "/b"])) == [LimitExceeded, LimitExceeded]

    async def test_answers_in_another_order(self, client: AsyncClient, cluster: InProcessCluster) -> None:
        await client.put_many({"/a": b"1", "/b": b"2"})
        for call in ("open_files", "stat_files"):
            cluster.calls.answers[call] = lambda answers: answers[::-1]
        first, second = await client.get_many(["/a", "/b"])
        # The second one is older than what was seen there, and is asked for again, alone.
        assert isinstance(first, Corrupt) and second == b"2"
        assert kinds(await cluster.client().get_many(["/a", "/b"])) == [Corrupt, Corrupt]
        assert kinds(await client.stat_many(["/a", "/b"])) == [Internal, Internal]

    async def test_one_altered_file_spoils_no_other(self, client: AsyncClient, cluster: InProcessCluster) -> None:
        await client.put_many({"/a": b"1", "/b": b"2", "/c": b"3"})

        def alter(answers: tuple[object, ...]) -> tuple[object, ...]:
            changed = replace(answers[1], sealed_manifest=bytes(200))  # type: ignore[type-var]
            return (answers[0], changed, answers[2])

        cluster.calls.answers["open_files"] = alter
        results = await client.get_many(["/a", "/b", "/c"])
        assert kinds(results) == [bytes, Corrupt, bytes]


async def test_items_that_did_not_fit_are_asked_for_once_more_and_in_their_places() -> None:
    asked: list[tuple[int, ...]] = []

    async def call(items: tuple[int, ...]) -> tuple[int | DstoreError, ...]:
        asked.append(items)
        full = [LimitExceeded("Full.", reason="BATCH_FULL") for _ in items[2:]]
        return (*(10 * item for item in items[:2]), *full)

    assert await batching._all_answers(call, (1, 2, 3, 4, 5)) == (10, 20, 30, 40, 50)
    assert asked == [(1, 2, 3, 4, 5), (3, 4, 5), (5,)]
