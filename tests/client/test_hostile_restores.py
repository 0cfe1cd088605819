"""A master cannot pass off anything else for what is restored, and nothing is sealed for a lie."""

from dataclasses import replace
from typing import Any

import pytest
from store_in_process import CHUNK_SIZE, InProcessCluster, pattern

from dstore.client.client import AsyncClient
from dstore.core.errors import Corrupt, DstoreError, Internal
from dstore.core.ids import FileId, Version
from dstore.core.removed import RemovedPage, RestoreTicket

DATA = pattern(3 * CHUNK_SIZE + 1)


async def listed(client: AsyncClient, path: str = "/") -> list[str]:
    return [entry.path async for entry in client.list_removed(path)]


async def change_ticket(cluster: InProcessCluster, client: AsyncClient, change: Any, **options: Any) -> DstoreError:
    def alter(ticket: RestoreTicket) -> RestoreTicket:
        return replace(ticket, move=replace(ticket.move, **change(ticket.move)))

    cluster.calls.answers["prepare_restore"] = alter
    with pytest.raises(DstoreError) as caught:
        await client.restore("/x", **options)
    assert "restore" not in cluster.calls.names, "nothing is sealed for a lie"
    return caught.value


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("another name", lambda move: {"target_name": "y"}),
        ("another directory", lambda move: {"target_parent_id": FileId(77)}),
        ("another source directory", lambda move: {"source_parent_id": FileId(77)}),
        ("an older version", lambda move: {"version": move.source.version}),
        ("another cluster", lambda move: {"cluster_id": "6b1f8a52-0c3d-4e9f-8a7b-112233445566"}),
        ("another size", lambda move: {"source": replace(move.source, size_bytes=1)}),
        ("another version of the source", lambda move: {"source": replace(move.source, version=Version(2))}),
        ("no manifest", lambda move: {"sealed_manifest": b""}),
    ],
)
async def test_a_ticket_for_something_else(
    client: AsyncClient, cluster: InProcessCluster, name: str, change: Any
) -> None:
    await client.put("/other", b"")
    await client.put("/x", DATA)
    await client.remove("/x")
    error = await change_ticket(cluster, client, change)
    assert isinstance(error, Corrupt), name


async def test_another_version_than_was_asked_for(client: AsyncClient, cluster: InProcessCluster) -> None:
    first, second = await client.put("/x", b"1"), await client.put("/x", b"2")
    await client.remove("/x")

    async def lie(path: str, *, version: Version, target: str) -> RestoreTicket:
        return await cluster.master.namespace.prepare_restore(path, version=first.version, target=target)

    cluster.calls.prepare_restore = lie  # type: ignore[attr-defined]
    with pytest.raises(Corrupt) as caught:
        await client.restore("/x", version=second.version)
    assert caught.value.reason == "TICKET_INVALID"


async def test_an_old_manifest_at_the_restored_path(client: AsyncClient, cluster: InProcessCluster) -> None:
    info = await client.put("/x", DATA)
    await client.remove("/x")
    restored = (await client.restore("/x")).info
    await client.get("/x")
    # The row as it was before the removal, under its own version, and under the new one.
    [(old,)] = await cluster.sql(
        "SELECT sealed_manifest FROM inodes WHERE file_id = ? AND version = ?", info.file_id, info.version
    )
    await cluster.sql("UPDATE inodes SET sealed_manifest = ? WHERE file_id = ?", old, info.file_id)
    with pytest.raises(Corrupt) as caught:
        await client.get("/x")
    assert caught.value.reason == "MANIFEST_MISMATCH"
    await cluster.sql(
        "UPDATE inodes SET version = ? WHERE file_id = ? AND version = ?",
        info.version,
        info.file_id,
        restored.version,
    )
    with pytest.raises(Corrupt) as caught:
        await client.get("/x")
    assert caught.value.reason == "VERSION_ROLLED_BACK"


async def test_a_version_below_the_highest_that_was_seen(
    client: AsyncClient, cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dstore.client.restoring.RESTORE_ATTEMPTS_MAX", 2)
    await client.put("/x", b"1")
    newest = await client.put("/x", b"2")
    await client.remove("/x")

    def lower(ticket: RestoreTicket) -> RestoreTicket:
        return replace(ticket, move=replace(ticket.move, version=newest.version))

    cluster.calls.answers["prepare_restore"] = lower
    with pytest.raises(Corrupt) as caught:
        await client.restore("/x")
    assert caught.value.reason == "VERSION_ROLLED_BACK"


@pytest.mark.parametrize("path", ["/else", "/dirt/x", "/dir/../x", "dir/x", "/dir//x", "/dir/"])
async def test_a_listing_of_other_paths(client: AsyncClient, cluster: InProcessCluster, path: str) -> None:
    await client.make_directory("/dir")
    await client.put("/dir/x", b"")
    await client.remove("/dir/x")

    def alter(page: RemovedPage) -> RemovedPage:
        return replace(page, entries=tuple(replace(entry, path=path) for entry in page.entries))

    cluster.calls.answers["list_removed"] = alter
    with pytest.raises(Internal) as caught:
        await listed(client, "/dir")
    assert caught.value.reason == "ANSWER_INVALID"


async def test_a_listing_that_goes_back(client: AsyncClient, cluster: InProcessCluster) -> None:
    for name in ("a", "b"):
        await client.put(f"/{name}", b"")
        await client.remove(f"/{name}")
    cluster.calls.answers["list_removed"] = lambda page: replace(page, entries=page.entries[::-1])
    with pytest.raises(Internal, match="not in order"):
        await listed(client)
