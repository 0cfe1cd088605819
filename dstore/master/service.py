"""The master's side of ``Namespace``: joins the store, the clock, the random source and the live state; what is done is
decided in the modules that it calls.
"""

from collections.abc import Callable
from typing import TypeVar

from dstore.core.errors import DstoreError, InvalidRequest, LimitExceeded
from dstore.core.files import (
    ANY,
    NO_VERSION,
    ChunkPage,
    ChunkPlacement,
    ChunkRecord,
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
from dstore.core.limits import CHUNK_ALLOCATION_MAX, CHUNK_RECORDS_PER_MESSAGE_MAX
from dstore.core.removed import RemovedPage, Restore, RestoreTicket
from dstore.master import namespace, reading, removed, removing, renames, requests, restores, small_files, writes
from dstore.master.batches import check_item_count
from dstore.master.reading import OpenedRows
from dstore.master.requests import Request
from dstore.master.shared import Shared
from dstore.master.store.base import Transaction

T = TypeVar("T")

_NO_CHUNKS = ChunkPage((), ())
#: Paths of one call that are looked up at once: about 10 µs each, and other calls wait meanwhile.
_SHORT_READ_MAX = 100


class NamespaceService:
    """Implements ``dstore.core.interfaces.Namespace``."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._store = shared.store
        self._cluster_id = shared.cluster.cluster_id
        self._policy = shared.cluster.policy
        self._leases = shared.leases
        self._allocator = shared.allocator

    async def get_cluster(self) -> ClusterInfo:
        """Describe the cluster."""
        return ClusterInfo(self._cluster_id, self._policy, self._shared.version)

    async def stat(self, path: str) -> FileInfo:
        """Describe one path."""
        return await self._store.read(lambda tx: namespace.stat(tx, path), is_short=True)

    async def list(self, path: str, *, page_size: int, page_token: str) -> FilePage:
        """Return one page of a directory."""
        return await self._store.read(
            lambda tx: namespace.list_page(tx, self._cluster_id, path, page_size=page_size, page_token=page_token)
        )

    async def make_directory(self, path: str, *, parents: bool, exist_ok: bool, request_id: RequestId) -> FileInfo:
        """Make a directory."""
        request = requests.describe(request_id, "MakeDirectory", path, parents, exist_ok)
        now_ns = self._now_ns()
        return await self._once(
            request,
            FileInfo,
            lambda tx: namespace.make_directory(tx, path, parents=parents, exist_ok=exist_ok, now_ns=now_ns),
        )

    async def remove(
        self, path: str, *, recursive: bool, request_id: RequestId, version: Version = NO_VERSION
    ) -> RemoveResult:
        """Remove a file, an empty directory or a tree."""
        request = removing.describe(request_id, path, recursive=recursive, version=version)
        now_ns = self._now_ns()
        return await self._once(
            request,
            RemoveResult,
            lambda tx: namespace.remove(tx, path, recursive=recursive, version=version, now_ns=now_ns),
        )

    async def prepare_rename(self, source: str, target: str, precondition: Precondition = ANY) -> RenameTicket:
        """Give out what is needed to rename."""
        return await self._store.write(lambda tx: renames.prepare(tx, self._cluster_id, source, target, precondition))

    async def rename(self, rename: Rename, *, request_id: RequestId) -> FileInfo:
        """Rename a file or directory."""
        request = renames.describe(request_id, rename)
        now_ns = self._now_ns()
        return await self._once(request, FileInfo, lambda tx: renames.rename(tx, rename, now_ns=now_ns))

    async def list_removed(self, path: str, *, recursive: bool, page_size: int, page_token: str) -> RemovedPage:
        """Return one page of what can be restored."""
        return await self._store.read(
            lambda tx: removed.list_page(
                tx, self._shared.cluster, path, recursive=recursive, page_size=page_size, page_token=page_token
            )
        )

    async def prepare_restore(self, path: str, *, version: Version, target: str) -> RestoreTicket:
        """Give out what is needed to restore."""
        return await self._store.write(
            lambda tx: restores.prepare(tx, self._cluster_id, path, version=version, target=target)
        )

    async def restore(self, restore: Restore, *, request_id: RequestId) -> FileInfo:
        """Restore a file, or a directory without what was in it."""
        request = requests.describe(
            request_id,
            "Restore",
            (restore.path, restore.target, restore.source_version, restore.version, restore.sealed_manifest),
        )
        return await self._once(request, FileInfo, lambda tx: restores.restore(tx, restore))

    async def begin_write(
        self, path: str, *, precondition: Precondition, chunk_count: int, request_id: RequestId
    ) -> WriteIntent:
        """Start to write a file."""
        request = requests.describe(
            request_id, "BeginWrite", path, precondition.kind.value, precondition.version, chunk_count
        )
        _check_count(chunk_count)
        targets = await self._allocator.targets(chunk_count)
        intent_id = IntentId(self._shared.random.uuid())
        now_ns = self._now_ns()
        # The lease comes first: an intent whose caller went away while it was committed must expire too.
        self._leases.start(intent_id, self._now_s())
        try:
            intent = await self._once(
                request,
                WriteIntent,
                lambda tx: writes.begin(
                    tx,
                    self._shared.cluster,
                    intent_id,
                    path,
                    precondition=precondition,
                    targets=targets,
                    now_ns=now_ns,
                ),
            )
        except DstoreError:
            self._leases.drop(intent_id)
            raise
        if intent.intent_id != intent_id:
            self._leases.drop(intent_id)
        self._leases.extend_if_live(intent.intent_id, self._now_s())
        return intent

    async def allocate_chunks(
        self,
        intent_id: IntentId,
        *,
        count: int,
        written: tuple[WrittenChunk, ...],
        avoid: tuple[ServerId, ...],
        request_id: RequestId,
    ) -> tuple[ChunkPlacement, ...]:
        """Record written chunks and hand out ids for more."""
        request = requests.describe(
            request_id, "AllocateChunks", intent_id, count, [_plain(chunk) for chunk in written], avoid
        )
        _check_count(count)
        refusal = self._try_renew(intent_id)
        targets = refusal or await self._allocator.targets(count, avoid)

        def run(tx: Transaction) -> tuple[ChunkPlacement, ...]:
            _raise(refusal)
            return writes.allocate(tx, self._policy, intent_id, written=written, targets=targets)

        placements = await self._once(request, tuple[ChunkPlacement, ...], run)
        self._leases.extend_if_live(intent_id, self._now_s())
        return placements

    async def renew_intent(self, intent_id: IntentId, *, fresh_version: bool) -> IntentLease:
        """Keep an intent alive."""
        self._leases.renew(intent_id, self._now_s())

        def run(tx: Transaction) -> IntentLease:
            return writes.renew(tx, intent_id, fresh_version=fresh_version)

        lease = await (self._store.write(run) if fresh_version else self._store.read(run))
        self._leases.extend_if_live(intent_id, self._now_s())
        return lease

    async def commit_write(self, commit: Commit, *, request_id: RequestId) -> FileInfo:
        """Make a written file visible."""
        request = requests.describe(
            request_id,
            "CommitWrite",
            (commit.intent_id, commit.version, commit.size_bytes, commit.chunk_count),
            [_plain(chunk) for chunk in commit.chunks],
            commit.sealed_manifest,
            [(key.kind, key.key_id, key.data) for key in commit.wrapped_keys],
        )
        refusal = self._try_renew(commit.intent_id)
        now_ns = self._now_ns()

        def run(tx: Transaction) -> FileInfo:
            _raise(refusal)
            return writes.commit(tx, self._policy, commit, now_ns=now_ns)

        info = await self._once(request, FileInfo, run)
        self._leases.drop(commit.intent_id)
        return info

    async def abandon_write(self, intent_id: IntentId, *, request_id: RequestId) -> None:
        """Give up a write."""
        request = requests.describe(request_id, "AbandonWrite", intent_id)
        now_ns = self._now_ns()
        await self._once(request, type(None), lambda tx: writes.abandon(tx, intent_id, now_ns=now_ns))
        self._leases.drop(intent_id)

    async def open_file(self, path: str) -> OpenedFile:
        """Return what is needed to read a file."""
        rows = await self._store.read(
            lambda tx: reading.open_file(tx, path, start_index=0, count=CHUNK_RECORDS_PER_MESSAGE_MAX), is_short=True
        )
        return self._opened(rows, await self._page(rows.records))

    async def list_chunks(self, file_id: FileId, version: Version, *, start_index: int, count: int) -> ChunkPage:
        """Return further chunk records of one version of a file."""
        return await self._page(
            await self._store.read(
                lambda tx: reading.list_chunks(tx, file_id, version, start_index=start_index, count=count)
            )
        )

    async def reserve_files(self, count: int) -> FileReservation:
        """Give out identities and versions ahead."""
        small_files.check_reservation(count)
        return await self._store.write(lambda tx: small_files.reserve(tx, count))

    async def put_files(self, items: tuple[tuple[SmallFile, RequestId], ...]) -> tuple[FileInfo | DstoreError, ...]:
        """Make small files visible."""
        check_item_count(len(items))
        now_ns = self._now_ns()
        return tuple(await self._store.write(lambda tx: small_files.put_each(tx, self._policy, items, now_ns=now_ns)))

    async def open_files(self, paths: tuple[str, ...]) -> tuple[OpenedFile | DstoreError, ...]:
        """Return what is needed to read files."""
        check_item_count(len(paths))
        found = await self._store.read(lambda tx: reading.open_each(tx, paths), is_short=len(paths) <= _SHORT_READ_MAX)
        return tuple(
            [
                rows
                if isinstance(rows, DstoreError)
                else self._opened(rows, await self._page(rows.records) if rows.records else _NO_CHUNKS)
                for rows in found
            ]
        )

    async def stat_files(self, paths: tuple[str, ...]) -> tuple[FileInfo | DstoreError, ...]:
        """Describe paths."""
        check_item_count(len(paths))
        is_short = len(paths) <= _SHORT_READ_MAX
        return tuple(await self._store.read(lambda tx: reading.stat_each(tx, paths), is_short=is_short))

    async def remove_files(
        self, items: tuple[tuple[str, bool, RequestId], ...]
    ) -> tuple[RemoveResult | DstoreError, ...]:
        """Remove files, empty directories or trees."""
        check_item_count(len(items))
        now_ns = self._now_ns()
        return tuple(await self._store.write(lambda tx: removing.remove_each(tx, items, now_ns=now_ns)))

    def _opened(self, rows: OpenedRows, page: ChunkPage) -> OpenedFile:
        return OpenedFile(
            info=rows.info,
            cluster_id=self._cluster_id,
            parent_id=rows.parent_id,
            chunk_size_bytes=rows.chunk_size_bytes,
            sealed_manifest=rows.sealed_manifest,
            wrapped_keys=rows.wrapped_keys,
            page=page,
        )

    async def _page(self, records: tuple[ChunkRecord, ...]) -> ChunkPage:
        group_ids = {record.chunk_id.group_id for record in records}
        await self._allocator.know(group_ids)
        return ChunkPage(records, self._allocator.describe(group_ids))

    async def _once(self, request: Request, kind: type[T], fn: Callable[[Transaction], T]) -> T:
        answer = await self._store.write(lambda tx: requests.once(tx, request, kind, lambda: fn(tx)))
        if isinstance(answer, DstoreError):
            raise answer
        return answer

    def _try_renew(self, intent_id: IntentId) -> DstoreError | None:
        """Return the refusal instead of raising it: a repeated request must find its answer first."""
        try:
            self._leases.renew(intent_id, self._now_s())
        except DstoreError as refusal:
            return refusal
        return None

    def _now_s(self) -> float:
        return self._shared.clock.monotonic_s()

    def _now_ns(self) -> int:
        return self._shared.clock.wall_ns()


def _check_count(count: int) -> None:
    if count < 0:
        raise InvalidRequest(f"{count} chunks cannot be placed; ask for 0 or more.", reason="CHUNK_COUNT_INVALID")
    if count > CHUNK_ALLOCATION_MAX:
        raise LimitExceeded(
            f"One call hands out {CHUNK_ALLOCATION_MAX} chunk ids, not {count}; ask for the others later.",
            reason="TOO_MANY_CHUNKS",
        )


def _plain(chunk: WrittenChunk) -> tuple[object, ...]:
    """Return a record as values whose ``repr`` says all that they are."""
    record = chunk.record
    chunk_id = (record.chunk_id.group_id, record.chunk_id.sequence)
    return (record.index, chunk_id, record.length_bytes, record.crc32c, record.header, chunk.replicas)


def _raise(refusal: DstoreError | None) -> None:
    if refusal is not None:
        raise refusal
