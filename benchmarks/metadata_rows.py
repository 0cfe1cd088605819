"""Fills the database of a master with as many files as wanted: the rows that it writes itself, in bulk.

Most files are small and lie in their manifest, some have chunks. There is one huge directory, one large one, and a tree
of directories with a thousand files each, some of them deep. Names are not in the order in which the files were
written. Besides: versions that are retained, deleted chunks whose grace is over, and answers to mutations.
"""

import itertools
import math
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from benchmarks.metadata_master import CHUNK_SIZE_BYTES, POLICY, open_model
from dstore.core.files import FileInfo, FileKind, WrappedKey
from dstore.core.ids import ROOT_ID, FileId, Version
from dstore.core.limits import SEGMENT_SEALED_SIZE_BYTES, SEGMENT_TAG_SIZE_BYTES
from dstore.master import codec, counters
from dstore.master.counter_check import check_counters
from dstore.master.process import DATABASE_NAME
from dstore.master.store.base import Row, Transaction, Value
from dstore.master.store.schema import LIVE

HUGE_MAX = 1_000_000
LARGE_MAX = 100_000
LEAF_SIZE = 1_000
#: Of the leaves, every fourth is so much deeper.
DEEP_EVERY = 4
DEEPER = ("a", "b", "c", "d", "e")
INLINE_SIZE_BYTES = 1024
#: What a sealed manifest has beside the content.
MANIFEST_SIZE_BYTES = 256
#: One of so many files has chunks, and how many.
CHUNKED_EVERY = 10
CHUNKS_PER_FILE = 4
#: One of so many was removed and is retained.
RETAINED_EVERY = 100
#: For each so many files there is a deleted chunk, and an answer to a mutation.
DELETED_EVERY = 10
ANSWERED_EVERY = 10
#: Past the grace of everything that was deleted at 0.
RUNNING_S = 10_000
CREATED_NS = 1_700_000_000_000_000_000
CHUNK_LENGTH_BYTES = CHUNK_SIZE_BYTES // 16384 * SEGMENT_SEALED_SIZE_BYTES + 56 + SEGMENT_TAG_SIZE_BYTES
_KEYS = codec.encode((WrappedKey(1, bytes(8), bytes(range(60))),))
_PATTERN = os.urandom(1 << 20)
_ENTRY = (
    "INSERT INTO entries (parent_id, name, from_txn, to_txn, file_id, ended_ns, ended_by) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_INODE = (
    "INSERT INTO inodes (file_id, from_txn, to_txn, kind, version, first_version, floor_version, size_bytes, "
    "chunk_count, chunk_size_bytes, created_ns, modified_ns, wrapped_keys, sealed_manifest) "
    "VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory with ``count`` files."""

    path: str
    count: int

    def name(self, number: int) -> str:
        """Return the name of the file that was written as the ``number``-th; the order of names is another one."""
        return f"file-{number * _stride(self.count) % self.count:07d}"


def plan(files: int) -> tuple[Directory, ...]:
    """Return the directories with files; the first is the huge one, the second the large one.

    Raises:
        ValueError: there are too few files for the directories.
    """
    huge, large = min(HUGE_MAX, files // 2), min(LARGE_MAX, files // 10)
    leaves = (files - huge - large) // LEAF_SIZE
    if leaves < 1 or files % LEAF_SIZE:
        raise ValueError(f"{files} files cannot be spread; take a multiple of {10 * LEAF_SIZE}.")
    tree = [f"/tree/{number // 100:02d}/{number % 100:02d}" for number in range(leaves)]
    deep = [f"{path}/{'/'.join(DEEPER)}" if number % DEEP_EVERY == 0 else path for number, path in enumerate(tree)]
    return Directory("/huge", huge), Directory("/large", large), *(Directory(path, LEAF_SIZE) for path in deep)


async def fill(directory: Path, files: int, tell: Callable[[str], None], *, check: bool) -> None:
    """Make a database with so many live files in ``directory``.

    Raises:
        RuntimeError: with ``check``, when the counters do not fit the rows.
    """
    async with open_model(directory) as model:
        # The master's own code makes the servers and groups.
        await model.place(POLICY.replicas * 4)
        groups = sorted(model.master.shared.allocator.groups.by_id)
    database = apsw.Connection(str(directory / DATABASE_NAME))
    for pragma in ("journal_mode = DELETE", "journal_mode = OFF", "cache_size = -3000000"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    database.execute("PRAGMA synchronous = OFF")
    with database:
        _Filler(_Bulk(database), groups).run(files, tell)
    if check:
        tell("checking the counters")
        if findings := check_counters(_Bulk(database)):
            raise RuntimeError(f"The rows do not fit the counters: {findings}.")
    database.close()
    with (directory / DATABASE_NAME).open("rb+") as file:
        os.fsync(file.fileno())


class _Bulk:
    """A ``Transaction`` outside of any store."""

    def __init__(self, database: apsw.Connection) -> None:
        self._database = database

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        return self._database.execute(sql, tuple(values)).fetchall()

    def execute_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        self._database.executemany(sql, rows)


class _Filler:
    def __init__(self, tx: Transaction, groups: Sequence[int]) -> None:
        self._tx = tx
        self._groups = groups
        self._ids = itertools.count(counters.read(tx, "file_id") + 1)
        self._last = 0
        self._sequence = counters.read(tx, "chunk_sequence")
        self._live = self._retained = 0
        self._live_bytes = self._retained_bytes = 0
        self._known: dict[str, int] = {"/": ROOT_ID}

    def run(self, files: int, tell: Callable[[str], None]) -> None:
        for number, directory in enumerate(plan(files)):
            parent_id = self._make(directory.path)
            if number < 2 or number % 1_000 == 0:
                tell(f"filling {directory.path}")
            self._insert_files(parent_id, directory)
        tell("deleted chunks and answers")
        self._insert_deleted(files // DELETED_EVERY)
        self._insert_answers(files // ANSWERED_EVERY)
        self._count()

    def _make(self, path: str) -> int:
        if path not in self._known:
            above, _, name = path.rpartition("/")
            parent_id, file_id = self._make(above or "/"), self._take_id()
            self._tx.execute(_INODE, self._inode(file_id, "directory", 0, 0, 0, "[]", b""))
            self._tx.execute(_ENTRY, (parent_id, name.encode(), file_id, LIVE, file_id, 0, ""))
            self._known[path] = file_id
        return self._known[path]

    def _take_id(self) -> int:
        self._last = next(self._ids)
        return self._last

    def _inode(
        self,
        file_id: int,
        kind: str,
        size_bytes: int,
        chunk_count: int,
        chunk_size_bytes: int,
        keys: str,
        manifest: bytes,
    ) -> tuple[Value, ...]:
        # The file id stands for the version and for the transaction, too: one of each for one file.
        numbers = (file_id, file_id, LIVE, kind, file_id, file_id)
        return (*numbers, size_bytes, chunk_count, chunk_size_bytes, CREATED_NS, CREATED_NS, keys, manifest)

    def _insert_files(self, parent_id: int, directory: Directory) -> None:
        first = self._last + 1
        ids = [self._take_id() for _ in range(directory.count)]
        self._tx.execute_many(_INODE, (self._file(file_id) for file_id in ids))
        names = (directory.name(number).encode() for number in range(directory.count))
        rows = zip(names, ids, strict=True)
        self._tx.execute_many(_ENTRY, ((parent_id, name, file_id, LIVE, file_id, 0, "") for name, file_id in rows))
        chunked = [file_id for file_id in ids if file_id % CHUNKED_EVERY == 0]
        self._tx.execute_many(
            "INSERT INTO chunks (file_id, chunk_index, group_id, sequence, length_bytes, crc32c, header) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            self._chunks(chunked),
        )
        self._live += directory.count
        self._live_bytes += self._size(ids)
        self._insert_retained(parent_id, first, directory.count // RETAINED_EVERY)

    def _file(self, file_id: int) -> tuple[Value, ...]:
        if file_id % CHUNKED_EVERY == 0:
            size_bytes, count, length = CHUNKS_PER_FILE * CHUNK_SIZE_BYTES, CHUNKS_PER_FILE, MANIFEST_SIZE_BYTES
        else:
            size_bytes, count, length = INLINE_SIZE_BYTES, 0, INLINE_SIZE_BYTES + MANIFEST_SIZE_BYTES
        start = file_id * 7919 % (len(_PATTERN) - length)
        return self._inode(
            file_id, "file", size_bytes, count, CHUNK_SIZE_BYTES, _KEYS, _PATTERN[start : start + length]
        )

    def _size(self, ids: list[int]) -> int:
        chunked = sum(file_id % CHUNKED_EVERY == 0 for file_id in ids)
        return chunked * CHUNKS_PER_FILE * CHUNK_SIZE_BYTES + (len(ids) - chunked) * INLINE_SIZE_BYTES

    def _chunks(self, ids: list[int]) -> Iterator[tuple[Value, ...]]:
        header = bytes(range(56))
        for file_id in ids:
            for index in range(CHUNKS_PER_FILE):
                self._sequence += 1
                group_id = self._groups[self._sequence % len(self._groups)]
                yield file_id, index, group_id, self._sequence, CHUNK_LENGTH_BYTES, self._sequence & 0xFFFFFFFF, header

    def _insert_retained(self, parent_id: int, first: int, count: int) -> None:
        """Insert small files that were removed again, each by a transaction of its own."""
        ids = [file_id for file_id in (self._take_id() for _ in range(count)) if file_id % CHUNKED_EVERY]
        for number, file_id in enumerate(ids):
            end = self._take_id()
            row = self._file(file_id)
            self._tx.execute(_INODE, (*row[:2], end, *row[3:]))
            name = f"gone-{first + number}".encode()
            self._tx.execute(_ENTRY, (parent_id, name, file_id, end, file_id, CREATED_NS, "removed"))
        self._retained += len(ids)
        self._retained_bytes += self._size(ids)

    def _insert_deleted(self, count: int) -> None:
        sequences = range(self._sequence + 1, self._sequence + 1 + count)
        self._sequence += count
        self._tx.execute_many(
            "INSERT INTO deleted_chunks (group_id, sequence, reason, deleted_ns, deleted_running_s) "
            "VALUES (?, ?, 'released', ?, 0)",
            ((self._groups[sequence % len(self._groups)], sequence, CREATED_NS) for sequence in sequences),
        )
        counters.add(self._tx, "deleted_chunks", count)

    def _insert_answers(self, count: int) -> None:
        path = "/tree/00/01/file-0000001"
        info = FileInfo(path, FileKind.FILE, FileId(1), 1024, Version(1), CREATED_NS, CREATED_NS, 0)
        answer = codec.encode(info)
        self._tx.execute_many(
            "INSERT INTO requests (request_id, method, fingerprint, response, stored_running_s) VALUES (?, ?, ?, ?, ?)",
            ((str(uuid.uuid4()), "CommitWrite", bytes(32), answer, RUNNING_S) for _ in range(count)),
        )

    def _count(self) -> None:
        for name in ("file_id", "version", "txn"):
            self._tx.execute("UPDATE counters SET value = ? WHERE name = ?", (self._last, name))
        for name, value in {
            "chunk_sequence": self._sequence,
            "running_s": RUNNING_S,
            "files": self._live,
            "directories": len(self._known),
            "logical_bytes": self._live_bytes,
            "retained_files": self._retained,
            "retained_bytes": self._retained_bytes,
        }.items():
            self._tx.execute("UPDATE counters SET value = ? WHERE name = ?", (value, name))
        self._tx.execute(
            "UPDATE groups SET chunk_count = n, chunk_bytes = b FROM (SELECT group_id AS id, COUNT(*) AS n, "
            "SUM(length_bytes) AS b FROM chunks GROUP BY group_id) WHERE id = group_id"
        )


def _stride(count: int) -> int:
    return next(stride for stride in (7919, 7907, 7901) if math.gcd(stride, count) == 1)
