"""Traces, as a collector of OpenTelemetry gets them from real processes: one request is one tree."""

import dataclasses
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cluster import LocalTestCluster, wait_until
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from test_gateway_with_curl import Gateway, running

TRACE_ID, CALLER_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
WRITE = "dstore.v1.ChunkService/WriteChunk"


@dataclass(frozen=True)
class Span:
    """What a collector was told of one span."""

    service: str
    node: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    request_id: str
    status: str


class Collector:
    """A collector of OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            own = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    given = {each.key: each.value.string_value for each in span.attributes}
                    self.spans.append(
                        Span(
                            own["service.name"],
                            own["service.instance.id"],
                            span.name,
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            given["dstore.request_id"],
                            span.status.message,
                        )
                    )

    def of_trace(self) -> list[Span]:
        return [span for span in self.spans if span.trace_id == TRACE_ID]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        thread.join()
        collector.server.server_close()


@pytest.fixture(scope="module")
def gateway(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway before a cluster, all of them traced."""
    cluster = LocalTestCluster(tmp_path_factory.mktemp("traced"), chunk_size_bytes=1024 * 1024)
    cluster.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{collector.server.server_port}"
    cluster.environ["OTEL_BSP_SCHEDULE_DELAY"] = "200"
    try:
        cluster.start()
        with running(cluster, tmp_path_factory.mktemp("gateway") / "log") as gateway:
            yield gateway
    finally:
        cluster.stop()


def test_a_put_is_one_tree_from_the_gateway_along_the_chain(
    gateway: Gateway, collector: Collector, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"x" * 300_000)
    parent = f"traceparent: 00-{TRACE_ID}-{CALLER_ID}-01"
    arguments = ("-H", parent, "-H", "X-Request-Id: traced", "-T", str(tmp_path / "secret"))
    assert gateway.curl(*arguments, f"{gateway.url}/v1/files/secret")[0] == 201

    def is_whole() -> bool:
        names = [span.name for span in collector.of_trace()]
        return names.count(WRITE) == 3 and "HTTP PUT" in names and any("CommitWrite" in name for name in names)

    wait_until(is_whole, what="all spans of the request came", timeout_s=60)
    spans = {span.span_id: span for span in collector.of_trace()}
    (request,) = [span for span in spans.values() if span.name == "HTTP PUT"]
    assert (request.service, request.parent_id) == ("dstore-gateway", CALLER_ID)

    def path(span: Span) -> list[str]:
        above = spans.get(span.parent_id)
        return [
            *(path(above) if above else []),
            f"{span.service} {span.node if 'chunk' in span.service else span.name}",
        ]

    # The client's operation, in the gateway, then the chain in its order.
    last = max((path(span) for span in spans.values() if span.name == WRITE), key=len)
    assert last[0] == "dstore-gateway HTTP PUT" and last[1].startswith("dstore-gateway dstore.")
    assert sorted(last[2:]) == [f"dstore-chunkserver cs-{number}" for number in (1, 2, 3)]
    (commit,) = [span for span in spans.values() if span.name.endswith("/CommitWrite")]
    assert commit.service == "dstore-master" and path(commit)[0] == "dstore-gateway HTTP PUT"
    assert {span.request_id for span in spans.values()} == {"traced"}
    assert not any("secret" in value for span in spans.values() for value in dataclasses.astuple(span))


def test_an_error_is_told_by_its_reason(gateway: Gateway, collector: Collector) -> None:
    parent = f"traceparent: 00-{TRACE_ID}-{CALLER_ID}-01"
    assert gateway.curl("-H", parent, f"{gateway.url}/v1/files/none")[0] == 404
    wait_until(
        lambda: any(span.status == "FILE_NOT_FOUND" for span in collector.of_trace()), what="the span", timeout_s=60
    )


@pytest.mark.parametrize("off", [{}, {"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_nobody_pays_for_traces_that_nobody_wants(off: dict[str, str]) -> None:
    code = (
        "import sys, dstore\n"
        "from dstore.core import tracing\n"
        "dstore.connect_async('127.0.0.1:1')\n"
        "assert tracing.tracer() is None\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    environ = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **off}
    if off:
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1"
    subprocess.run([sys.executable, "-c", code], env=environ, check=True, timeout=60)
