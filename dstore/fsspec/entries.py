"""What fsspec is told of a file or directory."""

from datetime import UTC, datetime
from typing import Any

from dstore.core.files import FileInfo

#: The answer of ``info`` and the items of ``ls``.
Entry = dict[str, Any]

_NANOSECONDS = 1_000_000_000


def entry_of(info: FileInfo) -> Entry:
    """Return the entry of one path.

    ``created`` and ``mtime`` are seconds since 1970, as for local files; ``version`` is a number that grows with every
    change, and ``etag`` the same with the identity of the content.
    """
    return {
        "name": info.path,
        "size": info.size_bytes,
        "type": "directory" if info.is_directory else "file",
        "created": info.created_ns / _NANOSECONDS,
        "mtime": info.modified_ns / _NANOSECONDS,
        "version": int(info.version),
        "etag": f"{info.file_id}-{info.version}",
        "islink": False,
    }


def moment_of(time_ns: int) -> datetime:
    """Return a point in time, in UTC."""
    return datetime.fromtimestamp(time_ns / _NANOSECONDS, UTC)
