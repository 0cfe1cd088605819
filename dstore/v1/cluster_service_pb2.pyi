from dstore.v1 import types_pb2 as _types_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RegisterRequest(_message.Message):
    __slots__ = ("server_id", "cluster_id", "boot_id", "name", "address", "http_address", "host", "rack", "version")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    HTTP_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    RACK_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    cluster_id: str
    boot_id: str
    name: str
    address: str
    http_address: str
    host: str
    rack: str
    version: str
    def __init__(self, server_id: _Optional[str] = ..., cluster_id: _Optional[str] = ..., boot_id: _Optional[str] = ..., name: _Optional[str] = ..., address: _Optional[str] = ..., http_address: _Optional[str] = ..., host: _Optional[str] = ..., rack: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class RegisterResponse(_message.Message):
    __slots__ = ("cluster_id", "heartbeat_interval", "groups")
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    cluster_id: str
    heartbeat_interval: _duration_pb2.Duration
    groups: _containers.RepeatedCompositeFieldContainer[_types_pb2.GroupEpoch]
    def __init__(self, cluster_id: _Optional[str] = ..., heartbeat_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., groups: _Optional[_Iterable[_Union[_types_pb2.GroupEpoch, _Mapping]]] = ...) -> None: ...

class HeartbeatRequest(_message.Message):
    __slots__ = ("server_id", "boot_id", "total_bytes", "used_bytes", "chunk_count", "corrupt_chunk_count", "write_streams", "read_streams")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    CORRUPT_CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    WRITE_STREAMS_FIELD_NUMBER: _ClassVar[int]
    READ_STREAMS_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    boot_id: str
    total_bytes: int
    used_bytes: int
    chunk_count: int
    corrupt_chunk_count: int
    write_streams: int
    read_streams: int
    def __init__(self, server_id: _Optional[str] = ..., boot_id: _Optional[str] = ..., total_bytes: _Optional[int] = ..., used_bytes: _Optional[int] = ..., chunk_count: _Optional[int] = ..., corrupt_chunk_count: _Optional[int] = ..., write_streams: _Optional[int] = ..., read_streams: _Optional[int] = ...) -> None: ...

class HeartbeatResponse(_message.Message):
    __slots__ = ("groups",)
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[_types_pb2.GroupEpoch]
    def __init__(self, groups: _Optional[_Iterable[_Union[_types_pb2.GroupEpoch, _Mapping]]] = ...) -> None: ...
