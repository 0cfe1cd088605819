"""Calls about one file, gathered into calls about many.

One behaviour per wrapper: ``BatchingNamespace`` is a ``Namespace`` around another one and adds nothing but this. Every
mutation keeps the request id that its caller gave it, so repeating and resolving work as without (Invariant 4).
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from dstore.client.answers import invalid_answer
from dstore.client.gathering import Gatherer
from dstore.core.errors import DstoreError
from dstore.core.files import FileInfo, OpenedFile, RemoveResult, SmallFile
from dstore.core.ids import RequestId
from dstore.core.interfaces import Namespace
from dstore.core.limits import BATCH_CALLS_IN_FLIGHT, BATCH_ITEMS_MAX, BATCH_SIZE_BYTES_MAX

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
        self.get_cluster = namespace.get_cluster
        self.list = namespace.list
        self.make_directory = namespace.make_directory
        self.prepare_rename = namespace.prepare_rename
        self.rename = namespace.rename
        self.list_removed = namespace.list_removed
        self.prepare_restore = namespace.prepare_restore
        self.restore = namespace.restore
        self.begin_write = namespace.begin_write
        self.allocate_chunks = namespace.allocate_chunks
        self.renew_intent = namespace.renew_intent
        self.commit_write = namespace.commit_write
        self.abandon_write = namespace.abandon_write
        self.list_chunks = namespace.list_chunks
        self.reserve_files = namespace.reserve_files
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

    async def remove(self, path: str, *, recursive: bool, request_id: RequestId) -> RemoveResult:
        if recursive:
            # It may take long, and others would wait with it.
            return await self._namespace.remove(path, recursive=True, request_id=request_id)
        return value(await self._removes.ask((path, False, request_id)))

    async def put_files(self, items: tuple[PutItem, ...]) -> tuple[FileInfo | DstoreError, ...]:
        return (await self._puts.ask(items[0]),) if len(items) == 1 else await self._put(items)

    async def open_files(self, paths: tuple[str, ...]) -> tuple[OpenedFile | DstoreError, ...]:
        return await _all_answers(self._namespace.open_files, paths)

    async def stat_files(self, paths: tuple[str, ...]) -> tuple[FileInfo | DstoreError, ...]:
        return await _all_answers(self._namespace.stat_files, paths)

    async def remove_files(self, items: tuple[RemoveItem, ...]) -> tuple[RemoveResult | DstoreError, ...]:
        return await _all_answers(self._namespace.remove_files, items)

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
