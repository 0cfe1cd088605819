"""A chunkserver that comes back under its identity without its chunks is noticed and filled again; reads go on."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import LocalTestCluster, wait_until
from large_files import client_of

import dstore

TROUBLES = {"SERVER_SUSPECT", "SERVER_DOWN", "CHUNKS_LACKING", "GROUPS_FILLING", "CHUNKS_UNDER_REPLICATED"}
CONTENT = bytes(range(256)) * (5 * 4096)


def test_an_emptied_disk_is_never_healthy_until_it_is_filled_again(own_cluster: LocalTestCluster) -> None:
    with client_of(own_cluster) as client:
        client.put("/kept", CONTENT)
        own_cluster.kill("cs-2")
        groups = own_cluster.directory("cs-2") / "groups"
        shutil.rmtree(groups)
        own_cluster.start_node("cs-2")
        chunks = len(client.describe("/kept").chunks)
        # Either it is not judged yet, and then not up, or it is found to lack chunks, or it has them again.
        while (status := client.status()).health.value != "HEALTH_OK":
            assert {check.code for check in status.checks} & TROUBLES
            assert client.get("/kept") == CONTENT
        assert sum(path.is_file() for path in groups.rglob("*-*")) == chunks
        assert client.get("/kept") == CONTENT


@pytest.fixture
def four(tmp_path: Path) -> Iterator[LocalTestCluster]:
    cluster = LocalTestCluster(tmp_path, chunkservers=4, chunk_size_bytes=1024 * 1024)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def test_a_chunk_that_is_gone_from_all_disks_is_told_and_never_healthy(four: LocalTestCluster) -> None:
    """Members cannot be filled from each other then: each would find that it has what the others have."""
    with client_of(four) as client:
        client.put("/lost", CONTENT)
        client.put("/kept", CONTENT)
        lost = str(client.describe("/lost").chunks[0].record.chunk_id)
        four.check("down", "--dir", str(four.root))
        copies = list(four.root.glob(f"cs-*/groups/**/{lost}"))
        assert len(copies) == 3
        for path in copies:
            path.unlink()
        four.start()
        seen = set[str]()

        def is_told() -> bool:
            status = client.status()
            codes = {check.code for check in status.checks}
            seen.update(codes)
            assert status.health.value != "HEALTH_OK"
            return codes == {"CHUNKS_UNAVAILABLE", "CHUNKS_UNDER_REPLICATED"} and status.unavailable_chunks == 1

        wait_until(is_told, what="it is told that one chunk cannot be read", timeout_s=90)
        assert client.get("/kept") == CONTENT
        with pytest.raises(dstore.Unavailable, match="/lost"):
            client.get("/lost")
    assert "GROUPS_FILLING" not in seen
