"""Renaming: a ticket to seal the manifest for the new place, then the move in one transaction."""

from dataclasses import dataclass

from dstore.core.errors import InvalidRequest, LimitExceeded
from dstore.core.files import ANY, FileInfo, Precondition, Rename, RenameTicket, WrappedKey
from dstore.core.ids import ClusterId, RequestId, Version
from dstore.core.limits import SEALED_MANIFEST_SIZE_BYTES_MAX
from dstore.core.paths import join_path, split_path
from dstore.master import codec, counters, history, namespace, requests, tree
from dstore.master.history import End
from dstore.master.preconditions import check_precondition, version_changed
from dstore.master.requests import Request
from dstore.master.store.base import INTEGER_MAX, Transaction


@dataclass(frozen=True, slots=True)
class _Move:
    """A rename whose paths are in order, as things stand in this transaction."""

    source: tree.Inode
    source_parent: tree.Inode
    source_names: tuple[str, ...]
    target: tree.Inode | None
    target_parent: tree.Inode
    target_names: tuple[str, ...]

    @property
    def stays(self) -> bool:
        """Whether source and target are the same name."""
        return self.target is not None and self.target.file_id == self.source.file_id


def describe(request_id: RequestId, rename: Rename) -> Request:
    """Return the identity of a rename.

    Raises:
        InvalidRequest: reason ``REQUEST_ID_INVALID``.
    """
    condition = rename.precondition
    # Without a precondition it is what it was before there were any, so that a call can be repeated across an upgrade.
    more = [] if condition == ANY else [(condition.kind.value, condition.version)]
    content = (rename.source, rename.target, rename.source_version, rename.version, rename.sealed_manifest)
    return requests.describe(request_id, "Rename", content, *more)


def prepare(
    tx: Transaction, cluster_id: ClusterId, source: str, target: str, precondition: Precondition
) -> RenameTicket:
    """Give out a version, and what has to be sealed again."""
    move = _look(tx, source, target, precondition)
    sealed_manifest, wrapped_keys = tx.execute(
        "SELECT sealed_manifest, wrapped_keys FROM live_inodes WHERE file_id = ?", (move.source.file_id,)
    )[0]
    return RenameTicket(
        source=move.source.describe(join_path(move.source_names)),
        source_parent_id=move.source_parent.file_id,
        cluster_id=cluster_id,
        version=Version(counters.take(tx, "version")),
        target_parent_id=move.target_parent.file_id,
        target_name=move.target_names[-1],
        sealed_manifest=sealed_manifest,
        wrapped_keys=codec.decode(tuple[WrappedKey, ...], wrapped_keys),
    )


def rename(tx: Transaction, rename: Rename, *, now_ns: int) -> FileInfo:
    """Move the source to the target and put the new manifest in place."""
    move = _look(tx, rename.source, rename.target, rename.precondition)
    check_manifest(rename.sealed_manifest, is_directory=move.source.is_directory)
    _check_versions(tx, move, rename)
    txn = history.begin(tx)
    target_parent_id, target_name = move.target_parent.file_id, move.target_names[-1]
    if move.target is not None and not move.stays:
        history.end_inodes(tx, txn, [move.target.file_id])
        history.end_entry(tx, txn, target_parent_id, target_name, End.REPLACED, now_ns)
    if not move.stays:
        source_parent_id, source_name = move.source_parent.file_id, move.source_names[-1]
        history.end_entry(tx, txn, source_parent_id, source_name, End.RENAMED, now_ns)
        history.add_entry(tx, txn, target_parent_id, target_name, move.source.file_id)
        tree.retire_name(tx, source_parent_id, source_name, move.source.version)
    history.move_inode(tx, txn, move.source.file_id, rename.version, rename.sealed_manifest)
    moved = tree.find_by_id(tx, move.source.file_id)
    assert moved is not None
    return moved.describe(join_path(move.target_names))


def check_manifest(sealed_manifest: bytes, *, is_directory: bool) -> None:
    """Refuse a manifest that cannot be one. What is in it is none of the master's business.

    Raises:
        LimitExceeded: reason ``MANIFEST_TOO_LARGE``.
        InvalidRequest: reason ``MANIFEST_INVALID``.
    """
    if len(sealed_manifest) > SEALED_MANIFEST_SIZE_BYTES_MAX:
        raise LimitExceeded(
            f"The sealed manifest has {len(sealed_manifest)} bytes, the limit is "
            f"{SEALED_MANIFEST_SIZE_BYTES_MAX}; store fewer or shorter attributes.",
            reason="MANIFEST_TOO_LARGE",
        )
    if is_directory == bool(sealed_manifest):
        what = "A directory has no" if is_directory else "A file needs a"
        raise InvalidRequest(f"{what} sealed manifest; correct the request.", reason="MANIFEST_INVALID")


def _look(tx: Transaction, source: str, target: str, precondition: Precondition) -> _Move:
    source_names, target_names = split_path(source), split_path(target)
    if not source_names or not target_names:
        raise InvalidRequest("The root cannot be renamed or replaced; name something in it.", reason="ROOT_IMMOVABLE")
    source_inode = tree.resolve(tx, source_names)
    if len(target_names) > len(source_names) and target_names[: len(source_names)] == source_names:
        raise InvalidRequest(
            f"{join_path(target_names)} is inside {join_path(source_names)}; choose a target outside of it.",
            reason="RENAME_INTO_ITSELF",
        )
    target_parent = tree.resolve_parent(tx, target_names)
    target_inode = tree.find(tx, target_parent.file_id, target_names[-1])
    if precondition != ANY:
        check_precondition(precondition, target_inode, join_path(target_names))
    if target_inode is not None and target_inode.file_id != source_inode.file_id:
        _check_replaceable(tx, source_inode, target_inode, join_path(target_names))
    return _Move(
        source=source_inode,
        source_parent=tree.resolve_parent(tx, source_names),
        source_names=source_names,
        target=target_inode,
        target_parent=target_parent,
        target_names=target_names,
    )


def _check_replaceable(tx: Transaction, source: tree.Inode, target: tree.Inode, path: str) -> None:
    if target.is_directory and not source.is_directory:
        raise tree.is_a_directory(path)
    if source.is_directory and not target.is_directory:
        raise tree.not_a_directory(path)
    if target.is_directory and namespace.has_entries(tx, target.file_id):
        raise namespace.directory_not_empty(path)


def _check_versions(tx: Transaction, move: _Move, rename: Rename) -> None:
    """Refuse a ticket that was overtaken: versions at one name only grow."""
    source_path, target_path = join_path(move.source_names), join_path(move.target_names)
    if move.source.version != rename.source_version:
        raise version_changed(source_path, f"it has version {move.source.version} now")
    if not move.source.version < rename.version <= min(counters.read(tx, "version"), INTEGER_MAX):
        raise version_changed(source_path, f"version {rename.version} was not given out for it")
    if move.target is not None and not move.stays and move.target.version >= rename.version:
        raise version_changed(target_path, f"it has version {move.target.version} now")
    if not move.stays and move.target_parent.floor_version >= rename.version:
        raise version_changed(target_path, "a newer version was there meanwhile")
