"""A chunkserver that comes back under its identity, but without its chunks, is noticed, and reads go on elsewhere."""

import shutil

from cluster import LocalTestCluster, wait_until
from large_files import client_of

CONTENT = bytes(range(256)) * (5 * 4096)


def test_an_emptied_disk_is_never_healthy(own_cluster: LocalTestCluster) -> None:
    with client_of(own_cluster) as client:
        client.put("/kept", CONTENT)
        own_cluster.kill("cs-2")
        shutil.rmtree(own_cluster.directory("cs-2") / "groups")
        own_cluster.start_node("cs-2")
        wait_until(lambda: client.status().servers_up == 3, what="cs-2 is up again", timeout_s=20)
        status = client.status()
        assert status.health.value == "HEALTH_WARN"
        assert "CHUNKS_LACKING" in {check.code for check in status.checks}
        assert status.under_replicated_chunks == len(client.describe("/kept").chunks) == 5
        assert client.get("/kept") == CONTENT
