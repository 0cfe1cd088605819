"""Values of what operators ask of a cluster: duties of servers, balancing, the scrub."""

from dataclasses import dataclass
from enum import Enum

from dstore.core.groups import Duty
from dstore.core.ids import GroupId

#: Moves that one answer lists; the others are only counted.
MOVES_LISTED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class MemberMove:
    """A copy of a placement group that goes to another chunkserver; both by name.

    Attributes:
        source: empty when the copy is made beside the others.
        target: empty when no copy is made.
    """

    group_id: GroupId
    source: str
    target: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class DutyChange:
    """What telling a server its duty comes to.

    Attributes:
        is_applied: False for a dry run.
        moves: the first of them.
        copied_bytes: of all of them.
    """

    name: str
    duty: Duty
    is_applied: bool
    moves: tuple[MemberMove, ...]
    move_count: int
    copied_bytes: int


class PauseAction(Enum):
    """What to do about work that can be paused."""

    LOOK = "look"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class BalanceState:
    """How even the cluster is, and what balancing moves.

    Attributes:
        is_paused: an operator paused it.
        moves: the first of those that are still to be begun.
        spread_before, spread_after: the largest distance of a disk's fill from the mean, as a share of a disk.
        refusal: why disks stay uneven; empty when they do not.
    """

    is_paused: bool
    moves: tuple[MemberMove, ...]
    move_count: int
    copied_bytes: int
    spread_before: float
    spread_after: float
    refusal: str


@dataclass(frozen=True, slots=True)
class ScrubState:
    """Whether chunks are checked, and how often; 0 means never. How far each server is, the servers tell."""

    is_paused: bool
    period_s: float
