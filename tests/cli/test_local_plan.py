"""What `dstore up` decides to run, from what is there and what was asked for."""

import dataclasses
from pathlib import Path

import pytest

from dstore.cli.cluster_file import LocalCluster
from dstore.cli.local_plan import UpRequest, find_process, plan_cluster, with_pid, without
from dstore.core.errors import AlreadyExists, Conflict, InvalidRequest, NotFound
from dstore.core.limits import CHUNK_SIZE_BYTES_DEFAULT

REQUEST = UpRequest(directory=Path("/data"), profile="dev")


def plan(existing: LocalCluster | None = None, running: tuple[str, ...] = (), **changes: object) -> LocalCluster:
    request = dataclasses.replace(REQUEST, **changes)  # type: ignore[arg-type]
    return plan_cluster(request, existing, running)


def test_a_new_cluster_has_the_defaults() -> None:
    cluster = plan()
    assert [process.name for process in cluster.processes] == ["master", "cs-1", "cs-2", "cs-3"]
    assert [process.role for process in cluster.processes] == ["master"] + ["chunkserver"] * 3
    assert [process.directory for process in cluster.processes][:2] == ["/data/master", "/data/cs-1"]
    assert (cluster.endpoint, cluster.port) == ("127.0.0.1:7070", 7070)
    assert (cluster.replicas, cluster.min_replicas) == (3, 2)
    assert cluster.chunk_size_bytes == CHUNK_SIZE_BYTES_DEFAULT
    assert cluster.retention_s == 24 * 3600
    assert {process.pid for process in cluster.processes} == {0}


@pytest.mark.parametrize(("chunkservers", "replicas", "min_replicas"), [(1, 1, 1), (2, 2, 2), (3, 3, 2), (4, 3, 2)])
def test_no_more_replicas_than_chunkservers(chunkservers: int, replicas: int, min_replicas: int) -> None:
    cluster = plan(chunkservers=chunkservers)
    assert (cluster.replicas, cluster.min_replicas) == (replicas, min_replicas)


@pytest.mark.parametrize("chunkservers", [0, -1, 100])
def test_a_number_of_chunkservers_that_does_not_fit_at_all(chunkservers: int) -> None:
    with pytest.raises(InvalidRequest):
        plan(chunkservers=chunkservers)


@pytest.mark.parametrize("size_bytes", [0, 1, 16_384 - 1, 16_384 + 1, 64 * 1024 * 1024 + 16_384])
def test_a_chunk_size_that_does_not_fit(size_bytes: int) -> None:
    with pytest.raises(InvalidRequest, match="--chunk-size") as caught:
        plan(chunk_size_bytes=size_bytes)
    assert caught.value.reason == "CHUNK_SIZE_INVALID"


@pytest.mark.parametrize("size_bytes", [16_384, 64 * 1024 * 1024])
def test_a_chunk_size_at_the_ends(size_bytes: int) -> None:
    assert plan(chunk_size_bytes=size_bytes).chunk_size_bytes == size_bytes


def test_an_existing_cluster_stays_as_it_is() -> None:
    existing = with_pid(plan(chunkservers=2, port=8080, chunk_size_bytes=65_536), "cs-1", 42)
    assert plan(existing) == existing
    assert plan(existing, running=("master", "cs-1")) == existing
    assert plan(existing, running=("master",), chunkservers=2, port=8080, chunk_size_bytes=65_536) == existing


def test_it_can_grow_and_keeps_its_policy() -> None:
    existing = plan(chunkservers=1)
    grown = plan(existing, running=("master", "cs-1"), chunkservers=3)
    assert [process.name for process in grown.processes] == ["master", "cs-1", "cs-2", "cs-3"]
    assert (grown.replicas, grown.min_replicas) == (1, 1)


def test_it_cannot_shrink() -> None:
    with pytest.raises(InvalidRequest, match="3 chunkservers") as caught:
        plan(plan(), chunkservers=2)
    assert caught.value.reason == "CHUNKSERVERS_FEWER"


def test_ports_move_only_while_it_is_stopped() -> None:
    existing = plan()
    moved = plan(existing, port=9090)
    assert [process.port for process in moved.processes] == [9090, 9091, 9092, 9093]
    assert moved.endpoint == "127.0.0.1:9090"
    with pytest.raises(Conflict, match="dstore down") as caught:
        plan(existing, running=("cs-1",), port=9090)
    assert caught.value.reason == "CLUSTER_RUNNING"


def test_the_chunk_size_changes_only_while_the_master_is_stopped() -> None:
    existing = plan()
    assert plan(existing, running=("cs-1",), chunk_size_bytes=65_536).chunk_size_bytes == 65_536
    with pytest.raises(Conflict):
        plan(existing, running=("master",), chunk_size_bytes=65_536)


@pytest.mark.parametrize("retention_s", [-1, 10 * 365 * 86_400 + 1])
def test_a_retention_that_does_not_fit(retention_s: int) -> None:
    with pytest.raises(InvalidRequest, match="--retention") as caught:
        plan(retention_s=retention_s)
    assert caught.value.reason == "RETENTION_INVALID"


@pytest.mark.parametrize("retention_s", [0, 1, 10 * 365 * 86_400 - 1])
def test_the_retention_is_chosen_once(retention_s: int) -> None:
    existing = plan(retention_s=retention_s)
    assert existing.retention_s == retention_s
    assert plan(existing, running=("master",), retention_s=retention_s) == plan(existing) == existing
    with pytest.raises(Conflict) as caught:
        plan(existing, retention_s=retention_s + 1)
    assert caught.value.reason == "RETENTION_FIXED"


def test_how_it_looks_after_itself_can_change_whenever_the_master_starts() -> None:
    existing = plan(out_after_s=7, trash_delay_s=5)
    assert (existing.out_after_s, existing.trash_delay_s) == (7, 5)
    assert plan(existing) == plan(existing, running=("master",), out_after_s=7, trash_delay_s=5) == existing
    changed = plan(existing, running=("cs-1",), out_after_s=8)
    assert (changed.out_after_s, changed.trash_delay_s) == (8, 5)
    for change in ({"out_after_s": 8}, {"trash_delay_s": 6}):
        with pytest.raises(Conflict, match="out after 7 s and keeps trash for 5 s") as caught:
            plan(existing, running=("master",), **change)
        assert caught.value.reason == "CLUSTER_RUNNING"


def test_a_removed_server_is_not_started_again_and_its_name_stays_free() -> None:
    existing = without(with_pid(plan(chunkservers=4), "cs-4", 42), "cs-2")
    assert [process.name for process in existing.processes] == ["master", "cs-1", "cs-3", "cs-4"]
    assert plan(existing) == existing
    grown = plan(existing, chunkservers=5)
    assert [process.name for process in grown.chunkservers] == ["cs-1", "cs-3", "cs-4", "cs-5", "cs-6"]
    assert [process.port for process in grown.chunkservers] == [7071, 7073, 7074, 7075, 7076]
    assert grown.chunkservers[2].pid == 42
    last = without(without(grown, "cs-6"), "cs-5")
    assert [process.name for process in plan(last, chunkservers=4).chunkservers] == ["cs-1", "cs-3", "cs-4", "cs-7"]


def test_a_cluster_of_another_profile_is_left_alone() -> None:
    with pytest.raises(AlreadyExists, match="--profile dev") as caught:
        plan(plan(), profile="other")
    assert caught.value.reason == "CLUSTER_OF_OTHER_PROFILE"


def test_finding_a_server() -> None:
    assert find_process(plan(), "cs-2").port == 7072
    with pytest.raises(NotFound, match="master, cs-1, cs-2, cs-3") as caught:
        find_process(plan(), "cs-4")
    assert caught.value.reason == "NODE_UNKNOWN"


@pytest.mark.parametrize("delay_s", [-1, 0, 4])
def test_a_trash_that_nobody_could_confirm_in_time_is_refused(delay_s: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        plan(trash_delay_s=delay_s)
    assert caught.value.reason == "TRASH_DELAY_INVALID"


def test_a_gateway_comes_when_asked_for_and_stays_until_it_is_sent_away() -> None:
    assert plan().gateway is None
    served = plan(gateway=True)
    assert served.gateway is not None
    assert (served.gateway.port, served.gateway.directory) == (8070, "/data/gateway")
    assert served.processes == plan().processes
    known = with_pid(served, "gateway", 42)
    assert known.gateway is not None
    assert known.gateway.pid == 42
    assert plan(known, running=("master", "gateway")) == known
    assert plan(plan(), running=("master",), gateway=True) == served
    assert plan(known, running=("master",), gateway=False) == plan()
    with pytest.raises(Conflict, match="dstore down") as caught:
        plan(known, running=("gateway",), gateway=False)
    assert caught.value.reason == "CLUSTER_RUNNING"


def test_ports_without_room_for_a_gateway() -> None:
    assert plan(port=64_535, gateway=True).gateway is not None
    assert plan(port=64_536).gateway is None
    with pytest.raises(InvalidRequest, match="--port"):
        plan(port=64_536, gateway=True)
