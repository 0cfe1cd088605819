"""Turns whatever is raised below a servicer into its gRPC status."""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from dstore.core import tracing
from dstore.core.environment import Clock
from dstore.core.errors import DstoreError, Internal, InvalidRequest
from dstore.rpc import status
from dstore.rpc.call_log import CallLog
from dstore.rpc.call_metrics import Begin, CallMetrics
from dstore.rpc.request_metadata import bind_incoming

_log = logging.getLogger(__name__)


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Ends a call with the status of the ``DstoreError`` that its handler raised.

    Any other exception is a defect: the caller gets INTERNAL without its text, which might hold data; the log gets
    the traceback. Requests are decoded here, because gRPC would take one that cannot be decoded for a defect.

    Calls are counted here too: a wrapper more around a stream would cost time for each of its frames.

    Args:
        calls: counts and times them; None counts nothing.
        clock: times them for the log; None logs nothing but defects.
    """

    def __init__(self, calls: CallMetrics | None = None, clock: Clock | None = None) -> None:
        self._calls = calls
        self._clock = clock
        # By method, the server's handler and what it became: it is the same for every call, and there are few methods.
        self._wrapped: dict[str, tuple[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        # Here, because the metadata are at hand; the handler runs in this very task.
        bind_incoming(handler_call_details.invocation_metadata)
        handler = await continuation(handler_call_details)
        if handler is None:
            if self._calls is not None:
                self._calls.count_unknown()
            return handler
        known = self._wrapped.get(handler_call_details.method)
        if known is None or known[0] is not handler:
            method = handler_call_details.method
            watch = _Watch(self._begin_of(method, handler), self._log_of(method, handler))
            known = self._wrapped[method] = handler, _wrap(handler, watch, method.removeprefix("/"))
        return known[1]

    def _begin_of(self, method: str, handler: Any) -> Begin:
        if self._calls is None:
            return lambda context: None
        return self._calls.method(
            method, request_streaming=handler.request_streaming, response_streaming=handler.response_streaming
        )

    def _log_of(self, method: str, handler: Any) -> CallLog | None:
        if self._clock is None:
            return None
        return CallLog(method, self._clock, is_stream=handler.request_streaming or handler.response_streaming)


class _Watch:
    """What goes along with the calls of one method: what is counted, what is logged."""

    __slots__ = ("_begin", "_log")

    def __init__(self, begin: Begin, log: CallLog | None) -> None:
        self._begin = begin
        self._log = log

    def begin(self, context: Any) -> float:
        """Count a call; return when it began."""
        self._begin(context)
        return self._log.now_s() if self._log is not None else 0.0

    def end(self, context: Any, started_s: float) -> None:
        """Note a call that was answered."""
        if self._log is not None:
            self._log.ended(context, started_s)

    def gone(self, context: Any, started_s: float) -> None:
        """Note a call whose caller went away."""
        if self._log is not None:
            self._log.gone(context, started_s)

    async def fail(self, context: Any, started_s: float, error: Exception) -> None:
        """End a call with an error; raises what ends its handler."""
        failure = _translated(error)
        if self._log is not None:
            self._log.failed(context, started_s, failure)
        await context.abort_with_status(status.to_status(failure))


def _wrap(handler: Any, watch: _Watch, name: str) -> Any:
    """Return the handler with bytes for requests, with errors as statuses, and watched."""
    kind = f"{'stream' if handler.request_streaming else 'unary'}_" + (
        "stream" if handler.response_streaming else "unary"
    )
    wrap = _streaming if handler.response_streaming else _unary
    return handler._replace(
        request_deserializer=None,
        **{kind: wrap(_traced(_decoding(getattr(handler, kind), handler), handler, name), watch)},
    )


def _decoding(method: Callable[..., Any], handler: Any) -> Callable[..., Any]:
    """Return ``method`` for requests as they come from the wire."""
    deserialize = handler.request_deserializer
    if deserialize is None:
        return method
    if handler.request_streaming:
        return lambda requests, context: method((_decoded(deserialize, raw) async for raw in requests), context)
    return lambda raw, context: method(_decoded(deserialize, raw), context)


def _traced(method: Callable[..., Any], handler: Any, name: str) -> Callable[..., Any]:
    """Return ``method`` with a span around it, in a process that traces; what only watches over it gets none."""
    tracer = tracing.tracer()
    if tracer is None or not name.startswith("dstore."):
        return method

    async def answer(request: Any, context: Any) -> Any:
        with tracer.span(name, "server"):
            return await method(request, context)

    async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
        with tracer.span(name, "server"):
            async for each in method(request, context):
                yield each

    return stream if handler.response_streaming else answer


def _decoded(deserialize: Callable[[bytes], Any], raw: bytes) -> Any:
    try:
        return deserialize(raw)
    except DecodeError as error:
        raise InvalidRequest(
            f"The request cannot be read: {error}. Texts must be UTF-8, and the message laid out as protos/dstore/v1 "
            "says.",
            reason="MESSAGE_INVALID",
        ) from None


def _unary(method: Callable[..., Awaitable[Any]], watch: _Watch) -> Callable[..., Awaitable[Any]]:
    async def wrapped(request: Any, context: Any) -> Any:
        started_s = watch.begin(context)
        try:
            answer = await method(request, context)
        except grpc.aio.AbortError:
            raise
        except asyncio.CancelledError:
            watch.gone(context, started_s)
            raise
        except Exception as error:  # noqa: BLE001 - the edge: a defect becomes INTERNAL, with its traceback logged
            await watch.fail(context, started_s, error)
        else:
            watch.end(context, started_s)
            return answer

    return wrapped


def _streaming(method: Callable[..., Any], watch: _Watch) -> Callable[..., AsyncIterator[Any]]:
    async def wrapped(request: Any, context: Any) -> AsyncIterator[Any]:
        started_s = watch.begin(context)
        try:
            responses = method(request, context)
            if inspect.isawaitable(responses):
                # The stock health service writes by itself.
                await responses
                return
            async for response in responses:
                yield response
        except grpc.aio.AbortError:
            raise
        except (asyncio.CancelledError, GeneratorExit):
            watch.gone(context, started_s)
            raise
        except Exception as error:  # noqa: BLE001 - the edge, as above
            await watch.fail(context, started_s, error)
        else:
            watch.end(context, started_s)

    return wrapped


def _translated(error: Exception) -> DstoreError:
    if isinstance(error, DstoreError):
        return error
    _log.error("A request failed through a defect.", exc_info=error)
    return Internal(
        f"The server failed with {type(error).__name__}, which is a defect of dstore; "
        "its log has the traceback. Please report it."
    )
