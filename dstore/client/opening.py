"""From what the master says to what the writer of a file vouches for.

The master knows the names, sizes and chunks of files in clear, because it must place and collect chunks. Nothing of
it is believed before it was compared with the manifest that the writer sealed (promise 2 of docs/architecture.md):
whoever changes the master's database cannot make a client accept other bytes.
"""

from dataclasses import dataclass, field

from dstore.client.answers import is_parent_possible
from dstore.client.high_water import HighWaterMarks
from dstore.core.errors import Corrupt
from dstore.core.files import ChunkRecord, FileInfo, FileKind, OpenedFile
from dstore.core.groups import Group
from dstore.core.ids import ClusterId, FileId, GroupId, Version
from dstore.core.interfaces import Namespace
from dstore.core.limits import CHUNK_RECORDS_PER_MESSAGE_MAX
from dstore.core.manifest import Manifest, digest_chunks
from dstore.core.quick_init import quick_init
from dstore.crypto.cobblestone import ChunkOpener, sealed_length
from dstore.crypto.keys import Keyring, unwrap_dek
from dstore.crypto.seal import open_manifest


@quick_init
@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """One version of a file whose manifest was opened and agrees with everything that the master said.

    Attributes:
        records: of all chunks, in order.
        groups: where the chunks are; the master's word, which needs no proof: wrong bytes do not authenticate.
        openers: of chunks that were read, by index: deriving the keys anew costs as much as decrypting 64 KiB.
    """

    path: str
    cluster_id: ClusterId
    manifest: Manifest
    dek: bytes = field(repr=False)
    records: tuple[ChunkRecord, ...] = field(repr=False)
    groups: dict[GroupId, Group] = field(repr=False, compare=False)
    openers: dict[int, ChunkOpener] = field(default_factory=dict, repr=False, compare=False)

    @property
    def info(self) -> FileInfo:
        """What the writer says of the file."""
        manifest = self.manifest
        return FileInfo(
            path=self.path,
            kind=FileKind.FILE,
            file_id=manifest.file_id,
            size_bytes=manifest.size_bytes,
            version=manifest.version,
            created_ns=manifest.created_ns,
            modified_ns=manifest.modified_ns,
            chunk_count=manifest.chunk_count,
        )


async def open_verified(
    namespace: Namespace,
    path: str,
    *,
    keyring: Keyring,
    cluster_id: ClusterId,
    marks: HighWaterMarks,
    opened: OpenedFile | None = None,
) -> VerifiedFile:
    """Open a file and check all that the master says of it.

    Args:
        opened: what it said just now, for example of many files at once; else it is asked.

    Raises:
        WrongKey: none of the file's keys is for this keyring.
        Corrupt: ``MANIFEST_MISMATCH``, ``MANIFEST_CORRUPT``, ``MANIFEST_INVALID`` or ``WRAPPED_KEY_CORRUPT``: the
            master's records were damaged or altered; ``VERSION_ROLLED_BACK``: an older version came than was seen.
        DstoreError: as ``Namespace.open_file``.
    """
    opened = opened or await namespace.open_file(path)
    name = path.rpartition("/")[2]
    seen = await marks.highest(cluster_id, opened.parent_id, name)
    if opened.info.version < seen:
        # A commit of this client may have overtaken the answer; an honest second answer is newer.
        opened = await namespace.open_file(path)
        seen = await marks.highest(cluster_id, opened.parent_id, name)
        if opened.info.version < seen:
            raise rolled_back(path, opened.info.version, seen)
    _compare(path, "cluster", opened.cluster_id, cluster_id)
    if not is_parent_possible(path, opened.parent_id):
        raise _mismatch(path, f"directory {opened.parent_id} cannot be the one that holds it", what="parent directory")
    dek = unwrap_dek(keyring, opened.wrapped_keys, cluster_id, opened.info.file_id, path)
    manifest = unseal(path, dek, cluster_id, opened.info.file_id, opened.sealed_manifest)
    compare_manifest(path, manifest, opened.info, parent_id=opened.parent_id, name=name)
    groups: dict[GroupId, Group] = {}
    records: tuple[ChunkRecord, ...] = ()
    if manifest.chunk_count or opened.page.chunks:
        _compare(path, "chunk size", opened.chunk_size_bytes, manifest.chunk_size_bytes)
        groups = {group.group_id: group for group in opened.page.groups}
        records = await _all_records(namespace, path, opened, groups)
        check_records(path, manifest, records)
    if manifest.version > seen:
        await marks.note(cluster_id, manifest.parent_id, manifest.name, manifest.version)
    return VerifiedFile(
        path=path,
        cluster_id=cluster_id,
        manifest=manifest,
        dek=dek,
        records=records,
        groups=groups,
    )


def unseal(path: str, dek: bytes, cluster_id: ClusterId, file_id: FileId, sealed: bytes) -> Manifest:
    """Open a manifest; what is wrong with it is said of ``path``.

    Raises:
        Corrupt: as ``open_manifest``.
    """
    try:
        return open_manifest(dek, cluster_id, file_id, sealed)
    except Corrupt as error:
        metadata = {**error.metadata, "path": path}
        raise Corrupt(f"{path}: {error.message}", reason=error.reason, metadata=metadata) from error


def compare_manifest(path: str, manifest: Manifest, info: FileInfo, *, parent_id: FileId, name: str) -> None:
    """Compare what the writer sealed with what the master says of the same path.

    Raises:
        Corrupt: reason ``MANIFEST_MISMATCH``, naming what differs.
    """
    if (
        info.kind is FileKind.FILE
        and info.file_id == manifest.file_id
        and info.version == manifest.version
        and name == manifest.name
        and parent_id == manifest.parent_id
        and info.size_bytes == manifest.size_bytes
        and info.chunk_count == manifest.chunk_count
    ):
        return
    for what, said, sealed in (
        ("kind", info.kind, FileKind.FILE),
        ("file id", info.file_id, manifest.file_id),
        ("version", info.version, manifest.version),
        ("name", name, manifest.name),
        ("parent directory", parent_id, manifest.parent_id),
        ("size", info.size_bytes, manifest.size_bytes),
        ("number of chunks", info.chunk_count, manifest.chunk_count),
    ):
        if said != sealed:
            raise _differs(path, what, said, sealed)


def check_records(path: str, manifest: Manifest, records: tuple[ChunkRecord, ...]) -> None:
    """Compare the chunk list with its digest in the manifest, and its lengths with the size.

    Raises:
        Corrupt: reason ``MANIFEST_MISMATCH``.
    """
    _compare(path, "number of chunk records", len(records), manifest.chunk_count)
    try:
        digest = digest_chunks(records)
    except Corrupt as error:
        raise _mismatch(path, error.message.rstrip("."), what="chunk list") from error
    if digest != manifest.chunks_digest:
        raise _mismatch(path, "the list of chunks is not the one that the writer sealed", what="chunk list")
    for index, record in enumerate(records):
        _compare(path, f"index of chunk {index}", record.index, index)
        expected = sealed_length(chunk_length(manifest, index))
        _compare(path, f"length of chunk {index}", record.length_bytes, expected)


def chunk_length(manifest: Manifest, index: int) -> int:
    """Return how many bytes of plaintext a chunk has."""
    return min(manifest.chunk_size_bytes, manifest.size_bytes - index * manifest.chunk_size_bytes)


async def _all_records(
    namespace: Namespace, path: str, opened: OpenedFile, groups: dict[GroupId, Group]
) -> tuple[ChunkRecord, ...]:
    records = list(opened.page.chunks)
    while len(records) < opened.info.chunk_count:
        page = await namespace.list_chunks(
            opened.info.file_id,
            opened.info.version,
            start_index=len(records),
            count=min(CHUNK_RECORDS_PER_MESSAGE_MAX, opened.info.chunk_count - len(records)),
        )
        if not page.chunks:
            raise _mismatch(
                path,
                f"the master has {len(records)} of {opened.info.chunk_count} chunk records",
                what="number of chunk records",
            )
        records += page.chunks
        groups.update((group.group_id, group) for group in page.groups)
    return tuple(records)


def rolled_back(path: str, version: Version, seen: Version) -> Corrupt:
    """Return the error for a version that is older than one that was seen."""
    return Corrupt(
        f"The master offers version {version} of {path}, but version {seen} was seen before: the cluster was rolled "
        "back, for example restored from an old backup, or it is lying. Ask its operator; nothing was read.",
        reason="VERSION_ROLLED_BACK",
        metadata={"path": path, "version": str(version), "seen_version": str(seen)},
    )


def _compare(path: str, what: str, said: object, sealed: object) -> None:
    if said != sealed:
        raise _differs(path, what, said, sealed)


def _differs(path: str, what: str, said: object, sealed: object) -> Corrupt:
    said, sealed = (each.value if isinstance(each, FileKind) else each for each in (said, sealed))
    return _mismatch(path, f"the {what} is {said!r} by the master and {sealed!r} by the writer", what=what)


def _mismatch(path: str, why: str, *, what: str) -> Corrupt:
    return Corrupt(
        f"The master's record of {path} does not match what its writer sealed: {why}. It was damaged or altered; "
        "restore the file or the master's database from a backup.",
        reason="MANIFEST_MISMATCH",
        metadata={"path": path, "what": what},
    )
