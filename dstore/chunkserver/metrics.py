"""What a chunkserver counts, for Prometheus. Labels are bounded: never a chunk id, never a path."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from dstore import __version__

_DURATION_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class ChunkserverMetrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        build = Gauge(
            "dstore_build_info", "Always 1; the labels tell what runs.", ("version", "role"), registry=registry
        )
        build.labels(__version__, "chunkserver").set(1)
        self.read_bytes = Counter("dstore_chunk_read_bytes_total", "Ciphertext sent to readers.", registry=registry)
        self.write_bytes = Counter(
            "dstore_chunk_write_bytes_total", "Ciphertext received from writers.", registry=registry
        )
        self.operation_duration = Histogram(
            "dstore_chunk_operation_duration_seconds",
            "Duration of whole operations, failed ones too.",
            ("op",),
            buckets=_DURATION_BUCKETS_S,
            registry=registry,
        )
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
        self.chunks = Gauge("dstore_chunks", "Chunks on the disk.", registry=registry)
        self.corrupt_chunks = Gauge(
            "dstore_corrupt_chunks", "Chunks that failed a check and are not served.", registry=registry
        )

    def render(self) -> bytes:
        """Return the text that Prometheus reads."""
        return generate_latest(self._registry)
