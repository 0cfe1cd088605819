from dstore.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Durability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DURABILITY_UNSPECIFIED: _ClassVar[Durability]
    DURABILITY_SYNCED: _ClassVar[Durability]
    DURABILITY_REPLICATED: _ClassVar[Durability]
DURABILITY_UNSPECIFIED: Durability
DURABILITY_SYNCED: Durability
DURABILITY_REPLICATED: Durability

class Frame(_message.Message):
    __slots__ = ("offset", "crc32c", "data")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    offset: int
    crc32c: int
    data: bytes
    def __init__(self, offset: _Optional[int] = ..., crc32c: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class WriteChunkRequest(_message.Message):
    __slots__ = ("header", "frame", "finish")
    class Header(_message.Message):
        __slots__ = ("chunk_id", "cluster_id", "group_epoch", "length_bytes", "durability", "chain", "descriptor")
        CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
        CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
        GROUP_EPOCH_FIELD_NUMBER: _ClassVar[int]
        LENGTH_BYTES_FIELD_NUMBER: _ClassVar[int]
        DURABILITY_FIELD_NUMBER: _ClassVar[int]
        CHAIN_FIELD_NUMBER: _ClassVar[int]
        DESCRIPTOR_FIELD_NUMBER: _ClassVar[int]
        chunk_id: _types_pb2.ChunkId
        cluster_id: str
        group_epoch: int
        length_bytes: int
        durability: Durability
        chain: _containers.RepeatedCompositeFieldContainer[_types_pb2.ChainMember]
        descriptor: bytes
        def __init__(self, chunk_id: _Optional[_Union[_types_pb2.ChunkId, _Mapping]] = ..., cluster_id: _Optional[str] = ..., group_epoch: _Optional[int] = ..., length_bytes: _Optional[int] = ..., durability: _Optional[_Union[Durability, str]] = ..., chain: _Optional[_Iterable[_Union[_types_pb2.ChainMember, _Mapping]]] = ..., descriptor: _Optional[bytes] = ...) -> None: ...
    class Finish(_message.Message):
        __slots__ = ("length_bytes", "crc32c")
        LENGTH_BYTES_FIELD_NUMBER: _ClassVar[int]
        CRC32C_FIELD_NUMBER: _ClassVar[int]
        length_bytes: int
        crc32c: int
        def __init__(self, length_bytes: _Optional[int] = ..., crc32c: _Optional[int] = ...) -> None: ...
    HEADER_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    header: WriteChunkRequest.Header
    frame: Frame
    finish: WriteChunkRequest.Finish
    def __init__(self, header: _Optional[_Union[WriteChunkRequest.Header, _Mapping]] = ..., frame: _Optional[_Union[Frame, _Mapping]] = ..., finish: _Optional[_Union[WriteChunkRequest.Finish, _Mapping]] = ...) -> None: ...

class ReplicaAck(_message.Message):
    __slots__ = ("server_id", "durability")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    durability: Durability
    def __init__(self, server_id: _Optional[str] = ..., durability: _Optional[_Union[Durability, str]] = ...) -> None: ...

class WriteChunkResponse(_message.Message):
    __slots__ = ("replicas",)
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    replicas: _containers.RepeatedCompositeFieldContainer[ReplicaAck]
    def __init__(self, replicas: _Optional[_Iterable[_Union[ReplicaAck, _Mapping]]] = ...) -> None: ...

class ReadChunkRequest(_message.Message):
    __slots__ = ("chunk_id", "offset", "length_bytes", "frame_size_bytes")
    CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_BYTES_FIELD_NUMBER: _ClassVar[int]
    FRAME_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    chunk_id: _types_pb2.ChunkId
    offset: int
    length_bytes: int
    frame_size_bytes: int
    def __init__(self, chunk_id: _Optional[_Union[_types_pb2.ChunkId, _Mapping]] = ..., offset: _Optional[int] = ..., length_bytes: _Optional[int] = ..., frame_size_bytes: _Optional[int] = ...) -> None: ...

class ReadChunkResponse(_message.Message):
    __slots__ = ("frame",)
    FRAME_FIELD_NUMBER: _ClassVar[int]
    frame: Frame
    def __init__(self, frame: _Optional[_Union[Frame, _Mapping]] = ...) -> None: ...

class ReadRangeRequest(_message.Message):
    __slots__ = ("chunk_id", "offset", "length_bytes")
    CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_BYTES_FIELD_NUMBER: _ClassVar[int]
    chunk_id: _types_pb2.ChunkId
    offset: int
    length_bytes: int
    def __init__(self, chunk_id: _Optional[_Union[_types_pb2.ChunkId, _Mapping]] = ..., offset: _Optional[int] = ..., length_bytes: _Optional[int] = ...) -> None: ...

class ReadRangeResponse(_message.Message):
    __slots__ = ("frame",)
    FRAME_FIELD_NUMBER: _ClassVar[int]
    frame: Frame
    def __init__(self, frame: _Optional[_Union[Frame, _Mapping]] = ...) -> None: ...

class StatChunkRequest(_message.Message):
    __slots__ = ("chunk_id",)
    CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
    chunk_id: _types_pb2.ChunkId
    def __init__(self, chunk_id: _Optional[_Union[_types_pb2.ChunkId, _Mapping]] = ...) -> None: ...

class StatChunkResponse(_message.Message):
    __slots__ = ("chunk_id", "length_bytes", "crc32c", "descriptor")
    CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
    LENGTH_BYTES_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTOR_FIELD_NUMBER: _ClassVar[int]
    chunk_id: _types_pb2.ChunkId
    length_bytes: int
    crc32c: int
    descriptor: bytes
    def __init__(self, chunk_id: _Optional[_Union[_types_pb2.ChunkId, _Mapping]] = ..., length_bytes: _Optional[int] = ..., crc32c: _Optional[int] = ..., descriptor: _Optional[bytes] = ...) -> None: ...

class GetGroupDigestRequest(_message.Message):
    __slots__ = ("group_id",)
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    group_id: int
    def __init__(self, group_id: _Optional[int] = ...) -> None: ...

class GetGroupDigestResponse(_message.Message):
    __slots__ = ("group_id", "epoch", "chunk_count", "buckets")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    group_id: int
    epoch: int
    chunk_count: int
    buckets: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, group_id: _Optional[int] = ..., epoch: _Optional[int] = ..., chunk_count: _Optional[int] = ..., buckets: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ListGroupRequest(_message.Message):
    __slots__ = ("group_id", "bucket", "after_sequence", "page_size")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    group_id: int
    bucket: int
    after_sequence: int
    page_size: int
    def __init__(self, group_id: _Optional[int] = ..., bucket: _Optional[int] = ..., after_sequence: _Optional[int] = ..., page_size: _Optional[int] = ...) -> None: ...

class ListGroupResponse(_message.Message):
    __slots__ = ("chunks", "last_page")
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    LAST_PAGE_FIELD_NUMBER: _ClassVar[int]
    chunks: _containers.RepeatedCompositeFieldContainer[HeldChunk]
    last_page: bool
    def __init__(self, chunks: _Optional[_Iterable[_Union[HeldChunk, _Mapping]]] = ..., last_page: bool = ...) -> None: ...

class HeldChunk(_message.Message):
    __slots__ = ("sequence", "length_bytes", "crc32c")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LENGTH_BYTES_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    length_bytes: int
    crc32c: int
    def __init__(self, sequence: _Optional[int] = ..., length_bytes: _Optional[int] = ..., crc32c: _Optional[int] = ...) -> None: ...
