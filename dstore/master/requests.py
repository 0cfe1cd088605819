"""Mutations take effect once: the answer is stored with the effect, in one transaction (Invariant 4)."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from dstore.core.errors import InvalidRequest
from dstore.core.ids import RequestId
from dstore.core.limits import REQUEST_ID_SIZE_BYTES_MAX, REQUEST_RETENTION_S
from dstore.master import codec, counters
from dstore.master.store.base import Transaction

T = TypeVar("T")

#: Answers carry the period in which they were stored; a period ends after this much running time.
PERIOD_DURATION_S = 3600.0
#: Whole periods that an answer is kept; one more than the retention has, since it may come at a period's very
#: end.
PERIODS_KEPT = int(REQUEST_RETENTION_S / PERIOD_DURATION_S) + 1


@dataclass(frozen=True, slots=True)
class Request:
    """A mutation that a client asks for: its id, and a digest of what it asks."""

    request_id: RequestId
    method: str
    fingerprint: bytes


def describe(request_id: RequestId, method: str, *content: object) -> Request:
    """Return the identity of a call. ``content`` must be plain values whose ``repr`` says all that they are.

    Raises:
        InvalidRequest: reason ``REQUEST_ID_INVALID``.
    """
    if not 1 <= len(request_id.encode(errors="replace")) <= REQUEST_ID_SIZE_BYTES_MAX or "\0" in request_id:
        raise InvalidRequest(
            f"The request id {request_id[:80]!r} is empty, longer than {REQUEST_ID_SIZE_BYTES_MAX} bytes, or "
            "not text; send a uuid.",
            reason="REQUEST_ID_INVALID",
        )
    return Request(request_id, method, hashlib.sha256(repr((method, content)).encode(errors="replace")).digest())


def once(tx: Transaction, request: Request, kind: type[T], fn: Callable[[], T]) -> T:
    """Return the stored answer of ``request``, or else run ``fn`` and store what it returns.

    An error of ``fn`` undoes the transaction and is not stored: the call may be tried again under the same
    id.

    Raises:
        InvalidRequest: reason ``REQUEST_ID_REUSED``, when the id came with other content before.
    """
    stored = tx.execute(
        "SELECT method, fingerprint, response FROM requests WHERE request_id = ?", (request.request_id,)
    )
    if stored:
        method, fingerprint, response = stored[0]
        if (method, fingerprint) != (request.method, request.fingerprint):
            raise InvalidRequest(
                f"The request id {request.request_id} was used before, by another call ({method}); send a "
                "fresh uuid with every new call.",
                reason="REQUEST_ID_REUSED",
                metadata={"request_id": request.request_id, "method": method},
            )
        return codec.decode(kind, response)
    result = fn()
    tx.execute(
        "INSERT INTO requests (request_id, method, fingerprint, response, period) "
        "SELECT ?, ?, ?, ?, value FROM counters WHERE name = 'request_period'",
        (request.request_id, request.method, request.fingerprint, codec.encode(result)),
    )
    return result


def end_period(tx: Transaction) -> None:
    """Start the next period and forget the answers that are past their retention."""
    period = counters.add(tx, "request_period", 1)
    tx.execute("DELETE FROM requests WHERE period < ?", (period - PERIODS_KEPT,))
