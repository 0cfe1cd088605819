"""Which chunks each server should copy now: from the rows of missing replicas, those that can be had first.

A row says that a copy is not proven, and not that it is not there: a member that took a chunk while it was being filled
has it, and so may a disk that came back. A chunk that nobody is known to hold is therefore ordered as well, behind the
others: each member that lacks it looks at its own disk first.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dstore.core.ids import ChunkId, GroupId, ServerId
from dstore.core.limits import MISSING_PER_ORDER_MAX
from dstore.master.group_map import GroupMap
from dstore.master.store.base import Transaction

#: Rows of one server that are looked at in one round, in their order.
_WINDOW = 4 * MISSING_PER_ORDER_MAX
_START = (0, 0)


@dataclass(frozen=True, slots=True)
class Window:
    """Some missing replicas of one server, with all the servers that lack the same chunks.

    Attributes:
        last: the position of its last row.
        is_last: whether no rows follow.
    """

    lacking: dict[ChunkId, frozenset[ServerId]]
    last: tuple[int, int]
    is_last: bool


class MissingOrders:
    """Goes through the missing replicas of each server; where nothing can be had, it goes on behind."""

    def __init__(self) -> None:
        self._after: dict[ServerId, tuple[int, int]] = {}

    def read(self, tx: Transaction, server_ids: Iterable[ServerId]) -> dict[ServerId, Window]:
        """Read what some servers lack."""
        return {server_id: _read_window(tx, server_id, self._after.get(server_id, _START)) for server_id in server_ids}

    def choose(
        self,
        windows: dict[ServerId, Window],
        groups: GroupMap,
        readable: frozenset[ServerId],
        former_holders: Callable[[GroupId], frozenset[ServerId]],
    ) -> dict[ServerId, tuple[ChunkId, ...]]:
        """Return what each server is to copy, the chunks with the fewest copies first, those without any last."""
        chosen: dict[ServerId, tuple[ChunkId, ...]] = {}
        for server_id, window in windows.items():
            copies: list[tuple[int, ChunkId]] = []
            nowhere: list[ChunkId] = []
            for chunk_id, lacking in window.lacking.items():
                group = groups.by_id.get(chunk_id.group_id)
                if group is None or server_id not in group.members:
                    continue
                count = sum(member in readable and member not in lacking for member in group.members)
                if count or former_holders(chunk_id.group_id):
                    copies.append((count, chunk_id))
                else:
                    nowhere.append(chunk_id)
            copies.sort()
            found = [chunk_id for _, chunk_id in copies[:MISSING_PER_ORDER_MAX]]
            chosen[server_id] = (*found, *nowhere[: MISSING_PER_ORDER_MAX - len(found)])
            if not copies and len(nowhere) > MISSING_PER_ORDER_MAX:
                last = chosen[server_id][-1]
                self._after[server_id] = (last.group_id, last.sequence)
            elif not copies or window.is_last:
                self._after[server_id] = _START if window.is_last else window.last
        return chosen


def _read_window(tx: Transaction, server_id: ServerId, after: tuple[int, int]) -> Window:
    rows = tx.execute(
        "SELECT group_id, sequence FROM missing_replicas WHERE server_id = ? AND (group_id, sequence) > (?, ?) "
        "ORDER BY group_id, sequence LIMIT ?",
        (server_id, *after, _WINDOW),
    )
    lacking: dict[ChunkId, set[ServerId]] = {ChunkId(*row): set() for row in rows}
    if rows:
        for group_id, sequence, other in tx.execute(
            "SELECT o.group_id, o.sequence, o.server_id FROM missing_replicas m "
            "JOIN missing_replicas o ON o.group_id = m.group_id AND o.sequence = m.sequence "
            "WHERE m.server_id = ? AND (m.group_id, m.sequence) > (?, ?) AND (m.group_id, m.sequence) <= (?, ?)",
            (server_id, *after, *rows[-1]),
        ):
            lacking[ChunkId(group_id, sequence)].add(other)
    return Window(
        {chunk_id: frozenset(servers) for chunk_id, servers in lacking.items()},
        (rows[-1][0], rows[-1][1]) if rows else after,
        len(rows) < _WINDOW,
    )
