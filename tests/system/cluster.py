"""A real cluster for tests: own processes, directory, ports, key and profile, started with ``dstore up``."""

import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import dstore

#: Below the ports that Linux hands out by itself, so that no outgoing connection sits on one.
PORTS = range(15_000, 30_000)
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20


class LocalTestCluster:
    """Master and chunkservers as real processes on loopback, in a directory of their own.

    Attributes:
        home: everything of the cluster, of the profile and of the key is below it.
        root: the directory that ``dstore up`` was given; data directories and ``logs/`` are in it.
        environ: for processes that are to use this cluster; nothing of the user's own set-up is in it.
    """

    def __init__(self, home: Path, *, chunkservers: int = 3, chunk_size_bytes: int | None = None):
        self.home = home
        self.root = home / "cluster"
        self.names = ("master", *(f"cs-{number}" for number in range(1, chunkservers + 1)))
        self.environ = clean_environment(home)
        self._chunkservers = chunkservers
        self._chunk_size_bytes = chunk_size_bytes
        self._port = free_ports(chunkservers)

    @property
    def endpoint(self) -> str:
        """Host and port of the master."""
        return f"127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        """Port of the master; chunkserver i listens on ``port + i``."""
        return self._port

    @property
    def key_file(self) -> Path:
        """The key that ``dstore up`` made."""
        return self.home / "config" / "keys" / "dev.key"

    def up_arguments(self) -> list[str]:
        """Return the arguments that start this cluster."""
        arguments = ["up", "--dir", str(self.root), "--port", str(self._port)]
        arguments += ["--chunkservers", str(self._chunkservers)]
        if self._chunk_size_bytes is not None:
            arguments += ["--chunk-size", str(self._chunk_size_bytes)]
        return arguments

    def start(self) -> None:
        """Start what is not running, and wait until every chunkserver is up."""
        self.check(*self.up_arguments(), "--json", timeout_s=START_TIMEOUT_S)

    def stop(self) -> None:
        """Stop every process; none is left even when ``dstore down`` fails."""
        try:
            if (self.root / "cluster.json").exists():
                self.check("down", "--dir", str(self.root), "--json", timeout_s=START_TIMEOUT_S)
        finally:
            for name in self.names:
                self.kill(name)

    def kill(self, name: str) -> None:
        """Send SIGKILL to one process and wait until it is gone; one that does not run is fine."""
        pid = self.pid(name)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: self.pid(name) is None, what=f"{name} is gone", timeout_s=STOP_TIMEOUT_S)

    def start_node(self, name: str) -> None:
        """Start one chunkserver, or the master, again and wait until it is up."""
        self.check("node", "start", name, "--dir", str(self.root), "--json", timeout_s=START_TIMEOUT_S)

    def pid(self, name: str) -> int | None:
        """Return the pid of one process; None when it does not run, which its lock file proves."""
        try:
            with (self.directory(name) / "LOCK").open("r") as lock_file:
                pid = lock_file.read().strip()
                # Only the lock of a live process is tried, so that no server finds it taken while it starts.
                if not pid or not Path("/proc", pid).exists():
                    return None
                try:
                    fcntl.flock(lock_file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(pid)
        except FileNotFoundError:
            pass
        return None

    def directory(self, name: str) -> Path:
        """Return the data directory of one process."""
        return self.root / name

    def log(self, name: str) -> str:
        """Return what one process wrote to stdout and stderr, over all its runs."""
        return (self.root / "logs" / f"{name}.log").read_text()

    def unfinished_files(self) -> list[str]:
        """Return the names of all temporary files on all chunkservers: chunks that are being written."""
        return [path.name for name in self.names[1:] for path in (self.directory(name) / "tmp").iterdir()]

    def popen(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start ``dstore`` with these arguments against this cluster, with pipes for its standard streams."""
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", "dstore", *arguments]
        return subprocess.Popen(command, env=self.environ, stdin=pipe, stdout=pipe, stderr=pipe)

    def run(self, *arguments: str, stdin: bytes = b"", timeout_s: float = 60) -> subprocess.CompletedProcess[bytes]:
        """Run ``dstore`` with these arguments against this cluster; the caller looks at the exit code."""
        return run_dstore(arguments, environ=self.environ, stdin=stdin, timeout_s=timeout_s)

    def check(self, *arguments: str, stdin: bytes = b"", timeout_s: float = 60) -> bytes:
        """Run ``dstore`` and return its stdout; the test fails when the exit code is not 0."""
        finished = self.run(*arguments, stdin=stdin, timeout_s=timeout_s)
        assert finished.returncode == 0, (
            f"dstore {' '.join(arguments)} ended with {finished.returncode}:\n"
            f"{finished.stderr.decode(errors='replace')}{self._last_logs()}"
        )
        return finished.stdout

    def check_json(self, *arguments: str, timeout_s: float = 60) -> dict[str, object]:
        """Run ``dstore … --json`` and return the one object that it prints."""
        value = json.loads(self.check(*arguments, "--json", timeout_s=timeout_s))
        assert isinstance(value, dict)
        return value

    def _last_logs(self) -> str:
        tails = []
        for path in sorted((self.root / "logs").glob("*.log")):
            tails.append(f"--- {path.name}\n" + "".join(path.read_text().splitlines(keepends=True)[-8:]))
        return "".join(tails)


def clean_environment(home: Path) -> dict[str, str]:
    """Return the environment without any setting of dstore, with its configuration below ``home``."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DSTORE_")}
    environ["DSTORE_CONFIG_DIR"] = str(home / "config")
    environ["XDG_DATA_HOME"] = str(home / "data")
    environ["XDG_STATE_HOME"] = str(home / "state")
    environ["XDG_CACHE_HOME"] = str(home / "cache")
    environ["PYTHONPATH"] = str(Path(dstore.__file__).parent.parent)
    return environ


def run_dstore(
    arguments: Sequence[str], *, environ: dict[str, str], stdin: bytes = b"", timeout_s: float = 60
) -> subprocess.CompletedProcess[bytes]:
    """Run the ``dstore`` command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "dstore", *arguments],
        env=environ,
        input=stdin,
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )


def free_ports(chunkservers: int, *, ports: Sequence[int] = PORTS) -> int:
    """Return a port P such that all ports that ``dstore up --port P`` wants are free now, that of a gateway too."""
    for _ in range(100):
        port = random.choice(ports)
        wanted = [port + offset + number for offset in (0, 100) for number in range(chunkservers + 1)] + [port + 1000]
        if all(_is_free(number) for number in wanted):
            return port
    raise AssertionError("no free block of ports in 100 tries")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_until(condition: Callable[[], bool], *, what: str, timeout_s: float) -> None:
    """Return soon after ``condition`` holds; the test fails when it does not within the time.

    A condition that starts a process to find out is asked less often: it takes time of the processes that it waits for.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        asked_s = time.monotonic()
        if condition():
            return
        now_s = time.monotonic()
        assert now_s < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(max(0.02, 2 * (now_s - asked_s)))
