"""One run: a safety phase in which things break, then a liveness phase in which everything must become well."""

import asyncio
import gc
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dstore.client.client import AsyncClient
from dstore.core.errors import DstoreError
from simulation.checkers import Checkers
from simulation.history import Certainty, History
from simulation.loop import LimitReached
from simulation.nemesis import Nemesis
from simulation.node import Process
from simulation.workload import Workload
from simulation.world import World

SAFETY_DURATION_S = 45.0
#: How long a cluster may take to become well once nothing breaks any more.
RECOVERY_DURATION_MAX_S = 300.0
#: How long a write and a read may take together while one server is out of order: the stall of a whole chain, and of
#: one replica.
TOLERATED_DURATION_S = 30.0
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
    operations: int
    done: int
    acknowledged: int
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
        self._world = World(seed, directory, server_count=5, client_count=3, client_program=self._client_program)
        dice = self._world.dice
        self._workload = Workload(self._history, dice.fork("workload"), pause_s=dice.choice((0.4, 1.0, 2.0)))
        self._nemesis = Nemesis(self._world, dice.fork("nemesis"))
        self._checkers = Checkers(self._world, self._nemesis)
        self._broken: list[str] = []
        # What is destroyed, is destroyed on one server; it may stay away for good.
        self._dead = self._nemesis.victim.name if dice.happens(0.3) else None

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
            *world.network.defects,
            *self._broken,
        ]
        return Outcome(
            seed=self._seed,
            violations=violations,
            digest=world.trace.digest,
            steps=world.loop.steps,
            faults=dict(self._nemesis.counts),
            operations=len(self._history.operations),
            done=self._workload.done_count,
            acknowledged=self._checkers.acknowledged,
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
        for node in world.clients:
            node.start()
        self._nemesis.start(SAFETY_DURATION_S)
        await asyncio.sleep(SAFETY_DURATION_S)
        await self._recover()
        self._checkers.check_histories(self._history)
        self._checkers.check_secrecy()
        await self._end()

    async def _end(self) -> None:
        """Stop everything; whatever was running must come to its end."""
        for node in self._world.nodes:
            node.stop(power=False)
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
            if node.process is None or self._is_suspect(node.process):
                node.stop(power=False)
        for node in world.nodes:
            if node.name != self._dead:
                node.start()
        self._workload.stopping = True
        async with self._observer() as (process, client):
            await self._until_tidy(client)
            if self._dead is None:
                await self._tolerate(process, client)
            await self._workload.read_all(process, client)
            operation = await self._workload.put_path(process, client, "/a/x", 40_000, plain=True)
            if operation.certainty is not Certainty.DONE:
                self._broken.append(f"Invariant 13: {operation} in a healthy cluster")

    async def _until_tidy(self, client: AsyncClient) -> None:
        loop, untidy = self._world.loop, ["nothing was seen"]
        deadline_s = loop.time() + RECOVERY_DURATION_MAX_S
        while loop.time() < deadline_s:
            await asyncio.sleep(4.0)
            try:
                status = await client.status()
                if any(check.code == "COLLECTION_STOPPED" for check in status.checks):
                    await self._approve()
                untidy = self._checkers.untidy(status, self._dead)
            except DstoreError as error:
                untidy = [repr(error)]
            if not untidy:
                return
        self._broken.append(
            f"Invariant 13: not tidy {RECOVERY_DURATION_MAX_S:.0f} s after the last fault: " + "; ".join(untidy[:20])
        )

    async def _tolerate(self, process: Process, client: AsyncClient) -> None:
        """Invariant 14: with one server dead, hung, slow or cut off, writes and reads go on within seconds."""
        node = self._world.dice.choice(self._world.servers)
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

    async def _approve(self) -> None:
        """Let the collection go on, as an operator does who knows that much was deleted."""
        master = self._world.master.process
        if master is not None and "master" in master.internals:
            await master.internals["master"].shared.collection.approve()

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

    def _is_suspect(self, process: Process) -> bool:
        store = process.internals.get("store")
        return store is not None and store.suspicion is not None

    def _note_defect(self, _: object, context: dict[str, object]) -> None:
        self._broken.append(f"{context.get('message')}: {context.get('exception')!r}")
