"""The simulated machine keeps its own promises: what was synced stays, and nothing escapes a dead process."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

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
