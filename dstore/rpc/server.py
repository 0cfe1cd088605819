"""The gRPC server of a role: services, health, reflection, limits, graceful stop."""

from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from dstore.core.environment import Clock
from dstore.core.errors import Unavailable
from dstore.core.interfaces import Admin, Chunks, Cluster, Namespace
from dstore.core.limits import CONCURRENT_CALLS_MAX, CONCURRENT_STREAMS_MAX, MESSAGE_SIZE_BYTES_MAX
from dstore.rpc.admin import AdminServicer
from dstore.rpc.call_metrics import CallMetrics
from dstore.rpc.channel import KEEPALIVE_INTERVAL_MS, KEEPALIVE_TIMEOUT_MS
from dstore.rpc.chunks import ChunksServicer
from dstore.rpc.cluster import ClusterServicer
from dstore.rpc.interceptors import ErrorInterceptor
from dstore.rpc.namespace import NamespaceServicer
from dstore.rpc.reflection import Reflection
from dstore.v1 import admin_service_pb2_grpc, cluster_service_pb2_grpc, namespace_service_pb2_grpc

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
#: Serving as long as the process can answer at all; never tied to readiness, or a draining server gets killed.
_LIVENESS = "liveness"
_READINESS = "readiness"

_OPTIONS = (
    # Without this a second server on the same port starts silently and gets half of the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.max_send_message_length", MESSAGE_SIZE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_SIZE_BYTES_MAX),
    ("grpc.max_concurrent_streams", CONCURRENT_STREAMS_MAX),
    ("grpc.keepalive_time_ms", KEEPALIVE_INTERVAL_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_INTERVAL_MS // 2),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.server_handshake_timeout_ms", 10_000),
)


class RpcServer:
    """Serves the interfaces that it is given, and with them health and reflection.

    Args:
        listen: host and port; port 0 takes a free one.
        calls: counts and times the calls; None counts nothing.
        clock: times them for the log; None logs nothing of them.
    """

    def __init__(
        self,
        listen: str,
        *,
        namespace: Namespace | None = None,
        cluster: Cluster | None = None,
        admin: Admin | None = None,
        chunks: Chunks | None = None,
        reflection: bool = True,
        calls: CallMetrics | None = None,
        clock: Clock | None = None,
    ):
        self._listen = listen
        self._server = grpc.aio.server(
            interceptors=[ErrorInterceptor(calls, clock)],
            options=_OPTIONS,
            maximum_concurrent_rpcs=CONCURRENT_CALLS_MAX,
        )
        self._service_names = [health.SERVICE_NAME]
        if namespace is not None:
            servicer = NamespaceServicer(namespace)
            namespace_service_pb2_grpc.add_NamespaceServiceServicer_to_server(servicer, self._server)
            self._service_names.append("dstore.v1.NamespaceService")
        if cluster is not None:
            cluster_service_pb2_grpc.add_ClusterServiceServicer_to_server(ClusterServicer(cluster), self._server)
            self._service_names.append("dstore.v1.ClusterService")
        if admin is not None:
            admin_service_pb2_grpc.add_AdminServiceServicer_to_server(AdminServicer(admin), self._server)
            self._service_names.append("dstore.v1.AdminService")
        if chunks is not None:
            self._add("dstore.v1.ChunkService", ChunksServicer(chunks).handlers())
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if reflection:
            self._server.add_generic_rpc_handlers(Reflection(self._service_names).handlers())

    def _add(self, service_name: str, handlers: dict[str, Any]) -> None:
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service_name, handlers),))
        self._service_names.append(service_name)

    async def start(self) -> str:
        """Listen; return the bound ``host:port``. The server is alive, but not ready before ``set_ready``.

        Raises:
            Unavailable: ADDRESS_IN_USE when the address cannot be bound.
        """
        try:
            port = self._server.add_insecure_port(self._listen)
        except RuntimeError as error:
            raise Unavailable(
                f"Cannot listen on {self._listen}: the port is taken or the address is not of this host; "
                "stop what uses it, or choose another with --listen.",
                reason="ADDRESS_IN_USE",
                metadata={"address": self._listen},
            ) from error
        await self._health.set(_LIVENESS, _SERVING)
        await self.set_ready(ready=False)
        await self._server.start()
        return f"{self._listen.rsplit(':', 1)[0]}:{port}"

    async def set_ready(self, *, ready: bool) -> None:
        """Tell the health service whether clients should send work."""
        for name in ("", _READINESS, *self._service_names):
            await self._health.set(name, _SERVING if ready else _NOT_SERVING)

    async def stop(self, grace_s: float) -> None:
        """Turn unready, refuse new calls, wait up to ``grace_s`` for those under way, then cancel them."""
        await self.set_ready(ready=False)
        await self._server.stop(grace_s)
