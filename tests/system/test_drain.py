"""Servers go and come: one is drained and removed, new ones get their share, one is away for a while."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import LocalTestCluster, wait_until
from large_files import client_of

MIB = 1024 * 1024
FILES = {f"/file-{number}": bytes([number]) * (2 * MIB + number) for number in range(8)}


class GrowingCluster(LocalTestCluster):
    """Starts with some of its servers; keeps no trash."""

    def __init__(self, home: Path, *, chunkservers: int, most: int) -> None:
        super().__init__(home, chunkservers=most, chunk_size_bytes=MIB)
        self.size = chunkservers

    def up_arguments(self) -> list[str]:
        arguments = super().up_arguments()
        arguments[arguments.index("--chunkservers") + 1] = str(self.size)
        return [*arguments, "--trash-delay", "5s"]


@pytest.fixture
def four(tmp_path: Path) -> Iterator[GrowingCluster]:
    cluster = GrowingCluster(tmp_path, chunkservers=4, most=4)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def three(tmp_path: Path) -> Iterator[GrowingCluster]:
    cluster = GrowingCluster(tmp_path, chunkservers=3, most=5)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def put_all(cluster: LocalTestCluster) -> None:
    with client_of(cluster) as client:
        for path, content in FILES.items():
            client.put(path, content)


def check_all(cluster: LocalTestCluster) -> None:
    with client_of(cluster) as client:
        for path, content in FILES.items():
            assert client.get(path) == content, path


def refusal(cluster: LocalTestCluster, *arguments: str) -> tuple[str, str]:
    """Return reason and message."""
    finished = cluster.run(*arguments, "--json")
    error = json.loads(finished.stderr.decode().splitlines()[-1])["error"]
    assert finished.returncode == error["exit_code"] != 0
    return error["reason"], error["message"]


def codes(cluster: LocalTestCluster) -> set[str]:
    checks = cluster.check_json("status")["checks"]
    assert isinstance(checks, list)
    return {check["code"] for check in checks}


def servers(cluster: LocalTestCluster) -> dict[str, dict[str, object]]:
    lines = [json.loads(line) for line in cluster.check("node", "list", "--json").splitlines()]
    return {line["name"]: line for line in lines if line["role"] == "chunkserver"}


def wait_well(cluster: LocalTestCluster) -> None:
    wait_until(lambda: not codes(cluster), what="HEALTH_OK", timeout_s=60)


def test_a_server_is_drained_and_removed(four: GrowingCluster) -> None:
    put_all(four)
    assert refusal(four, "node", "remove", "cs-4")[0] == "NODE_IN_USE"
    plan = four.check_json("node", "drain", "cs-4", "--dry-run")
    assert plan["move_count"] == servers(four)["cs-4"]["group_count"] != 0
    assert (plan["is_applied"], servers(four)["cs-4"]["duty"]) == (False, "active")

    drained = four.check_json("node", "drain", "cs-4", "--wait", timeout_s=90)
    assert (drained["is_drained"], drained["move_count"]) == (True, plan["move_count"])
    after = servers(four)
    assert (after["cs-4"]["group_count"], after["cs-4"]["duty"]) == (0, "draining")
    assert codes(four) == {"SERVER_DRAINING"}, "it can be removed, and nothing else is to be said"
    check_all(four)

    # Removed from elsewhere, its process is told, and ends.
    elsewhere = ("--dir", str(four.home / "nothing"))
    assert four.check_json("node", "remove", "cs-4", *elsewhere)["directory"] is None
    wait_until(lambda: four.pid("cs-4") is None, what="cs-4 has ended", timeout_s=30)
    assert "SERVER_REMOVED" in four.log("cs-4")
    assert set(servers(four)) == {"cs-1", "cs-2", "cs-3"}
    assert refusal(four, "node", "remove", "cs-4", *elsewhere)[0] == "NODE_UNKNOWN"
    # On this machine, it is forgotten as well.
    assert four.check_json("node", "remove", "cs-4")["directory"] == str(four.directory("cs-4"))
    four.size = 3
    four.start()
    assert four.pid("cs-4") is None, "who was removed is not started again"
    wait_well(four)
    check_all(four)


@pytest.mark.timeout(300)
def test_new_servers_get_their_share(three: GrowingCluster) -> None:
    put_all(three)
    # Three copies need three servers.
    reason, message = refusal(three, "node", "drain", "cs-1", "--wait")
    assert reason == "DRAIN_REFUSED"
    assert "Start or add a chunkserver" in message
    assert {each["duty"] for each in servers(three).values()} == {"active"}
    three.size = 5
    three.start()
    three.check("balance", "--pause")
    paused = three.check_json("balance", "--dry-run")
    assert (paused["is_paused"], paused["refusal"]) == (True, "")
    three.check("balance", "--resume")

    def is_shared() -> bool:
        counts = [int(str(each["group_count"])) for each in servers(three).values()]
        return len(counts) == 5 and max(counts) <= 2 * min(counts)

    # Half a minute is between two plans, and one may not do.
    wait_until(is_shared, what="everybody has a share", timeout_s=110)
    wait_well(three)
    check_all(three)


def test_a_server_is_away_for_a_while(three: GrowingCluster) -> None:
    put_all(three)
    assert three.check_json("node", "maintenance", "cs-1", "--for", "30min")["duty"] == "maintenance"
    assert "up, maintenance" in three.check("node", "list").decode()
    three.check("node", "maintenance", "cs-2", "--dry-run")
    three.check("node", "maintenance", "cs-2")
    reason, message = refusal(three, "node", "maintenance", "cs-3")
    assert reason == "MAINTENANCE_REFUSED"
    assert "end the maintenance of cs-1, cs-2 first" in message
    for name in ("cs-1", "cs-2"):
        three.kill(name)
    check_all(three)
    for name in ("cs-1", "cs-2"):
        three.start_node(name)
        three.check("node", "activate", name)
    wait_well(three)
    assert three.check_json("scrub", "pause")["is_paused"] is True
    assert "paused" in three.check("scrub").decode()
    assert three.check_json("scrub", "resume")["is_paused"] is False
    assert refusal(three, "node", "maintenance", "cs-9")[0] == "NODE_UNKNOWN"
    assert refusal(three, "node", "maintenance", "cs-1", "--for", "8d")[0] == "DURATION_INVALID"
