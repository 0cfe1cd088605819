"""Writing: intents, records, commits, races, expiry."""

from dataclasses import replace

import pytest
from master_harness import CHUNK_SIZE, HEADER, KEYS, MasterHarness, server_id, written

from dstore.core import errors
from dstore.core.errors import DstoreError
from dstore.core.files import ABSENT, ANY, Commit, Precondition, PreconditionKind, WrappedKey, WriteIntent, WrittenChunk
from dstore.core.ids import ChunkId, FileId, GroupId, Version
from dstore.core.limits import INTENT_LEASE_DURATION_S

SEALED_MAX = 56 + CHUNK_SIZE + 2 * 16


def version_is(version: int) -> Precondition:
    return Precondition(PreconditionKind.VERSION, Version(version))


async def test_begin_hands_out_what_the_writer_binds(cluster: MasterHarness) -> None:
    directory = await cluster.make_directory("/dir")
    intent = await cluster.begin("/dir/file", chunk_count=3)
    info = await cluster.namespace.get_cluster()
    assert (intent.cluster_id, intent.policy) == (info.cluster_id, info.policy)
    assert (intent.parent_id, intent.name) == (directory.file_id, "file")
    assert intent.file_id > directory.file_id
    assert intent.version > directory.version
    assert intent.lease_duration_s == INTENT_LEASE_DURATION_S
    assert len(intent.placements) == 3
    for placement in intent.placements:
        assert placement.chunk_id.group_id == placement.group.group_id
        assert placement.chain == tuple(member.server_id for member in placement.group.members)
        assert sorted(placement.chain) == [server_id(1), server_id(2), server_id(3)]
    assert {placement.chain[0] for placement in intent.placements} == {server_id(1), server_id(2), server_id(3)}


async def test_nothing_is_visible_before_the_commit(cluster: MasterHarness) -> None:
    intent = await cluster.begin("/file", chunk_count=1)
    assert await cluster.names("/") == []
    info = await cluster.commit(intent, [written(intent.placements[0], 0)])
    assert await cluster.names("/") == ["file"]
    assert info == await cluster.namespace.stat("/file")
    assert (info.path, info.file_id, info.version) == ("/file", intent.file_id, intent.version)


@pytest.mark.parametrize("manifest", [b"\x00", b"\xff" * 65536, bytes(range(256))])
async def test_the_manifest_is_kept_as_it_is(cluster: MasterHarness, manifest: bytes) -> None:
    intent = await cluster.begin("/file")
    await cluster.commit(intent, sealed_manifest=manifest)
    opened = await cluster.namespace.open_file("/file")
    assert opened.sealed_manifest == manifest
    assert opened.wrapped_keys == KEYS
    assert (opened.chunk_size_bytes, opened.parent_id) == (CHUNK_SIZE, 1)


async def test_chunks_can_be_recorded_in_pieces_and_in_any_order(cluster: MasterHarness) -> None:
    intent = await cluster.begin("/file", chunk_count=2)
    first, second = intent.placements
    third, fourth = await cluster.namespace.allocate_chunks(
        intent.intent_id, count=2, written=(written(second, 3),), avoid=(), request_id=cluster.request_id()
    )
    await cluster.namespace.allocate_chunks(
        intent.intent_id, count=0, written=(written(first, 0),), avoid=(), request_id=cluster.request_id()
    )
    await cluster.commit(intent, [written(fourth, 1), written(third, 2)], chunk_count=4)
    opened = await cluster.namespace.open_file("/file")
    assert [record.index for record in opened.page.chunks] == [0, 1, 2, 3]
    expected = [first.chunk_id, fourth.chunk_id, third.chunk_id, second.chunk_id]
    assert [record.chunk_id for record in opened.page.chunks] == expected
    assert opened.page.chunks[3] == written(second, 3).record
    assert {group.group_id for group in opened.page.groups} == {each.group_id for each in expected}


async def test_list_chunks_goes_on_where_open_ended(cluster: MasterHarness) -> None:
    info = await cluster.write("/file", chunk_count=5)
    for start, count, expected in [(0, 0, 5), (0, 2, 2), (3, 2, 2), (4, 9, 1), (5, 1, 0), (1 << 64, 1, 0)]:
        page = await cluster.namespace.list_chunks(info.file_id, info.version, start_index=start, count=count)
        assert [record.index for record in page.chunks] == list(range(min(start, 5), min(start, 5) + expected))
        assert {group.group_id for group in page.groups} == {record.chunk_id.group_id for record in page.chunks}
    for start, count in [(-1, 1), (0, -1)]:
        with pytest.raises(errors.InvalidRequest):
            await cluster.namespace.list_chunks(info.file_id, info.version, start_index=start, count=count)


@pytest.mark.parametrize("end", ["replaced", "removed"])
async def test_list_chunks_refuses_what_is_no_longer_kept(cluster: MasterHarness, end: str) -> None:
    info = await cluster.write("/file", chunk_count=1)
    renamed = await cluster.rename("/file", "/other")
    for version in (info.version, renamed.version):
        page = await cluster.namespace.list_chunks(info.file_id, version, start_index=0, count=0)
        assert len(page.chunks) == 1
    await (cluster.write("/other") if end == "replaced" else cluster.remove("/other"))
    # Whoever opened it goes on reading while it is retained.
    for version in (info.version, renamed.version):
        assert page == await cluster.namespace.list_chunks(info.file_id, version, start_index=0, count=0)
    await cluster.collect_all()
    wrong = [
        (info.file_id, info.version),
        (info.file_id, renamed.version),
        (info.file_id, Version(renamed.version + 1)),
        (info.file_id, Version(1 << 63)),
        (info.file_id, Version(-1)),
        (FileId(1), Version(1)),
        (FileId(1 << 63), Version(1)),
        (FileId(-1), Version(1)),
    ]
    for file_id, version in wrong:
        with pytest.raises(errors.NotFound) as caught:
            await cluster.namespace.list_chunks(file_id, version, start_index=0, count=0)
        assert caught.value.reason == "VERSION_NOT_FOUND"


PRECONDITIONS = [
    # what is there, precondition, reason of the refusal
    ("nothing", ANY, None),
    ("nothing", ABSENT, None),
    ("nothing", version_is(1), "VERSION_CHANGED"),
    ("file", ANY, None),
    ("file", ABSENT, "FILE_EXISTS"),
    ("file", version_is(0), "VERSION_CHANGED"),
    ("file", version_is(1 << 63), "VERSION_CHANGED"),
    ("directory", ANY, "IS_A_DIRECTORY"),
    ("directory", ABSENT, "FILE_EXISTS"),
    ("directory", version_is(1), "IS_A_DIRECTORY"),
]


async def put_in_place(cluster: MasterHarness, what: str) -> None:
    if what == "file":
        await cluster.write("/x")
    elif what == "directory":
        await cluster.make_directory("/x")


@pytest.mark.parametrize(("there", "precondition", "reason"), PRECONDITIONS)
async def test_preconditions_at_the_begin(
    cluster: MasterHarness, there: str, precondition: Precondition, reason: str | None
) -> None:
    await put_in_place(cluster, there)
    if reason is None:
        await cluster.write("/x", precondition=precondition)
    else:
        with pytest.raises(DstoreError) as caught:
            await cluster.begin("/x", precondition=precondition)
        assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("precondition", "meanwhile", "reason"),
    [
        (ANY, "directory", "IS_A_DIRECTORY"),
        (ANY, "file", "VERSION_SUPERSEDED"),
        (ABSENT, "file", "FILE_EXISTS"),
        (ABSENT, "directory", "FILE_EXISTS"),
    ],
)
async def test_preconditions_at_the_commit(
    cluster: MasterHarness, precondition: Precondition, meanwhile: str, reason: str
) -> None:
    intent = await cluster.begin("/x", precondition=precondition)
    await put_in_place(cluster, meanwhile)
    before = await cluster.namespace.stat("/x")
    with pytest.raises(DstoreError) as caught:
        await cluster.commit(intent)
    assert caught.value.reason == reason
    assert await cluster.namespace.stat("/x") == before


async def test_replace_only_if_the_version_is_still_the_same(cluster: MasterHarness) -> None:
    first = await cluster.write("/x")
    intent = await cluster.begin("/x", precondition=version_is(first.version))
    late = await cluster.begin("/x", precondition=version_is(first.version))
    second = await cluster.commit(intent)
    with pytest.raises(errors.Conflict) as caught:
        await cluster.commit(late)
    assert caught.value.reason == "VERSION_CHANGED"
    assert await cluster.namespace.stat("/x") == second
    assert second.created_ns == first.created_ns


async def test_of_two_writers_the_later_version_wins(cluster: MasterHarness) -> None:
    early = await cluster.begin("/x", chunk_count=1)
    late = await cluster.begin("/x", chunk_count=1)
    await cluster.commit(late, [written(late.placements[0], 0)])
    with pytest.raises(errors.Conflict) as caught:
        await cluster.commit(early, [written(early.placements[0], 0)])
    assert caught.value.reason == "VERSION_SUPERSEDED"
    lease = await cluster.namespace.renew_intent(early.intent_id, fresh_version=True)
    info = await cluster.commit(early, [written(early.placements[0], 0)], version=lease.version)
    assert info.version == lease.version > late.version
    assert info.file_id == early.file_id
    # The one that was replaced is retained.
    assert await cluster.rows("SELECT reason FROM deleted_chunks") == []
    await cluster.collect_all()
    assert await cluster.rows("SELECT sequence, reason FROM deleted_chunks") == [
        (late.placements[0].chunk_id.sequence, "released")
    ]


@pytest.mark.parametrize("gone", ["remove", "rename"])
async def test_versions_at_a_name_grow_over_removal(cluster: MasterHarness, gone: str) -> None:
    intent = await cluster.begin("/x")
    newer = await cluster.write("/x")
    await (cluster.remove("/x") if gone == "remove" else cluster.rename("/x", "/y"))
    with pytest.raises(errors.Conflict) as caught:
        await cluster.commit(intent)
    assert caught.value.reason == "VERSION_SUPERSEDED"
    lease = await cluster.namespace.renew_intent(intent.intent_id, fresh_version=True)
    info = await cluster.commit(intent, version=lease.version)
    assert info.version > newer.version


async def test_a_version_that_is_not_the_latest_of_the_intent_is_refused(cluster: MasterHarness) -> None:
    intent = await cluster.begin("/x")
    await cluster.namespace.renew_intent(intent.intent_id, fresh_version=True)
    with pytest.raises(errors.Conflict) as caught:
        await cluster.commit(intent)
    assert caught.value.reason == "VERSION_SUPERSEDED"


async def test_a_write_follows_its_directory(cluster: MasterHarness) -> None:
    await cluster.make_directory("/a")
    intent = await cluster.begin("/a/x")
    await cluster.rename("/a", "/b")
    assert (await cluster.commit(intent)).path == "/b/x"


async def test_a_write_into_a_removed_directory_fails(cluster: MasterHarness) -> None:
    await cluster.make_directory("/a")
    intent = await cluster.begin("/a/x")
    await cluster.remove("/a")
    await cluster.make_directory("/a")
    with pytest.raises(errors.NotFound) as caught:
        await cluster.commit(intent)
    assert caught.value.reason == "FILE_NOT_FOUND"
    assert await cluster.names("/a") == []


async def broken(intent: WriteIntent, what: str) -> WrittenChunk:
    good = written(intent.placements[0], 0)
    record = good.record
    chunk_id = record.chunk_id
    return {
        "good": good,
        "negative index": replace(good, record=replace(record, index=-1)),
        "huge index": replace(good, record=replace(record, index=1 << 63)),
        "unknown sequence": replace(good, record=replace(record, chunk_id=ChunkId(chunk_id.group_id, 999))),
        "huge sequence": replace(good, record=replace(record, chunk_id=ChunkId(chunk_id.group_id, 1 << 63))),
        "sequence 0": replace(good, record=replace(record, chunk_id=ChunkId(chunk_id.group_id, 0))),
        "other group": replace(good, record=replace(record, chunk_id=ChunkId(GroupId(9), chunk_id.sequence))),
        "too short": replace(good, record=replace(record, length_bytes=56)),
        "too long": replace(good, record=replace(record, length_bytes=SEALED_MAX + 1)),
        "crc out of range": replace(good, record=replace(record, crc32c=1 << 32)),
        "short header": replace(good, record=replace(record, header=HEADER[:-1])),
        "one replica": replace(good, replicas=good.replicas[:1]),
        "no replica": replace(good, replicas=()),
        "a replica twice": replace(good, replicas=(good.replicas[0],) * 2),
        "a stranger": replace(good, replicas=(*good.replicas[:2], server_id(9))),
    }[what]


BROKEN = [
    "negative index",
    "huge index",
    "unknown sequence",
    "huge sequence",
    "sequence 0",
    "other group",
    "too short",
    "too long",
    "crc out of range",
    "short header",
    "one replica",
    "no replica",
    "a replica twice",
    "a stranger",
]


@pytest.mark.parametrize("what", BROKEN)
async def test_a_broken_record_is_refused_at_both_doors(cluster: MasterHarness, what: str) -> None:
    intent = await cluster.begin("/x", chunk_count=1)
    chunk = await broken(intent, what)
    with pytest.raises(errors.InvalidRequest) as caught:
        await cluster.commit(intent, [chunk])
    assert caught.value.reason == "CHUNK_RECORD_INVALID"
    with pytest.raises(errors.InvalidRequest) as caught:
        await cluster.namespace.allocate_chunks(
            intent.intent_id, count=0, written=(chunk,), avoid=(), request_id=cluster.request_id()
        )
    assert caught.value.reason == "CHUNK_RECORD_INVALID"
    await cluster.commit(intent, [await broken(intent, "good")])


async def test_the_largest_chunk_is_accepted(cluster: MasterHarness) -> None:
    intent = await cluster.begin("/x", chunk_count=1)
    good = written(intent.placements[0], 0)
    await cluster.commit(intent, [replace(good, record=replace(good.record, length_bytes=SEALED_MAX))])


async def test_a_chunk_is_recorded_once(cluster: MasterHarness) -> None:
    intent = await cluster.begin("/x", chunk_count=2)
    first, second = intent.placements
    twice_the_id = [written(first, 0), written(first, 1)]
    twice_the_index = [written(first, 0), written(second, 0)]
    a_gap = [written(first, 0), written(second, 2)]
    for chunks in (twice_the_id, twice_the_index, a_gap):
        with pytest.raises(errors.InvalidRequest) as caught:
            await cluster.commit(intent, chunks)
        assert caught.value.reason == "CHUNK_RECORD_INVALID"


async def test_an_id_of_another_intent_is_refused(cluster: MasterHarness) -> None:
    intent = await cluster.begin("/x", chunk_count=1)
    other = await cluster.begin("/y", chunk_count=1)
    with pytest.raises(errors.InvalidRequest) as caught:
        await cluster.commit(intent, [written(other.placements[0], 0)])
    assert caught.value.reason == "CHUNK_RECORD_INVALID"


@pytest.mark.parametrize(
    "keys",
    [
        (),
        (WrappedKey(1, b"short", b"x"),),
        (WrappedKey(1, b"8 bytes.", b""),),
        (WrappedKey(1, b"8 bytes.", b"x" * 2049),),
        KEYS * 65,
    ],
)
async def test_wrapped_keys_are_checked(cluster: MasterHarness, keys: tuple[WrappedKey, ...]) -> None:
    intent = await cluster.begin("/x")
    commit = Commit(intent.intent_id, intent.version, 0, 0, (), b"sealed", keys)
    with pytest.raises(errors.InvalidRequest) as caught:
        await cluster.namespace.commit_write(commit, request_id=cluster.request_id())
    assert caught.value.reason == "WRAPPED_KEYS_INVALID"


@pytest.mark.parametrize(("count", "kind"), [(-1, errors.InvalidRequest), (65, errors.LimitExceeded)])
async def test_the_number_of_ids_is_bounded(cluster: MasterHarness, count: int, kind: type[DstoreError]) -> None:
    with pytest.raises(kind):
        await cluster.begin("/x", chunk_count=count)
    intent = await cluster.begin("/x", chunk_count=64)
    assert len(intent.placements) == 64
    with pytest.raises(kind):
        await cluster.namespace.allocate_chunks(
            intent.intent_id, count=count, written=(), avoid=(), request_id=cluster.request_id()
        )


async def test_too_many_records_in_one_call_are_refused(cluster: MasterHarness) -> None:
    intent = await cluster.begin("/x", chunk_count=1)
    with pytest.raises(errors.LimitExceeded):
        await cluster.commit(intent, [written(intent.placements[0], 0)] * 10_001)


async def test_missing_replicas_are_recorded_and_given_up_with_the_file(cluster: MasterHarness) -> None:
    await cluster.write("/x", chunk_count=2, without=[server_id(3)])
    assert await cluster.rows("SELECT DISTINCT server_id FROM missing_replicas") == [(server_id(3),)]
    await cluster.check_counters()
    await cluster.write("/x")
    # What is retained keeps its redundancy (Invariant 8), so it is known what lacks it.
    assert await cluster.rows("SELECT COUNT(*) FROM missing_replicas") == [(2,)]
    await cluster.collect_all()
    assert await cluster.rows("SELECT * FROM missing_replicas") == []


async def test_chunk_ids_are_never_used_again(cluster: MasterHarness) -> None:
    seen: list[int] = []
    for _ in range(3):
        intent = await cluster.begin("/x", chunk_count=3)
        seen += [placement.chunk_id.sequence for placement in intent.placements]
        await cluster.namespace.abandon_write(intent.intent_id, request_id=cluster.request_id())
        await cluster.restart()
        await cluster.beat()
    assert seen == list(range(1, 10))


async def test_what_a_file_does_not_take_is_given_up(cluster: MasterHarness) -> None:
    intent = await cluster.begin("/x", chunk_count=3)
    await cluster.commit(intent, [written(intent.placements[1], 0)])
    rows = await cluster.rows("SELECT sequence, reason FROM deleted_chunks ORDER BY sequence")
    assert rows == [
        (intent.placements[0].chunk_id.sequence, "unused"),
        (intent.placements[2].chunk_id.sequence, "unused"),
    ]
