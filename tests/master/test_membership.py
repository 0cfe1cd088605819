"""Joining, beating, and being missed."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from master_harness import OTHER_CLUSTER, MasterHarness, boot_id, identity, server_id

from dstore.core import errors
from dstore.core.errors import DstoreError
from dstore.core.groups import Capacity, Duty, ServerLabels, ServerPhase
from dstore.core.limits import HEARTBEAT_INTERVAL_S, SERVER_DOWN_AFTER_S, SERVER_SUSPECT_AFTER_S
from dstore.core.upkeep import Heartbeat
from dstore.master import server_rows
from dstore.master.store.runner import InlineRunner

T = TypeVar("T")


def phase(cluster: MasterHarness, number: int) -> ServerPhase:
    state = cluster.master.shared.membership.state(server_id(number), cluster.clock.now_s)
    assert state is not None
    return state.phase


PHASES = [
    (0.0, ServerPhase.UP),
    (SERVER_SUSPECT_AFTER_S - 0.001, ServerPhase.UP),
    (SERVER_SUSPECT_AFTER_S, ServerPhase.SUSPECT),
    (SERVER_DOWN_AFTER_S - 0.001, ServerPhase.SUSPECT),
    (SERVER_DOWN_AFTER_S, ServerPhase.DOWN),
    (1e9, ServerPhase.DOWN),
]


@pytest.mark.parametrize(("age_s", "expected"), PHASES)
async def test_the_phase_follows_the_last_beat(cluster: MasterHarness, age_s: float, expected: ServerPhase) -> None:
    cluster.clock.now_s += age_s
    assert phase(cluster, 1) is expected
    await cluster.beat(1)
    assert phase(cluster, 1) is ServerPhase.UP


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [
        (0.0, ServerPhase.SUSPECT),
        (SERVER_DOWN_AFTER_S - 0.001, ServerPhase.SUSPECT),
        (SERVER_DOWN_AFTER_S, ServerPhase.DOWN),
    ],
)
async def test_after_a_restart_of_the_master_servers_are_suspect_until_they_report(
    cluster: MasterHarness, age_s: float, expected: ServerPhase
) -> None:
    await cluster.restart()
    cluster.clock.now_s += age_s
    assert phase(cluster, 1) is expected
    await cluster.beat(1)
    assert phase(cluster, 1) is ServerPhase.UP


async def test_registration_answers_with_the_groups(cluster: MasterHarness) -> None:
    first = await cluster.master.cluster.register(identity(1))
    assert first.cluster_id == cluster.master.shared.cluster.cluster_id
    assert first.heartbeat_interval_s == HEARTBEAT_INTERVAL_S
    assert first.orders.assignments == ()
    await cluster.write("/x", chunk_count=1)
    again = await cluster.master.cluster.register(identity(1, cluster_id=first.cluster_id))
    assert len(again.orders.assignments or ()) == 12
    reply = await cluster.master.cluster.heartbeat(
        Heartbeat(server_id(1), boot_id(1), Capacity(1000, 1), 0, incarnation=1)
    )
    assert reply.assignments == again.orders.assignments
    assert {group.epoch for group in reply.assignments or ()} == {1}


REFUSED = [
    ({"cluster_id": OTHER_CLUSTER}, errors.NotReady, "WRONG_CLUSTER"),
    ({"cluster_id": "x"}, errors.InvalidRequest, "SERVER_IDENTITY_INVALID"),
    ({"server_id": ""}, errors.InvalidRequest, "SERVER_IDENTITY_INVALID"),
    ({"server_id": "x" * 36}, errors.InvalidRequest, "SERVER_IDENTITY_INVALID"),
    ({"boot_id": "1"}, errors.InvalidRequest, "SERVER_IDENTITY_INVALID"),
    ({"name": "cs-1"}, errors.AlreadyExists, "SERVER_NAME_TAKEN"),
    *(
        ({"name": name}, errors.InvalidRequest, "SERVER_IDENTITY_INVALID")
        for name in ("", "a b", "x" * 65, "ü", "a/b", "a\n")
    ),
    *(
        ({"address": address}, errors.InvalidRequest, "SERVER_IDENTITY_INVALID")
        for address in ("", "host", "host:", "host:0", "host:65536", "host:x", ":1", "a b:1", "h:1\n")
    ),
    ({"http_address": "x"}, errors.InvalidRequest, "SERVER_IDENTITY_INVALID"),
    ({"labels": ServerLabels("x" * 256)}, errors.InvalidRequest, "SERVER_IDENTITY_INVALID"),
    ({"labels": ServerLabels("a\0")}, errors.InvalidRequest, "SERVER_IDENTITY_INVALID"),
    ({"labels": ServerLabels("a", "\x1b[2J")}, errors.InvalidRequest, "SERVER_IDENTITY_INVALID"),
]


@pytest.mark.parametrize(("changes", "kind", "reason"), REFUSED)
async def test_refused_identities(
    cluster: MasterHarness, changes: dict[str, object], kind: type[DstoreError], reason: str
) -> None:
    with pytest.raises(kind) as caught:
        await cluster.master.cluster.register(identity(4, **changes))
    assert caught.value.reason == reason
    assert len(await cluster.rows("SELECT * FROM servers")) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x" * 64},
        {"address": "[::1]:7000"},
        {"address": "cs-1.example.net:65535", "http_address": "h:1"},
        {"labels": ServerLabels("", "")},
    ],
)
async def test_accepted_identities(cluster: MasterHarness, changes: dict[str, object]) -> None:
    await cluster.master.cluster.register(identity(4, **changes))
    await cluster.restart()
    assert len((await cluster.master.admin.get_status()).servers) == 4


async def test_a_restarted_server_is_admitted_at_once_at_its_address(cluster: MasterHarness) -> None:
    await cluster.master.cluster.register(identity(1, boot_id=boot_id(11), name="renamed"))
    with pytest.raises(errors.NotReady) as caught:
        await cluster.beat(1)
    assert caught.value.reason == "SERVER_REPLACED"
    await cluster.master.cluster.heartbeat(Heartbeat(server_id(1), boot_id(11), Capacity(10, 1), 0, incarnation=2))


async def test_a_second_process_elsewhere_has_to_wait_until_the_first_missed_beats(cluster: MasterHarness) -> None:
    second = identity(1, boot_id=boot_id(11), address="127.0.0.2:7701")
    with pytest.raises(errors.AlreadyExists) as caught:
        await cluster.master.cluster.register(second)
    assert caught.value.reason == "SERVER_ALREADY_RUNNING"
    await cluster.beat(1)
    cluster.clock.now_s += SERVER_SUSPECT_AFTER_S
    await cluster.master.cluster.register(second)
    state = cluster.master.shared.membership.state(server_id(1), cluster.clock.now_s)
    assert state is not None
    assert state.record.address == "127.0.0.2:7701"


async def test_registering_again_by_the_same_process_is_fine(cluster: MasterHarness) -> None:
    for address in ("127.0.0.1:7701", "127.0.0.1:9999"):
        await cluster.master.cluster.register(identity(1, address=address))
    await cluster.beat(1)


async def test_a_server_whose_caller_hung_up_while_it_was_stored_is_known_as_it_is_stored(
    cluster: MasterHarness,
) -> None:
    # At every step on the way.
    for steps in range(1, 20):
        joining = asyncio.create_task(cluster.master.cluster.register(identity(2, boot_id=boot_id(12 + steps))))
        for _ in range(steps):
            await asyncio.sleep(0)
        joining.cancel()
        await asyncio.wait([joining])
        for _ in range(50):
            await asyncio.sleep(0)
        stored = await cluster.rows(f"SELECT incarnation FROM servers WHERE server_id = '{server_id(2)}'")
        state = cluster.master.shared.membership.state(server_id(2), cluster.clock.now_s)
        assert state is not None
        assert [(state.record.incarnation,)] == stored


class SlowReads(InlineRunner):
    """Others get their turns while something is read, as with threads."""

    async def read(self, job: Callable[[], T]) -> T:
        for _ in range(5):
            await asyncio.sleep(0)
        return await super().read(job)


@pytest.mark.parametrize("change", ["drain", "remove"])
async def test_what_an_operator_tells_a_server_that_joins_at_this_moment_is_known_as_it_is_stored(
    tmp_path: Path, change: str
) -> None:
    harness = MasterHarness(tmp_path, runner=SlowReads)
    await harness.open()
    await harness.join(1, 2, 3, 4)
    membership = harness.master.shared.membership
    for steps in range(30):
        number = 10 + steps
        await harness.join(number)
        admin = harness.master.admin
        if change == "remove":
            await admin.set_node_duty(f"cs-{number}", Duty.DRAINING, duration_s=0, dry_run=False)
        telling = asyncio.create_task(
            admin.remove_node(f"cs-{number}")
            if change == "remove"
            else admin.set_node_duty(f"cs-{number}", Duty.DRAINING, duration_s=0, dry_run=False)
        )
        for _ in range(steps):
            await asyncio.sleep(0)
        joining = harness.master.cluster.register(identity(number, boot_id=boot_id(1000 + number)))
        await asyncio.gather(telling, joining, return_exceptions=True)
        stored = await harness.store.read(partial(server_rows.read_server, server_id=server_id(number)))
        state = membership.state(server_id(number), harness.clock.now_s)
        assert (state.record if state is not None else None) == stored, steps
    await harness.store.close()


async def test_a_stranger_is_told_to_register(cluster: MasterHarness) -> None:
    with pytest.raises(errors.NotFound) as caught:
        await cluster.master.cluster.heartbeat(Heartbeat(server_id(9), boot_id(9), Capacity(10, 1), 0, incarnation=1))
    assert caught.value.reason == "SERVER_UNKNOWN"


async def test_a_server_keeps_its_identity_over_a_restart_of_the_master(cluster: MasterHarness) -> None:
    await cluster.write("/x", chunk_count=1)
    await cluster.restart()
    await cluster.beat()
    status = await cluster.master.admin.get_status()
    assert [(server.name, server.group_count, server.lead_count) for server in status.servers] == [
        ("cs-1", 12, 4),
        ("cs-2", 12, 4),
        ("cs-3", 12, 4),
    ]


async def test_the_number_of_servers_is_bounded(cluster: MasterHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dstore.master.membership.SERVERS_MAX", 3)
    with pytest.raises(errors.LimitExceeded):
        await cluster.join(4)
    await cluster.join(3)
