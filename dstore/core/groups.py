"""Values of the cluster map: chunkservers and placement groups."""

from dataclasses import dataclass
from enum import Enum

from dstore.core.ids import BootId, ClusterId, GroupId, ServerId


class ServerPhase(Enum):
    """How a chunkserver is doing, as the master sees it."""

    UP = "up"
    #: Missed heartbeats: no new chunks, still read from.
    SUSPECT = "suspect"
    #: Missed more: reads avoid it.
    DOWN = "down"
    #: Was down for too long: its groups get new members. Stored; ends when the server reports again.
    OUT = "out"


class Duty(Enum):
    """What an operator has told a chunkserver to do; stored."""

    ACTIVE = "active"
    #: Gives all its groups to others; gets no new chunks.
    DRAINING = "draining"
    #: May be away for a while without going out; gets no new chunks.
    MAINTENANCE = "maintenance"


class MemberState(Enum):
    """How a server stands in a group that it is a member of; stored."""

    #: Holds every chunk of the group but those that are known to be missing.
    WHOLE = "whole"
    #: New: takes writes already, and is still copying what was there before.
    FILLING = "filling"
    #: Holds everything and gets no new chunks; goes as soon as the others suffice.
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True)
class ServerLabels:
    """Where a chunkserver stands, for spreading replicas; given when it joins."""

    host: str
    rack: str = ""


@dataclass(frozen=True, slots=True)
class Capacity:
    """The disk of a chunkserver. ``used_bytes`` counts everything on the file system, not only chunks."""

    total_bytes: int
    used_bytes: int

    @property
    def free_bytes(self) -> int:
        """Bytes that are left."""
        return max(0, self.total_bytes - self.used_bytes)

    @property
    def fill(self) -> float:
        """The used share, from 0 to 1; a disk of unknown size counts as full."""
        return self.used_bytes / self.total_bytes if self.total_bytes > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Replica:
    """A member of a group, with what is needed to reach it."""

    server_id: ServerId
    name: str
    address: str
    phase: ServerPhase
    state: MemberState = MemberState.WHOLE


@dataclass(frozen=True, slots=True)
class Group:
    """A placement group: the ordered set of chunkservers that hold its chunks.

    Attributes:
        epoch: goes up with every change of the members, never down (Invariant 7).
    """

    group_id: GroupId
    epoch: int
    members: tuple[Replica, ...]


@dataclass(frozen=True, slots=True)
class GroupEpoch:
    """A group and its present epoch, as chunkservers remember it."""

    group_id: GroupId
    epoch: int


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """How a chunkserver presents itself when it joins.

    Attributes:
        cluster_id: the cluster that its disk belongs to; None for a fresh disk.
        boot_id: of this run of the process.
        name: for people, unique in the cluster, for example "cs-1".
        address: host and port of its ``ChunkService``, as others reach it.
        http_address: of its side port; may be empty.
        version: of dstore.
    """

    server_id: ServerId
    cluster_id: ClusterId | None
    boot_id: BootId
    name: str
    address: str
    http_address: str
    labels: ServerLabels
    version: str
