"""What a URL or a path means: ``dstore:///a/b`` and ``dstore://a/b`` are ``/a/b`` of the cluster that is configured.

``dstore://HOST:PORT/a/b`` is ``/a/b`` of the cluster with that master.
"""

import re

PROTOCOL = "dstore"
ROOT = "/"

_URL = re.compile(rf"{PROTOCOL}:(//|:)", re.IGNORECASE)
_ENDPOINT = re.compile(r"(?P<endpoint>([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]+)(?=/|$)")
_SLASHES = re.compile("/{2,}")


def path_of(location: str) -> str:
    """Return the absolute path in the store that a URL or a path names, without a trailing slash."""
    url = _URL.match(location)
    rest = location if url is None else location[url.end() :]
    if url is not None:
        rest = _ENDPOINT.sub("", rest, count=1) if _ENDPOINT.match(rest) else rest
    path = _SLASHES.sub("/", ROOT + rest)
    return path.rstrip("/") or ROOT


def endpoint_of(location: str) -> str | None:
    """Return the master that a URL names, as host and port; None when it names none."""
    url = _URL.match(location)
    found = None if url is None else _ENDPOINT.match(location, url.end())
    return None if found is None else found["endpoint"]


def parent_of(path: str) -> str:
    """Return the directory that holds a path; the root holds itself."""
    return path.rpartition("/")[0] or ROOT


def child_of(directory: str, name: str) -> str:
    """Return the path of a name in a directory."""
    return f"{directory.rstrip('/')}/{name}"
