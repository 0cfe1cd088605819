"""What SQLite leaves to its host about its files: their names, and a log whose sync failed in an earlier run.

After a failed fsync the kernel takes what it was for as written, and a later fsync says nothing about it.

- SQLite ignores it when the sync of the directory fails. So the names are made durable here, with nothing in the files
  yet, and those that an earlier run may have failed to make durable are given anew.
- A process that starts may read a whole log of which the disk has a part. Were it written to the database as it is, a
  power loss before the log is gone would leave a new database with an old log, which SQLite plays back over it: a
  mixture of both. So the log is written once more first, as it is.
"""

import os
from pathlib import Path

import apsw

from dstore.system.directories import sync_directory

_LOG_SUFFIX = "-wal"
#: SQLite's layer for Unix takes less than 128 KiB at once.
_PIECE_SIZE_BYTES = 65_536


def prepare_files(path: str) -> None:
    """Make the files of a database that nobody has open ready for use; make the database file when there is none.

    Raises:
        apsw.Error, OSError: the files cannot be read or written, or not durably.
    """
    if _is_empty(path):
        _remove(path)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644))
        make_names_durable(path)
    log_path = path + _LOG_SUFFIX
    if _is_empty(log_path):
        # SQLite makes it as it opens the database.
        _remove(log_path)
    else:
        _write_again(log_path)


def make_names_durable(path: str) -> None:
    """Sync the directory of a database.

    Raises:
        OSError: the names that are new may be gone after a power loss.
    """
    sync_directory(Path(path).parent)


def _write_again(path: str) -> None:
    # The bytes stay the same, so a power loss meanwhile leaves a log that there could have been before. It is done
    # through SQLite's layer, as everything that touches these files.
    file = apsw.VFSFile("", path, [apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_READWRITE, 0])
    try:
        size_bytes = file.xFileSize()
        for offset in range(0, size_bytes, _PIECE_SIZE_BYTES):
            file.xWrite(file.xRead(min(_PIECE_SIZE_BYTES, size_bytes - offset), offset), offset)
        file.xSync(apsw.SQLITE_SYNC_FULL)
    finally:
        file.xClose()


def _is_empty(path: str) -> bool:
    return not os.path.exists(path) or os.path.getsize(path) == 0


def _remove(path: str) -> None:
    if os.path.exists(path):
        os.remove(path)
