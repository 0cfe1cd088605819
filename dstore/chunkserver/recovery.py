"""What a disk holds when it is opened: names are read, what an interrupted run left in ``tmp`` is removed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from dstore.chunkserver import paths
from dstore.core.environment import Disk
from dstore.core.ids import ChunkId, GroupId
from dstore.core.limits import UNKNOWN_NAMES_REPORTED_MAX

_KNOWN = frozenset({paths.IDENTITY, paths.LOCK, paths.STANDING, paths.SCRUB, *paths.DIRECTORIES})


@dataclass(slots=True)
class Recovery:
    """What opening found.

    Attributes:
        removed_count: unfinished files that were removed from ``tmp``.
        adopted_count: chunks that were not synced, and are durable now.
        unknown_count: names that mean nothing here; left alone.
        unknown_paths: the first of them.
    """

    removed_count: int = 0
    chunk_count: int = 0
    adopted_count: int = 0
    unknown_count: int = 0
    unknown_paths: tuple[str, ...] = ()

    def report_unknown(self, path: str) -> None:
        """Count a name that is left alone."""
        self.unknown_count += 1
        if len(self.unknown_paths) < UNKNOWN_NAMES_REPORTED_MAX:
            self.unknown_paths = (*self.unknown_paths, path)


async def empty_temporary(disk: Disk, recovery: Recovery) -> None:
    """Remove what an interrupted run left; nobody was told that it is there."""
    for name in await disk.list(paths.TEMPORARY):
        path = f"{paths.TEMPORARY}/{name}"
        if not paths.is_temporary(name):
            recovery.report_unknown(path)
            continue
        await disk.remove(path)
        recovery.removed_count += 1
    await disk.sync_directory(paths.TEMPORARY)


async def list_corrupt(disk: Disk, recovery: Recovery) -> set[ChunkId]:
    """Return the chunks that are marked as corrupt, whether they are still there or not."""
    marked = set()
    for name in await disk.list(paths.CORRUPT):
        chunk_id = paths.parse_corrupt(name)
        if chunk_id is None:
            recovery.report_unknown(f"{paths.CORRUPT}/{name}")
        else:
            marked.add(chunk_id)
    return marked


async def list_doubts(disk: Disk, recovery: Recovery) -> AsyncIterator[GroupId]:
    """Yield the groups of which chunks may have been acknowledged and not synced."""
    for name in await disk.list(paths.DOUBTS):
        group_id = paths.parse_group(name)
        if group_id is None:
            recovery.report_unknown(f"{paths.DOUBTS}/{name}")
        else:
            yield group_id


async def list_unsynced(disk: Disk, recovery: Recovery) -> AsyncIterator[tuple[ChunkId, str]]:
    """Yield the chunks that may have been acknowledged and not synced, with the paths of their files."""
    for name in await disk.list(paths.UNSYNCED):
        path = f"{paths.UNSYNCED}/{name}"
        chunk_id = paths.parse_unsynced(name)
        if chunk_id is None:
            recovery.report_unknown(path)
        else:
            yield chunk_id, path


async def list_trash(disk: Disk, recovery: Recovery) -> AsyncIterator[tuple[ChunkId, bool]]:
    """Yield the chunks in the trash, and whether they came there with their whole group."""
    for name in await disk.list(paths.TRASH):
        entry = paths.parse_trash(name)
        if entry is None:
            recovery.report_unknown(f"{paths.TRASH}/{name}")
        else:
            yield entry


async def list_groups(disk: Disk, recovery: Recovery) -> AsyncIterator[tuple[GroupId, AsyncIterator[ChunkId]]]:
    """Yield the groups with their chunks, and note unknown names; holds the names of one directory at a time."""
    for name in await disk.list(""):
        if name not in _KNOWN:
            recovery.report_unknown(name)
    for group_name in await disk.list(paths.GROUPS):
        group_path = f"{paths.GROUPS}/{group_name}"
        group_id = paths.parse_group(group_name)
        names = None if group_id is None else await _list_directory(disk, group_path)
        if group_id is None or names is None:
            recovery.report_unknown(group_path)
            continue
        fan_outs = tuple(name for name in names if name != paths.EPOCH)
        yield group_id, _list_chunks(disk, group_id, fan_outs, recovery)


async def _list_chunks(
    disk: Disk, group_id: GroupId, fan_outs: tuple[str, ...], recovery: Recovery
) -> AsyncIterator[ChunkId]:
    for name in fan_outs:
        path = f"{paths.group_directory(group_id)}/{name}"
        fan_out = paths.parse_fan_out(name)
        names = None if fan_out is None else await _list_directory(disk, path)
        if fan_out is None or names is None:
            recovery.report_unknown(path)
            continue
        for chunk_name in names:
            chunk_id = paths.parse_chunk(group_id, fan_out, chunk_name)
            if chunk_id is None:
                recovery.report_unknown(f"{path}/{chunk_name}")
            else:
                recovery.chunk_count += 1
                yield chunk_id


async def _list_directory(disk: Disk, path: str) -> tuple[str, ...] | None:
    """Return the names in a directory; None when it is a file."""
    try:
        return await disk.list(path)
    except NotADirectoryError:
        return None
