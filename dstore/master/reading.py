"""What a reader of a file needs; each function is one transaction's work, without the groups' live state."""

from collections.abc import Sequence
from dataclasses import dataclass

from dstore.core.errors import DstoreError, InvalidRequest, NotFound
from dstore.core.files import ChunkRecord, FileInfo, FileKind, WrappedKey
from dstore.core.ids import ChunkId, FileId, ServerId, Version
from dstore.core.limits import CHUNK_RECORDS_PER_MESSAGE_MAX
from dstore.core.paths import join_path, split_path
from dstore.core.quick_init import quick_init
from dstore.master import codec, tree
from dstore.master.batches import Room, batch_full, error_size, path_size
from dstore.master.directories import Directories
from dstore.master.store.base import INTEGER_MAX, Transaction

_FILE_AT = (
    f"SELECT {tree.INODE_COLUMNS}, i.sealed_manifest, i.wrapped_keys FROM live_inodes i WHERE i.file_id = "  # noqa: S608
    "(SELECT file_id FROM live_entries WHERE parent_id = ? AND name = ?)"
)
#: Where that has the size of chunks.
_CHUNK_SIZE = tree.INODE_COLUMNS.split(", ").index("i.chunk_size_bytes")
_read_keys = codec.decoder(tuple[WrappedKey, ...])
#: A chunk record with its group, at most, as in the bound of one message.
_RECORD_SIZE_BYTES = 400


@quick_init
@dataclass(frozen=True, slots=True)
class OpenedRows:
    """A file as it is stored."""

    info: FileInfo
    parent_id: FileId
    chunk_size_bytes: int
    sealed_manifest: bytes
    wrapped_keys: tuple[WrappedKey, ...]
    records: tuple[ChunkRecord, ...]


def open_file(tx: Transaction, path: str, *, start_index: int, count: int) -> OpenedRows:
    """Return a file with up to ``count`` chunk records from ``start_index`` on."""
    names = split_path(path)
    inode = tree.resolve(tx, names)
    if inode.is_directory:
        raise tree.is_a_directory(join_path(names))
    sealed_manifest, wrapped_keys = tx.execute(
        "SELECT sealed_manifest, wrapped_keys FROM live_inodes WHERE file_id = ?", (inode.file_id,)
    )[0]
    return OpenedRows(
        info=inode.describe(join_path(names)),
        parent_id=tree.resolve_parent(tx, names).file_id,
        chunk_size_bytes=inode.chunk_size_bytes,
        sealed_manifest=sealed_manifest,
        wrapped_keys=_read_keys(wrapped_keys),
        records=_records(tx, inode.file_id, start_index, count),
    )


def stat_each(tx: Transaction, paths: Sequence[str]) -> list[FileInfo | DstoreError]:
    """Describe paths, as far as the answers fit."""
    room, directories = Room(), Directories(tx)
    answers: list[FileInfo | DstoreError] = []
    for path in paths:
        try:
            inode, found = _find(tx, directories, path)
        except DstoreError as error:
            answers.append(error if room.take(error_size(error)) else batch_full())
            continue
        answers.append(inode.describe(found) if room.take(path_size(found)) else batch_full())
    return answers


def open_each(tx: Transaction, paths: Sequence[str]) -> list[OpenedRows | DstoreError]:
    """Return files with their first chunk records, as far as the answers fit."""
    room, directories = Room(), Directories(tx)
    answers: list[OpenedRows | DstoreError] = []
    for path in paths:
        try:
            answers.append(_open(tx, room, directories, path))
        except DstoreError as error:
            answers.append(error if room.take(error_size(error)) else batch_full())
    return answers


def _open(tx: Transaction, room: Room, directories: Directories, path: str) -> OpenedRows:
    if room.is_full:
        raise batch_full()
    place = directories.find(path)
    if place is None:
        raise tree.is_a_directory("/")
    found, parent_id = place.path, place.directory.file_id
    rows = tx.execute(_FILE_AT, (parent_id, place.name.encode()))
    if not rows:
        raise tree.not_found(found)
    *columns, sealed_manifest, wrapped_keys = rows[0]
    info = tree.info_from_row(columns, found)
    if info.is_directory:
        raise tree.is_a_directory(found)
    count = min(info.chunk_count, CHUNK_RECORDS_PER_MESSAGE_MAX)
    size_bytes = path_size(found) + len(sealed_manifest) + len(wrapped_keys) + count * _RECORD_SIZE_BYTES
    if not room.take(size_bytes):
        raise batch_full()
    return OpenedRows(
        info=info,
        parent_id=parent_id,
        chunk_size_bytes=columns[_CHUNK_SIZE],
        sealed_manifest=sealed_manifest,
        wrapped_keys=_read_keys(wrapped_keys),
        records=_records(tx, info.file_id, 0, count) if count else (),
    )


def _find(tx: Transaction, directories: Directories, path: str) -> tuple[tree.Inode, str]:
    """Return what a path names, and the path in its one form."""
    place = directories.find(path)
    if place is None:
        return tree.resolve(tx, ()), "/"
    inode = tree.find(tx, place.directory.file_id, place.name)
    if inode is None:
        raise tree.not_found(place.path)
    return inode, place.path


def list_chunks(
    tx: Transaction, file_id: FileId, version: Version, *, start_index: int, count: int
) -> tuple[ChunkRecord, ...]:
    """Return consecutive chunk records.

    The content of a file id never changes; renaming and restoring give it a new version and keep the old ones readable.
    So a reader whose file was replaced or removed goes on while the file is retained.
    """
    if not _is_kept(tx, file_id, version):
        raise NotFound(
            f"Version {version} of file {file_id} is no longer kept; open the file again.",
            reason="VERSION_NOT_FOUND",
            metadata={"file_id": str(file_id), "version": str(version)},
        )
    return _records(tx, file_id, start_index, count or CHUNK_RECORDS_PER_MESSAGE_MAX)


def _is_kept(tx: Transaction, file_id: FileId, version: Version) -> bool:
    if not (0 <= file_id <= INTEGER_MAX and 0 <= version <= INTEGER_MAX):
        return False
    rows = tx.execute(
        "SELECT 1 FROM inodes WHERE file_id = ? AND kind = ? AND first_version <= ? AND version >= ? "
        "AND to_txn > (SELECT value FROM counters WHERE name = 'collected_txn') LIMIT 1",
        (file_id, FileKind.FILE.value, version, version),
    )
    return bool(rows)


def missing_replicas(tx: Transaction, records: tuple[ChunkRecord, ...]) -> dict[ChunkId, tuple[ServerId, ...]]:
    """Return the servers that are known not to hold a chunk, for the chunks where there are some."""
    missing: dict[ChunkId, tuple[ServerId, ...]] = {}
    for record in records:
        rows = tx.execute(
            "SELECT server_id FROM missing_replicas WHERE group_id = ? AND sequence = ? ORDER BY server_id",
            (record.chunk_id.group_id, record.chunk_id.sequence),
        )
        if rows:
            missing[record.chunk_id] = tuple(row[0] for row in rows)
    return missing


def _records(tx: Transaction, file_id: FileId, start_index: int, count: int) -> tuple[ChunkRecord, ...]:
    if start_index < 0 or count < 0:
        raise InvalidRequest(
            f"Chunks are counted from 0; {count} chunks from {start_index} on cannot be had.",
            reason="CHUNK_RANGE_INVALID",
        )
    rows = tx.execute(
        "SELECT chunk_index, group_id, sequence, length_bytes, crc32c, header FROM chunks "
        "WHERE file_id = ? AND chunk_index >= ? ORDER BY chunk_index LIMIT ?",
        (file_id, min(start_index, INTEGER_MAX), min(count, CHUNK_RECORDS_PER_MESSAGE_MAX)),
    )
    return tuple(ChunkRecord(row[0], ChunkId(row[1], row[2]), *row[3:]) for row in rows)
