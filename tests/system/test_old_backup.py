"""An old copy of the master's metadata under a running cluster: nothing is deleted, everything goes on."""

import random
import sqlite3
from contextlib import closing

from cluster import wait_until
from hasty_cluster import HastyCluster, hasty, health_codes, kinds
from large_files import client_of

__all__ = ["hasty"]

OLD, NEW, LATER = (random.Random(seed).randbytes(10 * 65_536) for seed in range(3))


def test_a_restored_old_copy_deletes_nothing(hasty: HastyCluster) -> None:
    directory = hasty.directory("master")

    def back_up() -> None:
        with closing(sqlite3.connect(directory / "metadata.db")) as connection:
            connection.execute("VACUUM INTO ?", (str(hasty.home / "old.db"),))

    def restore() -> None:
        for name in ("metadata.db", "metadata.db-wal", "metadata.db-shm"):
            (directory / name).unlink(missing_ok=True)
        (directory / "metadata.db").write_bytes((hasty.home / "old.db").read_bytes())

    with client_of(hasty) as client:
        client.put("/old", OLD)
        client.put("/doomed", OLD)
        hasty.restart_master(back_up)
        client.put("/new", NEW)
        held = {name: {path.name for path in hasty.chunk_files(name)} for name in hasty.names[1:]}
        hasty.wait_leading()
        hasty.restart_master(restore)
        wait_until(lambda: "SAFE_MODE" in health_codes(client), what="safe mode", timeout_s=30)
        assert client.get("/old") == OLD
        assert client.get("/doomed") == OLD
        assert "new" not in {entry.name for entry in client.list("/")}
        client.put("/later", LATER)
        assert client.get("/later") == LATER
        client.remove("/doomed")
        wait_until(lambda: "UNKNOWN_CHUNKS" in health_codes(client), what="the audit sees them", timeout_s=60)
        for name, chunks in held.items():
            assert chunks <= {path.name for path in hasty.chunk_files(name)}, name
        assert kinds(hasty) == {"UNKNOWN_CHUNK"}
        status = hasty.check_json("safe-mode", "status")
        assert status["is_on"] is True
        hasty.restart_master()
        assert hasty.check_json("safe-mode", "status")["is_on"] is True
        assert hasty.check_json("safe-mode", "leave")["is_on"] is False
        # 40 were there; what is not known is still there after the others have gone.
        wait_until(
            lambda: [len(hasty.chunk_files(name)) for name in hasty.names[1:]] == [30, 30, 30],
            what="deletions go on",
            timeout_s=60,
        )
        assert client.get("/old") == OLD
        assert client.get("/later") == LATER
        assert kinds(hasty) == {"UNKNOWN_CHUNK"}
