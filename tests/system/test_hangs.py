"""Processes that stand still or are interrupted: transfers end, in time, whole or not at all."""

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path

import pytest
from clear_errors import check_logs
from cluster import LocalTestCluster, wait_until
from large_files import client_of

from dstore.core.limits import INTENT_LEASE_DURATION_S

MIB = 1024 * 1024
SIZE_BYTES = 24 * MIB
CONTENT = random.Random(3).randbytes(SIZE_BYTES)
#: Nothing takes that long unless it hangs.
BOUND_S = 60


@pytest.fixture(scope="module")
def cluster(small_chunks_cluster: LocalTestCluster) -> Iterator[LocalTestCluster]:
    yield small_chunks_cluster
    check_logs(small_chunks_cluster)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that takes seconds to put, and little of the disk."""
    path = tmp_path_factory.mktemp("large") / "file"
    with path.open("wb") as file:
        file.truncate(1024 * MIB)
    return path


@contextlib.contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """Let a process run again after the block, whoever stopped it."""
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def pid_of(cluster: LocalTestCluster, name: str) -> int:
    pid = cluster.pid(name)
    assert pid is not None
    return pid


@pytest.mark.parametrize("victim", ["cs-1", "cs-2", "cs-3"])
def test_a_chunkserver_that_stands_still(cluster: LocalTestCluster, tmp_path: Path, victim: str) -> None:
    """In the middle of a put and a get at once; chains begin at each server, so each is first, middle and last."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(CONTENT)
    pid = pid_of(cluster, victim)
    both_under_way = threading.Barrier(2, action=lambda: os.kill(pid, signal.SIGSTOP))

    def when_under_way() -> Callable[[int], None]:
        met: list[int] = []

        def on_progress(done_bytes: int) -> None:
            if done_bytes >= SIZE_BYTES // 4 and not met:
                met.append(both_under_way.wait(20))

        return on_progress

    with client_of(cluster) as writer, client_of(cluster) as reader, futures.ThreadPoolExecutor(2) as pool:
        writer.put("/before", CONTENT)
        start_s = time.monotonic()
        with standing_still(pid):
            put = pool.submit(writer.put_file, source, "/during", progress=when_under_way())
            get = pool.submit(reader.get_file, "/before", target, progress=when_under_way())
            assert put.result(BOUND_S).size_bytes == get.result(BOUND_S).size_bytes == SIZE_BYTES
            assert both_under_way.n_waiting == 0
        assert time.monotonic() - start_s < BOUND_S
        assert target.read_bytes() == CONTENT
        assert reader.get("/during") == CONTENT
        wait_until(lambda: writer.status().servers_up == 3, what=f"{victim} is up again", timeout_s=20)
        # Copies are missing, and the cluster says so.
        assert writer.status().under_replicated_chunks > 0
        assert writer.status().health.value == "HEALTH_WARN"
        for path in ("/before", "/during"):
            writer.remove(path)
    wait_until(lambda: cluster.unfinished_files() == [], what="no temporary file is left", timeout_s=20)


def test_a_master_that_stands_still(cluster: LocalTestCluster, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    pid = pid_of(cluster, "master")
    stopped: list[threading.Timer] = []

    def on_progress(done_bytes: int) -> None:
        if done_bytes >= SIZE_BYTES // 4 and not stopped:
            os.kill(pid, signal.SIGSTOP)
            stopped.append(threading.Timer(3, os.kill, [pid, signal.SIGCONT]))
            stopped[0].start()

    with standing_still(pid), client_of(cluster) as client:
        start_s = time.monotonic()
        client.put_file(source, "/resumed", progress=on_progress)
        assert 3 <= time.monotonic() - start_s < BOUND_S
        stopped[0].join()
        assert client.get("/resumed") == CONTENT
        client.remove("/resumed")


def test_a_standard_input_that_stops_for_a_while(cluster: LocalTestCluster) -> None:
    with cluster.popen("put", "-", "/slow") as putting:
        assert putting.stdin is not None
        for part in (CONTENT[: MIB + MIB // 2], CONTENT[MIB + MIB // 2 : 3 * MIB]):
            putting.stdin.write(part)
            putting.stdin.flush()
            time.sleep(1.5)
            assert cluster.run("stat", "/slow").returncode == 10, "visible too early"
        putting.stdin.close()
        assert putting.wait(BOUND_S) == 0
    assert cluster.check("cat", "/slow") == CONTENT[: 3 * MIB]
    cluster.check("rm", "/slow")


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Press Ctrl-C; the command must say so, and nothing else."""
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=BOUND_S)
    assert (process.returncode, out, error) == (130, b"", b"dstore: interrupted\n")


def test_ctrl_c_in_the_middle_of_a_put(cluster: LocalTestCluster, large: Path) -> None:
    with client_of(cluster) as client:
        client.put("/replaced", b"as it was")
        writes = client.status().writes_in_progress
        for path in ("/interrupted", "/replaced"):
            process = cluster.popen("put", str(large), path)
            wait_until(lambda: len(cluster.unfinished_files()) >= 3, what="chunks are under way", timeout_s=20)
            interrupt(process)
            assert client.status().writes_in_progress == writes
        wait_until(lambda: cluster.unfinished_files() == [], what="no temporary file is left", timeout_s=20)
        assert not client.exists("/interrupted")
        assert client.get("/replaced") == b"as it was"
        client.remove("/replaced")
    assert [path.name for path in large.parent.iterdir()] == ["file"]


def test_ctrl_c_in_the_middle_of_a_get(cluster: LocalTestCluster, tmp_path: Path) -> None:
    with client_of(cluster) as client:
        with client.open("/long", "wb") as file:
            for _ in range(16):
                file.write(CONTENT[: 16 * MIB])
        for target in (tmp_path / "new", tmp_path / "old"):
            (tmp_path / "old").write_bytes(b"as it was")
            process = cluster.popen("get", "/long", str(target))
            wait_until(lambda: list(tmp_path.glob(".dstore-*.part")) != [], what="bytes arrive", timeout_s=20)
            interrupt(process)
            assert [path.name for path in tmp_path.iterdir()] == ["old"]
            assert (tmp_path / "old").read_bytes() == b"as it was"
        client.remove("/long")


@pytest.mark.timeout(INTENT_LEASE_DURATION_S + 60)
def test_the_write_of_a_killed_client_expires(abandoned_write: tuple[LocalTestCluster, float]) -> None:
    cluster, killed_at_s = abandoned_write
    left_s = killed_at_s + INTENT_LEASE_DURATION_S - time.monotonic()
    with client_of(cluster) as client:
        wait_until(
            lambda: client.status().writes_in_progress == 0,
            what="the lease of the killed client ran out",
            timeout_s=max(left_s, 0) + 20,
        )
        assert not client.exists("/abandoned")
