"""The wires between nodes, one in each direction: delay, loss, cuts; and channels, which keep messages in order."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dstore.core.errors import DstoreError, Unavailable
from simulation.dice import Dice
from simulation.loop import SimulatedLoop


@dataclass
class Condition:
    """How a wire is doing.

    Attributes:
        delay_s: least and most seconds of a message.
        loss: share of the calls that fail although both sides are there.
        duplication: share of the requests that are carried out twice.
        is_cut: messages wait until the wire is whole again.
    """

    delay_s: tuple[float, float] = (0.0002, 0.002)
    loss: float = 0.0
    duplication: float = 0.0
    is_cut: bool = False


@dataclass
class Wire:
    """One direction between two nodes."""

    loop: SimulatedLoop
    dice: Dice
    condition: Condition = field(default_factory=Condition)
    waiting: deque[Callable[[], None]] = field(default_factory=deque)

    def carry(self, arrive: Callable[[], None]) -> None:
        """Call ``arrive`` when the message is there; on a wire that is cut, once it is whole again."""
        low, high = self.condition.delay_s
        self.loop.later(low + (high - low) * self.dice.random(), self._arrive, arrive)

    def loses(self) -> bool:
        """Throw for the loss of a call."""
        return self.dice.happens(self.condition.loss)

    def change(self, condition: Condition) -> None:
        """Make the wire better or worse; one that is whole again delivers what waited."""
        self.condition = condition
        if not condition.is_cut:
            waiting, self.waiting = self.waiting, deque()
            for arrive in waiting:
                self.carry(arrive)

    def _arrive(self, arrive: Callable[[], None]) -> None:
        if self.condition.is_cut:
            self.waiting.append(arrive)
        else:
            arrive()


class Channel:
    """Messages over one wire, in order, at most ``window`` of them unread: what is left of a stream of HTTP/2."""

    def __init__(self, wire: Wire, *, window: int = 2) -> None:
        self._wire = wire
        self._window = window
        self._outbox: deque[Any] = deque()
        self._inbox: deque[Any] = deque()
        self._is_moving = False
        self._failure: DstoreError | None = None
        self._reader: Any = None
        self._writer: Any = None

    async def put(self, message: Any) -> None:
        """Send; waits while too much is unread.

        Raises:
            DstoreError: the channel broke.
        """
        self._raise_failure()
        self._outbox.append(message)
        self._move()
        while len(self._outbox) + len(self._inbox) > self._window:
            self._writer = self._wire.loop.create_future()
            await self._writer
            self._raise_failure()

    def post(self, message: Any) -> None:
        """Send without waiting."""
        self._outbox.append(message)
        self._move()

    async def get(self) -> Any:
        """Return the next message.

        Raises:
            DstoreError: the channel broke.
        """
        while not self._inbox:
            self._raise_failure()
            self._reader = self._wire.loop.create_future()
            await self._reader
        message = self._inbox.popleft()
        _wake(self._writer)
        return message

    def fail(self, error: DstoreError) -> None:
        """Break: whoever reads or writes gets the error."""
        if self._failure is None:
            self._failure = error
        _wake(self._reader)
        _wake(self._writer)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise copy_error(self._failure)

    def _move(self) -> None:
        if not self._is_moving and self._outbox:
            self._is_moving = True
            self._wire.carry(self._moved)

    def _moved(self) -> None:
        self._is_moving = False
        self._inbox.append(self._outbox.popleft())
        _wake(self._reader)
        self._move()


def _wake(future: Any) -> None:
    if future is not None and not future.done():
        future.set_result(None)


def copy_error(error: DstoreError) -> DstoreError:
    """Return the error as it comes off the wire: class, message, reason and metadata, nothing else."""
    return type(error)(error.message, reason=error.reason, metadata=dict(error.metadata))


def unreachable(target: str, why: str) -> Unavailable:
    """Return what a transport says of a server that does not answer."""
    return Unavailable(
        f"The server at {target} cannot be reached ({why}); check that it runs and that the address is right.",
        reason="SERVER_UNREACHABLE",
        metadata={"address": target},
    )
