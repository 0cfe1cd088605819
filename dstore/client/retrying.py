"""The master's services, with patience.

One behaviour per wrapper: ``RetryingNamespace`` is a ``Namespace`` around another one and adds nothing but this.
"""

from collections.abc import AsyncIterator
from functools import partial

from dstore.client.batching import PutItem, RemoveItem, value
from dstore.client.retries import Mutation, Retries
from dstore.core.checking import CheckSummary, CollectionStatus, Finding, SafeModeStatus
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
    WriteIntent,
    WrittenChunk,
)
from dstore.core.groups import Duty
from dstore.core.ids import FileId, IntentId, RequestId, ServerId, Version
from dstore.core.interfaces import Admin, Namespace
from dstore.core.operations import BalanceState, DutyChange, PauseAction, ScrubState
from dstore.core.removed import RemovedPage, Restore, RestoreTicket
from dstore.core.status import ClusterStatus, FileDescription


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

    async def remove(
        self, path: str, *, recursive: bool, request_id: RequestId, version: Version = NO_VERSION
    ) -> RemoveResult:
        return await self._retries.mutate(
            f"remove {path}",
            request_id,
            lambda: self._namespace.remove(path, recursive=recursive, request_id=request_id, version=version),
        )

    async def prepare_rename(self, source: str, target: str, precondition: Precondition = ANY) -> RenameTicket:
        return await self._retries.read(lambda: self._namespace.prepare_rename(source, target, precondition))

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

    async def reserve_files(self, count: int) -> FileReservation:
        return await self._retries.read(lambda: self._namespace.reserve_files(count))

    async def put_files(self, items: tuple[PutItem, ...]) -> tuple[FileInfo | DstoreError, ...]:
        async def again(item: PutItem) -> FileInfo:
            (answer,) = await self._namespace.put_files((item,))
            return value(answer)

        return await self._retries.mutate_many(
            lambda: self._namespace.put_files(items),
            lambda: [Mutation(f"store {item[0].path}", item[1], partial(again, item)) for item in items],
        )

    async def open_files(self, paths: tuple[str, ...]) -> tuple[OpenedFile | DstoreError, ...]:
        return await self._retries.read(lambda: self._namespace.open_files(paths))

    async def stat_files(self, paths: tuple[str, ...]) -> tuple[FileInfo | DstoreError, ...]:
        return await self._retries.read(lambda: self._namespace.stat_files(paths))

    async def remove_files(self, items: tuple[RemoveItem, ...]) -> tuple[RemoveResult | DstoreError, ...]:
        async def again(path: str, recursive: bool, request_id: RequestId) -> RemoveResult:
            return await self._namespace.remove(path, recursive=recursive, request_id=request_id)

        return await self._retries.mutate_many(
            lambda: self._namespace.remove_files(items),
            lambda: [Mutation(f"remove {item[0]}", item[2], partial(again, *item)) for item in items],
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
