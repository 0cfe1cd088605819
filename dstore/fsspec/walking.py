"""Finds what is below a directory in one walk, and keeps the cache of listings true."""

from collections.abc import MutableMapping
from typing import Any

from dstore.client.client import AsyncClient
from dstore.core.errors import NotADirectory, NotFound
from dstore.fsspec.entries import Entry, entry_of
from dstore.fsspec.locations import ROOT, parent_of


async def find(client: AsyncClient, top: str, *, depth_max: int | None, with_directories: bool) -> dict[str, Entry]:
    """Return the entries of all files below ``top``, by path and in order; of ``top`` alone if it is a file.

    What does not exist has nothing below it.

    Args:
        depth_max: 1 is what is in ``top`` itself; None is everything.
        with_directories: also those of directories, ``top`` included.

    Raises:
        ValueError: ``depth_max`` is less than 1.
    """
    if depth_max is not None and depth_max < 1:
        raise ValueError("maxdepth must be at least 1")
    found: dict[str, Entry] = {}
    try:
        info = await client.stat(top)
        if not info.is_directory or with_directories:
            found[top] = entry_of(info)
        if info.is_directory:
            async for path, directories, files in client.walk(top):
                found.update((each.path, entry_of(each)) for each in files)
                if with_directories:
                    found.update((each.path, entry_of(each)) for each in directories)
                if depth_max is not None and _depth(path) - _depth(top) + 1 >= depth_max:
                    directories.clear()
    except (NotFound, NotADirectory):
        # Also one that vanished after it was seen.
        return {}
    return {path: found[path] for path in sorted(found)}


def forget(listings: MutableMapping[str, Any], path: str) -> None:
    """Drop the listings that a change at ``path`` makes untrue: its own, those above it, and those below it."""
    above = path
    while above != ROOT:
        listings.pop(above, None)
        above = parent_of(above)
    listings.pop(ROOT, None)
    below = path.rstrip("/") + "/"
    for each in [each for each in listings if each.startswith(below)]:
        listings.pop(each, None)


def _depth(path: str) -> int:
    return 0 if path == ROOT else path.count("/")
