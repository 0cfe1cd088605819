"""Paths of the namespace: absolute, one form each.

A path is ``/`` or ``/`` and names joined by ``/``. There is no current directory, so there is nothing that ``.``
and ``..`` could mean; they are refused rather than resolved.
"""

from dstore.core.errors import InvalidRequest
from dstore.core.limits import NAME_SIZE_BYTES_MAX, PATH_DEPTH_MAX, PATH_SIZE_BYTES_MAX


def split_path(path: str) -> tuple[str, ...]:
    """Return the names of an absolute path, outermost first; ``()`` for the root. One trailing ``/`` is allowed.

    Raises:
        InvalidRequest: with a reason that starts with ``PATH_`` and a sentence that says how to write it.
    """
    # Callers without a type checker pass pathlib's paths, bytes and None.
    if not isinstance(path, str):
        raise _invalid(repr(path), "PATH_NOT_TEXT", f"it is no text but {type(path).__name__}; give a str")
    if not path.startswith("/"):
        raise _invalid(path, "PATH_NOT_ABSOLUTE", "it does not start with '/'; write /" + path)
    if "\0" in path:
        raise _invalid(path, "PATH_HAS_NUL", "it contains a NUL character; remove it")
    try:
        size_bytes = len(path.encode())
    except UnicodeEncodeError:
        raise _invalid(
            path, "PATH_NOT_UTF8", "it is not valid UTF-8; names in dstore are text, so rename the file first"
        ) from None
    if size_bytes > PATH_SIZE_BYTES_MAX:
        raise _invalid(
            path,
            "PATH_TOO_LONG",
            f"it has {size_bytes} bytes, the limit is {PATH_SIZE_BYTES_MAX}; shorten it",
        )
    trimmed = path[1:].removesuffix("/")
    if trimmed == "":
        if path in ("/", ""):
            return ()
        raise _invalid(path, "PATH_EMPTY_NAME", "it has an empty name between two slashes; remove one slash")
    names = tuple(trimmed.split("/"))
    if len(names) > PATH_DEPTH_MAX:
        raise _invalid(path, "PATH_TOO_DEEP", f"it has {len(names)} levels, the limit is {PATH_DEPTH_MAX}; use fewer")
    for name in names:
        _check_name(path, name)
    return names


def is_plain_name(name: str) -> bool:
    """Whether a name is certainly allowed, as most are; what is not plain is looked at closely by ``split_path``."""
    return (
        0 < len(name) <= NAME_SIZE_BYTES_MAX
        and name.isascii()
        and "/" not in name
        and "\0" not in name
        and name not in (".", "..")
    )


def _check_name(path: str, name: str) -> None:
    if name == "":
        raise _invalid(path, "PATH_EMPTY_NAME", "it has an empty name between two slashes; remove one slash")
    if name in (".", ".."):
        raise _invalid(path, "PATH_RELATIVE_NAME", f"it contains {name!r}; write out the absolute path")
    if len(name.encode()) > NAME_SIZE_BYTES_MAX:
        raise _invalid(
            path,
            "NAME_TOO_LONG",
            f"the name {name[:32]!r}… has {len(name.encode())} bytes, the limit is {NAME_SIZE_BYTES_MAX}; shorten it",
        )


def join_path(names: tuple[str, ...]) -> str:
    """Return the one text form of a path."""
    return "/" + "/".join(names)


def normalize_path(path: str) -> str:
    """Return ``path`` in its one form, without a trailing slash.

    Raises:
        InvalidRequest: as ``split_path``.
    """
    return join_path(split_path(path))


def _invalid(path: str, reason: str, why: str) -> InvalidRequest:
    shown = path if len(path) <= 80 else path[:77] + "..."
    return InvalidRequest(
        f"Not a valid path: {shown!r}: {why}.",
        reason=reason,
        metadata={"path": shown.encode(errors="replace").decode()},
    )
