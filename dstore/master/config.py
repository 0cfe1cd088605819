"""The settings of a master."""

from dataclasses import dataclass, field
from pathlib import Path

from dstore.core.errors import InvalidRequest
from dstore.core.files import Policy
from dstore.core.limits import (
    AUDIT_PERIOD_DEFAULT_S,
    CHUNK_SIZE_BYTES_MAX,
    CHUNK_SIZE_BYTES_MIN,
    COLLECTION_GRACE_DEFAULT_S,
    COPY_BYTES_PER_S_DEFAULT,
    DROP_GRACE_DEFAULT_S,
    REPLICAS_MAX,
    RETENTION_DEFAULT_S,
    RETENTION_MAX_S,
    SCRUB_PERIOD_DEFAULT_S,
    SEGMENT_SIZE_BYTES,
    SERVER_OUT_AFTER_DEFAULT_S,
    TRASH_DELAY_DEFAULT_S,
    TRASH_DELAY_MIN_S,
)
from dstore.core.upkeep import UpkeepSettings

FAILURE_DOMAINS = ("server", "host", "rack")


@dataclass(frozen=True, slots=True)
class UpkeepConfig:
    """How a master looks after its cluster; may differ from start to start.

    Attributes:
        out_after_s: a server that is down for this long is out.
        scrub_period_s: every chunk is read and checked within this time; 0 switches the scrub off.
        copy_bytes_per_s: what one server copies from others at most; 0 means no limit.
        trash_delay_s: how long the trash of a chunkserver keeps a chunk.
        collection_grace_s: how long chunks stay on the disks after they were deleted, in running time.
        drop_grace_s: how long a copy of a group stays on a server that is no member of it.
        audit_period_s: what servers list of each group is held against the rows once in this time.
    """

    out_after_s: float = SERVER_OUT_AFTER_DEFAULT_S
    scrub_period_s: float = SCRUB_PERIOD_DEFAULT_S
    copy_bytes_per_s: int = COPY_BYTES_PER_S_DEFAULT
    trash_delay_s: float = TRASH_DELAY_DEFAULT_S
    collection_grace_s: int = COLLECTION_GRACE_DEFAULT_S
    drop_grace_s: float = DROP_GRACE_DEFAULT_S
    audit_period_s: float = AUDIT_PERIOD_DEFAULT_S

    def settings(self, *, scrub_is_paused: bool) -> UpkeepSettings:
        """Return what chunkservers are told."""
        return UpkeepSettings(self.scrub_period_s, scrub_is_paused, self.copy_bytes_per_s, self.trash_delay_s)


UPKEEP_DEFAULT = UpkeepConfig()


@dataclass(frozen=True, slots=True)
class MasterConfig:
    """How a master is started.

    Attributes:
        directory: of the metadata; made when it is not there.
        listen, http_listen: host and port of the services and of the side port; port 0 takes a free one.
        replicas, min_replicas, chunk_size_bytes, failure_domain, retention_s: the policy of a cluster that is created
            now; a cluster that exists keeps its own.
        upkeep: how it looks after the cluster.
        log_level: "debug", "info", "warning" or "error".
        log_format: "json", "text" or "auto".
    """

    directory: Path
    listen: str
    http_listen: str
    replicas: int
    min_replicas: int
    chunk_size_bytes: int
    failure_domain: str
    log_level: str
    retention_s: int = RETENTION_DEFAULT_S
    upkeep: UpkeepConfig = field(default_factory=UpkeepConfig)
    log_format: str = "auto"

    def policy(self) -> Policy:
        """Return the policy for a new cluster.

        Raises:
            InvalidRequest: reason ``POLICY_INVALID``.
        """
        if not 1 <= self.replicas <= REPLICAS_MAX:
            raise _invalid(f"replicas is {self.replicas}, choose 1 to {REPLICAS_MAX}")
        if not 1 <= self.min_replicas <= self.replicas:
            raise _invalid(f"min-replicas is {self.min_replicas}, choose 1 to {self.replicas} (replicas)")
        size_bytes = self.chunk_size_bytes
        if size_bytes % SEGMENT_SIZE_BYTES or not CHUNK_SIZE_BYTES_MIN <= size_bytes <= CHUNK_SIZE_BYTES_MAX:
            raise _invalid(
                f"chunk-size is {size_bytes}, choose a multiple of {SEGMENT_SIZE_BYTES} from {CHUNK_SIZE_BYTES_MIN} to "
                f"{CHUNK_SIZE_BYTES_MAX}"
            )
        if self.failure_domain not in FAILURE_DOMAINS:
            raise _invalid(f"failure-domain is {self.failure_domain!r}, choose one of {', '.join(FAILURE_DOMAINS)}")
        if not 0 <= self.retention_s <= RETENTION_MAX_S:
            raise _invalid(f"retention is {self.retention_s} s, choose 0 to {RETENTION_MAX_S} s")
        if self.upkeep.trash_delay_s < TRASH_DELAY_MIN_S:
            raise _invalid(
                f"trash-delay is {self.upkeep.trash_delay_s:g} s, choose {TRASH_DELAY_MIN_S:g} s or more: all holders "
                "of a chunk must confirm within half of it that they have discarded it"
            )
        return Policy("default", self.replicas, self.min_replicas, size_bytes, self.failure_domain, self.retention_s)


def _invalid(why: str) -> InvalidRequest:
    return InvalidRequest(f"The policy cannot be used: {why}.", reason="POLICY_INVALID")
