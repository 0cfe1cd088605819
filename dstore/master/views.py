"""What the planners of upkeep look at, and what they answer: plain values, without a store or a clock."""

from dataclasses import dataclass
from enum import Enum

from dstore.core.groups import Capacity, Duty, MemberState, ServerLabels, ServerPhase
from dstore.core.ids import GroupId, ServerId
from dstore.core.limits import (
    CHANGES_PER_ROUND_MAX,
    FILLING_MAX,
    FILLING_PER_SERVER_MAX,
    MOVES_MAX,
    MOVES_PER_SERVER_MAX,
)


@dataclass(frozen=True, slots=True)
class PlannedServer:
    """What planners know of a chunkserver. A capacity of 0 bytes means that it has not reported yet."""

    server_id: ServerId
    name: str
    labels: ServerLabels
    phase: ServerPhase
    duty: Duty
    capacity: Capacity

    @property
    def is_up(self) -> bool:
        """Whether its copies can be counted on now."""
        return self.phase is ServerPhase.UP

    @property
    def takes_members(self) -> bool:
        """Whether it may be made a member of further groups, as far as its disk has room for them."""
        return self.is_up and self.duty is Duty.ACTIVE and self.capacity.total_bytes > 0


@dataclass(frozen=True, slots=True)
class PlannedMember:
    """A server in a group."""

    server_id: ServerId
    state: MemberState


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """A placement group.

    Attributes:
        members: in order, the head first.
        chunk_bytes: what one whole copy of the group takes on a disk.
        missing: the members that lack single chunks, or may lack some.
    """

    group_id: GroupId
    epoch: int
    members: tuple[PlannedMember, ...]
    chunk_count: int
    chunk_bytes: int
    missing: frozenset[ServerId] = frozenset()


class ChangeReason(Enum):
    """Why members change."""

    REPAIR = "repair"
    DRAIN = "drain"
    BALANCE = "balance"
    SETTLE = "settle"


@dataclass(frozen=True, slots=True)
class MemberChange:
    """New members for one group, to be applied in one transaction, or not at all.

    Attributes:
        epoch: the one that was looked at; the change is void if the group has another one by now (Invariant 7).
        add: servers that become members, FILLING, in this order behind the others.
        leave: members that become LEAVING.
        remove: members that are none any more, at once.
        return_: members that were LEAVING and become FILLING, since they missed what was written meanwhile.
    """

    group_id: GroupId
    epoch: int
    reason: ChangeReason
    add: tuple[ServerId, ...] = ()
    leave: tuple[ServerId, ...] = ()
    remove: tuple[ServerId, ...] = ()
    return_: tuple[ServerId, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannerLimits:
    """How much may be under way at a time.

    Repairs may use all of it. Moves, which are drains and balancing, stop earlier, so that a failure meanwhile finds
    room.

    Attributes:
        filling_per_server_max, filling_max: memberships that are FILLING, of one server and in all.
        moves_per_server_max, moves_max: a move is begun only below these.
        changes_max: groups that one plan changes.
    """

    filling_per_server_max: int = FILLING_PER_SERVER_MAX
    filling_max: int = FILLING_MAX
    moves_per_server_max: int = MOVES_PER_SERVER_MAX
    moves_max: int = MOVES_MAX
    changes_max: int = CHANGES_PER_ROUND_MAX
