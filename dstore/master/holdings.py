"""Whether servers still hold what they acknowledged: what they report is held against what the rows say.

A disk that was emptied, or restored from an old copy, comes back under its identity and reports fewer chunks in a group
than it must hold as a whole member. A report is older than the rows, so it is compared with what the rows said before
it can have been made: a server counts its chunks after its report before was answered, and the first time after it has
joined.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from dstore.core.ids import GroupId, ServerId
from dstore.core.limits import SERVER_SUSPECT_AFTER_S
from dstore.core.upkeep import Heartbeat
from dstore.master.facts import Facts
from dstore.master.group_map import GroupMap
from dstore.master.membership import ServerState
from dstore.master.placement import PlacedGroup

_INTERVAL_S = 0.5
#: A report counts what was there up to two beats ago.
_REMEMBERED_MAX = int(2 * SERVER_SUSPECT_AFTER_S / _INTERVAL_S)


@dataclass(frozen=True, slots=True)
class _Moment:
    """What the rows said at a moment."""

    at_s: float
    groups: Mapping[GroupId, PlacedGroup]
    chunk_counts: Mapping[GroupId, int]
    missing: Mapping[GroupId, Mapping[ServerId, int]]

    def expected(self, group: PlacedGroup, server_id: ServerId) -> int | None:
        """Return how many chunks a whole member had to hold; None unless it was one, of the same members."""
        known = self.groups.get(group.group_id)
        if known is None or known.epoch != group.epoch or not _is_whole(known, server_id):
            return None
        return self.chunk_counts.get(group.group_id, 0) - self.missing.get(group.group_id, {}).get(server_id, 0)


@dataclass(frozen=True, slots=True)
class _Joining:
    """What a server had to hold when it joined."""

    at_s: float
    expected: Mapping[GroupId, int]


class Holdings:
    """Remembers what was expected in the last few seconds, and of each server the last judgement."""

    def __init__(self) -> None:
        self._past: deque[_Moment] = deque(maxlen=_REMEMBERED_MAX)
        self._joined: dict[ServerId, _Joining] = {}
        self._judged: dict[ServerId, Heartbeat] = {}
        self._lacking: dict[ServerId, dict[GroupId, int]] = {}
        #: The groups in which a server was seen to hold what it must, with their epochs.
        self._sound: dict[ServerId, dict[GroupId, int]] = {}

    def joining(self, server_id: ServerId, expected: Mapping[GroupId, int], now_s: float) -> None:
        """Note what a server has to hold of each group as it joins: its first reports are judged by that."""
        self._joined[server_id] = _Joining(now_s, expected)

    def is_sound(self, server_id: ServerId, group: PlacedGroup) -> bool:
        """Whether the last report that tells shows a whole member with as many chunks as it must hold."""
        return self._sound.get(server_id, {}).get(group.group_id) == group.epoch

    def judge(
        self, facts: Facts, groups: GroupMap, states: Mapping[ServerId, ServerState], now_s: float
    ) -> dict[ServerId, dict[GroupId, int]]:
        """Return the groups in which servers hold too few chunks, and how many are lacking at least.

        Args:
            facts: read at ``now_s`` or before.
            states: with reports that arrived before ``now_s``.
        """
        present = _Moment(
            now_s,
            groups.by_id,
            {counts.group_id: counts.chunk_count for counts in facts.groups.values()},
            facts.missing,
        )
        if not self._past or now_s - self._past[-1].at_s >= _INTERVAL_S:
            self._past.append(present)
        for server_id, state in states.items():
            self._judge(server_id, state, groups, present)
        for server_id in self._lacking.keys() - states.keys():
            del self._lacking[server_id]
            self._sound.pop(server_id, None)
        return {server_id: lacking for server_id, lacking in self._lacking.items() if lacking}

    def _judge(self, server_id: ServerId, state: ServerState, groups: GroupMap, present: _Moment) -> None:
        heartbeat = state.heartbeat
        known = self._lacking.get(server_id)
        if known:
            # Others have taken its place meanwhile; it may never report again.
            self._lacking[server_id] = known = {
                group_id: count
                for group_id, count in known.items()
                if group_id in groups.by_id and _is_whole(groups.by_id[group_id], server_id)
            }
        if heartbeat is None or (self._judged.get(server_id) is heartbeat and not known):
            return
        if heartbeat.chunk_count and not heartbeat.groups:
            # It says nothing about groups.
            return
        past = self._newest_before(state.counted_after_s)
        joined = self._joined.get(server_id)
        if joined is not None and past is not None and past.at_s >= joined.at_s:
            del self._joined[server_id]
            joined = None
        if past is None and joined is None:
            return
        held = {summary.group_id: summary.chunk_count for summary in heartbeat.groups}
        lacking: dict[GroupId, int] = {}
        sound: dict[GroupId, int] = {}
        for group_id in groups.of_server(server_id):
            group = groups.by_id[group_id]
            if not _is_whole(group, server_id):
                continue
            before = (
                past.expected(group, server_id) if past is not None else None,
                joined.expected.get(group_id) if joined is not None else None,
            )
            known_before = [count for count in before if count is not None]
            if not known_before:
                continue
            # What was removed meanwhile may be gone from the disk already.
            short = min(max(known_before), present.expected(group, server_id) or 0) - held.get(group_id, 0)
            if short > 0:
                lacking[group_id] = short
            else:
                sound[group_id] = group.epoch
        self._lacking[server_id] = lacking
        self._sound[server_id] = sound
        self._judged[server_id] = heartbeat

    def _newest_before(self, moment_s: float | None) -> _Moment | None:
        if moment_s is None:
            return None
        return next((each for each in reversed(self._past) if each.at_s < moment_s), None)


def _is_whole(group: PlacedGroup, server_id: ServerId) -> bool:
    return server_id in group.members and server_id not in group.filling and server_id not in group.leaving
