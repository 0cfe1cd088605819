from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FileKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FILE_KIND_UNSPECIFIED: _ClassVar[FileKind]
    FILE_KIND_FILE: _ClassVar[FileKind]
    FILE_KIND_DIRECTORY: _ClassVar[FileKind]

class ServerPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SERVER_PHASE_UNSPECIFIED: _ClassVar[ServerPhase]
    SERVER_PHASE_UP: _ClassVar[ServerPhase]
    SERVER_PHASE_SUSPECT: _ClassVar[ServerPhase]
    SERVER_PHASE_DOWN: _ClassVar[ServerPhase]
    SERVER_PHASE_OUT: _ClassVar[ServerPhase]

class MemberState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MEMBER_STATE_UNSPECIFIED: _ClassVar[MemberState]
    MEMBER_STATE_WHOLE: _ClassVar[MemberState]
    MEMBER_STATE_FILLING: _ClassVar[MemberState]
    MEMBER_STATE_LEAVING: _ClassVar[MemberState]
FILE_KIND_UNSPECIFIED: FileKind
FILE_KIND_FILE: FileKind
FILE_KIND_DIRECTORY: FileKind
SERVER_PHASE_UNSPECIFIED: ServerPhase
SERVER_PHASE_UP: ServerPhase
SERVER_PHASE_SUSPECT: ServerPhase
SERVER_PHASE_DOWN: ServerPhase
SERVER_PHASE_OUT: ServerPhase
MEMBER_STATE_UNSPECIFIED: MemberState
MEMBER_STATE_WHOLE: MemberState
MEMBER_STATE_FILLING: MemberState
MEMBER_STATE_LEAVING: MemberState

class ErrorStatus(_message.Message):
    __slots__ = ("code", "message", "reason", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    reason: str
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., reason: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ChunkId(_message.Message):
    __slots__ = ("group_id", "sequence")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    group_id: int
    sequence: int
    def __init__(self, group_id: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class FileInfo(_message.Message):
    __slots__ = ("path", "kind", "size_bytes", "version", "file_id", "modify_time", "create_time", "chunk_count")
    PATH_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    MODIFY_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    path: str
    kind: FileKind
    size_bytes: int
    version: int
    file_id: int
    modify_time: _timestamp_pb2.Timestamp
    create_time: _timestamp_pb2.Timestamp
    chunk_count: int
    def __init__(self, path: _Optional[str] = ..., kind: _Optional[_Union[FileKind, str]] = ..., size_bytes: _Optional[int] = ..., version: _Optional[int] = ..., file_id: _Optional[int] = ..., modify_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., chunk_count: _Optional[int] = ...) -> None: ...

class Policy(_message.Message):
    __slots__ = ("name", "replicas", "min_replicas", "chunk_size_bytes", "failure_domain", "retention")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    MIN_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    FAILURE_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    replicas: int
    min_replicas: int
    chunk_size_bytes: int
    failure_domain: str
    retention: _duration_pb2.Duration
    def __init__(self, name: _Optional[str] = ..., replicas: _Optional[int] = ..., min_replicas: _Optional[int] = ..., chunk_size_bytes: _Optional[int] = ..., failure_domain: _Optional[str] = ..., retention: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Replica(_message.Message):
    __slots__ = ("server_id", "name", "address", "phase", "state")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    name: str
    address: str
    phase: ServerPhase
    state: MemberState
    def __init__(self, server_id: _Optional[str] = ..., name: _Optional[str] = ..., address: _Optional[str] = ..., phase: _Optional[_Union[ServerPhase, str]] = ..., state: _Optional[_Union[MemberState, str]] = ...) -> None: ...

class Group(_message.Message):
    __slots__ = ("group_id", "epoch", "members")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    group_id: int
    epoch: int
    members: _containers.RepeatedCompositeFieldContainer[Replica]
    def __init__(self, group_id: _Optional[int] = ..., epoch: _Optional[int] = ..., members: _Optional[_Iterable[_Union[Replica, _Mapping]]] = ...) -> None: ...

class ChainMember(_message.Message):
    __slots__ = ("server_id", "address")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    address: str
    def __init__(self, server_id: _Optional[str] = ..., address: _Optional[str] = ...) -> None: ...

class GroupEpoch(_message.Message):
    __slots__ = ("group_id", "epoch")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    group_id: int
    epoch: int
    def __init__(self, group_id: _Optional[int] = ..., epoch: _Optional[int] = ...) -> None: ...

class WrappedKey(_message.Message):
    __slots__ = ("kind", "key_id", "data")
    KIND_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    kind: int
    key_id: bytes
    data: bytes
    def __init__(self, kind: _Optional[int] = ..., key_id: _Optional[bytes] = ..., data: _Optional[bytes] = ...) -> None: ...

class ChunkRecord(_message.Message):
    __slots__ = ("index", "chunk_id", "length_bytes", "crc32c", "header")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
    LENGTH_BYTES_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    index: int
    chunk_id: ChunkId
    length_bytes: int
    crc32c: int
    header: bytes
    def __init__(self, index: _Optional[int] = ..., chunk_id: _Optional[_Union[ChunkId, _Mapping]] = ..., length_bytes: _Optional[int] = ..., crc32c: _Optional[int] = ..., header: _Optional[bytes] = ...) -> None: ...

class WrittenChunk(_message.Message):
    __slots__ = ("record", "replicas")
    RECORD_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    record: ChunkRecord
    replicas: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, record: _Optional[_Union[ChunkRecord, _Mapping]] = ..., replicas: _Optional[_Iterable[str]] = ...) -> None: ...

class ChunkPlacement(_message.Message):
    __slots__ = ("chunk_id", "group", "chain")
    CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    chunk_id: ChunkId
    group: Group
    chain: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, chunk_id: _Optional[_Union[ChunkId, _Mapping]] = ..., group: _Optional[_Union[Group, _Mapping]] = ..., chain: _Optional[_Iterable[str]] = ...) -> None: ...

class Precondition(_message.Message):
    __slots__ = ("absent", "version")
    ABSENT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    absent: bool
    version: int
    def __init__(self, absent: bool = ..., version: _Optional[int] = ...) -> None: ...

class IntentLease(_message.Message):
    __slots__ = ("version", "lease_duration")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LEASE_DURATION_FIELD_NUMBER: _ClassVar[int]
    version: int
    lease_duration: _duration_pb2.Duration
    def __init__(self, version: _Optional[int] = ..., lease_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
