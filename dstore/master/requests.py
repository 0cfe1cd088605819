"""Mutations take effect once: the answer is stored with the effect, in one transaction (Invariant 4)."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from dstore.core.errors import InvalidRequest
from dstore.core.ids import RequestId
from dstore.core.limits import REQUEST_ID_SIZE_BYTES_MAX, REQUEST_RETENTION_S, RUNNING_TIME_STEP_S
from dstore.master import codec, counters
from dstore.master.store.base import Transaction

T = TypeVar("T")

#: Answers that are forgotten by one transaction.
_FORGET_MAX = 10_000


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
        "INSERT INTO requests (request_id, method, fingerprint, response, stored_running_s) "
        "SELECT ?, ?, ?, ?, value FROM counters WHERE name = 'running_s'",
        (request.request_id, request.method, request.fingerprint, codec.encode(result)),
    )
    return result


def forget(tx: Transaction) -> None:
    """Forget answers that are past their retention, not too many at once."""
    # The running time is written in steps, so an answer may be that much younger than it seems.
    oldest_s = counters.read(tx, "running_s") - int(REQUEST_RETENTION_S + 2 * RUNNING_TIME_STEP_S)
    tx.execute(
        "DELETE FROM requests WHERE request_id IN (SELECT request_id FROM requests WHERE stored_running_s < ? LIMIT ?)",
        (oldest_s, _FORGET_MAX),
    )
