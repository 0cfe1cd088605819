"""Calls about many files: reading, describing and removing, and the room for their answers."""

import asyncio
from dataclasses import replace

import pytest
from master_harness import MasterHarness

from dstore.core import errors
from dstore.core.errors import DstoreError
from dstore.core.files import RemoveResult
from dstore.core.ids import FileId, RequestId
from dstore.core.limits import BATCH_ITEMS_MAX, BATCH_SIZE_BYTES_MAX, SEALED_MANIFEST_SIZE_BYTES_MAX
from dstore.master import removing

PATHS = (
    "/", "/dir", "/dir/", "/dir/file", "/dir/small", "/big", "/ü", "/dir/none", "/none", "/none/x", "/big/x", "x", "",
    "//", "/dir//file", "/./big", "/" + "a" * 256, "/dir/" + "é" * 128, "/\udcff", "/a\0", "/a" * 129, "/a" * 2049,
)  # fmt: skip


@pytest.fixture
async def tree(cluster: MasterHarness) -> MasterHarness:
    directory = await cluster.make_directory("/dir")
    await cluster.write("/dir/file")
    await cluster.write("/big", chunk_count=3)
    await cluster.put(*await cluster.seal("/dir/small", parent_id=directory.file_id), *await cluster.seal("/ü"))
    return cluster


async def outcome(call: asyncio.Future[object] | object) -> object:
    """Return an answer, or an error by its reason and metadata."""
    try:
        answer = await call  # type: ignore[misc]
    except DstoreError as error:
        return plain(error)
    return answer


def plain(answer: object) -> object:
    return (answer.reason, answer.message, answer.metadata) if isinstance(answer, DstoreError) else answer


async def test_each_path_is_answered_as_alone(tree: MasterHarness) -> None:
    for paths in (PATHS, PATHS[::-1], PATHS * 2):
        stats = await tree.namespace.stat_files(paths)
        assert [plain(each) for each in stats] == [await outcome(tree.namespace.stat(path)) for path in paths]
        opened = await tree.namespace.open_files(paths)
        assert [plain(each) for each in opened] == [await outcome(tree.namespace.open_file(path)) for path in paths]


async def test_each_path_is_removed_as_alone(tree: MasterHarness) -> None:
    async def without_effect(path: str) -> object:
        answer = await outcome(tree.namespace.remove(path, recursive=False, request_id=tree.request_id()))
        assert not isinstance(answer, RemoveResult)
        return answer

    refused = [path for path in PATHS if path not in ("/dir/file", "/dir/small", "/big", "/ü")]
    answers = await tree.namespace.remove_files(tuple((path, False, tree.request_id()) for path in refused))
    assert [plain(answer) for answer in answers] == [await without_effect(path) for path in refused]
    rest = ("/dir/file", "/big", "/ü/", "/dir/small", "/dir", "/dir/file", "/big")
    answers = await tree.namespace.remove_files(tuple((path, False, tree.request_id()) for path in rest))
    done, directory = RemoveResult(1, 0), RemoveResult(0, 1)
    assert answers[:5] == (done, done, done, done, directory)
    assert [isinstance(answer, errors.NotFound) for answer in answers[5:]] == [True, True]
    assert await tree.names("/") == []


async def test_what_was_removed_before_its_directory_does_not_come_back_with_it(tree: MasterHarness) -> None:
    items = (("/dir/file", False), ("/big", False), ("/dir", True))
    await tree.namespace.remove_files(tuple((path, deep, tree.request_id()) for path, deep in items))
    gone = {entry.path: entry.removed_txn for entry in await tree.removed("/dir")}
    assert set(gone) == {"/dir/file", "/dir/small"}
    assert gone["/dir/file"] < gone["/dir/small"]
    assert sorted(entry.path for entry in await tree.removed("/")) == ["/big", "/dir", "/dir/file"]


async def test_a_removal_is_the_same_call_alone_and_among_others(tree: MasterHarness) -> None:
    first, second = RequestId("first"), RequestId("second")
    answers = await tree.namespace.remove_files((("/big", False, first), ("/none", False, second)))
    await tree.write("/big")
    await tree.write("/none")
    assert await tree.namespace.remove("/big", recursive=False, request_id=first) == answers[0]
    with pytest.raises(errors.NotFound):
        await tree.namespace.remove("/none", recursive=False, request_id=second)
    third = RequestId("third")
    await tree.namespace.remove("/none", recursive=False, request_id=third)
    await tree.write("/none")
    assert await tree.namespace.remove_files((("/none", False, third),)) == (RemoveResult(1, 0),)
    (refusal,) = await tree.namespace.remove_files((("/none", True, third),))
    assert isinstance(refusal, errors.InvalidRequest)
    assert await tree.names("/") == ["big", "dir", "none", "ü"]


async def test_the_same_removal_twice_takes_effect_once(tree: MasterHarness) -> None:
    same = RequestId("the-id")
    answers = await tree.namespace.remove_files((("/big", False, same), ("/big", False, same)))
    assert answers == (RemoveResult(1, 0), RemoveResult(1, 0))


async def test_one_transaction_takes_about_as_much_as_it_may_of_one_tree(
    tree: MasterHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removing, "REMOVE_ENTRIES_MAX", 3)
    items = tuple((path, True, tree.request_id()) for path in ("/dir", "/big", "/ü"))
    answers = await tree.namespace.remove_files(items)
    assert answers[0] == RemoveResult(2, 1)
    assert [plain(answer)[0] for answer in answers[1:]] == ["BATCH_FULL", "BATCH_FULL"]  # type: ignore[index]
    assert await tree.names("/") == ["big", "ü"]
    # The same call under the same ids goes on.
    assert await tree.namespace.remove_files(items) == (answers[0], RemoveResult(1, 0), RemoveResult(1, 0))


@pytest.mark.parametrize("what", ["open", "stat", "remove"])
async def test_the_number_of_items_is_bounded(tree: MasterHarness, what: str) -> None:
    async def call(count: int) -> object:
        paths = ("/big",) * count
        match what:
            case "open":
                return await tree.namespace.open_files(paths)
            case "stat":
                return await tree.namespace.stat_files(paths)
            case _:
                return await tree.namespace.remove_files(tuple((path, False, tree.request_id()) for path in paths))

    assert await call(0) == ()
    await call(BATCH_ITEMS_MAX)
    with pytest.raises(errors.LimitExceeded) as caught:
        await call(BATCH_ITEMS_MAX + 1)
    assert caught.value.reason == "TOO_MANY_ITEMS"


def reasons(answers: tuple[object, ...]) -> list[str]:
    return [answer.reason if isinstance(answer, DstoreError) else "" for answer in answers]


async def test_files_are_opened_as_far_as_there_is_room(cluster: MasterHarness) -> None:
    names = [f"/{number}" for number in range(100)]
    manifest = bytes(SEALED_MANIFEST_SIZE_BYTES_MAX)
    await cluster.put(*(replace(file, sealed_manifest=manifest) for file in await cluster.seal(*names)))
    answers = reasons(await cluster.namespace.open_files(tuple(names)))
    fitting = BATCH_SIZE_BYTES_MAX // (SEALED_MANIFEST_SIZE_BYTES_MAX + 200)
    assert answers == [""] * fitting + ["BATCH_FULL"] * (100 - fitting)


@pytest.fixture
async def deep(cluster: MasterHarness) -> tuple[str, FileId]:
    """A directory with a path that is almost as long as one may be."""
    info = await cluster.make_directory("/" + "/".join(["none" * 60] * 16))
    assert len(info.path) > 3_800
    return info.path, info.file_id


async def test_answers_about_long_paths_end_where_the_message_does(
    cluster: MasterHarness, deep: tuple[str, FileId]
) -> None:
    paths = tuple(f"{deep[0]}/{number}" for number in range(BATCH_ITEMS_MAX))
    for answers in (await cluster.namespace.stat_files(paths), await cluster.namespace.open_files(paths)):
        found = reasons(answers)
        assert set(found) == {"FILE_NOT_FOUND", "BATCH_FULL"}
        assert found == sorted(found, reverse=True), "what has no room comes last"


async def test_nothing_is_done_where_its_answer_has_no_room(cluster: MasterHarness, deep: tuple[str, FileId]) -> None:
    names = [f"{deep[0]}/{number}" for number in range(BATCH_ITEMS_MAX - 1)]
    files = await cluster.seal(*names, parent_id=deep[1]) + await cluster.seal("/last")
    items = tuple((file, cluster.request_id()) for file in files)
    answers = reasons(await cluster.namespace.put_files(items))
    done = answers.count("")
    assert BATCH_ITEMS_MAX / 2 < done < BATCH_ITEMS_MAX
    assert answers == [""] * done + ["BATCH_FULL"] * (BATCH_ITEMS_MAX - done)
    assert (await cluster.rows("SELECT value FROM counters WHERE name = 'files'")) == [(done,)]
    # Answers that are stored take as much room.
    assert reasons(await cluster.namespace.put_files(items)) == answers
    # The same calls under the same ids go on.
    assert reasons(await cluster.namespace.put_files(items[done:])) == [""] * (BATCH_ITEMS_MAX - done)
