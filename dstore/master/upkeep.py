"""What a master does by itself, once a second: keep or take the lead, end expired writes, look at what is stored, make
the orders for chunkservers; and while it leads, count running time and carry out what the planners decide.
"""

import asyncio
from collections.abc import Callable

from dstore.core.errors import Conflict, LimitExceeded
from dstore.core.limits import RUNNING_TIME_STEP_S, SERVER_SUSPECT_AFTER_S
from dstore.core.status import ClusterStatus
from dstore.master import leader, requests, retention, writes
from dstore.master.facts import Facts
from dstore.master.leader import Action
from dstore.master.master import Master
from dstore.master.missing_orders import MissingOrders
from dstore.master.observing import observe
from dstore.master.planning import Planning
from dstore.master.store.base import Transaction

UPKEEP_INTERVAL_S = 1.0


class Upkeep:
    """The periodic work of one master; ``show`` gets the status after each round."""

    def __init__(self, master: Master, *, show: Callable[[ClusterStatus], None]) -> None:
        self._master = master
        self._shared = master.shared
        self._show = show
        self._planning = Planning(master.shared)
        self._missing = MissingOrders()
        self._counted_s = self._watched_s = master.shared.clock.monotonic_s()

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            Unavailable, CommitUnknown: the store has failed, and the process has to end.
        """
        watching = asyncio.create_task(self._watch_time(), name="watch-time")
        try:
            while True:
                self._excuse_pause()
                started_s = self._now_s()
                await self.step()
                # A large cluster is looked at less often, so that most of the time is left for its calls.
                await asyncio.sleep(max(UPKEEP_INTERVAL_S, 2 * (self._now_s() - started_s)))
        finally:
            watching.cancel()

    async def _watch_time(self) -> None:
        while True:
            self._excuse_pause()
            await asyncio.sleep(UPKEEP_INTERVAL_S)

    def _excuse_pause(self) -> None:
        """Notice that this process stood still: what it did not hear then says nothing about servers and writers.

        Nor was it running: what is kept for some running time is not kept for less because of that.
        """
        now_s = self._now_s()
        late_s = now_s - self._watched_s - UPKEEP_INTERVAL_S
        if late_s >= SERVER_SUSPECT_AFTER_S:
            self._shared.membership.excuse(late_s, now_s)
            self._shared.leases.excuse(late_s, now_s)
            self._counted_s = min(now_s, self._counted_s + late_s)
        self._watched_s = now_s

    async def step(self) -> None:
        """Do one round. When the store is busy, what could not be written waits for the next one."""
        try:
            await self._lead()
            await self._expire_intents()
            facts = await observe(self._shared)
            await self._order_missing(facts)
            if self._shared.leadership.is_leading:
                await self._plan(facts)
        except LimitExceeded:
            return
        self._show(self._master.admin.describe(facts))

    async def release(self) -> None:
        """Give up the lead, so that the next master need not wait."""
        row = await self._shared.store.write(lambda tx: leader.release(tx, self._shared.leadership.name))
        self._shared.leadership.see(row, self._now_s())

    async def _lead(self) -> None:
        leadership, store = self._shared.leadership, self._shared.store
        action, now_s = leadership.decide(self._now_s()), self._now_s()
        if action is Action.TAKE:
            # While this master watched nobody lead, nobody else counted running time.
            seen, self._counted_s = leadership.row, now_s - leadership.quiet_s(now_s)
            leadership.see(await store.write(lambda tx: leader.take(tx, leadership.name, seen)), now_s)
        elif action is Action.BEAT:
            epoch = leadership.epoch
            leadership.see(await store.write(lambda tx: leader.beat(tx, leadership.name, epoch)), now_s)

    async def _plan(self, facts: Facts) -> None:
        epoch = self._shared.leadership.epoch
        try:
            await self._count_running_time(epoch)
            await self._planning.step(facts, epoch)
            await self._shared.collection.step(epoch)
        except Conflict as error:
            if error.reason != "LEADER_CHANGED":
                raise
            # Nothing of this round was stored; the next one begins by looking at who leads.
            await observe(self._shared)

    async def _order_missing(self, facts: Facts) -> None:
        shared, now_s = self._shared, self._now_s()
        shared.orders.look(now_s)
        shared.progress.sample(shared.membership.states(now_s), now_s)
        readable = shared.orders.readable
        lacking = [each for each, count in facts.missing_of_server.items() if count and each in readable]
        windows = await shared.store.read(lambda tx: self._missing.read(tx, lacking)) if lacking else {}
        shared.orders.missing = self._missing.choose(
            windows, shared.allocator.groups, readable, shared.orders.former_holders
        )

    async def _expire_intents(self) -> None:
        shared = self._shared
        expired = shared.leases.expired(self._now_s())
        if not expired:
            return
        now_ns = shared.clock.wall_ns()
        await shared.store.write(lambda tx: writes.expire(tx, expired, now_ns=now_ns))
        for intent_id in expired:
            shared.leases.drop(intent_id)

    async def _count_running_time(self, leader_epoch: int) -> None:
        shared = self._shared
        elapsed_s = self._now_s() - self._counted_s
        if elapsed_s < RUNNING_TIME_STEP_S:
            return
        retention_s, now_ns = shared.cluster.policy.retention_s, shared.clock.wall_ns()

        def run(tx: Transaction) -> None:
            leader.require(tx, leader_epoch)
            retention.advance(tx, int(elapsed_s), retention_s=retention_s, now_ns=now_ns)
            requests.forget(tx)

        await shared.store.write(run)
        self._counted_s += int(elapsed_s)

    def _now_s(self) -> float:
        return self._shared.clock.monotonic_s()
