"""Local reads with real processes: the disk is read without the server, and whatever breaks costs only the speed."""

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cluster import LocalTestCluster, wait_until
from large_files import client_of

import dstore
from dstore.client.local_socket import LocalSocketClient
from dstore.core.ids import ServerId
from dstore.core.local_reads import LocalReads
from dstore.system.environment import SystemClock

SERVERS = ("cs-1", "cs-2", "cs-3")
MIB = 1024 * 1024
LENT, SENT = "dstore_chunk_files_lent_total", "dstore_chunk_read_bytes_total"
DATA = random.Random(11).randbytes(6 * MIB + 77)


def counted(cluster: LocalTestCluster, metric: str) -> float:
    """Return a counter, added up over all chunkservers that answer."""
    total = 0.0
    for number in range(1, len(SERVERS) + 1):
        with urllib.request.urlopen(f"http://127.0.0.1:{cluster.port + 100 + number}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        total += sum(float(line.split()[1]) for line in lines if line.startswith(f"{metric} "))
    return total


@contextmanager
def reading(cluster: LocalTestCluster, local_reads: str) -> Iterator[dstore.Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DSTORE_LOCAL_READS", local_reads)
        with client_of(cluster) as client:
            yield client


def test_the_server_sends_nothing_of_what_is_read_from_its_disk(small_chunks_cluster: LocalTestCluster) -> None:
    cluster = small_chunks_cluster
    with reading(cluster, "own") as client:
        client.put("/local", DATA)
        sent, lent = counted(cluster, SENT), counted(cluster, LENT)
        assert client.get("/local") == DATA
        assert client.get("/local", 3 * MIB - 5, 10) == DATA[3 * MIB - 5 : 3 * MIB + 5]
        with client.open("/local", "rb") as file:
            assert file.read() == DATA
        assert counted(cluster, SENT) == sent
        assert counted(cluster, LENT) == lent + 7, "one for each chunk"


def test_switched_off_everything_comes_over_the_network(small_chunks_cluster: LocalTestCluster) -> None:
    cluster = small_chunks_cluster
    with reading(cluster, "off") as client:
        client.put("/remote", DATA)
        sent, lent = counted(cluster, SENT), counted(cluster, LENT)
        assert client.get("/remote") == DATA
        assert counted(cluster, SENT) >= sent + len(DATA)
        assert counted(cluster, LENT) == lent


def test_a_setting_that_means_nothing_is_refused(small_chunks_cluster: LocalTestCluster) -> None:
    with pytest.raises(dstore.InvalidRequest, match="off, own, any"), reading(small_chunks_cluster, "yes"):
        pass


def test_what_is_given_out_is_ciphertext(small_chunks_cluster: LocalTestCluster) -> None:
    cluster = small_chunks_cluster
    text = b"nobody without the key reads this. " * 50_000
    with client_of(cluster) as client:
        client.put("/secret", text)
        described = client.describe("/secret")
        chunk = described.chunks[0]
        cluster_id = client.cluster().cluster_id

    async def ask() -> bytes:
        identity = json.loads((cluster.directory("cs-1") / "IDENTITY").read_text())
        server = LocalSocketClient(
            ServerId(identity["server_id"]), SystemClock(), allowed=LocalReads.OWN, own_uid=os.geteuid()
        )
        file = await server.ask(cluster_id, chunk.record.chunk_id, chunk.record.length_bytes)
        assert file is not None
        sealed = bytearray(chunk.record.length_bytes)
        file.read_into(0, memoryview(sealed))
        file.give_back()
        server.close()
        return bytes(sealed)

    sealed = asyncio.run(ask())
    assert len(sealed) > MIB
    assert b"nobody" not in sealed


def test_reads_go_on_when_servers_are_killed_or_hang(own_cluster: LocalTestCluster) -> None:
    with reading(own_cluster, "own") as client:
        client.put("/file", DATA)
        with client.open("/file", "rb") as file:
            head = file.read(MIB)
            own_cluster.kill("cs-1")
            hung = own_cluster.pid("cs-2")
            assert hung is not None
            os.kill(hung, signal.SIGSTOP)
            try:
                assert head + file.read() == DATA
            finally:
                os.kill(hung, signal.SIGCONT)
        own_cluster.start_node("cs-1")
        assert client.get("/file") == DATA


def test_a_flipped_byte_is_read_from_another_copy_and_its_server_finds_out(own_cluster: LocalTestCluster) -> None:
    with reading(own_cluster, "own") as client:
        client.put("/file", DATA)
        chunk = client.describe("/file").chunks[2]
    chunk_id, first = str(chunk.record.chunk_id), own_cluster.directory(chunk.group.members[0].name)
    (path,) = first.glob(f"groups/*/*/{chunk_id}")
    content = bytearray(path.read_bytes())
    content[4096 + MIB // 2] ^= 1
    path.write_bytes(content)
    # Each client begins with another copy by chance.
    for _ in range(60):
        with reading(own_cluster, "own") as client:
            assert client.get("/file") == DATA
        if (first / "corrupt" / chunk_id).exists():
            return
    raise AssertionError("no client came upon the damaged copy")


def test_the_disk_gets_its_space_back_while_a_client_lives(own_cluster: LocalTestCluster) -> None:
    with reading(own_cluster, "own") as client:
        client.put("/file", DATA)
        assert client.get("/file") == DATA
        assert len(chunk_files_of(os.getpid())) > 0
        wait_until(lambda: not chunk_files_of(os.getpid()), what="idle files are given back", timeout_s=30)
        assert client.get("/file") == DATA


def chunk_files_of(pid: int) -> list[str]:
    paths = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            paths.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return [path for path in paths if "/groups/" in path]


_FORKING = """
import os, sys, dstore
def lent():
    paths = []
    for name in os.listdir("/proc/self/fd"):
        try:
            paths.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            pass
    return [path for path in paths if "/groups/" in path]
with dstore.connect() as client:
    before = client.get("/file")
    assert lent()
    child = os.fork()
    if child == 0:
        try:
            client.get("/file")
        except dstore.NotReady as error:
            os._exit(0 if error.reason == "FORKED" and not lent() else 2)
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.get("/file") == before and lent()
"""


def test_a_child_holds_nothing_and_the_parent_reads_on(small_chunks_cluster: LocalTestCluster) -> None:
    with client_of(small_chunks_cluster) as client:
        client.put("/file", DATA)
    finished = subprocess.run(
        [sys.executable, "-c", _FORKING],
        env=small_chunks_cluster.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
