from dstore.v1 import types_pb2 as _types_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RemovalReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REMOVAL_REASON_UNSPECIFIED: _ClassVar[RemovalReason]
    REMOVAL_REASON_REMOVED: _ClassVar[RemovalReason]
    REMOVAL_REASON_REPLACED: _ClassVar[RemovalReason]
REMOVAL_REASON_UNSPECIFIED: RemovalReason
REMOVAL_REASON_REMOVED: RemovalReason
REMOVAL_REASON_REPLACED: RemovalReason

class GetClusterRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetClusterResponse(_message.Message):
    __slots__ = ("cluster_id", "policy", "version")
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    cluster_id: str
    policy: _types_pb2.Policy
    version: str
    def __init__(self, cluster_id: _Optional[str] = ..., policy: _Optional[_Union[_types_pb2.Policy, _Mapping]] = ..., version: _Optional[str] = ...) -> None: ...

class StatRequest(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class StatResponse(_message.Message):
    __slots__ = ("info",)
    INFO_FIELD_NUMBER: _ClassVar[int]
    info: _types_pb2.FileInfo
    def __init__(self, info: _Optional[_Union[_types_pb2.FileInfo, _Mapping]] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("path", "page_size", "page_token")
    PATH_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    path: str
    page_size: int
    page_token: str
    def __init__(self, path: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("entries", "next_page_token")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[_types_pb2.FileInfo]
    next_page_token: str
    def __init__(self, entries: _Optional[_Iterable[_Union[_types_pb2.FileInfo, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class MakeDirectoryRequest(_message.Message):
    __slots__ = ("path", "parents", "exist_ok", "request_id")
    PATH_FIELD_NUMBER: _ClassVar[int]
    PARENTS_FIELD_NUMBER: _ClassVar[int]
    EXIST_OK_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    path: str
    parents: bool
    exist_ok: bool
    request_id: str
    def __init__(self, path: _Optional[str] = ..., parents: bool = ..., exist_ok: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class MakeDirectoryResponse(_message.Message):
    __slots__ = ("info",)
    INFO_FIELD_NUMBER: _ClassVar[int]
    info: _types_pb2.FileInfo
    def __init__(self, info: _Optional[_Union[_types_pb2.FileInfo, _Mapping]] = ...) -> None: ...

class RemoveRequest(_message.Message):
    __slots__ = ("path", "recursive", "request_id", "version")
    PATH_FIELD_NUMBER: _ClassVar[int]
    RECURSIVE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    path: str
    recursive: bool
    request_id: str
    version: int
    def __init__(self, path: _Optional[str] = ..., recursive: bool = ..., request_id: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class RemoveResponse(_message.Message):
    __slots__ = ("files", "directories")
    FILES_FIELD_NUMBER: _ClassVar[int]
    DIRECTORIES_FIELD_NUMBER: _ClassVar[int]
    files: int
    directories: int
    def __init__(self, files: _Optional[int] = ..., directories: _Optional[int] = ...) -> None: ...

class PrepareRenameRequest(_message.Message):
    __slots__ = ("source", "target", "precondition")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    PRECONDITION_FIELD_NUMBER: _ClassVar[int]
    source: str
    target: str
    precondition: _types_pb2.Precondition
    def __init__(self, source: _Optional[str] = ..., target: _Optional[str] = ..., precondition: _Optional[_Union[_types_pb2.Precondition, _Mapping]] = ...) -> None: ...

class PrepareRenameResponse(_message.Message):
    __slots__ = ("source", "cluster_id", "version", "source_parent_id", "target_parent_id", "target_name", "sealed_manifest", "wrapped_keys")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_NAME_FIELD_NUMBER: _ClassVar[int]
    SEALED_MANIFEST_FIELD_NUMBER: _ClassVar[int]
    WRAPPED_KEYS_FIELD_NUMBER: _ClassVar[int]
    source: _types_pb2.FileInfo
    cluster_id: str
    version: int
    source_parent_id: int
    target_parent_id: int
    target_name: str
    sealed_manifest: bytes
    wrapped_keys: _containers.RepeatedCompositeFieldContainer[_types_pb2.WrappedKey]
    def __init__(self, source: _Optional[_Union[_types_pb2.FileInfo, _Mapping]] = ..., cluster_id: _Optional[str] = ..., version: _Optional[int] = ..., source_parent_id: _Optional[int] = ..., target_parent_id: _Optional[int] = ..., target_name: _Optional[str] = ..., sealed_manifest: _Optional[bytes] = ..., wrapped_keys: _Optional[_Iterable[_Union[_types_pb2.WrappedKey, _Mapping]]] = ...) -> None: ...

class RenameRequest(_message.Message):
    __slots__ = ("source", "target", "source_version", "version", "sealed_manifest", "request_id", "precondition")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    SOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SEALED_MANIFEST_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PRECONDITION_FIELD_NUMBER: _ClassVar[int]
    source: str
    target: str
    source_version: int
    version: int
    sealed_manifest: bytes
    request_id: str
    precondition: _types_pb2.Precondition
    def __init__(self, source: _Optional[str] = ..., target: _Optional[str] = ..., source_version: _Optional[int] = ..., version: _Optional[int] = ..., sealed_manifest: _Optional[bytes] = ..., request_id: _Optional[str] = ..., precondition: _Optional[_Union[_types_pb2.Precondition, _Mapping]] = ...) -> None: ...

class RenameResponse(_message.Message):
    __slots__ = ("info",)
    INFO_FIELD_NUMBER: _ClassVar[int]
    info: _types_pb2.FileInfo
    def __init__(self, info: _Optional[_Union[_types_pb2.FileInfo, _Mapping]] = ...) -> None: ...

class ListRemovedRequest(_message.Message):
    __slots__ = ("path", "recursive", "page_size", "page_token")
    PATH_FIELD_NUMBER: _ClassVar[int]
    RECURSIVE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    path: str
    recursive: bool
    page_size: int
    page_token: str
    def __init__(self, path: _Optional[str] = ..., recursive: bool = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListRemovedResponse(_message.Message):
    __slots__ = ("entries", "next_page_token")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[RemovedFile]
    next_page_token: str
    def __init__(self, entries: _Optional[_Iterable[_Union[RemovedFile, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RemovedFile(_message.Message):
    __slots__ = ("path", "kind", "size_bytes", "version", "reason", "remove_time", "expires_in", "file_id", "removed_txn")
    PATH_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REMOVE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    REMOVED_TXN_FIELD_NUMBER: _ClassVar[int]
    path: str
    kind: _types_pb2.FileKind
    size_bytes: int
    version: int
    reason: RemovalReason
    remove_time: _timestamp_pb2.Timestamp
    expires_in: _duration_pb2.Duration
    file_id: int
    removed_txn: int
    def __init__(self, path: _Optional[str] = ..., kind: _Optional[_Union[_types_pb2.FileKind, str]] = ..., size_bytes: _Optional[int] = ..., version: _Optional[int] = ..., reason: _Optional[_Union[RemovalReason, str]] = ..., remove_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_in: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., file_id: _Optional[int] = ..., removed_txn: _Optional[int] = ...) -> None: ...

class PrepareRestoreRequest(_message.Message):
    __slots__ = ("path", "version", "target")
    PATH_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    path: str
    version: int
    target: str
    def __init__(self, path: _Optional[str] = ..., version: _Optional[int] = ..., target: _Optional[str] = ...) -> None: ...

class PrepareRestoreResponse(_message.Message):
    __slots__ = ("move", "removed_txn", "is_back")
    MOVE_FIELD_NUMBER: _ClassVar[int]
    REMOVED_TXN_FIELD_NUMBER: _ClassVar[int]
    IS_BACK_FIELD_NUMBER: _ClassVar[int]
    move: PrepareRenameResponse
    removed_txn: int
    is_back: bool
    def __init__(self, move: _Optional[_Union[PrepareRenameResponse, _Mapping]] = ..., removed_txn: _Optional[int] = ..., is_back: bool = ...) -> None: ...

class RestoreRequest(_message.Message):
    __slots__ = ("path", "target", "source_version", "version", "sealed_manifest", "request_id")
    PATH_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    SOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SEALED_MANIFEST_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    path: str
    target: str
    source_version: int
    version: int
    sealed_manifest: bytes
    request_id: str
    def __init__(self, path: _Optional[str] = ..., target: _Optional[str] = ..., source_version: _Optional[int] = ..., version: _Optional[int] = ..., sealed_manifest: _Optional[bytes] = ..., request_id: _Optional[str] = ...) -> None: ...

class RestoreResponse(_message.Message):
    __slots__ = ("info",)
    INFO_FIELD_NUMBER: _ClassVar[int]
    info: _types_pb2.FileInfo
    def __init__(self, info: _Optional[_Union[_types_pb2.FileInfo, _Mapping]] = ...) -> None: ...

class BeginWriteRequest(_message.Message):
    __slots__ = ("path", "precondition", "chunk_count", "request_id")
    PATH_FIELD_NUMBER: _ClassVar[int]
    PRECONDITION_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    path: str
    precondition: _types_pb2.Precondition
    chunk_count: int
    request_id: str
    def __init__(self, path: _Optional[str] = ..., precondition: _Optional[_Union[_types_pb2.Precondition, _Mapping]] = ..., chunk_count: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class BeginWriteResponse(_message.Message):
    __slots__ = ("intent_id", "cluster_id", "file_id", "parent_id", "name", "lease", "policy", "placements")
    INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    PLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    intent_id: str
    cluster_id: str
    file_id: int
    parent_id: int
    name: str
    lease: _types_pb2.IntentLease
    policy: _types_pb2.Policy
    placements: _containers.RepeatedCompositeFieldContainer[_types_pb2.ChunkPlacement]
    def __init__(self, intent_id: _Optional[str] = ..., cluster_id: _Optional[str] = ..., file_id: _Optional[int] = ..., parent_id: _Optional[int] = ..., name: _Optional[str] = ..., lease: _Optional[_Union[_types_pb2.IntentLease, _Mapping]] = ..., policy: _Optional[_Union[_types_pb2.Policy, _Mapping]] = ..., placements: _Optional[_Iterable[_Union[_types_pb2.ChunkPlacement, _Mapping]]] = ...) -> None: ...

class AllocateChunksRequest(_message.Message):
    __slots__ = ("intent_id", "count", "written", "avoid", "request_id")
    INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_FIELD_NUMBER: _ClassVar[int]
    AVOID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    intent_id: str
    count: int
    written: _containers.RepeatedCompositeFieldContainer[_types_pb2.WrittenChunk]
    avoid: _containers.RepeatedScalarFieldContainer[str]
    request_id: str
    def __init__(self, intent_id: _Optional[str] = ..., count: _Optional[int] = ..., written: _Optional[_Iterable[_Union[_types_pb2.WrittenChunk, _Mapping]]] = ..., avoid: _Optional[_Iterable[str]] = ..., request_id: _Optional[str] = ...) -> None: ...

class AllocateChunksResponse(_message.Message):
    __slots__ = ("placements",)
    PLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    placements: _containers.RepeatedCompositeFieldContainer[_types_pb2.ChunkPlacement]
    def __init__(self, placements: _Optional[_Iterable[_Union[_types_pb2.ChunkPlacement, _Mapping]]] = ...) -> None: ...

class RenewIntentRequest(_message.Message):
    __slots__ = ("intent_id", "fresh_version")
    INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    FRESH_VERSION_FIELD_NUMBER: _ClassVar[int]
    intent_id: str
    fresh_version: bool
    def __init__(self, intent_id: _Optional[str] = ..., fresh_version: bool = ...) -> None: ...

class RenewIntentResponse(_message.Message):
    __slots__ = ("lease",)
    LEASE_FIELD_NUMBER: _ClassVar[int]
    lease: _types_pb2.IntentLease
    def __init__(self, lease: _Optional[_Union[_types_pb2.IntentLease, _Mapping]] = ...) -> None: ...

class CommitWriteRequest(_message.Message):
    __slots__ = ("intent_id", "version", "size_bytes", "chunk_count", "chunks", "sealed_manifest", "wrapped_keys", "request_id")
    INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    SEALED_MANIFEST_FIELD_NUMBER: _ClassVar[int]
    WRAPPED_KEYS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    intent_id: str
    version: int
    size_bytes: int
    chunk_count: int
    chunks: _containers.RepeatedCompositeFieldContainer[_types_pb2.WrittenChunk]
    sealed_manifest: bytes
    wrapped_keys: _containers.RepeatedCompositeFieldContainer[_types_pb2.WrappedKey]
    request_id: str
    def __init__(self, intent_id: _Optional[str] = ..., version: _Optional[int] = ..., size_bytes: _Optional[int] = ..., chunk_count: _Optional[int] = ..., chunks: _Optional[_Iterable[_Union[_types_pb2.WrittenChunk, _Mapping]]] = ..., sealed_manifest: _Optional[bytes] = ..., wrapped_keys: _Optional[_Iterable[_Union[_types_pb2.WrappedKey, _Mapping]]] = ..., request_id: _Optional[str] = ...) -> None: ...

class CommitWriteResponse(_message.Message):
    __slots__ = ("info",)
    INFO_FIELD_NUMBER: _ClassVar[int]
    info: _types_pb2.FileInfo
    def __init__(self, info: _Optional[_Union[_types_pb2.FileInfo, _Mapping]] = ...) -> None: ...

class AbandonWriteRequest(_message.Message):
    __slots__ = ("intent_id", "request_id")
    INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    intent_id: str
    request_id: str
    def __init__(self, intent_id: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class AbandonWriteResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class OpenFileRequest(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class OpenFileResponse(_message.Message):
    __slots__ = ("info", "cluster_id", "parent_id", "chunk_size_bytes", "sealed_manifest", "wrapped_keys", "chunks", "groups")
    INFO_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    CHUNK_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SEALED_MANIFEST_FIELD_NUMBER: _ClassVar[int]
    WRAPPED_KEYS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    info: _types_pb2.FileInfo
    cluster_id: str
    parent_id: int
    chunk_size_bytes: int
    sealed_manifest: bytes
    wrapped_keys: _containers.RepeatedCompositeFieldContainer[_types_pb2.WrappedKey]
    chunks: _containers.RepeatedCompositeFieldContainer[_types_pb2.ChunkRecord]
    groups: _containers.RepeatedCompositeFieldContainer[_types_pb2.Group]
    def __init__(self, info: _Optional[_Union[_types_pb2.FileInfo, _Mapping]] = ..., cluster_id: _Optional[str] = ..., parent_id: _Optional[int] = ..., chunk_size_bytes: _Optional[int] = ..., sealed_manifest: _Optional[bytes] = ..., wrapped_keys: _Optional[_Iterable[_Union[_types_pb2.WrappedKey, _Mapping]]] = ..., chunks: _Optional[_Iterable[_Union[_types_pb2.ChunkRecord, _Mapping]]] = ..., groups: _Optional[_Iterable[_Union[_types_pb2.Group, _Mapping]]] = ...) -> None: ...

class ListChunksRequest(_message.Message):
    __slots__ = ("file_id", "version", "start_index", "count")
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    START_INDEX_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    file_id: int
    version: int
    start_index: int
    count: int
    def __init__(self, file_id: _Optional[int] = ..., version: _Optional[int] = ..., start_index: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class ListChunksResponse(_message.Message):
    __slots__ = ("chunks", "groups")
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    chunks: _containers.RepeatedCompositeFieldContainer[_types_pb2.ChunkRecord]
    groups: _containers.RepeatedCompositeFieldContainer[_types_pb2.Group]
    def __init__(self, chunks: _Optional[_Iterable[_Union[_types_pb2.ChunkRecord, _Mapping]]] = ..., groups: _Optional[_Iterable[_Union[_types_pb2.Group, _Mapping]]] = ...) -> None: ...

class ReserveFilesRequest(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class ReserveFilesResponse(_message.Message):
    __slots__ = ("first_file_id", "first_version", "count")
    FIRST_FILE_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_VERSION_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    first_file_id: int
    first_version: int
    count: int
    def __init__(self, first_file_id: _Optional[int] = ..., first_version: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class SmallFile(_message.Message):
    __slots__ = ("path", "precondition", "parent_id", "file_id", "version", "size_bytes", "sealed_manifest", "wrapped_keys", "request_id")
    PATH_FIELD_NUMBER: _ClassVar[int]
    PRECONDITION_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SEALED_MANIFEST_FIELD_NUMBER: _ClassVar[int]
    WRAPPED_KEYS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    path: str
    precondition: _types_pb2.Precondition
    parent_id: int
    file_id: int
    version: int
    size_bytes: int
    sealed_manifest: bytes
    wrapped_keys: _containers.RepeatedCompositeFieldContainer[_types_pb2.WrappedKey]
    request_id: str
    def __init__(self, path: _Optional[str] = ..., precondition: _Optional[_Union[_types_pb2.Precondition, _Mapping]] = ..., parent_id: _Optional[int] = ..., file_id: _Optional[int] = ..., version: _Optional[int] = ..., size_bytes: _Optional[int] = ..., sealed_manifest: _Optional[bytes] = ..., wrapped_keys: _Optional[_Iterable[_Union[_types_pb2.WrappedKey, _Mapping]]] = ..., request_id: _Optional[str] = ...) -> None: ...

class PutFilesRequest(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[SmallFile]
    def __init__(self, files: _Optional[_Iterable[_Union[SmallFile, _Mapping]]] = ...) -> None: ...

class FileInfoResult(_message.Message):
    __slots__ = ("info", "error")
    INFO_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    info: _types_pb2.FileInfo
    error: _types_pb2.ErrorStatus
    def __init__(self, info: _Optional[_Union[_types_pb2.FileInfo, _Mapping]] = ..., error: _Optional[_Union[_types_pb2.ErrorStatus, _Mapping]] = ...) -> None: ...

class PutFilesResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[FileInfoResult]
    def __init__(self, results: _Optional[_Iterable[_Union[FileInfoResult, _Mapping]]] = ...) -> None: ...

class OpenFilesRequest(_message.Message):
    __slots__ = ("paths",)
    PATHS_FIELD_NUMBER: _ClassVar[int]
    paths: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, paths: _Optional[_Iterable[str]] = ...) -> None: ...

class OpenFileResult(_message.Message):
    __slots__ = ("file", "error")
    FILE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    file: OpenFileResponse
    error: _types_pb2.ErrorStatus
    def __init__(self, file: _Optional[_Union[OpenFileResponse, _Mapping]] = ..., error: _Optional[_Union[_types_pb2.ErrorStatus, _Mapping]] = ...) -> None: ...

class OpenFilesResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[OpenFileResult]
    def __init__(self, results: _Optional[_Iterable[_Union[OpenFileResult, _Mapping]]] = ...) -> None: ...

class StatFilesRequest(_message.Message):
    __slots__ = ("paths",)
    PATHS_FIELD_NUMBER: _ClassVar[int]
    paths: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, paths: _Optional[_Iterable[str]] = ...) -> None: ...

class StatFilesResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[FileInfoResult]
    def __init__(self, results: _Optional[_Iterable[_Union[FileInfoResult, _Mapping]]] = ...) -> None: ...

class RemoveFilesRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[RemoveRequest]
    def __init__(self, items: _Optional[_Iterable[_Union[RemoveRequest, _Mapping]]] = ...) -> None: ...

class RemoveFileResult(_message.Message):
    __slots__ = ("removed", "error")
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    removed: RemoveResponse
    error: _types_pb2.ErrorStatus
    def __init__(self, removed: _Optional[_Union[RemoveResponse, _Mapping]] = ..., error: _Optional[_Union[_types_pb2.ErrorStatus, _Mapping]] = ...) -> None: ...

class RemoveFilesResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[RemoveFileResult]
    def __init__(self, results: _Optional[_Iterable[_Union[RemoveFileResult, _Mapping]]] = ...) -> None: ...
