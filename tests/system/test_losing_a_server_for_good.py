"""Of five chunkservers one is killed for good while clients write and read: nobody sees an error, and every chunk has
all its copies again without a human."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest
from cluster import LocalTestCluster, wait_until
from large_files import client_of

from dstore import Client

MIB = 1024 * 1024
FILE_COUNT = 24
FILE_SIZE = 4 * MIB


class SoonOutCluster(LocalTestCluster):
    """Does not wait for ten minutes before a server that is down is replaced."""

    def up_arguments(self) -> list[str]:
        return [*super().up_arguments(), "--out-after", "7s"]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalTestCluster]:
    cluster = SoonOutCluster(tmp_path, chunkservers=5, chunk_size_bytes=MIB)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def content(number: int) -> bytes:
    return number.to_bytes(4) * (FILE_SIZE // 4)


class Traffic:
    """Writes new files and reads old ones until it is told to stop; errors are kept."""

    def __init__(self, cluster: LocalTestCluster) -> None:
        self.errors: list[BaseException] = []
        self.written: list[int] = []
        self.read_count = 0
        self._cluster = cluster
        self._clients = contextlib.ExitStack()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        for work in (self._write, self._read):
            client = self._clients.enter_context(client_of(self._cluster))
            self._threads.append(threading.Thread(target=self._run, args=(work, client)))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._clients.close()

    def _run(self, work: Callable[[Client], None], client: Client) -> None:
        try:
            while not self._stopping.is_set():
                work(client)
                time.sleep(0.1)
        except BaseException as error:  # noqa: BLE001  The test looks at it.
            self.errors.append(error)

    def _write(self, client: Client) -> None:
        number = 1000 + len(self.written)
        client.put(f"/new-{number}", content(number))
        self.written.append(number)

    def _read(self, client: Client) -> None:
        number = self.read_count % FILE_COUNT
        assert client.get(f"/old-{number}") == content(number)
        self.read_count += 1


@pytest.mark.timeout(240)
def test_redundancy_is_full_again_and_nobody_sees_an_error(cluster: LocalTestCluster) -> None:
    with client_of(cluster) as client:
        for number in range(FILE_COUNT):
            client.put(f"/old-{number}", content(number))
        held = next(server for server in client.status().servers if server.name == "cs-2").chunk_count
        assert held > 0
        with Traffic(cluster) as traffic:
            cluster.kill("cs-2")
            wait_until(
                lambda: {each.name: each.phase.value for each in client.status().servers}["cs-2"] == "out",
                what="cs-2 is out",
                timeout_s=40,
            )
            started_s = time.monotonic()
            wait_until(
                lambda: client.status().under_replicated_chunks == 0,
                what="every chunk has all its copies",
                timeout_s=120,
            )
            duration_s = time.monotonic() - started_s
        assert not traffic.errors
        assert traffic.written
        assert traffic.read_count > 0
        print(f"{held} chunks of 1 MiB made up for in {duration_s:.1f} s: {held / duration_s:.0f} MiB/s beside traffic")
        wait_until(
            lambda: [check.code for check in client.status().checks] == ["SERVER_OUT"],
            what="nothing else is wrong",
            timeout_s=30,
        )
        status = client.status()
        assert status.unavailable_chunks == 0
        victim = next(server for server in status.servers if server.name == "cs-2")
        assert victim.group_count == 0
        for number in traffic.written:
            assert client.get(f"/new-{number}") == content(number)
            for chunk in client.describe(f"/new-{number}").chunks:
                assert len({member.name for member in chunk.group.members} - {"cs-2"}) == 3
                assert chunk.missing == ()
        for number in range(FILE_COUNT):
            assert client.get(f"/old-{number}") == content(number)
