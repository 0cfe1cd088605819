"""Peak memory of the client and of each chunkserver while one large file is put and got back.

Goals, reported and not enforced: client at most 300 MiB, each chunkserver at most 200 MiB, whatever the file
size.
"""

import argparse
import asyncio
import hashlib
import os
import random
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from benchmarks import cluster
from benchmarks.harness import (
    MIB,
    Cell,
    Report,
    add_common_arguments,
    check_room,
    conditions,
    data_directory,
    peak_rss_bytes,
    print_report,
    reset_peak_rss,
    run,
)

PATH = "/benchmark"
COPIES = 3
CLIENT_LIMIT_MIB = 300
CHUNKSERVER_LIMIT_MIB = 200
#: Fixed, so that every run moves the same bytes.
SEED = 20


def make_source(path: Path, size_bytes: int) -> str:
    """Fill ``path`` with pseudo-random bytes, block by block, without holes; return their SHA-256 in hex."""
    source = random.Random(SEED)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size_bytes, MIB):
            block = source.randbytes(min(MIB, size_bytes - start))
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def run_client(verb: str, endpoint: str, key_file: Path, local: Path) -> None:
    """Be the client process: move the file once, then print the peak memory of this process in bytes."""
    async with cluster.open_client(endpoint, key_file) as client:
        if verb == "put":
            await client.put_file(local, PATH)
        else:
            await client.get_file(PATH, local)
    print(peak_rss_bytes(os.getpid()), flush=True)


async def client_peak_bytes(servers: cluster.Cluster, verb: str, local: Path) -> int:
    """Move the file in a process of its own and return the peak memory of that process.

    Raises:
        RuntimeError: the transfer failed; its traceback is on standard error.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.memory"),
        *("--client", verb, servers.endpoint, str(servers.key_file), str(local)),
        stdout=asyncio.subprocess.PIPE,
        cwd=cluster.REPOSITORY,
    )
    try:
        output, _ = await process.communicate()
    finally:
        # On uvloop the process can be gone before its return code is known.
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"The client process that should {verb} the file ended with {process.returncode}.")
    return int(output)


async def move(servers: cluster.Cluster, verb: str, local: Path) -> list[tuple[Cell, ...]]:
    """Move the file one way and return a row for each process."""
    pids = {name: pid for name, pid in servers.pids().items() if name.startswith("cs-")}
    for pid in pids.values():
        reset_peak_rss(pid)
    rows = [_row(verb, "client", await client_peak_bytes(servers, verb, local), CLIENT_LIMIT_MIB)]
    rows += [_row(verb, name, peak_rss_bytes(pid), CHUNKSERVER_LIMIT_MIB) for name, pid in pids.items()]
    return rows


def _row(verb: str, name: str, peak_bytes: int, limit_mib: int) -> tuple[Cell, ...]:
    peak_mib = round(peak_bytes / MIB)
    return (verb, name, peak_mib, limit_mib, "within" if peak_mib <= limit_mib else "above")


async def measure(directory: Path, size_bytes: int) -> Report:
    """Put a file, get it back, compare, and return the peaks.

    Raises:
        RuntimeError: the file came back different, or there is no room for it and its copies.
    """
    check_room(directory, size_bytes * (COPIES + 1))
    local = directory / "file"
    async with cluster.open_cluster(directory / "dstore") as servers:
        digest = await asyncio.to_thread(make_source, local, size_bytes)
        rows = await move(servers, "put", local)
        local.unlink()
        rows += await move(servers, "get", local)
        facts = conditions(directory, cluster.DURABILITY, size_mib=size_bytes // MIB)
    if await asyncio.to_thread(digest_of, local) != digest:
        raise RuntimeError("The file came back with another SHA-256 than it was put with.")
    return Report(
        title="Peak resident memory while one file is moved",
        conditions=facts,
        columns=("what", "process", "peak MiB", "limit MiB", "result"),
        rows=tuple(rows),
    )


async def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    add_common_arguments(parser, size_default="4GiB")
    parser.add_argument("--client", nargs=4, metavar=("VERB", "ENDPOINT", "KEY_FILE", "LOCAL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        verb, endpoint, key_file, local = arguments.client
        await run_client(verb, endpoint, Path(key_file), Path(local))
        return
    # On disk by default: four times the file would fill the memory of a small machine.
    with data_directory(arguments.directory or Path(tempfile.gettempdir())) as directory:
        report = await measure(directory, arguments.size)
    print_report(report, as_json=arguments.json)


if __name__ == "__main__":
    run(main())
