"""Every error that dstore raises on purpose, as one shallow tree grouped by what the caller can do.

    DstoreError
    ├── InvalidRequest         fix the call                              ValueError
    ├── NotFound               there is no such thing                    FileNotFoundError
    ├── AlreadyExists          choose another name, or replace           FileExistsError
    ├── IsADirectory           name a file                               IsADirectoryError
    ├── NotADirectory          name a directory                          NotADirectoryError
    ├── DirectoryNotEmpty      remove what is inside, or go recursive    OSError (ENOTEMPTY)
    ├── PermissionDenied       get the right, the key, the file mode     PermissionError
    │   └── WrongKey           use the key that the file was written with
    ├── Conflict               look again, then redo the whole operation OSError (EAGAIN)
    ├── NotReady               refresh what is known of the cluster      OSError (EAGAIN)
    ├── Unavailable            back off and retry                        ConnectionError
    ├── OutOfSpace             free or add space                         OSError (ENOSPC)
    ├── LimitExceeded          send less at once                         OSError (EMSGSIZE)
    ├── Corrupt                use another replica; restore              OSError (EIO)
    ├── DeadlineExceeded       allow more time, or find what hangs       TimeoutError
    ├── CommitUnknown          retry with the same request_id            OSError (EIO)
    └── Internal               report a defect                           RuntimeError

Each error has a ``reason``: UPPER_SNAKE_CASE, one cause each, permanent. Messages say what, why and what to do
next, and may change; whatever is dynamic in them also stands in ``metadata``. The built-in base classes are there
so that code written for local files keeps working.
"""

import errno
from collections.abc import Mapping
from typing import ClassVar

from dstore.core.text import printable


class DstoreError(Exception):
    """The root of all errors that dstore raises on purpose.

    Attributes:
        message: what happened, why, and what to do next; one or two sentences, without control characters.
        reason: the stable, machine-readable cause, for example ``FILE_NOT_FOUND``.
        metadata: the dynamic parts of the message; values are text.
    """

    default_reason: ClassVar[str] = "INTERNAL"
    default_errno: ClassVar[int | None] = None

    message: str
    reason: str
    metadata: dict[str, str]

    def __init__(self, message: str, *, reason: str | None = None, metadata: Mapping[str, str] | None = None):
        # Names in it come from others: whoever shows or logs an error must not be steered by them.
        message = printable(message)
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.metadata = dict(metadata or {})
        if isinstance(self, OSError):
            _fill_os_error(self, self.default_errno, message, self.metadata.get("path"))

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reason}: {self.message})"

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.reason, self.metadata))


def _fill_os_error(error: OSError, number: int | None, message: str, path: str | None) -> None:
    error.errno, error.strerror, error.filename = number, message, path


def _rebuild(kind: type[DstoreError], message: str, reason: str, metadata: dict[str, str]) -> DstoreError:
    return kind(message, reason=reason, metadata=metadata)


class InvalidRequest(DstoreError, ValueError):
    """The call itself is wrong, whatever the state of the cluster."""

    default_reason = "INVALID_REQUEST"


class NotFound(DstoreError, FileNotFoundError):
    """The file, directory, chunk or server does not exist."""

    default_reason = "FILE_NOT_FOUND"
    default_errno = errno.ENOENT


class AlreadyExists(DstoreError, FileExistsError):
    """The name is taken."""

    default_reason = "FILE_EXISTS"
    default_errno = errno.EEXIST


class IsADirectory(DstoreError, IsADirectoryError):
    """A file was wanted, the path names a directory."""

    default_reason = "IS_A_DIRECTORY"
    default_errno = errno.EISDIR


class NotADirectory(DstoreError, NotADirectoryError):
    """A directory was wanted, the path (or a part of it) names a file."""

    default_reason = "NOT_A_DIRECTORY"
    default_errno = errno.ENOTDIR


class DirectoryNotEmpty(DstoreError, OSError):
    """A directory that still has entries cannot be removed or replaced."""

    default_reason = "DIRECTORY_NOT_EMPTY"
    default_errno = errno.ENOTEMPTY


class PermissionDenied(DstoreError, PermissionError):
    """The right to do this is missing, or a key file is readable by others."""

    default_reason = "PERMISSION_DENIED"
    default_errno = errno.EACCES


class WrongKey(PermissionDenied):
    """The keyring has no key for this file."""

    default_reason = "WRONG_KEY"


class Conflict(DstoreError, OSError):
    """Somebody else changed the same thing first; look again, then redo the whole operation."""

    default_reason = "VERSION_CHANGED"
    default_errno = errno.EAGAIN


class NotReady(DstoreError, OSError):
    """The server cannot do this in its present state; refresh the view of the cluster and choose again."""

    default_reason = "NOT_READY"
    default_errno = errno.EAGAIN


class Unavailable(DstoreError, ConnectionError):
    """A server cannot be reached or has too little to work with right now; back off and retry."""

    default_reason = "UNAVAILABLE"
    default_errno = errno.ECONNREFUSED


class OutOfSpace(DstoreError, OSError):
    """A disk is past its watermark."""

    default_reason = "DISK_FULL"
    default_errno = errno.ENOSPC


class LimitExceeded(DstoreError, OSError):
    """A message, list or queue is past its bound in ``core/limits.py``."""

    default_reason = "LIMIT_EXCEEDED"
    default_errno = errno.EMSGSIZE


class Corrupt(DstoreError, OSError):
    """Bytes did not verify. They are never returned; another replica may be good."""

    default_reason = "CHUNK_CORRUPT"
    default_errno = errno.EIO


class DeadlineExceeded(DstoreError, TimeoutError):
    """The operation did not finish in the time that it was given."""

    default_reason = "DEADLINE_EXCEEDED"
    default_errno = errno.ETIMEDOUT


class CommitUnknown(DstoreError, OSError):
    """The answer to a mutation was lost: it took effect once or not at all (Invariant 4).

    ``metadata["request_id"]`` resolves it: the same mutation with the same id returns the first answer.
    """

    default_reason = "COMMIT_UNKNOWN"
    default_errno = errno.EIO


class Internal(DstoreError, RuntimeError):
    """A defect of dstore."""

    default_reason = "INTERNAL"


#: The concrete kinds, in the order of the tree above.
ALL_ERRORS: tuple[type[DstoreError], ...] = (
    InvalidRequest,
    NotFound,
    AlreadyExists,
    IsADirectory,
    NotADirectory,
    DirectoryNotEmpty,
    PermissionDenied,
    WrongKey,
    Conflict,
    NotReady,
    Unavailable,
    OutOfSpace,
    LimitExceeded,
    Corrupt,
    DeadlineExceeded,
    CommitUnknown,
    Internal,
)
