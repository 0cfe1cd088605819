"""Which operation a piece of work belongs to: its request id stands in every log line, and travels with every call.

One operation of a client (``put``, ``get`` …) has one request id, however many calls it takes. It says nothing about
what may be repeated: the ``request_id`` in the messages of mutations, which makes them idempotent, is another thing,
and one operation may have several of those.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from dstore.core.errors import InvalidRequest
from dstore.core.ids import ChunkId

#: Of one call that was gathered from several operations: what is larger than a few KiB would not pass.
REQUEST_IDS_PER_CALL_MAX = 32
_ID = r"[A-Za-z0-9._:@/+=-]{1,128}"
_ONE = re.compile(_ID)
#: A call that was gathered from several operations has the ids of all, with commas between them.
_SEVERAL = re.compile(f"{_ID}(?:,{_ID}){{0,{REQUEST_IDS_PER_CALL_MAX - 1}}}")
#: W3C Trace Context, version 00.
_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What is known of the operation that the present work belongs to.

    Attributes:
        request_id: one id, or several with commas between them; empty when there is none.
        trace_parent: the position in a distributed trace, as W3C Trace Context writes it; empty when there is none.
        chunk: that the work is about.
        is_chosen: whether somebody chose the id, and will look for it, or it was made for want of one.
    """

    request_id: str = ""
    trace_parent: str = ""
    chunk: ChunkId | None = None
    is_chosen: bool = False


NO_REQUEST = RequestContext()
_current: ContextVar[RequestContext] = ContextVar("dstore_request", default=NO_REQUEST)

#: The context of the present work; a task has that of whoever made it.
current_request = _current.get
#: Set the context of the present task from now on; returns what ``unbind`` takes.
bind = _current.set
unbind = _current.reset


def is_request_id(text: str) -> bool:
    """Return whether ``text`` can be a request id: up to 128 letters, digits and characters of ``._:@/+=-``.

    No other character may come from outside into a log.
    """
    return _ONE.fullmatch(text) is not None


def received(request_id: str, trace_parent: str = "") -> RequestContext:
    """Return the context of a call that came in; what is malformed is left out."""
    return RequestContext(
        request_id if _SEVERAL.fullmatch(request_id) else "",
        trace_parent if _TRACE_PARENT.fullmatch(trace_parent) else "",
        is_chosen=True,
    )


def joined(contexts: Sequence[RequestContext]) -> RequestContext:
    """Return the context of one call for several operations: the ids that were chosen, as many as it can carry.

    Where none was chosen it has none: metadata make such calls, the shortest of all, a tenth dearer.
    """
    chosen = dict.fromkeys(context for context in contexts if context.is_chosen or context.trace_parent)
    if len(chosen) < 2:
        return next(iter(chosen), NO_REQUEST)
    request_ids = dict.fromkeys(context.request_id for context in chosen)
    return RequestContext(",".join([*request_ids][:REQUEST_IDS_PER_CALL_MAX]), is_chosen=True)


def bind_chunk(chunk_id: ChunkId) -> None:
    """Note which chunk the present task is about."""
    context = _current.get()
    _current.set(RequestContext(context.request_id, context.trace_parent, chunk_id, context.is_chosen))


@contextmanager
def bound(context: RequestContext) -> Iterator[None]:
    """Work in a context for the block."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


def chosen_request(text: str) -> RequestContext:
    """Return the context of operations whose id somebody chose.

    Raises:
        InvalidRequest: reason ``REQUEST_ID_INVALID``.
    """
    if not is_request_id(text):
        raise InvalidRequest(
            f"{text[:160]!r} cannot be a request id; use 1 to 128 letters, digits and characters of ._:@/+=-.",
            reason="REQUEST_ID_INVALID",
        )
    return RequestContext(text, is_chosen=True)


@contextmanager
def request_id(text: str) -> Iterator[str]:
    """Give an id to all operations of the block, to find them by in the logs of all servers; yields it.

    Raises:
        InvalidRequest: reason ``REQUEST_ID_INVALID``.
    """
    with bound(chosen_request(text)):
        yield text
