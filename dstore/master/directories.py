"""The directories that the paths of one batch lead to, each looked up once."""

from dataclasses import dataclass

from dstore.core.paths import is_plain_name, join_path, split_path
from dstore.core.quick_init import quick_init
from dstore.master import tree
from dstore.master.store.base import Transaction

#: Plain names in paths up to this length are within all limits, whatever else is in the path.
_PLAIN_PATH_LENGTH_MAX = 1024


@quick_init
@dataclass(frozen=True, slots=True)
class Place:
    """A path in its one form: the directory that holds, or would hold, its last name."""

    directory: tree.Inode
    name: str
    path: str


class Directories:
    """Finds the place of paths in one transaction; after a change of directories, begin with a new one."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._by_path: dict[str, tree.Inode] = {}

    def find(self, path: str) -> Place | None:
        """Return the place of a path; None for the root, which is nowhere.

        Raises:
            InvalidRequest, NotFound, NotADirectory: as ``split_path`` and ``tree.resolve_parent``.
        """
        head, slash, name = path.rpartition("/")
        directory = self._by_path.get(head) if slash else None
        if directory is not None and is_plain_name(name) and len(path) <= _PLAIN_PATH_LENGTH_MAX:
            return Place(directory, name, path)
        names = split_path(path)
        if not names:
            return None
        head = join_path(names[:-1]) if len(names) > 1 else ""
        directory = self._by_path.get(head)
        if directory is None:
            directory = self._by_path[head] = tree.resolve_parent(self._tx, names)
        return Place(directory, names[-1], f"{head}/{names[-1]}")
