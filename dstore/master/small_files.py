"""Small files: their content is sealed in their manifests, so that one transaction makes many of them visible.

    reserve ──► identities and versions ──(the client seals)──► put: inode and entry, without an intent

What a function refuses is specified in protos/dstore/v1/namespace_service.proto.
"""

import hashlib
from collections.abc import Sequence

from dstore.core.errors import Conflict, DstoreError, InvalidRequest, LimitExceeded
from dstore.core.files import FileInfo, FileKind, FileReservation, Policy, SmallFile
from dstore.core.ids import FileId, RequestId, Version
from dstore.core.limits import INLINE_SIZE_BYTES_MAX, RESERVED_FILES_MAX
from dstore.master import codec, counters, history, requests, tree
from dstore.master.batches import path_size
from dstore.master.directories import Directories, Place
from dstore.master.history import End, NewFile
from dstore.master.preconditions import check_precondition
from dstore.master.renames import check_manifest
from dstore.master.requests import Request
from dstore.master.store.base import Transaction
from dstore.master.writes import check_keys, version_superseded


def check_reservation(count: int) -> None:
    """Refuse a reservation of nothing, or of too much.

    Raises:
        InvalidRequest: reason ``RESERVATION_INVALID``.
        LimitExceeded: reason ``RESERVATION_TOO_LARGE``.
    """
    if count < 1:
        raise InvalidRequest(f"{count} files cannot be reserved; ask for 1 or more.", reason="RESERVATION_INVALID")
    if count > RESERVED_FILES_MAX:
        raise LimitExceeded(
            f"One call reserves {RESERVED_FILES_MAX} files, not {count}; ask for the others later.",
            reason="RESERVATION_TOO_LARGE",
        )


def reserve(tx: Transaction, count: int) -> FileReservation:
    """Give out identities and versions."""
    file_id, version = counters.take(tx, "file_id", count), counters.take(tx, "version", count)
    return FileReservation(FileId(file_id), Version(version), count)


def put_each(
    tx: Transaction, policy: Policy, items: Sequence[tuple[SmallFile, RequestId]], *, now_ns: int
) -> list[FileInfo | DstoreError]:
    """Make files visible, one after the other; return for each what it is now, or why it is refused."""
    batch = _Batch(tx, policy, now_ns)
    wanted = [_describe(file, request_id) for file, request_id in items]
    answers = requests.once_each(
        tx, wanted, FileInfo, lambda position: batch.put(items[position][0]), lambda info: path_size(info.path)
    )
    batch.flush()
    return answers


def _describe(file: SmallFile, request_id: RequestId) -> Request | DstoreError:
    try:
        return requests.identify(request_id, "PutFile", _digest(file))
    except InvalidRequest as error:
        return error


def _digest(file: SmallFile) -> bytes:
    """Return a digest of all that is asked for; the long parts follow their lengths, as they are."""
    keys = file.wrapped_keys
    numbers = (file.parent_id, file.file_id, file.version, file.size_bytes)
    condition = (file.precondition.kind.value, file.precondition.version)
    lengths = [len(file.sealed_manifest), *[(key.kind, len(key.key_id), len(key.data)) for key in keys]]
    head = repr((file.path, condition, numbers, lengths)).encode()
    return hashlib.sha256(b"".join([head, file.sealed_manifest, *[key.key_id + key.data for key in keys]])).digest()


class _Batch:
    """Files that become visible together. Each is checked before anything of it is noted; ``flush`` writes them."""

    def __init__(self, tx: Transaction, policy: Policy, now_ns: int) -> None:
        self._tx = tx
        self._policy = policy
        self._now_ns = now_ns
        self._directories = Directories(tx)
        self._newest_file_id = counters.read(tx, "file_id")
        self._newest_version = counters.read(tx, "version")
        #: Not written yet, by place; with what each of them replaces.
        self._files: dict[tuple[FileId, str], NewFile] = {}
        self._replaced: dict[tuple[FileId, str], FileId] = {}
        self._file_ids: set[FileId] = set()

    def put(self, file: SmallFile) -> FileInfo:
        """Make one file visible.

        Raises:
            DstoreError: it is refused; nothing of it is noted.
        """
        _check_content(file)
        place = self._directories.find(file.path)
        if place is None:
            raise tree.is_a_directory("/")
        key = (place.directory.file_id, place.name)
        if key in self._files:
            # One transaction gives a name to one file.
            self.flush()
        found = tree.find(self._tx, *key)
        self._check(file, place, found)
        if found is not None:
            self._replaced[key] = found.file_id
        created_ns = found.created_ns if found is not None else self._now_ns
        self._files[key] = self._new(file, key, created_ns)
        self._file_ids.add(file.file_id)
        return FileInfo(
            path=place.path,
            kind=FileKind.FILE,
            file_id=file.file_id,
            size_bytes=file.size_bytes,
            version=file.version,
            created_ns=created_ns,
            modified_ns=self._now_ns,
        )

    def flush(self) -> None:
        """Write what is noted, as a transaction of the namespace of its own."""
        if not self._files:
            return
        txn = history.begin(self._tx)
        if self._replaced:
            history.end_entries(self._tx, txn, list(self._replaced), End.REPLACED, self._now_ns)
            history.end_inodes(self._tx, txn, list(self._replaced.values()))
        history.add_files(self._tx, txn, list(self._files.values()), self._now_ns)
        self._files.clear()
        self._replaced.clear()

    def _check(self, file: SmallFile, place: Place, found: tree.Inode | None) -> None:
        directory = place.directory
        if file.parent_id != directory.file_id:
            raise _parent_changed(place.path, directory.file_id)
        check_precondition(file.precondition, found, place.path)
        newest = max(directory.floor_version, found.version if found is not None else 0)
        # Versions at one name only grow, whenever they were given out.
        if not newest < file.version <= self._newest_version:
            raise version_superseded(place.path, newest, f"cannot get version {file.version}")
        if not 0 < file.file_id <= self._newest_file_id or self._is_used(file.file_id):
            raise version_superseded(place.path, newest, f"cannot be file {file.file_id}, which is another one")

    def _is_used(self, file_id: FileId) -> bool:
        return file_id in self._file_ids or bool(
            self._tx.execute(
                "SELECT 1 FROM inodes WHERE file_id = ? UNION ALL SELECT 1 FROM intents WHERE file_id = ? LIMIT 1",
                (file_id, file_id),
            )
        )

    def _new(self, file: SmallFile, key: tuple[FileId, str], created_ns: int) -> NewFile:
        return NewFile(
            parent_id=key[0],
            name=key[1],
            file_id=file.file_id,
            version=file.version,
            size_bytes=file.size_bytes,
            chunk_count=0,
            chunk_size_bytes=self._policy.chunk_size_bytes,
            created_ns=created_ns,
            wrapped_keys=codec.encode(file.wrapped_keys),
            sealed_manifest=file.sealed_manifest,
        )


def _check_content(file: SmallFile) -> None:
    check_manifest(file.sealed_manifest, is_directory=False)
    check_keys(file.wrapped_keys)
    if not 0 <= file.size_bytes <= min(INLINE_SIZE_BYTES_MAX, len(file.sealed_manifest)):
        raise InvalidRequest(
            f"{file.size_bytes} bytes are not the size of a small file whose manifest has "
            f"{len(file.sealed_manifest)}; write files of more than {INLINE_SIZE_BYTES_MAX} bytes in chunks.",
            reason="SIZE_INVALID",
        )


def _parent_changed(path: str, parent_id: FileId) -> Conflict:
    return Conflict(
        f"The directory of {path} is another one than the file was sealed for; seal it for this one, and send it "
        "again.",
        reason="PARENT_CHANGED",
        metadata={"path": path, "parent_id": str(parent_id)},
    )
