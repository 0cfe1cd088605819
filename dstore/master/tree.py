"""The directory tree as rows: walking a path, and the refusals that walking can end in."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dstore.core.errors import AlreadyExists, IsADirectory, NotADirectory, NotFound
from dstore.core.files import FileInfo, FileKind
from dstore.core.ids import ROOT_ID, FileId, Version
from dstore.core.paths import join_path
from dstore.core.quick_init import quick_init
from dstore.master import counters
from dstore.master.store.base import Row, Transaction
from dstore.master.store.schema import LIVE

#: The columns of ``Inode``, in its order.
INODE_COLUMNS = (
    "i.file_id, i.kind, i.version, i.first_version, i.floor_version, i.size_bytes, i.chunk_count, "
    "i.chunk_size_bytes, i.created_ns, i.modified_ns"
)


#: Names that one query follows; each is a query inside of another, which engines bound.
_NAMES_PER_QUERY = 16
_KINDS = {kind.value: kind for kind in FileKind}


@quick_init
@dataclass(frozen=True, slots=True)
class Inode:
    """A file or directory without its place, keys and manifest; the columns are described in the schema."""

    file_id: FileId
    kind: FileKind
    version: Version
    first_version: Version
    floor_version: Version
    size_bytes: int
    chunk_count: int
    chunk_size_bytes: int
    created_ns: int
    modified_ns: int

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.kind is FileKind.DIRECTORY

    def describe(self, path: str) -> FileInfo:
        """Return what clients are told of it."""
        return FileInfo(
            path=path,
            kind=self.kind,
            file_id=self.file_id,
            size_bytes=self.size_bytes,
            version=self.version,
            created_ns=self.created_ns,
            modified_ns=self.modified_ns,
            chunk_count=self.chunk_count,
        )


def inode_from_row(row: Row) -> Inode:
    """Read the columns of ``INODE_COLUMNS``."""
    return Inode(row[0], _KINDS[row[1]], *row[2:])


def info_from_row(row: Sequence[Any], path: str) -> FileInfo:
    """Return what clients are told of a path, from the columns of ``INODE_COLUMNS``."""
    file_id, kind, version, _, _, size_bytes, chunk_count, _, created_ns, modified_ns = row
    return FileInfo(path, _KINDS[kind], file_id, size_bytes, version, created_ns, modified_ns, chunk_count)


def select_inodes(more: str, rest: str) -> str:
    """Return the query for live entries with their inodes: first the columns ``more``, then ``INODE_COLUMNS``."""
    columns = f"{more}, {INODE_COLUMNS}"
    return f"SELECT {columns} FROM live_entries e JOIN live_inodes i ON i.file_id = e.file_id {rest}"  # noqa: S608


def find(tx: Transaction, parent_id: FileId, name: str) -> Inode | None:
    """Return what a directory has under a name."""
    rows = tx.execute(_query_path(1), (parent_id, name.encode()))
    return inode_from_row(rows[0]) if rows else None


def find_by_id(tx: Transaction, file_id: FileId) -> Inode | None:
    """Return a live inode by its identity."""
    rows = tx.execute(f"SELECT {INODE_COLUMNS} FROM live_inodes i WHERE i.file_id = ?", (file_id,))  # noqa: S608
    return inode_from_row(rows[0]) if rows else None


def resolve(tx: Transaction, names: tuple[str, ...]) -> Inode:
    """Return what a path names.

    Raises:
        NotFound: reason ``FILE_NOT_FOUND``.
        NotADirectory: a name on the way is a file.
    """
    inode = find_by_id(tx, ROOT_ID)
    assert inode is not None, "the root is made with the tables and cannot be removed"
    for start in range(0, len(names), _NAMES_PER_QUERY):
        some = names[start : start + _NAMES_PER_QUERY]
        rows = tx.execute(_query_path(len(some)), (inode.file_id, *(name.encode() for name in some)))
        if not rows:
            raise _refusal(tx, names)
        inode = inode_from_row(rows[0])
    return inode


@functools.cache
def _query_path(count: int) -> str:
    """Return the query for what is so many names below a directory: its id comes first, then the names."""
    file_id = "?"
    for _ in range(count):
        file_id = f"(SELECT file_id FROM live_entries WHERE parent_id = {file_id} AND name = ?)"  # noqa: S608
    return f"SELECT {INODE_COLUMNS} FROM live_inodes i WHERE i.file_id = {file_id}"  # noqa: S608


def _refusal(tx: Transaction, names: tuple[str, ...]) -> NotFound | NotADirectory:
    """Return why a path leads nowhere, with the part of it that is the reason."""
    inode = find_by_id(tx, ROOT_ID)
    for depth, name in enumerate(names):
        if inode is None:
            return not_found(join_path(names[:depth]))
        if not inode.is_directory:
            return not_a_directory(join_path(names[:depth]))
        inode = find(tx, inode.file_id, name)
    return not_found(join_path(names))


def resolve_parent(tx: Transaction, names: tuple[str, ...]) -> Inode:
    """Return the directory that holds, or would hold, the last name of a path that is not the root.

    Raises:
        NotFound: reason ``FILE_NOT_FOUND``: there is no such directory.
        NotADirectory: it, or a name on the way, is a file.
    """
    assert names, "the root has no parent"
    parent = resolve(tx, names[:-1])
    if not parent.is_directory:
        raise not_a_directory(join_path(names[:-1]))
    return parent


def path_of(tx: Transaction, file_id: FileId) -> str:
    """Return the path of an inode that lives."""
    names: list[str] = []
    while file_id != ROOT_ID:
        parent_id, name = tx.execute("SELECT parent_id, name FROM live_entries WHERE file_id = ?", (file_id,))[0]
        names.append(name.decode())
        file_id = parent_id
    return join_path(tuple(reversed(names)))


def retire_name(tx: Transaction, parent_id: FileId, name: str, version: Version) -> None:
    """Note that ``version`` at this name is gone, so that only larger versions can appear there.

    Writes in progress must take a fresh version first (``minimum_version``); renames that were prepared
    before are held back by the directory's ``floor_version``.
    """
    retire_names(tx, [(parent_id, name, version)])


def retire_names(tx: Transaction, gone: Sequence[tuple[FileId, str, Version]]) -> None:
    """Note which versions are gone at which names of which directories, as ``retire_name``."""
    fresh = counters.take(tx, "version")
    tx.execute_many(
        "UPDATE intents SET minimum_version = ? WHERE parent_id = ? AND name = ?",
        [(fresh, parent_id, name.encode()) for parent_id, name, _ in gone],
    )
    floors: dict[FileId, Version] = {}
    for parent_id, _, version in gone:
        floors[parent_id] = max(version, floors.get(parent_id, version))
    tx.execute_many(
        "UPDATE inodes SET floor_version = ? WHERE file_id = ? AND to_txn = ? AND floor_version < ?",
        [(version, parent_id, LIVE, version) for parent_id, version in floors.items()],
    )


def not_found(path: str) -> NotFound:
    """Return the error for a path that does not exist."""
    return NotFound(
        f"There is no {path}: check the name, or make it first.",
        reason="FILE_NOT_FOUND",
        metadata={"path": path},
    )


def file_exists(path: str, kind: FileKind) -> AlreadyExists:
    """Return the error for a path that is taken."""
    return AlreadyExists(
        f"{path} exists already (a {kind.value}); choose another name, or remove it first.",
        reason="FILE_EXISTS",
        metadata={"path": path},
    )


def is_a_directory(path: str) -> IsADirectory:
    """Return the error for a path that should have been a file."""
    return IsADirectory(f"{path} is a directory; name a file.", metadata={"path": path})


def not_a_directory(path: str) -> NotADirectory:
    """Return the error for a path that should have been a directory."""
    return NotADirectory(
        f"{path} is a file; name a directory, or a path that does not go through a file.",
        metadata={"path": path},
    )
