"""What chunkservers report to the master, and what the master orders: the heartbeat.

Both are level-triggered: a report says how things are, orders say how they should be, and either may be lost or
repeated. Before a chunkserver obeys, it stores the standing of the orders (``Standing``) durably, and it refuses
orders of an older leader (Invariant 7).
"""

from dataclasses import dataclass

from dstore.core.groups import Capacity, GroupEpoch, MemberState
from dstore.core.ids import BootId, ChunkId, ClusterId, GroupId, ServerId


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the metadata had come: within one history, neither number ever goes down.

    Attributes:
        leader_epoch: of the master that ran the planners; only goes up.
        history_id: of this line of metadata; a restore from an old backup starts another one.
        transaction: number of the newest transaction.
    """

    leader_epoch: int
    history_id: str
    transaction: int


@dataclass(frozen=True, slots=True)
class DiskProbe:
    """What a small write and fsync on the disk took.

    Attributes:
        latency_s: of the last one that came to its end.
        pending_s: how long the present one is under way; 0 when none is.
    """

    latency_s: float
    pending_s: float


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """What a server holds of one group, whether it is a member or not.

    Attributes:
        epoch: the newest that the server saw.
        chunk_count: chunks on disk, without corrupt ones.
        digest: over ids, lengths and checksums (``core.digests``); empty while some are not known yet.
    """

    group_id: GroupId
    epoch: int
    chunk_count: int
    chunk_bytes: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Filled:
    """A member holds everything that others held.

    Attributes:
        epoch: of the group, while it compared.
        compared: the servers whose holdings it found nothing more in, each looked at under this epoch.
    """

    group_id: GroupId
    epoch: int
    compared: tuple[ServerId, ...]


@dataclass(frozen=True, slots=True)
class ScrubReport:
    """How far the scrub is.

    Attributes:
        passes: full passes since the process started.
        position: share of the present pass that is done, from 0 to 1.
        checked_bytes: since the process started.
        last_pass_age_s: since the last full pass ended; None when there was none.
    """

    passes: int
    position: float
    checked_bytes: int
    last_pass_age_s: float | None


@dataclass(frozen=True, slots=True)
class CopyReport:
    """How the copying from peers goes.

    Attributes:
        pending_groups: groups that are being filled.
        pending_chunks: chunks that are known to be lacking here, over all groups that were compared.
        copied_chunks, copied_bytes: since the process started.
        failure: why the last copy failed; empty when it did not.
    """

    pending_groups: int
    pending_chunks: int
    copied_chunks: int
    copied_bytes: int
    failure: str


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a server did since its last report that was answered; told again until one is.

    Attributes:
        filled: groups that it has filled.
        held: chunks that were ordered as missing and are on disk now, intact.
        corrupt: chunks that failed a check; all of them with every report, up to a bound.
        discarded: chunks that are in the trash now, or never were here.
        dropped: groups that it was ordered to drop and holds nothing of any more.
    """

    filled: tuple[Filled, ...] = ()
    held: tuple[ChunkId, ...] = ()
    corrupt: tuple[ChunkId, ...] = ()
    discarded: tuple[ChunkId, ...] = ()
    dropped: tuple[GroupId, ...] = ()


@dataclass(frozen=True, slots=True)
class UnsyncedReport:
    """What a server has acknowledged as replicated and not synced yet: a power loss now would take it there.

    Attributes:
        age_s: of the oldest; 0 when there is none.
    """

    chunk_count: int
    size_bytes: int
    age_s: float


@dataclass(frozen=True, slots=True)
class GroupDoubt:
    """A server may lack chunks of a group that it has acknowledged: it ended, or failed, before they were synced.

    Attributes:
        number: another one for every new doubt of one run of the server.
    """

    group_id: GroupId
    number: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a chunkserver reports every second or so.

    Attributes:
        incarnation: as the registration gave it.
        standing: the highest that the server ever saw; None for a fresh disk.
        settled_sequence: the highest that the server was told of in this run.
        newest_sequence: largest sequence of any chunk on the disk, in whatever group; 0 when there is none.
        assignments_digest: of the assignments that it goes by; empty when it has none.
        suspicion: why its disk takes no writes; empty when it is good.
        queue_depth: calls to the disk that wait for a thread.
        doubts: groups that are to be compared with what was committed; told until orders say that they were.
        sent_ns: when it was made, by the server's wall clock; 0 when it does not say.
        read_bytes, write_bytes: ciphertext sent to readers and received from writers since the process started.
    """

    server_id: ServerId
    boot_id: BootId
    capacity: Capacity
    chunk_count: int
    corrupt_chunk_count: int = 0
    trash_count: int = 0
    write_streams: int = 0
    read_streams: int = 0
    incarnation: int = 0
    probe: DiskProbe = DiskProbe(0.0, 0.0)
    queue_depth: int = 0
    suspicion: str = ""
    standing: Standing | None = None
    settled_sequence: int = 0
    newest_sequence: int = 0
    assignments_digest: bytes = b""
    groups: tuple[GroupSummary, ...] = ()
    outcomes: Outcomes = Outcomes()
    scrub: ScrubReport = ScrubReport(0, 0.0, 0, None)
    copying: CopyReport = CopyReport(0, 0, 0, 0, "")
    unsynced: UnsyncedReport = UnsyncedReport(0, 0, 0.0)
    doubts: tuple[GroupDoubt, ...] = ()
    sent_ns: int = 0
    read_bytes: int = 0
    write_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """A server that chunks of a group can be copied from.

    Attributes:
        is_member: another member; what it holds is compared with. A former holder may have kept what was deleted
            since then, so that only chunks that are ordered as missing are copied from it.
    """

    server_id: ServerId
    address: str
    is_member: bool = True


@dataclass(frozen=True, slots=True)
class Assignment:
    """A group that the server is a member of.

    Attributes:
        state: of the server in the group.
        urgency: good copies that the group has; the fewer, the sooner it is filled.
        sources: whom to compare with and copy from, the best first.
    """

    group_id: GroupId
    epoch: int
    state: MemberState
    urgency: int
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class UpkeepSettings:
    """How chunkservers look after what they hold; the same for all.

    Attributes:
        scrub_period_s: every chunk is read within this time; 0 switches the scrub off.
        scrub_is_paused: an operator paused it.
        copy_bytes_per_s: what one server copies from others at most; 0 means no limit.
        trash_delay_s: how long the trash keeps a chunk.
    """

    scrub_period_s: float
    scrub_is_paused: bool
    copy_bytes_per_s: int
    trash_delay_s: float


@dataclass(frozen=True, slots=True)
class Orders:
    """What the master wants of a chunkserver.

    Attributes:
        settled_sequence: no chunk below it has a writer any more; writes below it are refused.
        assignments: the groups of this server; None when they are those of the digest that it reported.
        assignments_digest: of the assignments.
        missing: chunks that the server should hold and does not; to be copied. Up to a bound, most urgent first.
        discards: chunks to be moved to the trash.
        drops: groups that it is no member of, to be moved to the trash whole; the epochs are those of the order.
        examined: doubts of this run of the server that were looked into.
    """

    standing: Standing
    settled_sequence: int
    assignments: tuple[Assignment, ...] | None
    assignments_digest: bytes
    missing: tuple[ChunkId, ...]
    discards: tuple[ChunkId, ...]
    drops: tuple[GroupEpoch, ...]
    settings: UpkeepSettings
    examined: tuple[GroupDoubt, ...] = ()


@dataclass(frozen=True, slots=True)
class Registration:
    """The master's answer to a join.

    Attributes:
        incarnation: counts the joins of this disk.
    """

    cluster_id: ClusterId
    heartbeat_interval_s: float
    incarnation: int
    orders: Orders
