"""Finds places for chunks: joins the live servers, the group map and the pure planner."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from dstore.core.environment import Clock
from dstore.core.errors import DstoreError
from dstore.core.files import Policy
from dstore.core.groups import Group, Replica, ServerPhase
from dstore.core.ids import GroupId, ServerId
from dstore.master import placement
from dstore.master.group_map import GroupMap, insert_groups, load_groups
from dstore.master.membership import Membership
from dstore.master.placement import PlacedGroup
from dstore.master.store.base import Store
from dstore.master.writes import Target, Targets


class Allocator:
    """Hands out places, and makes groups when they are needed."""

    def __init__(self, *, store: Store, clock: Clock, membership: Membership, policy: Policy, groups: GroupMap) -> None:
        self._store = store
        self._clock = clock
        self._membership = membership
        self._policy = policy
        self._groups = groups
        self._rotation = 0
        self._making = asyncio.Lock()
        self._is_stale = False

    @property
    def groups(self) -> GroupMap:
        """The groups as they were last read."""
        return self._groups

    def adopt(self, changed: Sequence[PlacedGroup]) -> None:
        """Take over groups as a transaction has stored them, each with one change."""
        if not changed:
            # Most reports change none.
            return
        self._groups = self._groups.replaced(changed)

    async def catch_up(self, change_count: int) -> None:
        """Read the groups again if others than this master have changed some; ``change_count`` was read before."""
        # It may have been read before what was adopted since.
        if self._groups.change_count < change_count:
            await self._reload()

    async def targets(self, count: int, avoid: Iterable[ServerId] = ()) -> Targets:
        """Return a place for each of ``count`` chunks, or the error that says why there is none."""
        if count == 0:
            return ()
        left_out = frozenset(avoid)
        views = self._views()
        made = False
        if self._groups.whole_count(self._policy.replicas) < placement.group_target(views.values(), self._policy):
            made = await self._make_groups()
        choices = self._choose(count, left_out)
        if not made and (isinstance(choices, DstoreError) or placement.is_degraded(choices, self._policy)):
            made = await self._make_groups()
            choices = self._choose(count, left_out) if made else choices
        if isinstance(choices, DstoreError):
            return choices
        self._rotation += count
        groups = {group.group_id: group for group in self.describe(choice.group_id for choice in choices)}
        return tuple(Target(groups[choice.group_id], choice.chain) for choice in choices)

    def describe(self, group_ids: Iterable[GroupId]) -> tuple[Group, ...]:
        """Return groups with the live state of their members, each once, in order of their ids."""
        now_s = self._clock.monotonic_s()
        groups = [self._groups.by_id[group_id] for group_id in sorted(set(group_ids))]
        return tuple(
            Group(group.group_id, group.epoch, tuple(self._replica(group, each, now_s) for each in group.members))
            for group in groups
        )

    def refusal(self) -> DstoreError | None:
        """Return why no chunk could be placed now; None when one could."""
        if placement.plan_groups(tuple(self._views().values()), self._groups.groups, self._policy):
            return None
        choices = self._choose(1, frozenset())
        return choices if isinstance(choices, DstoreError) else None

    async def know(self, group_ids: Iterable[GroupId]) -> None:
        """Read the groups again if one of these is not known; another caller may just have made it."""
        if self._is_stale or any(group_id not in self._groups.by_id for group_id in group_ids):
            await self._reload()

    def _views(self, *, with_slow: bool = False) -> dict[ServerId, placement.ServerView]:
        states = self._membership.states(self._clock.monotonic_s())
        return {
            server_id: replace(state.view, phase=ServerPhase.UP) if with_slow and state.is_slow else state.view
            for server_id, state in states.items()
        }

    def _choose(self, count: int, avoid: frozenset[ServerId]) -> tuple[placement.Choice, ...] | DstoreError:
        refusal: DstoreError | None = None
        # Slow disks are better than none.
        for with_slow in (False, True):
            try:
                return placement.choose_placements(
                    count,
                    self._views(with_slow=with_slow),
                    self._groups.groups,
                    self._policy,
                    avoid=avoid,
                    rotation=self._rotation,
                )
            except DstoreError as error:
                refusal = refusal or error
        assert refusal is not None
        return refusal

    async def _make_groups(self) -> bool:
        """Make the groups that are planned for now; return whether there were any."""
        async with self._making:
            if self._is_stale:
                await self._reload()
                self._is_stale = False
            plan = placement.plan_groups(tuple(self._views().values()), self._groups.groups, self._policy)
            if not plan:
                return False
            # Until the new map is read, a caller that is cancelled here leaves groups behind that nobody knows.
            self._is_stale = True
            await self._store.write(lambda tx: insert_groups(tx, plan))
            await self._reload()
            self._is_stale = False
            return True

    async def _reload(self) -> None:
        """Read the groups; again when changes were adopted meanwhile, which what was read may lack."""
        while True:
            before = self._groups
            groups = await self._store.read(load_groups)
            if self._groups is before:
                self._groups = groups
                return

    def _replica(self, group: PlacedGroup, server_id: ServerId, now_s: float) -> Replica:
        state = self._membership.state(server_id, now_s)
        if state is None:
            return Replica(server_id, "", "", ServerPhase.DOWN, group.state_of(server_id))
        record = state.record
        return Replica(server_id, record.name, record.address, state.phase, group.state_of(server_id))
