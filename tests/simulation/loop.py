"""An event loop without I/O: its clock jumps to the next timer, and nothing in it depends on the machine."""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events, futures
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from simulation.dice import Dice

if TYPE_CHECKING:
    from simulation.node import Node, Process

T = TypeVar("T")

#: Whose code runs right now; None for the simulation itself.
PROCESS: ContextVar[Process | None] = ContextVar("PROCESS", default=None)

#: Timers that were cancelled are swept out when there are this many of them.
_CANCELLED_TIMERS_MAX = 2_000


class LimitReached(Exception):
    """The run does not come to an end: nothing is left to do, or there is far too much."""


class SimulatedTask(asyncio.Task[Any]):
    """A task whose hash does not depend on where it is in memory, so that sets of tasks have one order."""

    serial = 0

    def __hash__(self) -> int:
        return self.serial


class _Timers:
    """Timers in order of their time, then of their making."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, events.TimerHandle]] = []
        self._serial = 0
        self._cancelled_count = 0

    def add(self, handle: events.TimerHandle) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (handle.when(), self._serial, handle))

    def note_cancelled(self) -> None:
        self._cancelled_count += 1
        if self._cancelled_count > _CANCELLED_TIMERS_MAX:
            self._heap = [entry for entry in self._heap if not entry[2].cancelled()]
            heapq.heapify(self._heap)
            self._cancelled_count = 0

    def next_time_s(self) -> float | None:
        """Return when the next timer is due; None when there is none."""
        while self._heap and self._heap[0][2].cancelled():
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now_s: float) -> list[events.Handle]:
        """Take out the timers that are due."""
        taken: list[events.Handle] = []
        while self._heap and self._heap[0][0] <= now_s:
            handle = heapq.heappop(self._heap)[2]
            if not handle.cancelled():
                taken.append(handle)
        return taken


def _is_of_a_task(handle: events.Handle) -> bool:
    return isinstance(getattr(handle._callback, "__self__", None), SimulatedTask)  # type: ignore[attr-defined]


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs callbacks in virtual time.

    Attributes:
        steps: callbacks that ran so far.
        disorder: dice that decide which of the tasks that are ready goes first; None for the order of asyncio, which
            the code does not count on.
        paused: nodes whose callbacks wait until they go on (a stopped process).
    """

    def __init__(self, *, start_s: float = 0.0, steps_max: int = 20_000_000) -> None:
        super().__init__()
        self._now_s = start_s
        self._timers = _Timers()
        self._steps_max = steps_max
        self._task_serial = 0
        self._in_steps: tuple[int, Callable[[], None]] | None = None
        self._outside = copy_context()
        self._outside.run(PROCESS.set, None)
        self.steps = 0
        self.disorder: Dice | None = None
        self.paused: dict[Node, list[events.Handle]] = {}
        self.set_exception_handler(None)

    # --- What asyncio calls --------------------------------------------------------------------------------

    def time(self) -> float:
        """Return virtual seconds."""
        return self._now_s

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> events.Handle:
        """See ``asyncio.AbstractEventLoop``."""
        handle = events.Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> events.Handle:
        """See ``asyncio.AbstractEventLoop``; there is one thread."""
        return self.call_soon(callback, *args, context=context)

    def call_later(  # type: ignore[override]  # the original's type says nothing more
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> events.TimerHandle:
        """See ``asyncio.AbstractEventLoop``."""
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> events.TimerHandle:
        """See ``asyncio.AbstractEventLoop``."""
        handle = events.TimerHandle(when, callback, args, self, context)
        self._timers.add(handle)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """See ``asyncio.AbstractEventLoop``."""
        return futures.Future(loop=self)

    def create_task(self, coro: Any, *, name: object = None, context: Context | None = None) -> asyncio.Task[Any]:
        """See ``asyncio.AbstractEventLoop``; the task belongs to the process in whose context it is made."""
        self._task_serial += 1
        SimulatedTask.serial = self._task_serial
        task = SimulatedTask(coro, loop=self, name=str(name or "task"), context=context)
        task.serial = self._task_serial
        process = context.get(PROCESS) if context is not None else PROCESS.get()
        if process is not None:
            process.adopt(task)
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run a blocking call at once: there are no threads."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - the caller's to handle, as from a real executor
            future.set_exception(error)
        return future

    def _timer_handle_cancelled(self, handle: events.TimerHandle) -> None:
        self._timers.note_cancelled()

    def _process_events(self, event_list: Any) -> None:
        raise AssertionError("there is no I/O")

    def _write_to_self(self) -> None:
        """Wake nobody: there are no threads."""

    # --- What the simulation calls -------------------------------------------------------------------------

    def later(self, delay_s: float, callback: Callable[..., object], *arguments: object) -> events.TimerHandle:
        """Call back as a part of the simulation, whatever becomes of the process that asks for it."""
        return self.call_later(delay_s, callback, *arguments, context=self._outside)

    def after_steps(self, count: int, callback: Callable[[], None]) -> None:
        """Call back between two callbacks, ``count`` of them from now; so a fault can hit at any await."""
        self._in_steps = (self.steps + max(count, 1), callback)

    def pause(self, node: Node) -> None:
        """Keep the callbacks of a node waiting."""
        self.paused.setdefault(node, [])

    def resume(self, node: Node) -> None:
        """Let a node go on with what waited."""
        self._ready.extend(self.paused.pop(node, []))  # type: ignore[attr-defined]

    def _run_once(self) -> None:
        ready = self._ready  # type: ignore[attr-defined]
        if not ready:
            next_s = self._timers.next_time_s()
            if next_s is None:
                raise LimitReached("nothing is left to do, and the run has not ended")
            self._now_s = max(self._now_s, next_s)
            ready.extend(self._timers.due(self._now_s))
        if self.disorder is not None and len(ready) > 1:
            self._shuffle(self.disorder)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled or (self.paused and self._stands_still(handle)):
                continue
            self.steps += 1
            handle._run()
            if self._in_steps is not None and self.steps >= self._in_steps[0]:
                callback = self._in_steps[1]
                self._in_steps = None
                callback()
        if self.steps > self._steps_max:
            raise LimitReached(f"after {self.steps} steps there is still no end")

    def _shuffle(self, dice: Dice) -> None:
        """Let tasks take each other's places; whatever else is ready keeps its own."""
        ready = self._ready  # type: ignore[attr-defined]
        handles = list(ready)
        places = [place for place, handle in enumerate(handles) if _is_of_a_task(handle)]
        steps = [handles[place] for place in places]
        dice.shuffle(steps)
        for place, handle in zip(places, steps, strict=True):
            ready[place] = handle

    def _stands_still(self, handle: events.Handle) -> bool:
        process = handle._context.get(PROCESS)  # type: ignore[attr-defined]
        if process is None or process.node not in self.paused:
            return False
        self.paused[process.node].append(handle)
        return True
