"""What a master tells Prometheus. Names and labels are part of the public surface."""

from collections.abc import Callable
from typing import TypeVar

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from dstore.core.environment import Clock
from dstore.core.groups import ServerPhase
from dstore.core.status import ClusterStatus, Health
from dstore.master.store.base import Store, Transaction

T = TypeVar("T")

_HEALTH = {Health.OK: 0, Health.WARN: 1, Health.ERROR: 2}
_COMMIT_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class Metrics:
    """The figures of one master, in a registry of its own."""

    def __init__(self, clock: Clock, version: str) -> None:
        self._clock = clock
        self._registry = CollectorRegistry()
        build = Gauge("dstore_build_info", "Always 1.", ["role", "version"], registry=self._registry)
        build.labels("master", version).set(1)
        self._health = self._gauge("dstore_health", "0 is HEALTH_OK, 1 HEALTH_WARN, 2 HEALTH_ERR.")
        self._files = self._gauge("dstore_files", "Files.")
        self._directories = self._gauge("dstore_directories", "Directories.")
        self._chunks = self._gauge("dstore_chunks", "Chunks of files.")
        self._under_replicated = self._gauge("dstore_chunks_under_replicated", "Chunks that lack copies.")
        self._unavailable = self._gauge("dstore_chunks_unavailable", "Chunks without any copy that can be read.")
        self._deleted = self._gauge("dstore_chunks_deleted", "Chunks that are given up and still take space.")
        self._logical = self._gauge("dstore_logical_bytes", "Plaintext of all files.")
        self._stored = self._gauge("dstore_stored_bytes", "Ciphertext of all files, with all copies.")
        self._writes = self._gauge("dstore_writes_in_progress", "Writes in progress.")
        self._node_up = Gauge("dstore_node_up", "1 while heartbeats arrive.", ["node"], registry=self._registry)
        self._node_seen = Gauge(
            "dstore_node_last_heartbeat_timestamp_seconds", "When it was heard last.", ["node"], registry=self._registry
        )
        self._node_fill = Gauge("dstore_node_fill_ratio", "Used share of its disk.", ["node"], registry=self._registry)
        self._node_out = Gauge(
            "dstore_node_out", "1 when its groups get other members.", ["node"], registry=self._registry
        )
        self._node_filling = Gauge(
            "dstore_node_groups_filling",
            "Placement groups that it is being filled with.",
            ["node"],
            registry=self._registry,
        )
        self._node_missing = Gauge(
            "dstore_node_chunks_missing", "Chunks that it should hold and does not.", ["node"], registry=self._registry
        )
        self._node_corrupt = Gauge(
            "dstore_node_chunks_corrupt", "Chunks on its disk that failed a check.", ["node"], registry=self._registry
        )
        self._per_node = (
            self._node_up,
            self._node_seen,
            self._node_fill,
            self._node_out,
            self._node_filling,
            self._node_missing,
            self._node_corrupt,
        )
        self._commits = Histogram(
            "dstore_metadata_commit_duration_seconds",
            "From asking for a metadata write to its durable commit.",
            registry=self._registry,
            buckets=_COMMIT_BUCKETS_S,
        )

    def show(self, status: ClusterStatus) -> None:
        """Take the figures over from a status."""
        self._health.set(_HEALTH[status.health])
        self._files.set(status.file_count)
        self._directories.set(status.directory_count)
        self._chunks.set(status.chunk_count)
        self._under_replicated.set(status.under_replicated_chunks)
        self._unavailable.set(status.unavailable_chunks)
        self._deleted.set(status.deleted_chunks)
        self._logical.set(status.logical_bytes)
        self._stored.set(status.stored_bytes)
        self._writes.set(status.writes_in_progress)
        now_s = self._clock.wall_ns() / 1e9
        # Servers that were removed are not told of any more.
        for gauge in self._per_node:
            gauge.clear()
        for server in status.servers:
            self._node_out.labels(server.name).set(server.phase is ServerPhase.OUT)
            self._node_filling.labels(server.name).set(server.filling_count)
            self._node_missing.labels(server.name).set(server.missing_chunk_count)
            self._node_corrupt.labels(server.name).set(server.corrupt_chunk_count)
            self._node_up.labels(server.name).set(server.phase is ServerPhase.UP)
            self._node_fill.labels(server.name).set(server.capacity.fill)
            if server.last_heartbeat_age_s is not None:
                self._node_seen.labels(server.name).set(now_s - server.last_heartbeat_age_s)

    def observe_commit(self, duration_s: float) -> None:
        """Count one metadata write."""
        self._commits.observe(duration_s)

    def encode(self) -> bytes:
        """Return everything in the text format."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self._registry)


class MeasuredStore:
    """A ``Store`` that reports how long writes take; all else is left to the store inside."""

    def __init__(self, inner: Store, clock: Clock, observe: Callable[[float], None]) -> None:
        self._inner = inner
        self._clock = clock
        self._observe = observe

    async def read(self, fn: Callable[[Transaction], T], *, is_short: bool = False) -> T:
        """As the store inside."""
        return await self._inner.read(fn, is_short=is_short)

    async def write(self, fn: Callable[[Transaction], T]) -> T:
        """As the store inside."""
        started_s = self._clock.monotonic_s()
        result = await self._inner.write(fn)
        self._observe(self._clock.monotonic_s() - started_s)
        return result

    async def close(self) -> None:
        """As the store inside."""
        await self._inner.close()
