"""Where something is: ``dstore:/path`` in the cluster, everything else on this machine."""

from dataclasses import dataclass
from pathlib import Path

from dstore.core.errors import InvalidRequest
from dstore.core.paths import normalize_path

PREFIX = "dstore:"


@dataclass(frozen=True, slots=True)
class Place:
    """A file or directory, here or in the cluster.

    Attributes:
        path: absolute and in its one form when it is in the cluster.
        is_remote: whether it is in the cluster.
        names_directory: it was written with a slash at the end.
    """

    path: str
    is_remote: bool
    names_directory: bool = False

    def __str__(self) -> str:
        return f"{PREFIX}{self.path}" if self.is_remote else self.path

    def inside(self, relative: str) -> "Place":
        """Return the place of what is called ``relative`` in this directory."""
        if not relative:
            return self
        path = f"{self.path.removesuffix('/')}/{relative}" if self.is_remote else str(Path(self.path, relative))
        return Place(path, self.is_remote)


def parse_place(text: str) -> Place:
    """Read a place. ``dstore:///path`` is the same as ``dstore:/path``; ``./dstore:x`` is a local file.

    Raises:
        InvalidRequest: the path in the cluster is none.
    """
    if not text.startswith(PREFIX):
        if not text or "\0" in text:
            raise InvalidRequest(f"{text!r} names no local file; write its path.", reason="PLACE_INVALID")
        return Place(text, is_remote=False, names_directory=text.endswith("/"))
    path = text.removeprefix(PREFIX)
    if path.startswith("///"):
        path = path[2:]
    return Place(normalize_path(path), is_remote=True, names_directory=path.endswith("/"))
