from dstore.v1 import types_pb2 as _types_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
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
    __slots__ = ("cluster_id", "heartbeat_interval", "incarnation", "orders")
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    cluster_id: str
    heartbeat_interval: _duration_pb2.Duration
    incarnation: int
    orders: Orders
    def __init__(self, cluster_id: _Optional[str] = ..., heartbeat_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., incarnation: _Optional[int] = ..., orders: _Optional[_Union[Orders, _Mapping]] = ...) -> None: ...

class Standing(_message.Message):
    __slots__ = ("leader_epoch", "history_id", "transaction")
    LEADER_EPOCH_FIELD_NUMBER: _ClassVar[int]
    HISTORY_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    leader_epoch: int
    history_id: str
    transaction: int
    def __init__(self, leader_epoch: _Optional[int] = ..., history_id: _Optional[str] = ..., transaction: _Optional[int] = ...) -> None: ...

class HeartbeatRequest(_message.Message):
    __slots__ = ("server_id", "boot_id", "total_bytes", "used_bytes", "chunk_count", "corrupt_chunk_count", "write_streams", "read_streams", "incarnation", "trash_count", "probe_latency", "probe_pending", "queue_depth", "suspicion", "standing", "settled_sequence", "newest_sequence", "assignments_digest", "groups", "outcomes", "scrub", "copying", "send_time", "unsynced_chunk_count", "unsynced_bytes", "unsynced_age", "doubts", "read_bytes", "write_bytes")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    CORRUPT_CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    WRITE_STREAMS_FIELD_NUMBER: _ClassVar[int]
    READ_STREAMS_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    TRASH_COUNT_FIELD_NUMBER: _ClassVar[int]
    PROBE_LATENCY_FIELD_NUMBER: _ClassVar[int]
    PROBE_PENDING_FIELD_NUMBER: _ClassVar[int]
    QUEUE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    SUSPICION_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    SETTLED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    NEWEST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    SCRUB_FIELD_NUMBER: _ClassVar[int]
    COPYING_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_FIELD_NUMBER: _ClassVar[int]
    UNSYNCED_CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNSYNCED_BYTES_FIELD_NUMBER: _ClassVar[int]
    UNSYNCED_AGE_FIELD_NUMBER: _ClassVar[int]
    DOUBTS_FIELD_NUMBER: _ClassVar[int]
    READ_BYTES_FIELD_NUMBER: _ClassVar[int]
    WRITE_BYTES_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    boot_id: str
    total_bytes: int
    used_bytes: int
    chunk_count: int
    corrupt_chunk_count: int
    write_streams: int
    read_streams: int
    incarnation: int
    trash_count: int
    probe_latency: _duration_pb2.Duration
    probe_pending: _duration_pb2.Duration
    queue_depth: int
    suspicion: str
    standing: Standing
    settled_sequence: int
    newest_sequence: int
    assignments_digest: bytes
    groups: _containers.RepeatedCompositeFieldContainer[GroupSummary]
    outcomes: Outcomes
    scrub: ScrubReport
    copying: CopyReport
    send_time: _timestamp_pb2.Timestamp
    unsynced_chunk_count: int
    unsynced_bytes: int
    unsynced_age: _duration_pb2.Duration
    doubts: _containers.RepeatedCompositeFieldContainer[GroupDoubt]
    read_bytes: int
    write_bytes: int
    def __init__(self, server_id: _Optional[str] = ..., boot_id: _Optional[str] = ..., total_bytes: _Optional[int] = ..., used_bytes: _Optional[int] = ..., chunk_count: _Optional[int] = ..., corrupt_chunk_count: _Optional[int] = ..., write_streams: _Optional[int] = ..., read_streams: _Optional[int] = ..., incarnation: _Optional[int] = ..., trash_count: _Optional[int] = ..., probe_latency: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., probe_pending: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., queue_depth: _Optional[int] = ..., suspicion: _Optional[str] = ..., standing: _Optional[_Union[Standing, _Mapping]] = ..., settled_sequence: _Optional[int] = ..., newest_sequence: _Optional[int] = ..., assignments_digest: _Optional[bytes] = ..., groups: _Optional[_Iterable[_Union[GroupSummary, _Mapping]]] = ..., outcomes: _Optional[_Union[Outcomes, _Mapping]] = ..., scrub: _Optional[_Union[ScrubReport, _Mapping]] = ..., copying: _Optional[_Union[CopyReport, _Mapping]] = ..., send_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., unsynced_chunk_count: _Optional[int] = ..., unsynced_bytes: _Optional[int] = ..., unsynced_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., doubts: _Optional[_Iterable[_Union[GroupDoubt, _Mapping]]] = ..., read_bytes: _Optional[int] = ..., write_bytes: _Optional[int] = ...) -> None: ...

class GroupDoubt(_message.Message):
    __slots__ = ("group_id", "number")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    group_id: int
    number: int
    def __init__(self, group_id: _Optional[int] = ..., number: _Optional[int] = ...) -> None: ...

class GroupSummary(_message.Message):
    __slots__ = ("group_id", "epoch", "chunk_count", "chunk_bytes", "digest")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_BYTES_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    group_id: int
    epoch: int
    chunk_count: int
    chunk_bytes: int
    digest: bytes
    def __init__(self, group_id: _Optional[int] = ..., epoch: _Optional[int] = ..., chunk_count: _Optional[int] = ..., chunk_bytes: _Optional[int] = ..., digest: _Optional[bytes] = ...) -> None: ...

class Outcomes(_message.Message):
    __slots__ = ("filled", "held", "corrupt", "discarded", "dropped")
    FILLED_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    CORRUPT_FIELD_NUMBER: _ClassVar[int]
    DISCARDED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    filled: _containers.RepeatedCompositeFieldContainer[Filled]
    held: _containers.RepeatedCompositeFieldContainer[_types_pb2.ChunkId]
    corrupt: _containers.RepeatedCompositeFieldContainer[_types_pb2.ChunkId]
    discarded: _containers.RepeatedCompositeFieldContainer[_types_pb2.ChunkId]
    dropped: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, filled: _Optional[_Iterable[_Union[Filled, _Mapping]]] = ..., held: _Optional[_Iterable[_Union[_types_pb2.ChunkId, _Mapping]]] = ..., corrupt: _Optional[_Iterable[_Union[_types_pb2.ChunkId, _Mapping]]] = ..., discarded: _Optional[_Iterable[_Union[_types_pb2.ChunkId, _Mapping]]] = ..., dropped: _Optional[_Iterable[int]] = ...) -> None: ...

class Filled(_message.Message):
    __slots__ = ("group_id", "epoch", "compared")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    COMPARED_FIELD_NUMBER: _ClassVar[int]
    group_id: int
    epoch: int
    compared: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, group_id: _Optional[int] = ..., epoch: _Optional[int] = ..., compared: _Optional[_Iterable[str]] = ...) -> None: ...

class ScrubReport(_message.Message):
    __slots__ = ("passes", "position", "checked_bytes", "last_pass_age")
    PASSES_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    CHECKED_BYTES_FIELD_NUMBER: _ClassVar[int]
    LAST_PASS_AGE_FIELD_NUMBER: _ClassVar[int]
    passes: int
    position: float
    checked_bytes: int
    last_pass_age: _duration_pb2.Duration
    def __init__(self, passes: _Optional[int] = ..., position: _Optional[float] = ..., checked_bytes: _Optional[int] = ..., last_pass_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CopyReport(_message.Message):
    __slots__ = ("pending_groups", "pending_chunks", "copied_chunks", "copied_bytes", "failure")
    PENDING_GROUPS_FIELD_NUMBER: _ClassVar[int]
    PENDING_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    COPIED_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    COPIED_BYTES_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    pending_groups: int
    pending_chunks: int
    copied_chunks: int
    copied_bytes: int
    failure: str
    def __init__(self, pending_groups: _Optional[int] = ..., pending_chunks: _Optional[int] = ..., copied_chunks: _Optional[int] = ..., copied_bytes: _Optional[int] = ..., failure: _Optional[str] = ...) -> None: ...

class HeartbeatResponse(_message.Message):
    __slots__ = ("orders",)
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    orders: Orders
    def __init__(self, orders: _Optional[_Union[Orders, _Mapping]] = ...) -> None: ...

class Orders(_message.Message):
    __slots__ = ("standing", "settled_sequence", "assignments_unchanged", "assignments", "assignments_digest", "missing", "discards", "drops", "settings", "examined")
    STANDING_FIELD_NUMBER: _ClassVar[int]
    SETTLED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    DISCARDS_FIELD_NUMBER: _ClassVar[int]
    DROPS_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    EXAMINED_FIELD_NUMBER: _ClassVar[int]
    standing: Standing
    settled_sequence: int
    assignments_unchanged: bool
    assignments: _containers.RepeatedCompositeFieldContainer[Assignment]
    assignments_digest: bytes
    missing: _containers.RepeatedCompositeFieldContainer[_types_pb2.ChunkId]
    discards: _containers.RepeatedCompositeFieldContainer[_types_pb2.ChunkId]
    drops: _containers.RepeatedCompositeFieldContainer[_types_pb2.GroupEpoch]
    settings: UpkeepSettings
    examined: _containers.RepeatedCompositeFieldContainer[GroupDoubt]
    def __init__(self, standing: _Optional[_Union[Standing, _Mapping]] = ..., settled_sequence: _Optional[int] = ..., assignments_unchanged: bool = ..., assignments: _Optional[_Iterable[_Union[Assignment, _Mapping]]] = ..., assignments_digest: _Optional[bytes] = ..., missing: _Optional[_Iterable[_Union[_types_pb2.ChunkId, _Mapping]]] = ..., discards: _Optional[_Iterable[_Union[_types_pb2.ChunkId, _Mapping]]] = ..., drops: _Optional[_Iterable[_Union[_types_pb2.GroupEpoch, _Mapping]]] = ..., settings: _Optional[_Union[UpkeepSettings, _Mapping]] = ..., examined: _Optional[_Iterable[_Union[GroupDoubt, _Mapping]]] = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("group_id", "epoch", "state", "urgency", "sources")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    URGENCY_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    group_id: int
    epoch: int
    state: _types_pb2.MemberState
    urgency: int
    sources: _containers.RepeatedCompositeFieldContainer[CopySource]
    def __init__(self, group_id: _Optional[int] = ..., epoch: _Optional[int] = ..., state: _Optional[_Union[_types_pb2.MemberState, str]] = ..., urgency: _Optional[int] = ..., sources: _Optional[_Iterable[_Union[CopySource, _Mapping]]] = ...) -> None: ...

class CopySource(_message.Message):
    __slots__ = ("server_id", "address", "member")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    address: str
    member: bool
    def __init__(self, server_id: _Optional[str] = ..., address: _Optional[str] = ..., member: bool = ...) -> None: ...

class UpkeepSettings(_message.Message):
    __slots__ = ("scrub_period", "scrub_paused", "copy_bytes_per_second", "trash_delay")
    SCRUB_PERIOD_FIELD_NUMBER: _ClassVar[int]
    SCRUB_PAUSED_FIELD_NUMBER: _ClassVar[int]
    COPY_BYTES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    TRASH_DELAY_FIELD_NUMBER: _ClassVar[int]
    scrub_period: _duration_pb2.Duration
    scrub_paused: bool
    copy_bytes_per_second: int
    trash_delay: _duration_pb2.Duration
    def __init__(self, scrub_period: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., scrub_paused: bool = ..., copy_bytes_per_second: _Optional[int] = ..., trash_delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
