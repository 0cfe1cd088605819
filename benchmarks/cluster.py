"""A dstore cluster for benchmarks: real processes on this machine, in a directory of their own."""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import dstore

CHUNKSERVERS = 3
#: What an acknowledged write of the cluster means; printed with every figure.
DURABILITY = "fsync of file and directory on all three replicas, metadata commit synced; encrypted on the client"
COMMAND = (sys.executable, "-m", "dstore.cli.app")
COMMAND_TIMEOUT_S = 60
#: Below the ports that Linux hands out by itself, so that no outgoing connection sits on one.
PORTS = range(15_000, 30_000)
REPOSITORY = Path(__file__).parent.parent


class Cluster:
    """A running cluster; made by ``open_cluster``."""

    def __init__(self, home: Path, port: int) -> None:
        self.root = home / "cluster"
        self.endpoint = f"127.0.0.1:{port}"
        self.key_file = home / "config" / "keys" / "dev.key"

    def pids(self) -> dict[str, int]:
        """Return the pid of every process by its name; chunkservers are ``cs-1`` and so on."""
        content = json.loads((self.root / "cluster.json").read_text())
        return {process["name"]: process["pid"] for process in content["processes"]}


@asynccontextmanager
async def open_cluster(home: Path) -> AsyncIterator[Cluster]:
    """Start master and chunkservers below ``home`` and end them when the block is left.

    Raises:
        RuntimeError: ``dstore up`` or ``dstore down`` failed; what it said is in the message.
    """
    port = free_ports()
    cluster = Cluster(home, port)
    directory = ("--dir", str(cluster.root))
    try:
        arguments = ("up", *directory, "--port", str(port), "--chunkservers", str(CHUNKSERVERS), "--json")
        await asyncio.to_thread(run_dstore, home, *arguments)
        yield cluster
    finally:
        # Blocking on purpose: a second Ctrl-C must not leave servers behind.
        try:
            if (cluster.root / "cluster.json").exists():
                run_dstore(home, "down", *directory)
        finally:
            _kill_rest(cluster)


@asynccontextmanager
async def open_client(endpoint: str, key_file: Path) -> AsyncIterator[dstore.AsyncClient]:
    """Connect as any program would, and close the client when the block is left."""
    async with dstore.connect_async(endpoint, key_file=key_file) as client:
        yield client


def run_dstore(home: Path, *arguments: str) -> str:
    """Run one ``dstore`` command, with its profile and keys below ``home``, and return what it printed.

    Raises:
        RuntimeError: it failed, with its message.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DSTORE_")}
    environ["DSTORE_CONFIG_DIR"] = str(home / "config")
    finished = subprocess.run(
        [*COMMAND, *arguments],
        cwd=REPOSITORY,
        env=environ,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    if finished.returncode != 0:
        raise RuntimeError(f"dstore {' '.join(arguments)} ended with {finished.returncode}: {finished.stderr.strip()}")
    return finished.stdout


def free_ports() -> int:
    """Return a port P such that those that ``dstore up --port P`` uses are free now.

    Raises:
        RuntimeError: there is no such port.
    """
    for _ in range(100):
        port = random.choice(PORTS)
        if all(_is_free(port + offset + index) for offset in (0, 100) for index in range(CHUNKSERVERS + 1)):
            return port
    raise RuntimeError("No free block of ports was found in 100 tries; stop what holds them.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _kill_rest(cluster: Cluster) -> None:
    with suppress(FileNotFoundError):
        for pid in cluster.pids().values():
            with suppress(ProcessLookupError, FileNotFoundError):
                # The pid may belong to something else by now.
                if str(cluster.root) in Path(f"/proc/{pid}/cmdline").read_text():
                    os.kill(pid, signal.SIGKILL)
