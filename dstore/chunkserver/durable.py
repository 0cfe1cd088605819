"""Small files that must be there as a whole or not at all, and the disk's failures in our own words."""

import contextlib
import errno
from collections.abc import Mapping
from posixpath import dirname

from dstore.chunkserver import paths
from dstore.chunkserver.records import RECORD_SIZE_BYTES_MAX, Value, decode_record, encode_record
from dstore.core.environment import Disk
from dstore.core.errors import DstoreError, OutOfSpace, Unavailable
from dstore.core.ids import ChunkId

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Failures of this process or host, which say nothing about the disk.
_SHORTAGE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR})


class TemporaryNames:
    """Gives out names of files on their way that were not used since the start; what an earlier run left is gone."""

    def __init__(self) -> None:
        self._count = 0

    def new(self, name: str) -> str:
        """Return the path of a new temporary file for ``name``."""
        self._count += 1
        return paths.temporary_path(name, self._count)

    def new_unsynced(self, chunk_id: ChunkId) -> str:
        """Return the path of a new file for a chunk that is to be acknowledged before it is synced."""
        self._count += 1
        return paths.unsynced_path(chunk_id, self._count)


async def write_record(disk: Disk, path: str, fields: Mapping[str, Value], *, temporary: str) -> None:
    """Write or replace a record file; it is durable when this returns.

    Raises:
        OSError: the file holds the old content, or durably or not the new one.
    """
    try:
        file = await disk.create(temporary)
        try:
            await file.write_at(0, [encode_record(fields)])
            await file.sync()
        finally:
            await file.close()
        await disk.rename(temporary, path)
    except OSError:
        # A full disk fails again and again, each time under a new name.
        with contextlib.suppress(OSError):
            await disk.remove(temporary)
        raise
    await disk.sync_directory(dirname(path))


async def read_record(disk: Disk, path: str) -> dict[str, Value] | None:
    """Return the fields of a record file; None when there is none.

    Raises:
        Corrupt: reason ``RECORD_CORRUPT``.
    """
    try:
        file = await disk.open(path)
    except FileNotFoundError:
        return None
    try:
        raw = await file.read_at(0, RECORD_SIZE_BYTES_MAX)
    finally:
        await file.close()
    return decode_record(bytes(raw), what=path)


def says_disk_is_bad(error: OSError) -> bool:
    """Tell whether this failure makes the disk suspect: not when it is full or the process lacks something."""
    return error.errno not in _FULL and error.errno not in _SHORTAGE


def disk_error(error: OSError, doing: str) -> DstoreError:
    """Return what to raise for a failure of the disk while ``doing`` something."""
    if error.errno in _FULL:
        return OutOfSpace(
            f"The disk has no space left ({doing}). Delete files, or add a chunkserver.", reason="DISK_FULL"
        )
    cause = error.strerror or str(error)
    return Unavailable(
        f"The disk reported an error ({doing}: {cause}). Use another server, and look at this one's disk.",
        reason="DISK_FAILED",
        metadata={"cause": cause},
    )
