"""What callers may pass, checked before anything is called."""

import operator
import os
from collections.abc import Collection, Iterable
from typing import TypeVar

from dstore.core.errors import InvalidRequest
from dstore.core.files import ABSENT, ANY, Precondition, PreconditionKind
from dstore.core.ids import Version
from dstore.core.limits import LIST_PAGE_SIZE_MAX

T = TypeVar("T")

LocalPath = str | os.PathLike[str]


def check_range(offset: int, length: int | None) -> None:
    """Refuse a range that starts or ends before the beginning, or is not counted in whole bytes.

    Raises:
        InvalidRequest: reason ``RANGE_INVALID``.
    """
    try:
        is_possible = operator.index(offset) >= 0 and (length is None or operator.index(length) >= 0)
    except TypeError:
        is_possible = False
    if not is_possible:
        end = "to the end" if length is None else f"of {length!r:.100} bytes"
        raise InvalidRequest(
            f"There is no range from {offset!r:.100} {end}: offset and length are whole numbers, and neither may be "
            "negative; a length may be None, for all that follows.",
            reason="RANGE_INVALID",
        )


def check_page_size(page_size: int) -> int:
    """Return the number of entries of a page that is asked for, or the most that a master gives.

    Raises:
        InvalidRequest: reason ``PAGE_SIZE_INVALID``.
    """
    try:
        number = operator.index(page_size)
    except TypeError:
        number = 0
    if number < 1:
        raise InvalidRequest(
            f"A page cannot have {page_size!r:.100} entries; give a whole number, 1 or more.",
            reason="PAGE_SIZE_INVALID",
        )
    return min(number, LIST_PAGE_SIZE_MAX)


def check_items(items: object, *, what: str) -> None:
    """Refuse what is no list of items, and a single path in place of one, whose letters would be taken for paths.

    Raises:
        InvalidRequest: reason ``ITEMS_INVALID``.
    """
    if isinstance(items, str | bytes | bytearray | memoryview) or not isinstance(items, Iterable):
        raise InvalidRequest(
            f"Give {what}, not {type(items).__name__}; a single one goes into a list.", reason="ITEMS_INVALID"
        )


def taken(items: Iterable[T]) -> Iterable[T]:
    """Return what an iterator or a generator gives as a list; all else as it is."""
    is_list = isinstance(items, Collection) or not isinstance(items, Iterable)
    return items if is_list else list(items)


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
    if version is None:
        return Version(0)
    try:
        number = operator.index(version)
    except TypeError:
        number = 0
    if not 0 < number < 1 << 64:
        raise InvalidRequest(
            f"There is no version {version!r:.100}; give the number that a listing shows, or None.",
            reason="VERSION_INVALID",
        )
    return Version(number)


def precondition_of(if_absent: bool, if_version: int | None) -> Precondition:
    """Return what the options of a write demand.

    Raises:
        InvalidRequest: reason ``PRECONDITION_INVALID`` or ``VERSION_INVALID``.
    """
    if if_absent and if_version is not None:
        raise InvalidRequest(
            "A file cannot be absent and have a version; give if_absent or if_version.", reason="PRECONDITION_INVALID"
        )
    if if_version is not None:
        return Precondition(PreconditionKind.VERSION, check_version(if_version))
    return ABSENT if if_absent else ANY
