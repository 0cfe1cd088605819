"""Every error has an exit code that somebody chose, and errors of the operating system read like the others."""

import errno
import os

import pytest

from dstore.cli.exit_codes import EXIT_CODES, ExitCode, exit_code, local_error
from dstore.core import errors
from dstore.core.errors import ALL_ERRORS, DstoreError


def test_every_error_has_its_own_line() -> None:
    assert set(EXIT_CODES) == set(ALL_ERRORS)


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_no_error_exits_as_a_success(kind: type[DstoreError]) -> None:
    assert exit_code(kind("what")) != ExitCode.OK


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.InvalidRequest, 2),
        (errors.NotFound, 10),
        (errors.AlreadyExists, 11),
        (errors.WrongKey, 12),
        (errors.PermissionDenied, 13),
        (errors.Corrupt, 14),
        (errors.OutOfSpace, 15),
        (errors.Unavailable, 69),
        (errors.Internal, 70),
        (errors.CommitUnknown, 75),
    ],
)
def test_documented_codes(kind: type[DstoreError], code: int) -> None:
    assert exit_code(kind("what")) == code


def test_a_subclass_takes_the_code_of_its_nearest_kind() -> None:
    class Closer(errors.WrongKey):
        pass

    assert exit_code(Closer("what")) == ExitCode.WRONG_KEY


@pytest.mark.parametrize(
    ("number", "reason", "code"),
    [
        (errno.ENOENT, "LOCAL_FILE_NOT_FOUND", ExitCode.NOT_FOUND),
        (errno.EISDIR, "LOCAL_IS_A_DIRECTORY", ExitCode.CONFLICT),
        (errno.EACCES, "LOCAL_PERMISSION_DENIED", ExitCode.PERMISSION),
        (errno.ENOSPC, "LOCAL_DISK_FULL", ExitCode.NO_SPACE),
        (errno.ENXIO, "LOCAL_ERROR", ExitCode.FAILED),
    ],
)
def test_local_errors(number: int, reason: str, code: ExitCode) -> None:
    error = local_error(OSError(number, os.strerror(number), "/some/file"))
    assert (error.reason, exit_code(error)) == (reason, code)
    assert "/some/file" in error.message
    assert os.strerror(number) in error.message
    assert error.metadata == {"path": "/some/file"}


def test_a_local_error_without_a_file_is_a_sentence_too() -> None:
    error = local_error(OSError("no number"))
    assert error.message.startswith("This machine: no number")
