"""Values of what operators see of the collection, of safe mode, and of the check of a whole cluster."""

from dataclasses import dataclass
from enum import Enum

from dstore.core.ids import ChunkId, ServerId


class CollectionState(Enum):
    """Whether anything is deleted now."""

    #: What may be deleted is being deleted.
    RUNNING = "running"
    #: Some server has not reported to the present leader yet, or there is no leader.
    POSTPONED = "postponed"
    #: It would have taken too large a share of a server; an operator has to approve.
    STOPPED = "stopped"
    #: The metadata was restored from an old copy; see ``SafeModeStatus``.
    SAFE_MODE = "safe mode"


@dataclass(frozen=True, slots=True)
class CollectionStop:
    """Why the collection stopped and asks: what one server would have lost.

    Attributes:
        lost_chunks: chunks that it lost within the last hour.
        due_chunks: chunks that it would lose now.
        held_chunks: chunks that it holds.
        deleted_before_s: running time; approving lets through what was deleted up to then.
    """

    server_id: ServerId
    server_name: str
    lost_chunks: int
    due_chunks: int
    held_chunks: int
    deleted_before_s: int


@dataclass(frozen=True, slots=True)
class CollectionStatus:
    """How far deleted chunks are.

    Attributes:
        reason: one sentence, why nothing is deleted; empty when the state is ``RUNNING``.
        deleted_chunks: chunks of which not every copy is known to be gone.
        ordered_chunks: of these, chunks that servers are told to discard now.
        owed_chunks: copies that servers which are away may still have.
        stray_groups: copies of groups on servers that are no members of them.
        stop: set when the state is ``STOPPED``.
    """

    state: CollectionState
    reason: str
    deleted_chunks: int
    ordered_chunks: int
    owed_chunks: int
    stray_groups: int
    stop: CollectionStop | None


@dataclass(frozen=True, slots=True)
class SafeModeStatus:
    """Whether the master deletes nothing because its metadata is older than what chunkservers saw.

    Attributes:
        reason: one sentence; empty when it is off.
        history_id: of the present line of metadata.
        earlier_history_ids: of the lines that it continues, the oldest first.
    """

    is_on: bool
    reason: str
    history_id: str
    earlier_history_ids: tuple[str, ...]


class Severity(Enum):
    """How bad a finding is."""

    #: Explains something; nothing is wrong.
    INFO = "info"
    #: Redundancy is missing, or a number is off; data is readable.
    WARN = "warn"
    #: Data is lost, or cannot be reached by name.
    ERROR = "error"


class FindingKind(Enum):
    """What the check of a cluster can find."""

    ENTRY_WITHOUT_INODE = "ENTRY_WITHOUT_INODE"
    ENTRY_OUTSIDE = "ENTRY_OUTSIDE"
    INODE_WITHOUT_ENTRY = "INODE_WITHOUT_ENTRY"
    CHUNK_ROWS_INCOMPLETE = "CHUNK_ROWS_INCOMPLETE"
    CHUNK_WITHOUT_FILE = "CHUNK_WITHOUT_FILE"
    CHUNK_IN_UNKNOWN_GROUP = "CHUNK_IN_UNKNOWN_GROUP"
    CHUNK_USED_AND_DELETED = "CHUNK_USED_AND_DELETED"
    COUNTER_OFF = "COUNTER_OFF"
    MISSING_ROW_WITHOUT_CHUNK = "MISSING_ROW_WITHOUT_CHUNK"
    REPLICA_MISSING = "REPLICA_MISSING"
    REPLICA_LOST = "REPLICA_LOST"
    REPLICA_DIFFERS = "REPLICA_DIFFERS"
    REPLICA_CORRUPT = "REPLICA_CORRUPT"
    CHUNK_LOST = "CHUNK_LOST"
    UNKNOWN_CHUNK = "UNKNOWN_CHUNK"
    STRAY_GROUP = "STRAY_GROUP"
    UNKNOWN_GROUP = "UNKNOWN_GROUP"
    DELETED_CHUNK_HELD = "DELETED_CHUNK_HELD"
    NOT_CHECKED = "NOT_CHECKED"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        what: one sentence.
        hint: what helps.
        path: of the file or directory; empty when it has none.
        chunk_id: None when the finding is not about one chunk.
        server: name of the chunkserver; empty when the finding is not about one.
        is_repaired: whether ``repair`` was asked for and has been begun or done.
    """

    kind: FindingKind
    severity: Severity
    what: str
    hint: str
    path: str = ""
    chunk_id: ChunkId | None = None
    server: str = ""
    is_repaired: bool = False


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """The end of a check.

    Attributes:
        replicas: copies that servers listed and that were compared.
        infos, warnings, errors: findings by severity.
        is_complete: whether everything could be looked at.
    """

    files: int
    directories: int
    chunks: int
    replicas: int
    infos: int
    warnings: int
    errors: int
    repaired: int
    is_complete: bool

    @property
    def is_clean(self) -> bool:
        """Whether everything was looked at and nothing is wrong."""
        return self.is_complete and self.warnings == 0 and self.errors == 0
