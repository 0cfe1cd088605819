"""The ``dstore`` command against a real cluster: what it does, says and exits with."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cluster import LocalTestCluster, wait_until

from dstore.cli.app import main
from dstore.core.limits import INLINE_SIZE_BYTES_MAX

MIB = 1024 * 1024
CHUNK_SIZE_BYTES = MIB


def content(size_bytes: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size_bytes)


def error_of(cluster: LocalTestCluster, *arguments: str) -> dict[str, object]:
    """Run a command that must fail; its error is one JSON object on stderr, and stdout is empty."""
    finished = cluster.run(*arguments, "--json")
    assert finished.stdout == b""
    error = json.loads(finished.stderr)["error"]
    assert isinstance(error, dict)
    assert error["exit_code"] == finished.returncode != 0
    assert isinstance(error["message"], str)
    assert len(error["message"]) > 20
    return error


@pytest.fixture
def cluster(small_chunks_cluster: LocalTestCluster) -> LocalTestCluster:
    return small_chunks_cluster


@pytest.mark.parametrize(
    "size_bytes", [0, 1, CHUNK_SIZE_BYTES - 1, CHUNK_SIZE_BYTES, CHUNK_SIZE_BYTES + 1, 3 * CHUNK_SIZE_BYTES + 7]
)
def test_put_and_get(cluster: LocalTestCluster, tmp_path: Path, size_bytes: int) -> None:
    local = tmp_path / "original"
    local.write_bytes(content(size_bytes))
    stored = cluster.check_json("put", str(local), f"/size-{size_bytes}")
    assert stored["path"] == f"/size-{size_bytes}"
    assert stored["size_bytes"] == size_bytes
    is_small = size_bytes <= INLINE_SIZE_BYTES_MAX
    assert stored["chunk_count"] == (0 if is_small else -(-size_bytes // CHUNK_SIZE_BYTES))
    copy = tmp_path / "copy"
    fetched = cluster.check_json("get", f"/size-{size_bytes}", str(copy))
    assert (fetched["size_bytes"], fetched["local"]) == (size_bytes, str(copy))
    assert copy.read_bytes() == local.read_bytes()
    assert cluster.check("cat", f"/size-{size_bytes}") == local.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["copy", "original"]


def test_standard_streams(cluster: LocalTestCluster, tmp_path: Path) -> None:
    data = content(2 * CHUNK_SIZE_BYTES + 1, seed=2)
    cluster.check("put", "-", "/from-stdin", stdin=data)
    assert cluster.check("get", "/from-stdin", "-") == data
    assert cluster.check("cat", "/from-stdin", "/from-stdin") == data + data
    told = cluster.run("cat", "/from-stdin", "--json")
    assert told.stdout == data
    assert json.loads(told.stderr)["size_bytes"] == len(data)
    assert error_of(cluster, "put", "-", "/into/")["reason"] == "NAME_MISSING"


def test_a_reader_that_stops_early_is_no_error_message(cluster: LocalTestCluster) -> None:
    cluster.check("put", "-", "/long", stdin=content(2 * CHUNK_SIZE_BYTES))
    with subprocess.Popen(
        [sys.executable, "-m", "dstore", "cat", "/long", "/long", "/long"],
        env=cluster.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as reading:
        assert reading.stdout is not None
        assert reading.stderr is not None
        assert len(reading.stdout.read(10)) == 10
        reading.stdout.close()
        assert reading.stderr.read() == b""
        assert reading.wait() == 141


def test_into_directories_as_cp_does(cluster: LocalTestCluster, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    cluster.check("mkdir", "/into")
    cluster.check("put", str(tmp_path / "one"), "/into")
    cluster.check("put", str(tmp_path / "one"), str(tmp_path / "two"), "/into")
    cluster.check("put", str(tmp_path / "two"), "/into/")
    assert cluster.check("ls", "/into").decode().split() == ["one", "two"]
    place = tmp_path / "place"
    place.mkdir()
    (place / "one").write_text("older, and longer than what comes")
    cluster.check("get", "/into/one", str(place))
    cluster.check("get", "/into/two", f"{place}/")
    assert {path.name: path.read_text() for path in place.iterdir()} == {"one": "one", "two": "two"}
    assert error_of(cluster, "put", str(tmp_path / "one"), str(tmp_path / "two"), "/into/one")["exit_code"] == 11


def test_get_never_replaces_a_device(cluster: LocalTestCluster) -> None:
    cluster.check("put", "-", "/for-null", stdin=b"x")
    cluster.check("get", "/for-null", "/dev/null")
    assert Path("/dev/null").is_char_device()


def test_names(cluster: LocalTestCluster) -> None:
    cluster.check("mkdir", "-p", "/names/a/b")
    cluster.check("mkdir", "-p", "/names/a/b")
    cluster.check("put", "-", "/names/a/file", stdin=b"first")
    cluster.check("put", "-", "/names/other", stdin=b"second")
    assert cluster.check("ls", "/names").decode().split() == ["a", "other"]
    assert cluster.check("ls", "/names/other").decode().split() == ["/names/other"]
    lines = [json.loads(line) for line in cluster.check("ls", "/names/a", "--json").splitlines()]
    assert [(line["path"], line["kind"], line["size_bytes"]) for line in lines] == [
        ("/names/a/b", "directory", 0),
        ("/names/a/file", "file", 5),
    ]
    assert b"5 B" in cluster.check("ls", "-l", "/names/a")
    # Into a directory, then onto a file, then the directory itself.
    assert cluster.check_json("mv", "/names/other", "/names/a/b")["path"] == "/names/a/b/other"
    cluster.check("mv", "/names/a/b/other", "/names/a/file")
    assert cluster.check("cat", "/names/a/file") == b"second"
    cluster.check("mv", "/names/a", "/names/z")
    assert cluster.check("cat", "/names/z/file") == b"second"
    assert error_of(cluster, "rm", "/names")["reason"] == "DIRECTORY_NOT_EMPTY"
    assert cluster.check_json("rm", "/names/z/file") == {"path": "/names/z/file", "files": 1, "directories": 0}
    assert cluster.check_json("rm", "-r", "/names") == {"path": "/names", "files": 0, "directories": 3}
    assert error_of(cluster, "ls", "/names")["exit_code"] == 10


def test_stat(cluster: LocalTestCluster) -> None:
    cluster.check("put", "-", "/stat", stdin=content(CHUNK_SIZE_BYTES + 1))
    value = cluster.check_json("stat", "/stat")
    assert (value["path"], value["kind"], value["size_bytes"]) == ("/stat", "file", CHUNK_SIZE_BYTES + 1)
    chunks = value["chunks"]
    assert isinstance(chunks, list)
    assert len(chunks) == 2
    assert {len(chunk["group"]["members"]) for chunk in chunks} == {3}
    text = cluster.check("stat", "/stat").decode()
    assert "1.0 MiB (1048577 bytes), 2 chunks" in text
    assert "cs-1" in text
    root = cluster.check_json("stat", "/")
    assert (root["kind"], "chunks" in root) == ("directory", False)


def test_names_cannot_steer_the_terminal(cluster: LocalTestCluster) -> None:
    cluster.check("put", "-", "/evil\x1b]0;title\x07", stdin=b"")
    assert b"\x1b" not in cluster.check("ls", "/")
    cluster.check("rm", "/evil\x1b]0;title\x07")


def test_status_and_nodes(cluster: LocalTestCluster) -> None:
    value = cluster.check_json("status")
    assert (value["health"], value["servers_up"], value["servers_total"]) == ("HEALTH_OK", 3, 3)
    assert "HEALTH_OK" in cluster.check("status", "--check").decode()
    rows = [json.loads(line) for line in cluster.check("node", "list", "--json").splitlines()]
    assert [row["name"] for row in rows] == ["master", "cs-1", "cs-2", "cs-3"]
    assert [row["pid"] for row in rows] == [cluster.pid(name) for name in cluster.names]
    assert {row["phase"] for row in rows} == {"up"}
    assert cluster.check("node", "list").decode().count("127.0.0.1") == 4


def test_up_again_changes_nothing(cluster: LocalTestCluster) -> None:
    pids = [cluster.pid(name) for name in cluster.names]
    key = cluster.key_file.read_bytes()
    again = cluster.check_json(*cluster.up_arguments())
    servers = again["servers"]
    assert isinstance(servers, list)
    assert {server["outcome"] for server in servers} == {"running"}
    assert (again["key_created"], again["health"]) == (False, "HEALTH_OK")
    assert [cluster.pid(name) for name in cluster.names] == pids
    assert cluster.key_file.read_bytes() == key
    assert "already running" in cluster.check("up", "--dir", str(cluster.root)).decode()


def test_keys(cluster: LocalTestCluster, tmp_path: Path) -> None:
    shown = cluster.check_json("key", "show")
    assert shown["path"] == str(cluster.key_file)
    assert str(shown["fingerprint"]) in cluster.check("key", "show").decode()
    assert error_of(cluster, "key", "init")["reason"] == "KEY_FILE_EXISTS"
    other = tmp_path / "keys" / "other.key"
    made = cluster.check_json("key", "init", "--key-file", str(other))
    assert other.stat().st_mode & 0o777 == 0o600
    assert made["fingerprint"] != shown["fingerprint"]
    cluster.check("put", "-", "/locked", stdin=b"secret")
    wrong = error_of(cluster, "cat", "/locked", "--key-file", str(other))
    assert (wrong["reason"], wrong["exit_code"]) == ("WRONG_KEY", 12)
    other.chmod(0o644)
    exposed = error_of(cluster, "cat", "/locked", "--key-file", str(other))
    assert (exposed["reason"], exposed["exit_code"]) == ("KEY_FILE_EXPOSED", 13)
    missing = error_of(cluster, "cat", "/locked", "--key-file", str(tmp_path / "none"))
    assert (missing["reason"], missing["exit_code"]) == ("KEY_FILE_MISSING", 10)


def test_a_key_with_a_passphrase(cluster: LocalTestCluster, tmp_path: Path) -> None:
    key, passphrase = tmp_path / "p.key", tmp_path / "passphrase"
    passphrase.write_text("correct horse\n")
    made = cluster.check_json("key", "init", "--key-file", str(key), "--passphrase-file", str(passphrase))
    refused = error_of(cluster, "key", "show", "--key-file", str(key))
    assert (refused["reason"], refused["exit_code"]) == ("PASSPHRASE_REQUIRED", 13)
    shown = cluster.check_json("key", "show", "--key-file", str(key), "--passphrase-file", str(passphrase))
    assert shown["key_ids"] == made["key_ids"]
    passphrase.write_text("wrong\n")
    wrong = error_of(cluster, "key", "show", "--key-file", str(key), "--passphrase-file", str(passphrase))
    assert wrong["exit_code"] == 12
    passphrase.write_text("\n")
    empty = error_of(cluster, "key", "show", "--key-file", str(key), "--passphrase-file", str(passphrase))
    assert empty["reason"] == "PASSPHRASE_INVALID"


BAD_INPUT = [
    (("cat", "/missing"), "FILE_NOT_FOUND", 10),
    (("get", "/missing", "-"), "FILE_NOT_FOUND", 10),
    (("cat", "/"), "IS_A_DIRECTORY", 11),
    (("cat", "relative"), "PATH_NOT_ABSOLUTE", 2),
    (("cat", "/a/../b"), "PATH_RELATIVE_NAME", 2),
    (("cat", "/a//b"), "PATH_EMPTY_NAME", 2),
    (("cat", "/" + "n" * 256), "NAME_TOO_LONG", 2),
    (("cat", "/\udcff"), "PATH_NOT_UTF8", 2),
    (("put", "/no/such/local/file", "/x"), "LOCAL_FILE_NOT_FOUND", 10),
    (("put", "/", "/x"), "LOCAL_IS_A_DIRECTORY", 11),
    (("put", "/etc/hostname", "/missing/x"), "FILE_NOT_FOUND", 10),
    (("mv", "/missing", "/x"), "FILE_NOT_FOUND", 10),
    (("rm", "/missing"), "FILE_NOT_FOUND", 10),
    (("restore", "/"), "ROOT_IMMOVABLE", 2),
    (("restore", "/missing"), "NOT_RESTORABLE", 10),
    (("restore", "/missing", "--version", "0"), "VERSION_INVALID", 2),
    (("restore", "relative"), "PATH_NOT_ABSOLUTE", 2),
    (("trash", "/missing"), "FILE_NOT_FOUND", 10),
    (("mkdir", "/"), "FILE_EXISTS", 11),
    (("mkdir", "/missing/x"), "FILE_NOT_FOUND", 10),
    (("status", "--profile", "missing"), "PROFILE_UNKNOWN", 2),
    (("status", "--endpoint", "nowhere"), "ENDPOINT_INVALID", 2),
    (("status", "--endpoint", "127.0.0.1:1"), "MASTER_UNREACHABLE", 69),
    (("node", "kill", "cs-9"), "NODE_UNKNOWN", 10),
    (("down", "--dir", "/nonexistent"), "NO_LOCAL_CLUSTER", 10),
    (("up", "--chunkservers", "0", "--profile", "other", "--dir", "{tmp}"), "CHUNKSERVERS_INVALID", 2),
    (("up", "--port", "65500", "--profile", "other", "--dir", "{tmp}"), "PORT_INVALID", 2),
    (("up", "--chunk-size", "many"), "SIZE_INVALID", 2),
    (("up", "--retention", "long"), "DURATION_INVALID", 2),
    (("up", "--retention", "4000d"), "RETENTION_INVALID", 2),
    (("up", "--retention", "25h"), "RETENTION_FIXED", 11),
    (("up", "--chunkservers", "2"), "CHUNKSERVERS_FEWER", 2),
    (("up", "--port", "7"), "CLUSTER_RUNNING", 11),
    (("up", "--profile", "a/b"), "PROFILE_INVALID", 2),
    (("up", "--chunk-size", "1"), "CHUNK_SIZE_INVALID", 2),
]


@pytest.mark.parametrize(
    ("arguments", "reason", "code"),
    BAD_INPUT,
    ids=[" ".join(case[0]).encode("ascii", "replace").decode()[:50] for case in BAD_INPUT],
)
def test_bad_input(
    cluster: LocalTestCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    reason: str,
    code: int,
) -> None:
    for name in [name for name in os.environ if name.startswith("DSTORE_")]:
        monkeypatch.delenv(name)
    for name, value in cluster.environ.items():
        monkeypatch.setenv(name, value)
    # In this process, because starting one takes longer than the rest.
    assert main([*(argument.replace("{tmp}", str(tmp_path)) for argument in arguments), "--json"]) == code
    captured = capfd.readouterr()
    assert captured.out == ""
    error = json.loads(captured.err)["error"]
    assert (error["reason"], error["exit_code"]) == (reason, code)
    assert error["message"].endswith((".", "?"))


def test_a_port_that_is_taken(cluster: LocalTestCluster, tmp_path: Path) -> None:
    arguments = ("up", "--dir", str(tmp_path / "other"), "--profile", "other", "--port", str(cluster.port))
    error = error_of(cluster, *arguments)
    assert (error["reason"], error["exit_code"]) == ("ADDRESS_IN_USE", 69)
    message = str(error["message"])
    assert str(cluster.port) in message
    assert f"(pid {cluster.pid('master')})" in message
    assert "--port" in message
    assert not (tmp_path / "other" / "master").exists()


def test_a_server_that_is_no_master(cluster: LocalTestCluster) -> None:
    error = error_of(cluster, "status", "--endpoint", f"127.0.0.1:{cluster.port + 1}")
    assert (error["reason"], error["exit_code"]) == ("NOT_A_DSTORE_MASTER", 69)


def test_ctrl_c_leaves_nothing_visible(cluster: LocalTestCluster) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "dstore", "put", "-", "/interrupted"],
        env=cluster.environ,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as writing:
        assert writing.stdin is not None
        assert writing.stderr is not None
        writing.stdin.write(content(3 * CHUNK_SIZE_BYTES))
        writing.stdin.flush()
        wait_until(
            lambda: cluster.check_json("status")["writes_in_progress"] == 1, what="the write began", timeout_s=10
        )
        writing.send_signal(signal.SIGINT)
        assert writing.wait(timeout=10) == 130
        assert writing.stderr.read() == b"dstore: interrupted\n"
    assert error_of(cluster, "stat", "/interrupted")["exit_code"] == 10
    assert cluster.check_json("status")["writes_in_progress"] == 0


def test_a_killed_server_is_seen_and_started_again(own_cluster: LocalTestCluster, tmp_path: Path) -> None:
    cluster = own_cluster
    data = content(3 * CHUNK_SIZE_BYTES + 5)
    cluster.check("put", "-", "/kept", stdin=data)
    pid = cluster.pid("cs-2")
    killed = cluster.check_json("node", "kill", "cs-2")
    assert (killed["outcome"], killed["pid"]) == ("killed", pid)
    assert cluster.pid("cs-2") is None
    assert cluster.check_json("node", "kill", "cs-2")["outcome"] == "not running"
    assert hashlib.sha256(cluster.check("cat", "/kept")).digest() == hashlib.sha256(data).digest()
    cluster.check("put", "-", "/meanwhile", stdin=data)
    assert cluster.check("cat", "/meanwhile") == data
    wait_until(
        lambda: "→ dstore node start cs-2" in cluster.check("status").decode(),
        what="the master noticed, and says what helps",
        timeout_s=15,
    )
    status = cluster.check_json("status")
    assert status["health"] == "HEALTH_WARN"
    assert cluster.run("status", "--check").returncode == 1
    started = cluster.check_json("node", "start", "cs-2")
    assert (started["outcome"], started["pid"]) == ("ready", cluster.pid("cs-2"))
    assert cluster.check_json("node", "start", "cs-2")["outcome"] == "running"
    assert cluster.check_json("status")["servers_up"] == 3


def test_down_keeps_the_data_and_up_finds_it(own_cluster: LocalTestCluster) -> None:
    cluster = own_cluster
    cluster.check("put", "-", "/kept", stdin=b"kept")
    stopped = cluster.check_json("down")
    servers = stopped["servers"]
    assert isinstance(servers, list)
    assert [(server["name"], server["outcome"]) for server in servers] == [
        (name, "stopped") for name in ("cs-1", "cs-2", "cs-3", "master")
    ]
    assert [cluster.pid(name) for name in cluster.names] == [None] * 4
    assert error_of(cluster, "status")["reason"] == "MASTER_UNREACHABLE"
    text = cluster.check("down").decode()
    assert text.count("not running") == 4
    assert "The data stays" in text
    cluster.kill("master")
    cluster.start()
    assert cluster.check("cat", "/kept") == b"kept"


def test_up_starts_what_is_missing(own_cluster: LocalTestCluster) -> None:
    cluster = own_cluster
    kept = cluster.pid("cs-1")
    cluster.kill("cs-3")
    cluster.kill("master")
    text = cluster.check(*cluster.up_arguments()).decode()
    assert text.count(" ready ") == 2
    assert text.count(" running ") == 2
    assert cluster.pid("cs-1") == kept
    assert cluster.check_json("status")["servers_up"] == 3


def test_a_server_that_cannot_start_is_shown_with_its_last_words(own_cluster: LocalTestCluster) -> None:
    cluster = own_cluster
    cluster.kill("cs-1")
    identity = next(path for path in cluster.directory("cs-1").iterdir() if path.name not in ("LOCK", "tmp"))
    identity.rename(cluster.home / "aside")
    identity.write_text("not what a server wrote")
    error = error_of(cluster, "node", "start", "cs-1")
    assert error["reason"] == "SERVER_START_FAILED"
    assert "Its last words" in str(error["message"])
    assert "Traceback" not in str(error["message"])
