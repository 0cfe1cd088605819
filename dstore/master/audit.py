"""Holds what servers list against the rows all the time, slowly: one group after the other, each once in a period.

What digests and counts cannot show, this does: a copy that the rows name and a server lost silently is recorded as
missing, and so made again; chunks that no row names, and copies that are not what was committed, are counted, reported,
and left alone (Invariant 9). Groups in which a server may lack what it acknowledged (``doubts``) come first, then those
in which nobody holds as much as the rows say (``refills``), and those of which a copy is to be dropped (``strays``).
"""

import asyncio

from dstore.core.errors import Conflict, LimitExceeded
from dstore.core.groups import MemberState
from dstore.core.ids import GroupId
from dstore.core.interfaces import Peers
from dstore.master import counters, leader
from dstore.master.doubts import Look
from dstore.master.facts import read_settled_sequence
from dstore.master.group_check import CheckedRange, GroupCheck, corrupt_in, record_missing, sources_of
from dstore.master.replica_check import Problem, Trouble
from dstore.master.shared import Shared
from dstore.master.sightings import Sightings, Whole
from dstore.master.store.base import Transaction

#: However many groups there are, others want the master's store too.
_INTERVAL_MIN_S = 0.2
_SLEEP_MAX_S = 1.0
#: A group with one of these needs every copy that there is.
_ABOUT_COPIES = frozenset({Trouble.LOST, Trouble.MISSING, Trouble.CORRUPT, Trouble.GONE, Trouble.DIFFERS})


class Audit:
    """The audit of one master; it does nothing while another one leads."""

    def __init__(self, shared: Shared, peers: Peers | None, sightings: Sightings) -> None:
        self._shared = shared
        self._peers = peers
        self._sightings = sightings
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
        if self._sightings.is_awaited or self._shared.refills.wanted or self._due_doubt() is not None:
            return _INTERVAL_MIN_S
        count = len(self._shared.allocator.groups.by_id)
        return max(_INTERVAL_MIN_S, self._shared.upkeep.audit_period_s / max(1, count))

    def _due_doubt(self) -> GroupId | None:
        return self._shared.doubts.due(self._shared.orders.settled_sequence)

    async def step(self) -> None:
        """Look at the next group. When the store is busy or the lead was lost, it is left for its next turn."""
        leadership = self._shared.leadership
        groups = sorted(self._shared.allocator.groups.by_id)
        if self._peers is None or not leadership.is_leading or not groups:
            return
        refills = self._shared.refills.wanted
        group_id = self._due_doubt() or (refills.pop() if refills else self._sightings.take_wanted())
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
        look = await self._begin(group_id)
        states = shared.membership.states(shared.clock.monotonic_s())
        group = shared.allocator.groups.by_id[group_id]
        sources = sources_of(states, group, peers)
        check = GroupCheck(shared.store, group_id, sources, corrupt_in(states, group_id))
        counts = {trouble: dict.fromkeys(sources, 0) for trouble in (Trouble.UNKNOWN, Trouble.DIFFERS)}
        is_whole = all(group.state_of(member) is MemberState.WHOLE for member in group.members)
        async for checked in check.run():
            for problem in checked.problems:
                is_whole = is_whole and problem.trouble not in _ABOUT_COPIES
                if problem.trouble in counts and problem.server_id is not None:
                    counts[problem.trouble][problem.server_id] += 1
            if any(problem.trouble is Trouble.LOST for problem in checked.problems):
                await self._record(group_id, checked, leader_epoch)
        absent = {each for each, state in states.items() if not state.is_readable} | check.failures.keys()
        shared.doubts.end(look, absent)
        asked = {
            trouble: {each: count for each, count in found.items() if each not in absent}
            for trouble, found in counts.items()
        }
        present = shared.allocator.groups.by_id[group_id]
        is_whole = is_whole and present == group and check.sources.keys() >= set(group.members)
        self._sightings.seen(
            group_id,
            unknown=asked[Trouble.UNKNOWN],
            differing=asked[Trouble.DIFFERS],
            whole=Whole(group.epoch, look.settled_sequence) if is_whole else None,
            members=present.members,
            absent=absent,
        )

    async def _begin(self, group_id: GroupId) -> Look:
        def read(tx: Transaction) -> tuple[int, int]:
            return counters.read(tx, "chunk_sequence"), read_settled_sequence(tx)

        newest, settled = await self._shared.store.read(read)
        return self._shared.doubts.begin(group_id, newest_sequence=newest, settled_sequence=settled)

    async def _record(self, group_id: GroupId, checked: CheckedRange, leader_epoch: int) -> None:
        def run(tx: Transaction) -> frozenset[Problem]:
            leader.require(tx, leader_epoch)
            return record_missing(tx, group_id, checked)

        await self._shared.store.write(run)
