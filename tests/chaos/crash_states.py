"""What a directory may hold after a power loss: the model of a disk that promises no more than POSIX does.

Durable is what a sync that succeeded covers: the content of a file by a sync of the file, a name by a sync of the
directory that holds it. Of everything else, any part may be there and any part may be missing, in any combination, and
the last write may be torn. A sync that failed covers nothing, and what it should have covered is lost to every later
sync, as on Linux. A file that was renamed is at least under one of its names.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import dirname
from typing import TypeAlias

from disk_record import DiskCall

#: The unit in which disks write: a torn write ends at a multiple of it.
SECTOR_SIZE_BYTES = 512


#: How many of the last changes are kept or lost one by one; older ones are seldom of interest any more.
SINGLE_CHANGES_MAX = 6


@dataclass(eq=False, slots=True)
class _Node:
    """A file or directory, whatever names it has."""

    is_directory: bool


@dataclass(eq=False, slots=True)
class DataChange:
    """A write or, without data, a change of length; not yet covered by a sync."""

    node: _Node
    offset: int
    data: bytes | None
    is_lost: bool = False


@dataclass(eq=False, slots=True)
class NameChange:
    """A name that was given to a node, or taken away (node None), in one directory.

    Attributes:
        moved_to: for the half of a rename that takes the old name away: the half that gives the new one.
    """

    path: str
    node: _Node | None
    moved_to: "NameChange | None" = None
    is_lost: bool = False


Change: TypeAlias = DataChange | NameChange


@dataclass(eq=False, slots=True)
class _OpenFile:
    """A file as a descriptor has it."""

    node: _Node
    position: int = 0


@dataclass(slots=True)
class _Sync:
    """A sync under way: what it covers, and whether it will fail."""

    end_s: float
    changes: list[Change] = field(default_factory=list)
    failed: bool = False


class CrashModel:
    """Follows the calls of one process, and tells what a power loss would leave at each moment."""

    def __init__(self) -> None:
        self._root = _Node(is_directory=True)
        self._names: dict[str, _Node] = {"": self._root}
        #: By descriptor and path: a number may be given to one thread for an open that began before another thread
        #: had done with the file that had it.
        self._files: dict[tuple[int, str], _OpenFile] = {}
        self._latest: dict[int, _OpenFile] = {}
        self._durable: list[Change] = []
        self._pending: list[Change] = []
        self._order: dict[int, int] = {}
        self._syncs: list[_Sync] = []

    @property
    def pending(self) -> tuple[Change, ...]:
        """Everything that a power loss may take, in the order in which it was done."""
        return tuple(self._pending)

    def begin(self, call: DiskCall) -> None:
        """Take note that a call began; calls come in the order in which they began."""
        self.advance(call.begin_s)
        if call.function == "open":
            self._open(call)
        elif call.function == "mkdir":
            # The directory itself is taken as durable: its parents are not recorded.
            if call.path:
                self._name(call.path, _Node(is_directory=True))
        elif call.function == "rename":
            node = self._names[call.path]
            assert not node.is_directory, f"renaming the directory {call.path} is not modelled"
            given = self._name(call.target, node)
            self._name(call.path, None, moved_to=given)
            self._files |= {
                (number, call.target): file for (number, _), file in self._files.items() if file.node is node
            }
        elif call.function in ("unlink", "rmdir"):
            self._name(call.path, None)
        elif call.function == "sync":
            self._sync(call)
        else:
            self._write(call)

    def advance(self, now_s: float) -> None:
        """Take note that this moment has come: syncs that ended before it are in force."""
        ended = [sync for sync in self._syncs if sync.end_s <= now_s]
        self._syncs = [sync for sync in self._syncs if sync.end_s > now_s]
        for sync in sorted(ended, key=lambda sync: sync.end_s):
            for change in sync.changes:
                if sync.failed:
                    change.is_lost = True
                elif not change.is_lost and change in self._pending:
                    self._pending.remove(change)
                    self._durable.append(change)

    def build(self, kept: Sequence[Change], image: Path, *, torn: bool = False) -> None:
        """Write to the new directory ``image`` what is there when, besides the durable, only ``kept`` was written.

        ``torn`` cuts the last write of them in its middle.
        """
        chosen = {id(change) for change in (*self._durable, *kept)}
        chosen -= {
            id(change)
            for change in (*self._durable, *kept)
            if isinstance(change, NameChange) and change.moved_to is not None and id(change.moved_to) not in chosen
        }
        names: dict[str, _Node] = {}
        contents: dict[int, bytearray] = {}
        last_write = next((each for each in reversed(kept) if isinstance(each, DataChange) and each.data), None)
        for change in sorted((*self._durable, *kept), key=lambda each: self._order[id(each)]):
            if id(change) not in chosen:
                continue
            if isinstance(change, NameChange):
                names.pop(change.path, None)
                if change.node is not None:
                    names[change.path] = change.node
            else:
                _change(contents.setdefault(id(change.node), bytearray()), change, torn and change is last_write)
        _write_image(image, names, contents)

    def _open(self, call: DiskCall) -> None:
        node = self._names.get(call.path)
        if node is None:
            assert call.creates, f"{call.path} was opened before it was made"
            node = _Node(is_directory=False)
            self._name(call.path, node)
        if call.empties:
            self._add(DataChange(node, 0, None))
        self._files[call.file, call.path] = self._latest[call.file] = _OpenFile(node)

    def _opened(self, call: DiskCall) -> _OpenFile:
        # A file that has no name any more has another path.
        return self._files.get((call.file, call.path)) or self._latest[call.file]

    def _write(self, call: DiskCall) -> None:
        file = self._opened(call)
        if call.function == "truncate":
            self._add(DataChange(file.node, call.offset, None))
            return
        offset = call.offset
        if offset < 0:
            offset = file.position
            file.position += len(call.data)
        self._add(DataChange(file.node, offset, call.data))

    def _name(self, path: str, node: _Node | None, moved_to: NameChange | None = None) -> NameChange:
        if node is None:
            del self._names[path]
        else:
            self._names[path] = node
        change = NameChange(path, node, moved_to)
        self._add(change)
        return change

    def _add(self, change: Change) -> None:
        self._order[id(change)] = len(self._order)
        self._pending.append(change)

    def _sync(self, call: DiskCall) -> None:
        node = self._opened(call).node if call.path else self._names[""]
        if node.is_directory:
            changes: list[Change] = [
                each for each in self._pending if isinstance(each, NameChange) and dirname(each.path) == call.path
            ]
        else:
            changes = [each for each in self._pending if isinstance(each, DataChange) and each.node is node]
        self._syncs.append(_Sync(call.end_s, changes, call.failed))


def _change(content: bytearray, change: DataChange, is_torn: bool) -> None:
    if change.data is None:
        del content[change.offset :]
        content.extend(bytes(change.offset - len(content)))
        return
    data = change.data
    if is_torn:
        data = data[: len(data) // 2 // SECTOR_SIZE_BYTES * SECTOR_SIZE_BYTES]
    content.extend(bytes(max(0, change.offset + len(data) - len(content))))
    content[change.offset : change.offset + len(data)] = data


def _write_image(image: Path, names: dict[str, _Node], contents: dict[int, bytearray]) -> None:
    image.mkdir(parents=True)
    # A name whose directory is not there is out of reach.
    for path in sorted(names):
        if (image / path).parent.is_dir():
            if names[path].is_directory:
                (image / path).mkdir()
            else:
                (image / path).write_bytes(contents.get(id(names[path]), b""))


@dataclass(frozen=True, slots=True)
class Loss:
    """One way to lose power: which of the pending changes are kept, and whether the last write is torn."""

    name: str
    kept: tuple[Change, ...]
    torn: bool = False


NOTHING_KEPT = Loss("nothing unsynced is kept", ())


def losses(pending: tuple[Change, ...], source: random.Random, *, random_count: int = 2) -> Iterator[Loss]:
    """Yield the ways that are tried: the extremes, each of the last changes kept or lost, and some at random."""
    yield NOTHING_KEPT
    if not pending:
        return
    yield Loss("everything is kept, the last write torn", pending, torn=True)
    yield Loss("names without contents", tuple(each for each in pending if isinstance(each, NameChange)))
    yield Loss("contents without names", tuple(each for each in pending if isinstance(each, DataChange)))
    for index in range(max(0, len(pending) - SINGLE_CHANGES_MAX), len(pending)):
        yield Loss(f"only change {index} is kept", (pending[index],))
        yield Loss(f"only change {index} is lost", (*pending[:index], *pending[index + 1 :]))
    for _ in range(random_count):
        kept = [index for index in range(len(pending)) if source.random() < 0.5]
        yield Loss(f"kept at random: {kept}", tuple(pending[index] for index in kept))
