"""How far the copying is, and how long it will take: measured over the last minute."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from dstore.core.ids import ServerId
from dstore.master.facts import Facts
from dstore.master.group_map import GroupMap
from dstore.master.membership import ServerState

_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Progress:
    """What is still to be copied.

    Attributes:
        filling_count: memberships that are being filled.
        left_bytes: what these lack, and single copies that are missing.
        bytes_per_s: that were copied in all over the last minute.
    """

    filling_count: int
    left_bytes: int
    bytes_per_s: float

    @property
    def left_s(self) -> float | None:
        """How long it takes at this rate; None while nothing is copied."""
        return self.left_bytes / self.bytes_per_s if self.bytes_per_s > 0 else None


class ProgressMeter:
    """Adds up what servers report as copied; each counts from the start of its process."""

    def __init__(self) -> None:
        self._last: dict[ServerId, tuple[str, int]] = {}
        self._copied_bytes = 0
        self._samples: deque[tuple[float, int]] = deque()

    def sample(self, states: Mapping[ServerId, ServerState], now_s: float) -> None:
        """Take note of what was copied until now."""
        for server_id, state in states.items():
            if state.heartbeat is None:
                continue
            boot_id, copied_bytes = state.heartbeat.boot_id, state.heartbeat.copying.copied_bytes
            known_boot, known_bytes = self._last.get(server_id, (boot_id, copied_bytes))
            self._copied_bytes += max(0, copied_bytes - (known_bytes if known_boot == boot_id else 0))
            self._last[server_id] = (boot_id, copied_bytes)
        self._samples.append((now_s, self._copied_bytes))
        while len(self._samples) > 2 and now_s - self._samples[1][0] >= _WINDOW_S:
            self._samples.popleft()

    def progress(self, facts: Facts, groups: GroupMap, states: Mapping[ServerId, ServerState]) -> Progress:
        """Return what is left."""
        held: dict[tuple[ServerId, int], int] = {}
        filling = [(member, group.group_id) for group in groups.groups if group.filling for member in group.filling]
        for member in {member for member, _ in filling}:
            heartbeat = states[member].heartbeat if member in states else None
            for summary in heartbeat.groups if heartbeat is not None else ():
                held[member, summary.group_id] = summary.chunk_bytes
        left_bytes = sum(counts.missing_bytes for counts in facts.groups.values())
        for member, group_id in filling:
            counts = facts.groups.get(group_id)
            left_bytes += max(0, (counts.chunk_bytes if counts else 0) - held.get((member, group_id), 0))
        return Progress(len(filling), left_bytes, self._rate())

    def _rate(self) -> float:
        if len(self._samples) < 2:
            return 0.0
        (first_s, first_bytes), (last_s, last_bytes) = self._samples[0], self._samples[-1]
        return (last_bytes - first_bytes) / (last_s - first_s) if last_s > first_s else 0.0
