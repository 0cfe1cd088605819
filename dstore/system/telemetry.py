"""Traces by OpenTelemetry, for processes whose environment asks for them; its packages are imported only then.

The variables are the standard ones: ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``…_TRACES_ENDPOINT``) switches it on,
``OTEL_SDK_DISABLED=true`` and ``OTEL_TRACES_EXPORTER=none`` off; the exporter speaks OTLP over HTTP.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from dstore.core import tracing
from dstore.core.errors import DstoreError, InvalidRequest
from dstore.core.request_ids import bound, current_request

_SWITCHES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Return whether the environment asks for traces."""
    is_off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not is_off and any(environ.get(name) for name in _SWITCHES)


def start_exporting(environ: Mapping[str, str], *, role: str, node: str) -> Callable[[], None]:
    """Record spans and send them to a collector, if the environment asks for it; return what sends the last ones.

    Raises:
        InvalidRequest: reason ``OTEL_EXTRA_MISSING``.
    """
    if not is_wanted(environ):
        return _nothing
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise InvalidRequest(
            f"Traces are asked for ({' or '.join(_SWITCHES)} is set), but {error.name} is missing. Install it with "
            "`pip install 'dstore[otel]'`, or unset the variable.",
            reason="OTEL_EXTRA_MISSING",
            metadata={"missing": error.name or ""},
        ) from error
    own = {"service.name": environ.get("OTEL_SERVICE_NAME") or f"dstore-{role}", "service.instance.id": node}
    provider = TracerProvider(resource=Resource.create(own), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracing.use(OtelTracer(provider.get_tracer("dstore")))
    return provider.shutdown


def use_that_of_the_program(environ: Mapping[str, str]) -> None:
    """Record the spans of clients with what the program around them has set up for OpenTelemetry, if it uses it."""
    if tracing.tracer() is not None or not is_wanted(environ):
        return
    try:
        from opentelemetry import trace
    except ModuleNotFoundError:
        # The variables are for others in this process.
        return
    tracing.use(OtelTracer(trace.get_tracer("dstore")))


class OtelTracer:
    """A ``Tracer`` over one of OpenTelemetry. The names of files are never told; an error is told by its reason."""

    def __init__(self, tracer: Any) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = tracer
        self._extract = TraceContextTextMapPropagator().extract
        self._kinds = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT}
        self._failed: Callable[[str], Any] = lambda reason: Status(StatusCode.ERROR, reason)

    @contextmanager
    def span(self, name: str, kind: str, attributes: Mapping[str, str] | None = None) -> Iterator[None]:
        """See ``Tracer.span``."""
        request = current_request()
        # Without a parent in the call, it is what the program around a client is doing.
        parent = self._extract({"traceparent": request.trace_parent}) if request.trace_parent else None
        own = {**(attributes or {}), "dstore.request_id": request.request_id}
        span = self._tracer.start_span(name, context=parent, kind=self._kinds[kind], attributes=own)
        at = span.get_span_context()
        position = f"00-{at.trace_id:032x}-{at.span_id:016x}-{int(at.trace_flags):02x}"
        try:
            with bound(replace(request, trace_parent=position if at.is_valid else request.trace_parent)):
                yield
        except BaseException as error:
            reason = error.reason if isinstance(error, DstoreError) else type(error).__name__
            span.set_status(self._failed(reason))
            raise
        finally:
            span.end()


def _nothing() -> None:
    """Send nothing."""
