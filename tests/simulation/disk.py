"""A disk that fails as disks do. It belongs to the machine: what was synced outlives the process and the power.

After a power loss, of what was not synced anything may be there: a prefix of the writes, cut at a sector; some sectors
and not others; a name or not. What was synced is there, unless somebody flipped a bit. An fsync that fails leaves the
content unknown, and the next one on that file succeeds without doing anything, as on Linux.
"""

import asyncio
import errno
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from posixpath import dirname as _dirname
from typing import Any, TypeVar

from dstore.chunkserver.memory import scatter
from dstore.core.environment import Buffer, DiskFile
from dstore.core.groups import Capacity
from dstore.core.limits import MIB
from simulation.dice import Dice
from simulation.loop import SimulatedLoop
from simulation.node import Process
from simulation.trace import Trace

T = TypeVar("T")

SECTOR_SIZE_BYTES = 512

#: The same few paths are asked for again and again.
dirname = lru_cache(maxsize=100_000)(_dirname)


@dataclass(slots=True, eq=False)
class Inode:
    """A file. ``written`` lists what came since the last sync: (offset, end)."""

    content: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    written: list[tuple[int, int]] = field(default_factory=list)
    sync_failed: bool = False


@dataclass
class DiskFaults:
    """What is wrong with a disk.

    Attributes:
        error_shares: by operation, the share that fails with EIO.
        delay_s: least and most seconds of an operation.
        is_full: every write fails with ENOSPC.
    """

    error_shares: dict[str, float] = field(default_factory=dict)
    delay_s: tuple[float, float] = (0.0, 0.001)
    is_full: bool = False


class MachineDisk:
    """The content of one disk.

    Attributes:
        names: every file, by path.
        at_change: called with (operation, path, other path) after a name changed or went away.
        at_power_loss: called before the power is lost.
        failures: operations that failed for a fault of the disk.
    """

    def __init__(
        self, name: str, loop: SimulatedLoop, dice: Dice, trace: Trace, *, total_bytes: int = 64 * MIB
    ) -> None:
        self.name = name
        self.loop = loop
        self.dice = dice
        self.faults = DiskFaults()
        self.names: dict[str, Inode] = {}
        self.durable_names: dict[str, Inode] = {}
        self.directories: set[str] = {""}
        self.at_change: Callable[[str, str, str], None] = lambda *_: None
        self.at_power_loss: Callable[[], None] = lambda: None
        self.failures = 0
        self._total_bytes = total_bytes
        self._trace = trace
        self._identity: tuple[Inode, str] | None = None

    # --- What the simulation does ----------------------------------------------------------------------------

    def lose_power(self) -> None:
        """Keep what was synced, and some of the rest."""
        self.at_power_loss()
        keeps_names = self.dice.choice((0.0, 0.5, 1.0))
        names = dict(self.durable_names)
        for path in sorted(self.names.keys() | self.durable_names.keys()):
            now = self.names.get(path)
            if now is not self.durable_names.get(path) and self.dice.happens(keeps_names):
                if now is None:
                    del names[path]
                else:
                    names[path] = now
        settled: set[int] = set()
        for path in sorted(names):
            inode = names[path]
            if id(inode) not in settled:
                settled.add(id(inode))
                self._settle(inode)
        self.names = names
        self.durable_names = dict(names)

    def flip_bit(self, path: str) -> int:
        """Damage a file, on the platters; return the offset."""
        inode = self.names[path]
        offset = self.dice.randrange(len(inode.content))
        inode.content[offset] ^= 1 << self.dice.randrange(8)
        inode.durable = bytes(inode.content)
        self._trace.note(self.loop.time(), f"flip {self.name} {path} at {offset}")
        return offset

    def durable_content(self, path: str) -> bytes | None:
        """Return what is surely there after a power loss now; None when the name is not."""
        inode = self.durable_names.get(path)
        return None if inode is None else inode.durable

    def identity(self) -> str | None:
        """Return the server id that is on the disk."""
        inode = self.names.get("IDENTITY")
        if inode is None:
            return None
        if self._identity is None or self._identity[0] is not inode:
            self._identity = (inode, str(json.loads(inode.content)["server_id"]))
        return self._identity[1]

    def note(self, event: str) -> None:
        """Record an event of this disk."""
        self._trace.note(self.loop.time(), f"{self.name}: {event}")

    def open(self, process: Process) -> "ProcessDisk":
        """Return the disk as one process sees it."""
        return ProcessDisk(self, process)

    @property
    def used_bytes(self) -> int:
        """Use of the disk."""
        return sum(len(inode.content) for inode in self.names.values())

    @property
    def total_bytes(self) -> int:
        """Size of the disk; a full one has just what is used."""
        return self.used_bytes if self.faults.is_full else self._total_bytes

    def _settle(self, inode: Inode) -> None:
        """Decide what is left of the writes that were not synced."""
        if not inode.written:
            inode.content = bytearray(inode.durable)
            return
        survivors = bytearray(inode.durable)
        mode = self.dice.randrange(4)
        sectors = [
            (start, min(start + SECTOR_SIZE_BYTES, end))
            for offset, end in inode.written
            for start in range(offset - offset % SECTOR_SIZE_BYTES, end, SECTOR_SIZE_BYTES)
        ]
        if mode == 0:
            kept = []
        elif mode == 1:
            kept = sectors[: self.dice.randrange(len(sectors) + 1)]
        elif mode == 2:
            kept = [sector for sector in sectors if self.dice.happens(0.5)]
        else:
            kept = sectors
        for start, end in kept:
            survivors.extend(bytes(max(0, end - len(survivors))))
            survivors[start:end] = inode.content[start:end]
        inode.content = survivors
        inode.durable = bytes(survivors)
        inode.written = []


class ProcessDisk:
    """The core ``Disk`` of one process: dead when the process is."""

    def __init__(self, machine: MachineDisk, process: Process) -> None:
        self.machine = machine
        self.process = process

    @property
    def queue_depth(self) -> int:
        """See ``Disk.queue_depth``."""
        return 0

    async def create(self, path: str) -> DiskFile:
        """See ``Disk.create``."""

        def apply() -> SimulatedFile:
            self._require_parent(path)
            if path in self.machine.names or path in self.machine.directories:
                raise FileExistsError(errno.EEXIST, "File exists", path)
            if self.machine.faults.is_full:
                raise OSError(errno.ENOSPC, "No space left on device")
            inode = self.machine.names[path] = Inode()
            return SimulatedFile(self, path, inode, writable=True)

        return await self.operate("create", path, apply)

    async def open(self, path: str) -> DiskFile:
        """See ``Disk.open``."""
        return await self.operate("open", path, lambda: SimulatedFile(self, path, self._find(path), writable=False))

    async def rename(self, source: str, target: str) -> None:
        """See ``Disk.rename``."""

        def apply() -> None:
            inode = self._find(source)
            self._require_parent(target)
            if target in self.machine.directories:
                raise IsADirectoryError(errno.EISDIR, "Is a directory", target)
            del self.machine.names[source]
            self.machine.names[target] = inode
            self.machine.note(f"{source} becomes {target}")
            self.machine.at_change("rename", source, target)

        await self.operate("rename", target, apply)

    async def remove(self, path: str) -> None:
        """See ``Disk.remove``."""

        def apply() -> None:
            self._find(path)
            del self.machine.names[path]
            self.machine.note(f"{path} is removed")
            self.machine.at_change("remove", path, "")

        await self.operate("remove", path, apply)

    async def make_directory(self, path: str) -> None:
        """See ``Disk.make_directory``."""

        def apply() -> None:
            parts = path.split("/")
            for depth in range(1, len(parts) + 1):
                directory = "/".join(parts[:depth])
                if directory in self.machine.names:
                    raise FileExistsError(errno.EEXIST, "File exists", directory)
                self.machine.directories.add(directory)

        await self.operate("make_directory", path, apply)

    async def sync_directory(self, path: str) -> None:
        """See ``Disk.sync_directory``."""

        def apply() -> None:
            machine = self.machine
            if path not in machine.directories:
                raise FileNotFoundError(errno.ENOENT, "No such directory", path)
            for name in [name for name in machine.durable_names if dirname(name) == path]:
                del machine.durable_names[name]
            for name, inode in machine.names.items():
                if dirname(name) == path:
                    machine.durable_names[name] = inode

        await self.operate("sync_directory", path, apply)

    async def list(self, path: str) -> tuple[str, ...]:
        """See ``Disk.list``."""

        def apply() -> tuple[str, ...]:
            if path in self.machine.names:
                raise NotADirectoryError(errno.ENOTDIR, "Not a directory", path)
            prefix = f"{path}/" if path else ""
            names = [*self.machine.directories, *self.machine.names]
            return tuple(sorted(name.removeprefix(prefix) for name in names if name and dirname(name) == path))

        return await self.operate("list", path, apply)

    async def capacity(self) -> Capacity:
        """See ``Disk.capacity``."""
        return await self.operate("capacity", "", lambda: Capacity(self.machine.total_bytes, self.machine.used_bytes))

    async def operate(self, operation: str, path: str, apply: Callable[[], T]) -> T:
        """Do something after the time that it takes. A caller that is cancelled does not call it back."""
        self._require_alive()
        machine = self.machine
        future: asyncio.Future[T] = machine.loop.create_future()
        low, high = machine.faults.delay_s
        delay_s = low + (high - low) * machine.dice.random()
        machine.loop.call_later(delay_s, self._complete, operation, path, apply, future)
        return await future

    def _complete(self, operation: str, path: str, apply: Callable[[], Any], future: "asyncio.Future[Any]") -> None:
        machine = self.machine
        if not self.process.alive:
            if not future.done():
                future.set_exception(OSError(errno.EIO, "The process that opened the disk is dead"))
            return
        try:
            if machine.dice.happens(machine.faults.error_shares.get(operation, 0.0)):
                raise self._failure(operation, path, apply)
            result = apply()
        except OSError as error:
            machine.failures += error.errno in (errno.EIO, errno.ENOSPC)
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(result)

    def _failure(self, operation: str, path: str, apply: Callable[[], Any]) -> OSError:
        """Fail; an operation that fails may have happened all the same."""
        self.machine._trace.note(self.machine.loop.time(), f"EIO {self.machine.name} {operation} {path}")
        if operation in ("rename", "remove", "create") and self.machine.dice.happens(0.3):
            apply()
        return OSError(errno.EIO, "Input/output error", path)

    def _require_alive(self) -> None:
        if not self.process.alive:
            raise OSError(errno.EIO, "The process that opened the disk is dead")

    def _find(self, path: str) -> Inode:
        if path in self.machine.directories:
            raise IsADirectoryError(errno.EISDIR, "Is a directory", path)
        if path not in self.machine.names:
            raise FileNotFoundError(errno.ENOENT, "No such file", path)
        return self.machine.names[path]

    def _require_parent(self, path: str) -> None:
        if dirname(path) not in self.machine.directories:
            raise FileNotFoundError(errno.ENOENT, "No such directory", dirname(path))


class SimulatedFile:
    """An open file of a ``ProcessDisk``."""

    def __init__(self, disk: ProcessDisk, path: str, inode: Inode, *, writable: bool) -> None:
        self._disk = disk
        self._path = path
        self._inode = inode
        self._writable = writable
        self._closed = False

    async def write_at(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """See ``DiskFile.write_at``."""
        self._require_open()
        if not self._writable:
            raise OSError(errno.EBADF, "Bad file descriptor")
        data = b"".join(buffers)

        def apply() -> None:
            machine, inode = self._disk.machine, self._inode
            if machine.faults.is_full:
                raise OSError(errno.ENOSPC, "No space left on device")
            inode.content.extend(bytes(max(0, offset - len(inode.content))))
            inode.content[offset : offset + len(data)] = data
            inode.written.append((offset, offset + len(data)))

        await self._disk.operate("write", self._path, apply)

    async def read_at(self, offset: int, length_bytes: int) -> bytes:
        """See ``DiskFile.read_at``."""
        self._require_open()
        return await self._disk.operate(
            "read", self._path, lambda: bytes(self._inode.content[offset : offset + length_bytes])
        )

    async def read_into(self, offset: int, buffers: Sequence[bytearray | memoryview]) -> int:
        """See ``DiskFile.read_into``."""
        return scatter(await self.read_at(offset, sum(map(len, buffers))), buffers)

    async def sync(self) -> None:
        """See ``DiskFile.sync``."""
        self._require_open()
        inode, written = self._inode, self._inode.written
        inode.written = []
        content = bytes(inode.content)

        def apply() -> None:
            if not inode.sync_failed:
                inode.durable = content

        try:
            await self._disk.operate("sync", self._path, apply)
        except OSError:
            inode.sync_failed = True
            inode.written = written + inode.written
            raise

    async def size_bytes(self) -> int:
        """See ``DiskFile.size_bytes``."""
        self._require_open()
        return await self._disk.operate("size", self._path, lambda: len(self._inode.content))

    async def close(self) -> None:
        """See ``DiskFile.close``."""
        self._closed = True

    def _require_open(self) -> None:
        if self._closed:
            raise ValueError("The file is closed.")
