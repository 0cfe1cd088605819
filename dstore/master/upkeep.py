"""What a master does by itself, once a second: end expired writes, count running time, forget old answers,
refresh the figures.
"""

import asyncio
from collections.abc import Callable

from dstore.core.errors import LimitExceeded
from dstore.core.limits import RUNNING_TIME_STEP_S
from dstore.core.status import ClusterStatus
from dstore.master import requests, retention, writes
from dstore.master.master import Master
from dstore.master.store.base import Transaction

UPKEEP_INTERVAL_S = 1.0


class Upkeep:
    """The periodic work of one master; ``show`` gets the status after each round."""

    def __init__(self, master: Master, *, show: Callable[[ClusterStatus], None]) -> None:
        self._master = master
        self._show = show
        self._counted_s = master.shared.clock.monotonic_s()

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            Unavailable, CommitUnknown: the store has failed, and the process has to end.
        """
        while True:
            await self.step()
            await asyncio.sleep(UPKEEP_INTERVAL_S)

    async def step(self) -> None:
        """Do one round. When the store is busy, what could not be written waits for the next one."""
        try:
            await self._expire_intents()
            await self._count_running_time()
        except LimitExceeded:
            return
        self._show(await self._master.admin.get_status())

    async def _expire_intents(self) -> None:
        shared = self._master.shared
        expired = shared.leases.expired(shared.clock.monotonic_s())
        if not expired:
            return
        now_ns = shared.clock.wall_ns()
        await shared.store.write(lambda tx: writes.expire(tx, expired, now_ns=now_ns))
        for intent_id in expired:
            shared.leases.drop(intent_id)

    async def _count_running_time(self) -> None:
        shared = self._master.shared
        elapsed_s = shared.clock.monotonic_s() - self._counted_s
        if elapsed_s < RUNNING_TIME_STEP_S:
            return
        retention_s, now_ns = shared.cluster.policy.retention_s, shared.clock.wall_ns()

        def run(tx: Transaction) -> None:
            retention.advance(tx, int(elapsed_s), retention_s=retention_s, now_ns=now_ns)
            requests.forget(tx)

        await shared.store.write(run)
        self._counted_s += int(elapsed_s)
