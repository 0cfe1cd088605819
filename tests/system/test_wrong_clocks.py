"""Servers whose clocks are a day off: no decision rests on a wall clock, so nothing is lost, late or out."""

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from clear_errors import check_logs
from cluster import START_TIMEOUT_S, LocalTestCluster, wait_until
from large_files import client_of

from dstore import Client

HOUR_S = 3_600
DAY_S = 24 * HOUR_S
CONTENT = bytes(range(256)) * (3 * 4096)
#: Of the master, and of one of the three chunkservers.
OFFSETS_S = {"master": DAY_S + HOUR_S, "cs-1": -DAY_S}

#: What the status then says, and of whom.
TOLD = [("CLOCK_WRONG", "the master is 90"), ("CLOCK_WRONG", "cs-1 is 86")]


def clock_environment(offset_s: int) -> dict[str, str]:
    """Return what makes the wall clock of a process wrong by so much; no kernel lets the monotonic one jump."""
    found = sorted(Path("/").glob("usr/lib/*/faketime/libfaketimeMT.so.1"))
    assert found, "libfaketime is not installed; run scripts/system-tools.sh as root"
    return {"LD_PRELOAD": str(found[0]), "FAKETIME": f"{offset_s:+d}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@contextlib.contextmanager
def wrong_clock(cluster: LocalTestCluster, name: str, offset_s: int) -> Iterator[None]:
    """Start a server again as it was, but for its clock; its log begins anew."""
    pid = cluster.pid(name)
    assert pid is not None
    command = Path("/proc", str(pid), "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    # A master that ends like this lets the next one lead at once.
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: cluster.pid(name) is None, what=f"{name} has ended", timeout_s=START_TIMEOUT_S)
    with (cluster.root / "logs" / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env=cluster.environ | clock_environment(offset_s),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        begun = '"ready"' if name == "master" else "joined cluster"
        wait_until(lambda: begun in cluster.log(name), what=f"{name} runs", timeout_s=START_TIMEOUT_S)
        yield
    finally:
        process.terminate()
        process.wait(timeout=START_TIMEOUT_S)


def clock_of_master_s(cluster: LocalTestCluster) -> float:
    """Return when the master heard cs-3 last, by its own clock."""
    url = f"http://127.0.0.1:{cluster.port + 100}/metrics"
    heard: list[float] = []

    def is_shown() -> bool:
        # The metrics follow the status with the next round of upkeep.
        with urllib.request.urlopen(url, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        name = 'dstore_node_last_heartbeat_timestamp_seconds{node="cs-3"}'
        heard[:] = [float(line.split()[-1]) for line in lines if line.startswith(name)]
        return bool(heard)

    wait_until(is_shown, what="the metrics of the master name cs-3", timeout_s=START_TIMEOUT_S)
    return heard[0]


def clock_in_log_s(cluster: LocalTestCluster, name: str) -> float:
    """Return when a server wrote the first line of its log, by its own clock."""
    times = [json.loads(line).get("time") for line in cluster.log(name).splitlines()]
    return datetime.fromisoformat(next(each for each in times if each is not None)).timestamp()


def told(client: Client) -> list[tuple[str, str]]:
    """Return what is wrong, and how the sentence about it goes on: whose clock, and by how many thousand seconds."""
    checks = client.status().checks
    return [(check.code, check.message.removeprefix("The clock of ").split(",")[0]) for check in checks]


def check_clocks(cluster: LocalTestCluster) -> None:
    """The clocks are as wrong as they should be."""
    offsets_s = {name: clock_in_log_s(cluster, name) - time.time() for name in ("cs-1",)}
    offsets_s["master"] = clock_of_master_s(cluster) - time.time()
    for name, offset_s in OFFSETS_S.items():
        assert abs(offsets_s[name] - offset_s) < 120, offsets_s


def test_a_day_off_changes_nothing(own_cluster: LocalTestCluster) -> None:
    cluster = own_cluster
    with client_of(cluster) as client:
        client.put("/kept", CONTENT)
        client.put("/removed", CONTENT[::-1])
        client.remove("/removed")
        before = client.stat("/kept")
    with contextlib.ExitStack() as stack:
        for name, offset_s in OFFSETS_S.items():
            stack.enter_context(wrong_clock(cluster, name, offset_s))
        client = stack.enter_context(client_of(cluster))
        wait_until(lambda: told(client) == TOLD, what="only the clocks are wrong", timeout_s=START_TIMEOUT_S)
        check_clocks(cluster)
        # Heartbeats are neither a day old nor of tomorrow.
        ages_s = [server.last_heartbeat_age_s for server in client.status().servers]
        assert all(age_s is not None and 0 <= age_s < 10 for age_s in ages_s), ages_s
        # A retention of a day is not over because a clock says so.
        (removed,) = client.list_removed("/")
        assert DAY_S - HOUR_S < removed.expires_in_s <= DAY_S
        client.restore("/removed")
        client.put("/new", CONTENT)
        assert client.get("/removed") == CONTENT[::-1]
        assert client.get("/new") == client.get("/kept") == CONTENT
        assert client.stat("/kept").modified_ns == before.modified_ns
        # What people are shown is the clock of the master; nothing is decided by it.
        shown_s = client.stat("/new").modified_ns / 1e9
        assert abs(shown_s - time.time() - OFFSETS_S["master"]) < 120
        assert told(client) == TOLD
        check_logs(cluster)
