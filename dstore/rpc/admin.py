"""``AdminService`` over gRPC: both sides of ``core.interfaces.Admin``."""

from typing import Any

from dstore.core.interfaces import Admin
from dstore.core.status import ClusterStatus, FileDescription
from dstore.rpc.call import Caller
from dstore.rpc.convert import status as convert
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


class AdminServicer(admin_service_pb2_grpc.AdminServiceServicer):
    """Speaks AdminService on behalf of an ``Admin``."""

    def __init__(self, admin: Admin):
        self._admin = admin

    async def GetClusterStatus(self, request: v1.GetClusterStatusRequest, context: Any) -> v1.GetClusterStatusResponse:
        return convert.status_to_proto(await self._admin.get_status())

    async def ListNodes(self, request: v1.ListNodesRequest, context: Any) -> v1.ListNodesResponse:
        status = await self._admin.get_status()
        return v1.ListNodesResponse(nodes=[convert.node_to_proto(server) for server in status.servers])

    async def DescribeFile(self, request: v1.DescribeFileRequest, context: Any) -> v1.DescribeFileResponse:
        description = await self._admin.describe_file(
            request.path, start_index=request.start_index, count=request.page_size
        )
        return convert.description_to_proto(description)
