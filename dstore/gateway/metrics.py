"""What a gateway counts: for Prometheus (``/metrics``), and a few totals for its page (``/v1/gateway``)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from dstore import __version__
from dstore.core.environment import Clock
from dstore.system.build import commit

_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE"})
_GONE = "gone"
_FAILURE_STATUS_MIN = 500
#: From a small answer to an upload of many GiB.
_DURATION_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(slots=True)
class Totals:
    """Since the start of the process.

    Attributes:
        failures: requests that were answered with a status of 500 or more.
        received_bytes, sent_bytes: of bodies, files and all else; they grow while a transfer is under way.
    """

    requests: int = 0
    failures: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0


class HttpMetrics:
    """Counts requests. Labels are bounded: routes are patterns of the table, and no name is ever one.

    Attributes:
        registry: takes what the process counts beside this.
        request_count: those that are under way.
    """

    def __init__(self, clock: Clock) -> None:
        self.registry = CollectorRegistry()
        self.totals = Totals()
        self.request_count = 0
        self._clock = clock
        self._started_s = clock.monotonic_s()
        build = self._gauge("dstore_build_info", "Always 1; the labels tell what runs.", "version", "commit", "role")
        build.labels(__version__, commit(), "gateway").set(1)
        under_way = self._gauge("dstore_http_requests_in_progress", "Requests under way.")
        under_way.set_function(lambda: self.request_count)
        self._requests = Counter(
            "dstore_http_requests_total",
            "Requests that ended, by the pattern of their address and their status; gone when the client went away.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._durations = Histogram(
            "dstore_http_request_duration_seconds",
            "From the headers of a request to the end of its answer, whatever its size.",
            ("route", "method"),
            buckets=_DURATION_BUCKETS_S,
            registry=self.registry,
        )
        self._received = self._counter("dstore_http_received_bytes_total", "Bodies of requests.")
        self._sent = self._counter("dstore_http_sent_bytes_total", "Bodies of answers.")

    def watch_client(self, hedged_reads: Callable[[], Mapping[str, int]]) -> None:
        """Tell what the client of the gateway counts, which is asked when somebody scrapes."""
        self.registry.register(_ClientCounters(hedged_reads))

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self.registry)

    @property
    def uptime_s(self) -> float:
        """Seconds since this was made, which is when the process started."""
        return self._clock.monotonic_s() - self._started_s

    def begin(self) -> None:
        """Count a request that begins."""
        self.request_count += 1

    def receive(self, size_bytes: int) -> None:
        """Count a piece of the body of a request."""
        self.totals.received_bytes += size_bytes
        self._received.inc(size_bytes)

    def send(self, size_bytes: int) -> None:
        """Count a piece of the body of an answer."""
        self.totals.sent_bytes += size_bytes
        self._sent.inc(size_bytes)

    def end(self, *, method: str, route: str, status: int | None, is_gone: bool, duration_s: float) -> None:
        """Count a request that ended.

        Args:
            route: the pattern; ``-`` for an address that there is not.
            status: None when nothing was answered.
        """
        self.request_count -= 1
        self.totals.requests += 1
        if status is not None and status >= _FAILURE_STATUS_MIN:
            self.totals.failures += 1
        labels = (route, method if method in _METHODS else "other")
        self._requests.labels(*labels, _GONE if is_gone or status is None else str(status)).inc()
        self._durations.labels(*labels).observe(duration_s)

    def text(self) -> bytes:
        """Return all of it in the text format of Prometheus."""
        return generate_latest(self.registry)


class _ClientCounters(Collector):
    """What a client counts by itself, as metrics."""

    def __init__(self, hedged_reads: Callable[[], Mapping[str, int]]) -> None:
        self._hedged_reads = hedged_reads

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        reads = CounterMetricFamily(
            "dstore_client_hedged_reads",
            "Reads that were asked of a second replica as well, by who answered first.",
            labels=("winner",),
        )
        for winner, count in self._hedged_reads().items():
            reads.add_metric((winner,), count)
        yield reads
