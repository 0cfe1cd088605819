"""The rows of entries and inodes, each from the transaction that made it up to the one that ended it.

    (none) ──► live: [from_txn, LIVE) ──► ended: [from_txn, to_txn) ──(retention over)──► deleted

A row that stops being true is ended, never changed or deleted, so that removed and replaced versions can be restored
and a reader can finish what it opened. The views of the schema give the live rows (``live_entries``, ``live_inodes``)
and the ended ones that are still kept (``kept_entries``). What a removal ends has the same ``to_txn`` in both tables:
an ended entry belongs to the inode row of its file that ended with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from dstore.core.files import FileKind
from dstore.core.ids import FileId, Version
from dstore.core.quick_init import quick_init
from dstore.master import counters
from dstore.master.store.base import Transaction, batches, expand
from dstore.master.store.schema import LIVE

#: With the number as it is, so that SQLite sees that the index of the live entries fits.
_END_ENTRY = f"UPDATE entries SET to_txn = ?, ended_ns = ?, ended_by = ? WHERE to_txn = {LIVE}"  # noqa: S608


class End(Enum):
    """Why an entry ended."""

    REMOVED = "removed"
    REPLACED = "replaced"
    RENAMED = "renamed"


@quick_init
@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that gets its place with a transaction."""

    parent_id: FileId
    name: str
    file_id: FileId
    version: Version
    size_bytes: int
    chunk_count: int
    chunk_size_bytes: int
    created_ns: int
    wrapped_keys: str = field(repr=False)
    sealed_manifest: bytes = field(repr=False)


def begin(tx: Transaction) -> int:
    """Return the number of this transaction; every one that changes the namespace, or deletes, takes one, once."""
    return counters.take(tx, "txn")


def add_entry(tx: Transaction, txn: int, parent_id: FileId, name: str, file_id: FileId) -> None:
    """Give an inode its place."""
    tx.execute(
        "INSERT INTO entries (parent_id, name, from_txn, to_txn, file_id, ended_ns, ended_by) "
        "VALUES (?, ?, ?, ?, ?, 0, '')",
        (parent_id, name.encode(), txn, LIVE, file_id),
    )


def add_files(tx: Transaction, txn: int, files: Sequence[NewFile], now_ns: int) -> None:
    """Give files their places, which must be free."""
    tx.execute_many(
        "INSERT INTO inodes (file_id, from_txn, to_txn, kind, version, first_version, floor_version, size_bytes, "
        "chunk_count, chunk_size_bytes, created_ns, modified_ns, wrapped_keys, sealed_manifest) "
        "VALUES (?, ?, ?, 'file', ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                file.file_id,
                txn,
                LIVE,
                file.version,
                file.version,
                file.size_bytes,
                file.chunk_count,
                file.chunk_size_bytes,
                file.created_ns,
                now_ns,
                file.wrapped_keys,
                file.sealed_manifest,
            )
            for file in files
        ],
    )
    tx.execute_many(
        "INSERT INTO entries (parent_id, name, from_txn, to_txn, file_id, ended_ns, ended_by) "
        "VALUES (?, ?, ?, ?, ?, 0, '')",
        [(file.parent_id, file.name.encode(), txn, LIVE, file.file_id) for file in files],
    )
    _count_live(tx, len(files), sum(file.size_bytes for file in files))


def end_entry(tx: Transaction, txn: int, parent_id: FileId, name: str, end: End, now_ns: int) -> None:
    """End the entry that a directory has under a name."""
    end_entries(tx, txn, [(parent_id, name)], end, now_ns)


def end_entries(tx: Transaction, txn: int, places: Sequence[tuple[FileId, str]], end: End, now_ns: int) -> None:
    """End the entries that directories have under names."""
    tx.execute_many(
        f"{_END_ENTRY} AND parent_id = ? AND name = ?",
        [(txn, now_ns, end.value, parent_id, name.encode()) for parent_id, name in places],
    )


def end_entries_in(tx: Transaction, txn: int, directory_ids: Sequence[FileId], end: End, now_ns: int) -> None:
    """End all entries of directories."""
    for batch in batches(directory_ids):
        tx.execute(
            expand(f"{_END_ENTRY} AND parent_id IN (?*)", len(batch)),
            (txn, now_ns, end.value, *batch),
        )


def end_inodes(tx: Transaction, txn: int, file_ids: Sequence[FileId]) -> None:
    """End inodes: their content is retained from now on. Their entries end separately."""
    for batch in batches(file_ids):
        ended = tx.execute(
            expand(
                "UPDATE inodes SET to_txn = ? WHERE file_id IN (?*) AND to_txn = ? RETURNING kind, size_bytes",
                len(batch),
            ),
            (txn, *batch, LIVE),
        )
        files = [size_bytes for kind, size_bytes in ended if kind == FileKind.FILE.value]
        counters.add(tx, "directories", len(files) - len(ended))
        _count_live(tx, -len(files), -sum(files))
        _count_retained(tx, len(files), sum(files))


def move_inode(tx: Transaction, txn: int, file_id: FileId, version: Version, sealed_manifest: bytes) -> None:
    """Give a live inode another version, for another place; the content stays."""
    tx.execute("UPDATE inodes SET to_txn = ? WHERE file_id = ? AND to_txn = ?", (txn, file_id, LIVE))
    _revive(tx, txn, file_id, txn, version, sealed_manifest)


def restore_inode(
    tx: Transaction, txn: int, file_id: FileId, ended_txn: int, version: Version, sealed_manifest: bytes
) -> None:
    """Make the inode live again that ``ended_txn`` ended, with another version."""
    kind, size_bytes = _revive(tx, txn, file_id, ended_txn, version, sealed_manifest)
    if kind == FileKind.FILE.value:
        _count_retained(tx, -1, -size_bytes)
        _count_live(tx, 1, size_bytes)
    else:
        counters.add(tx, "directories", 1)


def forget_files(tx: Transaction, sizes_bytes: Sequence[int]) -> None:
    """Count files as no longer retained; their rows go separately."""
    _count_retained(tx, -len(sizes_bytes), -sum(sizes_bytes))


def _revive(
    tx: Transaction, txn: int, file_id: FileId, ended_txn: int, version: Version, sealed_manifest: bytes
) -> tuple[str, int]:
    rows = tx.execute(
        "INSERT INTO inodes (file_id, from_txn, to_txn, kind, version, first_version, floor_version, size_bytes, "
        "chunk_count, chunk_size_bytes, created_ns, modified_ns, wrapped_keys, sealed_manifest) "
        "SELECT file_id, ?, ?, kind, ?, first_version, floor_version, size_bytes, chunk_count, chunk_size_bytes, "
        "created_ns, modified_ns, wrapped_keys, ? FROM inodes WHERE file_id = ? AND to_txn = ? "
        "RETURNING kind, size_bytes",
        (txn, LIVE, version, sealed_manifest, file_id, ended_txn),
    )
    assert len(rows) == 1, "an inode has one row that ends with a transaction"
    return rows[0][0], rows[0][1]


def _count_live(tx: Transaction, files: int, size_bytes: int) -> None:
    counters.add(tx, "files", files)
    counters.add(tx, "logical_bytes", size_bytes)


def _count_retained(tx: Transaction, files: int, size_bytes: int) -> None:
    counters.add(tx, "retained_files", files)
    counters.add(tx, "retained_bytes", size_bytes)
