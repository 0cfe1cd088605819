"""Whether servers still hold what they acknowledged: what they report is held against what the rows say.

A disk that was emptied, or restored from an old copy, comes back under its identity and reports fewer chunks than it
must hold. A report is older than the rows, so it is compared with what the rows said before it can have been made:
a server counts its chunks after its report before was answered, and the first time after it has joined.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from dstore.core.ids import ServerId
from dstore.core.limits import SERVER_SUSPECT_AFTER_S
from dstore.master.membership import ServerState

_INTERVAL_S = 0.25
#: A report counts what was there up to two beats ago.
_REMEMBERED_MAX = int(2 * SERVER_SUSPECT_AFTER_S / _INTERVAL_S)


@dataclass(frozen=True, slots=True)
class _Expectation:
    """How many chunks each server had to hold at a moment."""

    at_s: float
    chunk_counts: Mapping[ServerId, int]


class Holdings:
    """Remembers what was expected in the last few seconds, and of each server the last judgement."""

    def __init__(self) -> None:
        self._past: deque[_Expectation] = deque(maxlen=_REMEMBERED_MAX)
        self._when_joined: dict[ServerId, int] = {}
        self._lacking: dict[ServerId, int] = {}

    def joining(self, server_id: ServerId, expected_count: int) -> None:
        """Note what a server has to hold as it joins: its very first report is judged by that."""
        self._when_joined[server_id] = expected_count

    def judge(
        self, expected: Mapping[ServerId, int], states: Mapping[ServerId, ServerState], now_s: float
    ) -> dict[ServerId, int]:
        """Return the servers that hold too few chunks, and how many are lacking at least.

        Args:
            expected: how many chunks each server has to hold, read at ``now_s`` or before.
            states: with reports that arrived before ``now_s``.
        """
        if not self._past or now_s - self._past[-1].at_s >= _INTERVAL_S:
            self._past.append(_Expectation(now_s, expected))
        for server_id, state in states.items():
            past = self._newest_before(state.counted_after_s)
            when_joined = self._when_joined.get(server_id)
            if state.heartbeat is None or (past is None and when_joined is None):
                continue
            known = max((past or {}).get(server_id, 0), when_joined or 0)
            # What was removed meanwhile may be gone from the disk already.
            wanted = min(known, expected.get(server_id, 0))
            self._lacking[server_id] = max(0, wanted - state.heartbeat.chunk_count)
        return {server_id: count for server_id, count in self._lacking.items() if count and server_id in states}

    def _newest_before(self, moment_s: float | None) -> Mapping[ServerId, int] | None:
        if moment_s is None:
            return None
        return next((each.chunk_counts for each in reversed(self._past) if each.at_s < moment_s), None)
