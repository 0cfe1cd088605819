"""What an exit code of ``dstore`` means, and which error leads to which; docs/cli.md lists them."""

import errno
from enum import IntEnum

from dstore.core import errors
from dstore.core.errors import DstoreError


class ExitCode(IntEnum):
    """The exit codes. A script should treat every other code as a failure too."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 10
    CONFLICT = 11
    WRONG_KEY = 12
    PERMISSION = 13
    CORRUPT = 14
    NO_SPACE = 15
    UNAVAILABLE = 69
    DEFECT = 70
    OUTCOME_UNKNOWN = 75
    INTERRUPTED = 130
    BROKEN_PIPE = 141


#: Every concrete error has its own line, so that a new one cannot get a code by accident.
EXIT_CODES: dict[type[DstoreError], ExitCode] = {
    errors.InvalidRequest: ExitCode.USAGE,
    errors.NotFound: ExitCode.NOT_FOUND,
    errors.AlreadyExists: ExitCode.CONFLICT,
    errors.IsADirectory: ExitCode.CONFLICT,
    errors.NotADirectory: ExitCode.CONFLICT,
    errors.DirectoryNotEmpty: ExitCode.CONFLICT,
    errors.PermissionDenied: ExitCode.PERMISSION,
    errors.WrongKey: ExitCode.WRONG_KEY,
    errors.Conflict: ExitCode.CONFLICT,
    errors.NotReady: ExitCode.UNAVAILABLE,
    errors.Unavailable: ExitCode.UNAVAILABLE,
    errors.OutOfSpace: ExitCode.NO_SPACE,
    errors.LimitExceeded: ExitCode.FAILED,
    errors.Corrupt: ExitCode.CORRUPT,
    errors.DeadlineExceeded: ExitCode.UNAVAILABLE,
    errors.CommitUnknown: ExitCode.OUTCOME_UNKNOWN,
    errors.Internal: ExitCode.DEFECT,
}

_LOCAL_ERRORS: dict[int, tuple[type[DstoreError], str, str]] = {
    errno.ENOENT: (errors.NotFound, "LOCAL_FILE_NOT_FOUND", "check the path"),
    errno.EEXIST: (errors.AlreadyExists, "LOCAL_FILE_EXISTS", "choose another name"),
    errno.EISDIR: (errors.IsADirectory, "LOCAL_IS_A_DIRECTORY", "name a file"),
    errno.ENOTDIR: (errors.NotADirectory, "LOCAL_NOT_A_DIRECTORY", "check the path"),
    errno.EACCES: (errors.PermissionDenied, "LOCAL_PERMISSION_DENIED", "check its mode and its owner"),
    errno.EPERM: (errors.PermissionDenied, "LOCAL_PERMISSION_DENIED", "check its mode and its owner"),
    errno.EROFS: (errors.PermissionDenied, "LOCAL_READ_ONLY", "choose another place"),
    errno.ENOSPC: (errors.OutOfSpace, "LOCAL_DISK_FULL", "free some space and run the command again"),
    errno.EDQUOT: (errors.OutOfSpace, "LOCAL_DISK_FULL", "free some space and run the command again"),
    errno.ENAMETOOLONG: (errors.InvalidRequest, "LOCAL_NAME_TOO_LONG", "shorten it"),
}


def exit_code(error: DstoreError) -> ExitCode:
    """Return the code of the nearest class of ``error`` that has one."""
    for kind in type(error).__mro__:
        if issubclass(kind, DstoreError) and kind in EXIT_CODES:
            return EXIT_CODES[kind]
    return ExitCode.FAILED


def local_error(error: OSError) -> DstoreError:
    """Translate an error of this machine's file system, so that it is shown like every other.

    The advice depends on the error number alone, because the command that failed is on the user's screen.
    """
    what = error.strerror or str(error) or type(error).__name__
    path = str(error.filename) if error.filename is not None else ""
    kind, reason, advice = _LOCAL_ERRORS.get(
        error.errno or 0, (errors.Internal, "LOCAL_ERROR", "this came from the operating system")
    )
    if kind is errors.Internal:
        kind = _LocalFailure
    subject = f"The local file {path!r}" if path else "This machine"
    return kind(f"{subject}: {what}; {advice}.", reason=reason, metadata={"path": path} if path else {})


class _LocalFailure(DstoreError):
    """An error of the operating system that has no closer kind."""

    default_reason = "LOCAL_ERROR"
