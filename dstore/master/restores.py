"""Restoring: a ticket to seal the manifest again, then the way back in one transaction; as for a rename.

A removed directory comes back without what was in it: files need their manifests sealed again by somebody who has the
key, so a client restores them one by one. Its identity is the old one, which is how they find back to it.
"""

from dataclasses import dataclass

from dstore.core.errors import AlreadyExists, DstoreError, InvalidRequest, NotFound
from dstore.core.files import FileInfo, RenameTicket, WrappedKey
from dstore.core.ids import ClusterId, FileId, Version
from dstore.core.paths import join_path, split_path
from dstore.core.removed import Restore, RestoreTicket
from dstore.master import codec, counters, history, tree
from dstore.master.preconditions import version_changed
from dstore.master.removed import RESTORABLE, Directory, Places, find_directory
from dstore.master.renames import check_manifest
from dstore.master.store.base import INTEGER_MAX, Transaction
from dstore.master.store.schema import LIVE


@dataclass(frozen=True, slots=True)
class _Return:
    """A restore whose paths are in order, as things stand in this transaction.

    Attributes:
        source: as it was when it ended.
        ended_txn: the transaction that ended it.
        is_back: the target is this very directory.
    """

    source: tree.Inode
    source_parent_id: FileId
    source_names: tuple[str, ...]
    ended_txn: int
    target_parent: tree.Inode
    target_names: tuple[str, ...]
    is_back: bool


def prepare(tx: Transaction, cluster_id: ClusterId, path: str, *, version: Version, target: str) -> RestoreTicket:
    """Give out a version, and what has to be sealed again. ``version`` 0 is the newest, no target the old place."""
    found = _look(tx, path, version, target or path)
    sealed_manifest, wrapped_keys = tx.execute(
        "SELECT sealed_manifest, wrapped_keys FROM inodes WHERE file_id = ? AND to_txn = ?",
        (found.source.file_id, found.ended_txn),
    )[0]
    move = RenameTicket(
        source=found.source.describe(join_path(found.source_names)),
        source_parent_id=found.source_parent_id,
        cluster_id=cluster_id,
        version=Version(counters.take(tx, "version")),
        target_parent_id=found.target_parent.file_id,
        target_name=found.target_names[-1],
        sealed_manifest=sealed_manifest,
        wrapped_keys=codec.decode(tuple[WrappedKey, ...], wrapped_keys),
    )
    return RestoreTicket(move, removed_txn=found.ended_txn, is_back=found.is_back)


def restore(tx: Transaction, restore: Restore) -> FileInfo:
    """Put back what was removed, under a version that is larger than all that were visible."""
    found = _look(tx, restore.path, restore.source_version, restore.target)
    target_path = join_path(found.target_names)
    if found.is_back:
        raise _target_exists(target_path, found.source)
    check_manifest(restore.sealed_manifest, is_directory=found.source.is_directory)
    _check_versions(tx, found, restore, target_path)
    txn = history.begin(tx)
    file_id = found.source.file_id
    history.add_entry(tx, txn, found.target_parent.file_id, found.target_names[-1], file_id)
    history.restore_inode(tx, txn, file_id, found.ended_txn, restore.version, restore.sealed_manifest)
    if found.source.is_directory:
        _readmit(tx, file_id)
    inode = tree.find_by_id(tx, file_id)
    assert inode is not None
    return inode.describe(target_path)


def _look(tx: Transaction, path: str, version: Version, target: str) -> _Return:
    names, target_names = split_path(path), split_path(target)
    if not names or not target_names:
        raise InvalidRequest(
            "The root is never removed, so it cannot be restored; name something in it.", reason="ROOT_IMMOVABLE"
        )
    parent = _find_parent(tx, names)
    if parent.removed_path is not None and names == target_names:
        raise _parent_removed(join_path(names), parent.removed_path)
    target_parent = tree.resolve_parent(tx, target_names)
    live = tree.find(tx, target_parent.file_id, target_names[-1])
    if live is None:
        ended_txn, source = _find(tx, parent.file_id, names, version)
    else:
        ended_txn, source = _find_back(tx, parent.file_id, names, version, live, join_path(target_names))
    return _Return(
        source=source,
        source_parent_id=parent.file_id,
        source_names=names,
        ended_txn=ended_txn,
        target_parent=target_parent,
        target_names=target_names,
        is_back=live is not None,
    )


def _find_parent(tx: Transaction, names: tuple[str, ...]) -> Directory:
    try:
        return find_directory(tx, names[:-1])
    except NotFound:
        raise _not_restorable(join_path(names), Version(0)) from None


def _find(tx: Transaction, parent_id: FileId, names: tuple[str, ...], version: Version) -> tuple[int, tree.Inode]:
    """Return what is to be restored, and the transaction that ended it."""
    condition = "AND e.parent_id = ? AND e.name = ? AND (? = 0 OR i.version = ?) ORDER BY e.to_txn DESC LIMIT 1"
    rows = tx.execute(
        f"SELECT e.to_txn, {tree.INODE_COLUMNS} {RESTORABLE} {condition}",
        (parent_id, names[-1].encode(), *_numbers(version)),
    )
    if not rows:
        raise _explain(tx, parent_id, names, version)
    return rows[0][0], tree.inode_from_row(rows[0][1:])


def _find_back(
    tx: Transaction, parent_id: FileId, names: tuple[str, ...], version: Version, live: tree.Inode, target_path: str
) -> tuple[int, tree.Inode]:
    """Return the removed directory that is at the target again; anything else that is there is in the way."""
    rows = tx.execute(
        f"SELECT e.to_txn, {tree.INODE_COLUMNS} "  # noqa: S608
        "FROM kept_entries e JOIN inodes i ON i.file_id = e.file_id AND i.to_txn = e.to_txn "
        "WHERE e.parent_id = ? AND e.name = ? AND (? = 0 OR i.version = ?) AND e.file_id = ? "
        "AND i.kind = 'directory' AND e.ended_by = 'removed' ORDER BY e.to_txn DESC LIMIT 1",
        (parent_id, names[-1].encode(), *_numbers(version), live.file_id),
    )
    if not rows:
        raise _target_exists(target_path, live)
    return rows[0][0], tree.inode_from_row(rows[0][1:])


def _numbers(version: Version) -> tuple[int, int]:
    # No row has a version that the store cannot hold.
    number = version if 0 <= version <= INTEGER_MAX else -1
    return number, number


def _check_versions(tx: Transaction, found: _Return, restore: Restore, target_path: str) -> None:
    """Refuse a ticket that was overtaken: versions at one name only grow."""
    if found.source.version != restore.source_version:
        raise version_changed(restore.path, f"what was removed last has version {found.source.version}")
    newest = max(found.source.version, found.target_parent.floor_version)
    if not newest < restore.version <= min(counters.read(tx, "version"), INTEGER_MAX):
        raise version_changed(target_path, f"version {restore.version} was overtaken, or not given out for it")


def _readmit(tx: Transaction, directory_id: FileId) -> None:
    """Hold back writes and renames into a directory that were prepared before it was removed.

    The versions that were visible in it ended without being noted one by one.
    """
    version = counters.take(tx, "version")
    tx.execute("UPDATE intents SET minimum_version = ? WHERE parent_id = ?", (version, directory_id))
    tx.execute("UPDATE inodes SET floor_version = ? WHERE file_id = ? AND to_txn = ?", (version, directory_id, LIVE))


def _explain(tx: Transaction, parent_id: FileId, names: tuple[str, ...], version: Version) -> DstoreError:
    """Return why nothing that was at a path can be restored."""
    path = join_path(names)
    rows = tx.execute(
        "SELECT e.file_id FROM kept_entries e JOIN inodes i ON i.file_id = e.file_id AND i.to_txn = e.to_txn "
        "WHERE e.parent_id = ? AND e.name = ? AND (? = 0 OR i.version = ?) ORDER BY e.to_txn DESC LIMIT 1",
        (parent_id, names[-1].encode(), *_numbers(version)),
    )
    if not rows:
        return _not_restorable(path, version)
    file_id: FileId = rows[0][0]
    place = join_path(Places(tx).names(file_id))
    if tree.find_by_id(tx, file_id) is not None:
        return AlreadyExists(
            f"What was {path} is {place} now, so there is nothing to restore; copy it, or rename it back.",
            reason="STILL_LIVE",
            metadata={"path": path, "live_path": place},
        )
    return NotFound(
        f"What was {path} was {place} when it was removed; restore that.",
        reason="NOT_RESTORABLE",
        metadata={"path": path, "removed_path": place},
    )


def _not_restorable(path: str, version: Version) -> NotFound:
    what = f"Version {version} of {path}" if version else path
    return NotFound(
        f"{what} cannot be restored: its retention is over, or it was never there. `dstore trash` lists what can be.",
        reason="NOT_RESTORABLE",
        metadata={"path": path},
    )


def _parent_removed(path: str, removed_path: str) -> NotFound:
    return NotFound(
        f"The directory {removed_path}, which held {path}, was removed too; restore it first, or restore to another "
        "path (--to).",
        reason="PARENT_REMOVED",
        metadata={"path": path, "removed_path": removed_path},
    )


def _target_exists(path: str, live: tree.Inode) -> AlreadyExists:
    return AlreadyExists(
        f"{path} exists (a {live.kind.value}); move it away first, or restore to another path (--to).",
        reason="FILE_EXISTS",
        metadata={"path": path},
    )
