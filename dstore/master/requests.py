"""Mutations take effect once: the answer is stored with the effect, in one transaction (Invariant 4).

A refusal is an answer too. Copies of a call may arrive late, after others were refused: were they carried out then, a
client that was told "there is none" or "it exists" would find its call done all the same.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
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
from dstore.core.quick_init import quick_init
from dstore.master import codec, counters
from dstore.master.batches import Room, batch_full, error_size
from dstore.master.store.base import Transaction

T = TypeVar("T")

#: Answers that are forgotten by one transaction.
_FORGET_MAX = 10_000
#: What passes by itself is no answer: the same call is repeated until it gets one.
_PASSING = (Unavailable, DeadlineExceeded, CommitUnknown, NotReady, OutOfSpace, Internal)
_PASSING_REASONS = frozenset({"BATCH_FULL"})
#: No JSON text starts with it, so a stored refusal is told from a stored result.
_REFUSAL_MARK = "!"
_KINDS = {kind.__name__: kind for kind in ALL_ERRORS}


@quick_init
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
    return identify(request_id, method, hashlib.sha256(repr((method, content)).encode(errors="replace")).digest())


def identify(request_id: RequestId, method: str, fingerprint: bytes) -> Request:
    """Return the identity of a call whose content has this digest.

    Raises:
        InvalidRequest: reason ``REQUEST_ID_INVALID``.
    """
    if not 1 <= len(request_id.encode(errors="replace")) <= REQUEST_ID_SIZE_BYTES_MAX or "\0" in request_id:
        raise InvalidRequest(
            f"The request id {request_id[:80]!r} is empty, longer than {REQUEST_ID_SIZE_BYTES_MAX} bytes, or "
            "not text; send a uuid.",
            reason="REQUEST_ID_INVALID",
        )
    return Request(request_id, method, fingerprint)


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
    passes by itself is raised and leaves nothing: the call may be tried again under the same id. So may, with a fresh
    id, one whose id came with other content before: ``REQUEST_ID_REUSED`` is returned, and not stored.

    Raises:
        DstoreError: what ``fn`` raised, when it passes.
    """
    stored = _load(tx, request, kind)
    if stored is not None:
        return stored[0]
    answer = _attempt(tx, fn)
    _store(tx, [(request, answer)])
    return answer


def once_each(
    tx: Transaction,
    wanted: Sequence[Request | DstoreError],
    kind: type[T],
    fn: Callable[[int], T],
    size_of: Callable[[T], int],
) -> list[T | DstoreError]:
    """Do for each of many requests what ``once`` does for one, with the same rows; ``fn`` gets its position.

    ``fn`` must refuse before it changes anything. What ``once`` raises is an answer here, and is not stored either; so
    is an error in the place of a request. Nothing is done for those whose answers have no room, by ``size_of``.
    """
    room = Room()
    fresh: dict[RequestId, tuple[Request, T | DstoreError]] = {}
    answers: list[T | DstoreError] = []
    for position, request in enumerate(wanted):
        if room.is_full:
            answers.append(batch_full())
            continue
        answer = _earlier(tx, request, kind, fresh)
        if answer is None:
            assert not isinstance(request, DstoreError)
            try:
                answer = fn(position)
            except DstoreError as refusal:
                answer = refusal
            if not _passes(answer):
                fresh[request.request_id] = (request, answer)
        room.take(error_size(answer) if isinstance(answer, DstoreError) else size_of(answer))
        answers.append(answer)
    _store(tx, list(fresh.values()))
    return answers


def _attempt(tx: Transaction, fn: Callable[[], T]) -> T | DstoreError:
    tx.execute("SAVEPOINT attempt")
    try:
        result = fn()
    except DstoreError as refusal:
        if _passes(refusal):
            raise
        tx.execute("ROLLBACK TO SAVEPOINT attempt")
        tx.execute("RELEASE SAVEPOINT attempt")
        return refusal
    tx.execute("RELEASE SAVEPOINT attempt")
    return result


def _passes(answer: object) -> bool:
    return isinstance(answer, _PASSING) or (isinstance(answer, DstoreError) and answer.reason in _PASSING_REASONS)


def _load(tx: Transaction, request: Request, kind: type[T]) -> tuple[T | DstoreError] | None:
    """Return what a request that came before is answered; None when it is new."""
    rows = tx.execute("SELECT method, fingerprint, response FROM requests WHERE request_id = ?", (request.request_id,))
    if not rows:
        return None
    method, fingerprint, response = rows[0]
    if (method, fingerprint) != (request.method, request.fingerprint):
        return (_reused(request, method),)
    return (_decode(kind, response),)


def _earlier(
    tx: Transaction,
    request: Request | DstoreError,
    kind: type[T],
    fresh: Mapping[RequestId, tuple[Request, T | DstoreError]],
) -> T | DstoreError | None:
    """Return the answer that one of many requests has already."""
    if isinstance(request, DstoreError):
        return request
    same = fresh.get(request.request_id)
    if same is not None:
        return same[1] if same[0] == request else _reused(request, same[0].method)
    stored = _load(tx, request, kind)
    return stored[0] if stored is not None else None


def _store(tx: Transaction, answered: Sequence[tuple[Request, object]]) -> None:
    running_s = counters.read(tx, "running_s")
    tx.execute_many(
        "INSERT INTO requests (request_id, method, fingerprint, response, stored_running_s) VALUES (?, ?, ?, ?, ?)",
        [
            (request.request_id, request.method, request.fingerprint, _encode(answer), running_s)
            for request, answer in answered
        ],
    )


def _reused(request: Request, method: str) -> InvalidRequest:
    return InvalidRequest(
        f"The request id {request.request_id} was used before, by another call ({method}); send a "
        "fresh uuid with every new call.",
        reason="REQUEST_ID_REUSED",
        metadata={"request_id": request.request_id, "method": method},
    )


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
