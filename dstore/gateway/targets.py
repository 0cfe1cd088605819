"""From the bytes of a request's target, and from names in a form, to paths of the store. No I/O.

Decoding is strict: what is not exactly one text is refused, because a guess would name another file.
"""

import re
from urllib.parse import quote, unquote_to_bytes

from dstore.core.errors import InvalidRequest
from dstore.core.paths import normalize_path

_STRAY_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def decode_target(raw_path: bytes) -> str:
    """Return the path of a request's target as text.

    Raises:
        InvalidRequest: reason ``TARGET_INVALID``.
    """
    stray = _STRAY_PERCENT.search(raw_path)
    if stray is not None:
        raise _invalid_target("a '%' in it is not followed by two hexadecimal digits; write a plain '%' as %25")
    try:
        return unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        raise _invalid_target("it is not UTF-8 after percent-decoding; names are text, encoded as UTF-8") from None


def store_path(rest: str) -> str:
    """Return the path of the store that stands behind a prefix, as ``a/b`` of ``/v1/files/a/b``.

    Raises:
        InvalidRequest: with a reason that starts with ``PATH_``.
    """
    return normalize_path("/" + rest)


def name_path(name: str) -> str:
    """Return the path of a file in the top directory.

    Raises:
        InvalidRequest: reason ``NAME_MISSING`` or ``NAME_HAS_DIRECTORIES``, or one that starts with ``PATH_``.
    """
    if not name:
        raise InvalidRequest("The address ends without a name; write it after the last '/'.", reason="NAME_MISSING")
    if "/" in name:
        raise InvalidRequest(
            f"{name[:80]!r} has directories in it, and this address knows only names; use /v1/files/PATH for paths.",
            reason="NAME_HAS_DIRECTORIES",
        )
    return normalize_path("/" + name)


def form_path(file_name: str) -> str:
    """Return the path of a file that a form gave a name.

    Browsers of old, and attackers, send names with directories; which file was meant is not guessed.

    Raises:
        InvalidRequest: as ``name_path``.
    """
    if "/" in file_name or "\\" in file_name:
        raise InvalidRequest(
            f"The file name {file_name[:80]!r} of the form has directories in it; send the last part alone, as "
            "curl -F 'file=@LOCAL;filename=NAME' does, or use PUT /v1/files/PATH.",
            reason="NAME_HAS_DIRECTORIES",
        )
    if not file_name:
        raise InvalidRequest(
            "The part 'file' of the form has no file name; send one, as curl -F 'file=@LOCAL' does.",
            reason="FILE_NAME_MISSING",
        )
    return normalize_path("/" + file_name)


def location(path: str, *, below: str = "/v1/files") -> str:
    """Return the address of a path on this gateway."""
    return below + quote(path, safe="/~")


def disposition(kind: str, name: str) -> str:
    """Return a ``Content-Disposition`` with a file's name, which may hold anything."""
    return f"{kind}; filename*=UTF-8''{quote(name, safe='')}"


def _invalid_target(why: str) -> InvalidRequest:
    return InvalidRequest(f"The address of this request cannot be read: {why}.", reason="TARGET_INVALID")
