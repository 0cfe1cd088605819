"""Memory and rates of the REST gateway while curl uploads a large file, fetches it with an interruption, and while
twelve uploads and then twelve downloads are under way at once. What came back is compared by SHA-256.

Goal, reported and not enforced: the gateway takes at most 250 MiB for one transfer, whatever its size.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
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
    median,
    peak_rss_bytes,
    print_report,
    reset_peak_rss,
    run,
)
from benchmarks.memory import digest_of, make_source

COPIES = 3
ONE_LIMIT_MIB = 250
AT_ONCE = 12
_POLL_INTERVAL_S = 0.01


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that runs."""

    url: str
    pid: int

    def address(self, name: str) -> str:
        """Return where a file is."""
        return f"{self.url}/v1/files/{name}"


@asynccontextmanager
async def open_gateway(home: Path, servers: cluster.Cluster) -> AsyncIterator[Gateway]:
    """Run a gateway in front of a cluster until the block is left.

    Raises:
        RuntimeError: it ended instead of starting; what it said is on standard error.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DSTORE_")}
    process = await asyncio.create_subprocess_exec(
        *(*cluster.COMMAND, "gateway", "run", "--listen", "127.0.0.1:0", "--log-level", "warning"),
        *("--endpoint", servers.endpoint, "--key-file", str(servers.key_file)),
        cwd=cluster.REPOSITORY,
        env={**environ, "DSTORE_CONFIG_DIR": str(home / "config")},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            raise RuntimeError("The gateway did not start; see what it said above.")
        yield Gateway(json.loads(line)["url"], process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def curl(*arguments: str) -> None:
    """Run curl.

    Raises:
        RuntimeError: it failed; what it said is on standard error.
    """
    process = await asyncio.create_subprocess_exec("curl", "--silent", "--show-error", "--fail", *arguments)
    if await process.wait() != 0:
        raise RuntimeError(f"curl {' '.join(arguments)} ended with {process.returncode}.")


async def fetch_interrupted(address: str, local: Path, size_bytes: int) -> None:
    """Download with a curl that is killed half-way, and go on with another one."""
    local.unlink(missing_ok=True)
    first = await asyncio.create_subprocess_exec("curl", "--silent", "--output", str(local), address)
    while first.returncode is None and not (local.exists() and local.stat().st_size >= size_bytes // 2):
        await asyncio.sleep(_POLL_INTERVAL_S)
    if first.returncode is not None:
        raise RuntimeError("The first half of the download ended before it could be interrupted; use a larger --size.")
    first.kill()
    await first.wait()
    await curl("--continue-at", "-", "--output", str(local), address)


async def measure(directory: Path, size_bytes: int, runs: int) -> Report:
    """Move files and return a row for each way.

    Raises:
        RuntimeError: a file came back different, or there is no room for it and its copies.
    """
    small_bytes = max(MIB, size_bytes // AT_ONCE)
    check_room(directory, (size_bytes + AT_ONCE * small_bytes) * (COPIES * runs + 2))
    large, small, fetched = directory / "large", directory / "small", directory / "fetched"
    digest = await asyncio.to_thread(make_source, large, size_bytes)
    small_digest = await asyncio.to_thread(make_source, small, small_bytes)
    home = directory / "dstore"
    rates: dict[str, list[float]] = {}
    peaks: dict[str, list[float]] = {}

    async with cluster.open_cluster(home) as servers, open_gateway(home, servers) as gateway:

        async def timed(what: str, moved_bytes: int, move: Callable[[], Awaitable[object]]) -> None:
            reset_peak_rss(gateway.pid)
            started_s = time.monotonic()
            await move()
            rates.setdefault(what, []).append(moved_bytes / MIB / (time.monotonic() - started_s))
            peaks.setdefault(what, []).append(peak_rss_bytes(gateway.pid) / MIB)

        async def all_at_once(move: Callable[[str], Awaitable[None]]) -> None:
            await asyncio.gather(*(move(f"small-{number}") for number in range(AT_ONCE)))

        async def send(name: str) -> None:
            await curl("--upload-file", str(small), "--output", os.devnull, gateway.address(name))

        async def fetch(name: str) -> None:
            await curl("--output", str(directory / name), gateway.address(name))

        for _ in range(runs):
            await timed(
                "upload",
                size_bytes,
                lambda: curl("--upload-file", str(large), "--output", os.devnull, gateway.address("large")),
            )
            await timed(
                "download, interrupted and resumed",
                size_bytes,
                lambda: fetch_interrupted(gateway.address("large"), fetched, size_bytes),
            )
            if await asyncio.to_thread(digest_of, fetched) != digest:
                raise RuntimeError("The file came back with another SHA-256 than it was sent with.")
            fetched.unlink()
            await timed(f"{AT_ONCE} uploads at once", AT_ONCE * small_bytes, lambda: all_at_once(send))
            await timed(f"{AT_ONCE} downloads at once", AT_ONCE * small_bytes, lambda: all_at_once(fetch))
            for number in range(AT_ONCE):
                one = directory / f"small-{number}"
                if await asyncio.to_thread(digest_of, one) != small_digest:
                    raise RuntimeError("One of several files came back with another SHA-256 than it was sent with.")
                one.unlink()
        facts = conditions(
            directory, cluster.DURABILITY, size_mib=size_bytes // MIB, at_once_mib=small_bytes // MIB, runs=runs
        )
    rows = tuple(_row(what, rates[what], peaks[what]) for what in rates)
    return Report(
        title="The gateway while curl moves files",
        conditions=facts,
        columns=("what", "MiB/s, median", "peak MiB of the gateway, highest", f"at most {ONE_LIMIT_MIB} MiB"),
        rows=rows,
    )


def _row(what: str, rates: list[float], peaks: list[float]) -> tuple[Cell, ...]:
    peak_mib = round(max(peaks))
    return what, round(median(rates)), peak_mib, "within" if peak_mib <= ONE_LIMIT_MIB else "above"


async def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    add_common_arguments(parser, size_default="2GiB", runs=3)
    arguments = parser.parse_args()
    with data_directory(arguments.directory or Path(tempfile.gettempdir())) as directory:
        report = await measure(directory, arguments.size, arguments.runs)
    print_report(report, as_json=arguments.json)


if __name__ == "__main__":
    run(main())
