"""A machine that runs one process: it can be killed at any await, lose its power, stand still, and start again."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from enum import Enum
from typing import Any

from dstore.core.errors import DstoreError
from simulation.dice import Dice
from simulation.loop import PROCESS, SimulatedLoop
from simulation.trace import Trace

#: A supervisor starts a process that ended by itself again after this long.
RESTART_DELAY_S = 1.0


class Life(Enum):
    """What a node is doing."""

    RUNNING = "running"
    #: Its process is gone, the machine answers: connections are refused.
    KILLED = "killed"
    #: The machine is gone: nobody answers.
    OFF = "off"


class SkewedClock:
    """The core ``Clock`` of one node: wall time may be anything, and jumps."""

    def __init__(self, loop: SimulatedLoop, offset_s: float) -> None:
        self._loop = loop
        self._offset_s = offset_s
        self.wall_offset_ns = 0

    def monotonic_s(self) -> float:
        """See ``Clock``."""
        return self._loop.time() + self._offset_s

    def wall_ns(self) -> int:
        """See ``Clock``."""
        return 1_750_000_000_000_000_000 + int(self._loop.time() * 1e9) + self.wall_offset_ns


class Process:
    """One run of a node's program.

    Attributes:
        services: what it offers to others, by name; empty until it is ready.
        internals: what checkers look at.
    """

    def __init__(self, node: "Node") -> None:
        self.node = node
        self.alive = True
        self.services: dict[str, object] = {}
        self.internals: dict[str, Any] = {}
        self._tasks: list[asyncio.Task[Any]] = []
        self._context = copy_context()
        self._context.run(PROCESS.set, self)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Remember a task, to end it with the process."""
        self._tasks.append(task)
        if len(self._tasks) > 512:
            self._tasks = [task for task in self._tasks if not task.done()]

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str = "task") -> "asyncio.Task[Any]":
        """Run something as a part of this process."""
        return self.node.loop.create_task(work, name=name, context=self._context.copy())

    def end(self) -> None:
        """Cancel everything; what the tasks do on their way out reaches nobody."""
        self.alive = False
        self.services = {}
        for task in self._tasks:
            task.cancel()


class Node:
    """One machine of the simulated cluster. ``program`` runs its process and gets the process as its argument."""

    def __init__(
        self,
        name: str,
        loop: SimulatedLoop,
        dice: Dice,
        trace: Trace,
        program: Callable[[Process], Coroutine[Any, Any, None]],
        *,
        at_end: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.loop = loop
        self.dice = dice
        self.clock = SkewedClock(loop, dice.uniform(0, 100_000))
        self.life = Life.KILLED
        self.process: Process | None = None
        self._trace = trace
        self._program = program
        self._at_end = at_end
        self._world_context = copy_context()
        self.starts = 0
        self._ended: list[Process] = []

    def __repr__(self) -> str:
        return f"Node({self.name}, {self.life.value})"

    @property
    def services(self) -> dict[str, object]:
        """What its present process offers."""
        return self.process.services if self.process is not None else {}

    def note(self, event: str) -> None:
        """Record an event of this node."""
        self._trace.note(self.loop.time(), event)

    def start(self) -> None:
        """Start the process, unless it runs."""
        if self.life is Life.RUNNING:
            return
        self.life = Life.RUNNING
        self.starts += 1
        self._trace.note(self.loop.time(), f"start {self.name}")
        process = self.process = Process(self)
        main = process.spawn(self._program(process), name=f"main of {self.name}")
        main.add_done_callback(lambda done: self._note_end(process, done), context=self._world_context)

    def stop(self, *, power: bool) -> None:
        """End the process at once; with ``power``, the machine with it."""
        if self.life is Life.OFF or (self.life is Life.KILLED and not power):
            return
        was_running = self.life is Life.RUNNING
        self.life = Life.OFF if power else Life.KILLED
        self._trace.note(self.loop.time(), f"{'power off' if power else 'kill'} {self.name}")
        self.loop.resume(self)
        process, self.process = self.process, None
        if was_running and process is not None:
            process.end()
            self._ended.append(process)
        self._at_end(power)

    def left_over(self) -> list[str]:
        """Return the tasks of ended processes that have not ended."""
        return [repr(task) for process in self._ended for task in process._tasks if not task.done()]

    def _note_end(self, process: Process, main: "asyncio.Task[Any]") -> None:
        """Start a process again that ended by itself, as a supervisor does."""
        error = None if main.cancelled() else main.exception()
        if not process.alive:
            return
        if error is not None and not isinstance(error, DstoreError | OSError):
            raise error
        self._trace.note(self.loop.time(), f"{self.name} ended by itself: {error!r}")
        self.stop(power=False)
        self.loop.later(RESTART_DELAY_S * (1 + self.dice.random()), self._restart)

    def _restart(self) -> None:
        if self.life is Life.KILLED:
            self.start()
