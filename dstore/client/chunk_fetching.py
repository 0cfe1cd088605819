"""Fetches a range of one chunk from whichever replica can give it, and decrypts it into place.

A replica that fails is left in the middle: the next one goes on with the next segment. One that is unusually slow to
begin gets a rival.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from typing import Protocol, TypeVar

from dstore.client.chunk_cursor import ChunkCursor
from dstore.client.opening import VerifiedFile
from dstore.client.servers import order_replicas
from dstore.client.session import Session
from dstore.core.chunks import Frame, ReadRequest
from dstore.core.errors import Corrupt, DeadlineExceeded, DstoreError, InvalidRequest, Unavailable
from dstore.core.files import ChunkRecord
from dstore.core.groups import Replica, ServerPhase
from dstore.core.limits import (
    FRAME_SIZE_BYTES,
    REPLICAS_MAX,
    STREAM_STALL_TIMEOUT_S,
)

T = TypeVar("T")

#: All replicas as they were known when the file was opened, then all as the master knows them now.
_ROUNDS = 2
#: What fits in one frame comes in one answer; a stream for it would cost half as much again.
WHOLE_RANGE_SIZE_BYTES_MAX = FRAME_SIZE_BYTES


class Cursor(Protocol):
    """What is still to come of one range of a chunk's ciphertext: whole sealed segments, in order."""

    position: int
    end: int

    def accept(self, frame: Frame) -> None:
        """Take the next frame and move on.

        Raises:
            Corrupt: it is not what was asked for; the cursor stays where it is.
        """

    def decrypt(self, sealed: memoryview) -> None:
        """Take the next segments, which were read on this machine, and move on.

        Raises:
            Corrupt: they do not authenticate; the cursor stays where it is.
        """


async def fetch_range(session: Session, file: VerifiedFile, index: int, offset: int, out: memoryview) -> None:
    """Fill ``out`` with the plaintext of chunk ``index`` from ``offset`` on.

    Raises:
        DstoreError: as ``fetch``.
    """
    record = file.records[index]
    await fetch(session, file, record, ChunkCursor(file, record, offset, out))


async def fetch(session: Session, file: VerifiedFile, record: ChunkRecord, cursor: Cursor) -> None:
    """Get everything that a cursor still lacks.

    Raises:
        Corrupt: reason ``CHUNK_CORRUPT``: no replica gave the bytes, and at least one gave wrong ones.
        Unavailable: reason ``CHUNK_UNAVAILABLE``: no replica gave the bytes.
        NotFound: reason ``VERSION_NOT_FOUND``: no replica gave the bytes, and the version is no longer kept.
    """
    unsound = await _read_locally(session, file, record, cursor)
    if cursor.position == cursor.end:
        return
    failures: list[tuple[Replica, DstoreError]] = []
    for round_index in range(_ROUNDS):
        replicas = _order(session, file, record, cursor, first=unsound)
        while replicas:
            source = await _first_source(session, record, cursor, replicas, failures)
            if source is None:
                continue
            try:
                await source.take_rest(cursor)
                return
            except DstoreError as error:
                _note_failure(session, source.replica, error, failures)
            finally:
                await source.close()
        if round_index == 0:
            await _refresh(session, file, record)
    raise _unreadable(file, record, failures)


def _note_failure(
    session: Session, replica: Replica, error: DstoreError, failures: list[tuple[Replica, DstoreError]]
) -> None:
    if isinstance(error, Unavailable | DeadlineExceeded):
        session.avoided.add(replica.server_id)
    failures.append((replica, error))


async def _read_locally(session: Session, file: VerifiedFile, record: ChunkRecord, cursor: Cursor) -> Replica | None:
    """Read what servers on this machine have; return the replica that turned out to be unsound, if one did."""
    group = file.groups.get(record.chunk_id.group_id)
    if session.local is None or group is None:
        return None
    return await session.local.fill(group.members[:REPLICAS_MAX], file.cluster_id, record, cursor)


def _order(
    session: Session, file: VerifiedFile, record: ChunkRecord, cursor: Cursor, *, first: Replica | None
) -> deque[Replica]:
    group = file.groups.get(record.chunk_id.group_id)
    if group is None:
        return deque()
    ordered = order_replicas(
        group,
        avoided=session.avoided.current(),
        use=session.use,
        jitter=session.random.uniform(),
        slowness=session.hedging.slowness(group.members[:REPLICAS_MAX], cursor.end - cursor.position),
    )
    if first is not None:
        ordered = (first, *(replica for replica in ordered if replica.server_id != first.server_id))
    # Each may cost the time of a stall, and no honest group has more members.
    return deque(ordered[:REPLICAS_MAX])


async def _first_source(
    session: Session,
    record: ChunkRecord,
    cursor: Cursor,
    replicas: deque[Replica],
    failures: list[tuple[Replica, DstoreError]],
) -> "_Source | None":
    """Ask the next replica, and one more if its first bytes take unusually long; the first good ones win.

    Those that were asked are taken from ``replicas``; None when all of them failed. The caller closes the source.
    """
    request = ReadRequest(
        record.chunk_id, cursor.position, cursor.end - cursor.position, frame_size_bytes=FRAME_SIZE_BYTES
    )
    running = [_Source(session, replicas.popleft(), request)]
    first, winner, is_hedged = running[0], None, False
    # Once, and only where an answer is to be expected.
    delay_s = session.hedging.delay_s(request.length_bytes) if _is_fit(session, replicas) else None
    try:
        while running and winner is None:
            done, _ = await asyncio.wait(
                [source.first for source in running], timeout=delay_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                delay_s = None
                if session.hedging.may_ask_second():
                    running.append(_Source(session, replicas.popleft(), request))
                    is_hedged = True
                continue
            for source in [each for each in running if each.first in done]:
                try:
                    cursor.accept(source.first.result())
                except DstoreError as error:
                    running.remove(source)
                    _note_failure(session, source.replica, error, failures)
                    await source.close()
                else:
                    running.remove(source)
                    source.note_time()
                    winner = source
                    break
    finally:
        for loser in running:
            if winner is not None:
                loser.note_lost()
            await loser.close()
    if is_hedged:
        session.hedging.winners["none" if winner is None else "first" if winner is first else "second"] += 1
    return winner


def _is_fit(session: Session, replicas: deque[Replica]) -> bool:
    return (
        bool(replicas)
        and replicas[0].phase is ServerPhase.UP
        and replicas[0].server_id not in session.avoided.current()
    )


class _Source:
    """One replica that was asked for what is still to come of a range.

    Attributes:
        first: its first frame, which is all of it when the range fits in one.
    """

    def __init__(self, session: Session, replica: Replica, request: ReadRequest) -> None:
        self.replica = replica
        self._session = session
        self._request = request
        self._start_s = session.clock.monotonic_s()
        self._stream: AsyncIterator[Frame] | None = None
        session.use.begin(replica.server_id)
        self.first = asyncio.ensure_future(self._ask())

    async def _ask(self) -> Frame:
        chunks = self._session.peers.chunks(self.replica.address)
        if self._request.length_bytes <= WHOLE_RANGE_SIZE_BYTES_MAX:
            return await _in_time(chunks.read_range(self._request), self.replica)
        self._stream = chunks.read_chunk(self._request)
        return await self._next()

    async def _next(self) -> Frame:
        assert self._stream is not None
        frame = await _in_time(anext(self._stream, None), self.replica)
        if frame is None:
            raise Unavailable(
                f"The chunkserver {self.replica.name} ended a read half-way. Use another replica.",
                reason="STREAM_ENDED",
            )
        return frame

    async def take_rest(self, cursor: Cursor) -> None:
        """Take what comes after the first frame.

        Raises:
            DstoreError: the server failed, or what it sent is wrong.
        """
        if self._stream is None:
            return
        while cursor.position < cursor.end:
            cursor.accept(await self._next())
        # Every byte is there and authenticated; how the stream ends changes nothing.
        with contextlib.suppress(DstoreError):
            await _in_time(anext(self._stream, None), self.replica)

    def note_time(self) -> None:
        """Remember how long the first bytes took."""
        self._session.hedging.note_first_bytes(self.replica.server_id, self._request.length_bytes, self._elapsed_s())

    def note_lost(self) -> None:
        """Remember that another server was faster."""
        self._session.hedging.note_lost(self.replica.server_id, self._request.length_bytes, self._elapsed_s())

    def _elapsed_s(self) -> float:
        return self._session.clock.monotonic_s() - self._start_s

    async def close(self) -> None:
        """Hang up, and wait until that is done."""
        try:
            if not self.first.done():
                self.first.cancel()
                await asyncio.wait([self.first])
            if not self.first.cancelled():
                self.first.exception()  # nobody else may have looked
            close = getattr(self._stream, "aclose", None)
            if close is not None:
                await close()
        finally:
            self._session.use.end(self.replica.server_id)


async def _in_time(step: Awaitable[T], replica: Replica) -> T:
    try:
        async with asyncio.timeout(STREAM_STALL_TIMEOUT_S):
            return await step
    except DeadlineExceeded:
        raise
    except TimeoutError as error:
        raise DeadlineExceeded(
            f"The chunkserver {replica.name} at {replica.address} sent nothing for {STREAM_STALL_TIMEOUT_S:.0f} s.",
            reason="STREAM_STALLED",
            metadata={"server_id": replica.server_id},
        ) from error


async def _refresh(session: Session, file: VerifiedFile, record: ChunkRecord) -> None:
    """Ask the master where the chunk is now. Only that: what the chunk is, the manifest said."""
    page = await session.namespace.list_chunks(
        file.manifest.file_id, file.manifest.version, start_index=record.index, count=1
    )
    wanted = record.chunk_id.group_id
    file.groups.update((wanted, group) for group in page.groups if group.group_id == wanted)


def _unreadable(file: VerifiedFile, record: ChunkRecord, failures: list[tuple[Replica, DstoreError]]) -> DstoreError:
    names = sorted({replica.name for replica, _ in failures})
    # A replica that is too short for the range refuses it.
    is_corrupt = any(isinstance(error, Corrupt | InvalidRequest) for _, error in failures)
    metadata = {
        "path": file.path,
        "chunk_index": str(record.index),
        "chunk_id": str(record.chunk_id),
        "servers": ",".join(names),
        "causes": "; ".join(dict.fromkeys(f"{replica.name}: {error.reason}" for replica, error in failures)),
    }
    where = f"Chunk {record.index} ({record.chunk_id}) of {file.path}"
    tried = f"tried: {metadata['causes'] or 'no server, because the master names none'}"
    if is_corrupt:
        return Corrupt(
            f"{where} cannot be read, because no replica gave good bytes ({tried}). Nothing wrong was returned; "
            "restore the file from another copy.",
            reason="CHUNK_CORRUPT",
            metadata=metadata,
        )
    return Unavailable(
        f"{where} cannot be read, because no server that holds it answers ({tried}). Start the missing servers; see "
        "`dstore status`.",
        reason="CHUNK_UNAVAILABLE",
        metadata=metadata,
    )
