"""What is counted about the calls of a gRPC server, by the names that dashboards of gRPC know.

All of it happens where a call begins and where it has ended, whatever it carries in between: frames cost nothing. The
labels are bounded by the methods that are served; a method that is not served is ``unknown``, whatever its name.
"""

from collections.abc import Callable
from typing import Any

import grpc
from prometheus_client import CollectorRegistry, Counter, Histogram

from dstore.core.environment import Clock

#: Is called with the context of a call when its handler begins.
Begin = Callable[[Any], None]

_UNKNOWN = "unknown"
_LABELS = ("grpc_type", "grpc_service", "grpc_method")
_DURATION_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_CODE_NAMES: dict[int, str] = {code.value[0]: code.name for code in grpc.StatusCode}


class CallMetrics:
    """Counts and times the calls of one server."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._clock = clock
        self._started = Counter("grpc_server_started_total", "Calls whose handler began.", _LABELS, registry=registry)
        self._handled = Counter(
            "grpc_server_handled_total",
            "Calls that ended, by the code of their status; CANCELLED when the client went away before.",
            (*_LABELS, "grpc_code"),
            registry=registry,
        )
        self._handling = Histogram(
            "grpc_server_handling_seconds",
            "From the beginning of the handler until the call ended; of streams too.",
            _LABELS,
            buckets=_DURATION_BUCKETS_S,
            registry=registry,
        )

    def method(self, path: str, *, request_streaming: bool, response_streaming: bool) -> Begin:
        """Return what the handler of the method ``/SERVICE/METHOD`` calls first; made once, used by every call."""
        service, _, method = path.removeprefix("/").partition("/")
        labels = (_type_name(request_streaming, response_streaming), service, method)
        started, handling = self._started.labels(*labels), self._handling.labels(*labels)
        handled: dict[str, Counter] = {}
        now_s = self._clock.monotonic_s

        def begin(context: Any) -> None:
            started.inc()
            start_s = now_s()

            def end(_: Any) -> None:
                handling.observe(now_s() - start_s)
                # A call that was cancelled ends without a status, and has no code, like one that went well.
                name = _code_name(context.code()) if context.done() else grpc.StatusCode.CANCELLED.name
                counter = handled.get(name)
                if counter is None:
                    counter = handled[name] = self._handled.labels(*labels, name)
                counter.inc()

            context.add_done_callback(end)

        return begin

    def count_unknown(self) -> None:
        """Count a call of a method that is not served."""
        labels = (_UNKNOWN, _UNKNOWN, _UNKNOWN)
        self._started.labels(*labels).inc()
        self._handled.labels(*labels, grpc.StatusCode.UNIMPLEMENTED.name).inc()


def _type_name(request_streaming: bool, response_streaming: bool) -> str:
    match request_streaming, response_streaming:
        case True, True:
            return "bidi_stream"
        case True, False:
            return "client_stream"
        case False, True:
            return "server_stream"
        case _:
            return "unary"


def _code_name(code: Any) -> str:
    """Return the name of a code as contexts give it: None when no handler set one, or a number."""
    if code is None:
        return grpc.StatusCode.OK.name
    return code.name if isinstance(code, grpc.StatusCode) else _CODE_NAMES.get(code, grpc.StatusCode.UNKNOWN.name)
