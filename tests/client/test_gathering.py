"""What is asked while a call is under way goes in the next one, and nobody's fate is another's."""

import asyncio
from collections.abc import Callable

import pytest

from dstore.client import gathering
from dstore.client.gathering import Gatherer
from dstore.core.errors import DstoreError, LimitExceeded, NotFound, Unavailable


class Calls:
    """Answers when it is told to; an answer is the item, doubled."""

    def __init__(self) -> None:
        self.made: list[tuple[int, ...]] = []
        self.gates: list[asyncio.Event] = []
        self.cancelled = 0
        self.fails_with: Callable[[], Exception] | None = None

    async def __call__(self, items: tuple[int, ...]) -> list[int]:
        self.made.append(items)
        gate = asyncio.Event()
        self.gates.append(gate)
        try:
            await gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.fails_with:
            raise self.fails_with()
        return [2 * item for item in items]


@pytest.fixture
def calls() -> Calls:
    return Calls()


def ask(gatherer: Gatherer[int, int], *items: int) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(gatherer.ask(item)) for item in items]


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_first_goes_at_once_and_the_others_together(calls: Calls) -> None:
    gatherer = Gatherer(calls, 100, 1)
    tasks = ask(gatherer, 1)
    await turns()
    assert calls.made == [(1,)]
    tasks += ask(gatherer, 2, 3, 4)
    await turns()
    assert calls.made == [(1,)], "a call is under way"
    calls.gates[0].set()
    await turns()
    assert calls.made == [(1,), (2, 3, 4)]
    calls.gates[1].set()
    assert await asyncio.gather(*tasks) == [2, 4, 6, 8]


async def test_who_is_answered_and_asks_again_comes_along(calls: Calls) -> None:
    gatherer = Gatherer(calls, 100, 1)

    async def ask_twice(item: int) -> None:
        await gatherer.ask(item)
        await gatherer.ask(10 * item)

    tasks = [asyncio.create_task(ask_twice(item)) for item in (1, 2)]
    await turns()
    late = ask(gatherer, 3)
    await turns()
    calls.gates[0].set()
    await turns()
    assert calls.made == [(1, 2), (3, 10, 20)]
    calls.gates[1].set()
    await asyncio.gather(*tasks, *late)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 7])
async def test_no_call_is_larger_than_it_may_be(calls: Calls, count: int) -> None:
    gatherer = Gatherer(calls, 3, 8)
    tasks = ask(gatherer, *range(count))
    for _ in range(count):
        await turns()
        for gate in calls.gates:
            gate.set()
    assert await asyncio.gather(*tasks) == [2 * item for item in range(count)]
    assert [len(items) for items in calls.made] == [3] * (count // 3) + [count % 3] * (count % 3 > 0)


async def test_no_call_takes_more_bytes_than_it_may_unless_one_item_does(calls: Calls) -> None:
    gatherer = Gatherer(calls, 100, 8, size_of=lambda item: item, size_bytes_max=10)
    tasks = ask(gatherer, 4, 6, 1, 25, 5, 5)
    for _ in range(5):
        await turns()
        for gate in calls.gates:
            gate.set()
    await asyncio.gather(*tasks)
    assert calls.made == [(4, 6), (1,), (25,), (5, 5)]


async def test_calls_under_way_are_bounded(calls: Calls) -> None:
    gatherer = Gatherer(calls, 1, 2)
    tasks = ask(gatherer, 1, 2, 3)
    await turns()
    assert calls.made == [(1,), (2,)]
    calls.gates[1].set()
    await turns()
    assert calls.made == [(1,), (2,), (3,)]
    for gate in calls.gates:
        gate.set()
    await asyncio.gather(*tasks)


async def test_one_who_goes_harms_no_other(calls: Calls) -> None:
    gatherer = Gatherer(calls, 100, 1)
    under_way = ask(gatherer, 1, 2)
    await turns()
    waiting = ask(gatherer, 3, 4)
    await turns()
    under_way[0].cancel()
    waiting[0].cancel()
    await turns()
    assert calls.cancelled == 0
    calls.gates[0].set()
    await turns()
    assert calls.made == [(1, 2), (4,)], "what nobody waits for is not sent"
    calls.gates[1].set()
    assert await under_way[1] == 4 and await waiting[1] == 8


async def test_a_call_that_nobody_waits_for_is_ended_and_does_not_hold_up_the_next(calls: Calls) -> None:
    gatherer = Gatherer(calls, 100, 1)
    gone = ask(gatherer, 1, 2)
    await turns()
    late = ask(gatherer, 3)
    for task in gone:
        task.cancel()
    await turns()
    assert calls.cancelled == 1
    assert calls.made == [(1, 2), (3,)]
    calls.gates[1].set()
    assert await late[0] == 6


async def test_everybody_gets_an_error_of_his_own(calls: Calls) -> None:
    gatherer = Gatherer(calls, 100, 1)
    calls.fails_with = lambda: NotFound("There is none.", reason="FILE_NOT_FOUND", metadata={"path": "/x"})
    tasks = ask(gatherer, 1, 2)
    await turns()
    calls.gates[0].set()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in errors] == [NotFound, NotFound]
    assert errors[0] is not errors[1]
    for error in errors:
        assert isinstance(error, DstoreError)
        assert (error.reason, error.metadata) == ("FILE_NOT_FOUND", {"path": "/x"})
    calls.fails_with = None
    again = ask(gatherer, 5)
    await turns()
    calls.gates[1].set()
    assert await again[0] == 10


async def test_a_defect_reaches_the_callers(calls: Calls) -> None:
    gatherer = Gatherer(calls, 100, 1)
    calls.fails_with = lambda: KeyError("defect")
    tasks = ask(gatherer, 1, 2)
    await turns()
    calls.gates[0].set()
    assert [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == [KeyError, KeyError]


async def test_closing_answers_everybody(calls: Calls) -> None:
    gatherer = Gatherer(calls, 1, 1)
    tasks = ask(gatherer, 1, 2)
    await turns()
    await gatherer.close()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(error, Unavailable) and error.reason for error in errors] == ["CONNECTION_CLOSED"] * 2
    with pytest.raises(Unavailable):
        await gatherer.ask(3)
    assert calls.made == [(1,)]


async def test_who_waits_is_bounded(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "GATHERED_WAITING_MAX", 2)
    gatherer = Gatherer(calls, 1, 1)
    tasks = ask(gatherer, 1)
    await turns()
    tasks += ask(gatherer, 2, 3)
    await turns()
    with pytest.raises(LimitExceeded) as caught:
        await gatherer.ask(4)
    assert caught.value.reason == "TOO_MANY_CALLS"
    for number in range(3):
        calls.gates[number].set()
        await turns()
    assert await asyncio.gather(*tasks) == [2, 4, 6]
