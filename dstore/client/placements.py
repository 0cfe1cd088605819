"""Where the chunks of one write go, and which of them are written: the master's side of a write in progress."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from dstore.client.answers import check_placement, invalid_answer
from dstore.client.session import Session
from dstore.core.backoff import Backoff
from dstore.core.errors import OutOfSpace, Unavailable
from dstore.core.files import ChunkPlacement, ChunkRecord, WriteIntent, WrittenChunk
from dstore.core.ids import IntentId, ServerId
from dstore.core.limits import HEARTBEAT_INTERVAL_S, PLACEMENTS_AHEAD_MAX, SERVER_DOWN_AFTER_S
from dstore.core.manifest import ChunkListDigest

T = TypeVar("T")

#: A master that was just started hears from its chunkservers with their next beats.
BEGIN_PATIENCE_S = 3 * HEARTBEAT_INTERVAL_S
#: In the middle of a write, servers that seem lost may only be slow.
ALLOCATE_PATIENCE_S = SERVER_DOWN_AFTER_S + 3 * HEARTBEAT_INTERVAL_S

#: The master surely did nothing.
_REFUSALS = ("NOT_ENOUGH_SERVERS", "CLUSTER_FULL")


class Ledger:
    """The written chunks of one file: digested in order, and kept only until the master has them."""

    def __init__(self) -> None:
        self._digest = ChunkListDigest()
        self._early: dict[int, ChunkRecord] = {}
        self._unsent: list[WrittenChunk] = []

    def add(self, written: WrittenChunk) -> None:
        """Take a chunk that is durable; chunks may come in any order, each once."""
        self._unsent.append(written)
        self._early[written.record.index] = written.record
        while (record := self._early.pop(self._digest.chunk_count, None)) is not None:
            self._digest.add(record)

    def unsent(self) -> tuple[WrittenChunk, ...]:
        """Return the chunks that the master does not know yet."""
        return tuple(self._unsent)

    def note_sent(self, chunks: tuple[WrittenChunk, ...]) -> None:
        """Forget the first chunks of ``unsent``, which the master has now."""
        del self._unsent[: len(chunks)]

    def digest(self, chunk_count: int) -> bytes:
        """Return the digest of all chunks, of which there must be ``chunk_count``."""
        assert self._digest.chunk_count == chunk_count and not self._early, "a chunk is missing"
        return self._digest.digest()


class Placements:
    """Hands out where to write; asks the master for some ahead, and tells it what is written on the way."""

    def __init__(self, session: Session, intent: WriteIntent, ledger: Ledger, *, expected: int | None) -> None:
        """``expected`` is how many chunks the file will have, as far as known."""
        self._session = session
        self._intent_id: IntentId = intent.intent_id
        self._policy = intent.policy
        self._ready = deque(intent.placements)
        self._ledger = ledger
        self._expected_left = expected
        self._lock = asyncio.Lock()

    async def take(self) -> ChunkPlacement:
        """Return a fresh placement, not on a server that failed a moment ago if there is a choice.

        Raises:
            Unavailable: reason ``NOT_ENOUGH_SERVERS``.
            OutOfSpace: reason ``CLUSTER_FULL``.
            Conflict: reason ``INTENT_EXPIRED``.
            Internal: reason ``PLACEMENT_INVALID``.
        """
        async with self._lock:
            avoided = self._session.avoided.current()
            while self._ready:
                placement = self._ready.popleft()
                if not set(placement.chain) & set(avoided):
                    break
            else:
                self._ready.extend(await self._allocate(avoided))
                placement = self._ready.popleft()
            if self._expected_left:
                self._expected_left -= 1
            check_placement(placement, self._policy)
            return placement

    def forget_ready(self) -> None:
        """Leave out the placements that were got ahead; their ids are given up with the intent."""
        self._ready.clear()

    async def _allocate(self, avoided: tuple[ServerId, ...]) -> tuple[ChunkPlacement, ...]:
        wanted = PLACEMENTS_AHEAD_MAX if self._expected_left is None else self._expected_left
        count = min(max(wanted, 1), PLACEMENTS_AHEAD_MAX)
        try:
            return await self._call(count, avoided)
        except (Unavailable, OutOfSpace) as error:
            # Only when the master refused: after a lost answer it may have the records, and takes each only once.
            if not avoided or error.reason not in _REFUSALS:
                raise
            # A server that failed a moment ago is better than none.
            return await self._call(count, ())

    async def _call(self, count: int, avoided: tuple[ServerId, ...]) -> tuple[ChunkPlacement, ...]:
        written = self._ledger.unsent()

        async def allocate() -> tuple[ChunkPlacement, ...]:
            return await self._session.namespace.allocate_chunks(
                self._intent_id,
                count=count,
                written=written,
                avoid=avoided,
                request_id=self._session.request_id(),
            )

        patience_s = 0.0 if avoided else ALLOCATE_PATIENCE_S
        placements = await wait_for_servers(self._session, allocate, patience_s=patience_s)
        self._ledger.note_sent(written)
        if not placements:
            raise invalid_answer("it placed no chunk", reason="PLACEMENT_INVALID")
        return placements


async def wait_for_servers(session: Session, call: Callable[[], Awaitable[T]], *, patience_s: float) -> T:
    """Return what ``call`` returns, asked again for ``patience_s`` while too few chunkservers are there.

    Raises:
        DstoreError: what ``call`` raises.
    """
    backoff = Backoff()
    # From the first refusal on: a master that was away has just begun to hear from its servers.
    deadline_s: float | None = None
    attempt_index = 0
    while True:
        try:
            return await call()
        except Unavailable as error:
            delay_s = backoff.delay_s(attempt_index, session.random.uniform())
            if deadline_s is None:
                deadline_s = session.clock.monotonic_s() + patience_s
            if error.reason != "NOT_ENOUGH_SERVERS" or session.clock.monotonic_s() + delay_s > deadline_s:
                raise
        await asyncio.sleep(delay_s)
        attempt_index += 1
