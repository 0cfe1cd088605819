"""The master's side of ``Admin``."""

from collections.abc import Mapping
from dataclasses import replace

from dstore.core.errors import InvalidRequest
from dstore.core.groups import Duty
from dstore.core.ids import ChunkId, ServerId
from dstore.core.limits import LIST_PAGE_SIZE_DEFAULT, LIST_PAGE_SIZE_MAX
from dstore.core.operations import BalanceState, DutyChange, PauseAction, ScrubState
from dstore.core.status import ChunkDescription, ClusterStatus, FileDescription, HealthCheck
from dstore.master import movement, reading, status
from dstore.master.facts import Facts
from dstore.master.membership import ServerState
from dstore.master.observing import observe
from dstore.master.operations import Operations
from dstore.master.progress import Progress
from dstore.master.reading import OpenedRows
from dstore.master.repair_health import about_upkeep
from dstore.master.shared import Shared
from dstore.master.store.base import Transaction
from dstore.master.uninterrupted import uninterrupted


class AdminService:
    """Implements ``dstore.core.interfaces.Admin``."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._operations = Operations(shared)

    async def get_status(self) -> ClusterStatus:
        """Describe the cluster on one screen."""
        return self.describe(await observe(self._shared))

    def describe(self, facts: Facts) -> ClusterStatus:
        """Make the status of what was read a moment ago."""
        shared = self._shared
        now_s = shared.clock.monotonic_s()
        states, groups = shared.membership.states(now_s), shared.allocator.groups
        lacking = shared.holdings.judge(facts, groups, states, now_s)
        progress = shared.progress.progress(facts, groups, states)
        screen = status.build_status(
            shared.cluster,
            facts,
            groups,
            states,
            lacking={server_id: sum(counts.values()) for server_id, counts in lacking.items()},
            version=shared.version,
            writes_in_progress=len(shared.leases),
            refusal=shared.allocator.refusal(),
            further=(*self._about_upkeep(facts, states, progress), *shared.collection.checks()),
            time_ns=shared.clock.wall_ns(),
        )
        return replace(
            screen,
            traffic=movement.sum_traffic(states.values()),
            repair=movement.describe_repair(progress),
            group_states=movement.count_groups(
                facts,
                groups,
                states,
                shared.cluster.policy,
                frozenset(each for held in lacking.values() for each in held),
            ),
            is_leading=shared.leadership.is_leading,
            leader_epoch=shared.leadership.epoch,
        )

    def _about_upkeep(
        self, facts: Facts, states: Mapping[ServerId, ServerState], progress: Progress
    ) -> list[HealthCheck]:
        shared, now_s = self._shared, self._shared.clock.monotonic_s()
        groups = shared.allocator.groups
        leaderless_s = shared.leadership.quiet_s(now_s)
        return about_upkeep(shared.cluster.policy, facts, groups, states, progress, leaderless_s=leaderless_s)

    @uninterrupted
    async def set_node_duty(self, name: str, duty: Duty, *, duration_s: float, dry_run: bool) -> DutyChange:
        """Tell a server its duty."""
        return await self._operations.set_node_duty(name, duty, duration_s=duration_s, dry_run=dry_run)

    @uninterrupted
    async def remove_node(self, name: str) -> None:
        """Forget a server."""
        await self._operations.remove_node(name)

    @uninterrupted
    async def balance_cluster(self, action: PauseAction) -> BalanceState:
        """Tell what balancing does; pause or resume it."""
        return await self._operations.balance_cluster(action)

    @uninterrupted
    async def set_scrub(self, action: PauseAction) -> ScrubState:
        """Tell whether chunks are checked; pause or resume it."""
        return await self._operations.set_scrub(action)

    async def describe_file(self, path: str, *, start_index: int, count: int) -> FileDescription:
        """Show where a file is."""
        if count < 0:
            raise InvalidRequest(f"{count} chunks cannot be shown; ask for 0 or more.", reason="PAGE_SIZE_INVALID")
        wanted = min(count or LIST_PAGE_SIZE_DEFAULT, LIST_PAGE_SIZE_MAX)

        def run(tx: Transaction) -> tuple[OpenedRows, dict[ChunkId, tuple[ServerId, ...]]]:
            rows = reading.open_file(tx, path, start_index=start_index, count=wanted)
            return rows, reading.missing_replicas(tx, rows.records)

        rows, missing = await self._shared.store.read(run)
        group_ids = {record.chunk_id.group_id for record in rows.records}
        await self._shared.allocator.know(group_ids)
        groups = {group.group_id: group for group in self._shared.allocator.describe(group_ids)}
        following = start_index + len(rows.records)
        return FileDescription(
            info=rows.info,
            policy=self._shared.cluster.policy,
            key_ids=tuple(key.key_id for key in rows.wrapped_keys),
            chunks=tuple(
                ChunkDescription(record, groups[record.chunk_id.group_id], missing.get(record.chunk_id, ()))
                for record in rows.records
            ),
            next_chunk_index=following if following < rows.info.chunk_count else None,
        )
