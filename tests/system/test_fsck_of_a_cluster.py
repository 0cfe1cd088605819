"""``dstore fsck`` on real servers: clean when all is well, and each damage is found and healed as far as it can be."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cluster import wait_until
from hasty_cluster import HastyCluster, findings, hasty_cluster, kinds
from large_files import client_of

DATA = random.Random(1).randbytes(10 * 65_536)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HastyCluster]:
    with hasty_cluster(tmp_path_factory.mktemp("fsck")) as running:
        with client_of(running) as client:
            client.make_directory("/dir")
            client.put("/dir/file", DATA)
        yield running


def edit(cluster: HastyCluster, *statements: str) -> Callable[[], None]:
    def run() -> None:
        with closing(sqlite3.connect(cluster.directory("master") / "metadata.db", isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    return run


def wait_clean(cluster: HastyCluster) -> None:
    wait_until(lambda: kinds(cluster) == set(), what="all is well again", timeout_s=60)


def test_a_whole_cluster_is_clean(cluster: HastyCluster) -> None:
    assert findings(cluster) == ([], True)
    text = cluster.check("fsck").decode()
    assert text.startswith("OK: 1 file, 2 directories, 10 chunks, 30 copies")


def test_a_copy_that_vanished_is_found_and_made_again(cluster: HastyCluster) -> None:
    gone = cluster.chunk_files("cs-1")[0]
    gone.unlink()
    cluster.kill("cs-1")
    cluster.start_node("cs-1")
    wait_until(lambda: len(cluster.chunk_files("cs-1")) == 10, what="it is copied again", timeout_s=60)
    wait_clean(cluster)


def test_a_flipped_byte_is_found_and_healed(cluster: HastyCluster) -> None:
    damaged = cluster.chunk_files("cs-2")[0]
    whole = damaged.read_bytes()
    content = bytearray(whole)
    content[5_000] ^= 1
    damaged.write_bytes(content)
    cluster.kill("cs-2")
    cluster.start_node("cs-2")

    def read_until_healed() -> bool:
        # Each client begins with another server by chance.
        with client_of(cluster) as client:
            assert client.get("/dir/file") == DATA
        return damaged.exists() and damaged.read_bytes() == whole

    wait_until(read_until_healed, what="a reader comes upon it, and it is made again", timeout_s=60)
    wait_clean(cluster)


def test_a_server_that_is_away_is_named(cluster: HastyCluster) -> None:
    cluster.kill("cs-3")
    with client_of(cluster) as client:
        wait_until(lambda: client.status().servers_up == 2, what="cs-3 is missed", timeout_s=20)
    found, is_clean = findings(cluster)
    assert not is_clean
    assert {(each["kind"], each["server"]) for each in found} == {("NOT_CHECKED", "cs-3")}
    assert b"dstore node start cs-3" in cluster.run("fsck").stdout
    cluster.start_node("cs-3")
    wait_clean(cluster)


def test_tables_that_were_tampered_with(cluster: HastyCluster, tmp_path: Path) -> None:
    cluster.restart_master(
        edit(
            cluster,
            "UPDATE counters SET value = value + 7 WHERE name = 'files'",
            "UPDATE inodes SET chunk_count = 11 WHERE chunk_count = 10",
        )
    )
    assert kinds(cluster) == {"COUNTER_OFF", "CHUNK_ROWS_INCOMPLETE"}
    assert "/dir/file" in {each["path"] for each in findings(cluster)[0]}
    assert kinds(cluster, "--repair") == {"COUNTER_OFF", "CHUNK_ROWS_INCOMPLETE"}
    assert kinds(cluster) == {"CHUNK_ROWS_INCOMPLETE"}
    cluster.restart_master(edit(cluster, "UPDATE inodes SET chunk_count = 10 WHERE chunk_count = 11"))
    wait_clean(cluster)


def test_a_master_that_is_away_cannot_be_checked(cluster: HastyCluster) -> None:
    cluster.stop_master()
    finished = cluster.run("fsck")
    assert finished.returncode == 69
    assert b"MASTER_UNREACHABLE" in finished.stderr
    cluster.restart_master()
    wait_clean(cluster)
