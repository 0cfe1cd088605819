"""Notices that the metadata is older than what chunkservers saw, and deletes nothing from then on.

    off ──(a server saw more than these rows can know)──► on: fresh history, all counters jump ──(operator)──► off

A database that was restored from an old copy does not know what was written since. It would take every such chunk for
garbage, give its ids out again, and refuse nothing. So the history gets another id, every counter jumps above all that
is reported, and nothing is deleted until an operator says so. Reads, writes and repairs go on. What these rows do not
know stays on the disks; ``dstore fsck`` lists it.

It lasts over restarts: it is stored, in the transaction that lifts the counters.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dstore.core.checking import SafeModeStatus
from dstore.core.ids import GroupId
from dstore.core.limits import GROUP_ID_MAX, RESTORE_GAP, RESTORE_GROUP_GAP
from dstore.core.status import Health, HealthCheck
from dstore.core.upkeep import Heartbeat
from dstore.master import counters
from dstore.master.group_map import GroupMap
from dstore.master.shared import Shared
from dstore.master.store.base import INTEGER_MAX, Transaction

_IS_ON = "safe_mode"
_EARLIER = "earlier_history_ids"
_HISTORY = "history_id"
#: A number from the wire above this cannot be lifted over; it was made up, not given out.
_BELIEVED_MAX = INTEGER_MAX // 2


@dataclass(frozen=True, slots=True)
class Known:
    """How far these rows have come."""

    history_id: str
    earlier_history_ids: tuple[str, ...]
    leader_epoch: int
    transaction: int
    chunk_sequence: int
    group_id: int


def evidence(heartbeat: Heartbeat, name: str, known: Known) -> str:
    """Return how a report shows that the rows are older than what its server saw; empty when it does not.

    Everything in a report was stored by some master before the server could see it.
    """
    standing = heartbeat.standing
    newest_group = max((group.group_id for group in heartbeat.groups), default=0)
    if standing is not None and standing.history_id not in (known.history_id, *known.earlier_history_ids):
        return f"{name} followed the history {standing.history_id}, which this metadata does not know"
    if standing is not None and standing.transaction > known.transaction:
        return f"{name} saw transaction {standing.transaction}, this metadata ends with {known.transaction}"
    if standing is not None and standing.leader_epoch > known.leader_epoch:
        return f"{name} saw leader epoch {standing.leader_epoch}, this metadata ends with {known.leader_epoch}"
    if heartbeat.newest_sequence > known.chunk_sequence:
        return f"{name} holds chunk number {heartbeat.newest_sequence}, this metadata ends with {known.chunk_sequence}"
    if newest_group > known.group_id:
        return f"{name} holds a chunk of group {newest_group}, this metadata ends with {known.group_id}"
    return ""


class SafeMode:
    """Watches the reports for one master."""

    def __init__(self, shared: Shared, status: SafeModeStatus) -> None:
        self._shared = shared
        self._status = status
        self._known: Known | None = None
        #: Counts what this master stored: what was read before says nothing any more.
        self._changes = 0

    @property
    def status(self) -> SafeModeStatus:
        """Whether it is on, as this master knows it."""
        return self._status

    async def heard(self, heartbeat: Heartbeat) -> None:
        """Compare a report with the rows; enter safe mode if they are older."""
        shared = self._shared
        state = shared.membership.state(heartbeat.server_id, shared.clock.monotonic_s())
        name = state.record.name if state is not None else heartbeat.server_id
        if self._known is None or evidence(heartbeat, name, self._known):
            # What is remembered here is older than the rows themselves.
            self._known = await shared.store.read(load_known)
        if evidence(heartbeat, name, self._known):
            fresh = shared.random.uuid()
            self._stored(await shared.store.write(lambda tx: enter(tx, heartbeat, name, fresh)))
            self._known = await shared.store.read(load_known)
        seen = newer_epochs(heartbeat, shared.allocator.groups)
        if seen:
            await shared.allocator.catch_up(await shared.store.write(lambda tx: lift_epochs(tx, seen)))

    async def leave(self) -> SafeModeStatus:
        """Let the collection go on: an operator has decided that this metadata is what counts."""
        self._stored(await self._shared.store.write(leave))
        return self._status

    async def refresh(self) -> SafeModeStatus:
        """Return what is stored; another master may have entered or left safe mode."""
        before = self._changes
        status = await self._shared.store.read(load)
        if self._changes == before:
            self._take(status)
        return self._status

    def checks(self) -> tuple[HealthCheck, ...]:
        """Return the reason for a health that is not OK, if it is on."""
        if not self._status.is_on:
            return ()
        return (
            HealthCheck(
                "SAFE_MODE",
                Health.WARN,
                f"The metadata is older than what chunkservers saw ({self._status.reason}); nothing is deleted.",
                "dstore fsck; dstore safe-mode leave",
            ),
        )

    def _stored(self, status: SafeModeStatus) -> None:
        self._changes += 1
        self._take(status)

    def _take(self, status: SafeModeStatus) -> None:
        self._status = status
        if self._shared.cluster.history_id != status.history_id:
            self._shared.cluster = replace(self._shared.cluster, history_id=status.history_id)


def load(tx: Transaction) -> SafeModeStatus:
    """Return what is stored."""
    meta: dict[str, str] = dict(
        tx.execute("SELECT name, value FROM meta WHERE name IN (?, ?, ?)", (_IS_ON, _EARLIER, _HISTORY))
    )
    return SafeModeStatus(
        is_on=_IS_ON in meta,
        reason=meta.get(_IS_ON, ""),
        history_id=meta[_HISTORY],
        earlier_history_ids=tuple(json.loads(meta.get(_EARLIER, "[]"))),
    )


def load_known(tx: Transaction) -> Known:
    """Return how far the rows have come."""
    status = load(tx)
    values = counters.read_all(tx)
    return Known(
        history_id=status.history_id,
        earlier_history_ids=status.earlier_history_ids,
        leader_epoch=tx.execute("SELECT epoch FROM leader")[0][0],
        transaction=values["txn"],
        chunk_sequence=values["chunk_sequence"],
        group_id=values["group_id"],
    )


def enter(tx: Transaction, heartbeat: Heartbeat, name: str, fresh_history_id: str) -> SafeModeStatus:
    """Enter safe mode if the report still shows that the rows are old; return what is stored now.

    In safe mode already, a further report with higher values lifts the counters again.
    """
    known = load_known(tx)
    why = evidence(heartbeat, name, known)
    if not why:
        return load(tx)
    _lift(tx, heartbeat, known)
    # A history that was lost is continued too: further servers that followed it are no news.
    lost = [heartbeat.standing.history_id] if heartbeat.standing is not None else []
    continued = dict.fromkeys([*known.earlier_history_ids, *lost, known.history_id])
    _put(tx, _EARLIER, json.dumps(list(continued)))
    _put(tx, _HISTORY, fresh_history_id)
    if not load(tx).is_on:
        _put(tx, _IS_ON, why)
    return load(tx)


def leave(tx: Transaction) -> SafeModeStatus:
    """Leave safe mode; leaving twice is fine."""
    tx.execute("DELETE FROM meta WHERE name = ?", (_IS_ON,))
    return load(tx)


def newer_epochs(heartbeat: Heartbeat, groups: GroupMap) -> dict[GroupId, int]:
    """Return the epochs that a server saw of groups that are older in the map."""
    return {
        group.group_id: group.epoch
        for group in heartbeat.groups
        if group.group_id in groups.by_id and groups.by_id[group.group_id].epoch < group.epoch <= _BELIEVED_MAX
    }


def lift_epochs(tx: Transaction, seen: Mapping[GroupId, int]) -> int:
    """Lift groups above epochs that were seen of them, where the rows are behind; return how many changes there were.

    All writes to such a group would be refused otherwise.
    """
    for group_id, epoch in sorted(seen.items()):
        lifted = tx.execute(
            "UPDATE groups SET epoch = ? WHERE group_id = ? AND epoch < ? RETURNING 1", (epoch + 1, group_id, epoch)
        )
        counters.add(tx, "group_changes", len(lifted))
    return counters.read(tx, "group_changes")


def _lift(tx: Transaction, heartbeat: Heartbeat, known: Known) -> None:
    standing = heartbeat.standing
    sequence = max(heartbeat.newest_sequence, heartbeat.settled_sequence)
    newest_group = max((group.group_id for group in heartbeat.groups), default=0)
    values = counters.read_all(tx)
    lifted = {
        "txn": max(known.transaction, _believed(standing.transaction if standing else 0)) + RESTORE_GAP,
        "version": values["version"] + RESTORE_GAP,
        "file_id": values["file_id"] + RESTORE_GAP,
        "chunk_sequence": max(known.chunk_sequence, _believed(sequence)) + RESTORE_GAP,
        "group_id": min(max(known.group_id, newest_group) + RESTORE_GROUP_GAP, GROUP_ID_MAX),
    }
    tx.execute_many("UPDATE counters SET value = ? WHERE name = ?", [(value, name) for name, value in lifted.items()])
    # Whoever leads has to win the lead again, with an epoch above every one that was seen.
    epoch = max(known.leader_epoch, _believed(standing.leader_epoch if standing else 0)) + RESTORE_GAP
    tx.execute("UPDATE leader SET holder = '', epoch = ?", (epoch,))


def _believed(value: int) -> int:
    return value if value <= _BELIEVED_MAX else 0


def _put(tx: Transaction, name: str, value: str) -> None:
    tx.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )
