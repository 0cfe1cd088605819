"""What the roles ask of each other: one interface per service, in plain values.

The master and the chunkservers implement these, clients call them, and ``dstore.rpc`` carries them over gRPC: on the
caller's side a class with the same methods, on the server's side a servicer that converts, calls and converts.
A simulation carries them itself. The comments of ``protos/dstore/v1`` say what each call means and which errors it
raises; any call may also raise ``Unavailable`` or ``DeadlineExceeded``.
"""

from collections.abc import AsyncIterator
from typing import Protocol

from dstore.core.checking import CheckSummary, CollectionStatus, Finding, SafeModeStatus
from dstore.core.chunks import ChunkStat, Frame, ReadRequest, WriteFinish, WriteHeader, WriteResult
from dstore.core.digests import GroupDigest, HeldPage
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
from dstore.core.groups import Duty, ServerIdentity
from dstore.core.ids import ChunkId, FileId, GroupId, IntentId, RequestId, ServerId, Version
from dstore.core.operations import BalanceState, DutyChange, PauseAction, ScrubState
from dstore.core.removed import RemovedPage, Restore, RestoreTicket
from dstore.core.status import ClusterStatus, FileDescription
from dstore.core.upkeep import Heartbeat, Orders, Registration


class Namespace(Protocol):
    """Clients to master: ``dstore.v1.NamespaceService``."""

    async def get_cluster(self) -> ClusterInfo: ...

    async def stat(self, path: str) -> FileInfo: ...

    async def list(self, path: str, *, page_size: int, page_token: str) -> FilePage: ...

    async def make_directory(self, path: str, *, parents: bool, exist_ok: bool, request_id: RequestId) -> FileInfo: ...

    async def remove(
        self, path: str, *, recursive: bool, request_id: RequestId, version: Version = NO_VERSION
    ) -> RemoveResult: ...

    async def prepare_rename(self, source: str, target: str, precondition: Precondition = ANY) -> RenameTicket: ...

    async def rename(self, rename: Rename, *, request_id: RequestId) -> FileInfo: ...

    async def list_removed(self, path: str, *, recursive: bool, page_size: int, page_token: str) -> RemovedPage: ...

    async def prepare_restore(self, path: str, *, version: Version, target: str) -> RestoreTicket: ...

    async def restore(self, restore: Restore, *, request_id: RequestId) -> FileInfo: ...

    async def begin_write(
        self, path: str, *, precondition: Precondition, chunk_count: int, request_id: RequestId
    ) -> WriteIntent: ...

    async def allocate_chunks(
        self,
        intent_id: IntentId,
        *,
        count: int,
        written: tuple[WrittenChunk, ...],
        avoid: tuple[ServerId, ...],
        request_id: RequestId,
    ) -> tuple[ChunkPlacement, ...]: ...

    async def renew_intent(self, intent_id: IntentId, *, fresh_version: bool) -> IntentLease: ...

    async def commit_write(self, commit: Commit, *, request_id: RequestId) -> FileInfo: ...

    async def abandon_write(self, intent_id: IntentId, *, request_id: RequestId) -> None: ...

    async def open_file(self, path: str) -> OpenedFile: ...

    async def list_chunks(self, file_id: FileId, version: Version, *, start_index: int, count: int) -> ChunkPage: ...

    async def reserve_files(self, count: int) -> FileReservation: ...

    async def put_files(self, items: tuple[tuple[SmallFile, RequestId], ...]) -> tuple[FileInfo | DstoreError, ...]: ...

    async def open_files(self, paths: tuple[str, ...]) -> tuple[OpenedFile | DstoreError, ...]: ...

    async def stat_files(self, paths: tuple[str, ...]) -> tuple[FileInfo | DstoreError, ...]: ...

    async def remove_files(
        self, items: tuple[tuple[str, bool, RequestId], ...]
    ) -> tuple[RemoveResult | DstoreError, ...]: ...


class Cluster(Protocol):
    """Chunkservers to master: ``dstore.v1.ClusterService``."""

    async def register(self, identity: ServerIdentity) -> Registration: ...

    async def heartbeat(self, heartbeat: Heartbeat) -> Orders: ...


class Admin(Protocol):
    """Operators to master: ``dstore.v1.AdminService``."""

    async def get_status(self) -> ClusterStatus: ...

    async def describe_file(self, path: str, *, start_index: int, count: int) -> FileDescription: ...

    def check_cluster(self, *, repair: bool) -> AsyncIterator[Finding | CheckSummary]: ...

    async def get_collection(self) -> CollectionStatus: ...

    async def approve_collection(self) -> CollectionStatus: ...

    async def get_safe_mode(self) -> SafeModeStatus: ...

    async def leave_safe_mode(self) -> SafeModeStatus: ...

    async def set_node_duty(self, name: str, duty: Duty, *, duration_s: float, dry_run: bool) -> DutyChange: ...

    async def remove_node(self, name: str) -> None: ...

    async def balance_cluster(self, action: PauseAction) -> BalanceState: ...

    async def set_scrub(self, action: PauseAction) -> ScrubState: ...


class ChunkWriter(Protocol):
    """One chunk on its way. Either ``finish`` returns, or the chunk must be given up (Invariant 6)."""

    async def send(self, frame: Frame) -> None:
        """Pass on the next frame; offsets must follow each other. Waits while the receiver is behind.

        The memory of the frame's data is the caller's again when this returns: a transport copies what it keeps.
        """

    async def finish(self, finish: WriteFinish) -> WriteResult:
        """Commit; returns when every replica of the chain is as durable as the header asked."""

    async def abort(self) -> None:
        """Drop the chunk. Allowed at any time, also after a failure and after ``finish``; never raises."""


class Chunks(Protocol):
    """Anyone to chunkserver: ``dstore.v1.ChunkService``."""

    async def write_chunk(self, header: WriteHeader) -> ChunkWriter: ...

    def read_chunk(self, request: ReadRequest) -> AsyncIterator[Frame]: ...

    async def read_range(self, request: ReadRequest) -> Frame:
        """Return a range that fits in one frame, whatever size of frames the request asks for."""

    async def stat_chunk(self, chunk_id: ChunkId) -> ChunkStat: ...

    async def get_group_digest(self, group_id: GroupId) -> GroupDigest: ...

    async def list_group(
        self, group_id: GroupId, *, bucket: int | None, after_sequence: int, count: int
    ) -> HeldPage: ...


class Peers(Protocol):
    """Finds the chunkserver behind an address."""

    def chunks(self, address: str) -> Chunks:
        """Return the service at ``host:port``; connecting happens with the first call."""
