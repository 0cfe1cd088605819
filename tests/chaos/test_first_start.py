"""A disk error while a master makes its database: it serves from a log that keeps commits, or it does not serve."""

from pathlib import Path

import pytest
from injection import Injection
from server_processes import ClusterShape, ServerCluster

from dstore.master.process import DATABASE_NAME

#: Where SQLite's file says how it is to be read and written; both are 2 for WAL (sqlite.org/fileformat2.html, 1.3.3).
_JOURNAL_MODE = slice(18, 20)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_no_master_serves_from_a_journal_that_can_lose_commits(number: int, tmp_path: Path) -> None:
    cluster = ServerCluster(tmp_path, ClusterShape())
    injection = Injection("fdatasync", "pool", number, "EIO")
    record = tmp_path / "strace"
    try:
        cluster.master.start(injection.command(record), injection.launch)
        served = await cluster.master.wait_ready()
        assert b"(INJECTED)" in record.read_bytes()
        if not served:
            assert "STORE_FAILED" in cluster.master.log_tail()
            cluster.master.start()
            assert await cluster.master.wait_ready(), cluster.master.log_tail()
        with (cluster.master.directory / DATABASE_NAME).open("rb") as file:
            assert file.read(100)[_JOURNAL_MODE] == b"\x02\x02"
    finally:
        await cluster.kill()
