"""The master as a process: ``python -m dstore.master --help``."""

import argparse
import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

from dstore import __version__
from dstore.core.errors import NotReady
from dstore.core.limits import CHUNK_SIZE_BYTES_DEFAULT, MIN_REPLICAS_DEFAULT, REPLICAS_DEFAULT, STOP_GRACE_S
from dstore.master.config import FAILURE_DOMAINS, MasterConfig
from dstore.master.master import Master, open_master
from dstore.master.metrics import MeasuredStore, Metrics
from dstore.master.store.runner import ThreadRunner
from dstore.master.store.sqlite import SqliteStore
from dstore.master.upkeep import Upkeep
from dstore.rpc.server import RpcServer
from dstore.system.environment import SystemClock, SystemRandom
from dstore.system.lock import DirectoryLock
from dstore.system.process import run_server, setup_logging
from dstore.system.side_port import Readiness, SidePort

DATABASE_NAME = "metadata.db"


def run(config: MasterConfig) -> int:
    """Run a master until it is told to stop; return the exit code."""
    setup_logging(config.log_level)
    return run_server(lambda stopping: _serve_locked(config, stopping))


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m dstore.master", description="Runs the master of a dstore cluster.")
    parser.add_argument("--dir", type=Path, required=True, help="directory of the metadata; made when missing")
    parser.add_argument("--listen", default="127.0.0.1:7600", help="host:port of the services")
    parser.add_argument("--http-listen", default="127.0.0.1:7601", help="host:port of metrics and probes")
    parser.add_argument("--replicas", type=int, default=REPLICAS_DEFAULT, help="copies of each chunk (new cluster)")
    parser.add_argument(
        "--min-replicas", type=int, default=MIN_REPLICAS_DEFAULT, help="durable copies before a write is acknowledged"
    )
    parser.add_argument(
        "--chunk-size", type=int, default=CHUNK_SIZE_BYTES_DEFAULT, help="plaintext bytes of a chunk (new cluster)"
    )
    parser.add_argument("--failure-domain", choices=FAILURE_DOMAINS, default="server", help="(new cluster)")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    arguments = parser.parse_args()
    return run(
        MasterConfig(
            directory=arguments.dir,
            listen=arguments.listen,
            http_listen=arguments.http_listen,
            replicas=arguments.replicas,
            min_replicas=arguments.min_replicas,
            chunk_size_bytes=arguments.chunk_size,
            failure_domain=arguments.failure_domain,
            log_level=arguments.log_level,
        )
    )


async def _serve_locked(config: MasterConfig, stopping: asyncio.Event) -> None:
    policy = config.policy()
    lock = DirectoryLock(_make_directory(config.directory), what="master")
    lock.acquire()
    try:
        clock = SystemClock()
        metrics = Metrics(clock, __version__)
        engine = await SqliteStore.open(str(config.directory / DATABASE_NAME), runner=ThreadRunner())
        store = MeasuredStore(engine, clock, metrics.observe_commit)
        try:
            master = await open_master(store, clock=clock, random=SystemRandom(), policy=policy, version=__version__)
            _sync_names(config.directory)
            await _serve(config, master, engine, metrics, stopping)
        finally:
            await store.close()
    finally:
        lock.release()


async def _serve(
    config: MasterConfig, master: Master, engine: SqliteStore, metrics: Metrics, stopping: asyncio.Event
) -> None:
    def readiness() -> Readiness:
        is_ready = not engine.failed and not stopping.is_set()
        return Readiness(is_ready, {"store": "failed" if engine.failed else "ok"})

    upkeep = Upkeep(master, show=metrics.show)
    await upkeep.step()
    server = RpcServer(config.listen, namespace=master.namespace, cluster=master.cluster, admin=master.admin)
    side_port = SidePort(config.http_listen, metrics=metrics.encode, readiness=readiness)
    async with contextlib.AsyncExitStack() as stack:
        address = await server.start()
        stack.push_async_callback(server.stop, STOP_GRACE_S)
        http_address = await side_port.start()
        stack.push_async_callback(side_port.stop)
        await server.set_ready(ready=True)
        _announce(address, http_address)
        await _until_stopped(upkeep, stopping)
        await server.set_ready(ready=False)


async def _until_stopped(upkeep: Upkeep, stopping: asyncio.Event) -> None:
    """Wait for the signal; an upkeep that ends by itself means that the store failed, and raises."""
    working = asyncio.create_task(upkeep.run(), name="upkeep")
    waiting = asyncio.create_task(stopping.wait(), name="stopping")
    try:
        await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            await working
    finally:
        for task in (working, waiting):
            task.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)


def _make_directory(directory: Path) -> Path:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise NotReady(
            f"{directory} cannot be used for metadata ({error.strerror}); choose another directory with --dir.",
            reason="DIRECTORY_UNUSABLE",
            metadata={"path": str(directory)},
        ) from error
    return directory


def _sync_names(directory: Path) -> None:
    """Make the names of a new directory and of the files in it durable, as SQLite does for what is in the files."""
    for path in (directory, directory.parent):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _announce(address: str, http_address: str) -> None:
    line = {"event": "ready", "role": "master", "address": address, "http_address": http_address, "pid": os.getpid()}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
