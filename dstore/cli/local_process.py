"""Server processes on this machine: started detached, found by the lock of their directory, stopped by signal."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import dstore
from dstore.cli.cluster_file import LocalCluster, LocalProcess
from dstore.core.errors import DeadlineExceeded, Unavailable
from dstore.system.lock import LOCK_NAME, lock_holder

LOG_DIRECTORY = "logs"
#: A server starts in well under a second; this covers a machine that is busy with something else.
START_TIMEOUT_S = 30.0
#: Above the servers' own grace for calls under way.
STOP_TIMEOUT_S = 15.0
_POLL_INTERVAL_S = 0.02
_LOG_TAIL_LINES = 5


@dataclass(frozen=True, slots=True)
class Started:
    """A process that was just started.

    Attributes:
        log_offset: where its output begins in the log, which holds that of earlier runs too.
    """

    process: LocalProcess
    child: subprocess.Popen[bytes]
    log: Path
    log_offset: int
    started_s: float


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def running_pid(process: LocalProcess) -> int | None:
    """Return the pid under which a server of this cluster runs now; None when it does not.

    A pid alone proves nothing, because the system gives it to other programs later: the lock ends with the process
    that holds it, so a locked file tells the truth about the pid in it.
    """
    directory = Path(process.directory)
    try:
        text = (directory / LOCK_NAME).read_bytes()
    except FileNotFoundError:
        return None
    # The lock is tried only when the pid lives: a server that is starting must not find it taken by us.
    if not text.strip().isdigit() or not _is_alive(int(text)):
        return None
    return lock_holder(directory) or None


def server_arguments(cluster: LocalCluster, process: LocalProcess) -> list[str]:
    """Return the arguments of ``dstore`` that run one server of a cluster on this machine."""
    arguments = [process.role, "run", "--dir", process.directory]
    if process.role == "gateway":
        listen = f"127.0.0.1:{process.port}"
        return [*arguments, "--listen", listen, "--endpoint", cluster.endpoint, "--profile", cluster.profile]
    arguments += ["--listen", f"127.0.0.1:{process.port}", "--http-listen", f"127.0.0.1:{process.http_port}"]
    if process.role == "master":
        arguments += ["--replicas", str(cluster.replicas), "--min-replicas", str(cluster.min_replicas)]
        arguments += ["--chunk-size", str(cluster.chunk_size_bytes), "--retention", f"{cluster.retention_s}s"]
        arguments += ["--out-after", f"{cluster.out_after_s}s", "--trash-delay", f"{cluster.trash_delay_s}s"]
        # All servers share this host, so only spreading over servers is possible.
        return [*arguments, "--failure-domain", "server"]
    return [*arguments, "--master", cluster.endpoint, "--name", process.name]


def start(
    cluster: LocalCluster,
    process: LocalProcess,
    logs: Path,
    *,
    program: Sequence[str] = ("dstore",),
    stdin: int = subprocess.DEVNULL,
) -> Started:
    """Start a server in the background, in a session of its own, with stdout and stderr in its log.

    Args:
        program: the module that is run, and what it is given before the arguments of ``dstore``.

    Raises:
        OSError: when its directory or its log cannot be made.
    """
    Path(process.directory).mkdir(parents=True, exist_ok=True)
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{process.name}.log"
    with log.open("ab") as output:
        offset = output.tell()
        child = subprocess.Popen(  # noqa: S603 - our own program, with arguments that we built
            [sys.executable, "-P", "-m", *program, *server_arguments(cluster, process)],
            stdin=stdin,
            stdout=output,
            stderr=output,
            cwd=process.directory,
            env=_environment(process.role),
            start_new_session=True,
        )
    return Started(process, child, log, offset, time.monotonic())


def _environment(role: str) -> dict[str, str]:
    """Return the environment in which ``python -P -m dstore`` finds this very package.

    With -P nothing in the current directory becomes a module, so a package that runs from a checkout must be named.
    """
    environ = dict(os.environ)
    if role == "gateway":
        # It takes the key of the profile, also where the environment names that of another cluster.
        environ.pop("DSTORE_KEY_FILE", None)
    package_parent = str(Path(dstore.__file__).parent.parent)
    if package_parent == sysconfig.get_path("purelib"):
        return environ
    search_path = filter(None, (package_parent, os.environ.get("PYTHONPATH")))
    return {**environ, "PYTHONPATH": os.pathsep.join(search_path)}


def wait_ready(started: Started) -> float:
    """Wait for the server's ready line and return the seconds that it took.

    Raises:
        Unavailable: with reason SERVER_START_FAILED, with its last words, when it ended instead.
        DeadlineExceeded: with reason SERVER_START_TIMEOUT.
    """
    deadline = started.started_s + START_TIMEOUT_S
    while True:
        # The order matters: a process that wrote the line and ended must not count as one that said nothing.
        ended = started.child.poll()
        output = _output(started)
        if ended is not None:
            raise Unavailable(
                f"{started.process.name} ended with exit code {ended} instead of starting. "
                f"Its last words, from {started.log}:\n{_tail(output)}",
                reason="SERVER_START_FAILED",
                metadata={"server": started.process.name, "log": str(started.log)},
            )
        if _ready_line(output) is not None:
            return time.monotonic() - started.started_s
        if time.monotonic() > deadline:
            raise DeadlineExceeded(
                f"{started.process.name} was not ready within {START_TIMEOUT_S:.0f} s. "
                f"Its last words, from {started.log}:\n{_tail(output)}",
                reason="SERVER_START_TIMEOUT",
                metadata={"server": started.process.name, "log": str(started.log)},
            )
        time.sleep(_POLL_INTERVAL_S)


def http_address(started: Started) -> str:
    """Return where a server that is ready answers probes, as its ready line says."""
    line = _ready_line(_output(started))
    assert line is not None, f"{started.process.name} is asked before it is ready"
    return str(line["http_address"])


def end(started: Started) -> None:
    """End a server that was just started, ready or not."""
    started.child.terminate()
    try:
        started.child.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        started.child.kill()
        started.child.wait()


def stop(process: LocalProcess, pid: int, signal_number: signal.Signals) -> None:
    """Send a signal to a server that was found by its lock; one that just ended is fine."""
    assert pid > 1, f"{process.name} has the pid {pid}, which names no server"
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        return


def wait_stopped(process: LocalProcess, timeout_s: float = STOP_TIMEOUT_S) -> bool:
    """Wait until nobody holds the lock of a server's directory; False when the time is over."""
    return _wait(lambda: running_pid(process) is None, timeout_s)


def _wait(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_INTERVAL_S)
    return True


def _output(started: Started) -> str:
    with started.log.open("rb") as log:
        log.seek(started.log_offset)
        return log.read().decode("utf-8", errors="replace")


def _ready_line(output: str) -> dict[str, object] | None:
    # Only whole lines count; the last piece may be half a line.
    for line in output.split("\n")[:-1]:
        if not line.startswith("{"):
            continue
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and value.get("event") == "ready":
            return value
    return None


def _tail(output: str) -> str:
    lines = output.strip().splitlines()[-_LOG_TAIL_LINES:]
    return "\n".join(f"    {line}" for line in lines) or "    (nothing)"
