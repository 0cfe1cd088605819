"""Mutations take effect once: the answer is stored with the effect, in one transaction (Invariant 4).

A refusal is an answer too. Copies of a call may arrive late, after others were refused: were they carried out then, a
client that was told "there is none" or "it exists" would find its call done all the same.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from dstore.core.errors import (
    ALL_ERRORS,
    CommitUnknown,
    DeadlineExceeded,
    DstoreError,
    Internal,
    InvalidRequest,
    NotReady,
    OutOfSpace,
    Unavailable,
)
from dstore.core.ids import RequestId
from dstore.core.limits import REQUEST_ID_SIZE_BYTES_MAX, REQUEST_RETENTION_S, RUNNING_TIME_STEP_S
from dstore.master import codec, counters
from dstore.master.store.base import Transaction

T = TypeVar("T")

#: Answers that are forgotten by one transaction.
_FORGET_MAX = 10_000
#: What passes by itself is no answer: the same call is repeated until it gets one.
_PASSING = (Unavailable, DeadlineExceeded, CommitUnknown, NotReady, OutOfSpace, Internal)
#: No JSON text starts with it, so a stored refusal is told from a stored result.
_REFUSAL_MARK = "!"
_KINDS = {kind.__name__: kind for kind in ALL_ERRORS}


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


@dataclass(frozen=True, slots=True)
class _Refusal:
    """An error as it is stored."""

    kind: str
    message: str
    reason: str
    names: tuple[str, ...]
    values: tuple[str, ...]


def once(tx: Transaction, request: Request, kind: type[T], fn: Callable[[], T]) -> T | DstoreError:
    """Return the stored answer of ``request``, or else run ``fn`` and store what it returns, or how it refuses.

    A refusal is returned, not raised, so that it is stored while what ``fn`` did before it is undone. An error that
    passes by itself is raised and leaves nothing: the call may be tried again under the same id.

    Raises:
        InvalidRequest: reason ``REQUEST_ID_REUSED``, when the id came with other content before.
        DstoreError: what ``fn`` raised, when it passes.
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
        return _decode(kind, response)
    answer = _attempt(tx, fn)
    tx.execute(
        "INSERT INTO requests (request_id, method, fingerprint, response, stored_running_s) "
        "SELECT ?, ?, ?, ?, value FROM counters WHERE name = 'running_s'",
        (request.request_id, request.method, request.fingerprint, _encode(answer)),
    )
    return answer


def _attempt(tx: Transaction, fn: Callable[[], T]) -> T | DstoreError:
    tx.execute("SAVEPOINT attempt")
    try:
        result = fn()
    except DstoreError as refusal:
        if isinstance(refusal, _PASSING):
            raise
        tx.execute("ROLLBACK TO SAVEPOINT attempt")
        tx.execute("RELEASE SAVEPOINT attempt")
        return refusal
    tx.execute("RELEASE SAVEPOINT attempt")
    return result


def _encode(answer: object) -> str:
    if not isinstance(answer, DstoreError):
        return codec.encode(answer)
    names, values = tuple(answer.metadata), tuple(answer.metadata.values())
    return _REFUSAL_MARK + codec.encode(_Refusal(type(answer).__name__, answer.message, answer.reason, names, values))


def _decode(kind: type[T], response: str) -> T | DstoreError:
    if not response.startswith(_REFUSAL_MARK):
        return codec.decode(kind, response)
    refusal = codec.decode(_Refusal, response.removeprefix(_REFUSAL_MARK))
    metadata = dict(zip(refusal.names, refusal.values, strict=True))
    return _KINDS[refusal.kind](refusal.message, reason=refusal.reason, metadata=metadata)


def forget(tx: Transaction) -> None:
    """Forget answers that are past their retention, not too many at once."""
    # The running time is written in steps, so an answer may be that much younger than it seems.
    oldest_s = counters.read(tx, "running_s") - int(REQUEST_RETENTION_S + 2 * RUNNING_TIME_STEP_S)
    tx.execute(
        "DELETE FROM requests WHERE request_id IN (SELECT request_id FROM requests WHERE stored_running_s < ? LIMIT ?)",
        (oldest_s, _FORGET_MAX),
    )
