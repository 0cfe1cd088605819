"""Changes of single rows of missing replicas, with the counters that go with them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from dstore.core.ids import ChunkId, GroupId, ServerId
from dstore.master.store.base import Transaction


@dataclass(frozen=True, slots=True)
class MissingReplica:
    """A copy that a member should have and does not."""

    chunk_id: ChunkId
    server_id: ServerId
    length_bytes: int


def add(tx: Transaction, missing: Iterable[MissingReplica]) -> None:
    """Add rows; those that are there already stay as they are."""
    added: Counter[ServerId] = Counter()
    groups: set[GroupId] = set()
    for each in missing:
        if tx.execute(
            "INSERT INTO missing_replicas (group_id, sequence, server_id, length_bytes) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING RETURNING 1",
            (each.chunk_id.group_id, each.chunk_id.sequence, each.server_id, each.length_bytes),
        ):
            added[each.server_id] += 1
            groups.add(each.chunk_id.group_id)
    _count(tx, groups, added)


def remove(tx: Transaction, server_id: ServerId, chunk_ids: Iterable[ChunkId]) -> tuple[MissingReplica, ...]:
    """Remove the rows of one server; return those that there were."""
    removed: list[MissingReplica] = []
    for chunk_id in chunk_ids:
        rows = tx.execute(
            "DELETE FROM missing_replicas WHERE group_id = ? AND sequence = ? AND server_id = ? RETURNING length_bytes",
            (chunk_id.group_id, chunk_id.sequence, server_id),
        )
        removed += [MissingReplica(chunk_id, server_id, length_bytes) for (length_bytes,) in rows]
    _count(tx, {each.chunk_id.group_id for each in removed}, Counter({server_id: -len(removed)}))
    return tuple(removed)


def remove_member(tx: Transaction, group_id: GroupId, server_id: ServerId) -> None:
    """Remove all rows of a server that is no member of a group any more."""
    rows = tx.execute(
        "DELETE FROM missing_replicas WHERE group_id = ? AND server_id = ? RETURNING 1", (group_id, server_id)
    )
    if rows:
        _count(tx, {group_id}, Counter({server_id: -len(rows)}))


def members_lacking(tx: Transaction, group_id: GroupId) -> frozenset[ServerId]:
    """Return the members that lack at least one chunk of a group."""
    rows = tx.execute("SELECT DISTINCT server_id FROM missing_replicas WHERE group_id = ?", (group_id,))
    return frozenset(row[0] for row in rows)


def _count(tx: Transaction, groups: Iterable[GroupId], servers: Counter[ServerId]) -> None:
    # A chunk may lack several copies and counts once, so the chunks of a group are counted anew.
    tx.execute_many(
        "UPDATE groups SET "
        "missing_chunk_count = (SELECT COUNT(DISTINCT sequence) FROM missing_replicas WHERE group_id = ?), "
        "missing_bytes = (SELECT COALESCE(SUM(length_bytes), 0) FROM missing_replicas WHERE group_id = ?) "
        "WHERE group_id = ?",
        [(group_id, group_id, group_id) for group_id in sorted(groups)],
    )
    tx.execute_many(
        "UPDATE servers SET missing_chunk_count = missing_chunk_count + ? WHERE server_id = ?",
        [(change, server_id) for server_id, change in sorted(servers.items()) if change],
    )
