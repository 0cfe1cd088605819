"""Conversions are inverse to each other, and refuse what dstore does not allow."""

from dataclasses import replace

import pytest

from dstore.core.chunks import ChainMember, ChunkStat, Durability, ReadRequest, ReplicaAck, WriteHeader, WriteResult
from dstore.core.digests import GroupDigest, HeldChunk, HeldPage
from dstore.core.errors import InvalidRequest, LimitExceeded
from dstore.core.files import (
    ABSENT,
    ANY,
    ChunkPage,
    ChunkPlacement,
    ChunkRecord,
    Commit,
    FileInfo,
    FileKind,
    IntentLease,
    OpenedFile,
    Policy,
    Precondition,
    PreconditionKind,
    Rename,
    RenameTicket,
    WrappedKey,
    WriteIntent,
    WrittenChunk,
)
from dstore.core.groups import (
    Capacity,
    Group,
    GroupEpoch,
    MemberState,
    Replica,
    ServerIdentity,
    ServerLabels,
    ServerPhase,
)
from dstore.core.ids import BootId, ChunkId, ClusterId, FileId, GroupId, IntentId, RequestId, ServerId, Version
from dstore.core.limits import REQUEST_ID_SIZE_BYTES_MAX, SEALED_MANIFEST_SIZE_BYTES_MAX, WRAPPED_KEYS_MAX
from dstore.core.removed import RemovalReason, RemovedFile, RemovedPage, Restore, RestoreTicket
from dstore.core.status import (
    ChunkDescription,
    ClusterStatus,
    FileDescription,
    GroupStates,
    Health,
    HealthCheck,
    RepairProgress,
    ServerStatus,
)
from dstore.core.traffic import ByteCounts, Traffic
from dstore.core.upkeep import (
    Assignment,
    CopyReport,
    DiskProbe,
    Filled,
    GroupDoubt,
    GroupSummary,
    Heartbeat,
    Orders,
    Outcomes,
    Registration,
    ScrubReport,
    Source,
    Standing,
    UnsyncedReport,
    UpkeepSettings,
)
from dstore.rpc.convert import chunks, files, groups, removed, status, upkeep, writes
from dstore.v1 import chunk_service_pb2 as chunk_v1
from dstore.v1 import types_pb2 as v1

SERVER_ID = ServerId("11111111-2222-3333-4444-555555555555")
CLUSTER_ID = ClusterId("99999999-2222-3333-4444-555555555555")
INTENT_ID = IntentId("77777777-2222-3333-4444-555555555555")
BOOT_ID = BootId("88888888-2222-3333-4444-555555555555")
POLICY = Policy("default", 3, 2, 65_536, "host", 3_600)
CHUNK_ID = ChunkId(GroupId(0xFFFFFFFF), 2**64 - 1)
MEMBERS = (
    *(Replica(SERVER_ID, f"cs-{i}", f"h:{i}", phase) for i, phase in enumerate(ServerPhase)),
    *(Replica(SERVER_ID, f"cs-{i}", f"h:{i}", ServerPhase.UP, state) for i, state in enumerate(MemberState)),
)
GROUP = Group(GroupId(3), 9, MEMBERS)
RECORD = ChunkRecord(2**40, CHUNK_ID, 2**32 - 1, 2**32 - 1, bytes(range(56)))
INFO = FileInfo("/ä/b", FileKind.FILE, FileId(2**64 - 1), 2**50, Version(5), 1_700_000_000_123_456_789, 1, 7)
KEYS = (WrappedKey(1, b"12345678", b"wrapped"), WrappedKey(9, b"abcdefgh", b""))
WRITTEN = (WrittenChunk(RECORD, (SERVER_ID,)),)
PLACEMENTS = (ChunkPlacement(CHUNK_ID, GROUP, (SERVER_ID,)),)
SERVER = ServerStatus(
    SERVER_ID, "cs-1", "h:1", "h:2", ServerLabels("h", "r"), ServerPhase.DOWN, 1.5, Capacity(1000, 250), 5, 4, 3, 2, "1"
)
STANDING = Standing(7, "66666666-2222-3333-4444-555555555555", 2**50)
SOURCES = (Source(SERVER_ID, "h:1"), Source(SERVER_ID, "h:2", is_member=False))
ORDERS = Orders(
    standing=STANDING,
    settled_sequence=2**40,
    assignments=tuple(
        Assignment(
            GroupId(index), 2**40, state, 2, (Source(SERVER_ID, "h:1"), Source(SERVER_ID, "h:2", is_member=False))
        )
        for index, state in enumerate(MemberState)
    ),
    assignments_digest=bytes(16),
    missing=(CHUNK_ID,),
    discards=(CHUNK_ID, CHUNK_ID),
    drops=(GroupEpoch(GroupId(1), 2**40),),
    settings=UpkeepSettings(14.5, scrub_is_paused=True, copy_bytes_per_s=2**40, trash_delay_s=0.25),
    examined=(GroupDoubt(GroupId(3), 2**40),),
)
FULL_REPORT = Heartbeat(
    server_id=SERVER_ID,
    boot_id=BOOT_ID,
    capacity=Capacity(10, 9),
    chunk_count=8,
    corrupt_chunk_count=7,
    trash_count=6,
    write_streams=5,
    read_streams=4,
    incarnation=3,
    probe=DiskProbe(0.25, 0.5),
    queue_depth=2,
    suspicion="fsync failed",
    standing=STANDING,
    settled_sequence=2**41,
    newest_sequence=2**42,
    assignments_digest=bytes(16),
    groups=(GroupSummary(GroupId(1), 2, 3, 4, b"digest"),),
    outcomes=Outcomes((Filled(GroupId(1), 2, (SERVER_ID,)),), (CHUNK_ID,), (CHUNK_ID,), (CHUNK_ID,), (GroupId(9),)),
    scrub=ScrubReport(1, 0.5, 2, 0.25),
    copying=CopyReport(1, 2, 3, 4, "no source"),
    unsynced=UnsyncedReport(5, 2**40, 0.75),
    doubts=(GroupDoubt(GroupId(1), 1), GroupDoubt(GroupId(2), 2**40)),
)


@pytest.mark.parametrize(
    ("to_proto", "from_proto", "value"),
    [
        (groups.group_to_proto, groups.group_from_proto, GROUP),
        (
            groups.identity_to_proto,
            groups.identity_from_proto,
            ServerIdentity(SERVER_ID, None, BOOT_ID, "cs-1", "h:1", "", ServerLabels("h", "r"), "1"),
        ),
        (upkeep.registration_to_proto, upkeep.registration_from_proto, Registration(CLUSTER_ID, 0.25, 3, ORDERS)),
        (upkeep.heartbeat_to_proto, upkeep.heartbeat_from_proto, Heartbeat(SERVER_ID, BOOT_ID, Capacity(10, 9), 8)),
        (upkeep.heartbeat_to_proto, upkeep.heartbeat_from_proto, FULL_REPORT),
        (upkeep.orders_to_proto, upkeep.orders_from_proto, ORDERS),
        (upkeep.orders_to_proto, upkeep.orders_from_proto, replace(ORDERS, assignments=None)),
        (upkeep.orders_to_proto, upkeep.orders_from_proto, replace(ORDERS, assignments=())),
        (chunks.digest_to_proto, chunks.digest_from_proto, GroupDigest(GroupId(3), 4, 0, ())),
        (chunks.digest_to_proto, chunks.digest_from_proto, GroupDigest(GroupId(3), 4, 5, (bytes(range(16)),) * 256)),
        (chunks.held_page_to_proto, chunks.held_page_from_proto, HeldPage((HeldChunk(1, 2, 3),), is_last=True)),
        (chunks.held_page_to_proto, chunks.held_page_from_proto, HeldPage((), is_last=False)),
        (files.info_to_proto, files.info_from_proto, INFO),
        (files.policy_to_proto, files.policy_from_proto, POLICY),
        (files.precondition_to_proto, files.precondition_from_proto, ANY),
        (files.precondition_to_proto, files.precondition_from_proto, ABSENT),
        (
            files.precondition_to_proto,
            files.precondition_from_proto,
            Precondition(PreconditionKind.VERSION, Version(0)),
        ),
        (files.wrapped_keys_to_proto, files.wrapped_keys_from_proto, KEYS),
        (files.written_to_proto, files.written_from_proto, WRITTEN),
        (files.placements_to_proto, files.placements_from_proto, PLACEMENTS),
        (
            writes.intent_to_proto,
            writes.intent_from_proto,
            WriteIntent(INTENT_ID, CLUSTER_ID, FileId(7), Version(8), FileId(1), "ä", POLICY, 60.0, PLACEMENTS),
        ),
        (writes.lease_to_proto, writes.lease_from_proto, IntentLease(Version(3), 59.5)),
        (
            writes.ticket_to_proto,
            writes.ticket_from_proto,
            RenameTicket(INFO, FileId(4), CLUSTER_ID, Version(9), FileId(1), "n", b"sealed", KEYS),
        ),
        (
            removed.ticket_to_proto,
            removed.ticket_from_proto,
            RestoreTicket(
                RenameTicket(INFO, FileId(4), CLUSTER_ID, Version(9), FileId(1), "n", b"sealed", KEYS), 2**40, True
            ),
        ),
        (
            removed.page_to_proto,
            removed.page_from_proto,
            RemovedPage(
                (
                    RemovedFile("/a", FileKind.DIRECTORY, FileId(7), 0, Version(8), 9, 2**40, 0, RemovalReason.REMOVED),
                    RemovedFile(
                        "/b", FileKind.FILE, FileId(2**63), 2**50, Version(3), 10**18, 1, 86_400, RemovalReason.REPLACED
                    ),
                ),
                "token",
            ),
        ),
        (removed.page_to_proto, removed.page_from_proto, RemovedPage((), "")),
        (
            writes.opened_to_proto,
            writes.opened_from_proto,
            OpenedFile(INFO, CLUSTER_ID, FileId(1), 65_536, b"sealed", KEYS, ChunkPage((RECORD,), (GROUP,))),
        ),
        (
            chunks.read_request_to_proto,
            chunks.read_request_from_proto,
            ReadRequest(CHUNK_ID, 2**40, 2**41, 1_000_000),
        ),
        (
            chunks.result_to_proto,
            chunks.result_from_proto,
            WriteResult(tuple(ReplicaAck(SERVER_ID, durability) for durability in Durability)),
        ),
        (chunks.stat_to_proto, chunks.stat_from_proto, ChunkStat(CHUNK_ID, 5, 6, b"d")),
        (status.node_to_proto, status.node_from_proto, replace(SERVER, unsynced_chunk_count=6)),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_round_trip(to_proto, from_proto, value) -> None:  # type: ignore[no-untyped-def]
    assert from_proto(to_proto(value)) == value


def test_round_trips_with_more_arguments() -> None:
    commit = Commit(INTENT_ID, Version(4), 2**50, 9, WRITTEN, b"sealed", KEYS)
    assert writes.commit_from_proto(writes.commit_to_proto(commit, RequestId("r"))) == commit
    for precondition in (ANY, ABSENT, Precondition(PreconditionKind.VERSION, Version(3))):
        rename = Rename("/a", "/b", Version(1), Version(2), b"sealed", precondition)
        assert writes.rename_from_proto(writes.rename_to_proto(rename, RequestId("r"))) == rename
    restore = Restore("/a", "/b", Version(1), Version(2), b"sealed")
    assert removed.restore_from_proto(removed.restore_to_proto(restore, RequestId("r"))) == restore
    member = ChainMember(SERVER_ID, "h:1")
    for durability in Durability:
        header = WriteHeader(CHUNK_ID, CLUSTER_ID, 5, 6, durability, (member,), b"d")
        assert chunks.header_from_proto(chunks.header_to_proto(header).header) == header


def test_what_an_unknown_durability_promises_is_nothing() -> None:
    header = chunks.header_to_proto(WriteHeader(CHUNK_ID, CLUSTER_ID, 5, 6, Durability.REPLICATED, (), b"d")).header
    header.durability = chunk_v1.DURABILITY_UNSPECIFIED
    assert chunks.header_from_proto(header).durability is Durability.SYNCED
    header.durability = 3  # type: ignore[assignment]
    with pytest.raises(InvalidRequest) as caught:
        chunks.header_from_proto(header)
    assert caught.value.reason == "HEADER_INVALID"
    result = chunks.result_to_proto(WriteResult((ReplicaAck(SERVER_ID, Durability.SYNCED),) * 3))
    result.replicas[0].durability = chunk_v1.DURABILITY_UNSPECIFIED
    result.replicas[1].durability = 3  # type: ignore[assignment]
    assert chunks.result_from_proto(result) == WriteResult((ReplicaAck(SERVER_ID, Durability.SYNCED),))


def test_the_status_screen_survives_with_its_zeros() -> None:
    screen = ClusterStatus(
        health=Health.WARN,
        summary="One server is down.",
        checks=(HealthCheck("SERVER_DOWN", Health.WARN, "cs-1 is down.", "dstore node start cs-1"),),
        cluster_id=CLUSTER_ID,
        version="1",
        policy=POLICY,
        servers_up=0,
        servers_total=1,
        group_count=4,
        file_count=0,
        directory_count=1,
        chunk_count=0,
        logical_bytes=0,
        stored_bytes=0,
        under_replicated_chunks=0,
        unavailable_chunks=0,
        deleted_chunks=0,
        writes_in_progress=0,
        capacity=SERVER.capacity,
        servers=(SERVER,),
    )
    message = status.status_to_proto(screen)
    assert message.HasField("under_replicated_chunks")
    assert message.HasField("unavailable_chunks")
    assert message.HasField("retained_files")
    assert message.HasField("trashed_copies")
    assert message.HasField("unsynced_copies")
    assert status.status_from_proto(message, [status.node_to_proto(SERVER)]) == screen
    kept = replace(screen, deleted_chunks=4, retained_file_count=1, retained_bytes=2_048, trashed_copies=3)
    kept = replace(kept, unsynced_copies=2, unsynced_bytes=4_096, unsynced_age_s=0.5, time_ns=1_700_000_000_123_456_789)
    kept = replace(
        kept,
        traffic=Traffic(ByteCounts(2**40, 2, 3, 4), ByteCounts(2_048, 6, 7, 8)),
        repair=RepairProgress(1, 2_048, 3, 4.5),
        group_states=GroupStates(1, 2, 3, 4),
        is_leading=True,
        leader_epoch=5,
    )
    behind = replace(SERVER, clock_ahead_s=-1.5, traffic=kept.traffic)
    assert status.node_from_proto(status.node_to_proto(behind)) == behind
    message = status.status_to_proto(kept)
    assert (message.retained, message.unsynced, message.repair.left) == ("2.0 KiB", "4.0 KiB", "2.0 KiB")
    assert message.traffic.summary == "2.0 KiB/s read, 6 B/s written, 7 B/s copied, 8 B/s scrubbed"
    assert status.status_from_proto(message, [status.node_to_proto(SERVER)]) == kept


def test_a_description_survives_without_headers() -> None:
    record = ChunkRecord(0, CHUNK_ID, 5, 6, b"")
    member = Replica(SERVER_ID, "cs-1", "h:1", ServerPhase.UP)
    group = Group(CHUNK_ID.group_id, 1, (member,))
    described = FileDescription(INFO, POLICY, (b"12345678",), (ChunkDescription(record, group, (SERVER_ID,)),), 0)
    assert status.description_from_proto(status.description_to_proto(described)) == described


def key(**changes: object) -> v1.WrappedKey:
    return v1.WrappedKey(**{"kind": 1, "key_id": b"12345678", "data": b"x", **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: files.request_id_from_text(""), "REQUEST_ID_INVALID"),
        (lambda: files.request_id_from_text("x" * (REQUEST_ID_SIZE_BYTES_MAX + 1)), "REQUEST_ID_INVALID"),
        (lambda: files.chunk_id_from_proto(v1.ChunkId(group_id=0, sequence=1)), "CHUNK_ID_INVALID"),
        (lambda: files.chunk_id_from_proto(v1.ChunkId(group_id=1, sequence=0)), "CHUNK_ID_INVALID"),
        (lambda: files.wrapped_keys_from_proto([key(key_id=b"short")]), "WRAPPED_KEY_INVALID"),
        (lambda: files.wrapped_keys_from_proto([key(data=bytes(5000))]), "WRAPPED_KEY_INVALID"),
        (lambda: files.wrapped_keys_from_proto([key()] * (WRAPPED_KEYS_MAX + 1)), "TOO_MANY_WRAPPED_KEYS"),
        (lambda: files.record_from_proto(v1.ChunkRecord(header=bytes(55))), "CHUNK_RECORD_INVALID"),
        (lambda: groups.server_id_from_text("../../etc"), "UUID_INVALID"),
        (
            lambda: writes.rename_from_proto(
                writes.rename_to_proto(
                    Rename("/a", "/b", Version(1), Version(2), bytes(SEALED_MANIFEST_SIZE_BYTES_MAX + 1)),
                    RequestId("r"),
                )
            ),
            "MANIFEST_TOO_LARGE",
        ),
    ],
)
def test_what_dstore_does_not_allow_is_refused(call, reason: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises((InvalidRequest, LimitExceeded)) as caught:
        call()
    assert caught.value.reason == reason


def test_an_unknown_durability_is_never_acknowledged() -> None:
    header = chunk_v1.WriteChunkRequest.Header(cluster_id=CLUSTER_ID, durability=99)  # type: ignore[arg-type]
    header.chunk_id.group_id = header.chunk_id.sequence = 1
    with pytest.raises(InvalidRequest):
        chunks.header_from_proto(header)
    response = chunk_v1.WriteChunkResponse(replicas=[chunk_v1.ReplicaAck(server_id=SERVER_ID)])
    assert chunks.result_from_proto(response) == WriteResult(())
