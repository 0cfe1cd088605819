"""The simulated machine keeps its own promises: what was synced stays, and nothing escapes a dead process."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import pytest

from dstore.core.errors import CommitUnknown, Unavailable
from dstore.master.store.base import Transaction
from dstore.master.store.runner import InlineRunner
from dstore.master.store.sqlite import SqliteStore
from simulation.database_files import DatabaseDisk
from simulation.dice import Dice
from simulation.disk import MachineDisk
from simulation.links import Condition, Wire
from simulation.loop import LimitReached, SimulatedLoop
from simulation.node import Node, Process
from simulation.trace import Trace


class Machine:
    """One node with a disk, whose program is given by the test."""

    def __init__(self, seed: int = 1) -> None:
        self.loop = SimulatedLoop()
        self.trace = Trace()
        self.disk = MachineDisk("disk", self.loop, Dice(seed), self.trace)
        self.results: list[object] = []

    def node(self, program: Any) -> Node:
        return Node("node", self.loop, Dice(1), self.trace, program)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            self.loop.run_until_complete(work)
        finally:
            self.loop.close()


def order_of_tasks(seed: int | None) -> list[object]:
    """Return in which order four tasks go on that are ready at the same moment as a callback between them."""
    machine = Machine()
    machine.loop.disorder = None if seed is None else Dice(seed)

    async def note(number: int) -> None:
        machine.results.append(number)

    async def main() -> None:
        tasks = [machine.loop.create_task(note(number)) for number in (1, 2)]
        machine.loop.call_soon(machine.results.append, "callback")
        tasks += [machine.loop.create_task(note(number)) for number in (3, 4)]
        await asyncio.wait(tasks)

    machine.run(main())
    return machine.results


def test_tasks_that_are_ready_go_on_in_an_order_that_the_dice_choose() -> None:
    assert order_of_tasks(None) == [1, 2, "callback", 3, 4]
    orders = [order_of_tasks(seed) for seed in range(10)]
    assert len(set(map(tuple, orders))) > 5
    assert all(order[2] == "callback" for order in orders)
    assert orders == [order_of_tasks(seed) for seed in range(10)]


async def store(process: Process, machine: Machine, *, sync: bool, name: bool) -> None:
    disk = machine.disk.open(process)
    await disk.make_directory("d")
    file = await disk.create("d/f")
    await file.write_at(0, [b"x" * 3000])
    if sync:
        await file.sync()
    if name:
        await disk.sync_directory("d")


def survivors(*, sync: bool, name: bool) -> set[bytes | None]:
    """Return what a power loss leaves, over many seeds."""
    found: set[bytes | None] = set()
    for seed in range(40):
        machine = Machine(seed)
        node = machine.node(lambda process, machine=machine: store(process, machine, sync=sync, name=name))

        async def scenario(machine: Machine = machine, node: Node = node) -> None:
            node.start()
            await asyncio.sleep(0.5)
            node.stop(power=True)
            machine.disk.lose_power()

        machine.run(scenario())
        inode = machine.disk.names.get("d/f")
        found.add(None if inode is None else bytes(inode.content))
    return found


def test_what_was_synced_outlives_the_power() -> None:
    assert survivors(sync=True, name=True) == {b"x" * 3000}


def test_a_name_that_was_not_synced_may_go() -> None:
    assert survivors(sync=True, name=False) == {None, b"x" * 3000}


def test_content_that_was_not_synced_is_torn_at_sectors() -> None:
    found = survivors(sync=False, name=True)
    assert {b"", b"x" * 3000} <= found
    assert b"x" * 512 in {content[:512] for content in found if content and len(content) < 3000} | {b"x" * 512}
    assert all(content is not None and len(content) % 512 in (0, 3000 % 512) for content in found)
    assert len(found) > 3


def test_an_fsync_that_failed_is_not_repaired_by_the_next() -> None:
    machine = Machine()

    async def program(process: Process) -> None:
        disk = machine.disk.open(process)
        file = await disk.create("f")
        await file.write_at(0, [b"data"])
        machine.disk.faults.error_shares = {"sync": 1.0}
        with pytest.raises(OSError, match="Input/output"):
            await file.sync()
        machine.disk.faults.error_shares = {}
        await file.sync()
        await disk.sync_directory("")
        machine.results.append(machine.disk.durable_content("f"))
        await asyncio.sleep(1e6)

    async def scenario() -> None:
        machine.node(program).start()
        await asyncio.sleep(1)

    machine.run(scenario())
    assert machine.results == [b""]


def test_a_dead_process_reaches_nothing() -> None:
    machine = Machine()

    async def program(process: Process) -> None:
        disk = machine.disk.open(process)
        try:
            await asyncio.sleep(1e6)
        finally:
            try:
                await disk.create("late")
            except OSError as error:
                machine.results.append(str(error))

    async def scenario() -> None:
        node = machine.node(program)
        node.start()
        await asyncio.sleep(1)
        node.stop(power=False)
        await asyncio.sleep(1)
        assert node.left_over() == []

    machine.run(scenario())
    assert len(machine.results) == 1 and "late" not in machine.disk.names


def test_a_paused_node_goes_on_where_it_was() -> None:
    machine = Machine()

    async def program(process: Process) -> None:
        for _ in range(3):
            await asyncio.sleep(1)
            machine.results.append(machine.loop.time())
        await asyncio.sleep(1e6)

    async def scenario() -> None:
        node = machine.node(program)
        node.start()
        await asyncio.sleep(1.5)
        machine.loop.pause(node)
        await asyncio.sleep(10)
        machine.loop.resume(node)
        await asyncio.sleep(5)

    machine.run(scenario())
    assert machine.results == [1.0, 11.5, 12.5]


def test_messages_wait_on_a_wire_that_is_cut() -> None:
    loop = SimulatedLoop()
    arrived: list[float] = []

    async def scenario() -> None:
        wire = Wire(loop, Dice(1))
        wire.change(Condition(is_cut=True))
        wire.carry(lambda: arrived.append(loop.time()))
        await asyncio.sleep(5)
        assert arrived == []
        wire.change(Condition())
        await asyncio.sleep(1)

    loop.run_until_complete(scenario())
    loop.close()
    assert len(arrived) == 1 and 5 < arrived[0] < 6


def test_a_run_that_waits_for_nothing_ends() -> None:
    loop = SimulatedLoop()
    with pytest.raises(LimitReached, match="nothing is left to do"):
        loop.run_until_complete(loop.create_future())
    loop.close()


def test_an_hour_takes_no_time() -> None:
    loop = SimulatedLoop()
    loop.run_until_complete(asyncio.wait_for(asyncio.sleep(3600, "done"), 4000))
    assert loop.time() == 3600
    loop.close()


@pytest.fixture
def metadata_disk(tmp_path: Path) -> Iterator[DatabaseDisk]:
    disk = DatabaseDisk(tmp_path, Dice(1))
    yield disk
    disk.close()


async def insert(store: SqliteStore, number: int) -> None:
    def work(tx: Transaction) -> None:
        tx.execute("CREATE TABLE IF NOT EXISTS numbers (number INTEGER)")
        tx.execute("INSERT INTO numbers VALUES (?)", (number,))

    await store.write(work)


async def numbers(store: SqliteStore) -> set[int]:
    return {row[0] for row in await store.read(lambda tx: tx.execute("SELECT number FROM numbers"))}


async def open_store(disk: DatabaseDisk) -> SqliteStore:
    return await SqliteStore.open(str(disk.directory / "m.db"), runner=InlineRunner())


def drop(store: SqliteStore) -> None:
    """Let go of the files as the kernel does when a process dies."""
    for connection in [*store._readers, store._writer]:
        if connection is not None:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            connection.close(True)


async def test_a_power_loss_keeps_what_was_committed(metadata_disk: DatabaseDisk) -> None:
    store = await open_store(metadata_disk)
    for number in range(5):
        await insert(store, number)
    drop(store)
    metadata_disk.lose_power()
    store = await open_store(metadata_disk)
    assert await numbers(store) == set(range(5))
    drop(store)


@pytest.mark.parametrize("seed", range(8))
async def test_commits_after_a_failed_fsync_outlive_the_power(metadata_disk: DatabaseDisk, seed: int) -> None:
    metadata_disk._dice.seed(seed)
    store = await open_store(metadata_disk)
    await insert(store, 1)
    metadata_disk.sync_error_share = 1.0
    with pytest.raises(CommitUnknown):
        await insert(store, 2)
    with pytest.raises(Unavailable):
        await insert(store, 3)
    metadata_disk.sync_error_share = 0.0
    drop(store)
    store = await open_store(metadata_disk)
    await insert(store, 4)
    drop(store)
    metadata_disk.lose_power()
    store = await open_store(metadata_disk)
    assert {1, 4} <= await numbers(store) <= {1, 2, 4}
    drop(store)


def make_number(tx: Transaction, table: str) -> None:
    tx.execute(f"CREATE TABLE {table} (number INTEGER)")
    tx.execute(f"INSERT INTO {table} VALUES (0)")


@pytest.mark.parametrize("seed", range(8))
async def test_a_log_with_a_hole_is_not_played_back_over_what_followed(metadata_disk: DatabaseDisk, seed: int) -> None:
    def both(left: int, right: int) -> Callable[[Transaction], None]:
        def work(tx: Transaction) -> None:
            tx.execute("UPDATE lefts SET number = ?", (left,))
            tx.execute("UPDATE rights SET number = ?", (right,))

        return work

    metadata_disk._dice.seed(seed)
    store = await open_store(metadata_disk)
    for table in ("lefts", "rights"):
        await store.write(partial(make_number, table=table))
    drop(store)
    store = await open_store(metadata_disk)
    await store.write(lambda tx: tx.execute("UPDATE lefts SET number = 1"))
    metadata_disk.sync_error_share = 1.0
    with pytest.raises(CommitUnknown):
        await store.write(both(2, 2))
    metadata_disk.sync_error_share = 0.0
    drop(store)
    # The start finds the whole log, of which the disk has the first commit alone, and writes it to the database.
    store = await open_store(metadata_disk)
    drop(store)
    metadata_disk.lose_power()
    store = await open_store(metadata_disk)
    found = await store.read(lambda tx: tx.execute("SELECT lefts.number, rights.number FROM lefts, rights"))
    assert found in ([(1, 0)], [(2, 2)])
    drop(store)
