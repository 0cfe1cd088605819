"""The master as a process: joins the parts, starts them in order, stops them in reverse."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path

from dstore import __version__
from dstore.core.errors import NotReady
from dstore.core.limits import STOP_GRACE_S
from dstore.master.config import MasterConfig
from dstore.master.master import Master, open_master
from dstore.master.metrics import MeasuredStore, Metrics
from dstore.master.store.runner import ThreadRunner
from dstore.master.store.sqlite import SqliteStore
from dstore.master.upkeep import Upkeep
from dstore.rpc.call_metrics import CallMetrics
from dstore.rpc.channel import Connections
from dstore.rpc.server import RpcServer
from dstore.system.directories import make_directory
from dstore.system.environment import SystemClock, SystemRandom
from dstore.system.lock import DirectoryLock
from dstore.system.logs import setup_logging
from dstore.system.process import run_server
from dstore.system.process_metrics import ProcessMetrics
from dstore.system.side_port import Readiness, SidePort
from dstore.system.telemetry import start_exporting

DATABASE_NAME = "metadata.db"


def run(config: MasterConfig) -> None:
    """Run a master until it is told to stop.

    Raises:
        DstoreError: it cannot start, or its store failed.
    """
    setup_logging(config.log_level, config.log_format, role="master", node=config.listen)
    stop_tracing = start_exporting(os.environ, role="master", node=config.listen)
    try:
        run_server(lambda stopping: serve(config, stopping))
    finally:
        stop_tracing()


async def serve(config: MasterConfig, stopping: asyncio.Event) -> None:
    """Serve until ``stopping`` is set.

    Raises:
        DstoreError: as ``run``.
    """
    policy = config.policy()
    lock = DirectoryLock(_make_directory(config.directory), what="master")
    lock.acquire()
    try:
        clock = SystemClock()
        metrics = Metrics(clock, __version__)
        metrics.watch_log(lambda: _size_bytes(config.directory / f"{DATABASE_NAME}-wal"))
        engine = await SqliteStore.open(
            str(config.directory / DATABASE_NAME), runner=ThreadRunner(), has_quick_reads=True
        )
        store = MeasuredStore(engine, clock, metrics.observe_commit)
        connections = Connections()
        try:
            master = await open_master(
                store,
                clock=clock,
                random=SystemRandom(),
                policy=policy,
                version=__version__,
                upkeep=config.upkeep,
                peers=connections,
            )
            await _serve(config, master, engine, metrics, stopping)
        finally:
            await connections.close()
            await store.close()
    finally:
        lock.release()


async def _serve(
    config: MasterConfig, master: Master, engine: SqliteStore, metrics: Metrics, stopping: asyncio.Event
) -> None:
    def readiness() -> Readiness:
        is_ready = not engine.failed and not stopping.is_set()
        return Readiness(is_ready, {"store": "failed" if engine.failed else "ok"})

    upkeep = Upkeep(master, show=lambda status: metrics.show(status, is_leading=master.shared.leadership.is_leading))
    await upkeep.step()
    clock = SystemClock()
    own_metrics = ProcessMetrics(metrics.registry, clock)
    server = RpcServer(
        config.listen,
        namespace=master.namespace,
        cluster=master.cluster,
        admin=master.admin,
        calls=CallMetrics(metrics.registry, clock),
        clock=clock,
    )
    side_port = SidePort(config.http_listen, metrics=metrics.encode, readiness=readiness)
    async with contextlib.AsyncExitStack() as stack:
        address = await server.start()
        stack.push_async_callback(server.stop, STOP_GRACE_S)
        http_address = await side_port.start()
        stack.push_async_callback(side_port.stop)
        await server.set_ready(ready=True)
        _announce(address, http_address)
        await _until_stopped((upkeep.run(), master.audit.run(), own_metrics.run()), stopping)
        await server.set_ready(ready=False)
        await upkeep.release()


async def _until_stopped(work: Sequence[Coroutine[object, object, None]], stopping: asyncio.Event) -> None:
    """Wait for the signal; work that ends by itself means that the store failed, and raises."""
    working = [asyncio.create_task(each, name="upkeep") for each in work]
    waiting = asyncio.create_task(stopping.wait(), name="stopping")
    try:
        await asyncio.wait((*working, waiting), return_when=asyncio.FIRST_COMPLETED)
        for task in working:
            if task.done():
                await task
    finally:
        for each in (*working, waiting):
            each.cancel()
        await asyncio.gather(*working, waiting, return_exceptions=True)


def _size_bytes(path: Path) -> int:
    """Return the size of a file; 0 where there is none, as of a log that nothing was written to."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _make_directory(directory: Path) -> Path:
    try:
        make_directory(directory)
    except OSError as error:
        raise NotReady(
            f"{directory} cannot be used for metadata ({error.strerror}); choose another directory with --dir.",
            reason="DIRECTORY_UNUSABLE",
            metadata={"path": str(directory)},
        ) from error
    return directory


def _announce(address: str, http_address: str) -> None:
    line = {"event": "ready", "role": "master", "address": address, "http_address": http_address, "pid": os.getpid()}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
