"""Calls to the master, repeated until they are answered or the patience is over.

One behaviour per wrapper: ``RetryingNamespace`` is a ``Namespace`` around another one and adds nothing but this. A
mutation is repeated under its ``request_id``, so that it takes effect at most once (Invariant 4).
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from dstore.core.backoff import Backoff
from dstore.core.checking import CheckSummary, CollectionStatus, Finding, SafeModeStatus
from dstore.core.environment import Clock, Random
from dstore.core.errors import CommitUnknown, DeadlineExceeded, DstoreError, Internal, NotFound, NotReady, Unavailable
from dstore.core.files import (
    ChunkPage,
    ChunkPlacement,
    ClusterInfo,
    Commit,
    FileInfo,
    FilePage,
    IntentLease,
    OpenedFile,
    Precondition,
    RemoveResult,
    Rename,
    RenameTicket,
    WriteIntent,
    WrittenChunk,
)
from dstore.core.groups import Duty
from dstore.core.ids import FileId, IntentId, RequestId, ServerId, Version
from dstore.core.interfaces import Admin, Namespace
from dstore.core.limits import CLIENT_PATIENCE_S, FIRST_CONTACT_PATIENCE_S, UNRESOLVED_MUTATIONS_MAX
from dstore.core.operations import BalanceState, DutyChange, PauseAction, ScrubState
from dstore.core.removed import RemovedPage, Restore, RestoreTicket
from dstore.core.status import ClusterStatus, FileDescription

T = TypeVar("T")

#: Whoever waits and asks again may get an answer; a master whose store failed comes back with the truth.
_PASSING = (Unavailable, DeadlineExceeded, CommitUnknown)
#: The master answered: these do not pass by themselves within the patience of one call.
_LASTING_REASONS = frozenset({"NOT_ENOUGH_SERVERS", "CONNECTION_CLOSED"})
#: The master could not take the call in; these do pass.
_BUSY_REASONS = frozenset({"COMMIT_QUEUE_FULL"})
#: What does not come from the mutation itself, and so tells nothing about an earlier attempt that was not answered.
_TELLS_NOTHING_REASONS = frozenset({"SERVICE_NOT_OFFERED"}) | _BUSY_REASONS
#: The network failed, or nobody knows: the call may have taken effect.
_UNKNOWN_REASONS = frozenset({"UNAVAILABLE", "SERVER_UNREACHABLE"})


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
                return await self._attempt(call)
            except DstoreError as error:
                if error.reason in _LASTING_REASONS or not _passes(error):
                    raise
                delay_s = self._delay_s(attempt_index)
                if self._clock.monotonic_s() + delay_s > deadline_s:
                    raise self._unreachable(error) from error
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

        async def attempt() -> T:
            nonlocal is_unknown
            try:
                return await call()
            except _PASSING as error:
                is_unknown |= not isinstance(error, Unavailable) or error.reason in _UNKNOWN_REASONS
                raise

        try:
            return await self.read(attempt)
        except DstoreError as error:
            tells_nothing = isinstance(error, Unavailable | Internal) or error.reason in _TELLS_NOTHING_REASONS
            if not is_unknown or not tells_nothing:
                raise
            self._remember(request_id, lambda: self.mutate(what, request_id, call, is_unknown=True))
            raise CommitUnknown(
                f"The master at {self._endpoint} did not say whether it did this: {what}. It happened once or not "
                f"at all; look at the path, or call resolve({request_id!r}) to find out.",
                metadata={"request_id": request_id, "endpoint": self._endpoint},
            ) from error

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
        except DstoreError:
            self._unresolved.pop(request_id, None)
            raise
        self._unresolved.pop(request_id, None)
        return answer

    def _remember(self, request_id: RequestId, call: Callable[[], Awaitable[Any]]) -> None:
        self._unresolved[request_id] = call
        while len(self._unresolved) > UNRESOLVED_MUTATIONS_MAX:
            self._unresolved.popitem(last=False)

    async def _attempt(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            answer = await call()
        except _PASSING as error:
            if not self._is_reached and "http1" in error.message.lower():
                raise self._not_a_master(error) from error
            raise
        except (NotReady, Internal) as error:
            if not self._is_reached and (error.reason == "SERVICE_NOT_OFFERED" or isinstance(error, Internal)):
                raise self._not_a_master(error) from error
            raise
        except DstoreError:
            self._is_reached = True
            raise
        self._is_reached = True
        return answer

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


class RetryingNamespace:
    """A ``Namespace`` that repeats calls to another one."""

    def __init__(self, namespace: Namespace, retries: Retries) -> None:
        self._namespace = namespace
        self._retries = retries

    async def get_cluster(self) -> ClusterInfo:
        return await self._retries.read(self._namespace.get_cluster)

    async def stat(self, path: str) -> FileInfo:
        return await self._retries.read(lambda: self._namespace.stat(path))

    async def list(self, path: str, *, page_size: int, page_token: str) -> FilePage:
        return await self._retries.read(lambda: self._namespace.list(path, page_size=page_size, page_token=page_token))

    async def make_directory(self, path: str, *, parents: bool, exist_ok: bool, request_id: RequestId) -> FileInfo:
        return await self._retries.mutate(
            f"make the directory {path}",
            request_id,
            lambda: self._namespace.make_directory(path, parents=parents, exist_ok=exist_ok, request_id=request_id),
        )

    async def remove(self, path: str, *, recursive: bool, request_id: RequestId) -> RemoveResult:
        return await self._retries.mutate(
            f"remove {path}",
            request_id,
            lambda: self._namespace.remove(path, recursive=recursive, request_id=request_id),
        )

    async def prepare_rename(self, source: str, target: str) -> RenameTicket:
        return await self._retries.read(lambda: self._namespace.prepare_rename(source, target))

    async def rename(self, rename: Rename, *, request_id: RequestId) -> FileInfo:
        return await self._retries.mutate(
            f"rename {rename.source} to {rename.target}",
            request_id,
            lambda: self._namespace.rename(rename, request_id=request_id),
        )

    async def list_removed(self, path: str, *, recursive: bool, page_size: int, page_token: str) -> RemovedPage:
        return await self._retries.read(
            lambda: self._namespace.list_removed(path, recursive=recursive, page_size=page_size, page_token=page_token)
        )

    async def prepare_restore(self, path: str, *, version: Version, target: str) -> RestoreTicket:
        return await self._retries.read(lambda: self._namespace.prepare_restore(path, version=version, target=target))

    async def restore(self, restore: Restore, *, request_id: RequestId) -> FileInfo:
        return await self._retries.mutate(
            f"restore {restore.path} to {restore.target}",
            request_id,
            lambda: self._namespace.restore(restore, request_id=request_id),
        )

    async def begin_write(
        self, path: str, *, precondition: Precondition, chunk_count: int, request_id: RequestId
    ) -> WriteIntent:
        # Nothing becomes visible, so an unknown outcome is no more than an intent that expires.
        return await self._retries.read(
            lambda: self._namespace.begin_write(
                path, precondition=precondition, chunk_count=chunk_count, request_id=request_id
            )
        )

    async def allocate_chunks(
        self,
        intent_id: IntentId,
        *,
        count: int,
        written: tuple[WrittenChunk, ...],
        avoid: tuple[ServerId, ...],
        request_id: RequestId,
    ) -> tuple[ChunkPlacement, ...]:
        return await self._retries.read(
            lambda: self._namespace.allocate_chunks(
                intent_id, count=count, written=written, avoid=avoid, request_id=request_id
            )
        )

    async def renew_intent(self, intent_id: IntentId, *, fresh_version: bool) -> IntentLease:
        return await self._retries.read(lambda: self._namespace.renew_intent(intent_id, fresh_version=fresh_version))

    async def commit_write(self, commit: Commit, *, request_id: RequestId) -> FileInfo:
        return await self._retries.mutate(
            f"commit the write {commit.intent_id}",
            request_id,
            lambda: self._namespace.commit_write(commit, request_id=request_id),
        )

    async def abandon_write(self, intent_id: IntentId, *, request_id: RequestId) -> None:
        await self._retries.read(lambda: self._namespace.abandon_write(intent_id, request_id=request_id))

    async def open_file(self, path: str) -> OpenedFile:
        return await self._retries.read(lambda: self._namespace.open_file(path))

    async def list_chunks(self, file_id: FileId, version: Version, *, start_index: int, count: int) -> ChunkPage:
        return await self._retries.read(
            lambda: self._namespace.list_chunks(file_id, version, start_index=start_index, count=count)
        )


class RetryingAdmin:
    """An ``Admin`` that repeats calls to another one."""

    def __init__(self, admin: Admin, retries: Retries) -> None:
        self._admin = admin
        self._retries = retries

    async def get_status(self) -> ClusterStatus:
        return await self._retries.read(self._admin.get_status)

    async def describe_file(self, path: str, *, start_index: int, count: int) -> FileDescription:
        return await self._retries.read(lambda: self._admin.describe_file(path, start_index=start_index, count=count))

    def check_cluster(self, *, repair: bool) -> AsyncIterator[Finding | CheckSummary]:
        """Pass the check through: one that broke off is begun again by whoever wants it."""
        return self._admin.check_cluster(repair=repair)

    async def get_collection(self) -> CollectionStatus:
        return await self._retries.read(self._admin.get_collection)

    async def approve_collection(self) -> CollectionStatus:
        return await self._retries.read(self._admin.approve_collection)

    async def get_safe_mode(self) -> SafeModeStatus:
        return await self._retries.read(self._admin.get_safe_mode)

    async def leave_safe_mode(self) -> SafeModeStatus:
        return await self._retries.read(self._admin.leave_safe_mode)

    async def set_node_duty(self, name: str, duty: Duty, *, duration_s: float, dry_run: bool) -> DutyChange:
        return await self._retries.read(
            lambda: self._admin.set_node_duty(name, duty, duration_s=duration_s, dry_run=dry_run)
        )

    async def remove_node(self, name: str) -> None:
        # Not repeated: the second answer would be that there is no such server.
        await self._admin.remove_node(name)

    async def balance_cluster(self, action: PauseAction) -> BalanceState:
        return await self._retries.read(lambda: self._admin.balance_cluster(action))

    async def set_scrub(self, action: PauseAction) -> ScrubState:
        return await self._retries.read(lambda: self._admin.set_scrub(action))
