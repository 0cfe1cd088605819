"""SIGKILL of the master in the middle of a put, and a commit whose answer is lost."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster import LocalTestCluster, wait_until
from large_files import client_of, sha256_of, write_large_file

import dstore

SIZE_BYTES = 64 * 1024 * 1024


def test_a_put_resumes_when_the_master_comes_back(own_cluster: LocalTestCluster, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    digest = write_large_file(source, SIZE_BYTES)
    restarts: list[threading.Thread] = []

    def on_progress(done: int) -> None:
        if done >= SIZE_BYTES // 4 and not restarts:
            own_cluster.kill("master")
            restarts.append(threading.Timer(2, own_cluster.start_node, ["master"]))
            restarts[0].start()

    with client_of(own_cluster) as client:
        client.put_file(source, "/resumed", progress=on_progress)
        restarts[0].join()
        client.get_file("/resumed", target)
    assert sha256_of(target) == digest


def test_a_put_that_gives_up_leaves_nothing_visible(own_cluster: LocalTestCluster, tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_large_file(source, SIZE_BYTES)

    def on_progress(done: int) -> None:
        if own_cluster.pid("master") is not None:
            own_cluster.kill("master")

    with pytest.MonkeyPatch.context() as patch:
        for name, value in own_cluster.environ.items():
            if name.startswith(("DSTORE_", "XDG_")):
                patch.setenv(name, value)
        with dstore.connect(patience_s=3) as client:
            with pytest.raises((dstore.Unavailable, dstore.DeadlineExceeded)) as caught:
                client.put_file(source, "/lost", progress=on_progress)
            assert own_cluster.endpoint in caught.value.message
    own_cluster.start_node("master")
    with client_of(own_cluster) as client:
        assert not client.exists("/lost")
        client.put_file(source, "/lost")
        assert client.stat("/lost").size_bytes == SIZE_BYTES


class HoldingProxy:
    """A TCP proxy in front of the master that can keep its answers to itself, and cut its connections."""

    def __init__(self, target: str):
        host, _, port = target.partition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.hold_answers = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """Close every connection; new ones are accepted."""
        while self._sockets:
            each = self._sockets.pop()
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # its other end was closed first
            finally:
                each.close()

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            self._sockets += [client, server]
            threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, True), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        try:
            while data := source.recv(65_536):
                if not (answers and self.hold_answers.is_set()):
                    target.sendall(data)
        except OSError:
            return  # cut


@contextmanager
def proxy_to(cluster: LocalTestCluster) -> Iterator[HoldingProxy]:
    proxy = HoldingProxy(cluster.endpoint)
    try:
        yield proxy
    finally:
        proxy.close()


def test_a_commit_whose_answer_was_lost_is_resolved_once(own_cluster: LocalTestCluster) -> None:
    data = b"committed once" * 10
    results: list[object] = []
    with (
        proxy_to(own_cluster) as proxy,
        client_of(own_cluster, proxy.endpoint) as behind,
        client_of(own_cluster) as direct,
    ):
        file = behind.open("/once", "xb")
        file.write(data)

        def commit() -> None:
            file.close()
            results.append(behind.stat("/once"))

        thread = threading.Thread(target=commit)
        proxy.hold_answers.set()
        thread.start()
        wait_until(lambda: direct.exists("/once"), what="the commit took effect", timeout_s=20)
        committed = direct.stat("/once")
        assert results == []
        proxy.cut()
        proxy.hold_answers.clear()
        thread.join(60)
        # The retry got the first answer: the file is what the first commit made it, and xb did not fail on itself.
        assert results == [committed]
        assert direct.get("/once") == data
