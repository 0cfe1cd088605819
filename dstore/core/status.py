"""Values that operators see: the health of a cluster and where a file is."""

from dataclasses import dataclass
from enum import Enum

from dstore.core.files import ChunkRecord, FileInfo, Policy
from dstore.core.groups import Capacity, Duty, Group, ServerLabels, ServerPhase
from dstore.core.ids import ClusterId, ServerId
from dstore.core.traffic import NO_TRAFFIC, Traffic


class Health(Enum):
    """One word for the state of a cluster; OK is never said while any redundancy is missing."""

    OK = "HEALTH_OK"
    WARN = "HEALTH_WARN"
    ERROR = "HEALTH_ERR"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One reason for a health that is not OK.

    Attributes:
        code: stable, UPPER_SNAKE_CASE, for example ``SERVER_DOWN``.
        severity: ``WARN`` or ``ERROR``.
        message: what is wrong.
        hint: the command that helps.
    """

    code: str
    severity: Health
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class RepairProgress:
    """How far the making of copies that are missing is.

    Attributes:
        filling_copies: copies of placement groups that are being made.
        left_bytes: what is to be copied for these, and single copies that are missing.
        bytes_per_s: copied over the last minute.
        left_s: how long it takes at this rate; None while nothing is copied.
    """

    filling_copies: int = 0
    left_bytes: int = 0
    bytes_per_s: int = 0
    left_s: float | None = None


@dataclass(frozen=True, slots=True)
class GroupStates:
    """How many placement groups there are in each state; every group is in one.

    Attributes:
        whole: all copies that the policy wants are on servers that are up, and nothing is missing in them.
        filling: a member is being filled, and no copy that should be whole is away.
        degraded: copies are missing, or on servers that are not up.
        unavailable: no whole copy is on a server that is up.
    """

    whole: int = 0
    filling: int = 0
    degraded: int = 0
    unavailable: int = 0


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A chunkserver as the master sees it.

    Attributes:
        last_heartbeat_age_s: None when it has not been heard since the master started.
        group_count: groups that it is a member of; ``lead_count``: of those, the ones it is first in.
        missing_chunk_count: chunks that it should hold and does not.
        filling_count: groups that it is being filled with.
        corrupt_chunk_count: chunks on its disk that failed a check.
        probe_latency_s: what a small write and fsync on its disk took.
        scrub_position: share of the present pass that is done, from 0 to 1.
        scrub_age_s: since the last full pass; None when there was none since its process started.
        unsynced_chunk_count: chunks that it has acknowledged as replicated and not synced yet.
        clock_ahead_s: how far its wall clock was ahead of the master's at its last heartbeat; negative when behind.
        traffic: what it moves.
    """

    server_id: ServerId
    name: str
    address: str
    http_address: str
    labels: ServerLabels
    phase: ServerPhase
    last_heartbeat_age_s: float | None
    capacity: Capacity
    chunk_count: int
    group_count: int
    lead_count: int
    missing_chunk_count: int
    version: str
    duty: Duty = Duty.ACTIVE
    filling_count: int = 0
    corrupt_chunk_count: int = 0
    probe_latency_s: float = 0.0
    scrub_position: float = 0.0
    scrub_age_s: float | None = None
    unsynced_chunk_count: int = 0
    clock_ahead_s: float = 0.0
    traffic: Traffic = NO_TRAFFIC


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """One screen about a cluster.

    Attributes:
        under_replicated_chunks: chunks of committed files with fewer copies than the policy wants, counting only
            servers that are up.
        unavailable_chunks: chunks of committed files with no copy on a server that is up.
        deleted_chunks: chunks whose retention is over, and of given-up writes, that still take space.
        retained_file_count: removed and replaced versions that can still be restored, and keep their chunks.
        retained_bytes: plaintext of these.
        trashed_copies: copies of chunks in the trash of all chunkservers that are heard.
        unsynced_copies: copies of chunks that were acknowledged as replicated and are not synced yet, as the servers
            that are heard reported last; a chunk is lost if the power of all machines that hold it is lost now.
        unsynced_bytes: ciphertext of these.
        unsynced_age_s: since the oldest of them was acknowledged.
        time_ns: the wall clock of the master when it answered; 0 when it does not say.
        traffic: what the servers that are heard move, summed; its totals go down when one of them restarts.
        repair: how far the making of copies that are missing is.
        group_states: placement groups by their state.
        is_leading: whether the master that answered runs the planners.
        leader_epoch: counts the masters that did, one after the other.
    """

    health: Health
    summary: str
    checks: tuple[HealthCheck, ...]
    cluster_id: ClusterId
    version: str
    policy: Policy
    servers_up: int
    servers_total: int
    group_count: int
    file_count: int
    directory_count: int
    chunk_count: int
    logical_bytes: int
    stored_bytes: int
    under_replicated_chunks: int
    unavailable_chunks: int
    deleted_chunks: int
    writes_in_progress: int
    capacity: Capacity
    servers: tuple[ServerStatus, ...]
    retained_file_count: int = 0
    retained_bytes: int = 0
    trashed_copies: int = 0
    unsynced_copies: int = 0
    unsynced_bytes: int = 0
    unsynced_age_s: float = 0.0
    time_ns: int = 0
    traffic: Traffic = NO_TRAFFIC
    repair: RepairProgress = RepairProgress()
    group_states: GroupStates = GroupStates()
    is_leading: bool = False
    leader_epoch: int = 0


@dataclass(frozen=True, slots=True)
class ChunkDescription:
    """One chunk of a file: its record, its group and the members that are known not to hold it."""

    record: ChunkRecord
    group: Group
    missing: tuple[ServerId, ...]


@dataclass(frozen=True, slots=True)
class FileDescription:
    """Where a file is: chunks, groups, replicas."""

    info: FileInfo
    policy: Policy
    key_ids: tuple[bytes, ...]
    chunks: tuple[ChunkDescription, ...]
    next_chunk_index: int | None
