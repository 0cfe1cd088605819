"""How fast a cluster of five chunkservers makes up for one that is killed for good, and how much memory that takes.

Goal, reported and not enforced: at least 150 MiB/s over all servers together on two cores, each at most 200 MiB.
"""

import argparse
import asyncio
import hashlib
import os
import random
import re
import signal
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import dstore
from benchmarks import cluster
from benchmarks.harness import (
    GIB,
    MIB,
    Conditions,
    Report,
    add_common_arguments,
    check_room,
    conditions,
    cpu_s,
    data_directory,
    peak_rss_bytes,
    print_report,
    reset_peak_rss,
    run,
    touch_memory,
)
from benchmarks.servers import Server, open_servers
from dstore.core.status import ClusterStatus
from dstore.crypto.keyring import create_keyring
from dstore.rpc.channel import Connection
from dstore.system.environment import SystemRandom

CHUNKSERVERS = 5
COPIES = 3
RATE_GOAL_MIB_PER_S = 150
MEMORY_LIMIT_MIB = 200
#: A server that was killed is out after this long, so that the wait is short; it does not count.
OUT_AFTER = "2s"
MASTER_OPTIONS = ("--out-after", OUT_AFTER, "--copy-rate", "100GiB", "--scrub-period", "0s")
DURABILITY = "each copy: fsync of file and directory; checked by CRC32C on the way and as a whole"
FILE_SIZE_BYTES = 64 * MIB
_PATIENCE_S = 600.0
_POLL_INTERVAL_S = 0.1
_METRIC = re.compile(rb"^(dstore_\w+) (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was measured: when copying began and ended, seconds after the kill, and what it took.

    Attributes:
        peaks_mib: peak memory of each survivor, by its name.
    """

    begin_s: float
    end_s: float
    redundant_s: float
    copied_bytes: int
    cpu_s: float
    peaks_mib: Mapping[str, float]

    @property
    def mib_per_s(self) -> float:
        """What all servers together copied, from the first copy to the last."""
        return self.copied_bytes / MIB / (self.end_s - self.begin_s)


def _metrics(server: Server) -> dict[str, float]:
    with urllib.request.urlopen(f"http://{server.http_address}/metrics", timeout=10) as answer:
        return {name.decode(): float(value) for name, value in _METRIC.findall(answer.read())}


async def _copied_bytes(servers: Sequence[Server]) -> int:
    metrics = await asyncio.gather(*(asyncio.to_thread(_metrics, server) for server in servers))
    return int(sum(each["dstore_copied_bytes_total"] for each in metrics))


def _is_redundant(status: ClusterStatus, lost: str) -> bool:
    gone = next(server for server in status.servers if server.name == lost)
    return gone.group_count == 0 and status.under_replicated_chunks == 0


async def _recover(master: Server, servers: Sequence[Server], lost: Server) -> Recovery:
    """Kill one server and follow the copying until every chunk has all its copies again.

    Raises:
        RuntimeError: it did not come to that.
    """
    loop = asyncio.get_running_loop()
    rest = [server for server in servers if server is not lost]
    connection = Connection(master.address)
    before = await _copied_bytes(rest)
    before_cpu_s = sum(cpu_s(server.pid) for server in (master, *rest))
    os.kill(lost.pid, signal.SIGKILL)
    start_s = loop.time()
    begin_s, end_s, copied = 0.0, 0.0, before
    try:
        while loop.time() - start_s < _PATIENCE_S:
            now_copied = await _copied_bytes(rest)
            if now_copied > copied:
                # What was seen first was copied since the look before.
                begin_s = begin_s or loop.time() - start_s - _POLL_INTERVAL_S
                end_s, copied = loop.time() - start_s, now_copied
            if copied > before and _is_redundant(await connection.admin.get_status(), lost.name):
                used_s = sum(cpu_s(server.pid) for server in (master, *rest)) - before_cpu_s
                peaks_mib = {server.name: peak_rss_bytes(server.pid) / MIB for server in rest}
                return Recovery(begin_s, end_s, loop.time() - start_s, copied - before, used_s, peaks_mib)
            await _pause()
        status = await connection.admin.get_status()
        raise RuntimeError(f"Redundancy is not full after {_PATIENCE_S:g} s: {status.summary}")
    finally:
        await connection.close()


async def _write(client: dstore.AsyncClient, size_bytes: int) -> dict[str, str]:
    """Write files of this size in all; return the SHA-256 of each."""
    digests = {}
    for index in range(-(-size_bytes // FILE_SIZE_BYTES)):
        content = random.Random(index).randbytes(FILE_SIZE_BYTES)
        path = f"/recovery-{index}"
        await client.put(path, content)
        digests[path] = hashlib.sha256(content).hexdigest()
    return digests


async def lose_one(directory: Path, size_bytes: int) -> tuple[Recovery, Conditions]:
    """Write files, kill a server, wait until every chunk has three copies again, and read the files.

    Raises:
        RuntimeError: redundancy did not come back, a file came back different, or there is no room.
    """
    check_room(directory, size_bytes * (COPIES + 2))
    key_file = directory / "key"
    create_keyring(key_file, SystemRandom())
    async with AsyncExitStack() as stack:
        opened = open_servers(directory, chunkservers=CHUNKSERVERS, master_options=MASTER_OPTIONS)
        master, servers = await stack.enter_async_context(opened)
        client = await stack.enter_async_context(cluster.open_client(master.address, key_file))
        digests = await _write(client, size_bytes)
        touch_memory(directory, size_bytes)
        facts = conditions(directory, DURABILITY, size_mib=size_bytes // MIB, chunkservers=CHUNKSERVERS)
        for server in servers:
            reset_peak_rss(server.pid)
        recovery = await _recover(master, servers, servers[-1])
        for path, digest in digests.items():
            if hashlib.sha256(await client.get(path)).hexdigest() != digest:
                raise RuntimeError(f"{path} came back with another SHA-256 than it was put with.")
    return recovery, facts


async def measure(directory: Path, size_bytes: int) -> Report:
    """Lose a server and return what was measured.

    Raises:
        RuntimeError: as ``lose_one``.
    """
    recovery, facts = await lose_one(directory, size_bytes)
    rate = recovery.mib_per_s
    rows = [
        ("copied again", f"{recovery.copied_bytes / MIB:.0f} MiB", ""),
        ("first copy after the kill", f"{recovery.begin_s:.1f} s", ""),
        ("redundancy full after the kill", f"{recovery.redundant_s:.1f} s", ""),
        ("rate, all servers together", f"{rate:.0f} MiB/s", _verdict(rate >= RATE_GOAL_MIB_PER_S, "at least 150")),
        ("CPU, all servers together", f"{recovery.cpu_s / (recovery.copied_bytes / GIB):.1f} s/GiB", ""),
    ]
    rows += [
        (f"peak memory of {name}", f"{peak:.0f} MiB", _verdict(peak <= MEMORY_LIMIT_MIB, "at most 200"))
        for name, peak in recovery.peaks_mib.items()
    ]
    return Report("One of five chunkservers is lost for good", facts, ("what", "measured", "goal"), tuple(rows))


def _verdict(is_reached: bool, goal: str) -> str:
    return f"{goal}: {'reached' if is_reached else 'missed'}"


async def _pause() -> None:
    await asyncio.sleep(_POLL_INTERVAL_S)


async def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description=__doc__)
    add_common_arguments(parser, size_default="2GiB")
    arguments = parser.parse_args()
    with data_directory(arguments.directory) as directory:
        report = await measure(directory, arguments.size)
    print_report(report, as_json=arguments.json)


if __name__ == "__main__":
    run(main())
