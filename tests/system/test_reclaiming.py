"""Space of removed and replaced files comes back, also on a chunkserver that was away meanwhile."""

import random
import sqlite3
from contextlib import closing

from cluster import wait_until
from hasty_cluster import HastyCluster, findings, hasty, health_codes
from large_files import client_of

__all__ = ["hasty"]

OLD, NEW, KEPT = (random.Random(seed).randbytes(10 * 65_536) for seed in range(3))


def chunk_names(cluster: HastyCluster) -> dict[str, set[str]]:
    return {name: {path.name for path in cluster.chunk_files(name)} for name in cluster.names[1:]}


def test_a_chunkserver_that_was_away_brings_nothing_old_back(hasty: HastyCluster) -> None:
    with client_of(hasty) as client:
        for path, data in (("/removed", OLD), ("/replaced", OLD), ("/kept", KEPT)):
            client.put(path, data)
        before = chunk_names(hasty)["cs-2"]
        hasty.kill("cs-2")
        wait_until(lambda: client.status().servers_up == 2, what="cs-2 is missed", timeout_s=20)
        client.remove("/removed")
        client.put("/replaced", NEW)
        hasty.wait_leading()
        hasty.start_node("cs-2")
        wait_until(lambda: client.status().servers_up == 3, what="cs-2 is back", timeout_s=20)
        assert client.get("/replaced") == NEW
        assert client.get("/kept") == KEPT

        def is_reclaimed() -> bool:
            status = client.status()
            return status.deleted_chunks == 0 and status.health.value == "HEALTH_OK"

        wait_until(is_reclaimed, what="deleted chunks are gone", timeout_s=60)
        wait_until(
            lambda: not any(hasty.trash_files(name) for name in hasty.names[1:]),
            what="the trash is empty",
            timeout_s=30,
        )
        after = chunk_names(hasty)
        assert len(after["cs-2"] - before) >= 10, "what was written meanwhile was copied"
        assert len(before & after["cs-2"]) < len(before), "what was removed meanwhile is gone"
        used = {str(chunk.record.chunk_id) for path in ("/replaced", "/kept") for chunk in client.describe(path).chunks}
        assert len(used) == 20
        for name, held in after.items():
            assert len(held) == 20, name
        assert client.get("/replaced") == NEW
        assert client.get("/kept") == KEPT
    found, is_clean = findings(hasty)
    assert (found, is_clean) == ([], True)


def pretend_content(cluster: HastyCluster, size_bytes: int) -> None:
    """Have the collection believe that the files had so much an hour ago."""
    with closing(sqlite3.connect(cluster.directory("master") / "metadata.db")) as database:
        query = "UPDATE meta SET value = ? WHERE name = 'content_history'"
        assert database.execute(query, (f"[[[0,{size_bytes}]]]",)).rowcount == 1
        database.commit()


def test_a_large_deletion_needs_an_approval(hasty: HastyCluster) -> None:
    with client_of(hasty) as client:
        client.put("/large", random.Random(5).randbytes(150 * 65_536))
        client.put("/kept", KEPT)
        # As if all that had been there for an hour: what comes and goes within the hour is nobody's mistake.
        hasty.restart_master(between=lambda: pretend_content(hasty, 160 * 65_536))
        hasty.wait_leading()
        client.remove("/large")
        wait_until(lambda: "COLLECTION_STOPPED" in health_codes(client), what="it stops", timeout_s=60)
        assert len(hasty.chunk_files("cs-1")) == 160
        status = hasty.check_json("collection", "status")
        assert status["state"] == "stopped"
        assert b"would lose 150 of 160 chunks" in hasty.check("collection", "status")
        hasty.restart_master()
        hasty.wait_leading()
        assert hasty.check_json("collection", "status")["state"] == "stopped", "it is stored"
        assert hasty.check_json("collection", "approve")["stop"] is None
        wait_until(lambda: client.status().deleted_chunks == 0, what="it goes on", timeout_s=60)
        wait_until(lambda: len(hasty.chunk_files("cs-1")) == 10, what="space comes back", timeout_s=30)
        assert client.get("/kept") == KEPT
