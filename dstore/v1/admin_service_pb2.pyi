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

class Health(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HEALTH_UNSPECIFIED: _ClassVar[Health]
    HEALTH_OK: _ClassVar[Health]
    HEALTH_WARN: _ClassVar[Health]
    HEALTH_ERR: _ClassVar[Health]

class NodeDuty(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NODE_DUTY_UNSPECIFIED: _ClassVar[NodeDuty]
    NODE_DUTY_ACTIVE: _ClassVar[NodeDuty]
    NODE_DUTY_DRAINING: _ClassVar[NodeDuty]
    NODE_DUTY_MAINTENANCE: _ClassVar[NodeDuty]

class PauseAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAUSE_ACTION_UNSPECIFIED: _ClassVar[PauseAction]
    PAUSE_ACTION_PAUSE: _ClassVar[PauseAction]
    PAUSE_ACTION_RESUME: _ClassVar[PauseAction]

class Severity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEVERITY_UNSPECIFIED: _ClassVar[Severity]
    SEVERITY_INFO: _ClassVar[Severity]
    SEVERITY_WARN: _ClassVar[Severity]
    SEVERITY_ERROR: _ClassVar[Severity]

class CollectionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COLLECTION_STATE_UNSPECIFIED: _ClassVar[CollectionState]
    COLLECTION_STATE_RUNNING: _ClassVar[CollectionState]
    COLLECTION_STATE_POSTPONED: _ClassVar[CollectionState]
    COLLECTION_STATE_STOPPED: _ClassVar[CollectionState]
    COLLECTION_STATE_SAFE_MODE: _ClassVar[CollectionState]
HEALTH_UNSPECIFIED: Health
HEALTH_OK: Health
HEALTH_WARN: Health
HEALTH_ERR: Health
NODE_DUTY_UNSPECIFIED: NodeDuty
NODE_DUTY_ACTIVE: NodeDuty
NODE_DUTY_DRAINING: NodeDuty
NODE_DUTY_MAINTENANCE: NodeDuty
PAUSE_ACTION_UNSPECIFIED: PauseAction
PAUSE_ACTION_PAUSE: PauseAction
PAUSE_ACTION_RESUME: PauseAction
SEVERITY_UNSPECIFIED: Severity
SEVERITY_INFO: Severity
SEVERITY_WARN: Severity
SEVERITY_ERROR: Severity
COLLECTION_STATE_UNSPECIFIED: CollectionState
COLLECTION_STATE_RUNNING: CollectionState
COLLECTION_STATE_POSTPONED: CollectionState
COLLECTION_STATE_STOPPED: CollectionState
COLLECTION_STATE_SAFE_MODE: CollectionState

class SetNodeDutyRequest(_message.Message):
    __slots__ = ("name", "duty", "duration", "dry_run")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DUTY_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    name: str
    duty: NodeDuty
    duration: _duration_pb2.Duration
    dry_run: bool
    def __init__(self, name: _Optional[str] = ..., duty: _Optional[_Union[NodeDuty, str]] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., dry_run: bool = ...) -> None: ...

class SetNodeDutyResponse(_message.Message):
    __slots__ = ("name", "duty", "applied", "moves", "move_count", "copied", "copied_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DUTY_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    MOVES_FIELD_NUMBER: _ClassVar[int]
    MOVE_COUNT_FIELD_NUMBER: _ClassVar[int]
    COPIED_FIELD_NUMBER: _ClassVar[int]
    COPIED_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    duty: NodeDuty
    applied: bool
    moves: _containers.RepeatedCompositeFieldContainer[MemberMove]
    move_count: int
    copied: str
    copied_bytes: int
    def __init__(self, name: _Optional[str] = ..., duty: _Optional[_Union[NodeDuty, str]] = ..., applied: bool = ..., moves: _Optional[_Iterable[_Union[MemberMove, _Mapping]]] = ..., move_count: _Optional[int] = ..., copied: _Optional[str] = ..., copied_bytes: _Optional[int] = ...) -> None: ...

class MemberMove(_message.Message):
    __slots__ = ("group_id", "source", "target", "bytes")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    group_id: int
    source: str
    target: str
    bytes: int
    def __init__(self, group_id: _Optional[int] = ..., source: _Optional[str] = ..., target: _Optional[str] = ..., bytes: _Optional[int] = ...) -> None: ...

class RemoveNodeRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RemoveNodeResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BalanceClusterRequest(_message.Message):
    __slots__ = ("action",)
    ACTION_FIELD_NUMBER: _ClassVar[int]
    action: PauseAction
    def __init__(self, action: _Optional[_Union[PauseAction, str]] = ...) -> None: ...

class BalanceClusterResponse(_message.Message):
    __slots__ = ("paused", "moves", "move_count", "copied", "copied_bytes", "spread_before", "spread_after", "refusal")
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    MOVES_FIELD_NUMBER: _ClassVar[int]
    MOVE_COUNT_FIELD_NUMBER: _ClassVar[int]
    COPIED_FIELD_NUMBER: _ClassVar[int]
    COPIED_BYTES_FIELD_NUMBER: _ClassVar[int]
    SPREAD_BEFORE_FIELD_NUMBER: _ClassVar[int]
    SPREAD_AFTER_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    paused: bool
    moves: _containers.RepeatedCompositeFieldContainer[MemberMove]
    move_count: int
    copied: str
    copied_bytes: int
    spread_before: float
    spread_after: float
    refusal: str
    def __init__(self, paused: bool = ..., moves: _Optional[_Iterable[_Union[MemberMove, _Mapping]]] = ..., move_count: _Optional[int] = ..., copied: _Optional[str] = ..., copied_bytes: _Optional[int] = ..., spread_before: _Optional[float] = ..., spread_after: _Optional[float] = ..., refusal: _Optional[str] = ...) -> None: ...

class SetScrubRequest(_message.Message):
    __slots__ = ("action",)
    ACTION_FIELD_NUMBER: _ClassVar[int]
    action: PauseAction
    def __init__(self, action: _Optional[_Union[PauseAction, str]] = ...) -> None: ...

class SetScrubResponse(_message.Message):
    __slots__ = ("paused", "period")
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    paused: bool
    period: _duration_pb2.Duration
    def __init__(self, paused: bool = ..., period: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class GetClusterStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetClusterStatusResponse(_message.Message):
    __slots__ = ("health", "summary", "checks", "servers_up", "servers_total", "under_replicated_chunks", "unavailable_chunks", "chunks", "files", "directories", "logical", "logical_bytes", "stored", "stored_bytes", "free", "free_bytes", "deleted_chunks", "writes_in_progress", "groups", "cluster_id", "version", "policy", "retained_files", "retained", "retained_bytes", "trashed_copies", "unsynced_copies", "unsynced", "unsynced_bytes", "unsynced_age", "time", "traffic", "repair", "group_states", "leading", "leader_epoch")
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    SERVERS_UP_FIELD_NUMBER: _ClassVar[int]
    SERVERS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    UNDER_REPLICATED_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    UNAVAILABLE_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    DIRECTORIES_FIELD_NUMBER: _ClassVar[int]
    LOGICAL_FIELD_NUMBER: _ClassVar[int]
    LOGICAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    STORED_BYTES_FIELD_NUMBER: _ClassVar[int]
    FREE_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DELETED_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    WRITES_IN_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    RETAINED_FILES_FIELD_NUMBER: _ClassVar[int]
    RETAINED_FIELD_NUMBER: _ClassVar[int]
    RETAINED_BYTES_FIELD_NUMBER: _ClassVar[int]
    TRASHED_COPIES_FIELD_NUMBER: _ClassVar[int]
    UNSYNCED_COPIES_FIELD_NUMBER: _ClassVar[int]
    UNSYNCED_FIELD_NUMBER: _ClassVar[int]
    UNSYNCED_BYTES_FIELD_NUMBER: _ClassVar[int]
    UNSYNCED_AGE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    REPAIR_FIELD_NUMBER: _ClassVar[int]
    GROUP_STATES_FIELD_NUMBER: _ClassVar[int]
    LEADING_FIELD_NUMBER: _ClassVar[int]
    LEADER_EPOCH_FIELD_NUMBER: _ClassVar[int]
    health: Health
    summary: str
    checks: _containers.RepeatedCompositeFieldContainer[HealthCheck]
    servers_up: int
    servers_total: int
    under_replicated_chunks: int
    unavailable_chunks: int
    chunks: int
    files: int
    directories: int
    logical: str
    logical_bytes: int
    stored: str
    stored_bytes: int
    free: str
    free_bytes: int
    deleted_chunks: int
    writes_in_progress: int
    groups: int
    cluster_id: str
    version: str
    policy: _types_pb2.Policy
    retained_files: int
    retained: str
    retained_bytes: int
    trashed_copies: int
    unsynced_copies: int
    unsynced: str
    unsynced_bytes: int
    unsynced_age: _duration_pb2.Duration
    time: _timestamp_pb2.Timestamp
    traffic: Traffic
    repair: RepairProgress
    group_states: GroupStates
    leading: bool
    leader_epoch: int
    def __init__(self, health: _Optional[_Union[Health, str]] = ..., summary: _Optional[str] = ..., checks: _Optional[_Iterable[_Union[HealthCheck, _Mapping]]] = ..., servers_up: _Optional[int] = ..., servers_total: _Optional[int] = ..., under_replicated_chunks: _Optional[int] = ..., unavailable_chunks: _Optional[int] = ..., chunks: _Optional[int] = ..., files: _Optional[int] = ..., directories: _Optional[int] = ..., logical: _Optional[str] = ..., logical_bytes: _Optional[int] = ..., stored: _Optional[str] = ..., stored_bytes: _Optional[int] = ..., free: _Optional[str] = ..., free_bytes: _Optional[int] = ..., deleted_chunks: _Optional[int] = ..., writes_in_progress: _Optional[int] = ..., groups: _Optional[int] = ..., cluster_id: _Optional[str] = ..., version: _Optional[str] = ..., policy: _Optional[_Union[_types_pb2.Policy, _Mapping]] = ..., retained_files: _Optional[int] = ..., retained: _Optional[str] = ..., retained_bytes: _Optional[int] = ..., trashed_copies: _Optional[int] = ..., unsynced_copies: _Optional[int] = ..., unsynced: _Optional[str] = ..., unsynced_bytes: _Optional[int] = ..., unsynced_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., traffic: _Optional[_Union[Traffic, _Mapping]] = ..., repair: _Optional[_Union[RepairProgress, _Mapping]] = ..., group_states: _Optional[_Union[GroupStates, _Mapping]] = ..., leading: bool = ..., leader_epoch: _Optional[int] = ...) -> None: ...

class Traffic(_message.Message):
    __slots__ = ("summary", "total", "per_second")
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    summary: str
    total: ByteCounts
    per_second: ByteCounts
    def __init__(self, summary: _Optional[str] = ..., total: _Optional[_Union[ByteCounts, _Mapping]] = ..., per_second: _Optional[_Union[ByteCounts, _Mapping]] = ...) -> None: ...

class ByteCounts(_message.Message):
    __slots__ = ("read_bytes", "write_bytes", "copied_bytes", "scrubbed_bytes")
    READ_BYTES_FIELD_NUMBER: _ClassVar[int]
    WRITE_BYTES_FIELD_NUMBER: _ClassVar[int]
    COPIED_BYTES_FIELD_NUMBER: _ClassVar[int]
    SCRUBBED_BYTES_FIELD_NUMBER: _ClassVar[int]
    read_bytes: int
    write_bytes: int
    copied_bytes: int
    scrubbed_bytes: int
    def __init__(self, read_bytes: _Optional[int] = ..., write_bytes: _Optional[int] = ..., copied_bytes: _Optional[int] = ..., scrubbed_bytes: _Optional[int] = ...) -> None: ...

class RepairProgress(_message.Message):
    __slots__ = ("filling_copies", "left", "left_bytes", "bytes_per_second", "left_time")
    FILLING_COPIES_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    LEFT_BYTES_FIELD_NUMBER: _ClassVar[int]
    BYTES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    LEFT_TIME_FIELD_NUMBER: _ClassVar[int]
    filling_copies: int
    left: str
    left_bytes: int
    bytes_per_second: int
    left_time: _duration_pb2.Duration
    def __init__(self, filling_copies: _Optional[int] = ..., left: _Optional[str] = ..., left_bytes: _Optional[int] = ..., bytes_per_second: _Optional[int] = ..., left_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class GroupStates(_message.Message):
    __slots__ = ("whole", "filling", "degraded", "unavailable")
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    FILLING_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    whole: int
    filling: int
    degraded: int
    unavailable: int
    def __init__(self, whole: _Optional[int] = ..., filling: _Optional[int] = ..., degraded: _Optional[int] = ..., unavailable: _Optional[int] = ...) -> None: ...

class HealthCheck(_message.Message):
    __slots__ = ("code", "severity", "message", "hint")
    CODE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    code: str
    severity: Health
    message: str
    hint: str
    def __init__(self, code: _Optional[str] = ..., severity: _Optional[_Union[Health, str]] = ..., message: _Optional[str] = ..., hint: _Optional[str] = ...) -> None: ...

class ListNodesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListNodesResponse(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[Node]
    def __init__(self, nodes: _Optional[_Iterable[_Union[Node, _Mapping]]] = ...) -> None: ...

class Node(_message.Message):
    __slots__ = ("name", "phase", "address", "last_heartbeat_age", "chunks", "missing_chunks", "groups", "groups_led", "fill_percent", "total", "total_bytes", "used_bytes", "host", "rack", "http_address", "server_id", "version", "duty", "filling_groups", "corrupt_chunks", "probe_latency", "scrub_position", "scrub_age", "unsynced_chunks", "clock_ahead_seconds", "traffic")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LAST_HEARTBEAT_AGE_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    MISSING_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_LED_FIELD_NUMBER: _ClassVar[int]
    FILL_PERCENT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    RACK_FIELD_NUMBER: _ClassVar[int]
    HTTP_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DUTY_FIELD_NUMBER: _ClassVar[int]
    FILLING_GROUPS_FIELD_NUMBER: _ClassVar[int]
    CORRUPT_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    PROBE_LATENCY_FIELD_NUMBER: _ClassVar[int]
    SCRUB_POSITION_FIELD_NUMBER: _ClassVar[int]
    SCRUB_AGE_FIELD_NUMBER: _ClassVar[int]
    UNSYNCED_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_AHEAD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    name: str
    phase: _types_pb2.ServerPhase
    address: str
    last_heartbeat_age: _duration_pb2.Duration
    chunks: int
    missing_chunks: int
    groups: int
    groups_led: int
    fill_percent: int
    total: str
    total_bytes: int
    used_bytes: int
    host: str
    rack: str
    http_address: str
    server_id: str
    version: str
    duty: NodeDuty
    filling_groups: int
    corrupt_chunks: int
    probe_latency: _duration_pb2.Duration
    scrub_position: float
    scrub_age: _duration_pb2.Duration
    unsynced_chunks: int
    clock_ahead_seconds: float
    traffic: Traffic
    def __init__(self, name: _Optional[str] = ..., phase: _Optional[_Union[_types_pb2.ServerPhase, str]] = ..., address: _Optional[str] = ..., last_heartbeat_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., chunks: _Optional[int] = ..., missing_chunks: _Optional[int] = ..., groups: _Optional[int] = ..., groups_led: _Optional[int] = ..., fill_percent: _Optional[int] = ..., total: _Optional[str] = ..., total_bytes: _Optional[int] = ..., used_bytes: _Optional[int] = ..., host: _Optional[str] = ..., rack: _Optional[str] = ..., http_address: _Optional[str] = ..., server_id: _Optional[str] = ..., version: _Optional[str] = ..., duty: _Optional[_Union[NodeDuty, str]] = ..., filling_groups: _Optional[int] = ..., corrupt_chunks: _Optional[int] = ..., probe_latency: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., scrub_position: _Optional[float] = ..., scrub_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., unsynced_chunks: _Optional[int] = ..., clock_ahead_seconds: _Optional[float] = ..., traffic: _Optional[_Union[Traffic, _Mapping]] = ...) -> None: ...

class DescribeFileRequest(_message.Message):
    __slots__ = ("path", "start_index", "page_size")
    PATH_FIELD_NUMBER: _ClassVar[int]
    START_INDEX_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    path: str
    start_index: int
    page_size: int
    def __init__(self, path: _Optional[str] = ..., start_index: _Optional[int] = ..., page_size: _Optional[int] = ...) -> None: ...

class DescribeFileResponse(_message.Message):
    __slots__ = ("info", "policy", "key_ids", "chunks", "next_index")
    INFO_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    KEY_IDS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_INDEX_FIELD_NUMBER: _ClassVar[int]
    info: _types_pb2.FileInfo
    policy: _types_pb2.Policy
    key_ids: _containers.RepeatedScalarFieldContainer[str]
    chunks: _containers.RepeatedCompositeFieldContainer[ChunkDescription]
    next_index: int
    def __init__(self, info: _Optional[_Union[_types_pb2.FileInfo, _Mapping]] = ..., policy: _Optional[_Union[_types_pb2.Policy, _Mapping]] = ..., key_ids: _Optional[_Iterable[str]] = ..., chunks: _Optional[_Iterable[_Union[ChunkDescription, _Mapping]]] = ..., next_index: _Optional[int] = ...) -> None: ...

class ChunkDescription(_message.Message):
    __slots__ = ("index", "chunk", "length_bytes", "crc32c", "group_id", "group_epoch", "replicas", "chunk_id")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    LENGTH_BYTES_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_EPOCH_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
    index: int
    chunk: str
    length_bytes: int
    crc32c: str
    group_id: int
    group_epoch: int
    replicas: _containers.RepeatedCompositeFieldContainer[ReplicaDescription]
    chunk_id: _types_pb2.ChunkId
    def __init__(self, index: _Optional[int] = ..., chunk: _Optional[str] = ..., length_bytes: _Optional[int] = ..., crc32c: _Optional[str] = ..., group_id: _Optional[int] = ..., group_epoch: _Optional[int] = ..., replicas: _Optional[_Iterable[_Union[ReplicaDescription, _Mapping]]] = ..., chunk_id: _Optional[_Union[_types_pb2.ChunkId, _Mapping]] = ...) -> None: ...

class ReplicaDescription(_message.Message):
    __slots__ = ("server", "phase", "missing", "address", "server_id")
    SERVER_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    server: str
    phase: _types_pb2.ServerPhase
    missing: bool
    address: str
    server_id: str
    def __init__(self, server: _Optional[str] = ..., phase: _Optional[_Union[_types_pb2.ServerPhase, str]] = ..., missing: bool = ..., address: _Optional[str] = ..., server_id: _Optional[str] = ...) -> None: ...

class CheckClusterRequest(_message.Message):
    __slots__ = ("repair",)
    REPAIR_FIELD_NUMBER: _ClassVar[int]
    repair: bool
    def __init__(self, repair: bool = ...) -> None: ...

class CheckClusterResponse(_message.Message):
    __slots__ = ("finding", "summary")
    FINDING_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    finding: Finding
    summary: CheckSummary
    def __init__(self, finding: _Optional[_Union[Finding, _Mapping]] = ..., summary: _Optional[_Union[CheckSummary, _Mapping]] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("kind", "severity", "what", "hint", "path", "chunk", "server", "repaired")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    REPAIRED_FIELD_NUMBER: _ClassVar[int]
    kind: str
    severity: Severity
    what: str
    hint: str
    path: str
    chunk: str
    server: str
    repaired: bool
    def __init__(self, kind: _Optional[str] = ..., severity: _Optional[_Union[Severity, str]] = ..., what: _Optional[str] = ..., hint: _Optional[str] = ..., path: _Optional[str] = ..., chunk: _Optional[str] = ..., server: _Optional[str] = ..., repaired: bool = ...) -> None: ...

class CheckSummary(_message.Message):
    __slots__ = ("complete", "errors", "warnings", "infos", "repaired", "files", "directories", "chunks", "replicas")
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    INFOS_FIELD_NUMBER: _ClassVar[int]
    REPAIRED_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    DIRECTORIES_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    complete: bool
    errors: int
    warnings: int
    infos: int
    repaired: int
    files: int
    directories: int
    chunks: int
    replicas: int
    def __init__(self, complete: bool = ..., errors: _Optional[int] = ..., warnings: _Optional[int] = ..., infos: _Optional[int] = ..., repaired: _Optional[int] = ..., files: _Optional[int] = ..., directories: _Optional[int] = ..., chunks: _Optional[int] = ..., replicas: _Optional[int] = ...) -> None: ...

class GetCollectionRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCollectionResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: CollectionStatus
    def __init__(self, collection: _Optional[_Union[CollectionStatus, _Mapping]] = ...) -> None: ...

class ApproveCollectionRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ApproveCollectionResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: CollectionStatus
    def __init__(self, collection: _Optional[_Union[CollectionStatus, _Mapping]] = ...) -> None: ...

class CollectionStatus(_message.Message):
    __slots__ = ("state", "reason", "deleted_chunks", "ordered_chunks", "owed_chunks", "stray_groups", "stop")
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DELETED_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    ORDERED_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    OWED_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    STRAY_GROUPS_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    state: CollectionState
    reason: str
    deleted_chunks: int
    ordered_chunks: int
    owed_chunks: int
    stray_groups: int
    stop: CollectionStop
    def __init__(self, state: _Optional[_Union[CollectionState, str]] = ..., reason: _Optional[str] = ..., deleted_chunks: _Optional[int] = ..., ordered_chunks: _Optional[int] = ..., owed_chunks: _Optional[int] = ..., stray_groups: _Optional[int] = ..., stop: _Optional[_Union[CollectionStop, _Mapping]] = ...) -> None: ...

class CollectionStop(_message.Message):
    __slots__ = ("server", "lost_chunks", "due_chunks", "held_chunks", "server_id", "deleted_before_seconds")
    SERVER_FIELD_NUMBER: _ClassVar[int]
    LOST_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    DUE_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    HELD_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    DELETED_BEFORE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    server: str
    lost_chunks: int
    due_chunks: int
    held_chunks: int
    server_id: str
    deleted_before_seconds: int
    def __init__(self, server: _Optional[str] = ..., lost_chunks: _Optional[int] = ..., due_chunks: _Optional[int] = ..., held_chunks: _Optional[int] = ..., server_id: _Optional[str] = ..., deleted_before_seconds: _Optional[int] = ...) -> None: ...

class GetSafeModeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetSafeModeResponse(_message.Message):
    __slots__ = ("safe_mode",)
    SAFE_MODE_FIELD_NUMBER: _ClassVar[int]
    safe_mode: SafeMode
    def __init__(self, safe_mode: _Optional[_Union[SafeMode, _Mapping]] = ...) -> None: ...

class LeaveSafeModeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LeaveSafeModeResponse(_message.Message):
    __slots__ = ("safe_mode",)
    SAFE_MODE_FIELD_NUMBER: _ClassVar[int]
    safe_mode: SafeMode
    def __init__(self, safe_mode: _Optional[_Union[SafeMode, _Mapping]] = ...) -> None: ...

class SafeMode(_message.Message):
    __slots__ = ("on", "reason", "history_id", "earlier_history_ids")
    ON_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    HISTORY_ID_FIELD_NUMBER: _ClassVar[int]
    EARLIER_HISTORY_IDS_FIELD_NUMBER: _ClassVar[int]
    on: bool
    reason: str
    history_id: str
    earlier_history_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, on: bool = ..., reason: _Optional[str] = ..., history_id: _Optional[str] = ..., earlier_history_ids: _Optional[_Iterable[str]] = ...) -> None: ...
