"""Servers of dstore for benchmarks: each a process of its own, with settings that ``dstore up`` does not have."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cluster
from dstore.rpc.channel import Connection

_START_TIMEOUT_S = 60
_POLL_INTERVAL_S = 0.1


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    name: str
    pid: int
    address: str
    http_address: str


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
async def open_servers(
    directory: Path, *, chunkservers: int, master_options: Sequence[str]
) -> AsyncIterator[tuple[Server, list[Server]]]:
    """Start a master and chunkservers, each as if on a host of its own; wait until all are up; end them with the block.

    Raises:
        RuntimeError: one of them did not start, with what it said.
        TimeoutError: they did not come up.
    """
    processes = []
    try:
        process, master = await _start(directory, "master", "master", *master_options)
        processes.append(process)
        servers = []
        for number in range(1, chunkservers + 1):
            name = f"cs-{number}"
            options = ("--name", name, "--master", master.address, "--host-label", name)
            process, server = await _start(directory, name, "chunkserver", *options)
            processes.append(process)
            servers.append(server)
        await _wait_for_servers(master, chunkservers)
        yield master, servers
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        for process in processes:
            await process.wait()


async def _wait_for_servers(master: Server, chunkservers: int) -> None:
    connection = Connection(master.address)
    try:
        async with asyncio.timeout(_START_TIMEOUT_S):
            while (await connection.admin.get_status()).servers_up < chunkservers:
                await asyncio.sleep(_POLL_INTERVAL_S)
    finally:
        await connection.close()
