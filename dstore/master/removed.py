"""What was removed or replaced and is retained: finding it by its path, and listing it.

An entry that ended stands for something that can be restored when it was the last place of its file or directory:
whatever got another place since then, by a rename or by being restored, is found there.
"""

import struct
from dataclasses import dataclass

from dstore.core.errors import DstoreError, NotADirectory, NotFound
from dstore.core.ids import ROOT_ID, ClusterId, FileId
from dstore.core.limits import LIST_PAGE_SIZE_MAX
from dstore.core.paths import join_path, split_path
from dstore.core.removed import RemovalReason, RemovedFile, RemovedPage
from dstore.master import page_tokens, tree
from dstore.master.namespace import PAGE_PATH_BYTES_MAX, page_count
from dstore.master.retention import Deadlines
from dstore.master.store.base import Row, Transaction, Value
from dstore.master.store.schema import ClusterRecord

#: Ended entries, with the inodes that ended with them, that are the last place of what they name.
RESTORABLE = (
    "FROM kept_entries e JOIN inodes i ON i.file_id = e.file_id AND i.to_txn = e.to_txn "
    "WHERE e.ended_by <> 'renamed' AND NOT EXISTS "
    "(SELECT 1 FROM entries later WHERE later.file_id = e.file_id AND later.to_txn > e.to_txn) "
)

#: Went with its directory, in one transaction, and that one is not back.
_WENT_WITH_PARENT = (
    "EXISTS (SELECT 1 FROM inodes p WHERE p.file_id = e.parent_id AND p.to_txn = e.to_txn) "
    "AND NOT EXISTS (SELECT 1 FROM live_inodes p WHERE p.file_id = e.parent_id)"
)

_KEY = struct.Struct(">QQ")
#: Bounds the work of one page where most of what ended is not wanted.
_BATCHES_PER_PAGE_MAX = 10


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory that lives, or was removed: ``removed_path`` then says what has to be restored to have it back."""

    file_id: FileId
    removed_path: str | None


def find_directory(tx: Transaction, names: tuple[str, ...]) -> Directory:
    """Return the directory at a path; where none lives, the one that was removed there last.

    Raises:
        NotFound, NotADirectory: neither is there.
    """
    found = Directory(ROOT_ID, None)
    for depth, name in enumerate(names):
        path = join_path(names[: depth + 1])
        live = tree.find(tx, found.file_id, name) if found.removed_path is None else None
        if live is not None and live.is_directory:
            found = Directory(live.file_id, None)
            continue
        rows = tx.execute(
            "SELECT e.file_id " + RESTORABLE + "AND e.parent_id = ? AND e.name = ? AND i.kind = 'directory' "
            "ORDER BY e.to_txn DESC LIMIT 1",
            (found.file_id, name.encode()),
        )
        if not rows:
            raise tree.not_a_directory(path) if live is not None else tree.not_found(path)
        found = Directory(rows[0][0], found.removed_path or path)
    return found


class Places:
    """Where directories are, or were when they were removed; for one transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._parents: dict[FileId, tuple[FileId, str]] = {}

    def names(self, file_id: FileId) -> tuple[str, ...]:
        """Return the path of something that has, or had, a place."""
        names: list[str] = []
        while file_id != ROOT_ID:
            file_id, name = self._last_place(file_id)
            names.append(name)
        return tuple(reversed(names))

    def is_below(self, file_id: FileId, directory_id: FileId) -> bool:
        """Whether a directory is in another one, or is that one."""
        while file_id not in (directory_id, ROOT_ID):
            file_id, _ = self._last_place(file_id)
        return file_id == directory_id

    def _last_place(self, file_id: FileId) -> tuple[FileId, str]:
        if file_id not in self._parents:
            # A directory ends with or after what is in it, and so is kept at least as long.
            rows = self._tx.execute(
                "SELECT parent_id, name FROM entries WHERE file_id = ? ORDER BY to_txn DESC LIMIT 1", (file_id,)
            )
            self._parents[file_id] = (rows[0][0], rows[0][1].decode())
        return self._parents[file_id]


@dataclass(frozen=True, slots=True)
class _Scope:
    """What is listed: the direct or all entries of a directory, or what was at one name."""

    directory_id: FileId
    name: str | None
    recursive: bool

    @property
    def token_scope(self) -> str:
        return f"removed {self.directory_id} {self.recursive} {self.name}"


def list_page(
    tx: Transaction, cluster: ClusterRecord, path: str, *, recursive: bool, page_size: int, page_token: str
) -> RemovedPage:
    """Return what can be restored and follows the page that gave ``page_token``, oldest removal first."""
    scope = _find_scope(tx, split_path(path), recursive=recursive)
    count = page_count(page_size)
    after = page_tokens.read(cluster.cluster_id, scope.token_scope, page_token)
    places, deadlines = Places(tx), Deadlines(tx, cluster.policy.retention_s)
    entries: list[RemovedFile] = []
    path_bytes = 0
    for _ in range(_BATCHES_PER_PAGE_MAX):
        rows = _following(tx, scope, after)
        for row in rows:
            if _is_wanted(row, scope, places):
                entry = _describe(row, places, deadlines)
                path_bytes += len(entry.path.encode())
                if len(entries) == count or (entries and path_bytes > PAGE_PATH_BYTES_MAX):
                    return RemovedPage(tuple(entries), _token(cluster.cluster_id, scope, after))
                entries.append(entry)
            after = _KEY.pack(row[0], row[1]) + row[2]
        if len(rows) < LIST_PAGE_SIZE_MAX:
            return RemovedPage(tuple(entries), "")
    return RemovedPage(tuple(entries), _token(cluster.cluster_id, scope, after))


def _token(cluster_id: ClusterId, scope: _Scope, after: bytes) -> str:
    return page_tokens.write(cluster_id, scope.token_scope, after)


def _find_scope(tx: Transaction, names: tuple[str, ...], *, recursive: bool) -> _Scope:
    try:
        return _Scope(find_directory(tx, names).file_id, None, recursive)
    except (NotFound, NotADirectory) as error:
        if not names:
            raise
        return _scope_of_name(tx, names, error)


def _scope_of_name(tx: Transaction, names: tuple[str, ...], refusal: DstoreError) -> _Scope:
    parent = find_directory(tx, names[:-1])
    known = tx.execute(
        "SELECT 1 FROM live_entries WHERE parent_id = ? AND name = ? UNION ALL "
        "SELECT 1 FROM kept_entries WHERE parent_id = ? AND name = ? LIMIT 1",
        (parent.file_id, names[-1].encode()) * 2,
    )
    if not known:
        raise refusal
    return _Scope(parent.file_id, names[-1], recursive=False)


def _following(tx: Transaction, scope: _Scope, after: bytes) -> list[Row]:
    """Return the next ended entries: to_txn, parent_id, name, ended_ns, ended_by, went with parent, the inode."""
    values: list[Value] = [0, 0, b""]
    if after:
        values = [*_KEY.unpack_from(after), after[_KEY.size :]]
    condition = "AND (e.to_txn, e.parent_id, e.name) > (?, ?, ?) "
    if not scope.recursive:
        condition += "AND e.parent_id = ? "
        values.append(scope.directory_id)
    if scope.name is not None:
        condition += "AND e.name = ? "
        values.append(scope.name.encode())
    return tx.execute(
        f"SELECT e.to_txn, e.parent_id, e.name, e.ended_ns, e.ended_by, {_WENT_WITH_PARENT}, {tree.INODE_COLUMNS} "
        f"{RESTORABLE} {condition} ORDER BY e.to_txn, e.parent_id, e.name LIMIT ?",
        (*values, LIST_PAGE_SIZE_MAX),
    )


def _is_wanted(row: Row, scope: _Scope, places: Places) -> bool:
    """Whether an entry is listed: of a tree that went in one step, only the top, unless the tree itself is listed."""
    parent_id, went_with_parent = row[1], row[5]
    if parent_id == scope.directory_id:
        return True
    return not went_with_parent and places.is_below(parent_id, scope.directory_id)


def _describe(row: Row, places: Places, deadlines: Deadlines) -> RemovedFile:
    to_txn, parent_id, name, ended_ns, ended_by = row[:5]
    inode = tree.inode_from_row(row[6:])
    return RemovedFile(
        path=join_path((*places.names(parent_id), name.decode())),
        kind=inode.kind,
        file_id=inode.file_id,
        size_bytes=inode.size_bytes,
        version=inode.version,
        removed_ns=ended_ns,
        removed_txn=to_txn,
        expires_in_s=deadlines.left_s(to_txn),
        reason=RemovalReason(ended_by),
    )
