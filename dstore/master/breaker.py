"""Stops the collection when it would take too much of one server at once.

A round that wants a large share of what a server holds is more often a mistake (a wrong retention, a wrong restore, a
defect) than a wish, and the only one that cannot be undone. So it stops, for the whole cluster, and asks; unless the
files, with their kept versions, have about as much as they had an hour ago: then what goes was replaced, or came and
went within the hour. What an operator approved does not count. Dropping whole copies of groups does not count either:
these are copies that the members of the group have again.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from dstore.core.ids import ServerId
from dstore.core.limits import COLLECTION_LOSS_CHUNKS_MAX, COLLECTION_LOSS_SHARE_MAX, COLLECTION_LOSS_WINDOW_S

_BUCKET_S = 60.0


@dataclass(frozen=True, slots=True)
class Exposure:
    """What one server would lose.

    Attributes:
        held_chunks: what it holds now.
        lost_chunks: what it lost within the window.
        due_chunks: what it is to lose now.
    """

    server_id: ServerId
    held_chunks: int
    lost_chunks: int
    due_chunks: int

    @property
    def loss(self) -> int:
        """Chunks that would be gone within the window; what a server does not hold, it cannot lose."""
        return self.lost_chunks + min(self.due_chunks, self.held_chunks)

    @property
    def share(self) -> float:
        """The loss as a share of what the server held when the window began."""
        return self.loss / max(1, self.held_chunks + self.lost_chunks)


def worst(exposures: Iterable[Exposure], shrinkage: float) -> Exposure | None:
    """Return the server that would lose the largest share of those that would lose too much; None when none would.

    Args:
        shrinkage: which share of what the files had an hour ago they have no more.
    """
    if shrinkage <= COLLECTION_LOSS_SHARE_MAX:
        return None
    excessive = [each for each in exposures if is_excessive(each)]
    return max(excessive, key=lambda each: (each.share, each.loss, each.server_id), default=None)


def is_excessive(exposure: Exposure) -> bool:
    """Whether so much may not go without asking."""
    return exposure.loss > COLLECTION_LOSS_CHUNKS_MAX and exposure.share > COLLECTION_LOSS_SHARE_MAX


class RecentLosses:
    """How many chunks each server lost within the window, to the minute."""

    def __init__(self) -> None:
        self._buckets: deque[tuple[float, dict[ServerId, int]]] = deque()

    def add(self, server_id: ServerId, count: int, now_s: float) -> None:
        """Count chunks that a server discarded."""
        if not self._buckets or now_s - self._buckets[-1][0] >= _BUCKET_S:
            self._buckets.append((now_s, {}))
        losses = self._buckets[-1][1]
        losses[server_id] = losses.get(server_id, 0) + count

    def of(self, server_id: ServerId, now_s: float) -> int:
        """Return what a server lost within the window."""
        # A bucket counts until its youngest loss is out of the window.
        while self._buckets and now_s - self._buckets[0][0] >= COLLECTION_LOSS_WINDOW_S + _BUCKET_S:
            self._buckets.popleft()
        return sum(losses.get(server_id, 0) for _, losses in self._buckets)
