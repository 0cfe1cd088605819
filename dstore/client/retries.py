"""Patience with a master: calls are repeated until they are answered or the patience is over.

A mutation is repeated under its ``request_id``, so that it takes effect at most once (Invariant 4).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dstore.core.backoff import Backoff
from dstore.core.environment import Clock, Random
from dstore.core.errors import (
    CommitUnknown,
    Conflict,
    DeadlineExceeded,
    DstoreError,
    Internal,
    NotFound,
    NotReady,
    Unavailable,
)
from dstore.core.ids import RequestId
from dstore.core.limits import CLIENT_PATIENCE_S, FIRST_CONTACT_PATIENCE_S, UNRESOLVED_MUTATIONS_MAX

T = TypeVar("T")

#: Whoever waits and asks again may get an answer; a master whose store failed comes back with the truth.
_PASSING = (Unavailable, DeadlineExceeded, CommitUnknown)
#: The master answered: these do not pass by themselves within the patience of one call.
_LASTING_REASONS = frozenset({"NOT_ENOUGH_SERVERS", "CONNECTION_CLOSED"})
#: The master could not take the call in; these do pass.
_BUSY_REASONS = frozenset({"COMMIT_QUEUE_FULL"})
#: What does not come from the mutation itself, and so tells nothing about an earlier attempt that was not answered.
_TELLS_NOTHING_REASONS = frozenset({"SERVICE_NOT_OFFERED"}) | _BUSY_REASONS
#: Others were there first: whoever calls seals what is written anew, which cannot be done long after.
_SEALED_ANEW_REASONS = frozenset({"VERSION_SUPERSEDED", "PARENT_CHANGED"})
#: The network failed, or nobody knows: the call may have taken effect.
_UNKNOWN_REASONS = frozenset({"UNAVAILABLE", "SERVER_UNREACHABLE"})


@dataclass(frozen=True, slots=True)
class Mutation(Generic[T]):
    """One change: ``what`` says it to people, and ``again`` asks for it, alone, under its request id."""

    what: str
    request_id: RequestId
    again: Callable[[], Awaitable[T]]


class _Doubt:
    """Whether any attempt of a call may have taken effect without being answered."""

    __slots__ = ("exists",)

    def __init__(self, exists: bool) -> None:
        self.exists = exists

    async def watch(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            return await call()
        except _PASSING as error:
            self.exists |= not isinstance(error, Unavailable) or error.reason in _UNKNOWN_REASONS
            raise

    def remains_after(self, error: DstoreError) -> bool:
        """Return whether the last error leaves the doubt: any other answer of the master is the truth."""
        tells_nothing = isinstance(error, Unavailable | Internal) or error.reason in _TELLS_NOTHING_REASONS
        return self.exists and tells_nothing


class Retries:
    """Repeats calls to one master.

    A master that was never reached gets ``FIRST_CONTACT_PATIENCE_S`` at most, so that a wrong address shows soon.
    """

    def __init__(self, *, endpoint: str, clock: Clock, random: Random, patience_s: float = CLIENT_PATIENCE_S) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._random = random
        self._patience_s = patience_s
        self._backoff = Backoff()
        self._is_reached = False
        self._unresolved: OrderedDict[RequestId, Callable[[], Awaitable[Any]]] = OrderedDict()

    async def read(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return the answer of a call that changes nothing that anybody sees.

        Raises:
            Unavailable: reason ``MASTER_UNREACHABLE``, when the patience is over.
            NotReady: reason ``NOT_A_DSTORE_MASTER``.
            DstoreError: what the master raised.
        """
        deadline_s = self._deadline_s()
        for attempt_index in range(1 << 32):
            try:
                answer = await call()
            except DstoreError as error:
                self._note_failure(error)
                if error.reason in _LASTING_REASONS or not _passes(error):
                    raise
                delay_s = self._delay_s(attempt_index)
                if self._clock.monotonic_s() + delay_s > deadline_s:
                    raise self._unreachable(error) from error
            else:
                self._is_reached = True
                return answer
            await asyncio.sleep(delay_s)
        raise AssertionError("the deadline comes first")

    async def mutate(
        self, what: str, request_id: RequestId, call: Callable[[], Awaitable[T]], *, is_unknown: bool = False
    ) -> T:
        """Return the answer of a mutation; ``call`` must use ``request_id``.

        ``is_unknown`` says that an attempt before may have taken effect.

        Raises:
            CommitUnknown: the patience is over, and the mutation may have taken effect; see ``resolve``.
            DstoreError: as ``read``.
        """
        doubt = _Doubt(is_unknown)
        try:
            return await self.read(lambda: doubt.watch(call))
        except DstoreError as error:
            if not doubt.remains_after(error):
                raise
            raise self._unknown(Mutation(what, request_id, call), error) from error

    async def mutate_many(
        self,
        call: Callable[[], Awaitable[tuple[T | DstoreError, ...]]],
        mutations: Callable[[], Iterable["Mutation[T]"]],
    ) -> tuple[T | DstoreError, ...]:
        """Return the answers of several mutations that are made with one call, each under a request id of its own.

        Where the call may have taken effect when the patience is over, each gets its own ``CommitUnknown``.

        Raises:
            DstoreError: as ``read``; none of them took effect.
        """
        doubt = _Doubt(False)
        try:
            answers = await self.read(lambda: doubt.watch(call))
        except DstoreError as error:
            if not doubt.remains_after(error):
                raise
            return tuple(self._unknown(mutation, error) for mutation in mutations())
        if not doubt.exists:
            return answers
        return tuple(
            self._unknown(mutation, answer)
            if isinstance(answer, DstoreError) and doubt.remains_after(answer)
            else answer
            for mutation, answer in zip(mutations(), answers, strict=True)
        )

    async def resolve(self, request_id: RequestId) -> Any:
        """Repeat a mutation whose outcome is unknown, and return its answer.

        Raises:
            NotFound: reason ``REQUEST_UNKNOWN``, when this client has no such mutation.
            DstoreError: as ``mutate``; any error but ``CommitUnknown`` means that it never took effect.
        """
        call = self._unresolved.get(request_id)
        if call is None:
            raise NotFound(
                f"This client has no unresolved request {request_id!r}; only the one that raised CommitUnknown can "
                "resolve it.",
                reason="REQUEST_UNKNOWN",
                metadata={"request_id": request_id},
            )
        try:
            answer = await call()
        except CommitUnknown:
            raise
        except DstoreError as error:
            self._unresolved.pop(request_id, None)
            if error.reason in _SEALED_ANEW_REASONS:
                raise _not_done(error) from error
            raise
        self._unresolved.pop(request_id, None)
        return answer

    def _unknown(self, mutation: Mutation[Any], error: DstoreError) -> CommitUnknown:
        """Remember a mutation whose outcome is unknown, and return what to tell its caller."""
        what, request_id = mutation.what, mutation.request_id
        self._unresolved[request_id] = lambda: self.mutate(what, request_id, mutation.again, is_unknown=True)
        while len(self._unresolved) > UNRESOLVED_MUTATIONS_MAX:
            self._unresolved.popitem(last=False)
        unknown = CommitUnknown(
            f"The master at {self._endpoint} did not say whether it did this: {what}. It happened once or not "
            f"at all; look at the path, or call resolve({request_id!r}) to find out.",
            metadata={"request_id": request_id, "endpoint": self._endpoint},
        )
        unknown.__cause__ = error
        return unknown

    def _note_failure(self, error: DstoreError) -> None:
        """Learn from an error whether there is a master.

        Raises:
            NotReady: reason ``NOT_A_DSTORE_MASTER``.
        """
        if isinstance(error, _PASSING):
            is_foreign = "http1" in error.message.lower()
        elif isinstance(error, NotReady | Internal):
            is_foreign = error.reason == "SERVICE_NOT_OFFERED" or isinstance(error, Internal)
        else:
            self._is_reached = True
            return
        if is_foreign and not self._is_reached:
            raise self._not_a_master(error) from error

    def _deadline_s(self) -> float:
        patience_s = self._patience_s if self._is_reached else min(self._patience_s, FIRST_CONTACT_PATIENCE_S)
        return self._clock.monotonic_s() + patience_s

    def _delay_s(self, attempt_index: int) -> float:
        return self._backoff.delay_s(attempt_index, self._random.uniform())

    def _unreachable(self, error: DstoreError) -> Unavailable:
        why = _cause(error)
        if self._is_reached:
            text = (
                f"The dstore master at {self._endpoint} has not answered for {self._patience_s:.0f} s ({why}). Check "
                "with `dstore status` whether it runs, then try again."
            )
        else:
            text = (
                f"No dstore master answers at {self._endpoint} ({why}). Start one with `dstore up`, or set the "
                "endpoint with --endpoint or DSTORE_ENDPOINT."
            )
        return Unavailable(text, reason="MASTER_UNREACHABLE", metadata={"endpoint": self._endpoint})

    def _not_a_master(self, error: DstoreError) -> NotReady:
        return NotReady(
            f"What answers at {self._endpoint} is no dstore master ({error.message.rstrip('.')}). Set the endpoint "
            "to the address of the master with --endpoint or DSTORE_ENDPOINT.",
            reason="NOT_A_DSTORE_MASTER",
            metadata={"endpoint": self._endpoint},
        )


def _not_done(error: DstoreError) -> Conflict:
    """Return what to tell of a mutation that came too late."""
    path = error.metadata.get("path", "The path")
    return Conflict(
        f"{path} was changed meanwhile, so what was to be done there was not done, and will not be; do it again.",
        reason=error.reason,
        metadata=error.metadata,
    )


def _passes(error: DstoreError) -> bool:
    return isinstance(error, _PASSING) or error.reason in _BUSY_REASONS


def _cause(error: DstoreError) -> str:
    """Return in a few words why a call was not answered; the whole story is the chained error."""
    if isinstance(error, DeadlineExceeded):
        return "no answer in time"
    text = error.message.lower()
    if "refused" in text:
        return "connection refused"
    if "resol" in text or "name or service not known" in text:
        return "the host name cannot be resolved"
    return "it cannot be reached" if error.reason in _UNKNOWN_REASONS else error.message.rstrip(".")
