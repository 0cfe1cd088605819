"""What callers may pass, checked before anything is called."""

import os

from dstore.core.errors import InvalidRequest
from dstore.core.files import ABSENT, ANY, Precondition, PreconditionKind
from dstore.core.ids import Version

LocalPath = str | os.PathLike[str]


def check_range(offset: int, length: int | None) -> None:
    """Refuse a range that starts or ends before the beginning.

    Raises:
        InvalidRequest: reason ``RANGE_INVALID``.
    """
    if offset < 0 or (length is not None and length < 0):
        end = "to the end" if length is None else f"of {length} bytes"
        raise InvalidRequest(
            f"There is no range from {offset} {end}: neither the offset nor the length may be negative.",
            reason="RANGE_INVALID",
        )


def check_mode(mode: str) -> None:
    """Refuse a mode that files in the store do not have.

    Raises:
        InvalidRequest: reason ``MODE_INVALID``.
    """
    if mode not in ("rb", "wb", "xb"):
        raise InvalidRequest(
            f"There is no mode {mode!r}: open with 'rb', 'wb' or 'xb'. Files are replaced as a whole, never changed in "
            "place; for text, wrap the file in io.TextIOWrapper.",
            reason="MODE_INVALID",
        )


def check_version(version: int | None) -> Version:
    """Return the version that is asked for; 0, which no version is, when none is.

    Raises:
        InvalidRequest: reason ``VERSION_INVALID``.
    """
    if version is not None and not 0 < version < 1 << 64:
        raise InvalidRequest(
            f"There is no version {version}; give one that a listing shows, or none for the newest.",
            reason="VERSION_INVALID",
        )
    return Version(version or 0)


def precondition_of(if_absent: bool, if_version: int | None) -> Precondition:
    """Return what the options of a write demand.

    Raises:
        InvalidRequest: reason ``PRECONDITION_INVALID``.
    """
    if if_absent and if_version is not None:
        raise InvalidRequest(
            "A file cannot be absent and have a version; give if_absent or if_version.", reason="PRECONDITION_INVALID"
        )
    if if_version is not None:
        return Precondition(PreconditionKind.VERSION, Version(if_version))
    return ABSENT if if_absent else ANY
