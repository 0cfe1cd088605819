"""Looking at the tree, making directories and removing; each function is one transaction's work.

What a function refuses is specified in protos/dstore/v1/namespace_service.proto.
"""

from dstore.core.errors import DirectoryNotEmpty, InvalidRequest, LimitExceeded
from dstore.core.files import NO_VERSION, FileInfo, FileKind, FilePage, RemoveResult
from dstore.core.ids import ClusterId, FileId, Version
from dstore.core.limits import (
    LIST_PAGE_SIZE_DEFAULT,
    LIST_PAGE_SIZE_MAX,
    MESSAGE_SIZE_BYTES_MAX,
    REMOVE_ENTRIES_MAX,
)
from dstore.core.paths import join_path, split_path
from dstore.master import counters, history, page_tokens, tree
from dstore.master.history import End
from dstore.master.preconditions import check_version
from dstore.master.store.base import Transaction, batches, expand
from dstore.master.store.schema import LIVE

#: Entries carry whole paths, of up to 4 KiB; a page stops at half a message.
PAGE_PATH_BYTES_MAX = MESSAGE_SIZE_BYTES_MAX // 2

_PAGE = tree.select_inodes("e.name", "WHERE e.parent_id = ? AND e.name > ? ORDER BY e.name LIMIT ?")


def stat(tx: Transaction, path: str) -> FileInfo:
    """Describe one path."""
    names = split_path(path)
    return tree.resolve(tx, names).describe(join_path(names))


def list_page(tx: Transaction, cluster_id: ClusterId, path: str, *, page_size: int, page_token: str) -> FilePage:
    """Return the entries of a directory that follow those of the page that gave ``page_token``."""
    names = split_path(path)
    directory = tree.resolve(tx, names)
    if not directory.is_directory:
        raise tree.not_a_directory(join_path(names))
    count = page_count(page_size)
    scope = f"list {directory.file_id}"
    after = page_tokens.read(cluster_id, scope, page_token)
    rows = tx.execute(_PAGE, (directory.file_id, after, count + 1))
    prefix = join_path((*names, ""))
    prefix_size_bytes = len(prefix.encode())
    entries: list[FileInfo] = []
    path_bytes = 0
    for name, *columns in rows[:count]:
        path_bytes += prefix_size_bytes + len(name)
        if entries and path_bytes > PAGE_PATH_BYTES_MAX:
            break
        entries.append(tree.info_from_row(columns, prefix + name.decode()))
    if len(entries) == len(rows):
        return FilePage(tuple(entries), "")
    last = rows[len(entries) - 1][0]
    return FilePage(tuple(entries), page_tokens.write(cluster_id, scope, last))


def page_count(page_size: int) -> int:
    """Return how many entries a page gets that is to have ``page_size``.

    Raises:
        InvalidRequest: reason ``PAGE_SIZE_INVALID``.
    """
    if page_size < 0:
        raise InvalidRequest(
            f"A page cannot have {page_size} entries; send 0 for {LIST_PAGE_SIZE_DEFAULT}.",
            reason="PAGE_SIZE_INVALID",
        )
    return min(page_size or LIST_PAGE_SIZE_DEFAULT, LIST_PAGE_SIZE_MAX)


def make_directory(tx: Transaction, path: str, *, parents: bool, exist_ok: bool, now_ns: int) -> FileInfo:
    """Make a directory, with its parents if wanted."""
    names = split_path(path)
    txn = history.begin(tx)
    inode = tree.resolve(tx, ())
    for depth, name in enumerate(names):
        if not inode.is_directory:
            raise tree.not_a_directory(join_path(names[:depth]))
        child = tree.find(tx, inode.file_id, name)
        is_last = depth == len(names) - 1
        if child is not None:
            inode = child
            continue
        if not is_last and not parents:
            raise tree.not_found(join_path(names[: depth + 1]))
        inode = _insert_directory(tx, txn, inode.file_id, name, now_ns)
        exist_ok = exist_ok or is_last
    if not (inode.is_directory and exist_ok):
        raise tree.file_exists(join_path(names), inode.kind)
    return inode.describe(join_path(names))


def remove(tx: Transaction, path: str, *, recursive: bool, version: Version = NO_VERSION, now_ns: int) -> RemoveResult:
    """Remove a file, an empty directory, or a whole tree; all of it ends with one transaction."""
    names = split_path(path)
    if not names:
        raise root_immovable()
    parent = tree.resolve_parent(tx, names)
    inode = tree.resolve(tx, names)
    check_version(version, inode, join_path(names))
    if inode.is_directory:
        files, directories = _collect(tx, inode.file_id, join_path(names), recursive=recursive)
        directories.append(inode.file_id)
    else:
        files, directories = [inode.file_id], []
    txn = history.begin(tx)
    history.end_entry(tx, txn, parent.file_id, names[-1], End.REMOVED, now_ns)
    history.end_entries_in(tx, txn, directories, End.REMOVED, now_ns)
    history.end_inodes(tx, txn, (*files, *directories))
    tree.retire_name(tx, parent.file_id, names[-1], inode.version)
    return RemoveResult(len(files), len(directories))


def root_immovable() -> InvalidRequest:
    """Return the error for removing the root."""
    return InvalidRequest(
        "The root cannot be removed; remove what is in it.", reason="ROOT_IMMOVABLE", metadata={"path": "/"}
    )


def directory_not_empty(path: str) -> DirectoryNotEmpty:
    """Return the error for a directory that would have to be empty."""
    return DirectoryNotEmpty(
        f"{path} is not empty; remove what is in it first, or remove it recursively.", metadata={"path": path}
    )


def has_entries(tx: Transaction, file_id: FileId) -> bool:
    """Whether anything is in a directory."""
    return bool(tx.execute("SELECT 1 FROM live_entries WHERE parent_id = ? LIMIT 1", (file_id,)))


def _insert_directory(tx: Transaction, txn: int, parent_id: FileId, name: str, now_ns: int) -> tree.Inode:
    file_id = FileId(counters.take(tx, "file_id"))
    version = counters.take(tx, "version")
    tx.execute(
        "INSERT INTO inodes (file_id, from_txn, to_txn, kind, version, first_version, floor_version, size_bytes, "
        "chunk_count, chunk_size_bytes, created_ns, modified_ns, wrapped_keys, sealed_manifest) "
        "VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, 0, ?, ?, '[]', ?)",
        (file_id, txn, LIVE, FileKind.DIRECTORY.value, version, version, now_ns, now_ns, b""),
    )
    history.add_entry(tx, txn, parent_id, name, file_id)
    counters.add(tx, "directories", 1)
    inode = tree.find_by_id(tx, file_id)
    assert inode is not None
    return inode


def _collect(tx: Transaction, directory_id: FileId, path: str, *, recursive: bool) -> tuple[list[FileId], list[FileId]]:
    """Return the files and directories below a directory."""
    if not recursive:
        if has_entries(tx, directory_id):
            raise directory_not_empty(path)
        return [], []
    files: list[FileId] = []
    directories: list[FileId] = []
    level = [directory_id]
    while level:
        below: list[FileId] = []
        for batch in batches(level):
            room = REMOVE_ENTRIES_MAX - len(files) - len(directories) - len(below)
            rows = tx.execute(
                expand(
                    "SELECT i.file_id, i.kind FROM live_entries e JOIN live_inodes i ON i.file_id = e.file_id "
                    "WHERE e.parent_id IN (?*) LIMIT ?",
                    len(batch),
                ),
                (*batch, room + 1),
            )
            if len(rows) > room:
                raise LimitExceeded(
                    f"{path} holds more than {REMOVE_ENTRIES_MAX} entries; remove subtrees of it first.",
                    reason="TREE_TOO_LARGE",
                    metadata={"path": path, "limit": str(REMOVE_ENTRIES_MAX)},
                )
            files += [row[0] for row in rows if row[1] == FileKind.FILE.value]
            below += [row[0] for row in rows if row[1] == FileKind.DIRECTORY.value]
        directories += below
        level = below
    return files, directories
