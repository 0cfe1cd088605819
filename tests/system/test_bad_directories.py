"""Directories that are taken, of another cluster, full or read-only, under real processes."""

import contextlib
import errno
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clear_errors import check_logs, check_refusal, check_sentence, refused
from cluster import LocalTestCluster, free_ports, wait_until
from large_files import client_of

import dstore

MIB = 1024 * 1024
CONTENT = random.Random(4).randbytes(6 * MIB)
#: Which one it is depends on whether the heartbeat or the write comes first.
FULL_REASONS = ("CLUSTER_FULL", "CHUNK_NOT_WRITTEN")


@contextlib.contextmanager
def mounted(path: Path, *arguments: str) -> Iterator[None]:
    """Mount something at ``path``."""
    path.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *arguments, str(path)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"file systems cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def small_disk(path: Path, size: str) -> contextlib.AbstractContextManager[None]:
    """Put a small file system at ``path``."""
    return mounted(path, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")


@contextlib.contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Let nothing be written below ``path``, whoever asks."""
    with mounted(path, "--bind", str(path)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(path)], check=True)
        yield


@contextlib.contextmanager
def cluster_with_small_disks(home: Path, names: list[str], *, chunkservers: int) -> Iterator[LocalTestCluster]:
    cluster = LocalTestCluster(home, chunkservers=chunkservers, chunk_size_bytes=MIB)
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(small_disk(cluster.directory(name), "16m"))
        stack.callback(cluster.stop)
        cluster.start()
        yield cluster


def run_arguments(role: str, directory: Path) -> list[str]:
    return [role, "run", "--dir", str(directory), "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]


# --- Taken -----------------------------------------------------------------------------------------------------


def test_two_starts_at_once(tmp_path: Path) -> None:
    cluster = LocalTestCluster(tmp_path)
    command = [sys.executable, "-m", "dstore", *cluster.up_arguments(), "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        both = [subprocess.Popen(command, env=cluster.environ, **pipes) for _ in range(2)]  # type: ignore[call-overload]
        ends = [(*process.communicate(timeout=60), process.returncode) for process in both]
        # One starts it; the other finds it being started, or, when it comes later, running.
        winners = [json.loads(out) for out, _, code in ends if code == 0]
        assert [server["outcome"] for server in winners[0]["servers"]].count("not running") == 0
        for out, error, code in ends:
            if code != 0:
                finished = subprocess.CompletedProcess(command, code, out, error)
                assert "pid" in check_refusal(finished, "DIRECTORY_LOCKED", 69)["message"]
        assert len({winner["cluster_id"] for winner in winners}) == 1
        assert cluster.check_json("status")["servers_up"] == 3
        cluster.check("put", "-", "/works", stdin=b"works")
        assert cluster.check("cat", "/works") == b"works"
    finally:
        cluster.stop()


def test_a_second_server_on_a_directory(small_chunks_cluster: LocalTestCluster) -> None:
    cluster = small_chunks_cluster
    for name, arguments in {
        "master": run_arguments("master", cluster.directory("master")),
        "cs-1": [
            *run_arguments("chunkserver", cluster.directory("cs-1")),
            *("--master", cluster.endpoint, "--name", "cs-9"),
        ],
    }.items():
        pid = cluster.pid(name)
        error = check_refusal(cluster.run(*arguments, "--json"), "DIRECTORY_LOCKED", 69)
        assert f"pid {pid}" in error["message"]
        assert str(cluster.directory(name)) in error["message"]
        assert cluster.pid(name) == pid
    assert cluster.check_json("status")["health"] == "HEALTH_OK"


def test_a_chunkserver_directory_of_another_cluster(
    small_chunks_cluster: LocalTestCluster, own_cluster: LocalTestCluster
) -> None:
    own_cluster.check("put", "-", "/kept", stdin=CONTENT)
    own_cluster.kill("cs-1")
    arguments = run_arguments("chunkserver", own_cluster.directory("cs-1"))
    arguments += ["--master", small_chunks_cluster.endpoint, "--name", "cs-9"]
    finished = own_cluster.run(*arguments, "--json")
    assert finished.returncode == 69
    error = json.loads(finished.stderr.decode().splitlines()[-1])["error"]
    assert error["reason"] == "WRONG_CLUSTER"
    for cluster in (own_cluster, small_chunks_cluster):
        with client_of(cluster) as client:
            assert client.cluster().cluster_id in error["message"]
    status = small_chunks_cluster.check_json("status")
    assert (status["servers_total"], status["health"]) == (3, "HEALTH_OK")
    # It still belongs where it came from, with all that is on it.
    own_cluster.start_node("cs-1")
    own_cluster.kill("cs-2")
    own_cluster.kill("cs-3")
    assert own_cluster.check("cat", "/kept") == CONTENT


# --- Full ------------------------------------------------------------------------------------------------------


def test_one_full_disk_is_passed_over(tmp_path: Path) -> None:
    with cluster_with_small_disks(tmp_path, ["cs-4"], chunkservers=4) as cluster, client_of(cluster) as client:
        for number in range(6):
            client.put(f"/file-{number}", CONTENT)
        assert all(client.get(f"/file-{number}") == CONTENT for number in range(6))
        status = client.status()
        (small,) = [server for server in status.servers if server.name == "cs-4"]
        assert 0 < small.capacity.used_bytes <= small.capacity.total_bytes
        # The rest of the last files went to the others, three copies of each chunk.
        members = [
            {member.name for member in chunk.group.members if member.server_id not in chunk.missing}
            for chunk in client.describe("/file-5").chunks
        ]
        assert {"cs-1", "cs-2", "cs-3"} in members
        check_logs(cluster)


def test_when_all_disks_are_full_nothing_is_lost(tmp_path: Path) -> None:
    names = ["cs-1", "cs-2", "cs-3"]
    with cluster_with_small_disks(tmp_path, names, chunkservers=3) as cluster, client_of(cluster) as client:
        client.put("/kept", CONTENT)
        client.put("/small", b"small")
        with pytest.raises(dstore.OutOfSpace) as caught:
            client.put("/too-large", CONTENT * 3)
        assert caught.value.errno == errno.ENOSPC
        assert caught.value.reason in FULL_REASONS
        check_sentence(caught.value.message)
        (tmp_path / "source").write_bytes(CONTENT * 3)
        source = str(tmp_path / "source")
        assert refused_code(cluster, "put", source, "/kept") == 15
        # What was there is there, nothing half-written is visible, and deleting works.
        assert client.get("/kept") == CONTENT
        assert [info.name for info in client.list("/")] == ["kept", "small"]
        assert client.status().writes_in_progress == 0
        assert client.status().health.value != "HEALTH_OK"
        client.remove("/small")
        assert not client.exists("/small")
        check_logs(cluster)


def test_disks_that_cannot_be_evened_out(tmp_path: Path) -> None:
    # Three copies on three servers: the small disk has to take as much as the large ones.
    with cluster_with_small_disks(tmp_path, ["cs-1"], chunkservers=3) as cluster:
        cluster.check("put", "-", "/large", stdin=CONTENT)
        wait_until(lambda: cluster.run("balance", "--dry-run").returncode == 1, what="the master sees it", timeout_s=20)
        text = " ".join(cluster.run("balance").stdout.decode().split())
        assert "Data cannot be spread more evenly: the data of cs-1 takes" in text
        assert "no group that could move fits" in text
        assert text.endswith("add chunkservers.")
        state = json.loads(cluster.run("balance", "--json").stdout)
        assert (state["move_count"], state["moves"]) == (0, [])
        check_sentence(state["refusal"])
        assert state["refusal"] in text
        assert cluster.check("cat", "/large") == CONTENT
        check_logs(cluster)


def refused_code(cluster: LocalTestCluster, *arguments: str) -> int:
    finished = cluster.run(*arguments, "--json")
    error = json.loads(finished.stderr)["error"]
    assert error["reason"] in FULL_REASONS, error
    check_sentence(error["message"])
    assert finished.stdout == b""
    return finished.returncode


def test_a_local_disk_that_is_full(small_chunks_cluster: LocalTestCluster, tmp_path: Path) -> None:
    small_chunks_cluster.check("put", "-", "/larger", stdin=CONTENT)
    with small_disk(tmp_path / "small", "4m"):
        target = tmp_path / "small" / "target"
        refused(small_chunks_cluster, "get", "/larger", str(target), reason="LOCAL_DISK_FULL", code=15)
        assert list(target.parent.iterdir()) == []
    small_chunks_cluster.check("rm", "/larger")


# --- Read-only -------------------------------------------------------------------------------------------------


def test_servers_do_not_start_where_they_cannot_write(tmp_path: Path) -> None:
    cluster = LocalTestCluster(tmp_path)
    place = tmp_path / "read-only"
    (place / "there").mkdir(parents=True)
    with read_only(place):
        for directory in (place / "there", place / "new"):
            for arguments in (
                run_arguments("master", directory),
                [*run_arguments("chunkserver", directory), "--master", cluster.endpoint, "--name", "cs-1"],
                ["up", "--dir", str(directory), "--port", str(free_ports(3))],
            ):
                finished = cluster.run(*arguments, "--json")
                error = json.loads(finished.stderr.decode().splitlines()[-1])["error"]
                assert error["reason"] in ("LOCAL_READ_ONLY", "DIRECTORY_UNUSABLE"), error
                assert finished.returncode == error["exit_code"] in (13, 69)
                assert str(directory) in error["message"]
                assert "Read-only" in error["message"]


def test_a_disk_that_becomes_read_only(own_cluster: LocalTestCluster) -> None:
    cluster = own_cluster
    # Where every write begins; the file of the lock stays open, so the whole directory cannot be changed.
    with client_of(cluster) as client:
        client.put("/before", CONTENT)
        with read_only(cluster.directory("cs-2") / "tmp"):
            client.put("/after", CONTENT)
            assert client.get("/before") == client.get("/after") == CONTENT
            holders = {
                member.name
                for chunk in client.describe("/after").chunks
                for member in chunk.group.members
                if member.server_id not in chunk.missing
            }
            assert holders == {"cs-1", "cs-3"}
            assert client.status().health.value == "HEALTH_WARN"
            assert "Read-only" in cluster.log("cs-2")
            # It still serves what it has.
            cluster.kill("cs-1")
            cluster.kill("cs-3")
            assert client.get("/before") == CONTENT
    check_logs(cluster)
