"""What the master orders the chunkservers: kept ready, so that a report is answered without asking the store.

The orders for a server change when its groups change, when servers move or flip between readable and not, and when a
former holder of one of its groups appears or goes; only then they are made anew.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from dstore.core.groups import GroupEpoch, MemberState
from dstore.core.ids import ChunkId, GroupId, ServerId
from dstore.core.upkeep import Assignment, Heartbeat, Orders, Source, Standing, UpkeepSettings
from dstore.master.group_map import GroupMap
from dstore.master.membership import Membership
from dstore.master.placement import PlacedGroup

_STATE_RANK = {MemberState.WHOLE: 0, MemberState.LEAVING: 1, MemberState.FILLING: 2}


class OrderBook:
    """The orders for all servers, as of the last round of upkeep."""

    def __init__(self, membership: Membership, settings: UpkeepSettings, now_s: float) -> None:
        self.settings = settings
        self.settled_sequence = 0
        self.transaction = 0
        self.missing: Mapping[ServerId, tuple[ChunkId, ...]] = {}
        self._membership = membership
        self.readable = frozenset[ServerId]()
        #: By server: groups that it holds chunks of and is no member of; and the other way round.
        self._foreign: dict[ServerId, frozenset[GroupId]] = {}
        self._holders: dict[GroupId, set[ServerId]] = {}
        self._ready: dict[ServerId, tuple[tuple[Assignment, ...], bytes]] = {}
        self._groups: GroupMap | None = None
        self.look(now_s)

    def former_holders(self, group_id: GroupId) -> frozenset[ServerId]:
        """Return the readable servers that hold chunks of a group and are no members of it."""
        return frozenset(self._holders.get(group_id, ())) & self.readable

    def heard(self, heartbeat: Heartbeat, groups: GroupMap) -> None:
        """Take note of which groups a server holds chunks of."""
        server_id = heartbeat.server_id
        own = frozenset(groups.of_server(server_id))
        held = {summary.group_id for summary in heartbeat.groups if summary.chunk_count}
        foreign = frozenset(held - own) & groups.by_id.keys()
        before = self._foreign.get(server_id, frozenset())
        if foreign == before:
            return
        self._foreign[server_id] = foreign
        for group_id in before - foreign:
            self._holders[group_id].discard(server_id)
            if not self._holders[group_id]:
                del self._holders[group_id]
        for group_id in foreign - before:
            self._holders.setdefault(group_id, set()).add(server_id)
        self._forget_members(groups, before ^ foreign)

    def look(self, now_s: float) -> None:
        """Take note of which servers can be read from now."""
        states = self._membership.states(now_s)
        readable = frozenset(server_id for server_id, state in states.items() if state.is_readable)
        flipped, self.readable = self.readable ^ readable, readable
        if self._groups is None:
            return
        for server_id in flipped:
            concerned = [
                group_id
                for group_id in self._groups.of_server(server_id)
                if self._groups.by_id[group_id].filling or group_id in self._holders
            ]
            self._forget_members(self._groups, (*concerned, *self._foreign.get(server_id, ())))

    def forget(self) -> None:
        """Make all orders anew: a server has another address, or was removed."""
        self._ready.clear()

    def of(
        self,
        server_id: ServerId,
        groups: GroupMap,
        standing: Standing,
        *,
        known_digest: bytes,
        discards: tuple[ChunkId, ...],
        drops: tuple[GroupEpoch, ...],
    ) -> Orders:
        """Return the orders for one server; its assignments only unless it knows them."""
        self._follow(groups)
        ready = self._ready.get(server_id)
        if ready is None:
            assignments = self._assignments(server_id, groups)
            ready = self._ready[server_id] = assignments, assignments_digest(assignments)
        assignments, digest = ready
        return Orders(
            standing=standing,
            settled_sequence=self.settled_sequence,
            assignments=None if digest == known_digest else assignments,
            assignments_digest=digest,
            missing=self.missing.get(server_id, ()),
            discards=discards,
            drops=drops,
            settings=self.settings,
        )

    def _follow(self, groups: GroupMap) -> None:
        before, self._groups = self._groups, groups
        if before is None:
            self._ready.clear()
        elif before is not groups:
            changed = groups.changed_since(before)
            self._forget_members(groups, changed)
            self._forget_members(before, (group_id for group_id in changed if group_id in before.by_id))

    def _forget_members(self, groups: GroupMap, group_ids: Iterable[GroupId]) -> None:
        for group_id in group_ids:
            for member in groups.by_id[group_id].members:
                self._ready.pop(member, None)

    def _assignments(self, server_id: ServerId, groups: GroupMap) -> tuple[Assignment, ...]:
        return tuple(self._assignment(server_id, groups.by_id[each]) for each in groups.of_server(server_id))

    def _assignment(self, server_id: ServerId, group: PlacedGroup) -> Assignment:
        members = sorted(
            (member for member in group.members if member != server_id),
            key=lambda member: (_STATE_RANK[group.state_of(member)], member not in self.readable),
        )
        return Assignment(
            group_id=group.group_id,
            epoch=group.epoch,
            state=group.state_of(server_id),
            urgency=sum(member in self.readable and member not in group.filling for member in group.members),
            sources=(
                *self._sources(members, is_member=True),
                *self._sources(sorted(self.former_holders(group.group_id)), is_member=False),
            ),
        )

    def _sources(self, server_ids: Iterable[ServerId], *, is_member: bool) -> list[Source]:
        found = ((server_id, self._membership.address(server_id)) for server_id in server_ids)
        return [Source(server_id, address, is_member) for server_id, address in found if address is not None]


def assignments_digest(assignments: Sequence[Assignment]) -> bytes:
    """Return 16 bytes that differ when the assignments do."""
    return hashlib.blake2b(repr(assignments).encode(), digest_size=16).digest()
