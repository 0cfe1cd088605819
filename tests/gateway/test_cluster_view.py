"""The master is asked once for all who look, and nobody waits for it without end."""

import asyncio
from typing import Any, cast

import pytest
from store_in_process import RealClock, StoppedClock

from dstore.client.client import AsyncClient
from dstore.core.errors import Unavailable
from dstore.gateway import cluster_view
from dstore.gateway.cluster_view import ClusterView
from dstore.gateway.limits import STATUS_AGE_S_MAX


class Master:
    """Answers, as a client passes it on, when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = asyncio.Event()

    async def status(self) -> Any:
        self.asked += 1
        await self.answers.wait()
        return self.asked

    def view(self, clock: StoppedClock | RealClock) -> ClusterView:
        return ClusterView(cast("AsyncClient", self), clock)


async def test_many_who_look_at_once_get_one_answer() -> None:
    master, clock = Master(), StoppedClock()
    view = master.view(clock)
    looking = [asyncio.ensure_future(view.status()) for _ in range(20)]
    await asyncio.sleep(0)
    # One of them goes away, and takes nothing from the others.
    looking[0].cancel()
    await asyncio.sleep(0)
    master.answers.set()
    answers: list[Any] = await asyncio.gather(*looking[1:])
    assert answers == [1] * 19
    clock.now_s += STATUS_AGE_S_MAX - 0.01
    assert cast("int", await view.status()) == 1
    clock.now_s += 0.02
    assert cast("int", await view.status()) == 2
    assert master.asked == 2
    await view.close()


async def test_a_master_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_view, "STATUS_TIMEOUT_S", 0.01)
    master = Master()
    view = master.view(StoppedClock())
    with pytest.raises(Unavailable) as caught:
        await view.status()
    assert caught.value.reason == "MASTER_UNREACHABLE"
    assert master.asked == 1


async def test_it_can_be_closed_while_it_asks() -> None:
    view = Master().view(StoppedClock())
    looking = asyncio.ensure_future(view.status())
    await asyncio.sleep(0)
    await view.close()
    with pytest.raises(asyncio.CancelledError):
        await looking
    await Master().view(StoppedClock()).close()
