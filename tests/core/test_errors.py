"""The error tree keeps its promises to people who catch built-ins."""

import errno
import pickle

import pytest

from dstore.core import errors
from dstore.core.errors import ALL_ERRORS, DstoreError


@pytest.mark.parametrize(
    ("kind", "built_in"),
    [
        (errors.InvalidRequest, ValueError),
        (errors.NotFound, FileNotFoundError),
        (errors.AlreadyExists, FileExistsError),
        (errors.IsADirectory, IsADirectoryError),
        (errors.NotADirectory, NotADirectoryError),
        (errors.PermissionDenied, PermissionError),
        (errors.WrongKey, PermissionError),
        (errors.Unavailable, ConnectionError),
        (errors.DeadlineExceeded, TimeoutError),
        (errors.OutOfSpace, OSError),
        (errors.Corrupt, OSError),
        (errors.CommitUnknown, OSError),
    ],
)
def test_errors_are_what_people_already_catch(kind: type[DstoreError], built_in: type[Exception]) -> None:
    with pytest.raises(built_in):
        raise kind("x")


@pytest.mark.parametrize("kind", ALL_ERRORS, ids=lambda kind: kind.__name__)
def test_errors_print_well_and_travel_between_processes(kind: type[DstoreError]) -> None:
    error = kind("What, why, what next.", reason="SOME_REASON", metadata={"path": "/a"})
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (copy.message, copy.reason, copy.metadata) == (error.message, error.reason, error.metadata)
    assert str(error) == "What, why, what next."
    assert repr(error) == f"{kind.__name__}(SOME_REASON: What, why, what next.)"
    if isinstance(error, OSError):
        assert error.errno in errno.errorcode
        assert error.filename == "/a"


def test_the_list_of_errors_is_complete() -> None:
    defined = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, DstoreError)}
    assert defined - {DstoreError} == set(ALL_ERRORS)
    assert len(ALL_ERRORS) == len(set(ALL_ERRORS))
