"""``node drain --wait``: tells what is left, and ends when nothing is, or when somebody stops the drain."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import pytest
from test_operator_text import SERVER
from test_status_text import STATUS

from dstore.cli.master_calls import watch_drain
from dstore.core.errors import Conflict
from dstore.core.groups import Duty
from dstore.core.interfaces import Admin
from dstore.core.status import ClusterStatus

OTHER = replace(SERVER, name="cs-2", group_count=7)


@dataclass
class ScriptedAdmin:
    """Answers with one status after the other: the groups of the server, or a duty that it has with 3 groups."""

    script: list[int | Duty | None]
    answered: list[int | Duty | None] = field(default_factory=list)

    async def get_status(self) -> ClusterStatus:
        now = self.script.pop(0)
        self.answered.append(now)
        server = replace(SERVER, duty=Duty.DRAINING)
        if isinstance(now, Duty):
            server = replace(server, duty=now, group_count=3)
        elif now is not None:
            server = replace(server, group_count=now)
        return replace(STATUS, servers=(OTHER,) if now is None else (OTHER, server))


async def watch(*script: int | Duty | None) -> list[int]:
    told: list[int] = []
    admin = ScriptedAdmin([*script])
    await watch_drain(cast("Admin", admin), "cs-1", told.append, interval_s=0.0)
    assert admin.script == []
    return told


@pytest.mark.parametrize(
    ("script", "told"),
    [((0,), [0]), ((3, 3, 1, 0), [3, 1, 0]), ((2, 3, 0), [2, 3, 0]), ((2, None), [2, 0]), ((None,), [0])],
)
async def test_it_tells_what_is_left(script: Sequence[int | None], told: list[int]) -> None:
    assert await watch(*script) == told


@pytest.mark.parametrize("duty", [Duty.ACTIVE, Duty.MAINTENANCE])
async def test_a_drain_that_somebody_stops(duty: Duty) -> None:
    with pytest.raises(Conflict, match=f"the duty {duty.value}, while it was in 3 placement groups") as caught:
        await watch(3, duty)
    assert caught.value.reason == "DRAIN_STOPPED"
