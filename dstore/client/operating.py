"""Gives every operation of a client a request id, unless its caller gave one: to find it by in the logs of servers.

An error that an operation raises has the id as a note, which Python shows under its traceback.
"""

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar, ParamSpec, TypeVar

from dstore.core import tracing
from dstore.core.errors import DstoreError
from dstore.core.request_ids import RequestContext, bind, current_request, unbind

P = ParamSpec("P")
T = TypeVar("T")


class RequestIds:
    """Makes request ids: what tells this client from all others, and a number. ``prefix`` must be random."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._count = 0

    def next(self) -> RequestContext:
        """Return the context of a further operation."""
        self._count += 1
        return RequestContext(f"{self._prefix}-{self._count:x}")


class Identified:
    """A client whose verbs, those in ``OPERATIONS``, each have a request id.

    Attributes:
        request_ids: makes them.
    """

    OPERATIONS: ClassVar[tuple[str, ...]] = (
        "cluster",
        "describe",
        "get",
        "get_file",
        "get_many",
        "list_page",
        "list_removed_page",
        "make_directory",
        "open_read",
        "open_write",
        "put",
        "put_file",
        "put_many",
        "remove",
        "remove_many",
        "rename",
        "resolve",
        "restore",
        "stat",
        "stat_many",
        "status",
    )
    request_ids: RequestIds = RequestIds("client")

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in cls.OPERATIONS:
            if not hasattr(getattr(cls, name), "__wrapped__"):
                setattr(cls, name, _identified(getattr(cls, name)))


def _identified(verb: Callable[..., Awaitable[T]]) -> Callable[..., Coroutine[Any, Any, T]]:
    @functools.wraps(verb)
    async def operate(self: Identified, *args: Any, **named: Any) -> T:
        context = current_request()
        if context.request_id:
            token = None
        else:
            context = self.request_ids.next()
            token = bind(context)
        try:
            tracer = tracing.tracer()
            if tracer is None:
                return await verb(self, *args, **named)
            with tracer.span(f"dstore.{verb.__name__}", "client"):
                return await verb(self, *args, **named)
        except DstoreError as error:
            _note(error, context)
            raise
        finally:
            if token is not None:
                unbind(token)

    return operate


def _note(error: DstoreError, context: RequestContext) -> None:
    note = f"request id {context.request_id}"
    # One verb may call another.
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)


def as_opened(method: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Make a method of an open file a part of the operation that opened it, unless its caller names another."""

    @functools.wraps(method)
    async def go_on(*args: P.args, **named: P.kwargs) -> T:
        file: Any = args[0]
        opened: RequestContext = file._request
        if current_request().request_id not in ("", opened.request_id):
            return await method(*args, **named)
        token = bind(opened)
        try:
            return await method(*args, **named)
        finally:
            unbind(token)

    return go_on
