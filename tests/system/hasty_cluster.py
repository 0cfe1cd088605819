"""A real cluster that forgets within seconds: no retention, short grace, short trash; for tests of deletions."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster import LocalTestCluster, wait_until

import dstore

_HASTE = ("--collection-grace", "1s", "--trash-delay", "5s", "--out-after", "1h", "--audit-period", "10s")
_READY_TIMEOUT_S = 30


class HastyCluster(LocalTestCluster):
    """The master is started by the test itself, since ``dstore up`` does not know all of its options."""

    def __init__(
        self, home: Path, *, chunkservers: int = 3, chunk_size_bytes: int = 64 * 1024, options: Sequence[str] = ()
    ) -> None:
        """Take further options of the master; they win over those of all hasty clusters."""
        super().__init__(home, chunkservers=chunkservers, chunk_size_bytes=chunk_size_bytes)
        self._options = (*_HASTE, *options)
        self._master: subprocess.Popen[bytes] | None = None

    def up_arguments(self) -> list[str]:
        """As ``LocalTestCluster``, and without retention."""
        return [*super().up_arguments(), "--retention", "0s"]

    def start(self) -> None:
        """Start everything, then the master again with its options."""
        super().start()
        self.restart_master()
        self.wait_leading()

    def restart_master(self, between: object = None) -> None:
        """End the master and start it with its options; ``between`` is called while it is down."""
        self.stop_master()
        if callable(between):
            between()
        with (self.root / "logs" / "master.log").open("ab") as log:
            self._master = subprocess.Popen(
                [
                    *(sys.executable, "-m", "dstore", "master", "run", "--dir", str(self.directory("master"))),
                    *("--listen", self.endpoint, "--http-listen", f"127.0.0.1:{self.port + 100}"),
                    *self._options,
                ],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: self._servers_up() == len(self.names) - 1, what="all are up", timeout_s=_READY_TIMEOUT_S)

    def stop_master(self) -> None:
        """End the master, whoever started it: gracefully, so that the next one leads at once."""
        if self._master is not None:
            self._master.terminate()
            self._master.wait(timeout=_READY_TIMEOUT_S)
            self._master = None
        elif (pid := self.pid("master")) is not None:
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: self.pid("master") is None, what="the master is gone", timeout_s=_READY_TIMEOUT_S)

    def _servers_up(self) -> int:
        finished = self.run("status", "--json")
        return int(json.loads(finished.stdout)["servers_up"]) if finished.returncode == 0 else 0

    def stop(self) -> None:
        """As ``LocalTestCluster``."""
        self.stop_master()
        super().stop()

    def chunk_files(self, name: str) -> list[Path]:
        """Return the chunks on the disk of one chunkserver."""
        return [path for path in (self.directory(name) / "groups").rglob("*-*") if path.is_file()]

    def trash_files(self, name: str) -> list[Path]:
        """Return what is in the trash of one chunkserver."""
        return [path for path in (self.directory(name) / "trash").rglob("*") if path.is_file()]

    def wait_leading(self) -> None:
        """Wait until the master leads and the collection runs, or says why not."""
        wait_until(
            lambda: self.check_json("collection", "status")["state"] != "postponed",
            what="the collection is not postponed",
            timeout_s=_READY_TIMEOUT_S,
        )


@contextmanager
def hasty_cluster(
    home: Path, *, chunkservers: int = 3, chunk_size_bytes: int = 64 * 1024, options: Sequence[str] = ()
) -> Iterator[HastyCluster]:
    """Run one, and stop every process of it at the end."""
    cluster = HastyCluster(home, chunkservers=chunkservers, chunk_size_bytes=chunk_size_bytes, options=options)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def findings(cluster: LocalTestCluster, *options: str) -> tuple[list[dict[str, object]], bool]:
    """Run ``dstore fsck``; return what it found, and whether all is well."""
    finished = cluster.run("fsck", "--json", *options, timeout_s=120)
    lines = [json.loads(line) for line in finished.stdout.splitlines()]
    assert lines, finished.stderr.decode()
    is_clean = bool(lines[-1]["is_clean"])
    assert finished.returncode == (0 if is_clean else 1)
    return lines[:-1], is_clean


def kinds(cluster: LocalTestCluster, *options: str) -> set[object]:
    """Return the kinds of findings that say that something is wrong."""
    return {each["kind"] for each in findings(cluster, *options)[0] if each["severity"] != "info"}


def health_codes(client: dstore.Client) -> set[str]:
    """Return the codes of the health checks."""
    return {check.code for check in client.status().checks}


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[HastyCluster]:
    """Three chunkservers, for one test."""
    with hasty_cluster(tmp_path) as cluster:
        yield cluster
