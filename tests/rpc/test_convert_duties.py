"""What operators tell servers goes over the wire and comes back as it was."""

from dataclasses import replace
from typing import cast

import pytest

from dstore.core.errors import InvalidRequest, NotReady
from dstore.core.groups import Capacity, Duty, ServerLabels, ServerPhase
from dstore.core.ids import GroupId, ServerId
from dstore.core.interfaces import Admin
from dstore.core.operations import BalanceState, DutyChange, MemberMove, PauseAction, ScrubState
from dstore.core.status import ServerStatus
from dstore.rpc.channel import Connection
from dstore.rpc.convert import duties
from dstore.rpc.convert.status import node_from_proto, node_to_proto
from dstore.rpc.server import RpcServer
from dstore.v1 import admin_service_pb2 as v1

MOVES = (MemberMove(GroupId(1), "cs-1", "cs-2", 1 << 40), MemberMove(GroupId(2), "", "cs-3", 0))
CHANGE = DutyChange("cs-1", Duty.DRAINING, True, MOVES, 1_500, 1 << 50)
BALANCE = BalanceState(True, MOVES, 2, 1 << 40, 0.25, 0.03125, "no room")
SCRUB = ScrubState(True, 1_209_600.0)
NODE = ServerStatus(
    server_id=ServerId("00000000-0000-4000-8000-000000000001"),
    name="cs-1",
    address="127.0.0.1:7071",
    http_address="",
    labels=ServerLabels("host", "rack"),
    phase=ServerPhase.UP,
    last_heartbeat_age_s=0.5,
    capacity=Capacity(100, 10),
    chunk_count=12,
    group_count=3,
    lead_count=1,
    missing_chunk_count=0,
    version="0.1.0",
    duty=Duty.MAINTENANCE,
    filling_count=2,
    corrupt_chunk_count=4,
    probe_latency_s=0.125,
    scrub_position=0.5,
    scrub_age_s=0.0,
)


@pytest.mark.parametrize("change", [replace(CHANGE, duty=duty) for duty in Duty])
def test_a_change_of_duty(change: DutyChange) -> None:
    assert duties.duty_change_from_proto(duties.duty_change_to_proto(change)) == change
    dry = replace(change, is_applied=False, moves=(), move_count=0, copied_bytes=0)
    assert duties.duty_change_from_proto(duties.duty_change_to_proto(dry)) == dry


def test_how_even_a_cluster_is() -> None:
    assert duties.balance_from_proto(duties.balance_to_proto(BALANCE)) == BALANCE
    even = BalanceState(False, (), 0, 0, 0.0, 0.0, "")
    message = duties.balance_to_proto(even)
    assert duties.balance_from_proto(message) == even
    # A zero that is the news is sent.
    assert message.HasField("paused") and message.HasField("spread_before") and message.HasField("move_count")


@pytest.mark.parametrize("state", [SCRUB, ScrubState(False, 0.0)])
def test_whether_chunks_are_checked(state: ScrubState) -> None:
    assert duties.scrub_from_proto(duties.scrub_to_proto(state)) == state


@pytest.mark.parametrize("action", PauseAction)
def test_actions(action: PauseAction) -> None:
    assert duties.action_from_proto(duties.action_to_proto(action)) is action


@pytest.mark.parametrize(
    "node", [replace(NODE, duty=duty, scrub_age_s=age_s) for duty in Duty for age_s in (None, 3.0)]
)
def test_nodes(node: ServerStatus) -> None:
    assert node_from_proto(node_to_proto(node)) == node


def test_what_is_not_known_changes_nothing() -> None:
    assert duties.action_from_proto(cast("v1.PauseAction", 77)) is PauseAction.LOOK
    assert duties.duty_from_proto(v1.NODE_DUTY_UNSPECIFIED) is Duty.ACTIVE
    for wanted in (v1.NODE_DUTY_UNSPECIFIED, cast("v1.NodeDuty", 77)):
        with pytest.raises(InvalidRequest) as caught:
            duties.wanted_duty(wanted)
        assert caught.value.reason == "DUTY_INVALID"


class _Operator:
    """Answers as a master would."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    async def set_node_duty(self, name: str, duty: Duty, *, duration_s: float, dry_run: bool) -> DutyChange:
        self.calls.append((name, duty, duration_s, dry_run))
        return replace(CHANGE, name=name, duty=duty, is_applied=not dry_run)

    async def remove_node(self, name: str) -> None:
        self.calls.append(name)
        if name == "cs-2":
            raise NotReady("It is a member of 3 placement groups.", reason="NODE_IN_USE", metadata={"name": name})

    async def balance_cluster(self, action: PauseAction) -> BalanceState:
        return replace(BALANCE, is_paused=action is PauseAction.PAUSE)

    async def set_scrub(self, action: PauseAction) -> ScrubState:
        return replace(SCRUB, is_paused=action is PauseAction.PAUSE)


async def test_over_a_real_connection() -> None:
    operator = _Operator()
    server = RpcServer("127.0.0.1:0", admin=cast("Admin", operator))
    connection = Connection(await server.start())
    try:
        admin = connection.admin
        assert await admin.set_node_duty("cs-1", Duty.DRAINING, duration_s=0.0, dry_run=False) == CHANGE
        change = await admin.set_node_duty("cs-3", Duty.MAINTENANCE, duration_s=5400.5, dry_run=True)
        assert (change.duty, change.is_applied) == (Duty.MAINTENANCE, False)
        await admin.remove_node("cs-1")
        with pytest.raises(NotReady, match="3 placement groups") as caught:
            await admin.remove_node("cs-2")
        assert (caught.value.reason, caught.value.metadata["name"]) == ("NODE_IN_USE", "cs-2")
        assert operator.calls == [
            ("cs-1", Duty.DRAINING, 0.0, False),
            ("cs-3", Duty.MAINTENANCE, 5400.5, True),
            "cs-1",
            "cs-2",
        ]
        for action in PauseAction:
            assert (await admin.balance_cluster(action)).is_paused is (action is PauseAction.PAUSE)
            assert (await admin.set_scrub(action)).is_paused is (action is PauseAction.PAUSE)
    finally:
        await connection.close()
        await server.stop(0)
