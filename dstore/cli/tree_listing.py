"""All that is below a directory, here or in the cluster, in one form, so that two trees can be compared."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from dstore.cli.exit_codes import local_error
from dstore.cli.places import Place
from dstore.client.client import AsyncClient
from dstore.client.local_files import run_blocking
from dstore.core.errors import DstoreError, InvalidRequest, NotADirectory, NotFound
from dstore.core.paths import split_path


class EntryKind(Enum):
    """What is there. A link to a file is the file; only links that lead to anything else are links."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    SPECIAL = "special"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or directory in a tree."""

    kind: EntryKind
    size_bytes: int = 0
    modified_ns: int = 0


@dataclass(slots=True)
class Listing:
    """A tree.

    Attributes:
        entries: by path relative to the top, names joined by "/"; parents come before what is in them.
        problems: what could not be looked at, by relative path; "" is the top.
        exists: whether the top is there.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    problems: dict[str, DstoreError] = field(default_factory=dict)
    exists: bool = True


async def list_tree(client: AsyncClient, place: Place, *, may_be_missing: bool = False) -> Listing:
    """Return what is below ``place``, a directory.

    Raises:
        NotFound: there is nothing there, unless it may be missing.
        NotADirectory: it is a file.
        DstoreError: the cluster's part of it could not be listed.
    """
    try:
        if place.is_remote:
            return await _list_remote(client, place.path)
        return await run_blocking(_list_local, Path(place.path))
    except NotFound:
        if may_be_missing:
            return Listing(exists=False)
        raise


async def _list_remote(client: AsyncClient, top: str) -> Listing:
    if not (await client.stat(top)).is_directory:
        raise _not_a_directory(f"dstore:{top}")
    listing, start = Listing(), len(top.removesuffix("/")) + 1
    async for _, directories, files in client.walk(top):
        for info in directories:
            listing.entries[info.path[start:]] = Entry(EntryKind.DIRECTORY)
        for info in files:
            listing.entries[info.path[start:]] = Entry(EntryKind.FILE, info.size_bytes, info.modified_ns)
    return listing


def _list_local(top: Path) -> Listing:
    try:
        status = top.stat()
    except OSError as error:
        raise local_error(error) from error
    if not stat.S_ISDIR(status.st_mode):
        raise _not_a_directory(str(top))
    listing = Listing()
    pending = [""]
    while pending:
        relative = pending.pop()
        try:
            found = sorted(_entries(top, relative, listing), key=lambda each: each[0])
        except OSError as error:
            listing.problems[relative] = local_error(error)
            continue
        listing.entries.update(found)
        pending += [path for path, entry in reversed(found) if entry.kind is EntryKind.DIRECTORY]
    return listing


def _entries(top: Path, directory: str, listing: Listing) -> Iterator[tuple[str, Entry]]:
    with os.scandir(top / directory) as entries:
        for each in entries:
            path = f"{directory}/{each.name}" if directory else each.name
            try:
                # The cluster has no names that are no text, so one here cannot go there.
                split_path(f"/{path}")
                yield path, _entry(each)
            except InvalidRequest as error:
                listing.problems[path] = error
            except FileNotFoundError:
                # It went since the directory was read.
                continue
            except OSError as error:
                listing.problems[path] = local_error(error)


def _entry(each: "os.DirEntry[str]") -> Entry:
    if each.is_dir(follow_symlinks=False):
        return Entry(EntryKind.DIRECTORY)
    try:
        status = each.stat()
    except FileNotFoundError:
        if not each.is_symlink():
            raise
        return Entry(EntryKind.LINK)
    if stat.S_ISREG(status.st_mode):
        return Entry(EntryKind.FILE, status.st_size, status.st_mtime_ns)
    return Entry(EntryKind.LINK if each.is_symlink() else EntryKind.SPECIAL)


def _not_a_directory(path: str) -> NotADirectory:
    return NotADirectory(
        f"{path!r} is no directory, and only directories can be compared; `dstore cp` copies single files.",
        reason="NOT_A_DIRECTORY",
        metadata={"path": path.encode(errors="replace").decode()},
    )
