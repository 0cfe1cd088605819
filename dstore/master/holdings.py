"""Whether servers still hold what they acknowledged: what they report is held against what the rows say.

A disk that was emptied, or restored from an old copy, comes back under its identity and reports fewer chunks than it
must hold. A report is older than the rows, so it is compared with what the rows said before it can have been made:
a server counts its chunks after its report before was answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dstore.core.ids import ServerId
from dstore.master.membership import ServerState


@dataclass(frozen=True, slots=True)
class _Expectation:
    """What a server had to hold at a moment."""

    chunk_count: int
    at_s: float


class Holdings:
    """Remembers for each server one expectation that is to be judged, and the last judgement."""

    def __init__(self) -> None:
        self._pending: dict[ServerId, _Expectation] = {}
        self._lacking: dict[ServerId, int] = {}

    def judge(
        self, expected: Mapping[ServerId, int], states: Mapping[ServerId, ServerState], now_s: float
    ) -> dict[ServerId, int]:
        """Return the servers that hold too few chunks, and how many are lacking at least.

        Args:
            expected: how many chunks each server has to hold, read at ``now_s`` or before.
            states: with reports that arrived before ``now_s``.
        """
        for server_id, state in states.items():
            present = _Expectation(expected.get(server_id, 0), now_s)
            pending = self._pending.setdefault(server_id, present)
            if state.heartbeat is None or state.counted_after_s is None or pending.at_s >= state.counted_after_s:
                continue
            # What was removed meanwhile may be gone from the disk already.
            wanted = min(pending.chunk_count, present.chunk_count)
            self._lacking[server_id] = max(0, wanted - state.heartbeat.chunk_count)
            self._pending[server_id] = present
        return {server_id: count for server_id, count in self._lacking.items() if count and server_id in states}
