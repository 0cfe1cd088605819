"""Small files: one transaction makes many visible, each by itself."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from batch_outcomes import outcomes
from master_harness import KEYS, MasterHarness

from dstore.core import errors
from dstore.core.files import ABSENT, FileInfo, Precondition, PreconditionKind, SmallFile, WrappedKey
from dstore.core.ids import ROOT_ID, FileId, RequestId, Version
from dstore.core.limits import (
    BATCH_ITEMS_MAX,
    INLINE_SIZE_BYTES_MAX,
    SEALED_MANIFEST_SIZE_BYTES_MAX,
    WRAPPED_KEY_SIZE_BYTES_MAX,
    WRAPPED_KEYS_MAX,
)

TABLES = ["counters", "inodes", "entries", "intents", "requests"]


async def snapshot(cluster: MasterHarness, tables: list[str] = TABLES) -> list[object]:
    return [sorted(map(repr, await cluster.rows(f"SELECT * FROM {table}"))) for table in tables]


async def counter(cluster: MasterHarness, name: str) -> int:
    return int(str((await cluster.rows(f"SELECT value FROM counters WHERE name = '{name}'"))[0][0]))


async def test_a_small_file_is_visible_with_one_call(cluster: MasterHarness) -> None:
    file, empty = await cluster.seal("/file", "/empty")
    info, other = await cluster.put(file, replace(empty, size_bytes=0))
    assert info == await cluster.namespace.stat("/file")
    assert other == await cluster.namespace.stat("/empty")
    opened = await cluster.namespace.open_file("/file")
    assert isinstance(info, FileInfo)
    assert (info.file_id, info.version, info.size_bytes, info.chunk_count) == (file.file_id, file.version, 3, 0)
    assert (opened.sealed_manifest, opened.wrapped_keys) == (file.sealed_manifest, file.wrapped_keys)
    assert opened.chunk_size_bytes == cluster.policy.chunk_size_bytes
    assert (opened.parent_id, opened.page.chunks) == (ROOT_ID, ())


async def test_a_batch_is_one_transaction_of_the_namespace(cluster: MasterHarness) -> None:
    await cluster.put(*await cluster.seal("/0", "/1"))
    before = await counter(cluster, "txn")
    assert outcomes(*await cluster.put(*await cluster.seal(*(f"/{n}" for n in range(40))))) == ["done"] * 40
    assert await counter(cluster, "txn") == before + 1
    assert await counter(cluster, "files") == 40
    assert await counter(cluster, "retained_files") == 2


async def test_what_is_replaced_can_be_restored(cluster: MasterHarness) -> None:
    (old,), (new,) = await cluster.seal("/file"), await cluster.seal("/file", size_bytes=7)
    (first,) = await cluster.put(old)
    cluster.clock.now_s += 5
    (info,) = await cluster.put(new)
    assert isinstance(info, FileInfo) and isinstance(first, FileInfo)
    assert (info.created_ns, info.modified_ns) == (first.created_ns, first.modified_ns + 5_000_000_000)
    await cluster.restore("/file", "/old")
    assert (await cluster.namespace.stat("/old")).file_id == old.file_id
    assert (await cluster.namespace.open_file("/file")).sealed_manifest == new.sealed_manifest


#: What is wrong with the second of three files, and how it is refused.
REFUSED: dict[str, tuple[Callable[[SmallFile], SmallFile], str]] = {
    "no absolute path": (lambda file: replace(file, path="file"), "PATH_NOT_ABSOLUTE"),
    "empty path": (lambda file: replace(file, path=""), "PATH_NOT_ABSOLUTE"),
    "dots": (lambda file: replace(file, path="/.."), "PATH_RELATIVE_NAME"),
    "empty name": (lambda file: replace(file, path="//a"), "PATH_EMPTY_NAME"),
    "NUL": (lambda file: replace(file, path="/a\0b"), "PATH_HAS_NUL"),
    "long name": (lambda file: replace(file, path="/" + "a" * 256), "NAME_TOO_LONG"),
    "long name of long letters": (lambda file: replace(file, path="/" + "é" * 128), "NAME_TOO_LONG"),
    "no text": (lambda file: replace(file, path="/\udcff"), "PATH_NOT_UTF8"),
    "long path": (lambda file: replace(file, path="/dir" + "/a" * 2047), "PATH_TOO_LONG"),
    "deep path": (lambda file: replace(file, path="/a" * 129), "PATH_TOO_DEEP"),
    "root": (lambda file: replace(file, path="/"), "IS_A_DIRECTORY"),
    "directory": (lambda file: replace(file, path="/dir"), "IS_A_DIRECTORY"),
    "directory, with a slash": (lambda file: replace(file, path="/dir/"), "IS_A_DIRECTORY"),
    "no parent": (lambda file: replace(file, path="/none/a"), "FILE_NOT_FOUND"),
    "parent is a file": (lambda file: replace(file, path="/there/a"), "NOT_A_DIRECTORY"),
    "another parent": (lambda file: replace(file, path="/dir/a"), "PARENT_CHANGED"),
    "no such parent": (lambda file: replace(file, parent_id=FileId(1 << 64)), "PARENT_CHANGED"),
    "taken": (lambda file: replace(file, path="/there", precondition=ABSENT), "FILE_EXISTS"),
    "taken by a directory": (lambda file: replace(file, path="/dir", precondition=ABSENT), "FILE_EXISTS"),
    "other version": (lambda file: replace(file, path="/there", precondition=_version(1)), "VERSION_CHANGED"),
    "huge version wanted": (lambda file: replace(file, precondition=_version((1 << 64) - 1)), "VERSION_CHANGED"),
    "no version": (lambda file: replace(file, version=Version(0)), "VERSION_SUPERSEDED"),
    "negative version": (lambda file: replace(file, version=Version(-1)), "VERSION_SUPERSEDED"),
    "version never given out": (lambda file: replace(file, version=Version(1 << 40)), "VERSION_SUPERSEDED"),
    "huge version": (lambda file: replace(file, version=Version((1 << 64) - 1)), "VERSION_SUPERSEDED"),
    "no identity": (lambda file: replace(file, file_id=FileId(0)), "VERSION_SUPERSEDED"),
    "negative identity": (lambda file: replace(file, file_id=FileId(-5)), "VERSION_SUPERSEDED"),
    "the root's identity": (lambda file: replace(file, file_id=ROOT_ID), "VERSION_SUPERSEDED"),
    "identity never given out": (lambda file: replace(file, file_id=FileId(1 << 40)), "VERSION_SUPERSEDED"),
    "huge identity": (lambda file: replace(file, file_id=FileId((1 << 64) - 1)), "VERSION_SUPERSEDED"),
    "negative size": (lambda file: replace(file, size_bytes=-1), "SIZE_INVALID"),
    "more than the manifest": (lambda file: replace(file, size_bytes=len(file.sealed_manifest) + 1), "SIZE_INVALID"),
    "too large": (
        lambda file: replace(
            file, size_bytes=INLINE_SIZE_BYTES_MAX + 1, sealed_manifest=bytes(INLINE_SIZE_BYTES_MAX + 1)
        ),
        "SIZE_INVALID",
    ),
    "no manifest": (lambda file: replace(file, sealed_manifest=b"", size_bytes=0), "MANIFEST_INVALID"),
    "huge manifest": (
        lambda file: replace(file, sealed_manifest=bytes(SEALED_MANIFEST_SIZE_BYTES_MAX + 1)),
        "MANIFEST_TOO_LARGE",
    ),
    "no key": (lambda file: replace(file, wrapped_keys=()), "WRAPPED_KEYS_INVALID"),
    "too many keys": (lambda file: replace(file, wrapped_keys=KEYS * (WRAPPED_KEYS_MAX + 1)), "WRAPPED_KEYS_INVALID"),
    "short key id": (
        lambda file: replace(file, wrapped_keys=(WrappedKey(1, b"7 bytes", b"x"),)),
        "WRAPPED_KEYS_INVALID",
    ),
    "empty key": (lambda file: replace(file, wrapped_keys=(WrappedKey(1, b"8 bytes.", b""),)), "WRAPPED_KEYS_INVALID"),
    "long key": (
        lambda file: replace(file, wrapped_keys=(WrappedKey(1, b"8 bytes.", bytes(WRAPPED_KEY_SIZE_BYTES_MAX + 1)),)),
        "WRAPPED_KEYS_INVALID",
    ),
    "huge kind": (
        lambda file: replace(file, wrapped_keys=(WrappedKey(1 << 63, b"8 bytes.", b"x"),)),
        "WRAPPED_KEYS_INVALID",
    ),
}


def _version(version: int) -> Precondition:
    return Precondition(PreconditionKind.VERSION, Version(version))


@pytest.mark.parametrize("what", REFUSED)
async def test_a_file_that_is_refused_leaves_nothing_and_harms_no_other(cluster: MasterHarness, what: str) -> None:
    spoil, reason = REFUSED[what]
    await cluster.put(*await cluster.seal("/there"))
    await cluster.make_directory("/dir")
    good, bad, other = await cluster.seal("/good", "/bad", "/other")
    bad = spoil(bad)
    before = await snapshot(cluster, ["inodes", "entries", "counters"])
    assert outcomes(*await cluster.put(bad)) == [reason]
    assert await snapshot(cluster, ["inodes", "entries", "counters"]) == before
    assert outcomes(*await cluster.put(good, bad, other)) == ["done", reason, "done"]
    assert await cluster.names("/") == ["dir", "good", "other", "there"]
    assert await counter(cluster, "files") == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda file: replace(file, size_bytes=INLINE_SIZE_BYTES_MAX, sealed_manifest=bytes(INLINE_SIZE_BYTES_MAX)),
        lambda file: replace(file, sealed_manifest=bytes(SEALED_MANIFEST_SIZE_BYTES_MAX)),
        lambda file: replace(file, wrapped_keys=KEYS * WRAPPED_KEYS_MAX),
        lambda file: replace(file, wrapped_keys=(WrappedKey((1 << 63) - 1, b"8 bytes.", bytes(2048)),)),
        lambda file: replace(file, path="/" + "é" * 127 + "x"),
        lambda file: replace(file, path="/" + "a" * 255),
        lambda file: replace(file, path="/file/"),
        lambda file: replace(file, precondition=ABSENT),
    ],
)
async def test_the_largest_of_everything_is_fine(
    cluster: MasterHarness, change: Callable[[SmallFile], SmallFile]
) -> None:
    (file,) = await cluster.seal("/file")
    file = change(file)
    (info,) = await cluster.put(file)
    opened = await cluster.namespace.open_file(file.path)
    assert opened.info == info
    assert (opened.sealed_manifest, opened.wrapped_keys) == (file.sealed_manifest, file.wrapped_keys)


async def test_the_present_directory_is_named_when_it_changed(cluster: MasterHarness) -> None:
    old = await cluster.make_directory("/dir")
    await cluster.rename("/dir", "/moved")
    new = await cluster.make_directory("/dir")
    (file,) = await cluster.seal("/dir/file", parent_id=old.file_id)
    (refusal,) = await cluster.put(file)
    assert isinstance(refusal, errors.Conflict)
    assert refusal.metadata == {"path": "/dir/file", "parent_id": str(new.file_id)}
    assert outcomes(*await cluster.put(replace(file, path="/moved/file"))) == ["done"]


# --- Several of a kind in one batch -----------------------------------------------------------------------------


async def test_the_same_path_twice_is_written_twice(cluster: MasterHarness) -> None:
    first, second, third = await cluster.seal("/file", "/other", "/file")
    assert outcomes(*await cluster.put(first, second, third)) == ["done"] * 3
    assert (await cluster.namespace.stat("/file")).file_id == third.file_id
    assert [entry.file_id for entry in await cluster.removed("/file")] == [first.file_id]


async def test_the_same_path_twice_the_older_version_last_is_refused(cluster: MasterHarness) -> None:
    first, second = await cluster.seal("/file", "/file")
    assert outcomes(*await cluster.put(second, first)) == ["done", "VERSION_SUPERSEDED"]


async def test_only_the_first_finds_the_path_absent(cluster: MasterHarness) -> None:
    files = [replace(file, precondition=ABSENT) for file in await cluster.seal("/file", "/file")]
    assert outcomes(*await cluster.put(*files)) == ["done", "FILE_EXISTS"]


async def test_the_same_identity_twice_is_used_once(cluster: MasterHarness) -> None:
    first, second = await cluster.seal("/a", "/b")
    second = replace(second, file_id=first.file_id)
    assert outcomes(*await cluster.put(first, second)) == ["done", "VERSION_SUPERSEDED"]


async def test_the_same_request_twice_takes_effect_once(cluster: MasterHarness) -> None:
    first, other = await cluster.seal("/a", "/b")
    same = RequestId("the-id")
    answers = await cluster.namespace.put_files(((first, same), (first, same), (other, same)))
    assert answers[0] == answers[1]
    assert outcomes(*answers) == ["done", "done", "REQUEST_ID_REUSED"]
    assert await cluster.names("/") == ["a"]
    assert await cluster.namespace.put_files(((first, same),)) == answers[:1]


# --- Once (Invariant 4) -----------------------------------------------------------------------------------------


async def test_a_repeated_batch_returns_the_first_answers_and_changes_nothing(cluster: MasterHarness) -> None:
    files = await cluster.seal("/a", "/none/b", "/c")
    items = tuple((file, RequestId(f"the-id-{index}")) for index, file in enumerate(files))
    first = await cluster.namespace.put_files(items)
    await cluster.remove("/a")
    await cluster.make_directory("/none")
    before = await snapshot(cluster)
    await cluster.restart()
    again = await cluster.namespace.put_files(items)
    assert list(map(repr, again)) == list(map(repr, first))
    assert await snapshot(cluster) == before
    # One by one, and among others.
    for item, answer in zip(items, first, strict=True):
        assert repr((await cluster.namespace.put_files((item,)))[0]) == repr(answer)
    (new,) = await cluster.seal("/d")
    mixed = await cluster.namespace.put_files((items[2], (new, cluster.request_id()), items[1]))
    assert outcomes(*mixed) == ["done", "done", "FILE_NOT_FOUND"]


@pytest.mark.parametrize(
    "change",
    [
        lambda file: replace(file, path="/other"),
        lambda file: replace(file, precondition=ABSENT),
        lambda file: replace(file, parent_id=FileId(2)),
        lambda file: replace(file, file_id=FileId(file.file_id + 1)),
        lambda file: replace(file, version=Version(file.version + 1)),
        lambda file: replace(file, size_bytes=2),
        lambda file: replace(file, sealed_manifest=file.sealed_manifest + b"."),
        lambda file: replace(file, wrapped_keys=file.wrapped_keys * 2),
        lambda file: replace(file, wrapped_keys=(replace(file.wrapped_keys[0], kind=2),)),
        lambda file: replace(file, wrapped_keys=(replace(file.wrapped_keys[0], key_id=b"8 others"),)),
        lambda file: replace(file, wrapped_keys=(replace(file.wrapped_keys[0], data=b"other"),)),
    ],
)
async def test_a_request_with_other_content_is_refused(
    cluster: MasterHarness, change: Callable[[SmallFile], SmallFile]
) -> None:
    file, _ = await cluster.seal("/file", "/more")
    same = RequestId("the-id")
    await cluster.namespace.put_files(((file, same),))
    before = await snapshot(cluster)
    assert outcomes(*await cluster.namespace.put_files(((change(file), same),))) == ["REQUEST_ID_REUSED"]
    assert await snapshot(cluster) == before


@pytest.mark.parametrize("request_id", ["", "x" * 65, "ü" * 33, "a\0b", "\udcff" * 65])
async def test_a_bad_request_id_is_refused_alone(cluster: MasterHarness, request_id: str) -> None:
    first, second = await cluster.seal("/a", "/b")
    answers = await cluster.namespace.put_files(((first, RequestId(request_id)), (second, cluster.request_id())))
    assert outcomes(*answers) == ["REQUEST_ID_INVALID", "done"]
    removals = (("/a", False, RequestId(request_id)), ("/b", False, cluster.request_id()))
    assert outcomes(*await cluster.namespace.remove_files(removals)) == ["REQUEST_ID_INVALID", "done"]


# --- Afterwards -------------------------------------------------------------------------------------------------


async def test_small_files_are_renamed_removed_restored_and_collected_as_others(cluster: MasterHarness) -> None:
    await cluster.put(*await cluster.seal("/a", "/b", size_bytes=100))
    await cluster.rename("/a", "/c")
    await cluster.remove("/b")
    await cluster.restore("/b")
    assert [(await cluster.namespace.stat(path)).size_bytes for path in ("/b", "/c")] == [100, 100]
    await cluster.check_counters()
    await cluster.remove("/c")
    await cluster.collect_all()
    assert await cluster.rows("SELECT COUNT(*) FROM inodes WHERE kind = 'file'") == [(1,)]
    assert await counter(cluster, "logical_bytes") == 100


async def test_the_status_and_the_description_know_them(cluster: MasterHarness) -> None:
    await cluster.put(*await cluster.seal("/a", "/b", size_bytes=100))
    description = await cluster.master.admin.describe_file("/a", start_index=0, count=10)
    assert (description.info.size_bytes, description.chunks) == (100, ())
    status = await cluster.master.admin.get_status()
    assert (status.file_count, status.logical_bytes, status.chunk_count) == (2, 200, 0)


@pytest.mark.parametrize("count", [0, 1, BATCH_ITEMS_MAX])
async def test_a_call_takes_so_many_items(cluster: MasterHarness, count: int) -> None:
    files = await cluster.seal(*(f"/{number}" for number in range(max(1, count))))
    assert outcomes(*await cluster.put(*files[:count])) == ["done"] * count


async def test_a_call_with_too_many_items_does_nothing(cluster: MasterHarness) -> None:
    files = await cluster.seal(*(f"/{number}" for number in range(BATCH_ITEMS_MAX + 1)))
    with pytest.raises(errors.LimitExceeded) as caught:
        await cluster.put(*files)
    assert caught.value.reason == "TOO_MANY_ITEMS"
    assert await cluster.names("/") == []
