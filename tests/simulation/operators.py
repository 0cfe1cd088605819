"""What people do to a cluster while things break: they drain, maintain, pause, restore, approve, check, and remove.

Everything goes through the services of the master, over wires that fail. A refusal with a reason that the command has
is fine, and so is that nobody answers; any other error is a violation.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from dstore.client.client import AsyncClient
from dstore.core.checking import CheckSummary, CollectionState, Finding, FindingKind
from dstore.core.errors import CommitUnknown, DeadlineExceeded, DstoreError, NotFound, Unavailable
from dstore.core.groups import Duty
from dstore.core.interfaces import Admin
from dstore.core.operations import PauseAction
from simulation.dice import Dice
from simulation.node import Process
from simulation.restorer import Restorer
from simulation.workload import OPERATION_DURATION_MAX_S, Workload
from simulation.world import World

#: What commands are refused for.
_REFUSALS = frozenset({"DRAIN_REFUSED", "MAINTENANCE_REFUSED", "NODE_IN_USE", "DUTY_CHANGED", "CHECK_RUNNING"})
#: Findings about rows alone: a check that looks twice never makes them, whatever happens meanwhile.
_NEVER_FOUND = frozenset(
    {
        FindingKind.ENTRY_WITHOUT_INODE,
        FindingKind.ENTRY_OUTSIDE,
        FindingKind.INODE_WITHOUT_ENTRY,
        FindingKind.CHUNK_ROWS_INCOMPLETE,
        FindingKind.CHUNK_WITHOUT_FILE,
        FindingKind.CHUNK_IN_UNKNOWN_GROUP,
        FindingKind.CHUNK_USED_AND_DELETED,
        FindingKind.COUNTER_OFF,
        FindingKind.MISSING_ROW_WITHOUT_CHUNK,
        FindingKind.REPLICA_DIFFERS,
    }
)
#: Whoever looks at a check does not wait for ever.
_CHECK_PATIENCE_S = 60.0
_PAUSE_S = 1.5


class Operators:
    """The people of one run.

    Attributes:
        violations: answers that no honest cluster gives.
        counts: commands that were carried out, by kind.
        leaving: the server that is to be removed for good; None when none is.
    """

    def __init__(self, world: World, workload: Workload, dice: Dice, *, leaving: str | None) -> None:
        self.violations: list[str] = []
        self.counts: Counter[str] = Counter()
        self.leaving = leaving
        self._world = world
        self._workload = workload
        self._dice = dice
        self._restorer = Restorer(workload, dice.fork("restorer"))
        self._kinds: dict[str, tuple[int, Callable[[Process, Admin], Awaitable[object]]]] = {
            "drain": (3, self._drain),
            "activate": (3, self._activate),
            "maintain": (2, self._maintain),
            "balance": (1, self._balance),
            "scrub": (1, self._scrub),
            "approve": (1, self._approve),
            "check": (2, self._check),
            "restore": (10, self._restore),
        }
        if leaving is not None:
            self._kinds["remove"] = (4, self._remove)

    async def program(self, process: Process) -> None:
        """Do one thing after the other, until the workload is told to stop."""
        admin = self._world.admin(process)
        kinds, weights = tuple(self._kinds), [weight for weight, _ in self._kinds.values()]
        while not self._workload.stopping:
            await asyncio.sleep(self._dice.expovariate(1 / _PAUSE_S))
            kind = self._dice.choices(kinds, weights)[0]
            process.node.note(f"operator: {kind}")
            await self._do(kind, self._kinds[kind][1](process, admin))
        await asyncio.sleep(1e9)

    async def settle(self, process: Process) -> None:
        """Make every server active, resume what is paused, and finish the removal that was begun.

        Raises:
            DstoreError: the master does not answer.
        """
        admin = self._world.admin(process)
        await admin.balance_cluster(PauseAction.RESUME)
        await admin.set_scrub(PauseAction.RESUME)
        for server in (await admin.get_status()).servers:
            if server.name == self.leaving:
                await self._do("remove", self._remove(process, admin))
            elif server.duty is not Duty.ACTIVE:
                await admin.set_node_duty(server.name, Duty.ACTIVE, duration_s=0, dry_run=False)

    async def check_restored(self, client: AsyncClient) -> None:
        """Read what was restored to names that no client uses; nothing of it may be lost."""
        await self._restorer.read_all(client)

    async def _do(self, kind: str, command: Awaitable[object]) -> None:
        """Carry out a command, and judge the error that it ends with."""
        try:
            async with asyncio.timeout(OPERATION_DURATION_MAX_S):
                await command
        except (Unavailable, DeadlineExceeded, CommitUnknown):
            self.counts[f"{kind} failed"] += 1
        except DstoreError as error:
            self.counts[f"{kind} refused"] += 1
            if error.reason not in _REFUSALS:
                self.violations.append(f"an operator who wanted to {kind} got {error!r}")
        except TimeoutError:
            self.violations.append(f"Invariant 13: an operator who wanted to {kind} still waits")
        else:
            self.counts[kind] += 1

    # --- Servers ---------------------------------------------------------------------------------------------

    def _server(self) -> str:
        return self._dice.choice([node.name for node in self._world.servers if node.name != self.leaving])

    async def _drain(self, _: Process, admin: Admin) -> None:
        await admin.set_node_duty(self._server(), Duty.DRAINING, duration_s=0, dry_run=self._dice.happens(0.1))

    async def _activate(self, _: Process, admin: Admin) -> None:
        await admin.set_node_duty(self._server(), Duty.ACTIVE, duration_s=0, dry_run=False)

    async def _maintain(self, _: Process, admin: Admin) -> None:
        """Announce that a server will be away; often it is, for longer than it could be otherwise."""
        name, duration_s = self._server(), self._dice.choice((1.0, 10.0, 40.0))
        await admin.set_node_duty(name, Duty.MAINTENANCE, duration_s=duration_s, dry_run=self._dice.happens(0.1))
        if self._dice.happens(0.5) and not self._workload.stopping:
            node = self._world.network.nodes[name]
            node.stop(power=False)

            def come_back() -> None:
                # Once nothing breaks any more, who is gone is gone for good.
                if not self._workload.stopping:
                    node.start()

            self._world.loop.later(self._dice.uniform(0.5, 10.0), come_back)

    async def _remove(self, _: Process, admin: Admin) -> None:
        """Drain the server that leaves, or remove it once it is drained."""
        assert self.leaving is not None
        duties = {server.name: server.duty for server in (await admin.get_status()).servers}
        if self.leaving not in duties:
            return
        if duties[self.leaving] is not Duty.DRAINING:
            await admin.set_node_duty(self.leaving, Duty.DRAINING, duration_s=0, dry_run=False)
            return
        try:
            await admin.remove_node(self.leaving)
        except NotFound as error:
            # An earlier removal whose answer was lost came first.
            if error.reason != "NODE_UNKNOWN":
                raise

    # --- Work in the background ------------------------------------------------------------------------------

    async def _balance(self, _: Process, admin: Admin) -> None:
        await admin.balance_cluster(self._dice.choice(tuple(PauseAction)))

    async def _scrub(self, _: Process, admin: Admin) -> None:
        await admin.set_scrub(self._dice.choice(tuple(PauseAction)))

    async def _approve(self, _: Process, admin: Admin) -> None:
        status = await admin.get_collection()
        if status.state is CollectionState.STOPPED or self._dice.happens(0.2):
            await admin.approve_collection()

    async def _check(self, _: Process, admin: Admin) -> None:
        findings, _summary = await check(admin, repair=self._dice.happens(0.4))
        self.violations += [f"fsck found what can never be: {each}" for each in findings if each.kind in _NEVER_FOUND]

    async def _restore(self, process: Process, _: Admin) -> None:
        await self._restorer.act(process, self._world.client(process))


async def check(admin: Admin, *, repair: bool) -> tuple[list[Finding], CheckSummary]:
    """Run ``dstore fsck``; return what it found.

    Raises:
        DstoreError: it could not be done, or broke off.
    """
    messages: list[Any] = []
    try:
        async with asyncio.timeout(_CHECK_PATIENCE_S), aclosing(admin.check_cluster(repair=repair)) as stream:  # type: ignore[type-var]
            messages = [message async for message in stream]
    except DstoreError:
        raise
    except TimeoutError:
        raise DeadlineExceeded("The check of the cluster takes too long.") from None
    return messages[:-1], messages[-1]
