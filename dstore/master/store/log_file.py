"""SQLite's log made durable before it is used: after a failed fsync, what is read of it may not be on the disk.

The kernel takes pages for clean whose writing failed, and a later fsync says nothing about them. A process that starts
then reads a whole log of which the disk has a part. Were it written to the database as it is, a power loss before the
log is gone would leave a new database with an old log, which SQLite plays back over it: a mixture of both.
"""

import os

import apsw

_SUFFIX = "-wal"
#: SQLite's layer for Unix takes less than 128 KiB at once.
_PIECE_SIZE_BYTES = 65_536


def make_log_durable(database_path: str) -> None:
    """Write the log of a database that nobody has open once more, as it is, and sync it.

    The bytes stay the same, so that a power loss meanwhile leaves a log that there could have been before.

    Raises:
        apsw.Error: the log could not be read, written or synced.
    """
    path = database_path + _SUFFIX
    if not os.path.exists(path):
        return
    # Through SQLite's layer, as everything that touches these files.
    file = apsw.VFSFile("", path, [apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_READWRITE, 0])
    try:
        size_bytes = file.xFileSize()
        for offset in range(0, size_bytes, _PIECE_SIZE_BYTES):
            file.xWrite(file.xRead(min(_PIECE_SIZE_BYTES, size_bytes - offset), offset), offset)
        file.xSync(apsw.SQLITE_SYNC_FULL)
    finally:
        file.xClose()
