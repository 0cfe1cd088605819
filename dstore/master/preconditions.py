"""What callers demand of a path, held against what is there in the transaction that changes it (Invariant 3)."""

from dstore.core.errors import Conflict
from dstore.core.files import NO_VERSION, Precondition, PreconditionKind
from dstore.core.ids import Version
from dstore.master import tree


def check_precondition(precondition: Precondition, found: tree.Inode | None, path: str) -> None:
    """Refuse to put a file where the path, as it is now, does not allow it.

    Raises:
        AlreadyExists, IsADirectory, Conflict: as CommitWrite.
    """
    if found is not None and precondition.kind is PreconditionKind.ABSENT:
        raise tree.file_exists(path, found.kind)
    if found is not None and found.is_directory:
        raise tree.is_a_directory(path)
    if precondition.kind is PreconditionKind.VERSION:
        if found is None:
            raise version_changed(path, f"version {precondition.version} is wanted, and there is none")
        if found.version != precondition.version:
            raise version_changed(path, f"version {precondition.version} is wanted, it has {found.version}")


def check_version(version: Version, found: tree.Inode, path: str) -> None:
    """Refuse to change what has another version than the one that is wanted, if one is.

    Raises:
        Conflict: reason ``VERSION_CHANGED``.
    """
    if version not in (NO_VERSION, found.version):
        raise version_changed(path, f"version {version} is wanted, it has {found.version}")


def version_changed(path: str, why: str) -> Conflict:
    """Return the error for a path that changed since the caller looked."""
    return Conflict(
        f"{path} was changed by somebody else: {why}. Look again, then redo the operation.",
        reason="VERSION_CHANGED",
        metadata={"path": path},
    )
