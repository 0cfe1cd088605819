"""What every request passes: its id, who sends it, whether it may come from there, and what becomes of its errors."""

import contextlib
import logging
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dstore.core import tracing
from dstore.core.environment import Clock, Random
from dstore.core.errors import DstoreError, Internal, InvalidRequest, Unavailable
from dstore.core.request_ids import RequestContext, bound, is_request_id, received
from dstore.gateway.body import Disconnected
from dstore.gateway.exchange import Exchange
from dstore.gateway.hosts import HostRule
from dstore.gateway.limits import HEADERS_SIZE_BYTES_MAX, REQUESTS_MAX
from dstore.gateway.metrics import HttpMetrics
from dstore.gateway.statuses import error_body, headers_of, headers_too_large, status_of
from dstore.gateway.targets import decode_target

#: What machines and pages ask for every few seconds; when all is well, it is not worth a line.
_POLLED = frozenset({"/v1/cluster", "/v1/gateway", "/metrics", "/healthz", "/readyz"})
_log = logging.getLogger("dstore.gateway")


class Gate:
    """An ASGI application around another one, which finds its ``Exchange`` in ``scope["dstore"]``."""

    def __init__(self, inner: ASGIApp, *, hosts: HostRule, metrics: HttpMetrics, clock: Clock, random: Random) -> None:
        self._inner = inner
        self._hosts = hosts
        self._clock = clock
        self._random = random
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert scope["type"] == "http", "the server was told that there is nothing else"
        headers = Headers(scope=scope)
        exchange = scope["dstore"] = Exchange(request_id(headers, self._random))
        started_s = self._clock.monotonic_s()
        self._metrics.begin()
        try:
            with bound(received(exchange.request_id, headers.get("traceparent", ""))), _span(scope["method"]):
                await self._answer(scope, headers, self._counted(receive), self._named(send, exchange))
        finally:
            duration_s = self._clock.monotonic_s() - started_s
            self._metrics.end(
                method=scope["method"],
                route=exchange.route,
                status=exchange.status,
                is_gone=exchange.is_gone,
                duration_s=duration_s,
            )
            is_dull = exchange.route in _POLLED and exchange.status == 200
            level = logging.DEBUG if is_dull else logging.INFO
            if _log.isEnabledFor(level):
                what = "whoever asked went away" if exchange.is_gone else "a request was answered"
                _log.log(level, what, extra=_fields(scope, exchange, duration_s))

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["dstore"]
        try:
            async with exchange.resources:
                self._check(scope, headers)
                scope["path"] = decode_target(scope["raw_path"])
                await self._inner(scope, receive, send)
            return
        except Disconnected:
            exchange.is_gone = True
            return
        except DstoreError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - the edge: a defect becomes 500, with its traceback in the log
            _log.error("a request met a defect", exc_info=error)
            failure = Internal(
                f"The gateway met a defect; report it with the request id {exchange.request_id}, under which its log "
                "says more."
            )
        if exchange.status is None:
            await send_error(send, failure, exchange.request_id)
        else:
            # Too late for a status: the server ends the connection, and the answer is visibly incomplete.
            _log.warning("an answer broke off: %s", failure.reason)

    def _check(self, scope: Scope, headers: Headers) -> None:
        if self._metrics.request_count > REQUESTS_MAX:
            raise Unavailable(
                f"The gateway has {REQUESTS_MAX} requests under way; try again in a moment.",
                reason="GATEWAY_BUSY",
            )
        size_bytes = len(scope["raw_path"]) + len(scope["query_string"])
        size_bytes += sum(len(name) + len(value) for name, value in headers.raw)
        if size_bytes > HEADERS_SIZE_BYTES_MAX:
            # The connection's own limit is for headers that do not come at once.
            raise headers_too_large()
        if "transfer-encoding" in headers and "content-length" in headers:
            # Whoever stands in front may have understood the other one.
            raise InvalidRequest(
                "The request has both Content-Length and Transfer-Encoding; send one of them.",
                reason="LENGTH_AMBIGUOUS",
            )
        self._hosts.check(headers, is_page=scope["method"] == "GET" and scope["raw_path"] == b"/")

    def _counted(self, receive: Receive) -> Receive:
        """Return a ``receive`` that counts what comes."""

        async def receive_counted() -> Message:
            message = await receive()
            self._metrics.receive(len(message.get("body", b"")))
            return message

        return receive_counted

    def _named(self, send: Send, exchange: Exchange) -> Send:
        """Return a ``send`` that gives every answer the id of its request, and counts what is sent."""

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = exchange.request_id
                headers["X-Content-Type-Options"] = "nosniff"
            else:
                self._metrics.send(len(message.get("body", b"")))
            await send(message)

        return send_named


def _span(method: str) -> contextlib.AbstractContextManager[None]:
    """Return what records the request, in a gateway that traces; addresses have names in them, and are left out."""
    tracer = tracing.tracer()
    return contextlib.nullcontext() if tracer is None else tracer.span(f"HTTP {method}", "server")


def _fields(scope: Scope, exchange: Exchange, duration_s: float) -> dict[str, object]:
    return {
        "http_method": scope["method"],
        "route": exchange.route,
        "status": exchange.status,
        "outcome": _outcome(exchange),
        "duration_s": round(duration_s, 6),
        "identity": exchange.identity.name,
        "request": RequestContext(exchange.request_id),
    }


def _outcome(exchange: Exchange) -> str:
    status = "" if exchange.status is None else str(exchange.status)
    return f"{status} gone".lstrip() if exchange.is_gone or not status else status


def request_id(headers: Headers, random: Random) -> str:
    """Return the ``X-Request-Id`` of a request if it is well formed, else a new one."""
    given = headers.get("x-request-id", "")
    return given if is_request_id(given) else random.uuid()


async def send_error(send: Callable[[Message], Awaitable[None]], error: DstoreError, request_id: str) -> None:
    """Answer with an error."""
    body = error_body(error, request_id)
    message: Message = {"type": "http.response.start", "status": status_of(error), "headers": []}
    headers = MutableHeaders(scope=message)
    headers["Content-Type"] = "application/json"
    headers["Content-Length"] = str(len(body))
    for name, value in headers_of(error).items():
        headers[name] = value
    await send(message)
    await send({"type": "http.response.body", "body": body})
