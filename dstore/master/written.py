"""Records of written chunks: checked one by one when they arrive, and together at the commit."""

from collections.abc import Sequence

from dstore.core.errors import InvalidRequest, LimitExceeded
from dstore.core.files import Commit, Policy, WrittenChunk
from dstore.core.ids import IntentId, ServerId
from dstore.core.limits import (
    CHUNK_HEADER_SIZE_BYTES,
    CHUNK_RECORDS_PER_MESSAGE_MAX,
    REPLICAS_MAX,
    SEGMENT_SIZE_BYTES,
    SEGMENT_TAG_SIZE_BYTES,
)
from dstore.master.placement import FIRST_EPOCH
from dstore.master.store.base import INTEGER_MAX, Transaction, batches, expand


def record_written(tx: Transaction, policy: Policy, intent_id: IntentId, written: tuple[WrittenChunk, ...]) -> None:
    """Store the records of chunks that an intent has written.

    Raises:
        InvalidRequest: reason ``CHUNK_RECORD_INVALID``.
        LimitExceeded: reason ``TOO_MANY_RECORDS``.
    """
    if len(written) > CHUNK_RECORDS_PER_MESSAGE_MAX:
        raise LimitExceeded(
            f"One call takes {CHUNK_RECORDS_PER_MESSAGE_MAX} chunk records, not {len(written)}; send the "
            "others with AllocateChunks first.",
            reason="TOO_MANY_RECORDS",
        )
    for chunk in written:
        _check_fields(policy, chunk)
    members: dict[int, tuple[int, frozenset[ServerId]]] = {}
    for batch in batches(written):
        given = _given(tx, intent_id, batch)
        for chunk in batch:
            chunk_id = chunk.record.chunk_id
            if given.pop(chunk_id.sequence, None) != chunk_id.group_id:
                raise _invalid(chunk, "its id was not given to this write, or has a record already")
            if chunk_id.group_id not in members:
                members[chunk_id.group_id] = _members(tx, chunk_id.group_id)
            _check_replicas(tx, policy, chunk, members[chunk_id.group_id])
        tx.execute_many(
            "UPDATE intent_chunks SET chunk_index = ?, length_bytes = ?, crc32c = ?, header = ?, replicas = ? "
            "WHERE intent_id = ? AND sequence = ?",
            [
                (
                    chunk.record.index,
                    chunk.record.length_bytes,
                    chunk.record.crc32c,
                    chunk.record.header,
                    ",".join(chunk.replicas),
                    intent_id,
                    chunk.record.chunk_id.sequence,
                )
                for chunk in batch
            ],
        )


def read_missing(tx: Transaction, intent_id: IntentId) -> list[tuple[int, int, ServerId, int]]:
    """Return (group, sequence, server, length) of each copy that the written chunks of an intent should have and lack.

    These are the present members of their groups that did not acknowledge them, whoever was a member as they were
    written; of members that are leaving, nothing is wanted any more.
    """
    missing: list[tuple[int, int, ServerId, int]] = []
    members: dict[int, tuple[ServerId, ...]] = {}
    for group_id, sequence, length_bytes, replicas in tx.execute(
        "SELECT group_id, sequence, length_bytes, replicas FROM intent_chunks "
        "WHERE intent_id = ? AND chunk_index IS NOT NULL",
        (intent_id,),
    ):
        if group_id not in members:
            rows = tx.execute(
                "SELECT server_id FROM group_members WHERE group_id = ? AND state <> 'leaving' ORDER BY position",
                (group_id,),
            )
            members[group_id] = tuple(row[0] for row in rows)
        holders = replicas.split(",")
        missing += [(group_id, sequence, member, length_bytes) for member in members[group_id] if member not in holders]
    return missing


def acknowledged_by(tx: Transaction, server_id: ServerId) -> bool:
    """Whether writes in progress have chunks that a server acknowledged. Reads the chunks of all writes in progress."""
    return bool(tx.execute("SELECT 1 FROM intent_chunks WHERE replicas LIKE ? LIMIT 1", (f"%{server_id}%",)))


def check_complete(tx: Transaction, policy: Policy, commit: Commit) -> None:
    """Refuse a commit whose records are not exactly the chunks of a file of its size.

    Raises:
        InvalidRequest: reason ``CHUNK_RECORD_INVALID``.
    """
    if not 0 <= commit.size_bytes <= INTEGER_MAX:
        raise _incomplete(f"a size of {commit.size_bytes} bytes is out of range")
    wanted = -(-commit.size_bytes // policy.chunk_size_bytes)
    if commit.chunk_count != wanted:
        raise _incomplete(f"{commit.size_bytes} bytes make {wanted} chunks, not {commit.chunk_count}")
    count, distinct, first, last = tx.execute(
        "SELECT COUNT(*), COUNT(DISTINCT chunk_index), MIN(chunk_index), MAX(chunk_index) FROM intent_chunks "
        "WHERE intent_id = ? AND chunk_index IS NOT NULL",
        (commit.intent_id,),
    )[0]
    if (count, distinct) != (wanted, wanted) or (wanted > 0 and (first, last) != (0, wanted - 1)):
        raise _incomplete(f"{wanted} chunks are wanted, each once; {count} records came, of {distinct} chunks")
    last_size_bytes = commit.size_bytes - (wanted - 1) * policy.chunk_size_bytes
    # A file with a chunk of any other length could be committed, and never be read.
    wrong = tx.execute(
        "SELECT chunk_index, length_bytes FROM intent_chunks WHERE intent_id = ? AND chunk_index IS NOT NULL "
        "AND length_bytes <> CASE WHEN chunk_index = ? THEN ? ELSE ? END ORDER BY chunk_index LIMIT 1",
        (commit.intent_id, wanted - 1, _sealed_length(last_size_bytes), sealed_length_max(policy)),
    )
    if wrong:
        raise _incomplete(f"chunk {wrong[0][0]} has {wrong[0][1]} bytes, which is not what its part of the file makes")


def sealed_length_max(policy: Policy) -> int:
    """Return the most bytes of ciphertext that one chunk can have."""
    return _sealed_length(policy.chunk_size_bytes)


def _sealed_length(size_bytes: int) -> int:
    # The last segment is shorter than the others, if need be empty.
    segments = size_bytes // SEGMENT_SIZE_BYTES + 1
    return CHUNK_HEADER_SIZE_BYTES + size_bytes + segments * SEGMENT_TAG_SIZE_BYTES


def _check_fields(policy: Policy, chunk: WrittenChunk) -> None:
    record = chunk.record
    if not 0 <= record.index <= INTEGER_MAX:
        raise _invalid(chunk, "its index is out of range")
    if not 0 < record.chunk_id.sequence <= INTEGER_MAX:
        raise _invalid(chunk, "its sequence number is out of range")
    if not CHUNK_HEADER_SIZE_BYTES < record.length_bytes <= sealed_length_max(policy):
        raise _invalid(chunk, f"its length of {record.length_bytes} bytes is out of range")
    if not 0 <= record.crc32c < 1 << 32:
        raise _invalid(chunk, "its crc32c is out of range")
    if len(record.header) != CHUNK_HEADER_SIZE_BYTES:
        raise _invalid(chunk, f"its header has {len(record.header)} bytes, not {CHUNK_HEADER_SIZE_BYTES}")


def _check_replicas(
    tx: Transaction, policy: Policy, chunk: WrittenChunk, group: tuple[int, frozenset[ServerId]]
) -> None:
    replicas = frozenset(chunk.replicas)
    if len(replicas) != len(chunk.replicas):
        raise _invalid(chunk, "its replicas are not members of its group, each once")
    epoch, members = group
    others = sorted(replicas - members)
    # The members may have changed since the chunk was placed; never in the first epoch.
    if others and (epoch == FIRST_EPOCH or not _are_servers(tx, others)):
        raise _invalid(chunk, "its replicas are not members of its group, each once")
    if len(replicas) < policy.min_replicas:
        raise _invalid(chunk, f"it has {len(replicas)} replicas, at least {policy.min_replicas} are needed")


def _are_servers(tx: Transaction, server_ids: Sequence[ServerId]) -> bool:
    if len(server_ids) > REPLICAS_MAX:
        return False
    sql = expand("SELECT COUNT(*) FROM servers WHERE server_id IN (?*)", len(server_ids))
    return tx.execute(sql, tuple(server_ids)) == [(len(server_ids),)]


def _given(tx: Transaction, intent_id: IntentId, batch: Sequence[WrittenChunk]) -> dict[int, int]:
    """Return the sequences and groups of those ids of a batch that have no record yet."""
    sequences = [chunk.record.chunk_id.sequence for chunk in batch]
    return dict(
        tx.execute(
            expand(
                "SELECT sequence, group_id FROM intent_chunks WHERE intent_id = ? AND chunk_index IS NULL "
                "AND sequence IN (?*)",
                len(sequences),
            ),
            (intent_id, *sequences),
        )
    )


def _members(tx: Transaction, group_id: int) -> tuple[int, frozenset[ServerId]]:
    """Return the epoch of a group, and its members."""
    rows = tx.execute(
        "SELECT g.epoch, m.server_id FROM groups g JOIN group_members m ON m.group_id = g.group_id "
        "WHERE g.group_id = ?",
        (group_id,),
    )
    return (rows[0][0] if rows else FIRST_EPOCH), frozenset(row[1] for row in rows)


def _invalid(chunk: WrittenChunk, why: str) -> InvalidRequest:
    record = chunk.record
    return InvalidRequest(
        f"The record of chunk {record.index} ({record.chunk_id}) is not valid: {why}. Send what was written.",
        reason="CHUNK_RECORD_INVALID",
        metadata={"chunk_index": str(record.index)},
    )


def _incomplete(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"The records do not make up the file: {why}. Send every chunk once.", reason="CHUNK_RECORD_INVALID"
    )
