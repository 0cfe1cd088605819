"""Ceph: a monitor, a manager and three OSDs with BlueStore, three copies; measured by its own ``rados bench``.

From Debian's packages, those that ``PACKAGES`` names, and only when it is asked for with ``--peers ceph``.
"""

import asyncio
import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from benchmarks.systems.base import ClientProcess, Variant, open_client_process
from benchmarks.systems.processes import free_ports, open_process, wait_until
from benchmarks.workloads import GIB, Workload

OSDS = 3
POOL = "bench"
PROGRAMS = ("ceph-mon", "ceph-mgr", "ceph-osd", "ceph", "rados", "monmaptool")
PACKAGES = "ceph-mon ceph-mgr ceph-osd ceph-common"
#: Of each OSD, in a file that grows as it is written to; space that is freed is written again, not given back.
BLOCK_SIZE_BYTES = 4 * GIB
DURABILITY = "committed by BlueStore on 3 replicas; nothing encrypted"
_COMMAND_TIMEOUT_S = 120
_VERBS = frozenset({"write-small", "read-small"})

_CONFIGURATION = """
[global]
fsid = {fsid}
mon host = {monitor}
auth cluster required = none
auth service required = none
auth client required = none
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = {directory}
admin socket = {directory}/$name.asok
log file = {directory}/$name.log
osd pool default size = {copies}
osd pool default min size = 2
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = bluestore
bluestore block size = {block_size_bytes}
osd memory target = 1073741824
mon data = {directory}/mon-$id
mgr data = {directory}/mgr-$id
osd data = {directory}/osd-$id
mon data avail crit = 1
mon data avail warn = 2
"""


class CephSession:
    """A running cluster with a client process."""

    name = "ceph"
    copies = OSDS

    def __init__(self, client: ClientProcess, pids: Mapping[str, int]) -> None:
        self.client = client
        self._pids = dict(pids)

    def pids(self) -> Mapping[str, int]:
        """Return the pid of every daemon by its name."""
        return self._pids

    def variants(self, workload: Workload) -> tuple[Variant, ...]:
        """Return the ways in which it does the workload."""
        if workload.verb in {"write-large", "read-large"}:
            return (Variant("16 × 4 MiB in flight", DURABILITY), Variant("one 4 MiB at a time", DURABILITY))
        return (Variant("objects", DURABILITY),) if workload.verb in _VERBS else ()

    async def reclaim(self) -> None:
        """Do nothing: BlueStore writes to freed space again, but does not give it back."""


def check_installed() -> None:
    """Refuse to go on without Ceph.

    Raises:
        RuntimeError: with what to install.
    """
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        raise RuntimeError(f"{', '.join(missing)} not found: install {PACKAGES} with apt-get, or leave out Ceph.")


def configuration(directory: Path, fsid: str, ports: tuple[int, int]) -> str:
    """Return the configuration of a cluster that listens on loopback alone."""
    monitor = f"[v2:127.0.0.1:{ports[0]},v1:127.0.0.1:{ports[1]}]"
    return _CONFIGURATION.format(
        fsid=fsid, monitor=monitor, directory=directory, copies=OSDS, block_size_bytes=BLOCK_SIZE_BYTES
    )


async def _call(*command: str) -> str:
    """Run one command to its end.

    Raises:
        RuntimeError: it failed, with what it said.
    """
    finished = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=_COMMAND_TIMEOUT_S
    )
    if finished.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {finished.returncode}: {finished.stderr[-400:]}")
    return finished.stdout


@asynccontextmanager
async def open_ceph(directory: Path) -> AsyncIterator[CephSession]:
    """Start a cluster below ``directory`` with its client, and end both with the block.

    Raises:
        RuntimeError: it is not installed, or does not become ready.
    """
    check_installed()
    directory.mkdir()
    fsid = str(uuid.uuid4())
    ports = free_ports(2)
    settings = directory / "ceph.conf"
    settings.write_text(configuration(directory, fsid, (ports[0], ports[1])))
    configured = ("-c", str(settings))
    async with AsyncExitStack() as stack:
        pids: dict[str, int] = {}

        async def start(name: str, *command: str) -> None:
            process = await stack.enter_async_context(open_process(command, directory / f"{name}.out.log"))
            pids[name] = process.pid

        await _make_monitor(directory, configured, fsid, ports)
        await start("mon", "ceph-mon", *configured, "-i", "a", "-f")
        # The commands wait for the monitor by themselves.
        await _call("ceph", *configured, "--connect-timeout", "60", "mon", "stat")
        (directory / "mgr-x").mkdir()
        await start("mgr", "ceph-mgr", *configured, "-i", "x", "-f")
        for number in range(OSDS):
            identity = str(uuid.uuid4())
            await _call("ceph", *configured, "osd", "new", identity)
            (directory / f"osd-{number}").mkdir()
            await _call("ceph-osd", *configured, "-i", str(number), "--mkfs", "--osd-uuid", identity)
            await start(f"osd-{number}", "ceph-osd", *configured, "-i", str(number), "-f")
        await _make_pool(configured, directory)
        client = await stack.enter_async_context(open_client_process("ceph", {"configuration": str(settings)}))
        yield CephSession(client, pids)


async def _make_monitor(directory: Path, configured: tuple[str, ...], fsid: str, ports: list[int]) -> None:
    monitors = str(directory / "monmap")
    address = f"[v2:127.0.0.1:{ports[0]},v1:127.0.0.1:{ports[1]}]"
    await _call("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, monitors)
    os.mkdir(directory / "mon-a")
    await _call("ceph-mon", *configured, "-i", "a", "--mkfs", "--monmap", monitors)


async def _make_pool(configured: tuple[str, ...], directory: Path) -> None:
    await _call("ceph", *configured, "osd", "pool", "create", POOL, "32", "32", "replicated")

    async def is_clean() -> bool:
        said = await _call("ceph", *configured, "pg", "stat")
        return "32 active+clean" in said or "33 active+clean" in said

    await wait_until(is_clean, "Ceph", directory)
