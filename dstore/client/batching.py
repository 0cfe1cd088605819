"""Calls about one file, gathered into calls about many.

One behaviour per wrapper: ``BatchingNamespace`` is a ``Namespace`` around another one and adds nothing but this. Every
mutation keeps the request id that its caller gave it, so repeating and resolving work as without (Invariant 4).
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from dstore.client.answers import invalid_answer
from dstore.client.gathering import Gatherer
from dstore.core.errors import DstoreError
from dstore.core.files import (
    ANY,
    NO_VERSION,
    ChunkPage,
    ChunkPlacement,
    ClusterInfo,
    Commit,
    FileInfo,
    FilePage,
    FileReservation,
    IntentLease,
    OpenedFile,
    Precondition,
    RemoveResult,
    Rename,
    RenameTicket,
    SmallFile,
    WriteIntent,
    WrittenChunk,
)
from dstore.core.ids import FileId, IntentId, RequestId, ServerId, Version
from dstore.core.interfaces import Namespace
from dstore.core.limits import BATCH_CALLS_IN_FLIGHT, BATCH_ITEMS_MAX, BATCH_SIZE_BYTES_MAX
from dstore.core.removed import RemovedPage, Restore, RestoreTicket

Item = TypeVar("Item")
Answer = TypeVar("Answer")
PutItem = tuple[SmallFile, RequestId]
RemoveItem = tuple[str, bool, RequestId]

#: What an item adds to a message beside the manifest and the path: numbers, wrapped key, request id.
_ITEM_SIZE_BYTES = 256


class BatchingNamespace:
    """A ``Namespace`` that gathers ``stat``, ``open_file``, ``remove`` and single ``put_files``.

    All else goes to the other one as it is, but for answers that did not fit into a message: they are asked for again.
    """

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        limits = (BATCH_ITEMS_MAX, BATCH_CALLS_IN_FLIGHT)
        self._puts: Gatherer[PutItem, FileInfo | DstoreError] = Gatherer(
            self._put, *limits, size_of=put_size, size_bytes_max=BATCH_SIZE_BYTES_MAX
        )
        self._opens: Gatherer[str, OpenedFile | DstoreError] = Gatherer(self._open, *limits)
        self._stats: Gatherer[str, FileInfo | DstoreError] = Gatherer(self._stat, *limits)
        self._removes: Gatherer[RemoveItem, RemoveResult | DstoreError] = Gatherer(self._remove, *limits)

    async def close(self) -> None:
        """End the calls under way."""
        for gatherer in (self._puts, self._opens, self._stats, self._removes):
            await gatherer.close()

    async def stat(self, path: str) -> FileInfo:
        return value(await self._stats.ask(path))

    async def open_file(self, path: str) -> OpenedFile:
        return value(await self._opens.ask(path))

    async def remove(
        self, path: str, *, recursive: bool, request_id: RequestId, version: Version = NO_VERSION
    ) -> RemoveResult:
        if recursive or version != NO_VERSION:
            # A tree may take long, and others would wait with it; calls about many paths take no versions.
            return await self._namespace.remove(path, recursive=recursive, request_id=request_id, version=version)
        return value(await self._removes.ask((path, False, request_id)))

    async def put_files(self, items: tuple[PutItem, ...]) -> tuple[FileInfo | DstoreError, ...]:
        return (await self._puts.ask(items[0]),) if len(items) == 1 else await self._put(items)

    async def open_files(self, paths: tuple[str, ...]) -> tuple[OpenedFile | DstoreError, ...]:
        return await _all_answers(self._namespace.open_files, paths)

    async def stat_files(self, paths: tuple[str, ...]) -> tuple[FileInfo | DstoreError, ...]:
        return await _all_answers(self._namespace.stat_files, paths)

    async def remove_files(self, items: tuple[RemoveItem, ...]) -> tuple[RemoveResult | DstoreError, ...]:
        return await _all_answers(self._namespace.remove_files, items)

    async def get_cluster(self) -> ClusterInfo:
        return await self._namespace.get_cluster()

    async def list(self, path: str, *, page_size: int, page_token: str) -> FilePage:
        return await self._namespace.list(path, page_size=page_size, page_token=page_token)

    async def make_directory(self, path: str, *, parents: bool, exist_ok: bool, request_id: RequestId) -> FileInfo:
        return await self._namespace.make_directory(path, parents=parents, exist_ok=exist_ok, request_id=request_id)

    async def prepare_rename(self, source: str, target: str, precondition: Precondition = ANY) -> RenameTicket:
        return await self._namespace.prepare_rename(source, target, precondition)

    async def rename(self, rename: Rename, *, request_id: RequestId) -> FileInfo:
        return await self._namespace.rename(rename, request_id=request_id)

    async def list_removed(self, path: str, *, recursive: bool, page_size: int, page_token: str) -> RemovedPage:
        return await self._namespace.list_removed(path, recursive=recursive, page_size=page_size, page_token=page_token)

    async def prepare_restore(self, path: str, *, version: Version, target: str) -> RestoreTicket:
        return await self._namespace.prepare_restore(path, version=version, target=target)

    async def restore(self, restore: Restore, *, request_id: RequestId) -> FileInfo:
        return await self._namespace.restore(restore, request_id=request_id)

    async def begin_write(
        self, path: str, *, precondition: Precondition, chunk_count: int, request_id: RequestId
    ) -> WriteIntent:
        return await self._namespace.begin_write(
            path, precondition=precondition, chunk_count=chunk_count, request_id=request_id
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
        return await self._namespace.allocate_chunks(
            intent_id, count=count, written=written, avoid=avoid, request_id=request_id
        )

    async def renew_intent(self, intent_id: IntentId, *, fresh_version: bool) -> IntentLease:
        return await self._namespace.renew_intent(intent_id, fresh_version=fresh_version)

    async def commit_write(self, commit: Commit, *, request_id: RequestId) -> FileInfo:
        return await self._namespace.commit_write(commit, request_id=request_id)

    async def abandon_write(self, intent_id: IntentId, *, request_id: RequestId) -> None:
        await self._namespace.abandon_write(intent_id, request_id=request_id)

    async def list_chunks(self, file_id: FileId, version: Version, *, start_index: int, count: int) -> ChunkPage:
        return await self._namespace.list_chunks(file_id, version, start_index=start_index, count=count)

    async def reserve_files(self, count: int) -> FileReservation:
        return await self._namespace.reserve_files(count)

    async def _put(self, items: tuple[PutItem, ...]) -> tuple[FileInfo | DstoreError, ...]:
        return await _all_answers(self._namespace.put_files, items)

    async def _open(self, paths: tuple[str, ...]) -> tuple[OpenedFile | DstoreError, ...]:
        return (await self._namespace.open_file(paths[0]),) if len(paths) == 1 else await self.open_files(paths)

    async def _stat(self, paths: tuple[str, ...]) -> tuple[FileInfo | DstoreError, ...]:
        return (await self._namespace.stat(paths[0]),) if len(paths) == 1 else await self.stat_files(paths)

    async def _remove(self, items: tuple[RemoveItem, ...]) -> tuple[RemoveResult | DstoreError, ...]:
        if len(items) > 1:
            return await self.remove_files(items)
        ((path, recursive, request_id),) = items
        return (await self._namespace.remove(path, recursive=recursive, request_id=request_id),)


def put_size(item: PutItem) -> int:
    """Return what an item takes of a message, rounded up."""
    file, _ = item
    return len(file.sealed_manifest) + 4 * len(file.path) + _ITEM_SIZE_BYTES


def value(answer: Answer | DstoreError) -> Answer:
    """Return what is answered for one item, or raise it."""
    if isinstance(answer, DstoreError):
        raise answer
    return answer


async def _all_answers(
    call: Callable[[tuple[Item, ...]], Awaitable[tuple[Answer | DstoreError, ...]]], items: tuple[Item, ...]
) -> tuple[Answer | DstoreError, ...]:
    """Return an answer for each item; those that did not fit into the message are asked for again."""
    answers = await _checked(call, items)
    left = [index for index, answer in enumerate(answers) if _is_full(answer)]
    if not left:
        return answers
    all_answers = list(answers)
    while left:
        answers = await _checked(call, tuple(items[index] for index in left))
        for index, answer in zip(left, answers, strict=True):
            all_answers[index] = answer
        still = [index for index, answer in zip(left, answers, strict=True) if _is_full(answer)]
        if len(still) == len(left):
            # No honest master answers so; the item gets the error.
            break
        left = still
    return tuple(all_answers)


async def _checked(
    call: Callable[[tuple[Item, ...]], Awaitable[tuple[Answer | DstoreError, ...]]], items: tuple[Item, ...]
) -> tuple[Answer | DstoreError, ...]:
    answers = await call(items)
    if len(answers) != len(items):
        raise invalid_answer(f"it answered {len(answers)} of {len(items)} items")
    return answers


def _is_full(answer: object) -> bool:
    return isinstance(answer, DstoreError) and answer.reason == "BATCH_FULL"
