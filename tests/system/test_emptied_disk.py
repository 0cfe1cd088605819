"""A chunkserver that comes back under its identity without its chunks is noticed and filled again; reads go on."""

import shutil

from cluster import LocalTestCluster, wait_until
from large_files import client_of

CONTENT = bytes(range(256)) * (5 * 4096)


def test_an_emptied_disk_is_filled_again(own_cluster: LocalTestCluster) -> None:
    with client_of(own_cluster) as client:
        client.put("/kept", CONTENT)
        own_cluster.kill("cs-2")
        groups = own_cluster.directory("cs-2") / "groups"
        shutil.rmtree(groups)
        own_cluster.start_node("cs-2")
        chunks = len(client.describe("/kept").chunks)

        def is_filled() -> bool:
            assert client.get("/kept") == CONTENT
            return sum(path.is_file() for path in groups.rglob("*-*")) == chunks

        wait_until(is_filled, what="cs-2 holds all chunks again", timeout_s=60)
        wait_until(lambda: client.status().health.value == "HEALTH_OK", what="HEALTH_OK", timeout_s=30)
