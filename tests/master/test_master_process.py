"""The master as a process sees itself: settings, upkeep, figures, start and stop."""

import asyncio
import json
import urllib.request
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from master_harness import FakeClock, MasterHarness

from dstore.core import errors
from dstore.core.files import Policy
from dstore.core.limits import INTENT_LEASE_DURATION_S
from dstore.master.config import MasterConfig
from dstore.master.metrics import MeasuredStore, Metrics
from dstore.master.process import DATABASE_NAME, serve
from dstore.master.store.base import Transaction
from dstore.rpc.channel import Connection

CONFIG = MasterConfig(
    directory=Path("unused"),
    listen="127.0.0.1:0",
    http_listen="127.0.0.1:0",
    replicas=3,
    min_replicas=2,
    chunk_size_bytes=1 << 20,
    failure_domain="server",
    log_level="warning",
)


class Running:
    """A master that runs in this loop until it is stopped."""

    def __init__(self, config: MasterConfig) -> None:
        self._stopping = asyncio.Event()
        self.task = asyncio.create_task(serve(config, self._stopping))
        self.line: dict[str, str] = {}

    async def ready(self, capsys: pytest.CaptureFixture[str]) -> None:
        printed = ""
        async with asyncio.timeout(30):
            while not printed:
                done, _ = await asyncio.wait([self.task], timeout=0.01)
                if done:
                    self.task.result()
                printed = capsys.readouterr().out
        self.line = json.loads(printed)

    async def stop(self) -> None:
        self._stopping.set()
        await self.task


def fetch(address: str, path: str) -> str:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        return str(answer.read().decode())


async def test_start_serve_stop_and_start_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = replace(CONFIG, directory=tmp_path / "new" / "master")
    first = Running(config)
    await first.ready(capsys)
    assert (first.line["event"], first.line["role"]) == ("ready", "master")
    connection = Connection(first.line["address"])
    cluster = await connection.namespace.get_cluster()
    assert cluster.policy == Policy("default", 3, 2, 1 << 20, "server")
    assert (await connection.admin.get_status()).cluster_id == cluster.cluster_id
    with pytest.raises(errors.NotFound):
        await connection.namespace.stat("/none")
    await connection.close()
    metrics = await asyncio.to_thread(fetch, first.line["http_address"], "/metrics")
    assert 'dstore_build_info{commit="unknown",role="master"' in metrics
    assert "dstore_metadata_commit_duration_seconds_count" in metrics
    assert '"store": "ok"' in await asyncio.to_thread(fetch, first.line["http_address"], "/readyz")
    with pytest.raises(errors.NotReady, match="Another process") as caught:
        await serve(config, asyncio.Event())
    assert caught.value.reason == "DIRECTORY_LOCKED"
    await first.stop()
    # The policy was fixed when the cluster was made.
    second = Running(replace(config, replicas=5))
    await second.ready(capsys)
    connection = Connection(second.line["address"])
    assert await connection.namespace.get_cluster() == cluster
    await connection.close()
    await second.stop()


async def test_a_taken_port_is_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = Running(replace(CONFIG, directory=tmp_path / "one"))
    await first.ready(capsys)
    other = replace(CONFIG, directory=tmp_path / "two")
    for config in (
        replace(other, listen=first.line["address"]),
        replace(other, http_listen=first.line["http_address"]),
    ):
        with pytest.raises(errors.Unavailable) as caught:
            await serve(config, asyncio.Event())
        assert caught.value.reason == "ADDRESS_IN_USE"
    await first.stop()


async def test_a_directory_that_cannot_be_used_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(errors.NotReady) as caught:
            await serve(replace(CONFIG, directory=directory), asyncio.Event())
        assert caught.value.reason == "DIRECTORY_UNUSABLE"


async def test_a_damaged_database_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(b"damaged" * 1000)
    with pytest.raises(errors.Unavailable) as caught:
        await serve(replace(CONFIG, directory=tmp_path), asyncio.Event())
    assert caught.value.reason == "STORE_FAILED"


async def test_a_failed_disk_ends_the_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = MasterHarness(tmp_path)
    await cluster.open()

    def fail(tx: Transaction) -> None:
        raise apsw.IOError("disk I/O error")

    with pytest.raises(errors.Unavailable):
        await cluster.store.write(fail)
    with pytest.raises(errors.Unavailable):
        await cluster.upkeep.run()
    await cluster.store.close()


async def test_upkeep_goes_on_when_the_store_is_busy(cluster: MasterHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    await cluster.begin("/x")
    await cluster.advance(INTENT_LEASE_DURATION_S)
    with monkeypatch.context() as patched:
        patched.setattr("dstore.master.store.sqlite.COMMIT_QUEUE_MAX", 0)
        await cluster.upkeep.step()
    assert len(await cluster.rows("SELECT * FROM intents")) == 1
    await cluster.upkeep.step()
    assert await cluster.rows("SELECT * FROM intents") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"replicas": 0},
        {"replicas": 9},
        {"min_replicas": 0},
        {"min_replicas": 4},
        {"chunk_size_bytes": 0},
        {"chunk_size_bytes": 16383},
        {"chunk_size_bytes": 16384 + 1},
        {"chunk_size_bytes": (64 << 20) + 16384},
        {"failure_domain": "planet"},
    ],
)
def test_policies_that_cannot_be_used(changes: dict[str, int]) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        replace(CONFIG, **changes).policy()  # type: ignore[arg-type]
    assert caught.value.reason == "POLICY_INVALID"


@pytest.mark.parametrize("changes", [{"replicas": 8, "min_replicas": 8}, {"chunk_size_bytes": 64 << 20}])
def test_policies_at_the_bounds(changes: dict[str, int]) -> None:
    replace(CONFIG, **changes).policy()  # type: ignore[arg-type]


async def test_metrics_follow_the_status(cluster: MasterHarness) -> None:
    metrics = Metrics(cluster.clock, "9.9")
    await cluster.write("/x", chunk_count=2)
    await cluster.stop(3)
    await cluster.upkeep.step()
    metrics.show(cluster.shown[-1], is_leading=True)
    text = metrics.encode().decode()
    for line in (
        'dstore_build_info{commit="unknown",role="master",version="9.9"} 1.0',
        "dstore_master_leading 1.0",
        'dstore_health_check{code="SERVER_DOWN"} 1.0',
        "dstore_health 1.0",
        "dstore_files 1.0",
        'dstore_chunks{state="healthy"} 0.0',
        'dstore_chunks{state="under_replicated"} 2.0',
        'dstore_chunks{state="unavailable"} 0.0',
        'dstore_chunks{state="deleted"} 0.0',
        "dstore_writes_in_progress 0.0",
        'dstore_node_up{node="cs-1"} 1.0',
        'dstore_node_up{node="cs-3"} 0.0',
        'dstore_node_out{node="cs-3"} 0.0',
        'dstore_node_groups_filling{node="cs-1"} 0.0',
        'dstore_node_chunks_missing{node="cs-1"} 0.0',
        'dstore_node_chunks_corrupt{node="cs-1"} 0.0',
    ):
        assert line + "\n" in text
    assert 'dstore_node_last_heartbeat_timestamp_seconds{node="cs-1"} 1.700001007e+09\n' in text
    status = cluster.shown[-1]
    metrics.show(replace(status, servers=status.servers[:1], checks=(), unavailable_chunks=1), is_leading=False)
    text = metrics.encode().decode()
    assert "cs-3" not in text
    assert "dstore_health_check{" not in text
    assert "dstore_master_leading 0.0" in text
    assert 'dstore_chunks{state="under_replicated"} 1.0' in text, "each chunk has one state"
    assert 'dstore_chunks{state="unavailable"} 1.0' in text


async def test_writes_are_measured(cluster: MasterHarness) -> None:
    clock = FakeClock()
    observed: list[float] = []
    store = MeasuredStore(cluster.store, clock, observed.append)

    def slow(tx: Transaction) -> int:
        clock.now_s += 0.5
        return 7

    assert await store.write(slow) == 7
    assert await store.read(lambda tx: 8) == 8
    assert observed == [0.5]
