"""How long the past is kept: the running time of the cluster, and the end of versions whose retention is over.

    removed, replaced ──(retention of running time)──► horizon ──► rows deleted, chunks to deleted_chunks

Running time is counted by the masters while they run, never by wall clocks, so that a clock that jumps cannot delete
anything early. Each function is one transaction's work; Invariant 8 is kept by ``collect`` alone: everything else only
ends rows.
"""

from bisect import bisect_left
from dataclasses import dataclass

from dstore.core.files import FileKind
from dstore.core.ids import FileId
from dstore.core.limits import RETENTION_MOMENTS
from dstore.master import chunk_rows, counters, history
from dstore.master.store.base import Transaction


@dataclass(frozen=True, slots=True)
class CollectedVersions:
    """What one round deleted.

    Attributes:
        rows: of entries and inodes.
        files: whose last version went.
        chunks: that may be discarded from now on.
        is_done: whether nothing is left before the horizon.
    """

    rows: int
    files: int
    chunks: int
    is_done: bool


def advance(tx: Transaction, elapsed_s: int, *, retention_s: int, now_ns: int) -> None:
    """Count running time, and note a moment now and then; ``now_ns`` is for people."""
    running_s = counters.add(tx, "running_s", elapsed_s)
    newest_s = tx.execute("SELECT MAX(running_s) FROM moments")[0][0]
    if newest_s is not None and running_s - newest_s < max(1, retention_s // RETENTION_MOMENTS):
        return
    tx.execute(
        "INSERT INTO moments (running_s, txn, wall_ns) VALUES (?, ?, ?)", (running_s, counters.read(tx, "txn"), now_ns)
    )
    # The newest one that is old enough is the horizon; those before it say nothing more.
    tx.execute(
        "DELETE FROM moments WHERE running_s < (SELECT MAX(running_s) FROM moments WHERE running_s < ?)",
        (running_s - retention_s,),
    )


def horizon(tx: Transaction, retention_s: int) -> int:
    """Return the newest transaction that is known to be at least ``retention_s`` of running time old; 0 if none is.

    What ended with it or before is past its retention.
    """
    if retention_s == 0:
        return counters.read(tx, "txn")
    # Whole seconds: two that differ by more than the retention are at least as far apart.
    oldest_s = counters.read(tx, "running_s") - retention_s
    rows = tx.execute("SELECT MAX(txn) FROM moments WHERE running_s < ?", (oldest_s,))
    return int(rows[0][0] or 0)


class Deadlines:
    """How long what has ended can still be restored, at the moment of one transaction."""

    def __init__(self, tx: Transaction, retention_s: int) -> None:
        self._retention_s = retention_s
        self._running_s = counters.read(tx, "running_s")
        moments = tx.execute("SELECT txn, running_s FROM moments ORDER BY running_s")
        self._txns: list[int] = [txn for txn, _ in moments]
        self._moments_s: list[int] = [running_s for _, running_s in moments]

    def left_s(self, to_txn: int) -> int:
        """Return for how many seconds of running time a row that ended with ``to_txn`` is kept at least."""
        # A row is collected by the first moment that has seen it end.
        position = bisect_left(self._txns, to_txn)
        if position == len(self._txns):
            return self._retention_s
        return max(0, self._moments_s[position] + self._retention_s - self._running_s)


def collect(tx: Transaction, horizon_txn: int, limit: int, *, now_ns: int) -> CollectedVersions:
    """Delete up to ``limit`` rows of each table that ended with ``horizon_txn`` or before, and give up the chunks.

    A file gives up its chunks, also at most ``limit`` at once, when its last row goes; then none of its versions can
    be restored or read any more. From the first call on, all that ended up to the horizon is gone for everybody,
    however many calls it takes to delete it.
    """
    assert limit > 0
    history.begin(tx)
    tx.execute("UPDATE counters SET value = ? WHERE name = 'collected_txn' AND value < ?", (horizon_txn, horizon_txn))
    entries = tx.execute(
        "DELETE FROM entries WHERE (parent_id, to_txn, name) IN (SELECT parent_id, to_txn, name "
        "FROM ended_entries WHERE to_txn <= ? ORDER BY to_txn LIMIT ?) RETURNING 1",
        (horizon_txn, limit),
    )
    inodes = _ended_inodes(tx, horizon_txn, limit)
    ready = _fitting(inodes, limit)
    last = [inode for inode in ready if inode.is_last_of_file]
    chunk_count = chunk_rows.give_up_files(tx, [inode.file_id for inode in last], now_ns)
    if inodes and not ready:
        chunk_count = chunk_rows.give_up_first(tx, inodes[0].file_id, limit, now_ns)
    history.forget_files(tx, [inode.size_bytes for inode in last])
    tx.execute_many(
        "DELETE FROM inodes WHERE file_id = ? AND to_txn = ?", [(inode.file_id, inode.to_txn) for inode in ready]
    )
    return CollectedVersions(
        rows=len(entries) + len(ready),
        files=len(last),
        chunks=chunk_count,
        is_done=len(entries) < limit and len(ready) == len(inodes) < limit,
    )


@dataclass(frozen=True, slots=True)
class _EndedInode:
    """A row past its retention; ``chunk_count`` is 0 unless the chunks go with it, and at most one above the limit."""

    file_id: FileId
    to_txn: int
    size_bytes: int
    is_last_of_file: bool
    chunk_count: int


def _ended_inodes(tx: Transaction, horizon_txn: int, limit: int) -> list[_EndedInode]:
    """Return the rows that ended first; those of one file come in their order."""
    rows = tx.execute(
        "SELECT file_id, to_txn, kind, size_bytes, chunk_count, NOT EXISTS "
        "(SELECT 1 FROM inodes later WHERE later.file_id = i.file_id AND later.to_txn > i.to_txn) "
        "FROM ended_inodes i WHERE to_txn <= ? ORDER BY to_txn, file_id LIMIT ?",
        (horizon_txn, limit),
    )
    inodes: list[_EndedInode] = []
    for file_id, to_txn, kind, size_bytes, chunk_count, is_last in rows:
        is_last_of_file = bool(is_last) and kind == FileKind.FILE.value
        count = chunk_count if is_last_of_file else 0
        if count > limit:
            # Calls before this one may have taken some.
            count = tx.execute(
                "SELECT COUNT(*) FROM (SELECT 1 FROM chunks WHERE file_id = ? LIMIT ?) AS counted", (file_id, limit + 1)
            )[0][0]
        inodes.append(_EndedInode(file_id, to_txn, size_bytes, is_last_of_file, count))
    return inodes


def _fitting(inodes: list[_EndedInode], chunk_limit: int) -> list[_EndedInode]:
    """Return the first rows, as long as their chunks together are within the limit."""
    for position, inode in enumerate(inodes):
        chunk_limit -= inode.chunk_count
        if chunk_limit < 0:
            return inodes[:position]
    return inodes
