"""Moves and removes: which paths are meant, and where each goes."""

from typing import Any

from fsspec.utils import stringify_path

from dstore.client.client import AsyncClient
from dstore.core.errors import NotFound
from dstore.fsspec.locations import ROOT, child_of, parent_of

_MAGIC = frozenset("*?[")


async def rename(client: AsyncClient, source: str, target: str) -> None:
    """Rename in one step; where the directory for ``target`` is missing, it is made.

    Raises:
        DstoreError: as ``AsyncClient.rename``.
    """
    try:
        await client.rename(source, target)
    except NotFound:
        # Either may be missing; only for a source that is there, a directory is made.
        await client.stat(source)
        await client.make_directory(parent_of(target), parents=True, exist_ok=True)
        await client.rename(source, target)


async def plan(fs: Any, sources: Any, target: Any) -> list[tuple[str, str]]:
    """Return each path that is to be renamed, with its new path, as ``mv`` does: into a directory that exists.

    Raises:
        NotFound: a pattern fits nothing.
        ValueError: there are as many targets as that, but another number of sources.
    """
    paths = await named(fs, sources)
    if isinstance(target, list | tuple):
        if len(target) != len(paths):
            raise ValueError(f"{len(paths)} paths cannot be moved to {len(target)} targets; give one target for each.")
        return [(source, fs._strip_protocol(each)) for source, each in zip(paths, target, strict=True)]
    target_text = stringify_path(target)
    target_path = fs._strip_protocol(target)
    is_one = isinstance(sources, list | tuple) is False and not _MAGIC & set(stringify_path(sources))
    is_into = not is_one or await fs._isdir(target_path)
    if not is_into and target_text.endswith("/"):
        # A file goes into the directory that is named; a directory becomes it.
        is_into = not await fs._isdir(paths[0])
    if not is_into:
        return [(paths[0], target_path)]
    return [(source, child_of(target_path, source.rpartition("/")[2])) for source in paths]


async def named(fs: Any, paths: Any) -> list[str]:
    """Return what paths and patterns name, without what lies in a directory that is named as well.

    Raises:
        NotFound: a pattern fits nothing.
    """
    found: set[str] = set()
    for each in paths if isinstance(paths, list | tuple) else [paths]:
        path = fs._strip_protocol(each)
        found |= set(await fs._glob(path)) if _MAGIC & set(path) else {path}
    if not found:
        raise NotFound(f"Nothing fits {paths!r:.200}; look with ls.")
    return [path for path in sorted(found) if not _is_below_one_of(path, found)]


def _is_below_one_of(path: str, paths: set[str]) -> bool:
    while path != ROOT:
        path = parent_of(path)
        if path in paths:
            return True
    return False
