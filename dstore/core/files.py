"""Values of the namespace: files, their chunks and keys, and writes in progress."""

from dataclasses import dataclass, field
from enum import Enum

from dstore.core.groups import Group
from dstore.core.ids import ChunkId, ClusterId, FileId, IntentId, ServerId, Version
from dstore.core.limits import RETENTION_DEFAULT_S
from dstore.core.quick_init import quick_init


class FileKind(Enum):
    """What a path names."""

    FILE = "file"
    DIRECTORY = "directory"


@dataclass(frozen=True, slots=True)
class Policy:
    """How the files of a directory are kept.

    Attributes:
        name: of the policy; "default" until directories carry their own.
        replicas: copies of each chunk.
        min_replicas: copies that must be durable before a write is acknowledged.
        chunk_size_bytes: plaintext of every chunk but the last of a file.
        failure_domain: "server", "host" or "rack": no two replicas of a group share one.
        retention_s: how long removed and replaced versions can be restored, in seconds of the cluster's running time.
    """

    name: str
    replicas: int
    min_replicas: int
    chunk_size_bytes: int
    failure_domain: str
    retention_s: int = RETENTION_DEFAULT_S


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """What a client must know of a cluster before its first write or read."""

    cluster_id: ClusterId
    policy: Policy
    version: str


@quick_init
@dataclass(frozen=True, slots=True)
class FileInfo:
    """What the master says of one path. Sizes and times become trustworthy once a manifest confirms them.

    Attributes:
        path: absolute.
        size_bytes: of the plaintext; 0 for directories.
        version: of the last commit that changed it.
        created_ns, modified_ns: nanoseconds since 1970, UTC.
        chunk_count: chunks of the committed version; 0 for directories and empty files.
    """

    path: str
    kind: FileKind
    file_id: FileId
    size_bytes: int
    version: Version
    created_ns: int
    modified_ns: int
    chunk_count: int = 0

    @property
    def is_directory(self) -> bool:
        """Whether the path names a directory."""
        return self.kind is FileKind.DIRECTORY

    @property
    def name(self) -> str:
        """The last name of the path; empty for the root."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class FilePage:
    """One page of a listing, in order of names as UTF-8 bytes; ``next_page_token`` is empty on the last page."""

    entries: tuple[FileInfo, ...]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class RemoveResult:
    """What a remove took away."""

    files: int
    directories: int


#: No version is it; where one may be asked for, it means that none is.
NO_VERSION = Version(0)


class PreconditionKind(Enum):
    """What must hold of a path at the moment of the commit."""

    NONE = "none"
    ABSENT = "absent"
    VERSION = "version"


@dataclass(frozen=True, slots=True)
class Precondition:
    """A condition that the master checks at the start of a write and again in its commit.

    Attributes:
        version: with ``PreconditionKind.VERSION``, the version that is to be replaced.
    """

    kind: PreconditionKind = PreconditionKind.NONE
    version: Version = NO_VERSION


ANY = Precondition()
ABSENT = Precondition(PreconditionKind.ABSENT)


@quick_init
@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data-encryption key, encrypted for one recipient. Opaque to servers.

    Attributes:
        kind: how it is wrapped; 1 is AES-256-GCM-SIV under a symmetric KEK (docs/format.md).
        key_id: which recipient; 8 bytes.
        data: nonce and ciphertext.
    """

    kind: int
    key_id: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class ChunkRecord:
    """One chunk of a committed file.

    Attributes:
        index: position in the file, from 0.
        chunk_id: where it is.
        length_bytes: of the ciphertext, header included.
        crc32c: of the ciphertext.
        header: the first 56 bytes of the ciphertext (salt and key commitment), so that a range can be read and
            checked without fetching the start of the chunk, and no older ciphertext can take its place.
    """

    index: int
    chunk_id: ChunkId
    length_bytes: int
    crc32c: int
    header: bytes


@dataclass(frozen=True, slots=True)
class WrittenChunk:
    """A chunk record with the servers that acknowledged it as durable."""

    record: ChunkRecord
    replicas: tuple[ServerId, ...]


@dataclass(frozen=True, slots=True)
class ChunkPlacement:
    """A fresh chunk id and the group that is to hold it; ``chain`` lists the members to write to, in order.

    The chain is shorter than the group when members are down and at least ``min_replicas`` are left.
    """

    chunk_id: ChunkId
    group: Group
    chain: tuple[ServerId, ...]


@dataclass(frozen=True, slots=True)
class WriteIntent:
    """A write in progress.

    Attributes:
        file_id: identity of the content to be written; binds every chunk.
        version: to be sealed in the manifest.
        parent_id, name: where the file will appear; to be sealed in the manifest.
        policy: of the directory.
        lease_duration_s: renew within this time, or the intent expires.
        placements: the first chunks.
    """

    intent_id: IntentId
    cluster_id: ClusterId
    file_id: FileId
    version: Version
    parent_id: FileId
    name: str
    policy: Policy
    lease_duration_s: float
    placements: tuple[ChunkPlacement, ...]


@dataclass(frozen=True, slots=True)
class IntentLease:
    """The answer to a renewal: the version to seal, and how long the intent lives from now."""

    version: Version
    lease_duration_s: float


@dataclass(frozen=True, slots=True)
class Commit:
    """Makes a written file visible.

    Attributes:
        version: the one that the manifest seals; must be the intent's.
        size_bytes: of the plaintext.
        chunk_count: of the file; the records sent before and here must be 0 … chunk_count - 1, each once.
        chunks: records that were not yet sent with ``allocate_chunks``.
        sealed_manifest: opaque to the master.
        wrapped_keys: one per recipient; opaque to the master.
    """

    intent_id: IntentId
    version: Version
    size_bytes: int
    chunk_count: int
    chunks: tuple[WrittenChunk, ...]
    sealed_manifest: bytes = field(repr=False)
    wrapped_keys: tuple[WrappedKey, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class FileReservation:
    """Identities and versions that the master gave out ahead: ``first``, ``first + 1``, … ``count`` of each.

    A version is refused once its path has, or had, a larger one; then a fresh reservation is needed.
    """

    first_file_id: FileId
    first_version: Version
    count: int


@quick_init
@dataclass(frozen=True, slots=True)
class SmallFile:
    """Makes a file visible in one call: its content is sealed in the manifest, and it has no chunks.

    Attributes:
        parent_id: the directory that the writer sealed; another one at that path by now is a ``Conflict``.
        file_id, version: from one reservation, both with the same offset.
        size_bytes: of the plaintext.
        sealed_manifest: opaque to the master.
        wrapped_keys: one per recipient; opaque to the master.
    """

    path: str
    precondition: Precondition
    parent_id: FileId
    file_id: FileId
    version: Version
    size_bytes: int
    sealed_manifest: bytes = field(repr=False)
    wrapped_keys: tuple[WrappedKey, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChunkPage:
    """Consecutive chunk records of one version, and the groups that they are in."""

    chunks: tuple[ChunkRecord, ...]
    groups: tuple[Group, ...]


@quick_init
@dataclass(frozen=True, slots=True)
class OpenedFile:
    """All that a client needs to read one version of a file.

    Attributes:
        parent_id: of the directory that holds it; the manifest must name the same.
        page: the first chunk records; more with ``list_chunks`` when there are fewer than ``info.chunk_count``.
    """

    info: FileInfo
    cluster_id: ClusterId
    parent_id: FileId
    chunk_size_bytes: int
    sealed_manifest: bytes = field(repr=False)
    wrapped_keys: tuple[WrappedKey, ...] = field(repr=False)
    page: ChunkPage


@dataclass(frozen=True, slots=True)
class RenameTicket:
    """What a client needs to rename: for a file, the manifest must be sealed again, because it binds the name.

    Attributes:
        source: what is to be renamed.
        version: to be sealed; larger than every version given out before.
        target_parent_id, target_name: where the file will appear; to be sealed.
        sealed_manifest, wrapped_keys: of the source; empty for a directory.
    """

    source: FileInfo
    source_parent_id: FileId
    cluster_id: ClusterId
    version: Version
    target_parent_id: FileId
    target_name: str
    sealed_manifest: bytes = field(repr=False)
    wrapped_keys: tuple[WrappedKey, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rename:
    """Moves a file or directory; a file that is in the way is replaced in the same transaction.

    Attributes:
        source_version: of the ticket; a source that changed since then is a ``Conflict``.
        version: of the ticket.
        sealed_manifest: sealed for the target; empty for a directory.
        precondition: what must hold of the target.
    """

    source: str
    target: str
    source_version: Version
    version: Version
    sealed_manifest: bytes = field(repr=False)
    precondition: Precondition = ANY
