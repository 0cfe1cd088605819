"""`--json` of every command that there is: stdout is JSON objects, one a line, and nothing else."""

import json
import shlex
from collections.abc import Iterator

import pytest
from cluster import LocalTestCluster
from command_in_process import Command, use_cluster
from command_leaves import leaves

from dstore.cli.command_tree import command_tree

MIB = 1024 * 1024
#: The commands in an order in which each finds what it needs: arguments, where ``{home}`` is a directory of the test,
#: and the exit code.
IN_TURN: tuple[tuple[str, str, int], ...] = (
    ("put", "{home}/large /large", 0),
    ("put", "{home}/small /small", 0),
    ("mkdir", "-p /a/b", 0),
    ("ls", "/", 0),
    ("stat", "/large", 0),
    ("get", "/small {home}/fetched", 0),
    ("mv", "/small /a/small", 0),
    ("cp", "{home}/small dstore:/copied", 0),
    ("sync", "{home}/tree dstore:/tree", 0),
    ("du", "/", 0),
    ("tree", "/", 0),
    ("find", "/ --name small", 0),
    ("rm", "/a/small", 0),
    ("trash", "/", 0),
    ("restore", "/a/small", 0),
    ("rm", "/nothing", 10),
    ("status", "", 0),
    ("top", "", 0),
    ("node list", "", 0),
    ("node drain", "cs-4 --wait", 0),
    ("node activate", "cs-4", 0),
    ("node maintenance", "cs-4 --for 1h", 0),
    ("node activate", "cs-4", 0),
    ("node drain", "cs-4 --wait", 0),
    ("node kill", "cs-4", 0),
    ("node start", "cs-4", 0),
    ("node remove", "cs-4", 0),
    ("balance", "--dry-run", 0),
    ("scrub", "pause", 0),
    ("scrub", "resume", 0),
    ("fsck", "", 0),
    ("collection status", "", 0),
    ("collection approve", "", 0),
    ("safe-mode status", "", 0),
    ("safe-mode leave", "", 0),
    ("doctor", "", 0),
    ("config show", "--origin", 0),
    ("completion bash", "", 0),
    ("completion zsh", "", 0),
    ("completion words", "'dstore st'", 0),
    ("key init", "--key-file {home}/other.key", 0),
    ("key show", "", 0),
    ("gateway token", "ci", 0),
    ("up", "--dir {home}/cluster", 0),
    ("down", "--dir {home}/cluster", 0),
)
#: What these start outlives them, and so is no child of the process of the tests: there they find that it runs.
STARTING = {"node start", "up"}
#: What these print is data; with --json they tell on stderr what they did.
DATA_ON_STDOUT = {"cat": "/large", "head": "-n 1 /large", "tail": "-n 1 /large"}
_LISTEN = "--listen 127.0.0.1:0 --http-listen 127.0.0.1:0"
#: These stay in the foreground, and say in one line that they are ready. The chunkserver waits for a master that does
#: not exist: the cluster of the other tests must not get to know it.
SERVERS = {
    "master run": f"--dir {{home}}/other-master {_LISTEN}",
    "chunkserver run": f"--dir {{home}}/other-cs --name other --master 127.0.0.1:1 {_LISTEN}",
    "gateway run": "--listen 127.0.0.1:0",
}


def test_no_command_is_left_out() -> None:
    assert {name for name, _, _ in IN_TURN} | set(DATA_ON_STDOUT) | set(SERVERS) == set(dict(leaves(command_tree())))


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestCluster]:
    """A cluster in which one server can be spared, and files here to be stored."""
    cluster = LocalTestCluster(tmp_path_factory.mktemp("four"), chunkservers=4, chunk_size_bytes=MIB)
    (cluster.home / "large").write_bytes(b"line\n" * MIB)
    (cluster.home / "small").write_bytes(b"small")
    (cluster.home / "tree").mkdir()
    (cluster.home / "tree" / "leaf").write_bytes(b"leaf")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def words(name: str, arguments: str, cluster: LocalTestCluster) -> list[str]:
    given = arguments.format(home=cluster.home)
    return [*name.split(), *shlex.split(given), "--json"]


def test_data_and_what_is_told_of_it_do_not_mix(four: LocalTestCluster) -> None:
    four.check("put", str(four.home / "large"), "/large")
    for name, arguments in DATA_ON_STDOUT.items():
        finished = four.run(*words(name, arguments, four))
        assert finished.returncode == 0
        assert set(finished.stdout.split(b"\n")) == {b"line", b""}
        assert [type(json.loads(line)) for line in finished.stderr.splitlines()] == [dict], name


def test_servers_say_in_one_line_that_they_are_ready(four: LocalTestCluster) -> None:
    for name, arguments in SERVERS.items():
        with four.popen(*words(name, arguments, four)) as server:
            assert server.stdout is not None
            assert server.stderr is not None
            line = server.stdout.readline()
            assert line, server.stderr.read().decode()
            ready = json.loads(line)
            assert (ready["event"], ready["role"], ready["pid"]) == ("ready", name.split()[0], server.pid)
            server.terminate()
            assert server.stdout.read() == b"", name
        assert server.returncode == 0


def test_stdout_is_json_and_errors_are_json_on_stderr(
    four: LocalTestCluster, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Runs last, because it ends with the end of the cluster."""
    use_cluster(four, monkeypatch)
    command = Command(capfd)
    for name, arguments, code in IN_TURN:
        if name in STARTING:
            four.check(*words(name, arguments, four))
        out, err = command.run(*words(name, arguments, four), code=code)
        told, other = (out, err) if code == 0 else (err, out)
        lines = told.splitlines()
        assert lines, f"dstore {name} says nothing"
        assert all(isinstance(json.loads(line), dict) for line in lines), (name, told)
        assert other == "", (name, other)
