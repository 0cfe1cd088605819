"""Data directories whose names survive a loss of power."""

import errno
import os
from pathlib import Path

#: A directory that may not be read, or is on a file system that nothing can be written to.
_NOT_OURS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def make_directory(path: Path) -> None:
    """Make a directory with its parents; all their names are durable when this returns (Invariant 1).

    Also when it is there already: whoever made it, or a parent of it, may not have synced the name. The way up ends
    at the first parent that this user cannot read or write to: it was not made by this user.

    Raises:
        OSError: it cannot be made or synced.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for directory in path.absolute().parents:
        try:
            sync_directory(directory)
        except OSError as error:
            if error.errno in _NOT_OURS:
                return
            raise


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, _DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
