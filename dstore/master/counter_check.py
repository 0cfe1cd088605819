"""Counts what the counters count, and puts them right on request; one transaction each."""

from dstore.core.checking import Finding, FindingKind, Severity
from dstore.master.store.base import Transaction

_FILES = "FROM live_inodes WHERE kind = 'file'"
_RETAINED = (
    "FROM (SELECT DISTINCT file_id, size_bytes FROM ended_inodes e WHERE kind = 'file' "
    "AND NOT EXISTS (SELECT 1 FROM live_inodes l WHERE l.file_id = e.file_id)) AS retained"
)
#: By counter, the query that counts.
_TOTALS = {
    "files": f"SELECT COUNT(*) {_FILES}",
    "directories": "SELECT COUNT(*) FROM live_inodes WHERE kind = 'directory'",
    "logical_bytes": f"SELECT COALESCE(SUM(size_bytes), 0) {_FILES}",
    "retained_files": f"SELECT COUNT(*) {_RETAINED}",
    "retained_bytes": f"SELECT COALESCE(SUM(size_bytes), 0) {_RETAINED}",
    "deleted_chunks": "SELECT COUNT(*) FROM deleted_chunks",
}
#: By column of ``groups``, the query that counts for the group ``g``.
_OF_GROUPS = {
    "chunk_count": "(SELECT COUNT(*) FROM chunks c WHERE c.group_id = g.group_id)",
    "chunk_bytes": "(SELECT COALESCE(SUM(c.length_bytes), 0) FROM chunks c WHERE c.group_id = g.group_id)",
    "missing_chunk_count": "(SELECT COUNT(DISTINCT sequence) FROM missing_replicas m WHERE m.group_id = g.group_id)",
    "missing_bytes": (
        "(SELECT COALESCE(SUM(m.length_bytes), 0) FROM missing_replicas m WHERE m.group_id = g.group_id)"
    ),
}
_OF_SERVERS = "(SELECT COUNT(*) FROM missing_replicas m WHERE m.server_id = s.server_id)"


def check_counters(tx: Transaction) -> tuple[Finding, ...]:
    """Return the counters that are off. Reads every row once."""
    findings: list[Finding] = []
    for name, sql in _TOTALS.items():
        stored = tx.execute("SELECT value FROM counters WHERE name = ?", (name,))[0][0]
        counted = tx.execute(sql)[0][0]
        if stored != counted:
            findings.append(_off(f"{name} is {stored} and should be {counted}"))
    for column, sql in _OF_GROUPS.items():
        for group_id, stored, counted in tx.execute(
            f"SELECT group_id, stored, counted FROM (SELECT g.group_id, g.{column} AS stored, {sql} AS counted "  # noqa: S608
            "FROM groups g) AS compared WHERE stored <> counted ORDER BY group_id"
        ):
            findings.append(_off(f"{column} of group {group_id} is {stored} and should be {counted}"))
    for name, stored, counted in tx.execute(
        f"SELECT name, stored, counted FROM (SELECT s.name, s.missing_chunk_count AS stored, {_OF_SERVERS} "  # noqa: S608
        "AS counted FROM servers s) AS compared WHERE stored <> counted ORDER BY name"
    ):
        findings.append(_off(f"missing_chunk_count of {name} is {stored} and should be {counted}", name))
    return tuple(findings)


def repair_counters(tx: Transaction) -> None:
    """Forget replicas that are missing of chunks which no file has, and count everything anew."""
    tx.execute(
        "DELETE FROM missing_replicas WHERE NOT EXISTS (SELECT 1 FROM chunks c "
        "WHERE c.group_id = missing_replicas.group_id AND c.sequence = missing_replicas.sequence)"
    )
    for name, sql in _TOTALS.items():
        tx.execute(f"UPDATE counters SET value = ({sql}) WHERE name = ?", (name,))  # noqa: S608
    columns = ", ".join(
        f"{column} = {sql.replace('g.group_id', 'groups.group_id')}" for column, sql in _OF_GROUPS.items()
    )
    tx.execute(f"UPDATE groups SET {columns}")  # noqa: S608
    tx.execute(f"UPDATE servers SET missing_chunk_count = {_OF_SERVERS.replace('s.server_id', 'servers.server_id')}")  # noqa: S608


def _off(what: str, server: str = "") -> Finding:
    return Finding(FindingKind.COUNTER_OFF, Severity.WARN, what, "dstore fsck --repair", server=server)
