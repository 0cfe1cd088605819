"""The files of SQLite on a disk that can lose its power, and whose fsync can fail.

SQLite's own file system layer does the work, on real files in memory; what passes through it is written down, so that a
power loss can take back what was not synced. While there is such a disk, SQLite's default file system in this process
is this one; other files pass through it unseen.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from simulation.dice import Dice

SECTOR_SIZE_BYTES = 512
_VFS_NAME = "simulation"
#: Of Linux, which the simulated one stands on.
_BASE_VFS_NAME = "unix"

#: A write (offset, content), or a new size.
Change = tuple[int, bytes] | int


@dataclass(slots=True)
class WatchedFile:
    """One file: what is durable, and what was written since. What a failed fsync was for is in neither."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)


class DatabaseDisk:
    """The files in one directory.

    Attributes:
        sync_error_share: of the syncs, this share fails.
        is_dead: the process that used the disk has ended, and writes nothing any more.
    """

    def __init__(self, directory: Path, dice: Dice) -> None:
        self.directory = directory
        self.sync_error_share = 0.0
        self._dice = dice
        self._files: dict[str, WatchedFile] = {}
        _watch(self)

    def file(self, path: str) -> WatchedFile:
        """Return what is known of a file."""
        return self._files.setdefault(path, WatchedFile())

    def forget(self, path: str) -> None:
        """A file was removed."""
        self._files.pop(path, None)

    def sync(self, path: str) -> None:
        """Make a file durable, or fail; then what was written stays where it is, until the power goes."""
        file = self.file(path)
        if self._dice.happens(self.sync_error_share):
            file.pending = []
            raise apsw.IOError("disk I/O error: the simulated disk failed to sync")
        _apply(file.durable, file.pending)
        file.pending = []

    def lose_power(self) -> None:
        """Take back what was not synced, or some of it. Nobody may have the files open."""
        for path, file in sorted(self._files.items()):
            _apply(file.durable, self._survivors(file.pending))
            file.pending = []
            Path(path).write_bytes(file.durable)
        for shared_memory in self.directory.glob("*-shm"):
            shared_memory.unlink()

    def close(self) -> None:
        """Watch no longer."""
        _unwatch(self)

    def _survivors(self, changes: list[Change]) -> list[Change]:
        mode = self._dice.randrange(4)
        pieces = [piece for change in changes for piece in _sectors(change)]
        if mode == 0:
            return []
        if mode == 1:
            return pieces[: self._dice.randrange(len(pieces) + 1)]
        if mode == 2:
            return [piece for piece in pieces if self._dice.happens(0.5)]
        return pieces


def _sectors(change: Change) -> Iterable[Change]:
    if isinstance(change, int):
        yield change
        return
    offset, content = change
    end = offset + len(content)
    while offset < end:
        stop = min(end, offset - offset % SECTOR_SIZE_BYTES + SECTOR_SIZE_BYTES)
        yield offset, content[len(content) - (end - offset) : len(content) - (end - stop)]
        offset = stop


def _apply(content: bytearray, changes: Iterable[Change]) -> None:
    for change in changes:
        if isinstance(change, int):
            del content[change:]
            continue
        offset, data = change
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + len(data)] = data


_DISKS: dict[str, DatabaseDisk] = {}


def _watch(disk: DatabaseDisk) -> None:
    if _VFS_NAME not in apsw.vfs_names():
        _Vfs.shared = _Vfs()
    apsw.set_default_vfs(_VFS_NAME)
    _DISKS[str(disk.directory)] = disk


def _unwatch(disk: DatabaseDisk) -> None:
    _DISKS.pop(str(disk.directory), None)
    if not _DISKS:
        apsw.set_default_vfs(_BASE_VFS_NAME)


def _disk_of(path: str) -> DatabaseDisk | None:
    return None if path.endswith("-shm") else _DISKS.get(path.rpartition("/")[0])


class _Vfs(apsw.VFS):
    shared: "_Vfs | None" = None

    def __init__(self) -> None:
        super().__init__(_VFS_NAME, _BASE_VFS_NAME)

    def xOpen(self, name: Any, flags: Any) -> Any:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        disk = _disk_of(path or "")
        if disk is None:
            return apsw.VFSFile(_BASE_VFS_NAME, name, flags)
        return _File(disk, path, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        disk = _disk_of(filename)
        if disk is not None:
            disk.forget(filename)


class _File(apsw.VFSFile):
    def __init__(self, disk: DatabaseDisk, path: str, name: Any, flags: Any) -> None:
        super().__init__(_BASE_VFS_NAME, name, flags)
        self._disk = disk
        self._path = path

    def xWrite(self, data: Any, offset: int) -> None:
        super().xWrite(data, offset)
        self._disk.file(self._path).pending.append((offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        self._disk.file(self._path).pending.append(newsize)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._disk.sync(self._path)
