"""A master in this process, with chunkservers of which there is nothing but their reports."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from dstore.core.files import Policy
from dstore.core.groups import Capacity, ServerIdentity, ServerLabels
from dstore.core.ids import BootId, ServerId
from dstore.core.upkeep import GroupSummary, Heartbeat
from dstore.master import leader
from dstore.master.leader import LeaderRow
from dstore.master.master import Master, open_master
from dstore.master.process import DATABASE_NAME
from dstore.master.store.base import Transaction
from dstore.master.store.runner import ThreadRunner
from dstore.master.store.sqlite import SqliteStore
from dstore.master.upkeep import Upkeep
from dstore.system.environment import SystemClock, SystemRandom

CHUNK_SIZE_BYTES = 16 << 20
POLICY = Policy("default", 3, 2, CHUNK_SIZE_BYTES, "server")
SERVERS = 3
_CAPACITY = Capacity(1 << 60, 1 << 50)


@dataclass(slots=True)
class ModelMaster:
    """The master, and the runs of the servers' processes."""

    master: Master
    upkeep: Upkeep
    incarnations: dict[int, int]

    async def lead(self) -> None:
        """Take the lead from a master that was killed, whose lease would have to run out first."""
        shared = self.master.shared

        def run(tx: Transaction) -> LeaderRow:
            return leader.release(tx, leader.read(tx).holder)

        shared.leadership.see(await shared.store.write(run), shared.clock.monotonic_s())
        await self.round_s()
        await self.round_s()
        if not shared.leadership.is_leading:
            raise RuntimeError("The model master does not lead.")

    async def beat(self) -> None:
        """Have every server report: more chunks than any group can have, so that it seems to lack none."""
        shared = self.master.shared
        facts = await shared.store.read(lambda tx: tx.execute("SELECT group_id, chunk_count FROM groups"))
        for number, incarnation in self.incarnations.items():
            groups = [(group_id, 2 * count + 1_000) for group_id, count in facts]
            summaries = tuple(
                GroupSummary(group_id, shared.allocator.groups.by_id[group_id].epoch, count, 0, b"")
                for group_id, count in groups
                if group_id in shared.allocator.groups.of_server(_server_id(number))
            )
            await self.master.cluster.heartbeat(
                Heartbeat(
                    _server_id(number),
                    _boot_id(number),
                    _CAPACITY,
                    sum(summary.chunk_count for summary in summaries),
                    incarnation=incarnation,
                    groups=summaries,
                )
            )

    async def place(self, count: int) -> None:
        """Have groups made, as for so many chunks.

        Raises:
            DstoreError: none can be.
        """
        targets = await self.master.shared.allocator.targets(count)
        if not isinstance(targets, tuple):
            raise targets

    async def round_s(self) -> float:
        """Let every server report, then do one round of the upkeep; return how long that took."""
        await self.beat()
        start_s = time.perf_counter()
        await self.upkeep.step()
        return time.perf_counter() - start_s


@asynccontextmanager
async def open_model(directory: Path) -> AsyncIterator[ModelMaster]:
    """Open a master on the database in a directory, make one if there is none, and have all servers join.

    Raises:
        DstoreError: it cannot be opened.
    """
    store = await SqliteStore.open(str(directory / DATABASE_NAME), runner=ThreadRunner())
    try:
        master = await open_master(
            store, clock=SystemClock(), random=SystemRandom(), policy=POLICY, version="benchmark"
        )
        model = ModelMaster(master, Upkeep(master, show=lambda status: None), {})
        for number in range(SERVERS):
            registration = await master.cluster.register(_identity(number))
            model.incarnations[number] = registration.incarnation
        await model.beat()
        yield model
    finally:
        await store.close()


def _server_id(number: int) -> ServerId:
    return ServerId(f"00000000-0000-4000-8000-{number:012x}")


def _boot_id(number: int) -> BootId:
    return BootId(f"11111111-0000-4000-8000-{number:012x}")


def _identity(number: int) -> ServerIdentity:
    return ServerIdentity(
        server_id=_server_id(number),
        cluster_id=None,
        boot_id=_boot_id(number),
        name=f"model-{number}",
        address=f"127.0.0.1:{number + 1}",
        http_address="",
        labels=ServerLabels(f"host-{number}"),
        version="benchmark",
    )
