"""Distributed traces, for those who want them: where spans begin and end, whoever records them.

A process that traces says so once, with ``use``; in all others nothing of it costs anything. The position in a trace
travels in ``RequestContext.trace_parent``.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol


class Tracer(Protocol):
    """Records spans."""

    def span(self, name: str, kind: str, attributes: Mapping[str, str] | None = None) -> AbstractContextManager[None]:
        """Record the block, as a child of the span that ``current_request`` names, and as the parent of what it calls.

        Args:
            kind: "server" for the work on a call that came in, "client" for an operation.
        """


_tracers: list[Tracer] = []


def use(tracer: Tracer) -> None:
    """Record spans with ``tracer`` from now on; what serves calls must be made afterwards."""
    _tracers[:] = [tracer]


def tracer() -> Tracer | None:
    """Return what records spans; None when nothing does."""
    return _tracers[0] if _tracers else None
