"""Holds what servers list against the rows all the time, slowly: one group after the other, each once in a period.

What digests and counts cannot show, this does: a copy that the rows name and a server lost silently is recorded as
missing, and so made again; chunks that no row names are counted, reported, and left alone (Invariant 9).
"""

import asyncio
from collections.abc import Container, Mapping

from dstore.core.errors import Conflict, LimitExceeded
from dstore.core.ids import GroupId, ServerId
from dstore.core.interfaces import Peers
from dstore.core.status import Health, HealthCheck
from dstore.master import leader
from dstore.master.group_check import CheckedRange, GroupCheck, corrupt_in, record_missing, sources_of
from dstore.master.replica_check import Problem, Trouble
from dstore.master.shared import Shared
from dstore.master.store.base import Transaction

#: However many groups there are, others want the master's store too.
_INTERVAL_MIN_S = 0.2
#: While copies wait for a look at them before they can be dropped.
_INTERVAL_AWAITED_S = 1.0
_SLEEP_MAX_S = 10.0


class UnknownChunks:
    """How many chunks that no row names each server lists, as of the last look at each group."""

    def __init__(self) -> None:
        self._counts: dict[GroupId, dict[ServerId, int]] = {}
        #: Servers that are no members, and were seen to hold nothing unknown.
        self._clean: dict[GroupId, frozenset[ServerId]] = {}
        #: Groups with copies that could be dropped once somebody has looked at them.
        self._wanted: set[GroupId] = set()

    @property
    def is_awaited(self) -> bool:
        """Whether copies wait for a look at them."""
        return bool(self._wanted)

    def take_wanted(self) -> GroupId | None:
        """Return a group that is to be looked at before others, once; whoever still wants it says so again."""
        return self._wanted.pop() if self._wanted else None

    @property
    def total(self) -> int:
        """Copies of unknown chunks."""
        return sum(sum(counts.values()) for counts in self._counts.values())

    def seen(
        self,
        group_id: GroupId,
        counts: Mapping[ServerId, int],
        *,
        members: Container[ServerId],
        absent: Container[ServerId],
    ) -> None:
        """Take note of a look at a group.

        Args:
            counts: of the servers that hold something of it.
            absent: servers that could not be asked; they keep the counts that they had, and all others have none.
        """
        kept = {each: count for each, count in self._counts.pop(group_id, {}).items() if each in absent}
        found = kept | {each: count for each, count in counts.items() if count}
        clean = frozenset(each for each, count in counts.items() if not count and each not in members)
        self._clean.pop(group_id, None)
        if found:
            self._counts[group_id] = found
        if clean:
            self._clean[group_id] = clean

    def may_be_dropped(self, server_id: ServerId, group_id: GroupId, *, unseen: bool) -> bool:
        """Whether a copy of a group holds nothing unknown, as far as it was looked at; ``unseen`` if it was not."""
        if server_id in self._counts.get(group_id, ()):
            return False
        if unseen or server_id in self._clean.get(group_id, ()):
            return True
        self._wanted.add(group_id)
        return False

    def checks(self) -> tuple[HealthCheck, ...]:
        """Return the reason for a health that is not OK, if there are some."""
        servers = {server_id for counts in self._counts.values() for server_id in counts}
        if not servers:
            return ()
        count, where = self.total, "1 chunkserver" if len(servers) == 1 else f"{len(servers)} chunkservers"
        chunks = "1 chunk that no record names is" if count == 1 else f"{count} chunks that no record names are"
        return (HealthCheck("UNKNOWN_CHUNKS", Health.WARN, f"{chunks} on {where}; nothing touches it.", "dstore fsck"),)


class Audit:
    """The audit of one master; it does nothing while another one leads."""

    def __init__(self, shared: Shared, peers: Peers | None, unknown: UnknownChunks) -> None:
        self._shared = shared
        self._peers = peers
        self._unknown = unknown
        self._last = GroupId(0)

    async def run(self) -> None:
        """Go on until cancelled.

        Raises:
            Unavailable, CommitUnknown: the store has failed, and the process has to end.
        """
        looked_s = self._shared.clock.monotonic_s()
        while True:
            left_s = looked_s + self._interval_s() - self._shared.clock.monotonic_s()
            if left_s > 0:
                # There may be more groups by then.
                await asyncio.sleep(min(left_s, _SLEEP_MAX_S))
                continue
            looked_s = self._shared.clock.monotonic_s()
            await self.step()

    def _interval_s(self) -> float:
        count = len(self._shared.allocator.groups.by_id)
        interval_s = max(_INTERVAL_MIN_S, self._shared.upkeep.audit_period_s / max(1, count))
        return min(interval_s, _INTERVAL_AWAITED_S) if self._unknown.is_awaited else interval_s

    async def step(self) -> None:
        """Look at the next group. When the store is busy or the lead was lost, it is left for its next turn."""
        leadership = self._shared.leadership
        groups = sorted(self._shared.allocator.groups.by_id)
        if self._peers is None or not leadership.is_leading or not groups:
            return
        group_id = self._unknown.take_wanted()
        if group_id is None or group_id not in self._shared.allocator.groups.by_id:
            group_id = self._last = next((each for each in groups if each > self._last), groups[0])
        try:
            await self._look(self._peers, group_id, leadership.epoch)
        except LimitExceeded:
            return
        except Conflict as error:
            if error.reason != "LEADER_CHANGED":
                raise

    async def _look(self, peers: Peers, group_id: GroupId, leader_epoch: int) -> None:
        shared = self._shared
        states = shared.membership.states(shared.clock.monotonic_s())
        sources = sources_of(states, shared.allocator.groups.by_id[group_id], peers)
        check = GroupCheck(shared.store, group_id, sources, corrupt_in(states, group_id))
        unknown = dict.fromkeys(sources, 0)
        async for checked in check.run():
            for problem in checked.problems:
                if problem.trouble is Trouble.UNKNOWN and problem.server_id is not None:
                    unknown[problem.server_id] += 1
            if any(problem.trouble is Trouble.LOST for problem in checked.problems):
                await self._record(group_id, checked, leader_epoch)
        absent = {each for each, state in states.items() if not state.is_readable} | check.failures.keys()
        self._unknown.seen(
            group_id,
            {each: count for each, count in unknown.items() if each not in absent},
            members=shared.allocator.groups.by_id[group_id].members,
            absent=absent,
        )

    async def _record(self, group_id: GroupId, checked: CheckedRange, leader_epoch: int) -> None:
        def run(tx: Transaction) -> frozenset[Problem]:
            leader.require(tx, leader_epoch)
            return record_missing(tx, group_id, checked)

        await self._shared.store.write(run)
