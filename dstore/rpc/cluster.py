"""``ClusterService`` over gRPC: both sides of ``core.interfaces.Cluster``."""

from typing import Any

from dstore.core.groups import ServerIdentity
from dstore.core.interfaces import Cluster
from dstore.core.upkeep import Heartbeat, Orders, Registration
from dstore.rpc.call import Caller
from dstore.rpc.convert import upkeep as convert
from dstore.rpc.convert.groups import identity_from_proto, identity_to_proto
from dstore.v1 import cluster_service_pb2 as v1
from dstore.v1 import cluster_service_pb2_grpc


class ClusterClient:
    """A ``Cluster`` at the other end of a channel."""

    def __init__(self, channel: Any, caller: Caller):
        self._stub = cluster_service_pb2_grpc.ClusterServiceStub(channel)
        self._call = caller

    async def register(self, identity: ServerIdentity) -> Registration:
        request = identity_to_proto(identity)
        return await self._call(self._stub.Register, request, convert.registration_from_proto)

    async def heartbeat(self, heartbeat: Heartbeat) -> Orders:
        request = convert.heartbeat_to_proto(heartbeat)
        return await self._call(self._stub.Heartbeat, request, lambda answer: convert.orders_from_proto(answer.orders))


class ClusterServicer(cluster_service_pb2_grpc.ClusterServiceServicer):
    """Speaks ClusterService on behalf of a ``Cluster``."""

    def __init__(self, cluster: Cluster):
        self._cluster = cluster

    async def Register(self, request: v1.RegisterRequest, context: Any) -> v1.RegisterResponse:
        return convert.registration_to_proto(await self._cluster.register(identity_from_proto(request)))

    async def Heartbeat(self, request: v1.HeartbeatRequest, context: Any) -> v1.HeartbeatResponse:
        orders = await self._cluster.heartbeat(convert.heartbeat_from_proto(request))
        return v1.HeartbeatResponse(orders=convert.orders_to_proto(orders))
