"""Single chunks that the master names as missing here: looked at, copied from any source, told as held.

Orders name a chunk until the master was told that it is held, so nothing needs to be remembered but when to try again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dstore.chunkserver.copying import Copier
from dstore.chunkserver.outcomes import OutcomeBox
from dstore.core.backoff import Backoff
from dstore.core.environment import Clock, Random
from dstore.core.errors import DstoreError, Unavailable
from dstore.core.ids import ChunkId, GroupId
from dstore.core.limits import COPY_STREAMS_MAX
from dstore.core.upkeep import Assignment

_BACKOFF = Backoff(initial_s=0.2, max_s=10.0)
#: A chunk that was told as held is not looked at again before this: the answer may still be under way.
_HELD_PAUSE_S = 5.0


class Checks(Protocol):
    """Looks at a chunk here."""

    async def is_intact(self, chunk_id: ChunkId) -> bool:
        """Read the whole chunk; False when it is not here, or damaged."""


@dataclass(slots=True)
class _Try:
    attempt: int
    not_before_s: float


class MissingChunks:
    """Brings back what orders name as missing."""

    def __init__(
        self,
        checks: Checks,
        copier: Copier,
        clock: Clock,
        random: Random,
        outcomes: OutcomeBox,
    ) -> None:
        self._checks = checks
        self._copier = copier
        self._clock = clock
        self._random = random
        self._outcomes = outcomes
        self._assignments: Mapping[GroupId, Assignment] = {}
        self._wanted: dict[ChunkId, None] = {}
        self._tries: dict[ChunkId, _Try] = {}
        self._busy: set[ChunkId] = set()
        self._changed = asyncio.Event()

    @property
    def count(self) -> int:
        """Chunks that are named as missing and were not brought back yet."""
        return sum(not self._outcomes.is_held_untold(chunk_id) for chunk_id in self._wanted)

    def follow(self, assignments: Mapping[GroupId, Assignment], chunk_ids: Sequence[ChunkId]) -> None:
        """Bring back these from now on, and no others, from the sources that the assignments name."""
        self._assignments = assignments
        self._wanted = dict.fromkeys(chunk_ids)
        self._tries = {chunk_id: tried for chunk_id, tried in self._tries.items() if chunk_id in self._wanted}
        self._changed.set()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(COPY_STREAMS_MAX):
                workers.create_task(self._work())

    async def _work(self) -> None:
        while True:
            chunk_id = self._next()
            if chunk_id is None:
                await self._pause()
                continue
            self._busy.add(chunk_id)
            try:
                await self._bring_back(chunk_id)
            except DstoreError:
                # The copier has remembered why.
                self._try_later(chunk_id)
            else:
                self._outcomes.add_held(chunk_id)
                self._tries[chunk_id] = _Try(0, self._clock.monotonic_s() + _HELD_PAUSE_S)
            finally:
                self._busy.remove(chunk_id)

    def _next(self) -> ChunkId | None:
        now_s = self._clock.monotonic_s()
        for chunk_id in self._wanted:
            tried = self._tries.get(chunk_id)
            if chunk_id not in self._busy and (tried is None or tried.not_before_s <= now_s):
                return chunk_id
        return None

    async def _pause(self) -> None:
        """Wait for other orders, or until something is to be tried again."""
        now_s = self._clock.monotonic_s()
        # One that is not wanted any more may be in here until the next orders, and would be due all the time.
        waiting = [chunk_id for chunk_id in self._tries if chunk_id in self._wanted and chunk_id not in self._busy]
        due_s = [self._tries[chunk_id].not_before_s - now_s for chunk_id in waiting]
        try:
            async with asyncio.timeout(max(0.01, min(due_s)) if due_s else None):
                await self._changed.wait()
        except TimeoutError:
            return

    def _try_later(self, chunk_id: ChunkId) -> None:
        tried = self._tries.get(chunk_id)
        attempt = tried.attempt if tried is not None else 0
        delay_s = _BACKOFF.delay_s(attempt, self._random.uniform())
        self._tries[chunk_id] = _Try(attempt + 1, self._clock.monotonic_s() + delay_s)

    async def _bring_back(self, chunk_id: ChunkId) -> None:
        """Return once the chunk is here and intact.

        Raises:
            DstoreError: no source could deliver it.
        """
        assignment = self._assignments.get(chunk_id.group_id)
        if assignment is None:
            raise Unavailable(f"The orders name no source for chunk {chunk_id}.")
        if await self._checks.is_intact(chunk_id):
            return
        failure: DstoreError | None = None
        for source in assignment.sources:
            try:
                await self._copier.copy(chunk_id, None, source, (assignment.urgency, 0))
            except DstoreError as error:
                failure = error
            else:
                return
        raise failure or Unavailable(f"Chunk {chunk_id} has no source.")
