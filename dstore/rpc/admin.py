"""``AdminService`` over gRPC: both sides of ``core.interfaces.Admin``."""

from collections.abc import AsyncIterator
from typing import Any

import grpc

from dstore.core.checking import CheckSummary, CollectionStatus, Finding, SafeModeStatus
from dstore.core.groups import Duty
from dstore.core.interfaces import Admin
from dstore.core.operations import BalanceState, DutyChange, PauseAction, ScrubState
from dstore.core.status import ClusterStatus, FileDescription
from dstore.rpc import status
from dstore.rpc.call import Caller, closed_error
from dstore.rpc.convert import checking, duties
from dstore.rpc.convert import status as convert
from dstore.rpc.convert.groups import duration_from_proto, duration_to_proto
from dstore.v1 import admin_service_pb2 as v1
from dstore.v1 import admin_service_pb2_grpc


class AdminClient:
    """An ``Admin`` at the other end of a channel."""

    def __init__(self, channel: Any, caller: Caller):
        self._stub = admin_service_pb2_grpc.AdminServiceStub(channel)
        self._call = caller

    async def get_status(self) -> ClusterStatus:
        response = await self._call(self._stub.GetClusterStatus, v1.GetClusterStatusRequest(), lambda answer: answer)
        return await self._call(
            self._stub.ListNodes,
            v1.ListNodesRequest(),
            lambda nodes: convert.status_from_proto(response, nodes.nodes),
        )

    async def describe_file(self, path: str, *, start_index: int, count: int) -> FileDescription:
        request = v1.DescribeFileRequest(path=path, start_index=start_index, page_size=count)
        return await self._call(self._stub.DescribeFile, request, convert.description_from_proto)

    async def check_cluster(self, *, repair: bool) -> AsyncIterator[Finding | CheckSummary]:
        # Without a deadline: it takes as long as the cluster is large. A connection that breaks is noticed anyway.
        try:
            call = self._stub.CheckCluster(v1.CheckClusterRequest(repair=repair))
        except grpc.aio.UsageError as failure:
            raise closed_error(self._call.address) from failure
        try:
            async for message in call:
                with self._call.reading():
                    converted = checking.check_message_from_proto(message)
                yield converted
        except grpc.aio.AioRpcError as failure:
            raise status.to_error(failure, address=self._call.address) from failure
        finally:
            call.cancel()

    async def get_collection(self) -> CollectionStatus:
        return await self._call(
            self._stub.GetCollection,
            v1.GetCollectionRequest(),
            lambda answer: checking.collection_from_proto(answer.collection),
        )

    async def approve_collection(self) -> CollectionStatus:
        return await self._call(
            self._stub.ApproveCollection,
            v1.ApproveCollectionRequest(),
            lambda answer: checking.collection_from_proto(answer.collection),
        )

    async def get_safe_mode(self) -> SafeModeStatus:
        return await self._call(
            self._stub.GetSafeMode,
            v1.GetSafeModeRequest(),
            lambda answer: checking.safe_mode_from_proto(answer.safe_mode),
        )

    async def leave_safe_mode(self) -> SafeModeStatus:
        return await self._call(
            self._stub.LeaveSafeMode,
            v1.LeaveSafeModeRequest(),
            lambda answer: checking.safe_mode_from_proto(answer.safe_mode),
        )

    async def set_node_duty(self, name: str, duty: Duty, *, duration_s: float, dry_run: bool) -> DutyChange:
        request = v1.SetNodeDutyRequest(
            name=name, duty=duties.duty_to_proto(duty), duration=duration_to_proto(duration_s), dry_run=dry_run
        )
        return await self._call(self._stub.SetNodeDuty, request, duties.duty_change_from_proto)

    async def remove_node(self, name: str) -> None:
        await self._call(self._stub.RemoveNode, v1.RemoveNodeRequest(name=name), lambda _: None)

    async def balance_cluster(self, action: PauseAction) -> BalanceState:
        request = v1.BalanceClusterRequest(action=duties.action_to_proto(action))
        return await self._call(self._stub.BalanceCluster, request, duties.balance_from_proto)

    async def set_scrub(self, action: PauseAction) -> ScrubState:
        request = v1.SetScrubRequest(action=duties.action_to_proto(action))
        return await self._call(self._stub.SetScrub, request, duties.scrub_from_proto)


class AdminServicer(admin_service_pb2_grpc.AdminServiceServicer):
    """Speaks AdminService on behalf of an ``Admin``."""

    def __init__(self, admin: Admin):
        self._admin = admin

    async def GetClusterStatus(self, request: v1.GetClusterStatusRequest, context: Any) -> v1.GetClusterStatusResponse:
        return convert.status_to_proto(await self._admin.get_status())

    async def ListNodes(self, request: v1.ListNodesRequest, context: Any) -> v1.ListNodesResponse:
        servers = (await self._admin.get_status()).servers
        return v1.ListNodesResponse(nodes=[convert.node_to_proto(server) for server in servers])

    async def DescribeFile(self, request: v1.DescribeFileRequest, context: Any) -> v1.DescribeFileResponse:
        description = await self._admin.describe_file(
            request.path, start_index=request.start_index, count=request.page_size
        )
        return convert.description_to_proto(description)

    async def CheckCluster(
        self, request: v1.CheckClusterRequest, context: Any
    ) -> AsyncIterator[v1.CheckClusterResponse]:
        async for message in self._admin.check_cluster(repair=request.repair):
            yield checking.check_message_to_proto(message)

    async def GetCollection(self, request: v1.GetCollectionRequest, context: Any) -> v1.GetCollectionResponse:
        return v1.GetCollectionResponse(collection=checking.collection_to_proto(await self._admin.get_collection()))

    async def ApproveCollection(
        self, request: v1.ApproveCollectionRequest, context: Any
    ) -> v1.ApproveCollectionResponse:
        collection = await self._admin.approve_collection()
        return v1.ApproveCollectionResponse(collection=checking.collection_to_proto(collection))

    async def GetSafeMode(self, request: v1.GetSafeModeRequest, context: Any) -> v1.GetSafeModeResponse:
        return v1.GetSafeModeResponse(safe_mode=checking.safe_mode_to_proto(await self._admin.get_safe_mode()))

    async def LeaveSafeMode(self, request: v1.LeaveSafeModeRequest, context: Any) -> v1.LeaveSafeModeResponse:
        return v1.LeaveSafeModeResponse(safe_mode=checking.safe_mode_to_proto(await self._admin.leave_safe_mode()))

    async def SetNodeDuty(self, request: v1.SetNodeDutyRequest, context: Any) -> v1.SetNodeDutyResponse:
        change = await self._admin.set_node_duty(
            request.name,
            duties.wanted_duty(request.duty),
            duration_s=duration_from_proto(request.duration),
            dry_run=request.dry_run,
        )
        return duties.duty_change_to_proto(change)

    async def RemoveNode(self, request: v1.RemoveNodeRequest, context: Any) -> v1.RemoveNodeResponse:
        await self._admin.remove_node(request.name)
        return v1.RemoveNodeResponse()

    async def BalanceCluster(self, request: v1.BalanceClusterRequest, context: Any) -> v1.BalanceClusterResponse:
        return duties.balance_to_proto(await self._admin.balance_cluster(duties.action_from_proto(request.action)))

    async def SetScrub(self, request: v1.SetScrubRequest, context: Any) -> v1.SetScrubResponse:
        return duties.scrub_to_proto(await self._admin.set_scrub(duties.action_from_proto(request.action)))
