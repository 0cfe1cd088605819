"""Real ``dstore`` servers that can be started under strace, killed and started again, in a directory of their own."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dstore
from dstore.core.errors import DstoreError
from dstore.core.status import ClusterStatus
from dstore.crypto.keyring import create_keyring
from dstore.system.environment import SystemRandom

#: Below the ports that Linux hands out by itself.
PORTS = range(12_000, 15_000)
START_TIMEOUT_S = 90.0
_POLL_S = 0.005
_LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, slots=True)
class ClusterShape:
    """What cluster is started: its servers, the policy of its files, and further arguments of the master."""

    chunkservers: int = 3
    replicas: int = 3
    min_replicas: int = 2
    chunk_size_bytes: int = 16 * 1024
    master_options: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all servers; the master's is ``master``."""
        return ("master", *(f"cs-{number}" for number in range(1, self.chunkservers + 1)))


def _ask_readiness(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class ServerProcess:
    """One server, which may run or not. All its runs share directory, address and log."""

    def __init__(
        self, name: str, directory: Path, log_path: Path, arguments: Sequence[str], *, host: Sequence[str] | None = None
    ) -> None:
        """``host`` is what goes before the ``dstore`` command of a server on another host; None runs it for a sweep."""
        self.name = name
        self.directory = directory
        self.log_path = log_path
        self.starts = 0
        self._arguments = tuple(arguments)
        self._host = host
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_path = log_path.with_suffix(".ready")

    def start(self, wrapper: Sequence[str] = (), launch: tuple[str, str] = ("-", "-")) -> None:
        """Start it, as the child of ``wrapper`` if that is given; does not wait."""
        assert not self.is_running, f"{self.name} runs already"
        self.starts += 1
        program = [*wrapper, sys.executable, str(_LAUNCHER), *launch]
        if self._host is not None:
            program = [*self._host, sys.executable, "-m", "dstore"]
        command = [*program, *self._arguments]
        with self.log_path.open("ab") as log, self._ready_path.open("wb") as ready:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=ready, stderr=log)

    @property
    def is_running(self) -> bool:
        """Whether the process, or the wrapper around it, is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether it printed its ready line."""
        return self._ready_path.read_bytes().endswith(b"\n")

    @property
    def pid(self) -> int:
        """The pid of the server itself, which a wrapper is not; known once it is ready."""
        pid = json.loads(self._ready_path.read_text())["pid"]
        assert isinstance(pid, int)
        return pid

    async def has_joined(self) -> bool:
        """Tell whether this run of a chunkserver has joined its cluster, which its side port knows."""
        if not (self.is_running and self.is_ready):
            return False
        # Read before anything is awaited: whoever starts it again empties the file.
        address = json.loads(self._ready_path.read_text())["http_address"]
        return await asyncio.to_thread(_ask_readiness, f"http://{address}/readyz")

    async def wait_ready(self) -> bool:
        """Wait until it serves; False when it ended instead."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.is_ready:
            if not self.is_running:
                return False
            assert time.monotonic() < deadline, f"{self.name} is not ready after {START_TIMEOUT_S} s\n{self.log_tail()}"
            await asyncio.sleep(_POLL_S)
        return True

    async def start_and_wait(self) -> None:
        """Start it plainly; it must come up."""
        self.start()
        assert await self.wait_ready(), f"{self.name} did not start:\n{self.log_tail()}"

    async def kill(self) -> None:
        """Send SIGKILL, to the server below a wrapper too, and wait until it is gone."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        # strace ends with the process that it traces; killed before it, it would leave that one running.
        for pid in _children(process.pid) or [process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self.wait_ended()

    async def stop(self) -> None:
        """Send SIGTERM to the server and wait until it has stopped in good order."""
        os.kill(self.pid, signal.SIGTERM)
        await self.wait_ended()

    async def wait_ended(self) -> None:
        """Wait until it has ended by itself."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.is_running:
            assert time.monotonic() < deadline, f"{self.name} did not end within {START_TIMEOUT_S} s"
            await asyncio.sleep(_POLL_S)

    def log_tail(self) -> str:
        """Return the last lines of its log."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-15:])


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


class ServerCluster:
    """A master and chunkservers below one directory, with a key for their clients.

    Args:
        home: an empty directory; one in memory is fastest.
        data: where the servers keep their data, if not below ``home``.
    """

    def __init__(self, home: Path, shape: ClusterShape, *, data: Path | None = None) -> None:
        self.home = home
        self.shape = shape
        self.port = _free_ports(len(shape.names))
        self.servers: dict[str, ServerProcess] = {}
        self.data = data or home
        self.key_file = home / "key"
        (home / "logs").mkdir(parents=True, exist_ok=True)
        if not self.key_file.exists():
            create_keyring(self.key_file, SystemRandom())
        for index, name in enumerate(shape.names):
            self.servers[name] = self.make_server(name, index)

    @property
    def endpoint(self) -> str:
        """Host and port of the master."""
        return f"127.0.0.1:{self.port}"

    @property
    def master(self) -> ServerProcess:
        """The one master."""
        return self.servers["master"]

    def client(self, *, patience_s: float = 60.0) -> dstore.AsyncClient:
        """Return a client of this cluster; it remembers versions in memory of its own directory."""
        state = self.home / "client-state"
        names = {"DSTORE_CONFIG_DIR": str(self.home / "no-config"), "DSTORE_STATE_DIR": str(state)}
        with _environment(names):
            return dstore.connect_async(self.endpoint, key_file=self.key_file, patience_s=patience_s)

    async def start(self) -> None:
        """Start everything plainly and wait until all servers are up."""
        await self.start_servers()
        async with self.client() as client:
            await self.wait_well(client)

    async def start_servers(self) -> None:
        """Start everything plainly; every server serves by the end, whatever it found."""
        for server in self.servers.values():
            server.start()
        for server in self.servers.values():
            assert await server.wait_ready(), f"{server.name} did not start:\n{server.log_tail()}"

    async def wait_joined(self) -> None:
        """Wait until every chunkserver has joined in its present run."""
        deadline = time.monotonic() + START_TIMEOUT_S
        for server in self.servers.values():
            while server is not self.master and not await server.has_joined():
                assert time.monotonic() < deadline, f"{server.name} has not joined:\n{server.log_tail()}"
                await asyncio.sleep(_POLL_S)

    async def wait_well(self, client: dstore.AsyncClient) -> ClusterStatus:
        """Wait until every chunkserver has joined in its present run, and the master has nothing to complain of."""
        await self.wait_joined()
        deadline = time.monotonic() + START_TIMEOUT_S
        found: list[str] = []
        while True:
            try:
                status = await client.status()
                found = complaints(status)
                if not found and status.servers_up == self.shape.chunkservers:
                    return status
            except DstoreError as error:
                found = [repr(error)]
            assert time.monotonic() < deadline, f"not well within {START_TIMEOUT_S} s: {found}"
            await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """End every process."""
        for server in self.servers.values():
            await server.kill()

    def logs(self) -> str:
        """Return the last lines of every log."""
        return "\n".join(f"--- {server.name}\n{server.log_tail()}" for server in self.servers.values())

    def make_server(self, name: str, index: int) -> ServerProcess:
        """Return a server that is not running yet; ``index`` is its place among the names."""
        arguments = self.arguments(name, self.data / name, "127.0.0.1", self.port + index)
        return ServerProcess(name, self.data / name, self.log_path(name), arguments)

    def log_path(self, name: str) -> Path:
        """Return where a server's log is."""
        return self.home / "logs" / f"{name}.log"

    def arguments(self, name: str, directory: Path, host: str, port: int) -> list[str]:
        """Return the arguments of ``dstore`` that run a server."""
        common = ["--dir", str(directory), "--listen", f"{host}:{port}", "--http-listen", f"{host}:0"]
        if name == "master":
            shape = self.shape
            policy = ["--replicas", str(shape.replicas), "--min-replicas", str(shape.min_replicas)]
            policy += ["--chunk-size", str(shape.chunk_size_bytes), "--failure-domain", "server"]
            return ["master", "run", *common, *policy, *shape.master_options]
        return ["chunkserver", "run", *common, "--name", name, "--master", self.endpoint]


def complaints(status: ClusterStatus) -> list[str]:
    """Return what the master says is wrong, but for what only an operator can decide; empty when all is well."""
    # Clients that replace most of what there is stop the collection of what they replaced, as they should.
    found = [check.message for check in status.checks if check.code != "COLLECTION_STOPPED"]
    if status.under_replicated_chunks or status.unavailable_chunks:
        found.append(status.summary)
    return found


@contextlib.asynccontextmanager
async def running_cluster(home: Path, shape: ClusterShape) -> AsyncIterator[ServerCluster]:
    """A cluster for the duration of a block; no process is left, and no file unless the block failed."""
    cluster = ServerCluster(home, shape)
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.kill()
    shutil.rmtree(home)


def fast_directory() -> Path:
    """Return where test data is written fastest: memory, if this machine has it as a directory."""
    shared_memory = Path("/dev/shm")
    return shared_memory if os.access(shared_memory, os.W_OK) else Path(os.environ.get("TMPDIR", "/tmp"))


@contextlib.contextmanager
def _environment(names: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    for name in before:
        if name.startswith("DSTORE_"):
            del os.environ[name]
    os.environ.update(names)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _free_ports(count: int) -> int:
    for _ in range(200):
        port = random.choice(PORTS)
        if all(_is_free(port + offset) for offset in range(count)):
            return port
    raise AssertionError("no free block of ports in 200 tries")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
