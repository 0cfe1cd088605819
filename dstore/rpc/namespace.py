"""``NamespaceService`` over gRPC: the caller's side and the server's side of ``core.interfaces.Namespace``."""

from typing import Any

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
from dstore.core.ids import FileId, IntentId, RequestId, ServerId, Version, parse_uuid
from dstore.core.interfaces import Namespace
from dstore.core.removed import RemovedPage, Restore, RestoreTicket
from dstore.rpc.call import Caller
from dstore.rpc.convert import batches as convert_batches
from dstore.rpc.convert import files as convert
from dstore.rpc.convert import groups as convert_groups
from dstore.rpc.convert import removed as convert_removed
from dstore.rpc.convert import writes as convert_writes
from dstore.v1 import namespace_service_pb2 as v1
from dstore.v1 import namespace_service_pb2_grpc


class NamespaceClient:
    """A ``Namespace`` at the other end of a channel."""

    def __init__(self, channel: Any, caller: Caller):
        self._stub = namespace_service_pb2_grpc.NamespaceServiceStub(channel)
        self._call = caller

    async def get_cluster(self) -> ClusterInfo:
        return await self._call(self._stub.GetCluster, v1.GetClusterRequest(), _cluster_from_proto)

    async def stat(self, path: str) -> FileInfo:
        return await self._call(self._stub.Stat, v1.StatRequest(path=path), _info_of)

    async def list(self, path: str, *, page_size: int, page_token: str) -> FilePage:
        request = v1.ListRequest(path=path, page_size=page_size, page_token=page_token)
        return await self._call(self._stub.List, request, _file_page_from_proto)

    async def make_directory(self, path: str, *, parents: bool, exist_ok: bool, request_id: RequestId) -> FileInfo:
        request = v1.MakeDirectoryRequest(path=path, parents=parents, exist_ok=exist_ok, request_id=request_id)
        return await self._call(self._stub.MakeDirectory, request, _info_of)

    async def remove(
        self, path: str, *, recursive: bool, request_id: RequestId, version: Version = NO_VERSION
    ) -> RemoveResult:
        request = v1.RemoveRequest(path=path, recursive=recursive, request_id=request_id, version=version)
        return await self._call(
            self._stub.Remove, request, lambda answer: RemoveResult(files=answer.files, directories=answer.directories)
        )

    async def prepare_rename(self, source: str, target: str, precondition: Precondition = ANY) -> RenameTicket:
        request = v1.PrepareRenameRequest(
            source=source, target=target, precondition=convert.precondition_to_proto(precondition)
        )
        return await self._call(self._stub.PrepareRename, request, convert_writes.ticket_from_proto)

    async def rename(self, rename: Rename, *, request_id: RequestId) -> FileInfo:
        request = convert_writes.rename_to_proto(rename, request_id)
        return await self._call(self._stub.Rename, request, _info_of)

    async def list_removed(self, path: str, *, recursive: bool, page_size: int, page_token: str) -> RemovedPage:
        request = v1.ListRemovedRequest(path=path, recursive=recursive, page_size=page_size, page_token=page_token)
        return await self._call(self._stub.ListRemoved, request, convert_removed.page_from_proto)

    async def prepare_restore(self, path: str, *, version: Version, target: str) -> RestoreTicket:
        request = v1.PrepareRestoreRequest(path=path, version=version, target=target)
        return await self._call(self._stub.PrepareRestore, request, convert_removed.ticket_from_proto)

    async def restore(self, restore: Restore, *, request_id: RequestId) -> FileInfo:
        request = convert_removed.restore_to_proto(restore, request_id)
        return await self._call(self._stub.Restore, request, _info_of)

    async def begin_write(
        self, path: str, *, precondition: Precondition, chunk_count: int, request_id: RequestId
    ) -> WriteIntent:
        request = v1.BeginWriteRequest(
            path=path,
            precondition=convert.precondition_to_proto(precondition),
            chunk_count=chunk_count,
            request_id=request_id,
        )
        return await self._call(self._stub.BeginWrite, request, convert_writes.intent_from_proto)

    async def allocate_chunks(
        self,
        intent_id: IntentId,
        *,
        count: int,
        written: tuple[WrittenChunk, ...],
        avoid: tuple[ServerId, ...],
        request_id: RequestId,
    ) -> tuple[ChunkPlacement, ...]:
        request = v1.AllocateChunksRequest(
            intent_id=intent_id,
            count=count,
            written=convert.written_to_proto(written),
            avoid=list(avoid),
            request_id=request_id,
        )
        return await self._call(
            self._stub.AllocateChunks, request, lambda answer: convert.placements_from_proto(answer.placements)
        )

    async def renew_intent(self, intent_id: IntentId, *, fresh_version: bool) -> IntentLease:
        request = v1.RenewIntentRequest(intent_id=intent_id, fresh_version=fresh_version)
        return await self._call(
            self._stub.RenewIntent, request, lambda answer: convert_writes.lease_from_proto(answer.lease)
        )

    async def commit_write(self, commit: Commit, *, request_id: RequestId) -> FileInfo:
        return await self._call(self._stub.CommitWrite, convert_writes.commit_to_proto(commit, request_id), _info_of)

    async def abandon_write(self, intent_id: IntentId, *, request_id: RequestId) -> None:
        request = v1.AbandonWriteRequest(intent_id=intent_id, request_id=request_id)
        await self._call(self._stub.AbandonWrite, request, lambda _: None)

    async def open_file(self, path: str) -> OpenedFile:
        return await self._call(self._stub.OpenFile, v1.OpenFileRequest(path=path), convert_writes.opened_from_proto)

    async def list_chunks(self, file_id: FileId, version: Version, *, start_index: int, count: int) -> ChunkPage:
        request = v1.ListChunksRequest(file_id=file_id, version=version, start_index=start_index, count=count)
        return await self._call(
            self._stub.ListChunks, request, lambda answer: convert.page_from_proto(answer.chunks, answer.groups)
        )

    async def reserve_files(self, count: int) -> FileReservation:
        request = v1.ReserveFilesRequest(count=count)
        return await self._call(
            self._stub.ReserveFiles, request, lambda answer: convert_batches.reservation_from_proto(answer, count)
        )

    async def put_files(self, items: tuple[tuple[SmallFile, RequestId], ...]) -> tuple[FileInfo | DstoreError, ...]:
        request = v1.PutFilesRequest(files=[convert_batches.small_file_to_proto(*item) for item in items])
        return await self._call(
            self._stub.PutFiles, request, lambda answer: convert_batches.infos_from_proto(answer.results, len(items))
        )

    async def open_files(self, paths: tuple[str, ...]) -> tuple[OpenedFile | DstoreError, ...]:
        return await self._call(
            self._stub.OpenFiles,
            v1.OpenFilesRequest(paths=paths),
            lambda answer: convert_batches.opened_from_proto(answer, len(paths)),
        )

    async def stat_files(self, paths: tuple[str, ...]) -> tuple[FileInfo | DstoreError, ...]:
        return await self._call(
            self._stub.StatFiles,
            v1.StatFilesRequest(paths=paths),
            lambda answer: convert_batches.infos_from_proto(answer.results, len(paths)),
        )

    async def remove_files(
        self, items: tuple[tuple[str, bool, RequestId], ...]
    ) -> tuple[RemoveResult | DstoreError, ...]:
        request = v1.RemoveFilesRequest(
            items=[v1.RemoveRequest(path=path, recursive=deep, request_id=each) for path, deep, each in items]
        )
        return await self._call(
            self._stub.RemoveFiles, request, lambda answer: convert_batches.removed_from_proto(answer, len(items))
        )


def _info_of(response: Any) -> FileInfo:
    return convert.info_from_proto(response.info)


def _cluster_from_proto(response: v1.GetClusterResponse) -> ClusterInfo:
    return ClusterInfo(
        cluster_id=convert_groups.cluster_id_from_text(response.cluster_id),
        policy=convert.policy_from_proto(response.policy),
        version=response.version,
    )


def _file_page_from_proto(response: v1.ListResponse) -> FilePage:
    return FilePage(
        entries=tuple(convert.info_from_proto(entry) for entry in response.entries),
        next_page_token=response.next_page_token,
    )


def _intent_id(text: str) -> IntentId:
    return IntentId(parse_uuid(text, what="intent id"))


class NamespaceServicer(namespace_service_pb2_grpc.NamespaceServiceServicer):
    """Speaks NamespaceService on behalf of a ``Namespace``: converts, calls, converts."""

    def __init__(self, namespace: Namespace):
        self._namespace = namespace

    async def GetCluster(self, request: v1.GetClusterRequest, context: Any) -> v1.GetClusterResponse:
        info = await self._namespace.get_cluster()
        return v1.GetClusterResponse(
            cluster_id=info.cluster_id, policy=convert.policy_to_proto(info.policy), version=info.version
        )

    async def Stat(self, request: v1.StatRequest, context: Any) -> v1.StatResponse:
        return v1.StatResponse(info=convert.info_to_proto(await self._namespace.stat(request.path)))

    async def List(self, request: v1.ListRequest, context: Any) -> v1.ListResponse:
        page = await self._namespace.list(request.path, page_size=request.page_size, page_token=request.page_token)
        return v1.ListResponse(
            entries=[convert.info_to_proto(entry) for entry in page.entries],
            next_page_token=page.next_page_token,
        )

    async def MakeDirectory(self, request: v1.MakeDirectoryRequest, context: Any) -> v1.MakeDirectoryResponse:
        info = await self._namespace.make_directory(
            request.path,
            parents=request.parents,
            exist_ok=request.exist_ok,
            request_id=convert.request_id_from_text(request.request_id),
        )
        return v1.MakeDirectoryResponse(info=convert.info_to_proto(info))

    async def Remove(self, request: v1.RemoveRequest, context: Any) -> v1.RemoveResponse:
        result = await self._namespace.remove(
            request.path,
            recursive=request.recursive,
            request_id=convert.request_id_from_text(request.request_id),
            version=Version(request.version),
        )
        return v1.RemoveResponse(files=result.files, directories=result.directories)

    async def PrepareRename(self, request: v1.PrepareRenameRequest, context: Any) -> v1.PrepareRenameResponse:
        precondition = convert.precondition_from_proto(request.precondition)
        return convert_writes.ticket_to_proto(
            await self._namespace.prepare_rename(request.source, request.target, precondition)
        )

    async def Rename(self, request: v1.RenameRequest, context: Any) -> v1.RenameResponse:
        info = await self._namespace.rename(
            convert_writes.rename_from_proto(request),
            request_id=convert.request_id_from_text(request.request_id),
        )
        return v1.RenameResponse(info=convert.info_to_proto(info))

    async def ListRemoved(self, request: v1.ListRemovedRequest, context: Any) -> v1.ListRemovedResponse:
        page = await self._namespace.list_removed(
            request.path, recursive=request.recursive, page_size=request.page_size, page_token=request.page_token
        )
        return convert_removed.page_to_proto(page)

    async def PrepareRestore(self, request: v1.PrepareRestoreRequest, context: Any) -> v1.PrepareRestoreResponse:
        ticket = await self._namespace.prepare_restore(
            request.path, version=Version(request.version), target=request.target
        )
        return convert_removed.ticket_to_proto(ticket)

    async def Restore(self, request: v1.RestoreRequest, context: Any) -> v1.RestoreResponse:
        info = await self._namespace.restore(
            convert_removed.restore_from_proto(request),
            request_id=convert.request_id_from_text(request.request_id),
        )
        return v1.RestoreResponse(info=convert.info_to_proto(info))

    async def BeginWrite(self, request: v1.BeginWriteRequest, context: Any) -> v1.BeginWriteResponse:
        intent = await self._namespace.begin_write(
            request.path,
            precondition=convert.precondition_from_proto(request.precondition),
            chunk_count=request.chunk_count,
            request_id=convert.request_id_from_text(request.request_id),
        )
        return convert_writes.intent_to_proto(intent)

    async def AllocateChunks(self, request: v1.AllocateChunksRequest, context: Any) -> v1.AllocateChunksResponse:
        placements = await self._namespace.allocate_chunks(
            _intent_id(request.intent_id),
            count=request.count,
            written=convert.written_from_proto(request.written),
            avoid=tuple(convert_groups.server_id_from_text(server) for server in request.avoid),
            request_id=convert.request_id_from_text(request.request_id),
        )
        return v1.AllocateChunksResponse(placements=convert.placements_to_proto(placements))

    async def RenewIntent(self, request: v1.RenewIntentRequest, context: Any) -> v1.RenewIntentResponse:
        lease = await self._namespace.renew_intent(_intent_id(request.intent_id), fresh_version=request.fresh_version)
        return v1.RenewIntentResponse(lease=convert_writes.lease_to_proto(lease))

    async def CommitWrite(self, request: v1.CommitWriteRequest, context: Any) -> v1.CommitWriteResponse:
        info = await self._namespace.commit_write(
            convert_writes.commit_from_proto(request),
            request_id=convert.request_id_from_text(request.request_id),
        )
        return v1.CommitWriteResponse(info=convert.info_to_proto(info))

    async def AbandonWrite(self, request: v1.AbandonWriteRequest, context: Any) -> v1.AbandonWriteResponse:
        await self._namespace.abandon_write(
            _intent_id(request.intent_id), request_id=convert.request_id_from_text(request.request_id)
        )
        return v1.AbandonWriteResponse()

    async def OpenFile(self, request: v1.OpenFileRequest, context: Any) -> v1.OpenFileResponse:
        return convert_writes.opened_to_proto(await self._namespace.open_file(request.path))

    async def ListChunks(self, request: v1.ListChunksRequest, context: Any) -> v1.ListChunksResponse:
        page = await self._namespace.list_chunks(
            FileId(request.file_id),
            Version(request.version),
            start_index=request.start_index,
            count=request.count,
        )
        return v1.ListChunksResponse(
            chunks=[convert.record_to_proto(chunk) for chunk in page.chunks],
            groups=[convert_groups.group_to_proto(group) for group in page.groups],
        )

    async def ReserveFiles(self, request: v1.ReserveFilesRequest, context: Any) -> v1.ReserveFilesResponse:
        reserved = await self._namespace.reserve_files(request.count)
        return v1.ReserveFilesResponse(
            first_file_id=reserved.first_file_id, first_version=reserved.first_version, count=reserved.count
        )

    async def PutFiles(self, request: v1.PutFilesRequest, context: Any) -> v1.PutFilesResponse:
        items = tuple(convert_batches.small_file_from_proto(each) for each in request.files)
        answers = await self._namespace.put_files(items)
        response = v1.PutFilesResponse()
        convert_batches.fill_infos(response.results, answers)
        return response

    async def OpenFiles(self, request: v1.OpenFilesRequest, context: Any) -> v1.OpenFilesResponse:
        return convert_batches.opened_to_proto(await self._namespace.open_files(tuple(request.paths)))

    async def StatFiles(self, request: v1.StatFilesRequest, context: Any) -> v1.StatFilesResponse:
        answers = await self._namespace.stat_files(tuple(request.paths))
        response = v1.StatFilesResponse()
        convert_batches.fill_infos(response.results, answers)
        return response

    async def RemoveFiles(self, request: v1.RemoveFilesRequest, context: Any) -> v1.RemoveFilesResponse:
        items = convert_batches.removals_from_proto(request)
        return convert_batches.removed_to_proto(await self._namespace.remove_files(items))
