"""What operators ask about deletions and damage goes over the wire and comes back as it was."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import cast

import pytest

from dstore.core.checking import (
    CheckSummary,
    CollectionState,
    CollectionStatus,
    CollectionStop,
    Finding,
    FindingKind,
    SafeModeStatus,
    Severity,
)
from dstore.core.errors import LimitExceeded
from dstore.core.ids import ChunkId, GroupId, ServerId
from dstore.core.interfaces import Admin
from dstore.rpc.channel import Connection
from dstore.rpc.convert.checking import (
    check_message_from_proto,
    check_message_to_proto,
    collection_from_proto,
    collection_to_proto,
    safe_mode_from_proto,
    safe_mode_to_proto,
)
from dstore.rpc.server import RpcServer
from dstore.v1 import admin_service_pb2 as v1

FINDING = Finding(
    FindingKind.CHUNK_LOST,
    Severity.ERROR,
    "no copy",
    "restore it",
    path="/x",
    chunk_id=ChunkId(GroupId(1), 2),
    server="cs-1",
    is_repaired=True,
)
SUMMARY = CheckSummary(1, 2, 3, 4, 5, 6, 7, 8, True)
STOP = CollectionStop(ServerId("00000000-0000-4000-8000-000000000001"), "cs-1", 1, 200, 300, 400)
STATUS = CollectionStatus(CollectionState.STOPPED, "why", 1, 2, 3, 4, STOP)
SAFE_MODE = SafeModeStatus(True, "why", "h-3", ("h-1", "h-2"))


@pytest.mark.parametrize(
    "message",
    [
        FINDING,
        replace(FINDING, chunk_id=None, path="", server="", is_repaired=False, severity=Severity.INFO),
        *(replace(FINDING, kind=kind) for kind in FindingKind),
        SUMMARY,
        replace(SUMMARY, is_complete=False),
    ],
)
def test_messages_of_a_check(message: Finding | CheckSummary) -> None:
    assert check_message_from_proto(check_message_to_proto(message)) == message


@pytest.mark.parametrize("status", [replace(STATUS, state=state) for state in CollectionState])
def test_the_collection(status: CollectionStatus) -> None:
    assert collection_from_proto(collection_to_proto(status)) == status
    without = replace(status, stop=None)
    assert collection_from_proto(collection_to_proto(without)) == without


def test_safe_mode() -> None:
    assert safe_mode_from_proto(safe_mode_to_proto(SAFE_MODE)) == SAFE_MODE


@pytest.mark.parametrize(
    "message", [v1.CheckClusterResponse(), v1.CheckClusterResponse(finding=v1.Finding(kind="INVENTED"))]
)
def test_what_is_no_message_of_a_check_is_refused(message: v1.CheckClusterResponse) -> None:
    with pytest.raises(ValueError):
        check_message_from_proto(message)


class _Operator:
    """Answers as a master would."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def check_cluster(self, *, repair: bool) -> AsyncIterator[Finding | CheckSummary]:
        self.calls.append(f"check {repair}")
        yield FINDING
        if repair:
            raise LimitExceeded("One at a time.", reason="CHECK_RUNNING")
        yield SUMMARY

    async def get_collection(self) -> CollectionStatus:
        return STATUS

    async def approve_collection(self) -> CollectionStatus:
        return replace(STATUS, stop=None)

    async def get_safe_mode(self) -> SafeModeStatus:
        return SAFE_MODE

    async def leave_safe_mode(self) -> SafeModeStatus:
        return replace(SAFE_MODE, is_on=False)


async def test_over_a_real_connection() -> None:
    operator = _Operator()
    server = RpcServer("127.0.0.1:0", admin=cast("Admin", operator))
    address = await server.start()
    connection = Connection(address)
    try:
        admin = connection.admin
        assert [each async for each in admin.check_cluster(repair=False)] == [FINDING, SUMMARY]
        received: list[Finding | CheckSummary] = []
        with pytest.raises(LimitExceeded) as caught:
            async for each in admin.check_cluster(repair=True):
                received.append(each)
        assert (received, caught.value.reason) == ([FINDING], "CHECK_RUNNING")
        assert operator.calls == ["check False", "check True"]
        assert await admin.get_collection() == STATUS
        assert await admin.approve_collection() == replace(STATUS, stop=None)
        assert await admin.get_safe_mode() == SAFE_MODE
        assert await admin.leave_safe_mode() == replace(SAFE_MODE, is_on=False)
    finally:
        await connection.close()
        await server.stop(0)
