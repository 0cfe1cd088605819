"""Server processes: whether one runs is told by its lock, and its ready line by its log."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dstore.cli import local_process
from dstore.cli.local_plan import UpRequest, plan_cluster
from dstore.cli.local_process import Started, running_pid, server_arguments, wait_ready
from dstore.cli.server_commands import add_server_commands
from dstore.core.errors import DeadlineExceeded, Unavailable

HOLDS_LOCK = (
    "import fcntl, os, sys, time\n"
    "lock = open(sys.argv[1], 'w')\n"
    "fcntl.flock(lock, fcntl.LOCK_EX)\n"
    "print(os.getpid(), file=lock, flush=True)\n"
    "print('locked', flush=True)\n"
    "time.sleep(60)\n"
)


def start(tmp_path: Path, code: str, *arguments: str) -> Started:
    cluster = plan_cluster(UpRequest(tmp_path, "dev"), None, ())
    log = tmp_path / "log"
    log.write_text('{"event": "ready"}\n')
    offset = log.stat().st_size
    with log.open("ab") as output:
        child = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=output, stderr=output)
    return Started(cluster.master, child, log, offset, time.monotonic())


def test_a_lock_proves_that_a_server_runs(tmp_path: Path) -> None:
    process = plan_cluster(UpRequest(tmp_path, "dev"), None, ()).master
    directory = Path(process.directory)
    assert running_pid(process) is None
    directory.mkdir()
    assert running_pid(process) is None
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_LOCK, str(directory / "LOCK")], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        assert running_pid(process) == holder.pid
        local_process.stop(process, holder.pid, signal.SIGKILL)
        assert local_process.wait_stopped(process)
    assert running_pid(process) is None
    local_process.stop(process, holder.pid, signal.SIGKILL)


@pytest.mark.parametrize("text", ["", "no pid", "1"])
def test_a_file_that_nobody_holds_proves_nothing(tmp_path: Path, text: str) -> None:
    process = plan_cluster(UpRequest(tmp_path, "dev"), None, ()).master
    Path(process.directory).mkdir()
    (Path(process.directory) / "LOCK").write_text(text)
    assert running_pid(process) is None


def test_the_ready_line_of_this_run_counts(tmp_path: Path) -> None:
    code = 'import time; print(\'{"event": "other"}\\n{x\\n{"event": "ready"}\', flush=True); time.sleep(60)'
    started = start(tmp_path, code)
    try:
        assert wait_ready(started) > 0
    finally:
        local_process.end(started)
    assert started.child.returncode == -signal.SIGTERM


def test_a_server_that_ends_instead_says_its_last_words(tmp_path: Path) -> None:
    started = start(tmp_path, "import sys; print('disk on fire', file=sys.stderr); sys.exit(3)")
    with pytest.raises(Unavailable, match="exit code 3") as caught:
        wait_ready(started)
    assert caught.value.reason == "SERVER_START_FAILED"
    assert "disk on fire" in caught.value.message


def test_a_server_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_process, "START_TIMEOUT_S", 0.05)
    started = start(tmp_path, "import time; time.sleep(60)")
    try:
        with pytest.raises(DeadlineExceeded) as caught:
            wait_ready(started)
    finally:
        local_process.end(started)
    assert caught.value.reason == "SERVER_START_TIMEOUT"


def test_the_arguments_are_what_the_commands_take(tmp_path: Path) -> None:
    from dstore.cli.arguments import Parser

    parser = Parser()
    add_server_commands(parser.add_subparsers(parser_class=Parser))
    cluster = plan_cluster(UpRequest(tmp_path, "dev", chunkservers=2, port=9000, chunk_size_bytes=65_536), None, ())
    master = parser.parse_args(server_arguments(cluster, cluster.master))
    assert (master.listen, master.http_listen) == ("127.0.0.1:9000", "127.0.0.1:9100")
    assert (master.replicas, master.min_replicas, master.chunk_size) == (2, 2, "65536")
    assert (master.retention, master.out_after, master.trash_delay) == ("86400s", "600s", "3600s")
    assert (master.failure_domain, master.directory) == ("server", tmp_path / "master")
    second = parser.parse_args(server_arguments(cluster, cluster.chunkservers[1]))
    assert (second.name, second.listen, second.http_listen) == ("cs-2", "127.0.0.1:9002", "127.0.0.1:9102")
    assert (second.master, second.directory) == ("127.0.0.1:9000", tmp_path / "cs-2")
