"""The interfaces of ``core.interfaces`` over wires that fail: what is called on one node is carried out on another.

A call can fail before it took effect, or after; be carried out twice, or long after its caller has gone; and hang until
its deadline. A connection to a process that was killed is refused, one to a machine without power hangs.
"""

import asyncio
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from dstore.core import interfaces
from dstore.core.errors import DeadlineExceeded, DstoreError
from dstore.core.limits import CALL_TIMEOUT_S
from simulation.dice import Dice
from simulation.links import Condition, Wire, copy_error, unreachable
from simulation.loop import SimulatedLoop
from simulation.node import Life, Node, Process
from simulation.streams import ReadStream, open_write_stream
from simulation.trace import Trace

_INTERFACES = {
    "namespace": interfaces.Namespace,
    "cluster": interfaces.Cluster,
    "admin": interfaces.Admin,
    "chunks": interfaces.Chunks,
}
#: A request that is carried out twice: how much later the second time is, at most.
_DUPLICATE_DELAY_S = 8.0


class Network:
    """All wires and all nodes.

    Attributes:
        defects: exceptions that no server may let out.
        at_answer: called with (node name, method, arguments, answer) before an answer leaves its server.
    """

    def __init__(self, loop: SimulatedLoop, dice: Dice, trace: Trace) -> None:
        self.loop = loop
        self.dice = dice
        self.trace = trace
        self.nodes: dict[str, Node] = {}
        self.defects: list[str] = []
        self.at_answer: Callable[[str, str, tuple[Any, ...], Any], None] = lambda *_: None
        self._addresses: dict[str, str] = {}
        self._wires: dict[tuple[str, str], Wire] = {}

    def add(self, node: Node, address: str) -> None:
        """Connect a node; others find it under its address."""
        self.nodes[node.name] = node
        self._addresses[address] = node.name

    def wire(self, source: str, target: str) -> Wire:
        """Return the wire from one node to another."""
        key = (source, target)
        if key not in self._wires:
            self._wires[key] = Wire(self.loop, self.dice.fork(f"{source} {target}"))
        return self._wires[key]

    def change(self, pairs: list[tuple[str, str]], condition: Condition) -> None:
        """Change wires."""
        for source, target in pairs:
            self.wire(source, target).change(condition)

    def heal(self) -> None:
        """Make every wire good again."""
        for wire in self._wires.values():
            wire.change(Condition())

    def service(self, process: Process, target: str, service: str) -> Any:
        """Return a service of the node ``target``, as ``process`` sees it."""
        return _Remote(self, process, target, service)

    def peers(self, process: Process) -> "PeersOverNetwork":
        """Return the chunkservers, as ``process`` sees them."""
        return PeersOverNetwork(self, process)

    def node_at(self, address: str) -> str:
        """Return the name of the node at an address."""
        return self._addresses.get(address, address)

    def note_defect(self, node: str, method: str, error: BaseException) -> None:
        """Remember an exception that is no answer."""
        self.defects.append(f"{method} on {node} raised {type(error).__name__}: {error}")


class PeersOverNetwork:
    """The core ``Peers`` of one process."""

    def __init__(self, network: Network, process: Process) -> None:
        self._network = network
        self._process = process

    def chunks(self, address: str) -> Any:
        """See ``Peers``."""
        return self._network.service(self._process, self._network.node_at(address), "chunks")


class _Remote:
    """One service of another node: every method of its interface."""

    def __init__(self, network: Network, process: Process, target: str, service: str) -> None:
        self._network = network
        self._process = process
        self._target = target
        self._service = service

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(_INTERFACES[self._service], name)
        where = (self._network, self._process, self._target, self._service, name)
        if name == "write_chunk":
            return partial(open_write_stream, *where)
        if inspect.iscoroutinefunction(method):
            return partial(_call, *where)
        return lambda *arguments, **options: aiter_of(ReadStream(*where, arguments, options))


def aiter_of(stream: ReadStream) -> Any:
    """Return the asynchronous generator of a stream."""
    return stream.frames()


async def _call(
    network: Network, process: Process, target: str, service: str, name: str, /, *arguments: Any, **options: Any
) -> Any:
    if not process.alive:
        raise unreachable(target, "this process is dead")
    flight = _Flight(network, process, target, service, name, arguments, options)
    try:
        return await flight.answer
    finally:
        flight.leave()


class _Flight:
    """One unary call on its way."""

    def __init__(
        self,
        network: Network,
        process: Process,
        target: str,
        service: str,
        name: str,
        arguments: tuple[Any, ...],
        options: dict[str, Any],
    ) -> None:
        self._network = network
        self._target = target
        self._service = service
        self._name = name
        self._arguments = arguments
        self._options = options
        self._way = network.wire(process.node.name, target)
        self._way_back = network.wire(target, process.node.name)
        self._task: asyncio.Task[Any] | None = None
        self.answer: asyncio.Future[Any] = network.loop.create_future()
        self._deadline = network.loop.later(CALL_TIMEOUT_S, self._expire)
        if self._way.loses():
            self._lose()
        else:
            self._way.carry(self._arrive)
            if network.dice.happens(self._way.condition.duplication):
                network.loop.later(network.dice.random() * _DUPLICATE_DELAY_S, self._arrive_again)

    def leave(self) -> None:
        """The caller has gone, with or without an answer."""
        self._deadline.cancel()
        if self._task is not None and not self._task.done() and self._network.dice.happens(0.7):
            self._way.carry(self._cancel)

    def _arrive(self) -> None:
        if self.answer.done() and self._network.dice.happens(0.5):
            return
        network = self._network
        node = network.nodes[self._target]
        service = node.services.get(self._service)
        network.trace.note(network.loop.time(), f"{self._name} at {self._target}")
        if node.process is None or service is None:
            if node.life is not Life.OFF:
                self._way_back.carry(partial(self._fail, unreachable(self._target, "connection refused")))
            return
        self._task = node.process.spawn(
            getattr(service, self._name)(*self._arguments, **self._options), name=f"{self._name} at {self._target}"
        )
        self._task.add_done_callback(self._answered)

    def _arrive_again(self) -> None:
        node = self._network.nodes[self._target]
        service = node.services.get(self._service)
        if node.process is not None and service is not None:
            self._network.trace.note(self._network.loop.time(), f"{self._name} at {self._target} again")
            again = node.process.spawn(getattr(service, self._name)(*self._arguments, **self._options))
            again.add_done_callback(self._ignore)

    def _ignore(self, task: "asyncio.Task[Any]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, DstoreError):
            self._network.note_defect(self._target, self._name, error)

    def _answered(self, task: "asyncio.Task[Any]") -> None:
        network = self._network
        if task.cancelled():
            if network.nodes[self._target].life is not Life.OFF:
                self._way_back.carry(partial(self._fail, unreachable(self._target, "connection reset")))
            return
        error = task.exception()
        if error is None:
            network.at_answer(self._target, self._name, self._arguments, task.result())
        elif not isinstance(error, DstoreError):
            network.note_defect(self._target, self._name, error)
            return
        if self._way_back.loses():
            self._lose()
        elif isinstance(error, DstoreError):
            self._way_back.carry(partial(self._fail, copy_error(error)))
        else:
            self._way_back.carry(partial(self._succeed, task.result()))

    def _lose(self) -> None:
        """Lose the call: the caller learns it soon, or when its deadline comes."""
        if self._network.dice.happens(0.6):
            self._network.loop.later(
                self._network.dice.random() * 2.0, self._fail, unreachable(self._target, "connection reset")
            )

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _succeed(self, result: Any) -> None:
        if not self.answer.done():
            self.answer.set_result(result)

    def _fail(self, error: DstoreError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def _expire(self) -> None:
        self._fail(
            DeadlineExceeded(
                f"The server at {self._target} did not answer in time; it may be hung or overloaded.",
                metadata={"address": self._target},
            )
        )
        if self._task is not None:
            self._task.cancel()
