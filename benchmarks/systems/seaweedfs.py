"""SeaweedFS: a master, three volume servers and a filer; three copies, on three servers; not encrypted."""

import asyncio
import json
import os
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.systems.base import ClientProcess, Variant, disk_usage_bytes, open_client_process
from benchmarks.systems.processes import free_ports, open_process, wait_until
from benchmarks.workloads import MIB, Workload

VOLUME_SERVERS = 3
#: Two more copies on other servers of the same rack.
REPLICATION = "002"
SYNCED = "fsync on 3 replicas asked for (fsync=true); nothing encrypted"
CACHED = "default: in the page cache of 3 replicas; nothing encrypted"
NAMES = "default: the filer's own store, one copy, not synced; nothing encrypted"
_GRPC_OFFSET = 10_000
_RECLAIM_PATIENCE_S = 30.0
_REPLICATE_ATTEMPTS_MAX = 6
_WATCH_INTERVAL_S = 0.1
#: Less is only what databases grow by.
_COPIED_BYTES_MIN = MIB
_REST_BYTES = 64 * MIB
_VERBS = frozenset(
    {"write-large", "read-large", "read-ranges", "write-small", "read-small"}
    | {"create", "stat", "list", "rename", "remove"}
)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where its parts listen."""

    master: str
    filer: str
    volumes: tuple[str, ...]


class SeaweedSession:
    """A running cluster with a client process."""

    name = "seaweedfs"
    copies = VOLUME_SERVERS

    def __init__(self, directory: Path, client: ClientProcess, pids: Mapping[str, int], addresses: Addresses) -> None:
        self.client = client
        self._directory = directory
        self._pids = dict(pids)
        self._addresses = addresses

    def pids(self) -> Mapping[str, int]:
        """Return the pid of every server by its name."""
        return self._pids

    def variants(self, workload: Workload) -> tuple[Variant, ...]:
        """Return the ways in which it does the workload."""
        if workload.verb not in _VERBS:
            return ()
        if workload.verb in {"write-large", "write-small"}:
            return (Variant("cached", CACHED), Variant("synced", SYNCED))
        if workload.verb == "read-small":
            return (Variant("volume server", SYNCED),)
        return (Variant("filer", SYNCED if workload.verb.startswith("read") else NAMES),)

    async def lose_volume_server(self) -> None:
        """Kill the volume server that holds most, and wait until the master misses it."""
        names = [name for name in self._pids if name.startswith("volume-")]
        lost = max(names, key=lambda name: disk_usage_bytes(self._directory / name))
        os.kill(self._pids.pop(lost), signal.SIGKILL)
        left = len(names) - 1
        await wait_until(lambda: asyncio.to_thread(_is_ready, self._addresses, left), "The loss", self._directory)

    async def replicate(self) -> tuple[int, float]:
        """Have everything that lacks copies copied.

        Returns the bytes that came, and the seconds between the first and the last of them.

        Raises:
            RuntimeError: its shell failed, or copies are still missing after all attempts.
        """
        growth = _Growth(self._directory)
        watching = asyncio.create_task(growth.watch())
        try:
            for _ in range(_REPLICATE_ATTEMPTS_MAX):
                said = await self._shell("lock", "volume.fix.replication -apply", "unlock")
                # At first the master may not know yet what the lost server had.
                if b"under replicated" not in said and growth.size_bytes >= _COPIED_BYTES_MIN:
                    return growth.size_bytes, growth.end_s - growth.begin_s
        finally:
            watching.cancel()
        raise RuntimeError(f"Copies are still missing after {_REPLICATE_ATTEMPTS_MAX} times volume.fix.replication.")

    async def _shell(self, *commands: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *(program(), "shell", f"-master={self._addresses.master}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self._directory,
            env={**os.environ, "HOME": str(self._directory)},
        )
        output, _ = await process.communicate("\n".join([*commands, ""]).encode())
        if process.returncode:
            raise RuntimeError(f"weed shell ended with {process.returncode}: {output[-400:]!r}")
        return output

    async def reclaim(self) -> None:
        """Have the volumes compacted until what was removed is gone from the disks."""
        end_s = asyncio.get_running_loop().time() + _RECLAIM_PATIENCE_S
        while disk_usage_bytes(self._directory) > _REST_BYTES and asyncio.get_running_loop().time() < end_s:
            await asyncio.sleep(1.0)
            await asyncio.to_thread(_fetch, f"http://{self._addresses.master}/vol/vacuum?garbageThreshold=0.001")


class _Growth:
    """Watches how much comes below a directory, and when."""

    def __init__(self, directory: Path) -> None:
        self.begin_s = self.end_s = time.monotonic()
        self.size_bytes = 0
        self._directory = directory
        self._before_bytes = disk_usage_bytes(directory)

    async def watch(self) -> None:
        """Look again and again, until it is cancelled."""
        while True:
            await asyncio.sleep(_WATCH_INTERVAL_S)
            grown_bytes = disk_usage_bytes(self._directory) - self._before_bytes
            if grown_bytes > self.size_bytes:
                if self.size_bytes < _COPIED_BYTES_MIN:
                    # What is seen first came since the look before.
                    self.begin_s = time.monotonic() - _WATCH_INTERVAL_S
                self.size_bytes, self.end_s = grown_bytes, time.monotonic()


def program() -> str:
    """Return the path of the program.

    Raises:
        RuntimeError: it is not installed.
    """
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise RuntimeError("The program weed is missing; `make bench` installs it, as does requirements/bench.lock.")
    return found


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        content: bytes = answer.read()
        return content


def server_commands(directory: Path, addresses: Addresses) -> dict[str, list[str]]:
    """Return the command of every server by its name, in the order in which they are started.

    All listen on loopback alone, and none reports to anybody.
    """
    weed = (program(), "-logtostderr=true")
    host = ("-ip=127.0.0.1", "-ip.bind=127.0.0.1")
    master = [*weed, "master", *host, "-telemetry=false", "-peers=none", f"-port={_port(addresses.master)}"]
    master += [f"-mdir={directory / 'master'}", "-volumeSizeLimitMB=2048", f"-defaultReplication={REPLICATION}"]
    commands = {"master": master}
    for number, address in enumerate(addresses.volumes, start=1):
        volume = [*weed, "volume", *host, f"-master={addresses.master}", f"-port={_port(address)}", "-max=100"]
        volume += [f"-dir={directory / f'volume-{number}'}", "-preStopSeconds=0"]
        # Otherwise no volume server copies from another one on loopback.
        volume.append("-volume.allowUntrustedRemoteEndpoints=true")
        commands[f"volume-{number}"] = volume
    filer = [*weed, "filer", *host, f"-master={addresses.master}", f"-port={_port(addresses.filer)}"]
    filer += [f"-defaultStoreDir={directory / 'filer'}", f"-localSocket={directory / 'filer.sock'}"]
    return commands | {"filer": filer}


def _port(address: str) -> str:
    return address.rpartition(":")[2]


@asynccontextmanager
async def open_seaweedfs(directory: Path, *, volume_servers: int = VOLUME_SERVERS) -> AsyncIterator[SeaweedSession]:
    """Start a cluster below ``directory`` with its client, and end both with the block.

    Raises:
        RuntimeError: it is not installed, or does not become ready.
    """
    master, filer, *volumes = (f"127.0.0.1:{port}" for port in free_ports(volume_servers + 2, also_above=_GRPC_OFFSET))
    addresses = Addresses(master, filer, tuple(volumes))
    # It looks for configuration in the working directory and in the home directory.
    environ = {**os.environ, "HOME": str(directory)}
    pids = {}
    async with AsyncExitStack() as stack:
        directory.mkdir()
        for name, command in server_commands(directory, addresses).items():
            (directory / name).mkdir()
            log = directory / f"{name}.log"
            process = await stack.enter_async_context(open_process(command, log, environ=environ))
            pids[name] = process.pid
        await wait_until(lambda: asyncio.to_thread(_is_ready, addresses, volume_servers), "SeaweedFS", directory)
        settings = {"weed": program(), "master": addresses.master, "filer": addresses.filer}
        settings |= {"replication": REPLICATION, "directory": str(directory)}
        client = await stack.enter_async_context(open_client_process("seaweedfs", settings))
        yield SeaweedSession(directory, client, pids, addresses)


def _is_ready(addresses: Addresses, volume_servers: int) -> bool:
    try:
        topology = json.loads(_fetch(f"http://{addresses.master}/dir/status"))["Topology"]
        _fetch(f"http://{addresses.filer}/")
    except OSError:
        return False
    centers = topology["DataCenters"] or ()
    return sum(len(rack["DataNodes"]) for center in centers for rack in center["Racks"]) == volume_servers
