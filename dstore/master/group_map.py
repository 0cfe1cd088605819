"""The placement groups: rows in the store, and a copy of all of them in memory, since they change rarely."""

from collections.abc import Iterable

from dstore.core.groups import GroupEpoch
from dstore.core.ids import GroupId, ServerId
from dstore.master import counters
from dstore.master.placement import PlacedGroup, order_groups
from dstore.master.store.base import Transaction

#: Members of a group never change in its first epoch.
FIRST_EPOCH = 1


class GroupMap:
    """All groups at one moment; never changed, only replaced.

    Attributes:
        groups: in the order in which consecutive chunks are placed.
        epochs: by group.
        whole_count: by number of members, how many groups have at least that many.
    """

    def __init__(self, groups: Iterable[tuple[PlacedGroup, int]]) -> None:
        known = list(groups)
        self.groups = order_groups(group for group, _ in known)
        self.by_id = {group.group_id: group for group in self.groups}
        self.epochs = {group.group_id: epoch for group, epoch in known}
        self._of_server: dict[ServerId, list[GroupEpoch]] = {}
        self._sizes: dict[int, int] = {}
        for group in sorted(self.groups, key=lambda each: each.group_id):
            self._sizes[len(group.members)] = self._sizes.get(len(group.members), 0) + 1
            for member in group.members:
                self._of_server.setdefault(member, []).append(GroupEpoch(group.group_id, self.epochs[group.group_id]))

    def of_server(self, server_id: ServerId) -> tuple[GroupEpoch, ...]:
        """Return the groups that a server is a member of."""
        return tuple(self._of_server.get(server_id, ()))

    def whole_count(self, replicas: int) -> int:
        """Return how many groups have at least ``replicas`` members."""
        return sum(count for size, count in self._sizes.items() if size >= replicas)


def load_groups(tx: Transaction) -> GroupMap:
    """Return all groups as they are stored."""
    members: dict[GroupId, list[ServerId]] = {}
    for group_id, server_id in tx.execute("SELECT group_id, server_id FROM group_members ORDER BY group_id, position"):
        members.setdefault(group_id, []).append(server_id)
    return GroupMap(
        (PlacedGroup(group_id, tuple(members[group_id])), epoch)
        for group_id, epoch in tx.execute("SELECT group_id, epoch FROM groups")
    )


def insert_groups(tx: Transaction, plan: tuple[tuple[ServerId, ...], ...]) -> None:
    """Store new groups, with ids that were never used."""
    if not plan:
        return
    first = counters.take(tx, "group_id", len(plan))
    tx.execute_many(
        "INSERT INTO groups (group_id, epoch, chunk_count, chunk_bytes, missing_chunk_count, missing_bytes) "
        "VALUES (?, ?, 0, 0, 0, 0)",
        [(first + offset, FIRST_EPOCH) for offset in range(len(plan))],
    )
    tx.execute_many(
        "INSERT INTO group_members (group_id, position, server_id, state) VALUES (?, ?, ?, 'whole')",
        [
            (first + offset, position, server_id)
            for offset, members in enumerate(plan)
            for position, server_id in enumerate(members)
        ],
    )
