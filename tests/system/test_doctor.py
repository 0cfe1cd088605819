"""``dstore doctor`` and a real cluster, which is well, and then is not."""

import json
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import LocalTestCluster
from command_in_process import Command

import dstore


def verdicts(rows: list[dict[str, Any]], *names: str) -> dict[tuple[str, str], str]:
    return {(row["name"], row["subject"]): row["verdict"] for row in rows[:-1] if not names or row["name"] in names}


def test_a_cluster_that_is_well(command: Command) -> None:
    (status,) = command.json("status")
    # Else the clocks would be those of a master that does not say.
    assert abs(status["time_ns"] - time.time_ns()) < 3_600_000_000_000
    rows = command.json("doctor")
    servers = ("cs-1", "cs-2", "cs-3")
    found = verdicts(rows)
    assert {name for name, _ in found} == {"open_files", "key", "version", "round_trip", "clock", "disk", "health"}
    for name in ("version", "clock"):
        assert {found[name, subject] for subject in ("this machine", *servers)} == {"ok"}
    assert {subject for name, subject in found if name == "round_trip"} == {"master", *servers}
    assert {subject for name, subject in found if name == "disk"} == set(servers)
    assert found["key", "key file"] == "ok"
    assert sum(rows[-1]["summary"].values()) == len(rows) - 1
    text = command.run("doctor")[0]
    assert f"this machine: dstore {dstore.__version__}, Python " in text
    assert "\x1b" not in text


@pytest.fixture
def few_open_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("few_open_files")
def test_limits_and_keys(command: Command, small_chunks_cluster: LocalTestCluster, tmp_path: Path) -> None:
    exposed = tmp_path / "exposed.key"
    exposed.write_bytes(small_chunks_cluster.key_file.read_bytes())
    exposed.chmod(0o644)
    rows = command.json("doctor", "--key-file", str(exposed), code=1)
    found = verdicts(rows)
    assert (found["open_files", "this machine"], found["key", "key file"]) == ("warn", "error")
    assert next(row for row in rows if row.get("name") == "open_files")["hint"] == "ulimit -n 4096"
    assert found["round_trip", "master"] in ("ok", "warn")


@pytest.mark.parametrize(
    ("options", "subject"),
    [(("--endpoint", "127.0.0.1:1"), "master"), (("--profile", "unknown"), "settings")],
)
def test_what_is_not_reached(command: Command, options: tuple[str, str], subject: str) -> None:
    rows = command.json("doctor", *options, code=1)
    assert verdicts(rows, "reach") == {("reach", subject): "error"}


def test_a_server_that_was_killed(own_cluster: LocalTestCluster) -> None:
    own_cluster.kill("cs-2")
    finished = own_cluster.run("doctor", "--json")
    rows = [json.loads(line) for line in finished.stdout.splitlines()]
    assert finished.returncode == 1
    found = verdicts(rows, "round_trip")
    assert found["round_trip", "cs-2"] == "error"
    assert {found["round_trip", name] for name in ("master", "cs-1", "cs-3")} <= {"ok", "warn"}
    (row,) = [row for row in rows if (row.get("name"), row.get("subject")) == ("round_trip", "cs-2")]
    assert "dstore node start cs-2" in row["hint"]
