"""What all operations of one client share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from dstore.client.chunk_buffers import ChunkBuffers
from dstore.client.forks import ForkGuard
from dstore.client.hedging import Hedging
from dstore.client.high_water import HighWaterMarks
from dstore.client.local_chunks import LocalChunks
from dstore.client.servers import AvoidedServers, ServerUse
from dstore.core.environment import Clock, Random
from dstore.core.files import ClusterInfo
from dstore.core.ids import RequestId
from dstore.core.interfaces import Namespace, Peers
from dstore.crypto.keys import Keyring

#: Gets the bytes done so far. Called on the event loop, so it must return soon; what it raises ends the transfer.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Session:
    """The cluster, the keys and the world, for one client after its first contact.

    Attributes:
        namespace: repeats what may be repeated.
        local: chunks of servers on the same machine; None when they are read over the network as well.
        buffers: what all files that are written share.
    """

    cluster: ClusterInfo
    namespace: Namespace
    peers: Peers
    keyring: Keyring = field(repr=False)
    clock: Clock
    random: Random
    marks: HighWaterMarks
    avoided: AvoidedServers
    use: ServerUse
    hedging: Hedging
    guard: ForkGuard
    local: LocalChunks | None = None
    buffers: ChunkBuffers = field(default_factory=ChunkBuffers)

    def request_id(self) -> RequestId:
        """Return a fresh idempotency key."""
        return RequestId(self.random.uuid())
