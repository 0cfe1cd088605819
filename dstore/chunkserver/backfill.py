"""The engine that copies from peers what this server should hold: it makes things so as the assignments say.

- Each group in state FILLING has a task (``filling``), which lives as long as the group has this epoch and state.
- Groups in state WHOLE are compared with the other members now and then, one after the other: nothing should be
  lacking, and whatever is, is copied.
- Single chunks that orders name as missing are brought back (``missing``).

Nothing of this is stored: after a restart, what is on the disk already costs a comparison, and no copy.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dstore.chunkserver.filling import Comparison, FillingGroup, FillingParts, members
from dstore.chunkserver.missing import MissingChunks
from dstore.chunkserver.outcomes import OutcomeBox
from dstore.core.environment import Clock
from dstore.core.errors import DstoreError
from dstore.core.groups import MemberState
from dstore.core.ids import ChunkId, GroupId
from dstore.core.limits import COMPARE_INTERVAL_S, COMPARE_RETRY_S
from dstore.core.upkeep import Assignment, CopyReport

#: Comparing whole groups waits for everything that is urgent.
_COMPARE_PRIORITY = (1_000_000, 1)
#: How often it is looked for groups that are to be compared.
_LOOK_INTERVAL_S = 1.0


@dataclass(slots=True)
class _Filling:
    epoch: int
    group: FillingGroup
    task: asyncio.Task[None]


class Backfill:
    """Copies what is lacking, according to the assignments.

    Args:
        is_settled: tells whether a chunk has no writer any more.
    """

    def __init__(
        self,
        parts: FillingParts,
        clock: Clock,
        outcomes: OutcomeBox,
        missing: MissingChunks,
        is_settled: Callable[[ChunkId], bool],
    ) -> None:
        self._parts = parts
        self._clock = clock
        self._outcomes = outcomes
        self._missing = missing
        self._is_settled = is_settled
        self._assignments: dict[GroupId, Assignment] = {}
        self._filling: dict[GroupId, _Filling] = {}
        self._compare_at_s: dict[GroupId, float] = {}
        self._changed = asyncio.Event()
        self._comparison = Comparison(parts, self._is_wanted_in_whole)

    def follow(self, assignments: Sequence[Assignment], missing: Sequence[ChunkId]) -> None:
        """Make things so from now on."""
        self._assignments = {assignment.group_id: assignment for assignment in assignments}
        self._missing.follow(self._assignments, missing)
        self._changed.set()

    def report(self) -> CopyReport:
        """Return how it goes."""
        filling = [each.group for each in self._filling.values()]
        counts = self._parts.copier.counts
        pending_groups = sum(not group.is_filled for group in filling)
        lacking = sum(group.pending_chunks for group in filling) + self._comparison.pending_chunks
        pending_chunks = lacking + self._missing.count
        return CopyReport(
            pending_groups=pending_groups,
            pending_chunks=pending_chunks,
            copied_chunks=counts.chunks,
            copied_bytes=counts.size_bytes,
            # What failed and is not wanted any more is no failure.
            failure=counts.failure if pending_groups or pending_chunks else "",
        )

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._missing.run())
            tasks.create_task(self._compare_whole_groups())
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._adjust(tasks)

    async def _adjust(self, tasks: asyncio.TaskGroup) -> None:
        """End what has become pointless, begin what is new, update the rest."""
        wanted = {key: each for key, each in self._assignments.items() if each.state is MemberState.FILLING}
        for group_id, filling in list(self._filling.items()):
            if group_id not in wanted or wanted[group_id].epoch != filling.epoch:
                del self._filling[group_id]
                filling.task.cancel()
                await asyncio.wait([filling.task])
        for group_id, assignment in wanted.items():
            known = self._filling.get(group_id)
            if known is not None:
                known.group.update(assignment)
                continue
            group = FillingGroup(self._parts, assignment, self._outcomes.add_filled)
            self._filling[group_id] = _Filling(assignment.epoch, group, tasks.create_task(group.run()))

    async def _compare_whole_groups(self) -> None:
        while True:
            now_s = self._clock.monotonic_s()
            whole = {key: each for key, each in self._assignments.items() if each.state is MemberState.WHOLE}
            # Soon, but not all servers of a cluster at once: after a start, a comparison reads every footer.
            soon_s = now_s + COMPARE_RETRY_S * self._parts.random.uniform()
            self._compare_at_s = {key: self._compare_at_s.get(key, soon_s) for key in whole}
            due = min(whole, key=lambda each: self._compare_at_s[each], default=None)
            if due is None or self._compare_at_s[due] > now_s:
                await asyncio.sleep(_LOOK_INTERVAL_S)
                continue
            all_well = await self._compare(whole[due])
            pause_s = COMPARE_INTERVAL_S if all_well else COMPARE_RETRY_S
            # Spread, so that the members of a group do not all compare at once.
            spread = 0.75 + 0.5 * self._parts.random.uniform()
            self._compare_at_s[due] = self._clock.monotonic_s() + pause_s * spread

    async def _compare(self, assignment: Assignment) -> bool:
        all_well = True
        for source in members(assignment):
            try:
                await self._comparison.run(assignment, source, _COMPARE_PRIORITY)
            except DstoreError:
                # A member that is away is nothing to worry about here; what could not be copied is noted by the copier.
                all_well = False
        self._comparison.pending_chunks = 0
        return all_well

    def _is_wanted_in_whole(self, chunk_id: ChunkId) -> bool:
        # What still has a writer may be on its way to here as well.
        return self._parts.own.lacks(chunk_id) and self._is_settled(chunk_id)
