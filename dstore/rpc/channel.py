"""Connections: one constructor for every channel, with its limits."""

import re
from functools import cached_property
from typing import Any

import grpc

from dstore.core.errors import Unavailable
from dstore.core.limits import KIB, MESSAGE_SIZE_BYTES_MAX, STREAM_STALL_TIMEOUT_S
from dstore.rpc.admin import AdminClient
from dstore.rpc.call import Caller
from dstore.rpc.chunks import ChunksClient
from dstore.rpc.cluster import ClusterClient
from dstore.rpc.namespace import NamespaceClient

#: Both sides must agree on keepalive: a server that sees pings more often than it allows drops the connection.
KEEPALIVE_INTERVAL_MS = 20_000
KEEPALIVE_TIMEOUT_MS = 10_000
RECONNECT_BACKOFF_MS = 100
RECONNECT_BACKOFF_MAX_MS = 1_000
#: A server that is busy, or far away, must not count as unreachable; one that hangs must be named as unreachable
#: before anybody's patience with a stream ends.
CONNECT_TIMEOUT_MS = 3_000
#: An error travels in the trailers: its message twice, once of them percent-encoded, and metadata with up to two whole
#: paths. gRPC's own limit of 8 KiB would turn the errors of long paths into RESOURCE_EXHAUSTED.
METADATA_SIZE_BYTES_MAX = 64 * KIB

#: A name or IPv4 address, or an IPv6 address in brackets, and a port.
_HOST_AND_PORT = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Za-z:.%_-]{2,64}\]):[0-9]{1,5}")

_OPTIONS = (
    ("grpc.max_send_message_length", MESSAGE_SIZE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_SIZE_BYTES_MAX),
    ("grpc.max_metadata_size", METADATA_SIZE_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", METADATA_SIZE_BYTES_MAX),
    ("grpc.keepalive_time_ms", KEEPALIVE_INTERVAL_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    # Only the caller knows what may be repeated.
    ("grpc.enable_retries", 0),
    # A server that restarts is found again within a second.
    ("grpc.initial_reconnect_backoff_ms", RECONNECT_BACKOFF_MS),
    # Whatever its name says, this is the time that one attempt to connect gets.
    ("grpc.min_reconnect_backoff_ms", CONNECT_TIMEOUT_MS),
    ("grpc.max_reconnect_backoff_ms", RECONNECT_BACKOFF_MAX_MS),
    # Connections are owned: closing one channel must not keep a socket of another.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
)

assert CONNECT_TIMEOUT_MS < STREAM_STALL_TIMEOUT_S * 1_000


class Connection:
    """A channel to one server, made with the first call, because a channel belongs to the loop that made it."""

    def __init__(self, address: str):
        self.address = address
        self._caller = Caller(address)

    @cached_property
    def _channel(self) -> Any:
        # Without a scheme, gRPC would take a host called "unix" or "ipv4" for one.
        target = f"dns:///{self.address}" if _HOST_AND_PORT.fullmatch(self.address) else self.address
        return grpc.aio.insecure_channel(target, options=_OPTIONS)

    @cached_property
    def namespace(self) -> NamespaceClient:
        """The server's NamespaceService."""
        return NamespaceClient(self._channel, self._caller)

    @cached_property
    def cluster(self) -> ClusterClient:
        """The server's ClusterService."""
        return ClusterClient(self._channel, self._caller)

    @cached_property
    def admin(self) -> AdminClient:
        """The server's AdminService."""
        return AdminClient(self._channel, self._caller)

    @cached_property
    def chunks(self) -> ChunksClient:
        """The server's ChunkService."""
        return ChunksClient(self._channel, self._caller)

    async def close(self) -> None:
        """Close the channel, if there is one; calls under way are cancelled."""
        channel = self.__dict__.get("_channel")
        if channel is not None:
            await channel.close()

    def __repr__(self) -> str:
        return f"Connection({self.address}, {'open' if '_channel' in self.__dict__ else 'not yet used'})"


class Connections:
    """The ``Peers`` of a real network: one connection for each address, kept."""

    def __init__(self) -> None:
        self._connections: dict[str, Connection] = {}

    def connection(self, address: str) -> Connection:
        """Return the connection to ``address``."""
        return self._connections.setdefault(address, Connection(address))

    def chunks(self, address: str) -> ChunksClient:
        """Return the ChunkService at ``address``, which others say.

        Raises:
            Unavailable: reason ``ADDRESS_INVALID``, when it is no host and port: gRPC would also take local sockets.
        """
        if not _HOST_AND_PORT.fullmatch(address):
            raise Unavailable(
                f"{address[:80]!r} is no address of a chunkserver, which has the form HOST:PORT; it cannot be reached.",
                reason="ADDRESS_INVALID",
                metadata={"address": address[:80]},
            )
        return self.connection(address).chunks

    async def close(self) -> None:
        """Close all connections."""
        while self._connections:
            _, connection = self._connections.popitem()
            await connection.close()
