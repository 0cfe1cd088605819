"""A master that stands still for an hour, as after SIGSTOP, and goes on: nobody has to pay for that."""

import asyncio
from collections.abc import Callable

import pytest
from master_harness import MasterHarness, server_id
from model_servers import ModelCluster

from dstore.core.groups import ServerPhase
from dstore.core.ids import IntentId
from dstore.core.limits import INTENT_LEASE_DURATION_S
from dstore.master.leases import Leases


async def stand_still(
    harness: MasterHarness, monkeypatch: pytest.MonkeyPatch, look: Callable[[], None] = lambda: None
) -> None:
    """Do some rounds; between two of them, the process gets no time."""

    class Stop(Exception):
        pass

    pauses = [1.0, 1.0, 3600.0, 1.0, 1.0, 1.0]

    async def sleep(_: float) -> None:
        if not pauses:
            raise Stop
        harness.clock.now_s += pauses.pop(0)
        await asyncio_sleep(0)
        look()

    asyncio_sleep = asyncio.sleep
    with monkeypatch.context() as patch:
        patch.setattr("dstore.master.upkeep.asyncio.sleep", sleep)
        with pytest.raises(Stop):
            await harness.upkeep.run()


def phase(model: ModelCluster, number: int) -> ServerPhase:
    state = model.harness.master.shared.membership.state(server_id(number), model.harness.clock.now_s)
    assert state is not None
    return state.phase


async def test_nobody_goes_out(model: ModelCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time in which it could not hear anybody is nobody's fault."""

    def look() -> None:
        assert ServerPhase.OUT not in {phase(model, number) for number in range(1, 6)}

    await stand_still(model.harness, monkeypatch, look)
    assert await model.harness.rows("SELECT COUNT(*) FROM servers WHERE is_out = 1") == [(0,)]
    await model.beat()
    assert {phase(model, number) for number in range(1, 6)} == {ServerPhase.UP}


async def test_no_retention_runs_meanwhile(model: ModelCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await model.harness.rows("SELECT value FROM counters WHERE name = 'running_s'")
    await stand_still(model.harness, monkeypatch)
    after = await model.harness.rows("SELECT value FROM counters WHERE name = 'running_s'")
    assert 0 < int(str(after[0][0])) - int(str(before[0][0])) < 10


async def test_writers_can_renew_what_they_could_not_renew_meanwhile(
    model: ModelCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent = await model.harness.begin("/x")
    await stand_still(model.harness, monkeypatch)
    await model.harness.namespace.renew_intent(intent.intent_id, fresh_version=False)
    await model.harness.commit(intent)


def test_a_lease_that_had_ended_before_stays_so() -> None:
    ended, live = IntentId("ended"), IntentId("live")
    leases = Leases([ended], 0.0)
    leases.start(live, 1.0)
    # From then on until 1000.0 the process got no time.
    stopped_s = INTENT_LEASE_DURATION_S
    leases.excuse(1000.0 - stopped_s, 1000.0)
    assert leases.expired(1000.9) == (ended,)
    assert set(leases.expired(1001.0)) == {ended, live}
