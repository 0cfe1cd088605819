"""The end of chunks, decided by the leader: what is ordered to be discarded and dropped, and when its rows go.

    ended rows ──(retention)──► deleted_chunks ──(grace)──► ordered ──(all holders confirmed)──► row gone
    stray copy of a group ──(grace, the members lack nothing)──► ordered to be dropped

Nothing is ordered, and no row goes, in safe mode, after the breaker stopped it, or before every server that is not out
has reported to this leader: what was decided before its time, or without knowing what is where, is decided again.
Orders lapse when no round came to its end for a while. Every transaction compares the leader's epoch (Invariant 7).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dstore.core.checking import CollectionState, CollectionStatus, CollectionStop
from dstore.core.groups import GroupEpoch, ServerPhase
from dstore.core.ids import ChunkId, GroupId, ServerId
from dstore.core.limits import (
    COLLECT_ROUNDS_MAX,
    DISCARDS_FINISHED_MAX,
    DISCARDS_OUTSTANDING_MAX,
    LEADER_LEASE_S,
    SERVER_AWAY_AFTER_S,
)
from dstore.core.status import HealthCheck
from dstore.core.upkeep import Heartbeat
from dstore.master import breaker, collection_stop, content_history, deletions, leader, safe_mode
from dstore.master.discards import Discards, Finished, Owed
from dstore.master.membership import ServerState
from dstore.master.safe_mode import SafeMode
from dstore.master.shared import Shared
from dstore.master.sightings import Sightings
from dstore.master.store.base import Transaction
from dstore.master.strays import GroupFacts, Holding, Reports, StrayWatch, find_strays

T = TypeVar("T")

#: Reports come every second; with less than this, nothing would ever be confirmed by all.
_CONFIRMATION_VALIDITY_MIN_S = 4.0
#: Servers that are waited for and named one by one.
_NAMED_MAX = 5


@dataclass(frozen=True, slots=True)
class _Scene:
    """The servers at the beginning of a round.

    Attributes:
        reports: of the servers that are not away and have reported: chunks by group.
        up: servers of these that are up.
        away: servers that cannot be waited for.
    """

    states: Mapping[ServerId, ServerState]
    reports: Reports
    up: frozenset[ServerId]
    away: frozenset[ServerId]

    @property
    def unheard(self) -> frozenset[ServerId]:
        """Servers that may hold what they did not report: all that are not up."""
        return frozenset(self.states) - self.up

    def holders(self, groups: Mapping[GroupId, GroupFacts]) -> dict[GroupId, frozenset[ServerId]]:
        """Return who has to confirm that chunks of these groups are gone."""
        holders = {group_id: set(facts.members) for group_id, facts in groups.items()}
        for server_id, counts in self.reports.items():
            for group_id in holders.keys() & counts.keys():
                holders[group_id].add(server_id)
        return {group_id: frozenset(servers - self.away) for group_id, servers in holders.items()}


class Collector:
    """Implements ``dstore.master.shared.Collection``.

    Attributes:
        unknown: what was found on disks that will not be deleted; the audit counts it.
    """

    def __init__(self, shared: Shared, guard: SafeMode) -> None:
        self._shared = shared
        self._guard = guard
        self.sightings = Sightings()
        self._epoch = 0
        self._stepped_s: float | None = None
        self._heard: set[ServerId] = set()
        self._dropped: set[Holding] = set()
        self._discards = Discards()
        self._strays = StrayWatch()
        self._losses = breaker.RecentLosses()
        self._unapproved: deletions.Unapproved | None = None
        self._state = CollectionState.POSTPONED
        self._reason = "This master does not lead."
        self._stop: CollectionStop | None = None

    @property
    def safe_mode(self) -> SafeMode:
        """What keeps it from deleting when the metadata is old."""
        return self._guard

    async def heard(self, heartbeat: Heartbeat) -> None:
        """As ``Collection.heard``."""
        await self._guard.heard(heartbeat)
        server_id, outcomes = heartbeat.server_id, heartbeat.outcomes
        self._heard.add(server_id)
        self._discards.heard(server_id, heartbeat.boot_id, outcomes.discarded, heartbeat.settled_sequence)
        self._dropped.update(Holding(server_id, group_id) for group_id in outcomes.dropped)

    def orders_for(self, server_id: ServerId) -> tuple[tuple[ChunkId, ...], tuple[GroupEpoch, ...]]:
        """As ``Collection.orders_for``."""
        now_s = self._shared.clock.monotonic_s()
        if self._stepped_s is None or now_s - self._stepped_s > LEADER_LEASE_S or self._guard.status.is_on:
            return (), ()
        return self._discards.orders_for(server_id, now_s), self._strays.orders_for(server_id)

    async def step(self, leader_epoch: int) -> None:
        """As ``Collection.step``."""
        if leader_epoch != self._epoch:
            self._begin(leader_epoch)
        now_s = self._shared.clock.monotonic_s()
        scene = self._look(now_s)
        if await self._shared.store.read(content_history.is_due):
            await self._write(content_history.advance, None)
        if not await self._may_delete(scene):
            self._withdraw()
            return
        await self._collect_versions()
        if await self._order_discards(scene, now_s):
            # With the same view of who is away: whoever is not asked here is remembered there.
            await self._finish(scene, now_s)
            await self._order_drops(scene, now_s)
            self._stepped_s = now_s

    async def status(self) -> CollectionStatus:
        """Describe how far it is."""
        await self._guard.refresh()
        facts = await self._shared.store.read(collection_stop.read_facts)
        self._stop = facts.stop
        state, reason = self._state, self._reason
        if self._guard.status.is_on:
            state, reason = CollectionState.SAFE_MODE, self._guard.status.reason
        elif facts.stop is not None:
            state, reason = CollectionState.STOPPED, collection_stop.explain(facts.stop)
        elif state in (CollectionState.SAFE_MODE, CollectionState.STOPPED):
            state, reason = CollectionState.POSTPONED, "The next round begins within seconds."
        return CollectionStatus(
            state=state,
            reason=reason,
            deleted_chunks=facts.deleted_chunks,
            ordered_chunks=self._discards.ordered_count,
            owed_chunks=facts.owed_chunks,
            stray_groups=self._strays.stray_count,
            stop=facts.stop,
        )

    async def approve(self) -> CollectionStatus:
        """Let through what the collection stopped at."""
        await self._shared.store.write(collection_stop.approve)
        return await self.status()

    def checks(self) -> tuple[HealthCheck, ...]:
        """As ``Collection.checks``."""
        return (*self._guard.checks(), *collection_stop.checks(self._stop), *self.sightings.checks())

    def _begin(self, leader_epoch: int) -> None:
        """What another leader was told, or this one in an earlier time, does not count any more."""
        self._epoch = leader_epoch
        self._heard = set()
        self._losses = breaker.RecentLosses()
        # Another leader may have removed rows that are counted here.
        self._unapproved = None
        self._withdraw()

    def _withdraw(self) -> None:
        self._stepped_s = None
        self._discards.withdraw()
        self._strays.withdraw()

    def _look(self, now_s: float) -> _Scene:
        states = self._shared.membership.states(now_s)
        away = frozenset(
            server_id
            for server_id, state in states.items()
            if state.phase is ServerPhase.OUT
            or (state.phase is ServerPhase.DOWN and (state.age_s or 0.0) >= SERVER_AWAY_AFTER_S)
        )
        reports = {
            server_id: {group.group_id: group.chunk_count for group in state.heartbeat.groups}
            for server_id, state in states.items()
            if state.heartbeat is not None and server_id not in away
        }
        up = frozenset(server_id for server_id in reports if states[server_id].phase is ServerPhase.UP)
        return _Scene(states, reports, up, away)

    async def _may_delete(self, scene: _Scene) -> bool:
        status = await self._guard.refresh()
        if status.is_on:
            return self._wait(CollectionState.SAFE_MODE, status.reason)
        if scene.states and not self._heard:
            return self._wait(CollectionState.POSTPONED, "No chunkserver has reported to this leader yet.")
        awaited = sorted(
            state.record.name
            for server_id, state in scene.states.items()
            if state.phase is not ServerPhase.OUT and (server_id not in self._heard or state.heartbeat is None)
        )
        if awaited:
            names = ", ".join(awaited[:_NAMED_MAX]) + (" and others" if len(awaited) > _NAMED_MAX else "")
            return self._wait(CollectionState.POSTPONED, f"{names} did not report to this leader yet.")
        self._stop = await self._shared.store.read(collection_stop.read_stop)
        if self._stop is not None:
            return self._wait(CollectionState.STOPPED, collection_stop.explain(self._stop))
        self._state, self._reason = CollectionState.RUNNING, ""
        return True

    def _wait(self, state: CollectionState, reason: str) -> bool:
        self._state, self._reason = state, reason
        return False

    async def _collect_versions(self) -> None:
        """Give up versions whose retention is over."""
        retention_s, now_ns = self._shared.cluster.policy.retention_s, self._shared.clock.wall_ns()
        for _ in range(COLLECT_ROUNDS_MAX):
            if await self._write(lambda tx: deletions.collect_versions(tx, retention_s, now_ns), True):
                return

    async def _finish(self, scene: _Scene, now_s: float) -> None:
        """Remove the rows of what is gone."""
        while finished := self._discards.finished(DISCARDS_FINISHED_MAX):
            gone = await self._finish_some(finished, scene)
            self._discards.forget(gone)
            if self._unapproved is not None:
                self._unapproved = self._unapproved.without(
                    each.chunk for each in finished if each.chunk.chunk_id in gone
                )
            lost: Counter[ServerId] = Counter()
            for each in finished:
                if each.chunk.chunk_id in gone and not each.chunk.is_approved:
                    lost.update(each.confirmed)
            for server_id, count in lost.items():
                self._losses.add(server_id, count, now_s)
            if len(gone) < len(finished):
                break
        paid, dropped = self._discards.paid(DISCARDS_OUTSTANDING_MAX), frozenset(self._dropped)
        if paid or dropped:
            await self._write(lambda tx: deletions.forget_owed(tx, paid, dropped), None)
            self._dropped -= dropped

    async def _finish_some(self, finished: Sequence[Finished], scene: _Scene) -> frozenset[ChunkId]:
        return await self._write(lambda tx: deletions.finish(tx, finished, scene.away, scene.unheard), frozenset())

    async def _order_discards(self, scene: _Scene, now_s: float) -> bool:
        """Order what is due, unless it is too much at once; return whether it is not."""
        grace_s, store, known = self._shared.upkeep.collection_grace_s, self._shared.store, self._unapproved

        def read(tx: Transaction) -> tuple[deletions.Due, dict[GroupId, GroupFacts], float]:
            due = deletions.read_due(tx, grace_s, collection_stop.approved_s(tx), scene.up, known)
            chunk_ids = [each.chunk_id for each in due.chunks] + [each.chunk_id for each in due.owed]
            groups = deletions.read_groups(tx, {*due.unapproved.counts, *(each.group_id for each in chunk_ids)})
            return due, groups, content_history.shrinkage(tx)

        due, groups, shrinkage = await store.read(read)
        self._unapproved = due.unapproved
        holders = scene.holders(groups)
        excess = breaker.worst(self._exposures(scene, due, holders, now_s), shrinkage)
        if excess is not None:
            stop = CollectionStop(
                excess.server_id,
                scene.states[excess.server_id].record.name,
                excess.lost_chunks,
                excess.due_chunks,
                excess.held_chunks,
                due.before_s,
            )
            await self._write(lambda tx: collection_stop.store(tx, stop), None)
            self._stop = stop
            self._withdraw()
            return self._wait(CollectionState.STOPPED, collection_stop.explain(stop))
        owed = await self._still_owed(scene, due.owed, holders)
        validity_s = max(_CONFIRMATION_VALIDITY_MIN_S, self._shared.upkeep.trash_delay_s / 2)
        self._discards.plan(due.chunks, owed, holders, scene.up, now_s=now_s, validity_s=validity_s)
        return True

    async def _still_owed(
        self, scene: _Scene, owed: Sequence[Owed], holders: Mapping[GroupId, frozenset[ServerId]]
    ) -> list[Owed]:
        """Leave out what cannot be owed: by servers that were removed, or that are back and hold nothing of the group.

        Most servers that are away never held the groups in which something is deleted meanwhile.
        """
        settled = {
            Holding(each.server_id, each.chunk_id.group_id)
            for each in owed
            if each.server_id in scene.up
            and not scene.reports[each.server_id].get(each.chunk_id.group_id)
            and each.server_id not in holders.get(each.chunk_id.group_id, frozenset())
        }
        is_removed = any(each.server_id not in scene.states for each in owed)
        if settled or is_removed:
            await self._write(lambda tx: deletions.forget_owed(tx, (), settled), None)
        return [each for each in owed if Holding(each.server_id, each.chunk_id.group_id) not in settled]

    def _exposures(
        self, scene: _Scene, due: deletions.Due, holders: Mapping[GroupId, frozenset[ServerId]], now_s: float
    ) -> list[breaker.Exposure]:
        due_of: Counter[ServerId] = Counter()
        for group_id, count in due.unapproved.counts.items():
            for server_id in holders.get(group_id, ()):
                due_of[server_id] += count
        # What a server has discarded already is lost to it, though the row waits for others.
        confirmed = self._discards.confirmed_counts()
        exposures: list[breaker.Exposure] = []
        for server_id, count in due_of.items():
            state = scene.states.get(server_id)
            held = state.heartbeat.chunk_count if state is not None and state.heartbeat is not None else 0
            done = min(count, confirmed[server_id])
            lost = self._losses.of(server_id, now_s) + done
            exposures.append(breaker.Exposure(server_id, held, lost, count - done))
        return exposures

    async def _order_drops(self, scene: _Scene, now_s: float) -> None:
        shared, grace_s = self._shared, self._shared.upkeep.drop_grace_s
        reports = {server_id: scene.reports[server_id] for server_id in scene.up}
        groups = shared.allocator.groups
        memberships = {server_id: frozenset(groups.of_server(server_id)) for server_id in reports}
        ripe = self._strays.see(find_strays(reports, memberships, groups.by_id), now_s, grace_s)
        facts, writing = await shared.store.read(
            lambda tx: (deletions.read_groups(tx, ripe), deletions.read_writing(tx))
        )
        replicas = shared.cluster.policy.replicas
        # Chunks of a history that was lost are unknown: then only copies that have none of them may go.
        trusts_rows = not self._guard.status.earlier_history_ids
        self._strays.plan(
            facts,
            reports,
            writing,
            replicas=replicas,
            now_s=now_s,
            grace_s=grace_s,
            may_go=lambda each, epoch, newest: self.sightings.may_be_dropped(
                each.server_id, each.group_id, epoch=epoch, newest_sequence=newest, trusts_rows=trusts_rows
            ),
        )

    async def _write(self, fn: Callable[[Transaction], T], otherwise: T) -> T:
        """Run a transaction of this leader; return ``otherwise`` without running it when safe mode began meanwhile."""
        epoch = self._epoch

        def run(tx: Transaction) -> T:
            leader.require(tx, epoch)
            return otherwise if safe_mode.load(tx).is_on else fn(tx)

        return await self._shared.store.write(run)


async def open_collector(shared: Shared) -> Collector:
    """Return the collector of a master that is being opened.

    Raises:
        Unavailable: the store does not work.
    """
    return Collector(shared, SafeMode(shared, await shared.store.read(safe_mode.load)))
