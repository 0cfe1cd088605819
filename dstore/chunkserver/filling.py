"""Bringing one group up to what its other members hold.

States of a filling group: comparing with its sources, one after the other → filled (all were compared). A source that
fails is tried again after a pause, while the others go on; what is reported names only those that were compared.
A new epoch starts all over: whatever is on the disk already costs a comparison, and no copy.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from dstore.chunkserver.comparing import difference, lacking
from dstore.chunkserver.copying import Copier, Priority, is_about_chunk
from dstore.core.backoff import Backoff
from dstore.core.digests import GroupDigest, HeldChunk, HeldPage
from dstore.core.environment import Random
from dstore.core.errors import DeadlineExceeded, DstoreError, NotReady, Unavailable
from dstore.core.ids import ChunkId, GroupId, ServerId
from dstore.core.interfaces import Chunks, Peers
from dstore.core.limits import CALL_TIMEOUT_S, COPY_STREAMS_MAX
from dstore.core.upkeep import Assignment, Filled, Source

T = TypeVar("T")

#: Chunks that are listed at once: a listing is held in memory while its chunks are copied, one for each group.
LISTED_CHUNKS_MAX = 1_000
#: A group that is filled is reported again after this long, for as long as it is still to be filled.
REPORT_AGAIN_AFTER_S = 5.0
#: More than there are places for copies: while all places are taken, some always wait for the next one to get free,
#: which would otherwise go to a group that is less urgent.
_WORKERS = 2 * COPY_STREAMS_MAX
_BACKOFF = Backoff(initial_s=0.2, max_s=10.0)


class OwnChunks(Protocol):
    """What is here."""

    async def digest(self, group_id: GroupId) -> GroupDigest:
        """Return the tree of a group."""

    def lacks(self, chunk_id: ChunkId) -> bool:
        """Tell whether a chunk that a peer holds is to be copied: it is neither here nor discarded."""


@dataclass(frozen=True, slots=True)
class FillingParts:
    """What groups are filled with."""

    own: OwnChunks
    copier: Copier
    peers: Peers
    random: Random


class Comparison:
    """Compares one group with one source after the other, and copies what is lacking here.

    Args:
        is_wanted: tells whether a chunk that a source lists is to be copied.

    Attributes:
        pending_chunks: how many are known to be lacking here.
    """

    def __init__(self, parts: FillingParts, is_wanted: Callable[[ChunkId], bool]) -> None:
        self._parts = parts
        self._is_wanted = is_wanted
        self.pending_chunks = 0

    async def run(self, assignment: Assignment, source: Source, priority: Priority) -> None:
        """Return once this server holds what the source held when it was asked.

        That is all that is needed: the source has adopted the epoch, so that everything which comes to it later was
        written under this epoch, and thus to this server as well, or is known to be missing here.

        Raises:
            NotReady: ``SOURCE_BEHIND``: the source has not heard of the group's epoch yet.
            DstoreError: the source failed, or the own disk.
        """
        group_id, peer = assignment.group_id, self._parts.peers.chunks(source.address)
        try:
            theirs = await _in_time(peer.get_group_digest(group_id), source)
        except Unavailable as error:
            if error.reason == "DISK_FAILED":
                # What its disk can still read is copied, since nobody else may have it; but nothing was compared.
                await self._copy_listed((None,), assignment, source, priority)
            raise
        _require_epoch(theirs, assignment)
        found = difference(await self._parts.own.digest(group_id), theirs)
        self.pending_chunks = found.more_chunks
        await self._copy_listed(found.listings, assignment, source, priority)

    async def _copy_listed(
        self, listings: Iterable[int | None], assignment: Assignment, source: Source, priority: Priority
    ) -> None:
        """List buckets of the source, None standing for all at once, and copy what is lacking here."""
        group_id, peer = assignment.group_id, self._parts.peers.chunks(source.address)
        for bucket in listings:
            async for listed in _pages(peer, source, group_id, bucket):
                wanted = lacking(listed, lambda each: self._is_wanted(ChunkId(group_id, each)))
                self.pending_chunks = max(self.pending_chunks, len(wanted))
                await self._copy(wanted, assignment, source, priority)
        self.pending_chunks = 0

    async def _copy(
        self, chunks: Iterable[HeldChunk], assignment: Assignment, source: Source, priority: Priority
    ) -> None:
        """Copy the chunks, several at once; what one source cannot deliver is asked of the others.

        Raises:
            DstoreError: the first failure, after all that could be copied was copied.
        """
        waiting = iter(tuple(chunks))
        failures: list[DstoreError] = []

        def source_failure() -> DstoreError | None:
            return next((error for error in failures if not is_about_chunk(error)), None)

        async def work() -> None:
            for chunk in waiting:
                try:
                    await self._copy_one(chunk, assignment, source, priority, source_failure)
                except DstoreError as error:
                    failures.append(error)
                if source_failure() is not None:
                    return

        async with asyncio.TaskGroup() as workers:
            for _ in range(_WORKERS):
                workers.create_task(work())
        if failures:
            raise failures[0]

    async def _copy_one(
        self,
        chunk: HeldChunk,
        assignment: Assignment,
        source: Source,
        priority: Priority,
        source_failure: Callable[[], DstoreError | None],
    ) -> None:
        """Copy one chunk; only when the source lacks it, or has it damaged, from another one.

        Raises:
            DstoreError: the failure of the first source.
        """
        chunk_id = ChunkId(assignment.group_id, chunk.sequence)
        copier, failure = self._parts.copier, None
        for each in (source, *(other for other in members(assignment) if other != source)):
            try:
                await copier.copy(chunk_id, chunk, each, priority, reason_to_stop=source_failure)
            except DstoreError as error:
                if not self._is_wanted(chunk_id):
                    return  # it was discarded meanwhile
                failure = failure or error
                if not is_about_chunk(failure):
                    break
            else:
                self.pending_chunks = max(0, self.pending_chunks - 1)
                return
        assert failure is not None
        raise failure


class FillingGroup:
    """One group that is being filled, under one epoch.

    Args:
        report: takes what is to be told to the master.

    Attributes:
        is_filled: whether every source was compared.
    """

    def __init__(self, parts: FillingParts, assignment: Assignment, report: Callable[[Filled], None]) -> None:
        self._parts = parts
        self._assignment = assignment
        self._report = report
        self._comparison = Comparison(parts, parts.own.lacks)
        self._compared: list[ServerId] = []
        self._changed = asyncio.Event()
        self.is_filled = False

    @property
    def pending_chunks(self) -> int:
        """How many chunks are known to be lacking here."""
        return self._comparison.pending_chunks

    def update(self, assignment: Assignment) -> None:
        """Go by other sources, or another urgency, from now on."""
        if assignment == self._assignment:
            return
        assert (assignment.group_id, assignment.epoch) == (self._assignment.group_id, self._assignment.epoch)
        self._assignment = assignment
        self._changed.set()

    async def run(self) -> None:
        """Fill, then report again and again, until cancelled."""
        attempt = 0
        while True:
            self._changed.clear()
            told = len(self._compared)
            await self._try_all()
            sources = members(self._assignment)
            self.is_filled = all(source.server_id in self._compared for source in sources)
            attempt = 0 if len(self._compared) > told else attempt + 1
            if self._compared:
                self._report(Filled(self._assignment.group_id, self._assignment.epoch, tuple(self._compared)))
            pause_s = _BACKOFF.delay_s(attempt, self._parts.random.uniform())
            await _wait(self._changed, REPORT_AGAIN_AFTER_S if self.is_filled else pause_s)

    async def _try_all(self) -> None:
        """Compare with every source that was not compared yet; those that fail wait for the next round."""
        for source in members(self._assignment):
            if source.server_id in self._compared:
                continue
            priority = (self._assignment.urgency, 1)
            try:
                await self._comparison.run(self._assignment, source, priority)
            except DstoreError as error:
                self._parts.copier.note_failure(error, source)
            else:
                self._compared.append(source.server_id)


def members(assignment: Assignment) -> tuple[Source, ...]:
    """Return the sources that are compared with."""
    return tuple(source for source in assignment.sources if source.is_member)


def _require_epoch(theirs: GroupDigest, assignment: Assignment) -> None:
    """Refuse a source at which a write of an older epoch may still come to its end (Invariant 7).

    Raises:
        NotReady: ``SOURCE_BEHIND``.
    """
    if theirs.epoch < assignment.epoch:
        raise NotReady(
            f"It is at epoch {theirs.epoch} of group {assignment.group_id}, which is at {assignment.epoch}; "
            "the master tells it soon.",
            reason="SOURCE_BEHIND",
        )


async def _pages(
    peer: Chunks, source: Source, group_id: GroupId, bucket: int | None
) -> AsyncIterator[tuple[HeldChunk, ...]]:
    after_sequence = 0
    while True:
        call = peer.list_group(group_id, bucket=bucket, after_sequence=after_sequence, count=LISTED_CHUNKS_MAX)
        page: HeldPage = await _in_time(call, source)
        yield page.chunks
        if page.is_last or not page.chunks:
            return
        after_sequence = page.chunks[-1].sequence


async def _in_time(call: Awaitable[T], source: Source) -> T:
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            return await call
    except TimeoutError as error:
        if isinstance(error, DstoreError):
            raise
        raise DeadlineExceeded(f"{source.address} did not answer within {CALL_TIMEOUT_S:g} s.") from None


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
