"""The metadata is put back from an old copy under a running cluster: what came since is forgotten, and must not go.

Clients stop before, since an honest client rejects metadata that went back. What was in the namespace when the copy was
made must be readable, before and after the operator's approval; what came later may be gone, and stays on the disks.
"""

import asyncio

from dstore.chunkserver.records import decode_record
from dstore.client.client import AsyncClient
from dstore.core.checking import FindingKind
from dstore.core.errors import DstoreError
from dstore.core.interfaces import Admin
from simulation.checkers import Checkers, Deletion
from simulation.dice import Dice
from simulation.history import Certainty
from simulation.node import Process
from simulation.workload import Workload
from simulation.world import World

#: What stays afterwards: nothing touches chunks that no record names.
STAYS = frozenset({FindingKind.UNKNOWN_CHUNK, FindingKind.UNKNOWN_GROUP, FindingKind.STRAY_GROUP})
#: How long the cluster runs on old metadata while things go on breaking, and then while nothing does.
RESTLESS_S = 20.0
_QUIET_S = 20.0
_PAUSE_S = 2.0
_SIZE_BYTES = 20_000


class Restoration:
    """One old copy: taken, put back, and what follows.

    Attributes:
        violations: what must not happen after it.
    """

    def __init__(self, world: World, checkers: Checkers, workload: Workload, dice: Dice) -> None:
        self.violations: list[str] = []
        self._world = world
        self._checkers = checkers
        self._workload = workload
        self._dice = dice
        self._copy = b""
        self._must_be_noticed = False
        #: What was written on the old metadata, and by which put.
        self._written: dict[str, int] = {}

    def plan(self, duration_s: float) -> None:
        """Choose the moment of the copy, within the time in which clients work."""
        self._world.loop.later(self._dice.uniform(0.2, 0.95) * duration_s, self._take_copy)

    async def put_back(self, process: Process, client: AsyncClient) -> None:
        """Stop clients and master, put the old copy in place, and write on it while things break."""
        world = self._world
        for node in (world.master, *world.clients):
            node.stop(power=False)
        newest = self._transaction()
        world.metadata.put_back(self._copy)
        known = self._transaction()
        # When only some saw more, new transactions may have the same numbers before these report.
        self._must_be_noticed = all(self._seen_by(name) > known for name in world.disks)
        world.trace.note(world.loop.time(), f"the metadata of transaction {newest} is that of {known} again")
        self._checkers.deletion = Deletion.FORBIDDEN if self._must_be_noticed else Deletion.UNCLEAR
        world.master.start()
        deadline_s = world.loop.time() + RESTLESS_S
        while world.loop.time() < deadline_s:
            await self._write(process, client)
            await asyncio.sleep(self._dice.expovariate(1 / _PAUSE_S))

    async def settle(self, process: Process, client: AsyncClient, admin: Admin) -> None:
        """Look at everything while nothing may be deleted, and then allow it.

        Raises:
            DstoreError: the master does not answer.
        """
        await asyncio.sleep(_QUIET_S)
        await self._write(process, client)
        await self.read_all(client)
        if self._must_be_noticed and not (await admin.get_safe_mode()).is_on:
            self._report("Invariant 9: chunkservers saw newer metadata, and the master is not in safe mode")
        self._checkers.deletion = Deletion.CHECKED
        await admin.leave_safe_mode()

    async def read_all(self, client: AsyncClient) -> None:
        """Read every file there is.

        Raises:
            DstoreError: a directory cannot be listed.
        """
        paths = [info.path async for _, _, infos in client.walk("/") for info in infos]
        for path in paths:
            try:
                number = self._workload.history.content_number(await client.get(path))
            except DstoreError as error:
                self._report(f"Invariant 1: {path} is in the metadata that was put back, and cannot be read: {error!r}")
                continue
            if number is None or self._written.get(path, number) != number:
                self._report(f"Invariant 2: {path} reads as put {number}, not as put {self._written.get(path)}")
        for path in sorted(self._written.keys() - set(paths)):
            self._report(f"Invariant 1: {path} was written on the metadata that was put back, and is not there")

    def _take_copy(self) -> None:
        self._world.trace.note(self._world.loop.time(), "the metadata is copied")
        self._copy = self._world.metadata.copy()

    def _transaction(self) -> int:
        return int(self._world.metadata.look("SELECT value FROM counters WHERE name = 'txn'")[0][0])

    def _seen_by(self, server: str) -> int:
        """Return the newest transaction that a server cannot forget."""
        content = self._world.disks[server].durable_content("STANDING")
        return 0 if content is None else int(str(decode_record(content, what="STANDING")["transaction"]))

    async def _write(self, process: Process, client: AsyncClient) -> None:
        path = f"/after-{len(self._workload.history.operations)}"
        operation = await self._workload.put_path(process, client, path, _SIZE_BYTES, plain=True)
        if operation.certainty is Certainty.DONE:
            self._written[path] = int(str(operation.options["content"]))

    def _report(self, what: str) -> None:
        self.violations.append(what)
        self._world.trace.note(self._world.loop.time(), f"VIOLATION {what}")
