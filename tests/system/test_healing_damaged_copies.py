"""All copies of a chunk but one are damaged: it is read, the cluster heals itself, and people are told which disks."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import wait_until
from hasty_cluster import HastyCluster, findings, hasty_cluster
from large_files import client_of

import dstore
from dstore.core.status import ClusterStatus

MIB = 1024 * 1024
DATA = random.Random(11).randbytes(12 * MIB + 5)
VICTIMS = ("cs-1", "cs-2")
#: A server tells what it found with its next heartbeat.
TOLD_WITHIN_S = 5.0


def contents(cluster: HastyCluster) -> dict[str, dict[str, bytes]]:
    """Return the chunk files by server and name."""
    return {name: {path.name: path.read_bytes() for path in cluster.chunk_files(name)} for name in cluster.names[1:]}


def damage(cluster: HastyCluster, chunk_id: str) -> None:
    """Flip one bit in the ciphertext of a chunk on each of the victims."""
    for name in VICTIMS:
        (path,) = [path for path in cluster.chunk_files(name) if path.name == chunk_id]
        with path.open("r+b") as file:
            file.seek(4096 + MIB // 2)
            (byte,) = file.read(1)
            file.seek(-1, 1)
            file.write(bytes((byte ^ 0x10,)))


def put_and_damage(cluster: HastyCluster, client: dstore.Client) -> tuple[str, dict[str, dict[str, bytes]]]:
    """Return the chunk that is damaged on two servers of three, and all files as they were."""
    client.put("/file", DATA)
    wait_until(lambda: client.status().health.value == "HEALTH_OK", what="all is well", timeout_s=20)
    before = contents(cluster)
    chunk_id = str(client.describe("/file").chunks[1].record.chunk_id)
    assert [len(files) for files in before.values()] == [4, 4, 4]
    assert before["cs-1"][chunk_id] == before["cs-2"][chunk_id] == before["cs-3"][chunk_id]
    damage(cluster, chunk_id)
    return chunk_id, before


def is_found(cluster: HastyCluster, name: str, chunk_id: str) -> bool:
    return f"chunk {chunk_id} is corrupt and no longer served" in cluster.log(name)


def named(status: ClusterStatus) -> set[str]:
    """Return the servers whose disks a status blames."""
    return {check.message.split()[3] for check in status.checks if check.code == "CHUNKS_CORRUPT"}


def wait_healed(cluster: HastyCluster, client: dstore.Client, before: dict[str, dict[str, bytes]]) -> None:
    """Wait for HEALTH_OK; it must not be said before each file is as it was."""
    deadline_s = time.monotonic() + 60
    while (status := client.status()).health.value != "HEALTH_OK":
        assert status.unavailable_chunks == 0
        assert time.monotonic() < deadline_s, status.checks
        time.sleep(0.05)
    assert contents(cluster) == before
    for name in cluster.names[1:]:
        assert not list((cluster.directory(name) / "corrupt").iterdir()), "no mark is left"


def blamed_in_text(text: str, line_start: str) -> set[str]:
    """Return the servers that such lines name."""
    lines = [line for line in text.splitlines() if line_start in line]
    return {name for name in ("cs-1", "cs-2", "cs-3") if any(name in line for line in lines)}


def is_told(status: ClusterStatus) -> bool:
    """Return whether the status says that one chunk has two damaged copies; a busy server may be missed for a while."""
    return named(status) == set(VICTIMS) and (status.health.value, status.under_replicated_chunks) == ("HEALTH_WARN", 1)


def wait(condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, what=what, timeout_s=TOLD_WITHIN_S)


@pytest.mark.timeout(180)
def test_one_good_copy_is_read_and_the_others_are_made_again(tmp_path: Path) -> None:
    # Slow enough that people can look: a copy takes some seconds.
    slowly = ("--copy-rate", "512KiB")
    with hasty_cluster(tmp_path, chunk_size_bytes=4 * MIB, options=slowly) as cluster, client_of(cluster) as client:
        chunk_id, before = put_and_damage(cluster, client)
        deadline_s = time.monotonic() + 30
        # Each client begins with another server by chance.
        while not all(is_found(cluster, name, chunk_id) for name in VICTIMS):
            assert time.monotonic() < deadline_s, "no reader came upon both damaged copies"
            with client_of(cluster) as reader:
                assert reader.get("/file") == DATA
        wait(lambda: is_told(client.status()), "the status names both disks")
        assert client.get("/file") == DATA
        text = cluster.check("status").decode()
        assert "HEALTH_WARN" in text
        assert blamed_in_text(text, "CHUNKS_CORRUPT") == set(VICTIMS)
        found, is_clean = findings(cluster)
        assert not is_clean
        ids = {server.name: server.server_id for server in client.status().servers}
        corrupt = {str(each["server"]): each for each in found if each["kind"] == "REPLICA_CORRUPT"}
        assert set(corrupt) == set(VICTIMS)
        for name, finding in corrupt.items():
            assert (finding["path"], finding["chunk_id"]) == ("/file", chunk_id)
            assert ids[name] in str(finding["what"]), "by the uuid of the disk"
        assert not is_found(cluster, "cs-3", chunk_id)
        wait_healed(cluster, client, before)
        assert findings(cluster) == ([], True)


@pytest.mark.timeout(180)
def test_the_scrub_alone_finds_damaged_copies(tmp_path: Path) -> None:
    options = ("--scrub-period", "8s", "--copy-rate", "1MiB")
    with hasty_cluster(tmp_path, chunk_size_bytes=4 * MIB, options=options) as cluster, client_of(cluster) as client:
        for name in cluster.names[1:]:
            # An empty server looks again after a share of the period, and began with that of the first master.
            cluster.kill(name)
            cluster.start_node(name)
        chunk_id, before = put_and_damage(cluster, client)
        blamed: set[str] = set()
        deadline_s = time.monotonic() + 60
        while blamed != set(VICTIMS):
            assert time.monotonic() < deadline_s, f"only {blamed} were named"
            blamed |= named(client.status())
            time.sleep(0.05)
        assert all(is_found(cluster, name, chunk_id) for name in VICTIMS)
        wait_healed(cluster, client, before)
        assert client.get("/file") == DATA
