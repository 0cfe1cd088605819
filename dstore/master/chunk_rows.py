"""The chunk tables, and the counters that must change with them in the same transaction.

Three moves exist: a commit takes written chunks over from their intent, a file whose retention is over gives up its
chunks, an intent that ends gives up what the file did not take. Given-up chunks stand in ``deleted_chunks`` from then
on (Invariant 9); nothing here deletes anything from a disk.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dstore.core.ids import FileId, IntentId
from dstore.master import counters
from dstore.master.store.base import INTEGER_MAX, Transaction, batches, expand
from dstore.master.written import read_missing


@dataclass(frozen=True, slots=True)
class _Missing:
    """A replica that is known to be missing."""

    group_id: int
    sequence: int
    server_id: str
    length_bytes: int


def take_over(tx: Transaction, intent_id: IntentId, file_id: FileId) -> None:
    """Make the written chunks of an intent the chunks of a file."""
    tx.execute(
        "INSERT INTO chunks (file_id, chunk_index, group_id, sequence, length_bytes, crc32c, header) "
        "SELECT ?, chunk_index, group_id, sequence, length_bytes, crc32c, header FROM intent_chunks "
        "WHERE intent_id = ? AND chunk_index IS NOT NULL",
        (file_id, intent_id),
    )
    missing = [_Missing(*each) for each in read_missing(tx, intent_id)]
    tx.execute_many(
        "INSERT INTO missing_replicas (group_id, sequence, server_id, length_bytes) VALUES (?, ?, ?, ?)",
        [(each.group_id, each.sequence, each.server_id, each.length_bytes) for each in missing],
    )
    _count_missing(tx, missing, 1)
    _count_chunks(tx, (file_id,), 1)
    tx.execute("DELETE FROM intent_chunks WHERE intent_id = ? AND chunk_index IS NOT NULL", (intent_id,))


def give_up_files(tx: Transaction, file_ids: Sequence[FileId], now_ns: int) -> int:
    """Give up all chunks of files that are retained no more; return how many there were."""
    return sum(_give_up(tx, batch, INTEGER_MAX, now_ns) for batch in batches(file_ids))


def give_up_first(tx: Transaction, file_id: FileId, count: int, now_ns: int) -> int:
    """Give up the first ``count`` of a file's remaining chunks, of which there are more."""
    following = tx.execute(
        "SELECT chunk_index FROM chunks WHERE file_id = ? ORDER BY chunk_index LIMIT 1 OFFSET ?", (file_id, count)
    )
    return _give_up(tx, (file_id,), following[0][0], now_ns)


def _give_up(tx: Transaction, file_ids: Sequence[FileId], below_index: int, now_ns: int) -> int:
    _count_chunks(tx, file_ids, -1, below_index)
    missing = tx.execute(
        expand(
            "DELETE FROM missing_replicas WHERE (group_id, sequence) IN "
            "(SELECT group_id, sequence FROM chunks WHERE file_id IN (?*) AND chunk_index < ?) "
            "RETURNING group_id, sequence, server_id, length_bytes",
            len(file_ids),
        ),
        (*file_ids, below_index),
    )
    _count_missing(tx, [_Missing(*row) for row in missing], -1)
    deleted = tx.execute(
        expand(
            "INSERT INTO deleted_chunks (group_id, sequence, reason, deleted_ns, deleted_running_s) "
            "SELECT group_id, sequence, 'released', ?, (SELECT value FROM counters WHERE name = 'running_s') "
            "FROM chunks WHERE file_id IN (?*) AND chunk_index < ? RETURNING 1",
            len(file_ids),
        ),
        (now_ns, *file_ids, below_index),
    )
    counters.add(tx, "deleted_chunks", len(deleted))
    tx.execute(
        expand("DELETE FROM chunks WHERE file_id IN (?*) AND chunk_index < ?", len(file_ids)), (*file_ids, below_index)
    )
    return len(deleted)


def give_up_intents(tx: Transaction, intent_ids: Sequence[IntentId], reason: str, now_ns: int) -> None:
    """End intents; the chunk ids that they still have are given up. Intents that ended before are fine.

    ``reason`` is for operators.
    """
    for batch in batches(intent_ids):
        deleted = tx.execute(
            expand(
                "INSERT INTO deleted_chunks (group_id, sequence, reason, deleted_ns, deleted_running_s) "
                "SELECT group_id, sequence, ?, ?, (SELECT value FROM counters WHERE name = 'running_s') "
                "FROM intent_chunks WHERE intent_id IN (?*) RETURNING 1",
                len(batch),
            ),
            (reason, now_ns, *batch),
        )
        counters.add(tx, "deleted_chunks", len(deleted))
        tx.execute(expand("DELETE FROM intent_chunks WHERE intent_id IN (?*)", len(batch)), tuple(batch))
        tx.execute(expand("DELETE FROM intents WHERE intent_id IN (?*)", len(batch)), tuple(batch))


def _count_chunks(tx: Transaction, file_ids: Sequence[FileId], sign: int, below_index: int = INTEGER_MAX) -> None:
    totals = tx.execute(
        expand(
            "SELECT group_id, COUNT(*), SUM(length_bytes) FROM chunks "
            "WHERE file_id IN (?*) AND chunk_index < ? GROUP BY group_id",
            len(file_ids),
        ),
        (*file_ids, below_index),
    )
    tx.execute_many(
        "UPDATE groups SET chunk_count = chunk_count + ?, chunk_bytes = chunk_bytes + ? WHERE group_id = ?",
        [(sign * count, sign * length_bytes, group_id) for group_id, count, length_bytes in totals],
    )


def _count_missing(tx: Transaction, missing: Sequence[_Missing], sign: int) -> None:
    chunks = Counter(group_id for group_id, _ in {(each.group_id, each.sequence) for each in missing})
    replicas = Counter(each.server_id for each in missing)
    missing_bytes: Counter[int] = Counter()
    for each in missing:
        missing_bytes[each.group_id] += each.length_bytes
    tx.execute_many(
        "UPDATE groups SET missing_chunk_count = missing_chunk_count + ?, missing_bytes = missing_bytes + ? "
        "WHERE group_id = ?",
        [(sign * chunks[group_id], sign * missing_bytes[group_id], group_id) for group_id in sorted(chunks)],
    )
    tx.execute_many(
        "UPDATE servers SET missing_chunk_count = missing_chunk_count + ? WHERE server_id = ?",
        [(sign * count, server_id) for server_id, count in sorted(replicas.items())],
    )
