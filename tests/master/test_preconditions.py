"""What a remove or a rename demands of its paths is decided in the transaction that carries it out."""

import asyncio
from dataclasses import replace

import pytest
from master_harness import MasterHarness
from test_races import threaded

from dstore.core.errors import DstoreError
from dstore.core.files import ABSENT, ANY, FileInfo, Precondition, PreconditionKind, RemoveResult, Rename
from dstore.core.ids import Version

__all__ = ["threaded"]
OTHER = Version(1 << 40)


async def outcome(cluster: MasterHarness, rename: Rename) -> str:
    """Prepare a rename, carry it out, and return how it ends."""
    try:
        ticket = await cluster.namespace.prepare_rename(rename.source, rename.target, rename.precondition)
        sealed = b"" if ticket.source.is_directory else b"sealed again"
        prepared = replace(rename, source_version=ticket.source.version, version=ticket.version, sealed_manifest=sealed)
        await cluster.namespace.rename(prepared, request_id=cluster.request_id())
    except DstoreError as error:
        return error.reason
    return "done"


@pytest.fixture
async def tree(cluster: MasterHarness) -> MasterHarness:
    """A few files and directories."""
    await cluster.write("/file", chunk_count=1)
    await cluster.write("/other", chunk_count=1)
    await cluster.make_directory("/empty")
    await cluster.make_directory("/full/of")
    return cluster


@pytest.mark.parametrize("path", ["/file", "/empty", "/full"])
async def test_only_the_version_that_is_wanted_is_removed(tree: MasterHarness, path: str) -> None:
    present = await tree.namespace.stat(path)
    for version in (Version(1), Version(present.version - 1), Version(present.version + 1), OTHER):
        if version == present.version:
            continue
        with pytest.raises(DstoreError) as caught:
            await tree.namespace.remove(path, recursive=True, request_id=tree.request_id(), version=version)
        assert caught.value.reason == "VERSION_CHANGED"
    assert await tree.namespace.stat(path) == present
    gone = await tree.namespace.remove(path, recursive=True, request_id=tree.request_id(), version=present.version)
    assert gone.files + gone.directories >= 1
    with pytest.raises(FileNotFoundError):
        await tree.namespace.remove(path, recursive=True, request_id=tree.request_id(), version=present.version)


TARGETS = [
    ("/free", "absent", "done"),
    ("/free", "its version", "VERSION_CHANGED"),
    ("/other", "absent", "FILE_EXISTS"),
    ("/other", "its version", "done"),
    ("/other", "another version", "VERSION_CHANGED"),
    ("/other", "", "done"),
    ("/empty", "absent", "FILE_EXISTS"),
    ("/empty", "its version", "IS_A_DIRECTORY"),
    ("/file", "absent", "FILE_EXISTS"),
    ("/file", "its version", "done"),
]


@pytest.mark.parametrize(("target", "wanted", "expected"), TARGETS)
async def test_the_target_of_a_rename(tree: MasterHarness, target: str, wanted: str, expected: str) -> None:
    version = OTHER
    if wanted == "its version" and target != "/free":
        version = (await tree.namespace.stat(target)).version
    precondition = {"absent": ABSENT, "": ANY}.get(wanted, Precondition(PreconditionKind.VERSION, version))
    rename = Rename("/file", target, OTHER, OTHER, b"", precondition)
    before = await tree.names("/")
    assert await outcome(tree, rename) == expected
    if expected != "done":
        assert await tree.names("/") == before


async def test_a_target_that_appears_after_the_ticket_is_not_replaced(tree: MasterHarness) -> None:
    ticket = await tree.namespace.prepare_rename("/file", "/free", ABSENT)
    await tree.make_directory("/free")
    rename = Rename("/file", "/free", ticket.source.version, ticket.version, b"sealed again", ABSENT)
    with pytest.raises(FileExistsError):
        await tree.namespace.rename(rename, request_id=tree.request_id())


async def test_of_many_renames_to_one_free_name_one_is_done(threaded: MasterHarness) -> None:
    for number in range(20):
        await threaded.write(f"/{number}", chunk_count=1)
    renames = [Rename(f"/{number}", "/name", OTHER, OTHER, b"", ABSENT) for number in range(20)]
    outcomes = await asyncio.gather(*(outcome(threaded, each) for each in renames))
    assert sorted(outcomes) == ["FILE_EXISTS"] * 19 + ["done"]
    assert len(await threaded.names("/")) == 20


async def test_of_removers_and_writers_with_one_version_one_is_done(threaded: MasterHarness) -> None:
    present = await threaded.write("/name", chunk_count=1)
    wanted = Precondition(PreconditionKind.VERSION, present.version)
    results = await asyncio.gather(
        *(threaded.write("/name", precondition=wanted) for _ in range(10)),
        *(
            threaded.namespace.remove(
                "/name", recursive=False, request_id=threaded.request_id(), version=present.version
            )
            for _ in range(10)
        ),
        return_exceptions=True,
    )
    done = [each for each in results if isinstance(each, FileInfo | RemoveResult)]
    reasons = {each.reason for each in results if isinstance(each, DstoreError)}
    assert len(done) == 1
    assert reasons <= {"VERSION_CHANGED", "FILE_NOT_FOUND"}
    assert await threaded.names("/") == (["name"] if isinstance(done[0], FileInfo) else [])
