"""Runs a chunkserver: ``python -m dstore.chunkserver --dir DIRECTORY --master HOST:PORT --name NAME``."""

import asyncio
import contextlib
import errno
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Coroutine

from dstore import __version__
from dstore.chunkserver.config import ChunkserverConfig
from dstore.chunkserver.disk import LocalDisk
from dstore.chunkserver.local_socket import LocalSocket
from dstore.chunkserver.server import Chunkserver
from dstore.core.errors import DstoreError, Unavailable
from dstore.core.groups import ServerLabels
from dstore.core.limits import HEARTBEAT_INTERVAL_S, STOP_GRACE_S
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

#: Whoever starts the server can set these right, and is told how where the command ends.
_NOT_OF_THE_DISK = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT})

_log = logging.getLogger("dstore.chunkserver")


def run(config: ChunkserverConfig) -> None:
    """Run until SIGTERM or SIGINT, or until the master refuses this server.

    Raises:
        DstoreError: it cannot start, or the master refuses it.
    """
    setup_logging(config.log_level, config.log_format, role="chunkserver", node=config.name)
    stop_tracing = start_exporting(os.environ, role="chunkserver", node=config.name)
    try:
        run_server(lambda stopping: _Process(config).run(stopping))
    finally:
        stop_tracing()


class _Process:
    """Joins the parts, starts them in order, stops them in reverse."""

    def __init__(self, config: ChunkserverConfig) -> None:
        self._config = config

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until ``stopping`` is set.

        Raises:
            DstoreError: it cannot start, or the master refuses it.
        """
        config = self._config
        config.check()
        async with contextlib.AsyncExitStack() as stack:
            connections = Connections()
            stack.push_async_callback(connections.close)
            chunkserver = await self._open(stack, connections)
            stack.push_async_callback(chunkserver.close)
            registry, clock = chunkserver.metrics.registry, SystemClock()
            own_metrics = ProcessMetrics(registry, clock)
            rpc = RpcServer(config.listen, chunks=chunkserver.chunks, calls=CallMetrics(registry, clock), clock=clock)
            address = await rpc.start()
            stack.push_async_callback(rpc.stop, STOP_GRACE_S)
            local = LocalSocket(
                chunkserver.chunks,
                lambda: chunkserver.store.identity,
                allowed=config.local_reads,
                own_uid=os.geteuid(),
            )
            stack.push_async_callback(local.stop)
            await local.start()
            side_port = SidePort(
                config.http_listen, metrics=chunkserver.render_metrics, readiness=lambda: _readiness(chunkserver)
            )
            http_address = await side_port.start()
            stack.push_async_callback(side_port.stop)
            identity = chunkserver.identity(
                address=config.advertise or address,
                http_address=http_address,
                labels=ServerLabels(host=config.host, rack=config.rack),
                version=__version__,
            )
            cluster = connections.connection(config.master).cluster
            _print_ready(address, http_address)
            async with (
                _background(chunkserver.run(cluster, identity)) as member,
                _background(_watch(rpc, chunkserver)) as watch,
                _background(own_metrics.run()),
            ):
                stop = asyncio.create_task(stopping.wait())
                done, _ = await asyncio.wait((stop, member, watch), return_when=asyncio.FIRST_COMPLETED)
                stop.cancel()
                for task in done:
                    task.result()
            _log.info("stopping: no new calls, %.0f s for those under way", STOP_GRACE_S)

    async def _open(self, stack: contextlib.AsyncExitStack, connections: Connections) -> Chunkserver:
        try:
            return await self._open_directory(stack, connections)
        except DstoreError:
            raise
        except OSError as error:
            if error.errno in _NOT_OF_THE_DISK:
                raise
            raise _cannot_open(error, self._config) from error

    async def _open_directory(self, stack: contextlib.AsyncExitStack, connections: Connections) -> Chunkserver:
        directory = self._config.directory
        make_directory(directory)
        lock = DirectoryLock(directory, what="chunkserver")
        lock.acquire()
        stack.callback(lock.release)
        disk = LocalDisk(directory)
        stack.callback(disk.close)
        chunkserver = await Chunkserver.open(disk, SystemClock(), SystemRandom(), connections, name=self._config.name)
        store, recovery = chunkserver.store, chunkserver.store.recovery
        _log.info(
            "opened %s: server %s, %d chunks, %d unfinished files removed",
            directory,
            store.identity.server_id,
            store.chunk_count,
            recovery.removed_count,
        )
        if recovery.unknown_count:
            _log.warning(
                "%d unknown names are left alone, for example %s",
                recovery.unknown_count,
                ", ".join(recovery.unknown_paths[:5]),
            )
        return chunkserver


def _cannot_open(error: OSError, config: ChunkserverConfig) -> Unavailable:
    path, cause = str(error.filename or config.directory), error.strerror or str(error)
    return Unavailable(
        f"The chunkserver {config.name} cannot start, because {path} cannot be used: {cause}. Look at the disk of "
        f"{config.directory}. If it is broken, start a chunkserver of another name with an empty directory on another "
        "disk: the cluster copies there what other servers hold.",
        reason="DISK_FAILED",
        metadata={"path": path, "cause": cause},
    )


async def _watch(rpc: RpcServer, chunkserver: Chunkserver) -> None:
    """Keep the health service and the gauges up to date."""
    while True:
        is_ready = _readiness(chunkserver).ready
        await rpc.set_ready(ready=is_ready)
        # A disk that cannot even tell its size shows in the readiness; the gauges keep their last values.
        with contextlib.suppress(DstoreError):
            await chunkserver.chunks.refresh_metrics()
        await asyncio.sleep(HEARTBEAT_INTERVAL_S if is_ready else HEARTBEAT_INTERVAL_S / 4)


def _readiness(chunkserver: Chunkserver) -> Readiness:
    joined, suspicion = chunkserver.registered, chunkserver.store.suspicion
    waiting = chunkserver.last_failure or "waiting for the master"
    return Readiness(
        ready=joined and chunkserver.store.is_reconciled and suspicion is None,
        checks={
            "cluster": "joined" if joined else f"not joined yet: {waiting}",
            "orders": "obeyed" if chunkserver.store.is_reconciled else f"not obeyed yet: {waiting}",
            "disk": suspicion or "good",
        },
    )


@contextlib.asynccontextmanager
async def _background(work: Coroutine[object, object, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run something beside the block, and end it with the block."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


def _print_ready(address: str, http_address: str) -> None:
    ready = {
        "event": "ready",
        "role": "chunkserver",
        "address": address,
        "http_address": http_address,
        "pid": os.getpid(),
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
