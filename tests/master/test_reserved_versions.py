"""Identities and versions that were given out ahead: each is used once, and versions at one name only grow."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from batch_outcomes import outcomes
from master_harness import MasterHarness

from dstore.core import errors
from dstore.core.errors import DstoreError
from dstore.core.files import Rename
from dstore.core.limits import RESERVED_FILES_MAX


async def test_reservations_never_overlap(cluster: MasterHarness) -> None:
    first = await cluster.namespace.reserve_files(10)
    await cluster.restart()
    second = await cluster.namespace.reserve_files(1)
    intent = await cluster.begin("/file")
    assert second.first_file_id == first.first_file_id + 10
    assert second.first_version == first.first_version + 10
    assert (intent.file_id, intent.version) == (second.first_file_id + 1, second.first_version + 1)


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        (-1, "RESERVATION_INVALID"),
        (0, "RESERVATION_INVALID"),
        (1, ""),
        (RESERVED_FILES_MAX, ""),
        (RESERVED_FILES_MAX + 1, "RESERVATION_TOO_LARGE"),
    ],
)
async def test_the_size_of_a_reservation_is_bounded(cluster: MasterHarness, count: int, reason: str) -> None:
    if not reason:
        assert (await cluster.namespace.reserve_files(count)).count == count
        return
    with pytest.raises(DstoreError) as caught:
        await cluster.namespace.reserve_files(count)
    assert caught.value.reason == reason


async def remove(cluster: MasterHarness) -> None:
    await cluster.remove("/dir/file")


async def remove_in_a_batch(cluster: MasterHarness) -> None:
    await cluster.namespace.remove_files((("/dir/file", False, cluster.request_id()),))


async def rename_away(cluster: MasterHarness) -> None:
    await cluster.rename("/dir/file", "/elsewhere")


async def remove_and_restore_the_directory(cluster: MasterHarness) -> None:
    await cluster.remove("/dir", recursive=True)
    await cluster.restore("/dir")


async def nothing(cluster: MasterHarness) -> None:
    pass


@pytest.mark.parametrize("happens", [remove, remove_in_a_batch, rename_away, remove_and_restore_the_directory, nothing])
async def test_versions_at_one_name_only_grow(
    cluster: MasterHarness, happens: Callable[[MasterHarness], Awaitable[None]]
) -> None:
    directory = await cluster.make_directory("/dir")
    (old,) = await cluster.seal("/dir/file", parent_id=directory.file_id)
    await cluster.write("/dir/file")
    await happens(cluster)
    (refusal,) = await cluster.put(old)
    assert outcomes(refusal) == ["VERSION_SUPERSEDED"]
    (fresh,) = await cluster.seal("/dir/file", parent_id=directory.file_id)
    assert outcomes(*await cluster.put(fresh)) == ["done"]


async def test_an_old_reservation_is_good_for_names_without_a_newer_version(cluster: MasterHarness) -> None:
    old = await cluster.seal("/a", "/b")
    await cluster.write("/c")
    assert outcomes(*await cluster.put(*old)) == ["done", "done"]


@pytest.mark.parametrize("state", ["live", "removed", "moved", "written", "of a directory"])
async def test_an_identity_is_used_once(cluster: MasterHarness, state: str) -> None:
    file, other = await cluster.seal("/file", "/other")
    if state == "written":
        used = (await cluster.begin("/elsewhere")).file_id
    elif state == "of a directory":
        used = (await cluster.make_directory("/dir")).file_id
    else:
        used = file.file_id
        await cluster.put(file)
    if state == "removed":
        await cluster.remove("/file")
    if state == "moved":
        await cluster.rename("/file", "/moved")
    assert outcomes(*await cluster.put(replace(other, file_id=used))) == ["VERSION_SUPERSEDED"]


async def test_a_reservation_of_a_history_that_was_lost_is_refused(cluster: MasterHarness) -> None:
    (file,) = await cluster.seal("/file")
    await cluster.store.write(
        lambda tx: tx.execute("UPDATE counters SET value = value - 1 WHERE name IN ('file_id', 'version')")
    )
    assert outcomes(*await cluster.put(file)) == ["VERSION_SUPERSEDED"]


async def test_a_write_in_progress_gives_way_to_a_newer_small_file(cluster: MasterHarness) -> None:
    intent = await cluster.begin("/file")
    await cluster.put(*await cluster.seal("/file"))
    with pytest.raises(errors.Conflict, match="fresh version"):
        await cluster.commit(intent)
    lease = await cluster.namespace.renew_intent(intent.intent_id, fresh_version=True)
    info = await cluster.commit(intent, version=lease.version)
    assert (await cluster.namespace.stat("/file")) == info


async def test_a_removal_in_a_batch_holds_back_writes_in_progress(cluster: MasterHarness) -> None:
    intent = await cluster.begin("/file")
    await cluster.put(*await cluster.seal("/file"))
    await cluster.namespace.remove_files((("/file", False, cluster.request_id()),))
    with pytest.raises(errors.Conflict) as caught:
        await cluster.commit(intent)
    assert caught.value.reason == "VERSION_SUPERSEDED"


async def test_a_rename_gives_way_to_a_newer_small_file(cluster: MasterHarness) -> None:
    await cluster.write("/source")
    ticket = await cluster.namespace.prepare_rename("/source", "/file")
    await cluster.put(*await cluster.seal("/file"))
    with pytest.raises(errors.Conflict) as caught:
        await cluster.namespace.rename(
            Rename("/source", "/file", ticket.source.version, ticket.version, b"sealed"),
            request_id=cluster.request_id(),
        )
    assert caught.value.reason == "VERSION_CHANGED"
