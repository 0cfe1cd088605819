"""What operators ask for: duties of chunkservers, their removal, balancing, the scrub."""

from collections.abc import Iterable, Mapping, Sequence

from dstore.core.errors import Conflict, InvalidRequest, NotFound, NotReady
from dstore.core.groups import Duty, ServerPhase
from dstore.core.ids import GroupId, ServerId
from dstore.core.operations import (
    MOVES_LISTED_MAX,
    BalanceState,
    DutyChange,
    MemberMove,
    PauseAction,
    ScrubState,
)
from dstore.master import repairing, server_rows, switches
from dstore.master.balance import plan_balance
from dstore.master.drain import check_removable, plan_drain
from dstore.master.membership import ServerState
from dstore.master.observing import observe
from dstore.master.server_rows import ServerRecord
from dstore.master.shared import Shared
from dstore.master.stopping import check_stoppable
from dstore.master.store.base import Transaction
from dstore.master.switches import Switches
from dstore.master.views import MemberChange, PlannedGroup
from dstore.master.written import acknowledged_by

#: Longer than anybody works on a server; whoever wants more drains it.
MAINTENANCE_MAX_S = 7 * 24 * 3600.0


class Operations:
    """Carries out what operators ask for."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def set_node_duty(self, name: str, duty: Duty, *, duration_s: float, dry_run: bool) -> DutyChange:
        """Tell a server its duty; refused when the others cannot take over, or could not be read from meanwhile."""
        state = self._find(name)
        moves, copied_bytes = await self._plan_drain(state) if duty is Duty.DRAINING else ((), 0)
        until_s = 0
        if duty is Duty.MAINTENANCE:
            until_s = await self._maintenance_until(duration_s)
            await self._check_stoppable(state)
        if not dry_run:
            await self._store_duty(state.record, duty, until_s)
        return DutyChange(name, duty, not dry_run, moves[:MOVES_LISTED_MAX], len(moves), copied_bytes)

    async def remove_node(self, name: str) -> None:
        """Forget a server that keeps nothing any more."""
        state, shared = self._find(name), self._shared
        server_id = state.record.server_id
        servers = [each.planned for each in self._states().values()]
        refusal = check_removable(server_id, servers, await self._groups())
        if refusal is not None:
            raise _refused(refusal, "NODE_IN_USE", name)
        if state.record.duty is not Duty.DRAINING and state.phase is not ServerPhase.OUT:
            raise _refused(
                f"{name} has not been drained, and could get chunks while it is removed; run `dstore node drain "
                f"{name}` first.",
                "NODE_IN_USE",
                name,
            )
        await self._check_last_copies(state)

        def run(tx: Transaction) -> bool:
            if tx.execute("SELECT 1 FROM group_members WHERE server_id = ? LIMIT 1", (server_id,)):
                return False
            if state.is_readable and acknowledged_by(tx, server_id):
                raise _refused(
                    f"{name} holds chunks of writes in progress, of which nobody knows yet whether others have them; "
                    "try again when these writes have ended (dstore status counts them).",
                    "NODE_IN_USE",
                    name,
                )
            server_rows.delete_server(tx, server_id)
            return True

        if not await shared.store.write(run):
            raise _refused(f"{name} became a member of a placement group just now; try again.", "NODE_IN_USE", name)
        shared.membership.removed(server_id)
        shared.orders.forget()

    async def balance_cluster(self, action: PauseAction) -> BalanceState:
        """Pause or resume balancing, and tell what it does."""
        shared = self._shared
        if action is not PauseAction.LOOK:
            is_paused = action is PauseAction.PAUSE
            await self._switch(Switches(shared.switches.scrub_is_paused, is_paused))
        groups = await self._groups()
        servers = [state.planned for state in self._states().values()]
        plan = plan_balance(servers, groups, shared.cluster.policy)
        names = self._names()
        moves = tuple(
            MemberMove(move.group_id, names[move.source], names[move.target], move.bytes) for move in plan.moves
        )
        return BalanceState(
            is_paused=shared.switches.balance_is_paused,
            moves=moves[:MOVES_LISTED_MAX],
            move_count=len(moves),
            copied_bytes=plan.bytes,
            spread_before=plan.spread_before,
            spread_after=plan.spread_after,
            refusal=plan.refusal or "",
        )

    async def set_scrub(self, action: PauseAction) -> ScrubState:
        """Pause or resume the scrub of all servers, and tell whether it is."""
        shared = self._shared
        if action is not PauseAction.LOOK:
            is_paused = action is PauseAction.PAUSE
            await self._switch(Switches(is_paused, shared.switches.balance_is_paused))
            shared.orders.settings = shared.upkeep.settings(scrub_is_paused=is_paused)
        return ScrubState(shared.switches.scrub_is_paused, shared.upkeep.scrub_period_s)

    async def _switch(self, wanted: Switches) -> None:
        self._shared.switches = await self._shared.store.write(lambda tx: switches.store(tx, wanted))

    async def _plan_drain(self, state: ServerState) -> tuple[tuple[MemberMove, ...], int]:
        """Return what a drain moves, and how many bytes of it are copied."""
        groups = await self._groups()
        servers = [each.planned for each in self._states().values()]
        plan = plan_drain(state.record.server_id, servers, groups, self._shared.cluster.policy)
        if plan.refusal is not None:
            raise _refused(plan.refusal, "DRAIN_REFUSED", state.record.name)
        return self._moves(plan.changes, groups), plan.bytes

    async def _check_stoppable(self, state: ServerState) -> None:
        name = state.record.name
        if state.phase is ServerPhase.OUT:
            raise _refused(
                f"{name} is out: others get copies of what it held, so there is nothing to keep for it. Start it, or "
                "remove it.",
                "MAINTENANCE_REFUSED",
                name,
            )
        groups = await self._groups()
        servers = [each.planned for each in self._states().values()]
        refusal = check_stoppable(state.record.server_id, servers, groups, self._shared.cluster.policy)
        if refusal is not None:
            raise _refused(refusal, "MAINTENANCE_REFUSED", name)

    async def _check_last_copies(self, state: ServerState) -> None:
        """Refuse to let go of a server whose disk may have the last copies of chunks that its groups have lost."""
        facts = await observe(self._shared)
        held = [each.group_id for each in state.heartbeat.groups if each.chunk_count] if state.heartbeat else []
        lost = sum(facts.groups[each].lost_chunk_count for each in held if each in facts.groups)
        if lost:
            raise _refused(
                f"{state.record.name} may have the last good copies of {lost} chunk{'' if lost == 1 else 's'} that "
                "other servers have lost; wait until they are copied from it (dstore status shows it).",
                "NODE_IN_USE",
                state.record.name,
            )

    async def _maintenance_until(self, duration_s: float) -> int:
        if not 0 < duration_s <= MAINTENANCE_MAX_S:
            raise InvalidRequest(
                f"A maintenance of {duration_s:.0f} s cannot be kept; choose up to {MAINTENANCE_MAX_S / 86_400:.0f} "
                "days, or drain the server.",
                reason="DURATION_INVALID",
            )
        facts = await observe(self._shared)
        return facts.counters["running_s"] + round(duration_s)

    async def _store_duty(self, record: ServerRecord, duty: Duty, until_s: int) -> None:
        shared = self._shared
        # What it was checked against: nothing is awaited between the check and here.
        seen = {(each.record.server_id, each.record.duty) for each in self._states().values()}

        def run(tx: Transaction) -> ServerRecord | None:
            if duty is not Duty.ACTIVE and server_rows.off_duty(tx) - seen:
                raise Conflict(
                    "Another chunkserver was put into maintenance or drained at this moment; look at `dstore node "
                    "list`, then try again.",
                    reason="DUTY_CHANGED",
                )
            return server_rows.set_duty(tx, record.server_id, duty, until_s)

        stored = await shared.store.write(run)
        if stored is None:
            raise _unknown(record.name, self._names().values())
        shared.membership.changed(stored)

    async def _groups(self) -> tuple[PlannedGroup, ...]:
        facts = await observe(self._shared)
        groups, doubts = self._shared.allocator.groups.by_id, self._shared.doubts.by_group()
        return tuple(
            repairing.view(groups[group_id], facts, doubts.get(group_id, frozenset())) for group_id in sorted(groups)
        )

    def _moves(self, changes: Iterable[MemberChange], groups: Sequence[PlannedGroup]) -> tuple[MemberMove, ...]:
        names = self._names()
        sizes: Mapping[GroupId, int] = {group.group_id: group.chunk_bytes for group in groups}
        moves: list[MemberMove] = []
        for change in changes:
            gone = [*change.leave, *change.remove]
            for index, target in enumerate(change.add):
                source = names[gone[index]] if index < len(gone) else ""
                moves.append(MemberMove(change.group_id, source, names[target], sizes.get(change.group_id, 0)))
            moves += [MemberMove(change.group_id, names[each], "", 0) for each in gone[len(change.add) :]]
        return tuple(moves)

    def _states(self) -> dict[ServerId, ServerState]:
        return self._shared.membership.states(self._shared.clock.monotonic_s())

    def _names(self) -> dict[ServerId, str]:
        return {server_id: state.record.name for server_id, state in self._states().items()}

    def _find(self, name: str) -> ServerState:
        found = next((state for state in self._states().values() if state.record.name == name), None)
        if found is None:
            raise _unknown(name, self._names().values())
        return found


def _refused(why: str, reason: str, name: str) -> NotReady:
    return NotReady(why, reason=reason, metadata={"name": name})


def _unknown(name: str, names: Iterable[str]) -> NotFound:
    known = ", ".join(sorted(names)[:20]) or "none"
    return NotFound(
        f"There is no chunkserver {name[:80]!r} in this cluster; it has {known}.",
        reason="NODE_UNKNOWN",
        metadata={"name": name[:80]},
    )
