"""The metadata of a call: to which operation it belongs."""

from collections.abc import Iterable

from dstore.core.request_ids import RequestContext, bind, current_request, received

REQUEST_ID_KEY = "x-dstore-request-id"
TRACE_PARENT_KEY = "traceparent"

Metadata = tuple[tuple[str, str], ...]


def outgoing() -> Metadata | None:
    """Return what the present work says of itself in its calls; None when it belongs to no operation."""
    return _metadata_of(current_request())


def outgoing_if_chosen() -> Metadata | None:
    """Return the same for the shortest calls, which metadata makes a tenth dearer: only what somebody will look for."""
    context = current_request()
    return _metadata_of(context) if context.is_chosen or context.trace_parent else None


def _metadata_of(context: RequestContext) -> Metadata | None:
    if context.trace_parent:
        parent = (TRACE_PARENT_KEY, context.trace_parent)
        return ((REQUEST_ID_KEY, context.request_id), parent) if context.request_id else (parent,)
    return ((REQUEST_ID_KEY, context.request_id),) if context.request_id else None


def bind_incoming(metadata: Iterable[tuple[str, str | bytes]] | None) -> None:
    """Let the present task, which handles one call, belong to the operation that its metadata names."""
    request_id = trace_parent = ""
    for key, value in metadata or ():
        if key == REQUEST_ID_KEY and isinstance(value, str):
            request_id = value
        elif key == TRACE_PARENT_KEY and isinstance(value, str):
            trace_parent = value
    if request_id or trace_parent:
        bind(received(request_id, trace_parent))
