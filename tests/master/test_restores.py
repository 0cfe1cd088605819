"""What was removed or replaced comes back whole, at a version that nobody has seen, or is refused with the reason."""

import asyncio
from dataclasses import replace

import pytest
from master_harness import MasterHarness, refused, told, written

from dstore.core import errors
from dstore.core.errors import DstoreError
from dstore.core.files import ABSENT, FileInfo, Rename
from dstore.core.ids import RequestId, Version
from dstore.core.removed import RemovalReason, Restore


async def test_a_removed_file_comes_back_as_it_was(cluster: MasterHarness) -> None:
    await cluster.make_directory("/dir")
    before = await cluster.write("/dir/x", chunk_count=3)
    opened = await cluster.namespace.open_file("/dir/x")
    await cluster.remove("/dir/x")
    info = await cluster.restore("/dir/x")
    assert info == replace(before, version=info.version)
    assert info.version > before.version
    again = await cluster.namespace.open_file("/dir/x")
    assert again.page == opened.page
    assert again.wrapped_keys == opened.wrapped_keys
    assert again.parent_id == opened.parent_id
    assert again.sealed_manifest == b"sealed again"
    assert await cluster.rows("SELECT COUNT(*) FROM deleted_chunks") == [(0,)]
    await cluster.check_counters()


async def test_the_ticket_has_what_must_be_sealed_again(cluster: MasterHarness) -> None:
    info = await cluster.write("/x", chunk_count=1)
    directory = await cluster.make_directory("/dir")
    opened = await cluster.namespace.open_file("/x")
    await cluster.remove("/x")
    ticket = await cluster.namespace.prepare_restore("/x", version=Version(0), target="/dir/y")
    move = ticket.move
    assert move.source == info
    assert (move.source_parent_id, move.target_parent_id, move.target_name) == (1, directory.file_id, "y")
    assert (move.sealed_manifest, move.wrapped_keys) == (opened.sealed_manifest, opened.wrapped_keys)
    assert move.version > info.version
    assert not ticket.is_back
    [entry] = await cluster.removed()
    assert ticket.removed_txn == entry.removed_txn


async def test_every_replaced_version_can_be_restored_elsewhere(cluster: MasterHarness) -> None:
    versions = [await cluster.write("/x", chunk_count=count) for count in range(4)]
    entries = await cluster.removed("/x")
    assert [entry.version for entry in entries] == [info.version for info in versions[:3]]
    assert {entry.reason for entry in entries} == {RemovalReason.REPLACED}
    assert (await refused(cluster.restore("/x"))).reason == "FILE_EXISTS"
    for info in versions[:2]:
        restored = await cluster.restore("/x", f"/old-{info.version}", version=info.version)
        assert (restored.file_id, restored.chunk_count) == (info.file_id, info.chunk_count)
    # The newest of them, when none is named.
    assert (await cluster.restore("/x", "/newest")).file_id == versions[2].file_id
    assert await cluster.removed() == []
    assert (await cluster.namespace.stat("/x")) == versions[3]


async def test_what_a_rename_replaced_can_be_restored(cluster: MasterHarness) -> None:
    replaced = await cluster.write("/b", chunk_count=1)
    await cluster.write("/a", chunk_count=2)
    await cluster.rename("/a", "/b")
    assert told(await cluster.removed()) == [("/b", "file", "replaced")]
    assert (await cluster.restore("/b", "/c")).file_id == replaced.file_id


async def test_a_tree_comes_back_directory_by_directory(cluster: MasterHarness) -> None:
    await cluster.make_directory("/top/sub/deep")
    for path in ("/top/a", "/top/sub/b", "/top/sub/deep/c", "/top/gone-before"):
        await cluster.write(path, chunk_count=1)
    await cluster.remove("/top/gone-before")
    await cluster.remove("/top", recursive=True)
    top = ("/top", "directory", "removed")
    assert told(await cluster.removed()) == [("/top/gone-before", "file", "removed"), top]
    assert told(await cluster.removed("/top")) == [
        ("/top/gone-before", "file", "removed"),
        ("/top/a", "file", "removed"),
        ("/top/sub", "directory", "removed"),
    ]
    assert told(await cluster.removed("/top/sub", recursive=False)) == [
        ("/top/sub/b", "file", "removed"),
        ("/top/sub/deep", "directory", "removed"),
    ]
    for path in ("/top/sub/b", "/top/sub", "/top/a"):
        error = await refused(cluster.restore(path))
        assert (error.reason, error.metadata["removed_path"]) == ("PARENT_REMOVED", "/top")
    await cluster.restore("/top")
    await cluster.restore("/top/sub")
    await cluster.restore("/top/sub/b")
    await cluster.restore("/top/gone-before")
    assert await cluster.names("/top") == ["gone-before", "sub"]
    assert told(await cluster.removed()) == [("/top/a", "file", "removed"), ("/top/sub/deep", "directory", "removed")]
    await cluster.check_counters()


async def test_a_file_can_leave_a_removed_directory(cluster: MasterHarness) -> None:
    await cluster.make_directory("/top/sub")
    info = await cluster.write("/top/sub/x", chunk_count=1)
    await cluster.remove("/top", recursive=True)
    assert (await cluster.restore("/top/sub/x", "/y")).file_id == info.file_id
    await cluster.restore("/top")
    await cluster.restore("/top/sub")
    error = await refused(cluster.restore("/top/sub/x"))
    assert (error.reason, error.metadata["live_path"]) == ("STILL_LIVE", "/y")
    assert (await refused(cluster.namespace.stat("/top/sub/x"))).reason == "FILE_NOT_FOUND"


async def test_a_directory_that_is_back_says_what_else_went(cluster: MasterHarness) -> None:
    await cluster.make_directory("/dir")
    await cluster.remove("/dir")
    [entry] = await cluster.removed()
    await cluster.restore("/dir", "/new")
    for path, target in (("/dir", "/new"), ("/dir", "/new/")):
        ticket = await cluster.namespace.prepare_restore(path, version=Version(0), target=target)
        assert (ticket.is_back, ticket.removed_txn) == (True, entry.removed_txn)
    error = await refused(cluster.restore("/dir", "/new"))
    assert error.reason == "FILE_EXISTS", "there is nothing to restore a second time"
    assert (await refused(cluster.restore("/dir"))).reason == "STILL_LIVE"
    await cluster.make_directory("/dir")
    assert (await refused(cluster.restore("/dir"))).reason == "FILE_EXISTS"


async def test_an_older_directory_of_the_same_name_has_a_version(cluster: MasterHarness) -> None:
    ids = []
    for name in ("a", "b"):
        ids.append((await cluster.make_directory("/dir")).file_id)
        await cluster.write(f"/dir/{name}")
        await cluster.remove("/dir", recursive=True)
    older, newer = await cluster.removed()
    assert [older.file_id, newer.file_id] == ids
    assert told(await cluster.removed("/dir")) == [("/dir/b", "file", "removed")]
    await cluster.restore("/dir", "/older", version=older.version)
    await cluster.restore("/older/a")
    await cluster.restore("/dir")
    await cluster.restore("/dir/b")
    assert await cluster.names("/older") == ["a"]
    assert await cluster.names("/dir") == ["b"]


REFUSALS = [
    ("/", "", "ROOT_IMMOVABLE"),
    ("/gone", "/", "ROOT_IMMOVABLE"),
    ("/never", "", "NOT_RESTORABLE"),
    ("/never/x", "", "NOT_RESTORABLE"),
    ("/never/x", "/gone", "NOT_RESTORABLE"),
    ("/dir/never", "", "NOT_RESTORABLE"),
    ("/file", "", "FILE_EXISTS"),
    ("/dir", "", "FILE_EXISTS"),
    ("/gone", "/file", "FILE_EXISTS"),
    ("/gone", "/dir", "FILE_EXISTS"),
    ("/gone", "/none/x", "FILE_NOT_FOUND"),
    ("/gone", "/file/x", "NOT_A_DIRECTORY"),
    ("/file/x", "", "NOT_A_DIRECTORY"),
    ("/renamed", "", "STILL_LIVE"),
    ("/renamed-and-removed", "", "NOT_RESTORABLE"),
    ("gone", "", "PATH_NOT_ABSOLUTE"),
    ("/gone", "elsewhere", "PATH_NOT_ABSOLUTE"),
    ("/x" * 129, "", "PATH_TOO_DEEP"),
]


@pytest.mark.parametrize(("path", "target", "reason"), REFUSALS)
async def test_refusals_change_nothing(cluster: MasterHarness, path: str, target: str, reason: str) -> None:
    await cluster.make_directory("/dir")
    for name in ("file", "gone", "renamed", "renamed-and-removed"):
        await cluster.write(f"/{name}")
    await cluster.remove("/gone")
    await cluster.rename("/renamed", "/dir/now")
    await cluster.rename("/renamed-and-removed", "/dir/then")
    await cluster.remove("/dir/then")
    tables = ("inodes", "entries")
    before = [await cluster.rows(f"SELECT * FROM {table}") for table in tables]
    error = await refused(cluster.restore(path, target))
    assert error.reason == reason
    assert [await cluster.rows(f"SELECT * FROM {table}") for table in tables] == before
    if path.startswith("/renamed"):
        place = {"STILL_LIVE": "live_path", "NOT_RESTORABLE": "removed_path"}[reason]
        assert error.metadata[place] in ("/dir/now", "/dir/then")


@pytest.mark.parametrize("version", [1, 1 << 62, (1 << 63) - 1, 1 << 63, 1 << 64])
async def test_a_version_that_was_never_there(cluster: MasterHarness, version: int) -> None:
    await cluster.write("/x")
    await cluster.remove("/x")
    error = await refused(cluster.restore("/x", version=version))
    assert error.reason == "NOT_RESTORABLE"
    assert str(version) in error.message


async def test_restoring_twice_is_refused(cluster: MasterHarness) -> None:
    await cluster.write("/x")
    await cluster.remove("/x")
    await cluster.restore("/x")
    assert (await refused(cluster.restore("/x"))).reason == "FILE_EXISTS"
    assert (await refused(cluster.restore("/x", "/y"))).reason == "STILL_LIVE"
    await cluster.remove("/x")
    assert len(await cluster.removed()) == 1, "the same content is listed once"
    await cluster.restore("/x", "/y")


async def test_nothing_is_restored_when_its_retention_is_over(cluster: MasterHarness) -> None:
    await cluster.make_directory("/dir")
    await cluster.write("/dir/x", chunk_count=1)
    await cluster.remove("/dir", recursive=True)
    ticket = await cluster.namespace.prepare_restore("/dir", version=Version(0), target="")
    await cluster.collect_all()
    assert await cluster.removed() == []
    for path in ("/dir", "/dir/x"):
        error = await refused(cluster.restore(path))
        assert error.reason == "NOT_RESTORABLE"
        assert "retention is over" in error.message
    late = Restore("/dir", "/dir", ticket.move.source.version, ticket.move.version, b"")
    assert (await refused(cluster.namespace.restore(late, request_id=RequestId("r")))).reason == "NOT_RESTORABLE"


@pytest.mark.parametrize(
    ("path", "sealed", "reason"),
    [
        ("/file", b"", "MANIFEST_INVALID"),
        ("/dir", b"sealed", "MANIFEST_INVALID"),
        ("/file", b"x" * 65_537, "MANIFEST_TOO_LARGE"),
    ],
)
async def test_a_manifest_that_does_not_fit(cluster: MasterHarness, path: str, sealed: bytes, reason: str) -> None:
    await cluster.write("/file")
    await cluster.make_directory("/dir")
    await cluster.remove(path)
    move = (await cluster.namespace.prepare_restore(path, version=Version(0), target="")).move
    restore = Restore(path, path, move.source.version, move.version, sealed)
    assert (await refused(cluster.namespace.restore(restore, request_id=RequestId("r")))).reason == reason


@pytest.mark.parametrize("change", ["replaced meanwhile", "made up", "old", "huge", "other source"])
async def test_a_version_of_no_ticket_is_refused(cluster: MasterHarness, change: str) -> None:
    info = await cluster.write("/x")
    await cluster.remove("/x")
    move = (await cluster.namespace.prepare_restore("/x", version=Version(0), target="")).move
    restore = Restore("/x", "/x", info.version, move.version, b"sealed")
    match change:
        case "replaced meanwhile":
            await cluster.write("/x")
            await cluster.remove("/x")
        case "made up":
            restore = replace(restore, version=Version(move.version + 1))
        case "old":
            restore = replace(restore, version=info.version)
        case "huge":
            restore = replace(restore, version=Version(1 << 64))
        case _:
            restore = replace(restore, source_version=Version(0), version=info.version)
    error = await refused(cluster.namespace.restore(restore, request_id=RequestId("r")))
    assert isinstance(error, errors.Conflict)
    assert error.reason == "VERSION_CHANGED"


async def test_a_repeated_restore_returns_the_first_answer(cluster: MasterHarness) -> None:
    info = await cluster.write("/x")
    await cluster.remove("/x")
    move = (await cluster.namespace.prepare_restore("/x", version=Version(0), target="")).move
    restore = Restore("/x", "/x", info.version, move.version, b"sealed")
    first = await cluster.namespace.restore(restore, request_id=RequestId("r"))
    await cluster.remove("/x")
    await cluster.restart()
    assert await cluster.namespace.restore(restore, request_id=RequestId("r")) == first
    assert await cluster.names("/") == [], "it took effect once"
    error = await refused(cluster.namespace.restore(replace(restore, target="/y"), request_id=RequestId("r")))
    assert error.reason == "REQUEST_ID_REUSED"


class TestVersionsAtANameOnlyGrow:
    async def test_a_write_that_began_before_the_restore_needs_a_newer_one(self, cluster: MasterHarness) -> None:
        await cluster.write("/x")
        await cluster.remove("/x")
        intent = await cluster.begin("/x")
        restored = await cluster.restore("/x")
        assert (await refused(cluster.commit(intent))).reason == "VERSION_SUPERSEDED"
        lease = await cluster.namespace.renew_intent(intent.intent_id, fresh_version=True)
        info = await cluster.commit(intent, version=lease.version)
        assert info.version > restored.version
        assert [entry.version for entry in await cluster.removed("/x")] == [restored.version]

    async def test_a_file_that_appears_meanwhile_is_not_replaced(self, cluster: MasterHarness) -> None:
        old = await cluster.write("/x")
        await cluster.remove("/x")
        move = (await cluster.namespace.prepare_restore("/x", version=Version(0), target="")).move
        newer = await cluster.write("/x", precondition=ABSENT)
        restore = Restore("/x", "/x", old.version, move.version, b"sealed")
        assert (await refused(cluster.namespace.restore(restore, request_id=RequestId("r")))).reason == "FILE_EXISTS"
        assert await cluster.namespace.stat("/x") == newer

    async def test_a_write_into_a_directory_that_went_and_came_back(self, cluster: MasterHarness) -> None:
        await cluster.make_directory("/dir")
        intent = await cluster.begin("/dir/x")
        seen = await cluster.write("/dir/x")
        assert seen.version > intent.version
        await cluster.remove("/dir", recursive=True)
        assert (await refused(cluster.commit(intent))).reason == "FILE_NOT_FOUND"
        await cluster.restore("/dir")
        # The version that clients saw at this name is gone, and no smaller one may appear.
        assert (await refused(cluster.commit(intent))).reason == "VERSION_SUPERSEDED"
        lease = await cluster.namespace.renew_intent(intent.intent_id, fresh_version=True)
        assert (await cluster.commit(intent, version=lease.version)).version > seen.version

    async def test_a_rename_into_a_directory_that_went_and_came_back(self, cluster: MasterHarness) -> None:
        await cluster.make_directory("/dir")
        await cluster.write("/y")
        ticket = await cluster.namespace.prepare_rename("/y", "/dir/x")
        await cluster.write("/dir/x")
        await cluster.remove("/dir", recursive=True)
        await cluster.restore("/dir")
        late = Rename("/y", "/dir/x", ticket.source.version, ticket.version, b"sealed")
        error = await refused(cluster.namespace.rename(late, request_id=RequestId("r")))
        assert error.reason == "VERSION_CHANGED"
        await cluster.rename("/y", "/dir/x")

    async def test_a_removed_directory_takes_no_writes(self, cluster: MasterHarness) -> None:
        await cluster.make_directory("/dir")
        intent = await cluster.begin("/dir/x")
        await cluster.remove("/dir", recursive=True)
        assert (await refused(cluster.commit(intent))).reason == "FILE_NOT_FOUND"
        await cluster.restore("/dir")
        lease = await cluster.namespace.renew_intent(intent.intent_id, fresh_version=True)
        assert (await cluster.commit(intent, version=lease.version)).path == "/dir/x"


async def test_of_a_restore_and_a_put_at_once_one_wins_and_nothing_is_lost(cluster: MasterHarness) -> None:
    for _ in range(20):
        old = await cluster.write("/x", chunk_count=1)
        await cluster.remove("/x")
        results = await asyncio.gather(
            cluster.restore("/x"),
            cluster.write("/x", precondition=ABSENT),
            cluster.restore("/x"),
            return_exceptions=True,
        )
        winners = [result for result in results if isinstance(result, FileInfo)]
        assert len(winners) == 1
        assert await cluster.namespace.stat("/x") == winners[0]
        kept = {entry.file_id for entry in await cluster.removed("/x")}
        assert (winners[0].file_id == old.file_id) != (old.file_id in kept)
        await cluster.remove("/x")


async def test_of_many_restores_to_different_places_one_wins(cluster: MasterHarness) -> None:
    await cluster.write("/x", chunk_count=1)
    await cluster.remove("/x")
    results = await asyncio.gather(*(cluster.restore("/x", f"/{n}") for n in range(10)), return_exceptions=True)
    assert sum(isinstance(result, FileInfo) for result in results) == 1
    assert {result.reason for result in results if isinstance(result, DstoreError)} == {"STILL_LIVE"}
    assert len(await cluster.names("/")) == 1


async def test_a_commit_of_a_file_that_was_restored_keeps_its_chunks(cluster: MasterHarness) -> None:
    intent = await cluster.begin("/x", chunk_count=2)
    await cluster.commit(intent, [written(placement, index) for index, placement in enumerate(intent.placements)])
    await cluster.remove("/x")
    await cluster.restore("/x")
    await cluster.collect_all()
    opened = await cluster.namespace.open_file("/x")
    assert [record.chunk_id for record in opened.page.chunks] == [each.chunk_id for each in intent.placements]
    assert await cluster.rows("SELECT COUNT(*) FROM deleted_chunks") == [(0,)]
    await cluster.check_counters()
