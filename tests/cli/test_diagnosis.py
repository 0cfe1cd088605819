"""What ``dstore doctor`` says of what it measured."""

from dataclasses import replace

import pytest

from dstore.cli.diagnosis import (
    CLOCK_OFFSET_HERE_S,
    DISK_SLOW_S,
    OPEN_FILES_FEW,
    ROUND_TRIP_SLOW_S,
    Check,
    Measured,
    Verdict,
    diagnose,
    open_files,
)
from dstore.core.files import Policy
from dstore.core.groups import Capacity, ServerLabels, ServerPhase
from dstore.core.ids import ClusterId, ServerId
from dstore.core.limits import CLOCK_OFFSET_TOLD_S, PROBE_SLOW_S
from dstore.core.status import ClusterStatus, Health, ServerStatus

OK, WARN, ERROR = Verdict.OK, Verdict.WARN, Verdict.ERROR
SERVER = ServerStatus(
    server_id=ServerId("00000000-0000-0000-0000-000000000001"),
    name="cs-1",
    address="h:1",
    http_address="h:2",
    labels=ServerLabels("h"),
    phase=ServerPhase.UP,
    last_heartbeat_age_s=0.1,
    capacity=Capacity(10, 1),
    chunk_count=0,
    group_count=0,
    lead_count=0,
    missing_chunk_count=0,
    version="1",
    probe_latency_s=0.004,
)
STATUS = ClusterStatus(
    health=Health.OK,
    summary="all is well",
    checks=(),
    cluster_id=ClusterId("6b1f8a52-0c3d-4e9f-8a7b-112233445566"),
    version="1",
    policy=Policy("default", 3, 2, 1 << 24, "host"),
    servers_up=1,
    servers_total=1,
    group_count=0,
    file_count=0,
    directory_count=1,
    chunk_count=0,
    logical_bytes=0,
    stored_bytes=0,
    under_replicated_chunks=0,
    unavailable_chunks=0,
    deleted_chunks=0,
    writes_in_progress=0,
    capacity=Capacity(10, 1),
    servers=(SERVER,),
)


def measured(
    *,
    status: ClusterStatus = STATUS,
    server: ServerStatus = SERVER,
    client_version: str = "1",
    clock_ahead_s: float = 0.0,
    master_round_trip_s: float = 0.0,
    round_trip_s: float | None = 0.001,
) -> Measured:
    status = replace(status, servers=(server,))
    return Measured(status, client_version, master_round_trip_s, clock_ahead_s, {"cs-1": round_trip_s})


def the_check(of: Measured, name: str, subject: str) -> Check:
    (check,) = [check for check in diagnose(of) if (check.name, check.subject) == (name, subject)]
    return check


def test_all_is_well() -> None:
    checks = diagnose(measured())
    assert {check.verdict for check in checks} == {OK}
    assert {check.hint for check in checks} == {""}
    assert len(checks) == 8


@pytest.mark.parametrize(
    ("of", "name", "subject", "verdict"),
    [
        (measured(client_version="2"), "version", "master", WARN),
        (measured(server=replace(SERVER, version="0")), "version", "cs-1", WARN),
        (measured(round_trip_s=None), "round_trip", "cs-1", ERROR),
        (measured(round_trip_s=ROUND_TRIP_SLOW_S), "round_trip", "cs-1", OK),
        (measured(round_trip_s=ROUND_TRIP_SLOW_S * 1.01), "round_trip", "cs-1", WARN),
        (measured(master_round_trip_s=1.0), "round_trip", "master", WARN),
        (measured(clock_ahead_s=CLOCK_OFFSET_HERE_S), "clock", "this machine", OK),
        (measured(clock_ahead_s=CLOCK_OFFSET_HERE_S + 0.1), "clock", "this machine", WARN),
        (measured(clock_ahead_s=-CLOCK_OFFSET_HERE_S - 0.1), "clock", "this machine", WARN),
        # Of an answer that took long, nobody knows when it was made.
        (measured(clock_ahead_s=CLOCK_OFFSET_HERE_S + 0.1, master_round_trip_s=0.2), "clock", "this machine", OK),
        (measured(server=replace(SERVER, clock_ahead_s=CLOCK_OFFSET_TOLD_S)), "clock", "cs-1", OK),
        (measured(server=replace(SERVER, clock_ahead_s=-CLOCK_OFFSET_TOLD_S - 1)), "clock", "cs-1", WARN),
        (measured(server=replace(SERVER, probe_latency_s=0.0)), "disk", "cs-1", OK),
        (measured(server=replace(SERVER, probe_latency_s=DISK_SLOW_S)), "disk", "cs-1", OK),
        (measured(server=replace(SERVER, probe_latency_s=DISK_SLOW_S * 1.01)), "disk", "cs-1", WARN),
        (measured(server=replace(SERVER, probe_latency_s=PROBE_SLOW_S * 1.01)), "disk", "cs-1", ERROR),
        (measured(status=replace(STATUS, health=Health.WARN)), "health", "cluster", WARN),
        (measured(status=replace(STATUS, health=Health.ERROR)), "health", "cluster", ERROR),
    ],
)
def test_each_check(of: Measured, name: str, subject: str, verdict: Verdict) -> None:
    check = the_check(of, name, subject)
    assert check.verdict is verdict
    assert bool(check.hint) is (verdict is not OK)


def test_of_a_server_that_is_away_nothing_old_is_told() -> None:
    away = replace(SERVER, phase=ServerPhase.DOWN, last_heartbeat_age_s=None, probe_latency_s=9.0, clock_ahead_s=99.0)
    names = {check.name for check in diagnose(measured(server=away, round_trip_s=None)) if check.subject == "cs-1"}
    assert names == {"version", "round_trip"}


@pytest.mark.parametrize(("limit", "verdict"), [(OPEN_FILES_FEW - 1, WARN), (OPEN_FILES_FEW, OK)])
def test_open_files(limit: int, verdict: Verdict) -> None:
    assert open_files(limit).verdict is verdict
