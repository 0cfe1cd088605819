"""Wrong keys, profiles and addresses, and servers that are no dstore, through the command on a live cluster."""

import http.server
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from clear_errors import check_refusal, refused
from cluster import LocalTestCluster
from large_files import client_of

import dstore

SECRET = random.Random(9).randbytes(1000)


@pytest.fixture(scope="module")
def cluster(small_chunks_cluster: LocalTestCluster) -> Iterator[LocalTestCluster]:
    with client_of(small_chunks_cluster) as client:
        client.put("/secret", SECRET)
    yield small_chunks_cluster
    with client_of(small_chunks_cluster) as client:
        assert client.get("/secret") == SECRET
        assert [info.name for info in client.list("/")] == ["secret"]


# --- Keys ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def other_key(cluster: LocalTestCluster) -> Path:
    path = cluster.home / "other.key"
    cluster.check("key", "init", "--key-file", str(path))
    return path


def missing(path: Path) -> None:
    path.unlink()


def world_readable(path: Path) -> None:
    path.chmod(0o604)


def group_readable(path: Path) -> None:
    path.chmod(0o640)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("-----BEGIN PRIVATE KEY-----\n")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def altered(path: Path) -> None:
    before, secret, after = path.read_text().partition("secret = '")
    path.write_text(before + secret + ("A" if after[0] != "A" else "B") + after[1:])


def too_long(path: Path) -> None:
    path.write_bytes(path.read_bytes() + bytes(1 << 20))


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o700)


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("spoil", "reason", "code"),
    [
        (missing, "KEY_FILE_MISSING", 10),
        (world_readable, "KEY_FILE_EXPOSED", 13),
        (group_readable, "KEY_FILE_EXPOSED", 13),
        (empty, "KEY_FILE_INVALID", 2),
        (text, "KEY_FILE_INVALID", 2),
        (cut, "KEY_FILE_INVALID", 2),
        (altered, "KEY_FILE_INVALID", 2),
        (too_long, "KEY_FILE_INVALID", 2),
        (a_directory, "KEY_FILE_INVALID", 2),
        (a_pipe, "KEY_FILE_INVALID", 2),
        (a_loop, "KEY_FILE_UNREADABLE", 13),
    ],
)
def test_a_key_file_that_cannot_be_used(
    cluster: LocalTestCluster, tmp_path: Path, spoil: Callable[[Path], None], reason: str, code: int
) -> None:
    key = tmp_path / "spoilt.key"
    key.write_bytes(cluster.key_file.read_bytes())
    key.chmod(0o600)
    spoil(key)
    for arguments in (("cat", "/secret"), ("put", "/etc/hostname", "/new")):
        error = refused(cluster, *arguments, "--key-file", str(key), reason=reason, code=code)
        assert str(key) in error["message"]


def test_a_key_file_that_the_user_may_not_read(cluster: LocalTestCluster, tmp_path: Path) -> None:
    key = tmp_path / "unreadable.key"
    key.write_bytes(cluster.key_file.read_bytes())
    key.chmod(0o000)
    arguments = ["cat", "/secret", "--key-file", str(key), "--json"]
    if os.geteuid() == 0:
        # The superuser reads every file, unless it gives up that right.
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", "--no-new-privs"]
        finished = subprocess.run(
            [*command, sys.executable, "-m", "dstore", *arguments],
            env=cluster.environ,
            capture_output=True,
            timeout=60,
            check=False,
        )
    else:
        finished = cluster.run(*arguments)
    error = check_refusal(finished, "KEY_FILE_UNREADABLE", 13)
    assert "chmod 600" in error["message"]


def test_the_wrong_key_is_named_with_the_right_one(cluster: LocalTestCluster, other_key: Path, tmp_path: Path) -> None:
    have = cluster.check_json("key", "show", "--key-file", str(other_key))["fingerprint"]
    want = cluster.check_json("key", "show")["fingerprint"]
    target = tmp_path / "target"
    for arguments in (("cat", "/secret"), ("get", "/secret", str(target)), ("mv", "/secret", "/elsewhere")):
        error = refused(cluster, *arguments, "--key-file", str(other_key), reason="WRONG_KEY", code=12)
        assert str(have) in error["message"]
        assert str(want) in error["message"]
    assert list(tmp_path.iterdir()) == []
    # What needs no key works with any.
    assert cluster.check("ls", "/") == b"secret\n"


# --- Profiles --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("key_file =", "keyfile ="), ("'keyfile'", "did you mean key_file?")),
        (lambda text: text.replace("endpoint =", "endpiont ="), ("'endpiont'", "did you mean endpoint?")),
        (lambda text: text + "colour = 'red'\n", ("'colour'", "known are")),
        (lambda text: text.replace("127.0.0.1:", "127.0.0.1;"), ("no endpoint", "HOST:PORT")),
        (lambda text: text + "= nothing", ("not TOML",)),
        (lambda text: text + "key_file = 7", ("TOML",)),
    ],
)
def test_a_profile_file_with_a_mistake(
    cluster: LocalTestCluster, tmp_path: Path, change: Callable[[str], str], words: tuple[str, ...]
) -> None:
    config = (cluster.home / "config" / "config.toml").read_text()
    (tmp_path / "config.toml").write_text(change(config))
    environ = cluster.environ | {"DSTORE_CONFIG_DIR": str(tmp_path)}
    error = refused(cluster, "cat", "/secret", environ=environ, reason="PROFILE_INVALID", code=2)
    for word in (*words, str(tmp_path / "config.toml")):
        assert word in error["message"]


def test_no_profile_at_all(cluster: LocalTestCluster, tmp_path: Path) -> None:
    environ = cluster.environ | {"DSTORE_CONFIG_DIR": str(tmp_path)}
    error = refused(cluster, "cat", "/secret", environ=environ, reason="NO_ENDPOINT", code=2)
    assert "dstore up" in error["message"]
    arguments = ("cat", "/secret", "--endpoint", cluster.endpoint)
    error = refused(cluster, *arguments, environ=environ, reason="NO_KEY_FILE", code=13)
    assert "dstore key init" in error["message"]


def test_the_profile_of_another_cluster(cluster: LocalTestCluster, tmp_path: Path) -> None:
    config = (cluster.home / "config" / "config.toml").read_text()
    right = client_cluster_id(cluster)
    wrong = right[:-4] + ("0000" if right[-4:] != "0000" else "1111")
    (tmp_path / "config.toml").write_text(config.replace(right, wrong))
    environ = cluster.environ | {"DSTORE_CONFIG_DIR": str(tmp_path)}
    for arguments in (("cat", "/secret"), ("rm", "/secret")):
        error = refused(cluster, *arguments, environ=environ, reason="WRONG_CLUSTER", code=69)
        assert right in error["message"]
        assert wrong in error["message"]


def client_cluster_id(cluster: LocalTestCluster) -> str:
    with client_of(cluster) as client:
        return client.cluster().cluster_id


# --- Endpoints -------------------------------------------------------------------------------------------------


@contextmanager
def listener(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server that is no dstore: ``serve`` gets each connection."""
    kept: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            kept.append(connection)
            serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    for connection in kept:
        connection.close()


@contextmanager
def http_server() -> Iterator[int]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


class OneAnswer(grpc.GenericRpcHandler):
    """Answers every call with the same bytes, or knows no method at all."""

    def __init__(self, answer: bytes | None):
        self.answer = answer

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if self.answer is None:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self.answer)


@contextmanager
def grpc_server(answer: bytes | None) -> Iterator[int]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((OneAnswer(answer),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(0).wait()


SERVERS: dict[str, tuple[Callable[[], Any], str]] = {
    "says nothing": (lambda: listener(lambda connection: None), "MASTER_UNREACHABLE"),
    "hangs up": (lambda: listener(lambda connection: connection.close()), "MASTER_UNREACHABLE"),
    "another protocol": (
        lambda: listener(lambda connection: connection.sendall(b"220 ESMTP\r\n")),
        "MASTER_UNREACHABLE",
    ),
    "http": (http_server, "MASTER_UNREACHABLE"),
    "foreign grpc": (lambda: grpc_server(None), "NOT_A_DSTORE_MASTER"),
    "grpc with other messages": (lambda: grpc_server(b"\xff\xff"), "NOT_A_DSTORE_MASTER"),
    "grpc with empty messages": (lambda: grpc_server(b""), "NOT_A_DSTORE_MASTER"),
}
#: One call that is never answered takes 10 s; nothing may take much longer.
PATIENCE_S = 30


@pytest.fixture(scope="module")
def outcomes(cluster: LocalTestCluster) -> Iterator[dict[str, tuple[float, list[Any]]]]:
    """What happens to commands that are sent to each server; all at once, for each waits its time out."""
    found: dict[str, tuple[float, list[Any]]] = {}

    def ask(name: str) -> None:
        make, _ = SERVERS[name]
        with make() as port:
            endpoint = ("--endpoint", f"127.0.0.1:{port}", "--json")
            start_s = time.monotonic()
            finished = [cluster.run(*each, *endpoint) for each in (("status",), ("put", "/etc/hostname", "/new"))]
            found[name] = time.monotonic() - start_s, finished

    with futures.ThreadPoolExecutor(len(SERVERS)) as pool:
        list(pool.map(ask, SERVERS))
    yield found


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_that_is_no_dstore(outcomes: dict[str, tuple[float, list[Any]]], name: str) -> None:
    duration_s, finished = outcomes[name]
    for each in finished:
        error = check_refusal(each, SERVERS[name][1], 69)
        assert "127.0.0.1:" in error["message"]
        assert "--endpoint" in error["message"]
    assert duration_s < PATIENCE_S


@pytest.mark.parametrize("arguments", [("status",), ("ls", "/"), ("put", "/etc/hostname", "/new")])
def test_other_ports_of_the_same_cluster(cluster: LocalTestCluster, arguments: tuple[str, ...]) -> None:
    for port in (cluster.port + 1, cluster.port + 100):
        endpoint = f"127.0.0.1:{port}"
        error = refused(cluster, *arguments, "--endpoint", endpoint, reason="NOT_A_DSTORE_MASTER", code=69)
        assert endpoint in error["message"]


def test_an_address_where_nobody_is(cluster: LocalTestCluster) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    for endpoint, reason, code in (
        (f"127.0.0.1:{port}", "MASTER_UNREACHABLE", 69),
        ("no-such-host.invalid:7070", "MASTER_UNREACHABLE", 69),
        ("127.0.0.1:0", "ENDPOINT_INVALID", 2),
        ("127.0.0.1:65536", "ENDPOINT_INVALID", 2),
        ("127.0.0.1", "ENDPOINT_INVALID", 2),
        (":7070", "ENDPOINT_INVALID", 2),
        ("http://127.0.0.1:7070", "ENDPOINT_INVALID", 2),
    ):
        error = refused(cluster, "status", "--endpoint", endpoint, reason=reason, code=code)
        assert endpoint in error["message"]


def test_the_library_says_the_same(cluster: LocalTestCluster) -> None:
    with (
        grpc_server(b"\xff\xff") as port,
        pytest.raises(dstore.NotReady) as caught,
        client_of(cluster, f"127.0.0.1:{port}"),
    ):
        pass
    assert caught.value.reason == "NOT_A_DSTORE_MASTER"
