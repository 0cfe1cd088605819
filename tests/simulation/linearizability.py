"""Is there an order of the operations that explains every answer? (Wing and Gong, with Lowe's memory of dead ends.)

Each operation takes effect at one moment between its call and its answer. One whose outcome is unknown takes effect at
some moment after its call, or never. The search places operations one by one; a pair of (operations placed, state) that
led nowhere once is not entered again.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from simulation.history import Certainty, Operation
from simulation.namespace_model import State, step

#: Beyond this many steps the answer is "not decided"; it is counted, and not taken for a violation.
STEPS_MAX = 300_000


@dataclass(slots=True, eq=False)
class _Event:
    """A call, or an answer, in a list that operations are taken out of and put back into."""

    operation: Operation
    is_call: bool
    answer: "_Event | None" = None
    before: "_Event | None" = None
    after: "_Event | None" = None

    def lift(self) -> None:
        """Take the call and its answer out of the list."""
        for event in (self, self.answer):
            if event is not None:
                assert event.before is not None
                event.before.after = event.after
                if event.after is not None:
                    event.after.before = event.before

    def unlift(self) -> None:
        """Put them back; in the reverse order of lifting."""
        for event in (self.answer, self):
            if event is not None:
                assert event.before is not None
                event.before.after = event
                if event.after is not None:
                    event.after.before = event


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the search found.

    Attributes:
        holds: whether an order exists; None when the search gave up.
        placed: the most operations that any order could explain.
        stuck: an operation that then could not be placed.
    """

    holds: bool | None
    placed: tuple[Operation, ...] = ()
    stuck: Operation | None = None


def check(operations: Iterable[Operation], initial: State, *, steps_max: int = STEPS_MAX) -> Verdict:
    """Search for an order of operations that share paths; ones that surely had no effect are left out."""
    wanted = [operation for operation in operations if operation.certainty is not Certainty.NOTHING]
    # A look whose answer was lost tells nothing.
    wanted = [each for each in wanted if each.certainty is not Certainty.OPEN or each.kind in _MUTATIONS]
    return _Search(wanted, initial, step, steps_max).run()


_MUTATIONS = frozenset({"put", "mkdir", "remove", "rename", "restore"})


class _Search:
    def __init__(
        self,
        operations: Sequence[Operation],
        initial: State,
        model: Callable[[State, Operation], State | None],
        steps_max: int,
    ) -> None:
        self._model = model
        self._steps_max = steps_max
        self._state = initial
        self._bits = {id(operation): 1 << number for number, operation in enumerate(operations)}
        self._placed_bits = 0
        self._stack: list[tuple[_Event, State]] = []
        self._dead_ends: set[tuple[int, frozenset[object]]] = set()
        self._closed_left = sum(operation.returned is not None for operation in operations)
        self._head = _events(operations)
        self._best: tuple[Operation, ...] = ()
        self._stuck: Operation | None = None

    def run(self) -> Verdict:
        event = self._head.after
        for _ in range(self._steps_max):
            if self._closed_left == 0:
                return Verdict(True)
            if event is not None and event.is_call:
                event = self._head.after if self._place(event) else event.after
                continue
            # An answer whose operation is not placed, or the end of the list: back to the last choice.
            if len(self._stack) >= len(self._best):
                self._best = tuple(call.operation for call, _ in self._stack)
                self._stuck = event.operation if event is not None else None
            if not self._stack:
                return Verdict(False, self._best, self._stuck)
            event = self._take_back().after
        return Verdict(None)

    def _place(self, event: _Event) -> bool:
        after = self._model(self._state, event.operation)
        if after is None:
            return False
        bits = self._placed_bits | self._bits[id(event.operation)]
        key = (bits, after.key)
        if key in self._dead_ends:
            return False
        self._dead_ends.add(key)
        self._stack.append((event, self._state))
        self._state, self._placed_bits = after, bits
        self._closed_left -= event.operation.returned is not None
        event.lift()
        return True

    def _take_back(self) -> _Event:
        event, self._state = self._stack.pop()
        self._placed_bits &= ~self._bits[id(event.operation)]
        self._closed_left += event.operation.returned is not None
        event.unlift()
        return event


def _events(operations: Sequence[Operation]) -> _Event:
    """Return the head of the list of all events in their order."""
    ordered: list[tuple[int, _Event]] = []
    for operation in operations:
        call = _Event(operation, is_call=True)
        ordered.append((operation.invoked, call))
        if operation.returned is not None:
            call.answer = _Event(operation, is_call=False)
            ordered.append((operation.returned, call.answer))
    ordered.sort(key=lambda pair: pair[0])
    head = last = _Event(operations[0], is_call=False) if operations else _Event(_NOBODY, is_call=False)
    for _, event in ordered:
        last.after, event.before = event, last
        last = event
    return head


_NOBODY = Operation(-1, "", "", "", {}, 0)
