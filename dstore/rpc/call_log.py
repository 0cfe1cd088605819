"""One line for each call of a server that failed or was slow; at debug, for every call.

Names, contents and keys do not belong into the log of a server, so an error is told by its reason, not by its message.
"""

import logging
from typing import Any

from dstore.core.environment import Clock
from dstore.core.errors import (
    CommitUnknown,
    Corrupt,
    DeadlineExceeded,
    DstoreError,
    Internal,
    LimitExceeded,
    NotReady,
    OutOfSpace,
    PermissionDenied,
    Unavailable,
)

#: From here on a call is worth a line: a heartbeat of the cluster is lost after as long, and a chunk of 16 MiB then
#: moves at half a MiB a second.
SLOW_CALL_S = 3.0
SLOW_STREAM_S = 30.0

_log = logging.getLogger("dstore.calls")

#: A server, a disk or the network may need somebody's attention.
_TROUBLE = (CommitUnknown, Corrupt, DeadlineExceeded, Internal, OutOfSpace, Unavailable)
#: Somebody may be misled about the state of the cluster, or asks for too much. All else is a caller's everyday life.
_REFUSAL = (LimitExceeded, NotReady, PermissionDenied)


class CallLog:
    """Writes of the calls of one method.

    Args:
        path: ``/package.Service/Method``.
        is_stream: it may rightly take long.
    """

    def __init__(self, path: str, clock: Clock, *, is_stream: bool) -> None:
        self.now_s = clock.monotonic_s
        self._method = path.removeprefix("/").removeprefix("dstore.v1.")
        # Those who watch the health of a server do so for long.
        self._slow_s = float("inf") if "grpc." in path else SLOW_STREAM_S if is_stream else SLOW_CALL_S

    def ended(self, context: Any, started_s: float) -> None:
        """Note a call that was answered."""
        duration_s = self.now_s() - started_s
        if duration_s >= self._slow_s:
            _log.warning("a call was slow", extra=self._fields(context, duration_s, "OK"))
        elif _log.isEnabledFor(logging.DEBUG):
            _log.debug("a call was answered", extra=self._fields(context, duration_s, "OK"))

    def failed(self, context: Any, started_s: float, error: DstoreError) -> None:
        """Note a call that ended with an error."""
        level = logging.DEBUG
        if isinstance(error, _TROUBLE):
            level = logging.WARNING
        elif isinstance(error, _REFUSAL):
            level = logging.INFO
        if _log.isEnabledFor(level):
            fields = self._fields(context, self.now_s() - started_s, error.reason)
            # Of a chain, the server that failed.
            fields["failed_server"] = error.metadata.get("server_address")
            _log.log(level, "a call failed", extra=fields)

    def gone(self, context: Any, started_s: float) -> None:
        """Note a call whose caller went away."""
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("a caller went away", extra=self._fields(context, self.now_s() - started_s, "CANCELLED"))

    def _fields(self, context: Any, duration_s: float, outcome: str) -> dict[str, object]:
        return {
            "method": self._method,
            "peer": context.peer(),
            "outcome": outcome,
            "duration_s": round(duration_s, 6),
        }
