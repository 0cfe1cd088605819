"""A chunkserver that comes back under its identity without its chunks is noticed and filled again; reads go on."""

import shutil

from cluster import LocalTestCluster
from large_files import client_of

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
