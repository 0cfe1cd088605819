"""One run: a safety phase in which things break, then a liveness phase in which everything must become well."""

import asyncio
import gc
import tempfile
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dstore.client.client import AsyncClient
from dstore.core.errors import DstoreError
from dstore.core.status import ClusterStatus
from simulation.checkers import Checkers
from simulation.dice import Dice
from simulation.disk import MachineDisk
from simulation.history import Certainty, History
from simulation.loop import LimitReached
from simulation.nemesis import Nemesis
from simulation.node import Process
from simulation.operators import Operators, check
from simulation.restoration import RESTLESS_S, STAYS, Restoration
from simulation.workload import Workload
from simulation.world import World

SAFETY_DURATION_S = 45.0
#: How long a cluster may take to become well once nothing breaks any more.
RECOVERY_DURATION_MAX_S = 300.0
#: How long a write and a read may take together while one server is out of order: the stall of a whole chain, and of
#: one replica.
TOLERATED_DURATION_S = 30.0
#: In this share of the runs there are operators, and in this share of those one removes a server, if none dies.
OPERATORS_SHARE = 0.5
REMOVAL_SHARE = 0.15
#: In this share of the runs the metadata is put back from an old copy; what it has is retained for longer.
OLD_COPY_SHARE = 0.08
OLD_COPY_RETENTION_S = 120
#: In this share of the runs, unless the metadata is put back, some files are written as replicated.
RELAXED_SHARE = 0.5
#: How long tasks may take to end when they are cancelled.
END_DURATION_S = 60.0
#: A directory in memory, if this machine has it.
_MEMORY = Path("/dev/shm")


@dataclass
class Outcome:
    """What became of one seed."""

    seed: int
    violations: list[str]
    digest: str
    steps: int
    faults: dict[str, int]
    commands: dict[str, int]
    operations: int
    done: int
    acknowledged: int
    replicated: int
    lost: int
    undecided: int
    virtual_s: float
    longest_s: float
    tail: list[str] = field(default_factory=list)


def run_seed(seed: int) -> Outcome:
    """Run one seed from start to end."""
    gc.disable()
    try:
        with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as directory:
            return _Run(seed, Path(directory)).result()
    finally:
        gc.enable()
        gc.collect()


class _Run:
    def __init__(self, seed: int, directory: Path) -> None:
        self._seed = seed
        self._history = History()
        # Dice of their own: seeds without operators and old copies are as if there were none.
        operators_dice, copy_dice = Dice(f"{seed} operators"), Dice(f"{seed} old copy")
        goes_back = copy_dice.happens(OLD_COPY_SHARE)
        self._has_operators = operators_dice.happens(OPERATORS_SHARE) and not goes_back
        self._world = World(
            seed,
            directory,
            server_count=5,
            client_count=3,
            client_program=self._client_program,
            operator_program=self._operator_program if self._has_operators else None,
            retention_s=OLD_COPY_RETENTION_S if goes_back else None,
        )
        dice = self._world.dice
        self._workload = Workload(self._history, dice.fork("workload"), pause_s=dice.choice((0.4, 1.0, 2.0)))
        relaxed = Dice(f"{seed} relaxed")
        if relaxed.happens(RELAXED_SHARE) and not goes_back:
            self._workload.relaxed = relaxed
        self._nemesis = Nemesis(self._world, dice.fork("nemesis"))
        self._checkers = Checkers(self._world, self._nemesis)
        self._checkers.unsynced.dice = self._workload.relaxed
        self._broken: list[str] = []
        # What is destroyed, is destroyed on one server; it may stay away for good.
        self._dead = self._nemesis.victim.name if dice.happens(0.3) and not goes_back else None
        # With one server dead and another removed there would be nothing left to tolerate a fault with.
        leaves = self._has_operators and self._dead is None and operators_dice.happens(REMOVAL_SHARE)
        leaving = operators_dice.choice(self._world.servers).name if leaves else None
        self._operators = Operators(self._world, self._workload, operators_dice, leaving=leaving)
        self._restoration = Restoration(self._world, self._checkers, self._workload, copy_dice) if goes_back else None

    def result(self) -> Outcome:
        """Run, and examine."""
        world = self._world
        world.loop.set_exception_handler(self._note_defect)
        try:
            world.loop.run_until_complete(self._all())
        except LimitReached as error:
            self._broken.append(f"Invariant 13: {error}")
        except (DstoreError, TimeoutError, AssertionError) as error:
            self._broken.append(f"the run ended with {error!r}")
        finally:
            for node in world.nodes:
                node.stop(power=False)
            world.loop.close()
            world.metadata.files.close()
        violations = [
            *self._checkers.violations,
            *self._workload.violations,
            *self._operators.violations,
            *(self._restoration.violations if self._restoration else ()),
            *world.network.defects,
            *self._broken,
        ]
        return Outcome(
            seed=self._seed,
            violations=violations,
            digest=world.trace.digest,
            steps=world.loop.steps,
            faults=dict(self._nemesis.counts),
            commands=dict(self._operators.counts),
            operations=len(self._history.operations),
            done=self._workload.done_count,
            acknowledged=self._checkers.acknowledged,
            replicated=self._checkers.unsynced.acknowledged,
            lost=self._checkers.unsynced.lost_count,
            undecided=self._checkers.undecided,
            virtual_s=world.loop.time(),
            longest_s=self._workload.longest_s,
            tail=world.trace.tail() if violations else [],
        )

    async def _all(self) -> None:
        world = self._world
        for node in (world.master, *world.servers):
            node.start()
        async with self._observer() as (process, client):
            await self._workload.prepare(process, client)
        for node in world.callers:
            node.start()
        self._nemesis.start(SAFETY_DURATION_S)
        if self._restoration is not None:
            self._restoration.plan(SAFETY_DURATION_S)
        await asyncio.sleep(SAFETY_DURATION_S)
        if self._restoration is not None:
            self._workload.stopping = True
            self._nemesis.start(RESTLESS_S)
            async with self._observer() as (process, client):
                await self._restoration.put_back(process, client)
        await self._recover()
        if self._restoration is None:
            self._checkers.check_histories(self._history)
        self._checkers.check_secrecy()
        await self._end()

    async def _end(self) -> None:
        """Stop everything; whatever was running must come to its end."""
        removed = self._checkers.removed()
        for node in self._world.nodes:
            # One that was removed would be started again and again.
            node.stop(power=node.name in removed)
        await asyncio.sleep(END_DURATION_S)
        left = [task for node in self._world.nodes for task in node.left_over()]
        if left:
            self._broken.append(f"tasks of processes that ended go on: {sorted(map(repr, left))[:3]}")

    async def _recover(self) -> None:
        """The liveness phase: nothing breaks any more, and what is broken is replaced."""
        world = self._world
        self._nemesis.stop()
        if self._dead is not None:
            world.network.nodes[self._dead].stop(power=True)
        for node in world.servers:
            # An operator looks at disks that failed, and starts their servers again.
            if node.process is None or self._needs_restart(node.process, self._world.disks[node.name]):
                node.stop(power=False)
        for node in world.nodes:
            # The status names every clock that is wrong, until somebody sets it.
            node.clock.wall_offset_ns = 0
            if node.name != self._dead:
                node.start()
        self._workload.stopping = True
        async with self._observer() as (process, client):
            if self._restoration is not None:
                await self._restoration.settle(process, client, world.admin(process))
            await self._until_tidy(process, client)
            if self._restoration is not None:
                await self._restoration.read_all(client)
            if self._dead is None:
                await self._tolerate(process, client)
            await self._operators.check_restored(client)
            await self._workload.read_all(process, client)
            operation = await self._workload.put_path(process, client, "/a/x", 40_000, plain=True)
            if operation.certainty is not Certainty.DONE:
                self._broken.append(f"Invariant 13: {operation} in a healthy cluster")

    async def _until_tidy(self, process: Process, client: AsyncClient) -> None:
        loop, untidy = self._world.loop, ["nothing was seen"]
        deadline_s = loop.time() + RECOVERY_DURATION_MAX_S
        while loop.time() < deadline_s:
            await asyncio.sleep(4.0)
            try:
                untidy = await self._look(process, client)
            except DstoreError as error:
                untidy = [repr(error)]
            if not untidy:
                return
        self._broken.append(
            f"Invariant 13: not tidy {RECOVERY_DURATION_MAX_S:.0f} s after the last fault: " + "; ".join(untidy[:20])
        )

    async def _look(self, process: Process, client: AsyncClient) -> list[str]:
        """Do what is left to operators, and return what is not tidy yet: as the disks say, then as fsck says."""
        admin = self._world.admin(process)
        if self._has_operators:
            await self._operators.settle(process)
        status = await client.status()
        if any(check.code == "COLLECTION_STOPPED" for check in status.checks):
            # As an operator does who knows that much was deleted.
            await admin.approve_collection()
        absent = self._checkers.removed() | ({self._dead} if self._dead else set())
        await self._give_up_lost(process, client, status, absent)
        untidy = self._checkers.untidy(status, absent, keeps_unknown=self._restoration is not None)
        if untidy:
            return untidy
        findings, _ = await check(admin, repair=False)
        stays = STAYS if self._restoration is not None else frozenset()
        return [f"fsck found {each}" for each in findings if each.server not in absent and each.kind not in stays]

    async def _give_up_lost(
        self, process: Process, client: AsyncClient, status: ClusterStatus, absent: Collection[str]
    ) -> None:
        """Replace files of which chunks are lost, where that was the declared risk."""
        promises = self._checkers.unsynced
        lost = promises.lost(absent)
        promises.check_status(status, lost)
        if status.unavailable_chunks < len(lost):
            return
        for path in promises.paths_of(lost):
            self._workload.given_up.add(path)
            await self._workload.put_path(process, client, path, 100, plain=True)

    async def _tolerate(self, process: Process, client: AsyncClient) -> None:
        """Invariant 14: with one server dead, hung, slow or cut off, writes and reads go on within seconds."""
        removed = self._checkers.removed()
        node = self._world.dice.choice([node for node in self._world.servers if node.name not in removed])
        kind = self._nemesis.impair(node)
        for number in range(3):
            began_s = self._world.loop.time()
            put = await self._workload.put_path(process, client, "/a/x", 20_000 + number, plain=True)
            get = await self._workload.get_path(process, client, "/a/x")
            took_s = self._world.loop.time() - began_s
            done = put.certainty is get.certainty is Certainty.DONE
            if not done or took_s > TOLERATED_DURATION_S:
                self._broken.append(
                    f"Invariant 14: with {node.name} {kind}, a write and a read took {took_s:.0f} s: {put}; {get}"
                )
        self._nemesis.repair(node)
        await asyncio.sleep(2.0)

    @asynccontextmanager
    async def _observer(self) -> AsyncIterator[tuple[Process, AsyncClient]]:
        """Lend a client that nothing happens to."""
        node = self._world.observer
        node.start()
        assert node.process is not None
        client = self._world.client(node.process)
        try:
            yield node.process, client
        finally:
            await client.close()

    async def _client_program(self, process: Process) -> None:
        await self._workload.run(process, self._world.client(process))
        await asyncio.sleep(1e9)

    async def _operator_program(self, process: Process) -> None:
        await self._operators.program(process)

    def _needs_restart(self, process: Process, disk: MachineDisk) -> bool:
        """Whether a disk failed, or what an earlier run had not synced could not be read at the start."""
        store = process.internals.get("store")
        if store is None:
            return False
        return store.suspicion is not None or any(path.startswith("unsynced/") for path in disk.names)

    def _note_defect(self, _: object, context: dict[str, object]) -> None:
        self._broken.append(f"{context.get('message')}: {context.get('exception')!r}")
