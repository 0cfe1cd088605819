"""How long writes in progress live: in memory, on a clock that never goes back.

    start ──► live ──(renewed)──► live ──(not renewed for the lease)──► expired ──► dropped
                │
                └──(committed, abandoned)──► dropped

The intents themselves are rows; a lease that is lost with the process is replaced by a full one after the
restart, so that a restart never shortens a write.
"""

from collections.abc import Iterable

from dstore.core.errors import Conflict, LimitExceeded
from dstore.core.ids import IntentId
from dstore.core.limits import INTENT_LEASE_DURATION_S, INTENTS_MAX


class Leases:
    """The deadline of every intent, in seconds of the monotonic clock."""

    def __init__(self, intent_ids: Iterable[IntentId], now_s: float) -> None:
        self._deadlines = dict.fromkeys(intent_ids, now_s + INTENT_LEASE_DURATION_S)

    def __len__(self) -> int:
        return len(self._deadlines)

    def start(self, intent_id: IntentId, now_s: float) -> None:
        """Give a new intent its first lease.

        Raises:
            LimitExceeded: reason ``TOO_MANY_WRITES``.
        """
        if len(self._deadlines) >= INTENTS_MAX:
            raise LimitExceeded(
                f"{INTENTS_MAX} writes are in progress already; back off and retry.",
                reason="TOO_MANY_WRITES",
                metadata={"limit": str(INTENTS_MAX)},
            )
        self._deadlines[intent_id] = now_s + INTENT_LEASE_DURATION_S

    def renew(self, intent_id: IntentId, now_s: float) -> None:
        """Extend a lease that is still live; call it before the work that relies on it, and after.

        Raises:
            Conflict: reason ``INTENT_EXPIRED``.
        """
        deadline_s = self._deadlines.get(intent_id)
        if deadline_s is None or deadline_s <= now_s:
            raise intent_expired(intent_id)
        self._deadlines[intent_id] = now_s + INTENT_LEASE_DURATION_S

    def extend_if_live(self, intent_id: IntentId, now_s: float) -> None:
        """Extend a lease, unless it has ended meanwhile."""
        if self._deadlines.get(intent_id, now_s) > now_s:
            self._deadlines[intent_id] = now_s + INTENT_LEASE_DURATION_S

    def excuse(self, duration_s: float, now_s: float) -> None:
        """Leave out of account a while that ends now, in which this master stood still and nobody could renew."""
        for intent_id, deadline_s in self._deadlines.items():
            if deadline_s > now_s - duration_s:
                self._deadlines[intent_id] = deadline_s + duration_s

    def drop(self, intent_id: IntentId) -> None:
        """Forget a lease; one that is unknown is fine."""
        self._deadlines.pop(intent_id, None)

    def expired(self, now_s: float) -> tuple[IntentId, ...]:
        """Return the intents whose lease has run out. Nothing can renew them; drop them when their rows are gone."""
        return tuple(intent_id for intent_id, deadline_s in self._deadlines.items() if deadline_s <= now_s)


def intent_expired(intent_id: IntentId) -> Conflict:
    """Return the error for an intent that is no more."""
    return Conflict(
        f"The write {intent_id[:64]} expired, was abandoned or committed; begin it again.",
        reason="INTENT_EXPIRED",
        metadata={"intent_id": intent_id[:64].encode(errors="replace").decode()},
    )
