"""Runs a chunkserver: ``python -m dstore.chunkserver --dir DIRECTORY --master HOST:PORT --name NAME``."""

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Coroutine

from dstore import __version__
from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.config import ChunkserverConfig
from dstore.chunkserver.disk import LocalDisk
from dstore.chunkserver.heartbeat import Membership
from dstore.chunkserver.metrics import ChunkserverMetrics
from dstore.chunkserver.service import ChunkService
from dstore.core.errors import DstoreError
from dstore.core.groups import ServerIdentity, ServerLabels
from dstore.core.ids import BootId
from dstore.core.limits import HEARTBEAT_INTERVAL_S, STOP_GRACE_S
from dstore.rpc.channel import Connections
from dstore.rpc.server import RpcServer
from dstore.system.directories import make_directory
from dstore.system.environment import SystemClock, SystemRandom
from dstore.system.lock import DirectoryLock
from dstore.system.process import run_server, setup_logging
from dstore.system.side_port import Readiness, SidePort

_log = logging.getLogger("dstore.chunkserver")


def run(config: ChunkserverConfig) -> None:
    """Run until SIGTERM or SIGINT, or until the master refuses this server.

    Raises:
        DstoreError: it cannot start, or the master refuses it.
    """
    setup_logging(config.log_level)
    run_server(lambda stopping: _Process(config).run(stopping))


class _Process:
    """Joins the parts, starts them in order, stops them in reverse."""

    def __init__(self, config: ChunkserverConfig) -> None:
        self._config = config
        self._random = SystemRandom()
        self._metrics = ChunkserverMetrics()
        self._membership: Membership | None = None
        self._store: ChunkStore | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until ``stopping`` is set.

        Raises:
            DstoreError: it cannot start, or the master refuses it.
        """
        self._config.check()
        async with contextlib.AsyncExitStack() as stack:
            store = self._store = await self._open_store(stack)
            connections = Connections()
            stack.push_async_callback(connections.close)
            service = ChunkService(store, connections, SystemClock(), self._metrics)
            stack.push_async_callback(service.close)
            server = RpcServer(self._config.listen, chunks=service)
            address = await server.start()
            stack.push_async_callback(server.stop, STOP_GRACE_S)
            side_port = SidePort(self._config.http_listen, metrics=self._metrics.render, readiness=self._readiness)
            http_address = await side_port.start()
            stack.push_async_callback(side_port.stop)
            self._membership = Membership(
                connections.connection(self._config.master).cluster,
                store,
                self._random,
                self._identity(store, address, http_address),
                lambda: (service.write_streams, service.read_streams),
            )
            _print_ready(address, http_address)
            async with (
                _background(self._membership.run()) as membership,
                _background(self._watch(server, service)) as watch,
            ):
                stop = asyncio.create_task(stopping.wait())
                done, _ = await asyncio.wait((stop, membership, watch), return_when=asyncio.FIRST_COMPLETED)
                stop.cancel()
                for task in done:
                    task.result()
            _log.info("stopping: no new calls, %.0f s for those under way", STOP_GRACE_S)

    async def _open_store(self, stack: contextlib.AsyncExitStack) -> ChunkStore:
        directory = self._config.directory
        make_directory(directory)
        lock = DirectoryLock(directory, what="chunkserver")
        lock.acquire()
        stack.callback(lock.release)
        disk = LocalDisk(directory)
        stack.callback(disk.close)
        store = await ChunkStore.open(disk, self._random, name=self._config.name)
        recovery = store.recovery
        _log.info(
            "opened %s: server %s, %d chunks, %d unfinished files removed",
            directory,
            store.identity.server_id,
            recovery.chunk_count,
            recovery.removed_count,
        )
        if recovery.unknown_count:
            _log.warning(
                "%d unknown names are left alone, for example %s",
                recovery.unknown_count,
                ", ".join(recovery.unknown_paths[:5]),
            )
        return store

    def _identity(self, store: ChunkStore, address: str, http_address: str) -> ServerIdentity:
        return ServerIdentity(
            server_id=store.identity.server_id,
            cluster_id=store.identity.cluster_id,
            boot_id=BootId(self._random.uuid()),
            name=self._config.name,
            address=self._config.advertise or address,
            http_address=http_address,
            labels=ServerLabels(host=self._config.host, rack=self._config.rack),
            version=__version__,
        )

    async def _watch(self, server: RpcServer, service: ChunkService) -> None:
        """Keep the health service and the gauges up to date."""
        while True:
            await server.set_ready(ready=self._readiness().ready)
            # A disk that cannot even tell its size shows in the readiness; the gauges keep their last values.
            with contextlib.suppress(DstoreError):
                await service.refresh_metrics()
            await asyncio.sleep(HEARTBEAT_INTERVAL_S / 4 if not self._readiness().ready else HEARTBEAT_INTERVAL_S)

    def _readiness(self) -> Readiness:
        membership, store = self._membership, self._store
        joined = membership is not None and membership.registered
        waiting = membership.last_failure if membership is not None else None
        suspicion = store.suspicion if store is not None else None
        return Readiness(
            ready=joined and suspicion is None,
            checks={
                "cluster": "joined" if joined else f"not joined yet: {waiting or 'waiting for the master'}",
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
