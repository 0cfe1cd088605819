"""Values of the data path: what travels on a chunk stream and what is acknowledged."""

from dataclasses import dataclass, field
from enum import Enum

from dstore.core.errors import InvalidRequest
from dstore.core.ids import ChunkId, ClusterId, ServerId


class Durability(Enum):
    """What an acknowledgement promises of each replica that it counts."""

    #: On stable storage: file fsync, rename, directory fsync. Survives the power loss of every node at once.
    SYNCED = "synced"
    #: Written, and in the memory of its machine; on stable storage within a second or so. Survives the end of every
    #: process, and the power loss of all machines but one.
    REPLICATED = "replicated"

    def covers(self, wanted: "Durability") -> bool:
        """Tell whether a copy that promises this is as durable as was asked for."""
        return self is wanted or self is Durability.SYNCED


def parse_durability(text: str, *, what: str) -> Durability:
    """Return the durability that ``text`` names; ``what`` says in the error where it stands.

    Raises:
        InvalidRequest: reason ``DURABILITY_INVALID``.
    """
    try:
        return Durability(text)
    except ValueError:
        names = ", ".join(each.value for each in Durability)
        raise InvalidRequest(
            f"{what} {text!r:.66} is none of: {names}.",
            reason="DURABILITY_INVALID",
            metadata={"value": str(text)[:64]},
        ) from None


@dataclass(frozen=True, slots=True)
class ChainMember:
    """A chunkserver that is still to receive the chunk."""

    server_id: ServerId
    address: str


@dataclass(frozen=True, slots=True)
class WriteHeader:
    """Opens a write stream.

    Attributes:
        cluster_id: a server of another cluster refuses.
        group_epoch: a server that saw a newer one refuses (Invariant 7).
        length_bytes: of the whole ciphertext, so that a stream that stops early never looks complete.
        chain: the servers after this one, in order.
        descriptor: what a rebuild from chunks alone needs, encrypted by the client; opaque to servers.
    """

    chunk_id: ChunkId
    cluster_id: ClusterId
    group_epoch: int
    length_bytes: int
    durability: Durability
    chain: tuple[ChainMember, ...]
    descriptor: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Frame:
    """A piece of a chunk stream.

    Attributes:
        offset: of the first byte in the chunk's ciphertext.
        crc32c: of ``data``.
        encoded: the message that the frame came in, or was read into, to be passed on without encoding it again.
    """

    offset: int
    crc32c: int
    data: memoryview | bytes = field(repr=False)
    encoded: bytes | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class WriteFinish:
    """Commits a write stream; a stream that merely ends is not a commit."""

    length_bytes: int
    crc32c: int


@dataclass(frozen=True, slots=True)
class ReplicaAck:
    """One replica, and how durable it is: as was asked for, or more."""

    server_id: ServerId
    durability: Durability


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The acknowledgements of a whole chain, in its order."""

    replicas: tuple[ReplicaAck, ...]


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """A range of a chunk's ciphertext.

    Attributes:
        length_bytes: 0 means to the end of the chunk.
        frame_size_bytes: size of every frame but the last; 0 lets the server choose.
    """

    chunk_id: ChunkId
    offset: int
    length_bytes: int
    frame_size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ChunkStat:
    """What a chunkserver holds of one chunk."""

    chunk_id: ChunkId
    length_bytes: int
    crc32c: int
    descriptor: bytes = field(repr=False)
