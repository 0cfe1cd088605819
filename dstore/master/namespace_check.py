"""Holds the tables of the namespace against each other, page by page; each function reads one page.

What is being collected past its retention is left out: its rows go in several steps.
"""

from collections.abc import Callable
from dataclasses import dataclass

from dstore.core.checking import Finding, FindingKind, Severity
from dstore.core.files import FileKind
from dstore.core.ids import ROOT_ID, ChunkId, FileId
from dstore.core.limits import CHECKED_ROWS_PER_PAGE, FINDINGS_PER_KIND_MAX, PATH_DEPTH_MAX
from dstore.master.store.base import Row, Transaction
from dstore.master.store.schema import LIVE

_RESTORE = "restore the metadata from a backup, or remove the file and write it again"


@dataclass(frozen=True, slots=True)
class Page:
    """Findings of one page.

    Attributes:
        files, directories: live ones that were looked at.
        position: where the next page begins; None after the last one.
    """

    findings: tuple[Finding, ...]
    files: int
    directories: int
    position: tuple[int, bytes] | None


def check_entries(tx: Transaction, position: tuple[int, bytes]) -> Page:
    """Look at live entries from ``position`` on, which is a directory and a name."""
    # Nothing is above LIVE; but where SQLite sees that a column is fixed, it does not see that the key has this order,
    # and sorts a whole directory for each page.
    rows = tx.execute(
        "SELECT e.parent_id, e.name, e.file_id, i.file_id, p.kind FROM "
        "(SELECT parent_id, name, file_id FROM entries WHERE (parent_id, to_txn, name) > (?, ?, ?) "
        "AND to_txn >= ? ORDER BY parent_id, to_txn, name LIMIT ?) AS e "
        "LEFT JOIN live_inodes i ON i.file_id = e.file_id LEFT JOIN live_inodes p ON p.file_id = e.parent_id "
        "ORDER BY e.parent_id, e.name",
        (position[0], LIVE, position[1], LIVE, CHECKED_ROWS_PER_PAGE),
    )
    findings: list[Finding] = []
    for parent_id, name, file_id, found_id, parent_kind in rows:
        if found_id is not None and parent_kind == FileKind.DIRECTORY.value:
            continue
        path = f"{describe_path(tx, parent_id).rstrip('/')}/{name.decode(errors='replace')}"
        if found_id is None:
            findings.append(
                _error(FindingKind.ENTRY_WITHOUT_INODE, f"the entry leads to file {file_id}, which is not there", path)
            )
        if parent_kind != FileKind.DIRECTORY.value:
            findings.append(
                _error(FindingKind.ENTRY_OUTSIDE, f"the entry is in {parent_id}, which is no directory", path)
            )
    return Page(tuple(findings), 0, 0, (rows[-1][0], rows[-1][1]) if len(rows) == CHECKED_ROWS_PER_PAGE else None)


def check_inodes(tx: Transaction, position: tuple[int, bytes]) -> Page:
    """Look at inodes from ``position`` on, which is a file id; of one that is retained, at its last row."""
    rows = tx.execute(
        "SELECT i.file_id, i.to_txn, i.kind, i.chunk_count, "
        "(SELECT COUNT(*) FROM live_entries e WHERE e.file_id = i.file_id), "
        "(SELECT COUNT(*) FROM chunks c WHERE c.file_id = i.file_id), "
        "(SELECT MAX(c.chunk_index) FROM chunks c WHERE c.file_id = i.file_id), "
        "(SELECT value FROM counters WHERE name = 'collected_txn') "
        "FROM (SELECT file_id, MAX(from_txn) AS from_txn FROM inodes WHERE file_id > ? GROUP BY file_id "
        "ORDER BY file_id LIMIT ?) AS last "
        "JOIN inodes i ON i.file_id = last.file_id AND i.from_txn = last.from_txn ORDER BY i.file_id",
        (position[0], CHECKED_ROWS_PER_PAGE),
    )
    findings = [finding for row in rows for finding in _about_inode(tx, row)]
    live = [row for row in rows if row[1] == LIVE]
    files = sum(row[2] == FileKind.FILE.value for row in live)
    following = (rows[-1][0], b"") if len(rows) == CHECKED_ROWS_PER_PAGE else None
    return Page(tuple(findings), files, len(live) - files, following)


def check_chunk_tables(tx: Transaction) -> tuple[Finding, ...]:
    """Look for rows of chunks that contradict each other."""
    findings: list[Finding] = []
    for file_id, group_id, sequence in tx.execute(
        "SELECT file_id, group_id, sequence FROM chunks WHERE group_id IN "
        "(SELECT DISTINCT c.group_id FROM chunks c WHERE NOT EXISTS "
        "(SELECT 1 FROM group_members m WHERE m.group_id = c.group_id)) LIMIT ?",
        (FINDINGS_PER_KIND_MAX,),
    ):
        what = f"the chunk is in group {group_id}, which has no members"
        findings.append(
            _error(FindingKind.CHUNK_IN_UNKNOWN_GROUP, what, describe_path(tx, file_id), ChunkId(group_id, sequence))
        )
    for file_id, group_id, sequence in tx.execute(
        "SELECT c.file_id, c.group_id, c.sequence FROM deleted_chunks d "
        "JOIN chunks c ON c.group_id = d.group_id AND c.sequence = d.sequence LIMIT ?",
        (FINDINGS_PER_KIND_MAX,),
    ):
        findings.append(
            _error(
                FindingKind.CHUNK_USED_AND_DELETED,
                "the chunk belongs to a file and is recorded as deleted; it is not discarded",
                describe_path(tx, file_id),
                ChunkId(group_id, sequence),
                "dstore get, and put it again under another name; report a defect",
            )
        )
    for group_id, sequence in tx.execute(
        "SELECT DISTINCT m.group_id, m.sequence FROM missing_replicas m WHERE NOT EXISTS "
        "(SELECT 1 FROM chunks c WHERE c.group_id = m.group_id AND c.sequence = m.sequence) LIMIT ?",
        (FINDINGS_PER_KIND_MAX,),
    ):
        findings.append(
            Finding(
                FindingKind.MISSING_ROW_WITHOUT_CHUNK,
                Severity.WARN,
                "a copy is recorded as missing of a chunk that no file has",
                "dstore fsck --repair",
                chunk_id=ChunkId(group_id, sequence),
            )
        )
    return tuple(findings)


def describe_path(tx: Transaction, file_id: FileId | int) -> str:
    """Return the path of a file or directory; for one that was removed its last place, marked as such."""
    names: list[str] = []
    mark, current = "", int(file_id)
    for _ in range(PATH_DEPTH_MAX + 1):
        if current == ROOT_ID:
            return "/" + "/".join(reversed(names)) + mark
        rows = tx.execute(
            "SELECT parent_id, name, to_txn FROM entries WHERE file_id = ? ORDER BY to_txn DESC LIMIT 1", (current,)
        )
        if not rows:
            break
        current = rows[0][0]
        names.append(rows[0][1].decode(errors="replace"))
        mark = mark if rows[0][2] == LIVE else " (removed)"
    return f"file {file_id}"


#: What goes through a table page by page, with the position before its first row.
PASSES: tuple[tuple[Callable[[Transaction, tuple[int, bytes]], Page], tuple[int, bytes]], ...] = (
    (check_entries, (0, b"")),
    (check_inodes, (0, b"")),
)


def _about_inode(tx: Transaction, row: Row) -> list[Finding]:
    file_id, to_txn, kind, chunk_count, entry_count, row_count, last_index, collected_txn = row
    findings: list[Finding] = []
    if to_txn == LIVE and entry_count == 0 and file_id != ROOT_ID:
        what = f"the {kind} {file_id} has no entry that leads to it"
        findings.append(_error(FindingKind.INODE_WITHOUT_ENTRY, what, describe_path(tx, file_id)))
    if kind == FileKind.FILE.value and to_txn > collected_txn and (row_count, last_index) != _complete(chunk_count):
        what = f"the file has {chunk_count} chunks, and rows of {row_count} up to number {last_index}"
        findings.append(_error(FindingKind.CHUNK_ROWS_INCOMPLETE, what, describe_path(tx, file_id)))
    return findings


def _complete(chunk_count: int) -> tuple[int, int | None]:
    return chunk_count, chunk_count - 1 if chunk_count else None


def _error(kind: FindingKind, what: str, path: str, chunk_id: ChunkId | None = None, hint: str = _RESTORE) -> Finding:
    return Finding(kind, Severity.ERROR, what, hint, path=path, chunk_id=chunk_id)
