"""Turns whatever is raised below a servicer into its gRPC status."""

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from dstore.core.errors import DstoreError, Internal, InvalidRequest
from dstore.rpc import status
from dstore.rpc.call_metrics import Begin, CallMetrics

_log = logging.getLogger(__name__)


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Ends a call with the status of the ``DstoreError`` that its handler raised.

    Any other exception is a defect: the caller gets INTERNAL without its text, which might hold data; the log gets
    the traceback. Requests are decoded here, because gRPC would take one that cannot be decoded for a defect.

    Calls are counted here too: a wrapper more around a stream would cost time for each of its frames.

    Args:
        calls: counts and times them; None counts nothing.
    """

    def __init__(self, calls: CallMetrics | None = None) -> None:
        self._calls = calls
        # By method, the server's handler and what it became: it is the same for every call, and there are few methods.
        self._wrapped: dict[str, tuple[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            if self._calls is not None:
                self._calls.count_unknown()
            return handler
        known = self._wrapped.get(handler_call_details.method)
        if known is None or known[0] is not handler:
            begin = self._begin_of(handler_call_details.method, handler)
            known = self._wrapped[handler_call_details.method] = handler, _wrap(handler, begin)
        return known[1]

    def _begin_of(self, method: str, handler: Any) -> Begin:
        if self._calls is None:
            return lambda context: None
        return self._calls.method(
            method, request_streaming=handler.request_streaming, response_streaming=handler.response_streaming
        )


def _wrap(handler: Any, begin: Begin) -> Any:
    """Return the handler with bytes for requests, with errors as statuses, and with ``begin`` before it."""
    kind = f"{'stream' if handler.request_streaming else 'unary'}_" + (
        "stream" if handler.response_streaming else "unary"
    )
    wrap = _streaming if handler.response_streaming else _unary
    return handler._replace(
        request_deserializer=None, **{kind: wrap(_decoding(getattr(handler, kind), handler), begin)}
    )


def _decoding(method: Callable[..., Any], handler: Any) -> Callable[..., Any]:
    """Return ``method`` for requests as they come from the wire."""
    deserialize = handler.request_deserializer
    if deserialize is None:
        return method
    if handler.request_streaming:
        return lambda requests, context: method((_decoded(deserialize, raw) async for raw in requests), context)
    return lambda raw, context: method(_decoded(deserialize, raw), context)


def _decoded(deserialize: Callable[[bytes], Any], raw: bytes) -> Any:
    try:
        return deserialize(raw)
    except DecodeError as error:
        raise InvalidRequest(
            f"The request cannot be read: {error}. Texts must be UTF-8, and the message laid out as protos/dstore/v1 "
            "says.",
            reason="MESSAGE_INVALID",
        ) from None


def _unary(method: Callable[..., Awaitable[Any]], begin: Begin) -> Callable[..., Awaitable[Any]]:
    async def wrapped(request: Any, context: Any) -> Any:
        begin(context)
        try:
            return await method(request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge: a defect becomes INTERNAL, with its traceback logged
            await context.abort_with_status(status.to_status(_translated(error)))

    return wrapped


def _streaming(method: Callable[..., Any], begin: Begin) -> Callable[..., AsyncIterator[Any]]:
    async def wrapped(request: Any, context: Any) -> AsyncIterator[Any]:
        begin(context)
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
        except Exception as error:  # noqa: BLE001 - the edge, as above
            await context.abort_with_status(status.to_status(_translated(error)))

    return wrapped


def _translated(error: Exception) -> DstoreError:
    if isinstance(error, DstoreError):
        return error
    _log.error("A request failed through a defect.", exc_info=error)
    return Internal(
        f"The server failed with {type(error).__name__}, which is a defect of dstore; "
        "its log has the traceback. Please report it."
    )
