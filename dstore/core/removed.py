"""Values of what was removed or replaced, and can be restored while its retention lasts."""

from dataclasses import dataclass, field
from enum import Enum

from dstore.core.files import FileInfo, FileKind, RenameTicket
from dstore.core.ids import FileId, Version


class RemovalReason(Enum):
    """Why something is not at its path any more."""

    REMOVED = "removed"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class RemovedFile:
    """A file or directory that can be restored.

    Attributes:
        path: where it would be restored; of something in a removed directory, where that directory was.
        version: names it, with the path, among all that were there.
        removed_ns: nanoseconds since 1970, UTC, by the master's clock; for people.
        removed_txn: the transaction that took it away; what was removed together has the same.
        expires_in_s: for how long it can be restored at least, while the master runs.
    """

    path: str
    kind: FileKind
    file_id: FileId
    size_bytes: int
    version: Version
    removed_ns: int
    removed_txn: int
    expires_in_s: int
    reason: RemovalReason

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.kind is FileKind.DIRECTORY


@dataclass(frozen=True, slots=True)
class RemovedPage:
    """One page of a listing, oldest removal first; it may be empty and not the last.

    ``next_page_token`` is empty on the last page.
    """

    entries: tuple[RemovedFile, ...]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class RestoreTicket:
    """What a client needs to restore.

    Attributes:
        move: as for a rename from where it was to where it will be: the manifest of a file must be sealed again.
        removed_txn: the transaction that took it away.
        is_back: a directory that is there again already; only what was removed with it may still be missing.
    """

    move: RenameTicket
    removed_txn: int
    is_back: bool


@dataclass(frozen=True, slots=True)
class Restore:
    """Puts back a removed file, or a removed directory without what was in it.

    Attributes:
        path: where it was.
        target: where it is to be; nothing may be there.
        source_version: of the ticket's source.
        version: of the ticket.
        sealed_manifest: sealed for the target; empty for a directory.
    """

    path: str
    target: str
    source_version: Version
    version: Version
    sealed_manifest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What a restore brought back.

    Attributes:
        info: what is at the target now.
        files, directories: that came back, with the target itself.
    """

    info: FileInfo
    files: int
    directories: int
