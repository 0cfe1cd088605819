"""What stands behind the ``?`` of an address. No I/O."""

from collections.abc import Mapping

from dstore.core.errors import InvalidRequest
from dstore.core.limits import LIST_PAGE_SIZE_DEFAULT, LIST_PAGE_SIZE_MAX

_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def flag_of(query: Mapping[str, str], name: str) -> bool:
    """Return a flag, which is off unless it is given.

    Raises:
        InvalidRequest: reason ``QUERY_INVALID``.
    """
    value = query.get(name, "false")
    if value not in _FLAGS:
        raise InvalidRequest(f"{name} is {value[:40]!r}, not true or false.", reason="QUERY_INVALID")
    return _FLAGS[value]


def page_size_of(query: Mapping[str, str]) -> int:
    """Return how many entries a page is to have: ``limit``.

    Raises:
        InvalidRequest: reason ``LIMIT_INVALID``.
    """
    limit = query.get("limit", str(LIST_PAGE_SIZE_DEFAULT))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 9 and 1 <= int(limit) <= LIST_PAGE_SIZE_MAX):
        raise InvalidRequest(
            f"limit is {limit[:40]!r}, not a number from 1 to {LIST_PAGE_SIZE_MAX}.", reason="LIMIT_INVALID"
        )
    return int(limit)
