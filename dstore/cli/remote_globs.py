"""Patterns for paths in the cluster, as a shell has them for local ones."""

import fnmatch

from dstore.client.client import AsyncClient
from dstore.core.errors import NotADirectory, NotFound
from dstore.core.paths import join_path, split_path

_MAGIC = frozenset("*?[")
_ANY_DEPTH = "**"


def has_magic(text: str) -> bool:
    """Return whether ``text`` may stand for more than itself."""
    return not _MAGIC.isdisjoint(text)


async def expand(client: AsyncClient, pattern: str) -> list[str]:
    """Return the paths that fit ``pattern``, in order. A path that exists as it is written is itself.

    ``*`` and ``?`` do not stand for the dot that a name begins with; ``**`` is any number of directories.

    Raises:
        NotFound: reason ``NO_MATCH``.
        DstoreError: as ``AsyncClient.list``.
    """
    if not has_magic(pattern) or await client.exists(pattern):
        return [pattern]
    found = {"/"}
    names = split_path(pattern)
    for index, name in enumerate(names):
        found = await _below(client, found, name, is_last=index == len(names) - 1)
    if not found:
        raise NotFound(
            f"Nothing in the cluster fits {pattern!r}; `dstore ls` shows what is there.",
            reason="NO_MATCH",
            metadata={"path": pattern},
        )
    return sorted(found, key=split_path)


async def _below(client: AsyncClient, parents: set[str], name: str, *, is_last: bool) -> set[str]:
    found: set[str] = set()
    for parent in parents:
        if name == _ANY_DEPTH:
            found |= await _any_depth(client, parent, with_files=is_last)
        elif has_magic(name):
            found |= {path for path in await _names(client, parent) if _fits(path.rsplit("/", 1)[-1], name)}
        else:
            path = join_path((*split_path(parent), name))
            if await client.exists(path):
                found.add(path)
    return found


async def _names(client: AsyncClient, parent: str) -> list[str]:
    try:
        return [info.path async for info in client.list(parent)]
    except (NotADirectory, NotFound):
        return []


async def _any_depth(client: AsyncClient, parent: str, *, with_files: bool) -> set[str]:
    directories_found, files_found = {parent}, set[str]()
    try:
        async for _, directories, files in client.walk(parent):
            directories_found |= {info.path for info in directories}
            files_found |= {info.path for info in files}
    except NotADirectory:
        return set()
    # At the end of a pattern it stands for the files: a directory would bring them a second time.
    return files_found if with_files else directories_found


def _fits(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) and (pattern.startswith(".") or not name.startswith("."))
