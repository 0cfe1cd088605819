"""What a chunkserver counts, for Prometheus. Labels are bounded: never a chunk id, never a path."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from dstore import __version__
from dstore.core.environment import Clock
from dstore.core.errors import DstoreError
from dstore.core.upkeep import CopyReport, DiskProbe, ScrubReport
from dstore.system.build import commit

_DURATION_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Known from the start, so that the first one is an increase.
_SCRUB_ERRORS = ("corrupt", "lost", "unreadable")


class ChunkserverMetrics:
    """The metrics of one server, in a registry of their own.

    Attributes:
        registry: takes what the process counts beside this.
        read_bytes: ciphertext sent to readers; plain numbers, because heartbeats tell them too.
        write_bytes: ciphertext received from writers.
    """

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        build = Gauge(
            "dstore_build_info",
            "Always 1; the labels tell what runs.",
            ("version", "commit", "role"),
            registry=registry,
        )
        build.labels(__version__, commit(), "chunkserver").set(1)
        self.read_bytes = self.write_bytes = 0
        self._read_bytes = Counter("dstore_chunk_read_bytes_total", "Ciphertext sent to readers.", registry=registry)
        self._write_bytes = Counter(
            "dstore_chunk_write_bytes_total", "Ciphertext received from writers.", registry=registry
        )
        self.lent_chunks = Counter(
            "dstore_chunk_files_lent_total",
            "Open chunk files given to clients on the same machine, which read them unseen.",
            registry=registry,
        )
        self.operation_duration = Histogram(
            "dstore_chunk_operation_duration_seconds",
            "Duration of whole operations, failed ones too.",
            ("op",),
            buckets=_DURATION_BUCKETS_S,
            registry=registry,
        )
        self.read_duration = self.operation_duration.labels("read")
        self.operation_failures = Counter(
            "dstore_chunk_operation_failures_total", "Operations that failed.", ("op", "reason"), registry=registry
        )
        self.streams = Gauge("dstore_chunk_streams", "Streams under way.", ("op",), registry=registry)
        self.disk_capacity_bytes = Gauge("dstore_disk_capacity_bytes", "Size of the disk.", registry=registry)
        self.disk_used_bytes = Gauge(
            "dstore_disk_used_bytes", "Used bytes of the disk, whoever uses them.", registry=registry
        )
        self.disk_suspect = Gauge(
            "dstore_disk_suspect", "1 when the disk failed and takes no writes.", registry=registry
        )
        self.chunks = Gauge("dstore_disk_chunks", "Chunks on the disk, damaged ones too.", registry=registry)
        self.corrupt_chunks = Gauge(
            "dstore_corrupt_chunks", "Chunks that failed a check and are not served.", registry=registry
        )
        self.unsynced_chunks = Gauge(
            "dstore_unsynced_chunks", "Chunks acknowledged as replicated and not synced yet.", registry=registry
        )
        self.unsynced_bytes = Gauge("dstore_unsynced_bytes", "Ciphertext of these.", registry=registry)
        self._add_upkeep(registry)

    def _add_upkeep(self, registry: CollectorRegistry) -> None:
        self.copied_chunks = Counter("dstore_copied_chunks_total", "Chunks copied from peers.", registry=registry)
        self.copied_bytes = Counter("dstore_copied_bytes_total", "Ciphertext copied from peers.", registry=registry)
        self.pending_groups = Gauge("dstore_copy_pending_groups", "Groups that are being filled.", registry=registry)
        self.pending_chunks = Gauge(
            "dstore_copy_pending_chunks", "Chunks that are known to be lacking here.", registry=registry
        )
        self.scrubbed_bytes = Counter("dstore_scrub_bytes_total", "Ciphertext that the scrub read.", registry=registry)
        self.scrub_passes = Counter("dstore_scrub_passes_total", "Full passes of the scrub.", registry=registry)
        self.scrub_position = Gauge(
            "dstore_scrub_position_ratio", "Share of the present pass that is done.", registry=registry
        )
        self.scrub_errors = Counter(
            "dstore_scrub_errors_total",
            "Chunks that the scrub found damaged, lost or unreadable.",
            ("kind",),
            registry=registry,
        )
        for kind in _SCRUB_ERRORS:
            self.scrub_errors.labels(kind)
        self.trash_chunks = Gauge("dstore_trash_chunks", "Chunks in the trash.", registry=registry)
        self.probe_latency_s = Gauge(
            "dstore_disk_probe_seconds", "What the last small write and fsync took.", registry=registry
        )
        self.probe_pending_s = Gauge(
            "dstore_disk_probe_pending_seconds", "How long such a write is under way.", registry=registry
        )
        self._shown: dict[Counter, int] = {}

    def _show_totals(self, *totals: tuple[Counter, int]) -> None:
        for counter, total in totals:
            counter.inc(total - self._shown.get(counter, 0))
            self._shown[counter] = total

    def show_upkeep(self, *, copying: CopyReport, scrub: ScrubReport, probe: DiskProbe, trash_count: int) -> None:
        """Take over what the engines of upkeep report; their totals only grow."""
        self._show_totals(
            (self.copied_chunks, copying.copied_chunks),
            (self.copied_bytes, copying.copied_bytes),
            (self.scrubbed_bytes, scrub.checked_bytes),
            (self.scrub_passes, scrub.passes),
        )
        self.pending_groups.set(copying.pending_groups)
        self.pending_chunks.set(copying.pending_chunks)
        self.scrub_position.set(scrub.position)
        self.trash_chunks.set(trash_count)
        self.probe_latency_s.set(probe.latency_s)
        self.probe_pending_s.set(probe.pending_s)

    @contextmanager
    def operation(self, name: str, clock: Clock) -> Iterator[None]:
        """Time an operation, and count its failure."""
        start_s = clock.monotonic_s()
        try:
            yield
        except DstoreError as error:
            self.operation_failures.labels(name, error.reason).inc()
            raise
        finally:
            self.operation_duration.labels(name).observe(clock.monotonic_s() - start_s)

    def count_scrub_error(self, kind: str) -> None:
        """Count a chunk that the scrub could not check, or that failed the check."""
        assert kind in _SCRUB_ERRORS, kind
        self.scrub_errors.labels(kind).inc()

    def render(self) -> bytes:
        """Return the text that Prometheus reads."""
        self._show_totals((self._read_bytes, self.read_bytes), (self._write_bytes, self.write_bytes))
        return generate_latest(self.registry)
