"""How fast a cluster of five chunkservers makes up for one that is killed for good, and how much memory that takes.

Goal, reported and not enforced: at least 150 MiB/s over all servers together on two cores, each at most 200 MiB.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import random
import re
import signal
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import dstore
from benchmarks import cluster
from benchmarks.harness import (
    GIB,
    MIB,
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
DURABILITY = "each copy: fsync of file and directory; checked by CRC32C on the way and as a whole"
FILE_SIZE_BYTES = 64 * MIB
_PATIENCE_S = 600.0
_POLL_INTERVAL_S = 0.1
_METRIC = re.compile(rb"^(dstore_\w+) (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    name: str
    pid: int
    address: str
    http_address: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was measured: when copying began and ended, seconds after the kill, and what it took."""

    begin_s: float
    end_s: float
    redundant_s: float
    copied_bytes: int
    cpu_s: float


async def _start(directory: Path, name: str, role: str, *arguments: str) -> tuple[asyncio.subprocess.Process, Server]:
    with (directory / f"{name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(*cluster.COMMAND, role, "run", "--dir", str(directory / name)),
            *("--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            cwd=cluster.REPOSITORY,
        )
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        await process.wait()
        raise RuntimeError(f"{name} did not start: {(directory / f'{name}.log').read_text()}")
    ready = json.loads(line)
    return process, Server(name, process.pid, ready["address"], ready["http_address"])


@asynccontextmanager
async def open_servers(directory: Path) -> AsyncIterator[tuple[Server, list[Server]]]:
    """Start a master and the chunkservers, each as if on a host of its own; end them with the block."""
    processes = []
    try:
        options = ("--out-after", OUT_AFTER, "--copy-rate", "100GiB", "--scrub-period", "0s")
        process, master = await _start(directory, "master", "master", *options)
        processes.append(process)
        chunkservers = []
        for number in range(1, CHUNKSERVERS + 1):
            name = f"cs-{number}"
            options = ("--name", name, "--master", master.address, "--host-label", name)
            process, server = await _start(directory, name, "chunkserver", *options)
            processes.append(process)
            chunkservers.append(server)
        yield master, chunkservers
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        for process in processes:
            await process.wait()


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
                return Recovery(begin_s, end_s, loop.time() - start_s, copied - before, used_s)
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


async def measure(directory: Path, size_bytes: int) -> Report:
    """Write files, kill a server, wait until every chunk has three copies again, and read the files.

    Raises:
        RuntimeError: redundancy did not come back, a file came back different, or there is no room.
    """
    check_room(directory, size_bytes * (COPIES + 2))
    key_file = directory / "key"
    create_keyring(key_file, SystemRandom())
    async with AsyncExitStack() as stack:
        master, servers = await stack.enter_async_context(open_servers(directory))
        client = await stack.enter_async_context(cluster.open_client(master.address, key_file))
        await _wait_for_servers(master)
        digests = await _write(client, size_bytes)
        touch_memory(directory, size_bytes)
        facts = conditions(directory, DURABILITY, size_mib=size_bytes // MIB, chunkservers=CHUNKSERVERS)
        for server in servers:
            reset_peak_rss(server.pid)
        recovery = await _recover(master, servers, servers[-1])
        peaks = {server.name: peak_rss_bytes(server.pid) / MIB for server in servers[:-1]}
        for path, digest in digests.items():
            if hashlib.sha256(await client.get(path)).hexdigest() != digest:
                raise RuntimeError(f"{path} came back with another SHA-256 than it was put with.")
    rate = recovery.copied_bytes / MIB / (recovery.end_s - recovery.begin_s)
    rows = [
        ("copied again", f"{recovery.copied_bytes / MIB:.0f} MiB", ""),
        ("first copy after the kill", f"{recovery.begin_s:.1f} s", ""),
        ("redundancy full after the kill", f"{recovery.redundant_s:.1f} s", ""),
        ("rate, all servers together", f"{rate:.0f} MiB/s", _verdict(rate >= RATE_GOAL_MIB_PER_S, "at least 150")),
        ("CPU, all servers together", f"{recovery.cpu_s / (recovery.copied_bytes / GIB):.1f} s/GiB", ""),
    ]
    rows += [
        (f"peak memory of {name}", f"{peak:.0f} MiB", _verdict(peak <= MEMORY_LIMIT_MIB, "at most 200"))
        for name, peak in peaks.items()
    ]
    return Report("One of five chunkservers is lost for good", facts, ("what", "measured", "goal"), tuple(rows))


def _verdict(is_reached: bool, goal: str) -> str:
    return f"{goal}: {'reached' if is_reached else 'missed'}"


async def _pause() -> None:
    await asyncio.sleep(_POLL_INTERVAL_S)


async def _wait_for_servers(master: Server) -> None:
    connection = Connection(master.address)
    try:
        async with asyncio.timeout(60):
            while (await connection.admin.get_status()).servers_up < CHUNKSERVERS:
                await _pause()
    finally:
        await connection.close()


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
