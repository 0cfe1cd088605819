"""Writing a file: begin, hand out chunk ids, record what is written, commit; each function is one
transaction's work.

    begin ──► intent row + chunk ids ──(allocate: more ids, records)──► commit: inode, entry, chunks; intent
    gone
                     └──(abandon, expiry)──► chunks to deleted_chunks, intent gone

What a function refuses is specified in protos/dstore/v1/namespace_service.proto.
"""

from dataclasses import dataclass

from dstore.core.errors import Conflict, DstoreError, InvalidRequest
from dstore.core.files import (
    ChunkPlacement,
    Commit,
    FileInfo,
    IntentLease,
    Policy,
    Precondition,
    PreconditionKind,
    WrappedKey,
    WriteIntent,
    WrittenChunk,
)
from dstore.core.groups import Group
from dstore.core.ids import ChunkId, FileId, IntentId, ServerId, Version
from dstore.core.limits import INTENT_LEASE_DURATION_S, WRAPPED_KEY_SIZE_BYTES_MAX, WRAPPED_KEYS_MAX
from dstore.core.paths import join_path, split_path
from dstore.master import chunk_rows, codec, counters, history, tree
from dstore.master.history import End
from dstore.master.leases import intent_expired
from dstore.master.preconditions import check_precondition
from dstore.master.renames import check_manifest
from dstore.master.store.base import INTEGER_MAX, Transaction
from dstore.master.store.schema import ClusterRecord
from dstore.master.written import check_complete, record_written


@dataclass(frozen=True, slots=True)
class Target:
    """Where one chunk may be written: a group, and those of its members that are to take it now."""

    group: Group
    chain: tuple[ServerId, ...]


#: One target for each chunk that was asked for, or why there is none. The allocator decides before the
#: transaction, and the transaction raises after its own checks, so that a repeated request finds its answer
#: first.
Targets = tuple[Target, ...] | DstoreError


@dataclass(frozen=True, slots=True)
class Intent:
    """The row of a write in progress."""

    intent_id: IntentId
    file_id: FileId
    version: Version
    minimum_version: Version
    parent_id: FileId
    name: str
    precondition: Precondition


def begin(
    tx: Transaction,
    cluster: ClusterRecord,
    intent_id: IntentId,
    path: str,
    *,
    precondition: Precondition,
    targets: Targets,
    now_ns: int,
) -> WriteIntent:
    """Store an intent and give it its first chunk ids."""
    names = split_path(path)
    if not names:
        raise tree.is_a_directory("/")
    parent = tree.resolve_parent(tx, names)
    check_precondition(precondition, tree.find(tx, parent.file_id, names[-1]), join_path(names))
    intent = Intent(
        intent_id=intent_id,
        file_id=FileId(counters.take(tx, "file_id")),
        version=Version(counters.take(tx, "version")),
        minimum_version=Version(0),
        parent_id=parent.file_id,
        name=names[-1],
        precondition=precondition,
    )
    tx.execute(
        "INSERT INTO intents (intent_id, file_id, version, minimum_version, parent_id, name, precondition, "
        "precondition_version, created_ns) VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?)",
        (
            intent_id,
            intent.file_id,
            intent.version,
            intent.parent_id,
            intent.name.encode(),
            precondition.kind.value,
            precondition.version if precondition.kind is PreconditionKind.VERSION else 0,
            now_ns,
        ),
    )
    return WriteIntent(
        intent_id=intent_id,
        cluster_id=cluster.cluster_id,
        file_id=intent.file_id,
        version=intent.version,
        parent_id=intent.parent_id,
        name=intent.name,
        policy=cluster.policy,
        lease_duration_s=INTENT_LEASE_DURATION_S,
        placements=_hand_out(tx, intent_id, targets),
    )


def allocate(
    tx: Transaction,
    policy: Policy,
    intent_id: IntentId,
    *,
    written: tuple[WrittenChunk, ...],
    targets: Targets,
) -> tuple[ChunkPlacement, ...]:
    """Record written chunks and hand out ids for more."""
    _load(tx, intent_id)
    record_written(tx, policy, intent_id, written)
    return _hand_out(tx, intent_id, targets)


def renew(tx: Transaction, intent_id: IntentId, *, fresh_version: bool) -> IntentLease:
    """Return the version to seal; a fresh one is larger than every version given out before."""
    version = _load(tx, intent_id).version
    if fresh_version:
        version = Version(counters.take(tx, "version"))
        tx.execute("UPDATE intents SET version = ? WHERE intent_id = ?", (version, intent_id))
    return IntentLease(version, INTENT_LEASE_DURATION_S)


def commit(tx: Transaction, policy: Policy, commit: Commit, *, now_ns: int) -> FileInfo:
    """Make the file visible, in place of what was there, which is retained."""
    intent = _load(tx, commit.intent_id)
    parent = tree.find_by_id(tx, intent.parent_id)
    if parent is None:
        raise tree.not_found(f"the directory that was to hold {intent.name}")
    path = join_path((*split_path(tree.path_of(tx, parent.file_id)), intent.name))
    replaced = tree.find(tx, parent.file_id, intent.name)
    check_precondition(intent.precondition, replaced, path)
    _check_version(intent, commit, replaced, path)
    check_manifest(commit.sealed_manifest, is_directory=False)
    check_keys(commit.wrapped_keys)
    record_written(tx, policy, intent.intent_id, commit.chunks)
    check_complete(tx, policy, commit)
    txn = history.begin(tx)
    if replaced is not None:
        history.end_entry(tx, txn, intent.parent_id, intent.name, End.REPLACED, now_ns)
        history.end_inodes(tx, txn, [replaced.file_id])
    created_ns = replaced.created_ns if replaced is not None else now_ns
    file = history.NewFile(
        parent_id=intent.parent_id,
        name=intent.name,
        file_id=intent.file_id,
        version=intent.version,
        size_bytes=commit.size_bytes,
        chunk_count=commit.chunk_count,
        chunk_size_bytes=policy.chunk_size_bytes,
        created_ns=created_ns,
        wrapped_keys=codec.encode(commit.wrapped_keys),
        sealed_manifest=commit.sealed_manifest,
    )
    history.add_files(tx, txn, [file], now_ns)
    chunk_rows.take_over(tx, intent.intent_id, intent.file_id)
    chunk_rows.give_up_intents(tx, [intent.intent_id], "unused", now_ns)
    inode = tree.find_by_id(tx, intent.file_id)
    assert inode is not None
    return inode.describe(path)


def abandon(tx: Transaction, intent_id: IntentId, *, now_ns: int) -> None:
    """Give up a write; one that has ended already is fine."""
    history.begin(tx)
    chunk_rows.give_up_intents(tx, [intent_id], "abandoned", now_ns)


def expire(tx: Transaction, intent_ids: tuple[IntentId, ...], *, now_ns: int) -> None:
    """Give up writes whose leases have run out."""
    history.begin(tx)
    chunk_rows.give_up_intents(tx, intent_ids, "expired", now_ns)


def live_intents(tx: Transaction) -> tuple[IntentId, ...]:
    """Return all intents that are stored."""
    return tuple(row[0] for row in tx.execute("SELECT intent_id FROM intents"))


def _load(tx: Transaction, intent_id: IntentId) -> Intent:
    rows = tx.execute(
        "SELECT file_id, version, minimum_version, parent_id, name, precondition, precondition_version "
        "FROM intents WHERE intent_id = ?",
        (intent_id,),
    )
    if not rows:
        raise intent_expired(intent_id)
    file_id, version, minimum_version, parent_id, name, kind, precondition_version = rows[0]
    return Intent(
        intent_id=intent_id,
        file_id=file_id,
        version=version,
        minimum_version=minimum_version,
        parent_id=parent_id,
        name=name.decode(),
        precondition=Precondition(PreconditionKind(kind), precondition_version),
    )


def _hand_out(tx: Transaction, intent_id: IntentId, targets: Targets) -> tuple[ChunkPlacement, ...]:
    if isinstance(targets, DstoreError):
        raise targets
    if not targets:
        return ()
    # Chunkservers remember the number, so that a master from an older copy cannot give out ids again (Invariant 6).
    history.begin(tx)
    first = counters.take(tx, "chunk_sequence", len(targets))
    placements = tuple(
        ChunkPlacement(ChunkId(target.group.group_id, first + offset), target.group, target.chain)
        for offset, target in enumerate(targets)
    )
    tx.execute_many(
        "INSERT INTO intent_chunks (intent_id, sequence, group_id) VALUES (?, ?, ?)",
        [(intent_id, each.chunk_id.sequence, each.chunk_id.group_id) for each in placements],
    )
    return placements


def _check_version(intent: Intent, commit: Commit, replaced: tree.Inode | None, path: str) -> None:
    """Refuse a version that is not larger than all that were visible here since it was given out."""
    newest = max(intent.minimum_version, replaced.version if replaced is not None else 0)
    if commit.version != intent.version or intent.version <= newest:
        raise version_superseded(path, newest, f"got a newer version while this one ({commit.version}) was written")


def version_superseded(path: str, newest: int, why: str) -> Conflict:
    """Return the error for a file whose version cannot become visible at a path."""
    return Conflict(
        f"{path} {why}, its newest is {newest}; take a fresh version, seal the manifest again, and commit again.",
        reason="VERSION_SUPERSEDED",
        metadata={"path": path, "version": str(newest)},
    )


def check_keys(keys: tuple[WrappedKey, ...]) -> None:
    """Refuse keys that cannot be those of a file. What is in them is none of the master's business.

    Raises:
        InvalidRequest: reason ``WRAPPED_KEYS_INVALID``.
    """
    if not 1 <= len(keys) <= WRAPPED_KEYS_MAX or any(
        len(key.key_id) != 8 or not 1 <= len(key.data) <= WRAPPED_KEY_SIZE_BYTES_MAX or not 0 <= key.kind <= INTEGER_MAX
        for key in keys
    ):
        raise InvalidRequest(
            f"A file needs 1 to {WRAPPED_KEYS_MAX} wrapped keys, each with a key id of 8 bytes and at most "
            f"{WRAPPED_KEY_SIZE_BYTES_MAX} bytes of data.",
            reason="WRAPPED_KEYS_INVALID",
        )
