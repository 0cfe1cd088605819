"""What a master tells Prometheus. Names and labels are part of the public surface."""

from collections.abc import Callable
from typing import TypeVar

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from dstore.core.environment import Clock
from dstore.core.groups import ServerPhase
from dstore.core.status import ClusterStatus, Health, ServerStatus
from dstore.master.store.base import Store, Transaction
from dstore.system.build import commit

T = TypeVar("T")

_HEALTH = {Health.OK: 0, Health.WARN: 1, Health.ERROR: 2}
_COMMIT_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class Metrics:
    """The figures of one master, in a registry of its own.

    Attributes:
        registry: takes what the process counts beside this.
    """

    def __init__(self, clock: Clock, version: str) -> None:
        self._clock = clock
        self.registry = CollectorRegistry()
        build = self._gauge("dstore_build_info", "Always 1; the labels tell what runs.", "version", "commit", "role")
        build.labels(version, commit(), "master").set(1)
        self._add_cluster()
        self._add_nodes()
        self._commits = Histogram(
            "dstore_metadata_commit_duration_seconds",
            "From asking for a metadata write to its durable commit.",
            registry=self.registry,
            buckets=_COMMIT_BUCKETS_S,
        )

    def watch_log(self, size_bytes: Callable[[], int]) -> None:
        """Tell the size of the database's write-ahead log, which is asked when somebody scrapes."""
        size = self._gauge(
            "dstore_metadata_wal_bytes", "Size of the write-ahead log of the metadata, which checkpoints empty."
        )
        size.set_function(size_bytes)

    def _add_cluster(self) -> None:
        self._leading = self._gauge("dstore_master_leading", "1 while this master runs the planners.")
        self._health = self._gauge("dstore_health", "0 is HEALTH_OK, 1 HEALTH_WARN, 2 HEALTH_ERR.")
        self._checks = self._gauge("dstore_health_check", "1 for each reason for a health that is not OK.", "code")
        self._files = self._gauge("dstore_files", "Files.")
        self._directories = self._gauge("dstore_directories", "Directories.")
        self._groups = self._gauge("dstore_groups", "Placement groups.")
        self._chunks = self._gauge(
            "dstore_chunks",
            "Chunks, each in one state: healthy; under_replicated, which lack copies; unavailable, without any copy "
            "that can be read; deleted, which are given up and still take space.",
            "state",
        )
        self._logical = self._gauge("dstore_logical_bytes", "Plaintext of all files.")
        self._stored = self._gauge("dstore_stored_bytes", "Ciphertext of all files, with all copies.")
        self._unsynced = self._gauge(
            "dstore_unsynced_copies", "Copies of chunks that were acknowledged and are not synced yet."
        )
        self._writes = self._gauge("dstore_writes_in_progress", "Writes in progress.")

    def _add_nodes(self) -> None:
        self._per_node: list[Gauge] = []

        def gauge(name: str, text: str) -> Gauge:
            self._per_node.append(self._gauge(f"dstore_node_{name}", text, "node"))
            return self._per_node[-1]

        self._node_up = gauge("up", "1 while heartbeats arrive.")
        self._node_seen = gauge("last_heartbeat_timestamp_seconds", "When it was heard last.")
        self._node_capacity = gauge("capacity_bytes", "Size of its disk.")
        self._node_used = gauge("used_bytes", "Used bytes of its disk, whoever uses them.")
        self._node_fill = gauge("fill_ratio", "Used share of its disk.")
        self._node_chunks = gauge("chunks", "Chunks on its disk.")
        self._node_out = gauge("out", "1 when its groups get other members.")
        self._node_filling = gauge("groups_filling", "Placement groups that it is being filled with.")
        self._node_missing = gauge("chunks_missing", "Chunks that it should hold and does not.")
        self._node_corrupt = gauge("chunks_corrupt", "Chunks on its disk that failed a check.")

    def show(self, status: ClusterStatus, *, is_leading: bool) -> None:
        """Take the figures over from a status."""
        self._leading.set(is_leading)
        self._health.set(_HEALTH[status.health])
        self._checks.clear()
        for check in status.checks:
            self._checks.labels(check.code).set(1)
        self._files.set(status.file_count)
        self._directories.set(status.directory_count)
        self._groups.set(status.group_count)
        self._show_chunks(status)
        self._logical.set(status.logical_bytes)
        self._stored.set(status.stored_bytes)
        self._unsynced.set(status.unsynced_copies)
        self._writes.set(status.writes_in_progress)
        self._show_nodes(status.servers)

    def _show_chunks(self, status: ClusterStatus) -> None:
        # A chunk without any copy lacks copies too; here it counts once, so that the states add up.
        lacking = max(status.under_replicated_chunks, status.unavailable_chunks)
        for state, count in (
            ("healthy", status.chunk_count - lacking),
            ("under_replicated", lacking - status.unavailable_chunks),
            ("unavailable", status.unavailable_chunks),
            ("deleted", status.deleted_chunks),
        ):
            self._chunks.labels(state).set(count)

    def _show_nodes(self, servers: tuple[ServerStatus, ...]) -> None:
        now_s = self._clock.wall_ns() / 1e9
        # Servers that were removed are not told of any more.
        for gauge in self._per_node:
            gauge.clear()
        for server in servers:
            name = server.name
            self._node_up.labels(name).set(server.phase is ServerPhase.UP)
            if server.last_heartbeat_age_s is not None:
                self._node_seen.labels(name).set(now_s - server.last_heartbeat_age_s)
            self._node_capacity.labels(name).set(server.capacity.total_bytes)
            self._node_used.labels(name).set(server.capacity.used_bytes)
            self._node_fill.labels(name).set(server.capacity.fill)
            self._node_chunks.labels(name).set(server.chunk_count)
            self._node_out.labels(name).set(server.phase is ServerPhase.OUT)
            self._node_filling.labels(name).set(server.filling_count)
            self._node_missing.labels(name).set(server.missing_chunk_count)
            self._node_corrupt.labels(name).set(server.corrupt_chunk_count)

    def observe_commit(self, duration_s: float) -> None:
        """Count one metadata write."""
        self._commits.observe(duration_s)

    def encode(self) -> bytes:
        """Return everything in the text format."""
        return generate_latest(self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)


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
