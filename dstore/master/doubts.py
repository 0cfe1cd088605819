"""Servers that may lack chunks that they have acknowledged, by group, until the audit has looked; in memory alone.

A server reports such doubts after it ended, or failed, before everything was synced that it had acknowledged as
replicated. The audit records what it lacks as missing. A chunk may have been acknowledged before, and be committed only
after the audit has looked; so a doubt ends with a look at which every chunk is settled that was given out by the first.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from dstore.core.ids import GroupId, ServerId
from dstore.core.upkeep import GroupDoubt, Heartbeat
from dstore.master.group_map import GroupMap


@dataclass(slots=True)
class _Told:
    """What one run of a server reports.

    Attributes:
        reaches: of doubts that were looked at: the newest chunk that was given out by then.
        examined: doubts that are over, as the server is to be told.
        postponed: doubts that were looked at, and the server could not be asked; until it reports again.
    """

    incarnation: int
    doubts: Mapping[GroupId, GroupDoubt] = field(default_factory=dict)
    reaches: dict[GroupDoubt, int] = field(default_factory=dict)
    examined: set[GroupDoubt] = field(default_factory=set)
    postponed: set[GroupDoubt] = field(default_factory=set)

    def is_due(self, doubt: GroupDoubt, settled_sequence: int) -> bool:
        """Whether a look would tell something new."""
        if doubt in self.examined or doubt in self.postponed:
            return False
        return doubt not in self.reaches or self.reaches[doubt] < settled_sequence


@dataclass(frozen=True, slots=True)
class Look:
    """A look at a group that has begun: by server, which run of it, and which doubt."""

    doubts: Mapping[ServerId, tuple[int, GroupDoubt]]
    settled_sequence: int


class Doubts:
    """The doubts of all servers."""

    def __init__(self) -> None:
        self._told: dict[ServerId, _Told] = {}
        self._last = GroupId(0)

    def heard(self, heartbeat: Heartbeat, groups: GroupMap) -> None:
        """Take note of a report."""
        server_id = heartbeat.server_id
        told = self._told.get(server_id)
        if told is None or told.incarnation != heartbeat.incarnation:
            if not heartbeat.doubts:
                self._told.pop(server_id, None)
                return
            told = self._told[server_id] = _Told(heartbeat.incarnation)
        told.doubts = {each.group_id: each for each in heartbeat.doubts}
        current = set(heartbeat.doubts)
        told.reaches = {each: reach for each, reach in told.reaches.items() if each in current}
        # Nothing is expected of a server in groups that it is no member of.
        members = groups.of_server(server_id)
        told.postponed.clear()
        told.examined = {each for each in current if each in told.examined or each.group_id not in members}

    def examined(self, server_id: ServerId) -> tuple[GroupDoubt, ...]:
        """Return the doubts that are over, and that the server still reports."""
        told = self._told.get(server_id)
        return tuple(sorted(told.examined, key=lambda each: each.group_id)) if told is not None else ()

    def of(self, server_id: ServerId) -> frozenset[GroupId]:
        """Return the groups in which it is not known what a server lacks."""
        told = self._told.get(server_id)
        if told is None:
            return frozenset()
        return frozenset(each.group_id for each in told.doubts.values() if each not in told.examined)

    def by_group(self) -> dict[GroupId, frozenset[ServerId]]:
        """Return the groups in doubt, with the servers of which it is not known what they lack."""
        servers: dict[GroupId, set[ServerId]] = {}
        for server_id in self._told:
            for group_id in self.of(server_id):
                servers.setdefault(group_id, set()).add(server_id)
        return {group_id: frozenset(found) for group_id, found in servers.items()}

    def due(self, settled_sequence: int) -> GroupId | None:
        """Return a group that a look would tell something new about, each in its turn; None when there is none."""
        due = sorted(
            {
                each.group_id
                for told in self._told.values()
                for each in told.doubts.values()
                if told.is_due(each, settled_sequence)
            }
        )
        if not due:
            return None
        self._last = next((each for each in due if each > self._last), due[0])
        return self._last

    def begin(self, group_id: GroupId, *, newest_sequence: int, settled_sequence: int) -> Look:
        """Begin a look at a group.

        Args:
            newest_sequence: of all chunks that were given out.
            settled_sequence: no chunk below it has a writer any more.
        """
        doubts: dict[ServerId, tuple[int, GroupDoubt]] = {}
        for server_id, told in self._told.items():
            doubt = told.doubts.get(group_id)
            if doubt is not None and doubt not in told.examined:
                told.reaches.setdefault(doubt, newest_sequence)
                doubts[server_id] = told.incarnation, doubt
        return Look(doubts, settled_sequence)

    def end(self, look: Look, absent: Container[ServerId]) -> None:
        """Take note of a look that is over, and of the servers that could not be asked."""
        for server_id, (incarnation, doubt) in look.doubts.items():
            told = self._told.get(server_id)
            if told is None or told.incarnation != incarnation:
                continue
            if server_id in absent:
                told.postponed.add(doubt)
            elif doubt in told.reaches and told.reaches[doubt] < look.settled_sequence:
                told.examined.add(doubt)
