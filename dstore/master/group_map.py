"""The placement groups: rows in the store, and a copy of all of them in memory, since they change rarely."""

from collections import Counter
from collections.abc import Iterable, Sequence

from dstore.core.groups import MemberState
from dstore.core.ids import GroupId, ServerId
from dstore.master import counters
from dstore.master.placement import FIRST_EPOCH, PlacedGroup, order_groups
from dstore.master.store.base import Transaction, batches, expand


class GroupMap:
    """All groups at one moment; never changed, only replaced.

    Attributes:
        groups: in the order in which consecutive chunks are placed.
        by_id: the same.
        change_count: of the counter ``group_changes`` when all of them were read.
    """

    def __init__(self, groups: Iterable[PlacedGroup], change_count: int = 0) -> None:
        self.groups = order_groups(groups)
        self.by_id = {group.group_id: group for group in self.groups}
        self.change_count = change_count
        memberships: dict[ServerId, list[GroupId]] = {}
        for group_id in sorted(self.by_id):
            for member in self.by_id[group_id].members:
                memberships.setdefault(member, []).append(group_id)
        self._of_server = {server_id: tuple(group_ids) for server_id, group_ids in memberships.items()}
        self._positions = {group.group_id: position for position, group in enumerate(self.groups)}
        self._token = object()
        #: The token of the map that this one was made of, and the groups that differ.
        self._origin: tuple[object, tuple[GroupId, ...]] = (None, ())
        self._sizes = Counter(len(group.writers) for group in self.groups)

    def replaced(self, changed: Sequence[PlacedGroup]) -> "GroupMap":
        """Return the map with these groups, each stored by one change, in place of older epochs of them."""
        newer: dict[GroupId, PlacedGroup] = {}
        for group in changed:
            known = newer.get(group.group_id, self.by_id.get(group.group_id))
            if known is not None and _is_newer(group, known):
                newer[group.group_id] = group
        fresh = object.__new__(GroupMap)
        fresh.change_count = self.change_count + len(changed)
        fresh.by_id = self.by_id | newer
        groups = list(self.groups)
        for group in newer.values():
            groups[self._positions[group.group_id]] = group
        fresh.groups = tuple(groups)
        fresh._positions = self._positions
        fresh._token, fresh._origin = object(), (self._token, tuple(newer))
        fresh._of_server = dict(self._of_server)
        fresh._sizes = self._sizes.copy()
        for group in newer.values():
            fresh._sizes[len(self.by_id[group.group_id].writers)] -= 1
            fresh._sizes[len(group.writers)] += 1
        touched = {member for group in newer.values() for member in (*group.members, *self._members(group.group_id))}
        for server_id in touched:
            kept = {each for each in self.of_server(server_id) if each not in newer}
            joined = {group.group_id for group in newer.values() if server_id in group.members}
            fresh._of_server[server_id] = tuple(sorted(kept | joined))
        return fresh

    def changed_since(self, before: "GroupMap") -> Sequence[GroupId]:
        """Return the groups that are not as they were in an older map."""
        origin, changed = self._origin
        if origin is before._token:
            return changed
        return [group.group_id for group in self.groups if before.by_id.get(group.group_id) is not group]

    def of_server(self, server_id: ServerId) -> tuple[GroupId, ...]:
        """Return the groups that a server is a member of, in order."""
        return self._of_server.get(server_id, ())

    def whole_count(self, replicas: int) -> int:
        """Return how many groups have at least ``replicas`` members that get new chunks."""
        return sum(count for size, count in self._sizes.items() if size >= replicas)

    def _members(self, group_id: GroupId) -> tuple[ServerId, ...]:
        return self.by_id[group_id].members


def load_groups(tx: Transaction) -> GroupMap:
    """Return all groups as they are stored."""
    groups = _placed(
        tx.execute("SELECT group_id, epoch FROM groups"),
        tx.execute("SELECT group_id, server_id, state FROM group_members ORDER BY group_id, position"),
    )
    return GroupMap(groups, counters.read(tx, "group_changes"))


def read_groups(tx: Transaction, group_ids: Sequence[GroupId]) -> dict[GroupId, PlacedGroup]:
    """Return some groups as they are stored; those that there are not are left out."""
    found: dict[GroupId, PlacedGroup] = {}
    for batch in batches(group_ids):
        values = tuple(batch)
        groups = _placed(
            tx.execute(expand("SELECT group_id, epoch FROM groups WHERE group_id IN (?*)", len(values)), values),
            tx.execute(
                expand(
                    "SELECT group_id, server_id, state FROM group_members WHERE group_id IN (?*) "
                    "ORDER BY group_id, position",
                    len(values),
                ),
                values,
            ),
        )
        found.update((group.group_id, group) for group in groups)
    return found


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
    counters.add(tx, "group_changes", 1)


def store_members(tx: Transaction, group: PlacedGroup, members: Sequence[tuple[ServerId, MemberState]]) -> PlacedGroup:
    """Give a group, as it was read in this transaction, other members; its epoch goes up by one (Invariant 7)."""
    tx.execute("UPDATE groups SET epoch = ? WHERE group_id = ?", (group.epoch + 1, group.group_id))
    tx.execute("DELETE FROM group_members WHERE group_id = ?", (group.group_id,))
    tx.execute_many(
        "INSERT INTO group_members (group_id, position, server_id, state) VALUES (?, ?, ?, ?)",
        [(group.group_id, position, server_id, state.value) for position, (server_id, state) in enumerate(members)],
    )
    counters.add(tx, "group_changes", 1)
    return _place(group.group_id, group.epoch + 1, members)


def _is_newer(group: PlacedGroup, known: PlacedGroup) -> bool:
    # Within one epoch members are only ever found to be whole.
    return group.epoch > known.epoch or (group.epoch == known.epoch and group.filling < known.filling)


def _placed(groups: Iterable[tuple[int, int]], members: Iterable[tuple[int, str, str]]) -> list[PlacedGroup]:
    of_group: dict[int, list[tuple[ServerId, MemberState]]] = {}
    for group_id, server_id, state in members:
        of_group.setdefault(group_id, []).append((ServerId(server_id), MemberState(state)))
    return [_place(GroupId(group_id), epoch, of_group.get(group_id, ())) for group_id, epoch in groups]


def _place(group_id: GroupId, epoch: int, members: Sequence[tuple[ServerId, MemberState]]) -> PlacedGroup:
    def those(wanted: MemberState) -> frozenset[ServerId]:
        return frozenset(server_id for server_id, state in members if state is wanted)

    return PlacedGroup(
        group_id,
        tuple(server_id for server_id, _ in members),
        epoch,
        filling=those(MemberState.FILLING),
        leaving=those(MemberState.LEAVING),
    )
