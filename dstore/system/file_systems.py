"""What a file system is: whether reading from it can wait for a disk."""

import os
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
#: They do not know RWF_NOWAIT, and never wait.
_MEMORY_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs"})


def no_wait_flags(directory: Path) -> int | None:
    """Return what ``preadv`` is to be called with so that it never waits for the disk of a directory's file system.

    None when it might wait all the same: RWF_NOWAIT exists on Linux alone. A file system that does not know it answers
    ``EOPNOTSUPP``.
    """
    return 0 if is_in_memory(directory) else getattr(os, "RWF_NOWAIT", None)


def is_in_memory(directory: Path) -> bool:
    """Tell whether a directory is of a file system that keeps everything in memory."""
    try:
        device = os.stat(directory).st_dev
        mounts = _MOUNTS.read_text()
    except OSError:
        return False
    name = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2:3] == [name]:
            return after.partition(" ")[0] in _MEMORY_FILE_SYSTEMS
    return False
