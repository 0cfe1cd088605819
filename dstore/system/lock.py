"""An exclusive lock on a directory, held by a process for its life."""

import contextlib
import fcntl
import os
from pathlib import Path

from dstore.core.errors import NotReady

LOCK_NAME = "LOCK"


class DirectoryLock:
    """Makes sure that one process at a time uses a directory.

    The kernel drops the lock with the process, however it ends; the file stays and tells the pid of the holder.

    Args:
        directory: must exist.
        what: who wants it, for the error: "master" or "chunkserver".
    """

    def __init__(self, directory: Path, *, what: str):
        self._path = directory / LOCK_NAME
        self._what = what
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            NotReady: DIRECTORY_LOCKED when another process holds it.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise NotReady(
                f"Another process (pid {holder}) uses {self._path.parent}; a directory belongs to one {self._what}. "
                "Stop that process, or give this one a directory of its own with --dir.",
                reason="DIRECTORY_LOCKED",
                metadata={"path": str(self._path.parent), "pid": holder},
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; allowed at any time."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_holder(directory: Path) -> int | None:
    """Return the pid of the process that holds the lock of ``directory``, None when nobody does."""
    try:
        descriptor = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with contextlib.suppress(ValueError):
            return int(os.pread(descriptor, 32, 0))
        # The holder has the lock and has not yet written its pid.
        return 0
    finally:
        os.close(descriptor)
    return None
