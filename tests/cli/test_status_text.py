"""The state of a cluster and of files as text."""

import dataclasses
from typing import Any

import pytest

from dstore.cli.file_text import CHUNKS_SHOWN_MAX, describe_lines, entry_line, info_lines, removed_line
from dstore.cli.status_text import node_lines, status_lines, table
from dstore.core.files import ChunkRecord, FileInfo, FileKind, Policy
from dstore.core.groups import Capacity, Duty, Group, Replica, ServerLabels, ServerPhase
from dstore.core.ids import ChunkId, ClusterId, FileId, GroupId, ServerId, Version
from dstore.core.removed import RemovalReason, RemovedFile
from dstore.core.status import (
    ChunkDescription,
    ClusterStatus,
    FileDescription,
    Health,
    HealthCheck,
    ServerStatus,
)

GIB = 1024**3
POLICY = Policy("default", 3, 2, 16 * 1024 * 1024, "host")


def plain(text: str, style: str) -> str:
    return text


def marked(text: str, style: str) -> str:
    return f"<{style}>{text}"


def server(number: int, phase: ServerPhase, heard_s: float | None) -> ServerStatus:
    return ServerStatus(
        server_id=ServerId(f"00000000-0000-0000-0000-00000000000{number}"),
        name=f"cs-{number}",
        address=f"127.0.0.1:707{number}",
        http_address="",
        labels=ServerLabels("host"),
        phase=phase,
        last_heartbeat_age_s=heard_s,
        capacity=Capacity(10 * GIB, 4 * GIB),
        chunk_count=5,
        group_count=2,
        lead_count=1,
        missing_chunk_count=1 if phase is ServerPhase.DOWN else 0,
        version="0.1.0",
    )


STATUS = ClusterStatus(
    health=Health.WARN,
    summary="1 chunkserver down",
    checks=(
        HealthCheck("SERVER_DOWN", Health.WARN, "cs-2 is down.", "dstore node start cs-2"),
        HealthCheck("SPACE_LOW", Health.ERROR, "No room.", ""),
    ),
    cluster_id=ClusterId("6b1f8a52-0c3d-4e9f-8a7b-112233445566"),
    version="0.1.0",
    policy=POLICY,
    servers_up=1,
    servers_total=3,
    group_count=4,
    file_count=1,
    directory_count=2,
    chunk_count=5,
    logical_bytes=11_469,
    stored_bytes=23_040,
    under_replicated_chunks=4,
    unavailable_chunks=3,
    deleted_chunks=2,
    writes_in_progress=1,
    capacity=Capacity(30 * GIB, 12 * GIB),
    servers=(server(1, ServerPhase.UP, 0.2), server(2, ServerPhase.DOWN, 8.0), server(3, ServerPhase.SUSPECT, None)),
    retained_file_count=3,
    retained_bytes=2_048,
    trashed_copies=1,
)


def test_status() -> None:
    assert status_lines(STATUS, plain) == [
        "  health:  HEALTH_WARN  1 chunkserver down",
        "           SERVER_DOWN  cs-2 is down.",
        "             → dstore node start cs-2",
        "           SPACE_LOW  No room.",
        "  nodes:   1/3 up   cs-2 down (last heard 8.0 s ago), cs-3 suspect",
        "  data:    1 file, 2 directories, 11.2 KiB logical, 22.5 KiB stored (3 replicas)",
        "  chunks:  5 total, 3 unavailable, 4 under-replicated",
        "  groups:  4 total",
        "  kept:    3 removed or replaced files (2.0 KiB), restorable for 24 h; 2 deleted chunks; 1 copy in the trash",
        "  space:   18.0 GiB free of 30.0 GiB summed over chunkservers (40% used)",
        "  writes:  1 in progress",
        "  cluster: 6b1f8a52-0c3d-4e9f-8a7b-112233445566, dstore 0.1.0",
    ]


@pytest.mark.parametrize(
    ("retained", "deleted", "trashed", "lines"),
    [
        (0, 0, 0, []),
        (1, 0, 0, ["1 removed or replaced file (2.0 KiB), restorable for 24 h; "]),
        (0, 1, 0, ["1 deleted chunk; 0 copies in the trash"]),
        (0, 0, 3, ["0 deleted chunks; 3 copies in the trash"]),
    ],
)
def test_why_space_is_not_free_is_said_when_there_is_a_reason(
    retained: int, deleted: int, trashed: int, lines: list[str]
) -> None:
    status = dataclasses.replace(
        STATUS, retained_file_count=retained, deleted_chunks=deleted, trashed_copies=trashed, checks=()
    )
    said = [line for line in status_lines(status, plain) if line.startswith("  kept:")]
    assert len(said) == len(lines)
    assert all(line.removeprefix("  kept:    ").startswith(start) for line, start in zip(said, lines, strict=True))


def test_what_a_power_loss_could_take_is_said() -> None:
    servers = tuple(dataclasses.replace(each, unsynced_chunk_count=count) for count, each in enumerate(STATUS.servers))
    status = dataclasses.replace(
        STATUS, unsynced_copies=3, unsynced_bytes=2_048, unsynced_age_s=0.25, servers=servers, checks=()
    )
    said = [line for line in status_lines(status, plain) if "unsynced" in line]
    what = "3 copies (2.0 KiB) on 2 chunkservers, up to 0.2 s old"
    assert said == [f"  unsynced: {what}: a chunk is lost if all machines that have it lose power now"]
    assert not [line for line in status_lines(STATUS, plain) if "unsynced" in line]


def test_health_has_the_colour_of_its_severity() -> None:
    for health, style in ((Health.OK, "green"), (Health.WARN, "yellow"), (Health.ERROR, "red")):
        status = dataclasses.replace(STATUS, health=health, checks=())
        assert status_lines(status, marked)[0].startswith(f"  health:  <{style}>{health.value}")


def test_nodes() -> None:
    assert node_lines(STATUS.servers, {"cs-1": 42}, plain, master="127.0.0.1:7070") == [
        "NAME    STATE    ADDRESS         HEARD      CHUNKS  GROUPS  FREE     PID",
        "master  up       127.0.0.1:7070  -          -       -       -        -",
        "cs-1    up       127.0.0.1:7071  0.2 s ago  5       2       6.0 GiB  42",
        "cs-2    down     127.0.0.1:7072  8.0 s ago  5 (-1)  2       6.0 GiB  -",
        "cs-3    suspect  127.0.0.1:7073  never      5       2       6.0 GiB  -",
    ]


def test_what_a_server_was_told_stands_beside_its_phase() -> None:
    told = dataclasses.replace(STATUS.servers[0], duty=Duty.DRAINING, filling_count=1)
    line = node_lines((told,), {}, plain, master="127.0.0.1:7070")[-1]
    assert line == "cs-1    up, draining  127.0.0.1:7071  0.2 s ago  5       2 (+1)  6.0 GiB  -"


def test_an_empty_table() -> None:
    assert table([]) == []


INFO = FileInfo("/d/name\n", FileKind.FILE, FileId(7), 1_048_577, Version(9), 0, 0, 2)


def test_entries() -> None:
    assert entry_line(INFO, INFO.name, long=False) == "name\\n"
    assert entry_line(INFO, INFO.name, long=True) == "-     1.0 MiB      2 chunks  1970-01-01T00:00:00Z  name\\n"
    directory = dataclasses.replace(INFO, kind=FileKind.DIRECTORY)
    assert entry_line(directory, "d", long=True) == "d           -             -  1970-01-01T00:00:00Z  d"
    assert not any(line.startswith("  size:") for line in info_lines(directory))


def test_where_chunks_are() -> None:
    members = tuple(Replica(each.server_id, each.name, each.address, each.phase) for each in STATUS.servers)
    group = Group(GroupId(4), 1, members)
    chunks = tuple(
        ChunkDescription(
            ChunkRecord(index, ChunkId(GroupId(4), index), 1024, 0, bytes(56)), group, (members[0].server_id,)
        )
        for index in range(CHUNKS_SHOWN_MAX + 1)
    )
    lines = describe_lines(FileDescription(INFO, POLICY, (bytes(8),), chunks, None))
    assert "  size:      1.0 MiB (1048577 bytes), 2 chunks" in lines
    assert "  keys:      0000000000000000" in lines
    assert "  chunk 0:   00000004-0000000000000000  1.0 KiB  on cs-1 (missing), cs-2 (down), cs-3 (suspect)" in lines
    assert lines[-1] == "  and 1 chunk more (--json lists all)"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "-     1.0 MiB     24 h left  removed 1970-01-01T00:00:00Z   version 7         /a"),
        (
            {"kind": FileKind.DIRECTORY, "expires_in_s": 0, "version": Version(1 << 40), "path": "/\x1b[2J"},
            "d           -    ending now  removed 1970-01-01T00:00:00Z   version 1099511627776  /\\x1b[2J",
        ),
        (
            {"reason": RemovalReason.REPLACED},
            "-     1.0 MiB     24 h left  replaced 1970-01-01T00:00:00Z  version 7         /a",
        ),
    ],
)
def test_what_can_be_restored(changes: dict[str, Any], line: str) -> None:
    entry = RemovedFile("/a", FileKind.FILE, FileId(3), 1 << 20, Version(7), 0, 9, 86_400, RemovalReason.REMOVED)
    assert removed_line(dataclasses.replace(entry, **changes)) == line
