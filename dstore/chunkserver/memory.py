"""A disk in memory that is as strict as the real one, and can lose its power.

Content that was not synced and names whose directory was not synced are gone after ``crash``. Directories
made by ``make_directory`` are durable, as the interface promises.
"""

import errno
from collections.abc import Sequence
from dataclasses import dataclass, field
from posixpath import dirname

from dstore.core.environment import Buffer, DiskFile
from dstore.core.groups import Capacity
from dstore.core.limits import MIB


@dataclass(slots=True, eq=False)
class _Inode:
    content: bytearray = field(default_factory=bytearray)
    durable: bytes = b""


class MemoryDisk:
    """A disk of ``total_bytes``; writing past that fails with ENOSPC."""

    def __init__(self, *, total_bytes: int = 1024 * MIB) -> None:
        self._total_bytes = total_bytes
        self._names: dict[str, _Inode] = {}
        self._durable_names: dict[str, _Inode] = {}
        self._directories: set[str] = {""}
        self._boots = 0

    @property
    def queue_depth(self) -> int:
        """See ``Disk.queue_depth``."""
        return 0

    def crash(self) -> None:
        """Lose the power: only what was synced is left, and files that were open are dead."""
        self._boots += 1
        for inode in {id(inode): inode for inode in self._durable_names.values()}.values():
            inode.content = bytearray(inode.durable)
        self._names = dict(self._durable_names)

    def restart(self) -> None:
        """End the process but not the power: everything written is left, files that were open are dead."""
        self._boots += 1

    def content(self, path: str) -> bytearray:
        """Return the content of a file, to look at or to damage."""
        return self._find(path).content

    def paths(self) -> tuple[str, ...]:
        """Return the paths of all files, sorted."""
        return tuple(sorted(self._names))

    async def create(self, path: str) -> DiskFile:
        """See ``Disk.create``."""
        self._require_parent(path)
        if path in self._names or path in self._directories:
            raise FileExistsError(errno.EEXIST, "File exists", path)
        inode = self._names[path] = _Inode()
        return _MemoryFile(self, inode)

    async def open(self, path: str) -> DiskFile:
        """See ``Disk.open``."""
        return _MemoryFile(self, self._find(path), writable=False)

    async def rename(self, source: str, target: str) -> None:
        """See ``Disk.rename``."""
        inode = self._find(source)
        self._require_parent(target)
        if target in self._directories:
            raise IsADirectoryError(errno.EISDIR, "Is a directory", target)
        del self._names[source]
        self._names[target] = inode

    async def remove(self, path: str) -> None:
        """See ``Disk.remove``."""
        self._find(path)
        del self._names[path]

    async def make_directory(self, path: str) -> None:
        """See ``Disk.make_directory``."""
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            directory = "/".join(parts[:depth])
            if directory in self._names:
                raise FileExistsError(errno.EEXIST, "File exists", directory)
            self._directories.add(directory)

    async def sync_directory(self, path: str) -> None:
        """See ``Disk.sync_directory``."""
        if path not in self._directories:
            raise FileNotFoundError(errno.ENOENT, "No such directory", path)
        for name in [name for name in self._durable_names if dirname(name) == path]:
            del self._durable_names[name]
        for name, inode in self._names.items():
            if dirname(name) == path:
                self._durable_names[name] = inode

    async def list(self, path: str) -> tuple[str, ...]:
        """See ``Disk.list``."""
        if path in self._names:
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory", path)
        prefix = f"{path}/" if path else ""
        everything = self._directories.union(self._names)
        return tuple(sorted(name.removeprefix(prefix) for name in everything if name and dirname(name) == path))

    async def capacity(self) -> Capacity:
        """See ``Disk.capacity``."""
        return Capacity(total_bytes=self._total_bytes, used_bytes=self._used_bytes())

    def _used_bytes(self) -> int:
        return sum(len(inode.content) for inode in self._names.values())

    def _find(self, path: str) -> _Inode:
        if path in self._directories:
            raise IsADirectoryError(errno.EISDIR, "Is a directory", path)
        if path not in self._names:
            raise FileNotFoundError(errno.ENOENT, "No such file", path)
        return self._names[path]

    def _require_parent(self, path: str) -> None:
        if dirname(path) not in self._directories:
            raise FileNotFoundError(errno.ENOENT, "No such directory", dirname(path))


class _MemoryFile:
    """An open file of a ``MemoryDisk``."""

    def __init__(self, disk: MemoryDisk, inode: _Inode, *, writable: bool = True) -> None:
        self._disk = disk
        self._inode = inode
        self._writable = writable
        self._boot = disk._boots
        self._closed = False

    async def write_at(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """See ``DiskFile.write_at``."""
        self._require_open()
        if not self._writable:
            raise OSError(errno.EBADF, "Bad file descriptor")
        data = b"".join(buffers)
        content = self._inode.content
        growth = max(0, offset + len(data) - len(content))
        if self._disk._used_bytes() + growth > self._disk._total_bytes:
            raise OSError(errno.ENOSPC, "No space left on device")
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + len(data)] = data

    async def read_at(self, offset: int, length_bytes: int) -> bytes:
        """See ``DiskFile.read_at``."""
        self._require_open()
        return bytes(self._inode.content[offset : offset + length_bytes])

    async def read_into(self, offset: int, buffers: Sequence[bytearray | memoryview]) -> int:
        """See ``DiskFile.read_into``."""
        return scatter(await self.read_at(offset, sum(map(len, buffers))), buffers)

    async def sync(self) -> None:
        """See ``DiskFile.sync``."""
        self._require_open()
        self._inode.durable = bytes(self._inode.content)

    async def size_bytes(self) -> int:
        """See ``DiskFile.size_bytes``."""
        self._require_open()
        return len(self._inode.content)

    async def close(self) -> None:
        """See ``DiskFile.close``."""
        self._closed = True

    def _require_open(self) -> None:
        if self._closed:
            raise ValueError("The file is closed.")
        if self._boot != self._disk._boots:
            raise OSError(errno.EIO, "The disk was restarted since this file was opened")


def scatter(data: bytes, buffers: Sequence[bytearray | memoryview]) -> int:
    """Put data into buffers, one after the other, and return its size; they have room for all of it."""
    start = 0
    for buffer in buffers:
        piece = data[start : start + len(buffer)]
        memoryview(buffer)[: len(piece)] = piece
        start += len(piece)
    return start
