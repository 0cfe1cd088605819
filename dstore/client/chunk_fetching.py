"""Fetches a range of one chunk from whichever replica can give it, and decrypts it into place.

Invariant 5: a byte gets into the destination only through authenticated decryption under the identity that the
manifest names. A replica that fails is left in the middle: the next one goes on with the next segment.
"""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TypeVar

from dstore.client.opening import VerifiedFile, chunk_length
from dstore.client.servers import order_replicas
from dstore.client.session import Session
from dstore.core.checksum import crc32c
from dstore.core.chunks import Frame, ReadRequest
from dstore.core.environment import Buffer
from dstore.core.errors import Corrupt, DeadlineExceeded, DstoreError, InvalidRequest, Unavailable
from dstore.core.files import ChunkRecord
from dstore.core.groups import Replica
from dstore.core.limits import (
    CHUNK_HEADER_SIZE_BYTES,
    FRAME_SIZE_BYTES,
    REPLICAS_MAX,
    SEGMENT_SEALED_SIZE_BYTES,
    SEGMENT_SIZE_BYTES,
    SEGMENT_TAG_SIZE_BYTES,
    STREAM_STALL_TIMEOUT_S,
)
from dstore.crypto.cobblestone import ChunkOpener, chunk_context, last_segment_index, sealed_range

T = TypeVar("T")

#: All replicas as they were known when the file was opened, then all as the master knows them now.
_ROUNDS = 2
#: What fits in one frame comes in one answer; a stream for it would cost half as much again.
WHOLE_RANGE_SIZE_BYTES_MAX = FRAME_SIZE_BYTES


async def fetch_range(session: Session, file: VerifiedFile, index: int, offset: int, out: memoryview) -> None:
    """Fill ``out`` with the plaintext of chunk ``index`` from ``offset`` on.

    Raises:
        Corrupt: reason ``CHUNK_CORRUPT``: no replica gave the bytes, and at least one gave wrong ones.
        Unavailable: reason ``CHUNK_UNAVAILABLE``: no replica gave the bytes.
        NotFound: reason ``VERSION_NOT_FOUND``: no replica gave the bytes, and the version is no longer kept.
    """
    record = file.records[index]
    cursor = _Cursor(file, record, offset, out)
    unsound = await _read_locally(session, file, record, cursor)
    if cursor.position == cursor.end:
        return
    failures: list[tuple[Replica, DstoreError]] = []
    for round_index in range(_ROUNDS):
        for replica in _order(session, file, record, first=unsound):
            try:
                with session.use.stream(replica.server_id):
                    await _stream(session, replica, record, cursor)
                return
            except (Unavailable, DeadlineExceeded) as error:
                session.avoided.add(replica.server_id)
                failures.append((replica, error))
            except DstoreError as error:
                failures.append((replica, error))
        if round_index == 0:
            await _refresh(session, file, record)
    raise _unreadable(file, record, failures)


async def _read_locally(session: Session, file: VerifiedFile, record: ChunkRecord, cursor: "_Cursor") -> Replica | None:
    """Read what servers on this machine have; return the replica that turned out to be unsound, if one did."""
    group = file.groups.get(record.chunk_id.group_id)
    if session.local is None or group is None:
        return None
    return await session.local.fill(group.members[:REPLICAS_MAX], file.cluster_id, record, cursor)


def _order(session: Session, file: VerifiedFile, record: ChunkRecord, *, first: Replica | None) -> tuple[Replica, ...]:
    group = file.groups.get(record.chunk_id.group_id)
    if group is None:
        return ()
    ordered = order_replicas(group, avoided=session.avoided.current(), use=session.use, jitter=session.random.uniform())
    if first is not None:
        ordered = (first, *(replica for replica in ordered if replica.server_id != first.server_id))
    # Each may cost the time of a stall, and no honest group has more members.
    return ordered[:REPLICAS_MAX]


class _Cursor:
    """What is still to come of one range: whole sealed segments, in order."""

    __slots__ = ("_chunk_plaintext", "_last_segment", "_offset", "_opener", "_out", "end", "position")

    def __init__(self, file: VerifiedFile, record: ChunkRecord, offset: int, out: memoryview) -> None:
        self._chunk_plaintext = chunk_length(file.manifest, record.index)
        start, size_bytes, _ = sealed_range(offset, len(out), self._chunk_plaintext)
        context = chunk_context(file.cluster_id, file.manifest.file_id, record.index)
        self._opener = ChunkOpener(file.dek, context, record.header)
        self._last_segment = last_segment_index(self._chunk_plaintext)
        self._offset = offset
        self._out = out
        #: In the chunk's ciphertext.
        self.position = start
        self.end = start + size_bytes

    def accept(self, frame: Frame) -> None:
        """Check and decrypt the next frame.

        Raises:
            Corrupt: it is not what was asked for; the cursor stays where it is.
        """
        size_bytes = min(FRAME_SIZE_BYTES, self.end - self.position)
        if frame.offset != self.position or len(frame.data) != size_bytes:
            raise Corrupt(
                f"A frame of {len(frame.data)} bytes from {frame.offset} came in place of {size_bytes} bytes from "
                f"{self.position}. Use another replica.",
                reason="FRAME_MISPLACED",
            )
        if crc32c(frame.data) != frame.crc32c:
            raise Corrupt("A frame was altered on its way. Use another replica.", reason="FRAME_CRC_MISMATCH")
        self.decrypt(frame.data)

    def decrypt(self, sealed: Buffer) -> None:
        """Decrypt the next whole segments into place.

        Raises:
            Corrupt: they do not authenticate; the cursor stays where it is.
        """
        first_segment = (self.position - CHUNK_HEADER_SIZE_BYTES) // SEGMENT_SEALED_SIZE_BYTES
        segment_count = -(-len(sealed) // SEGMENT_SEALED_SIZE_BYTES)
        self._open(sealed, first_segment, len(sealed) - segment_count * SEGMENT_TAG_SIZE_BYTES)
        self.position += len(sealed)

    def _open(self, sealed: Buffer, first_segment: int, length: int) -> None:
        # Where the plaintext starts and ends in the destination; it may stick out on both sides.
        start = first_segment * SEGMENT_SIZE_BYTES - self._offset
        end = start + length
        if start >= 0 and end <= len(self._out):
            target = self._out[start:end]
            self._opener.open_segments(sealed, first_segment, target, last_segment_index=self._last_segment)
            return
        whole = bytearray(length)
        self._opener.open_segments(sealed, first_segment, whole, last_segment_index=self._last_segment)
        clipped_start, clipped_end = max(start, 0), min(end, len(self._out))
        if clipped_start < clipped_end:
            wanted = memoryview(whole)[clipped_start - start : clipped_end - start]
            self._out[clipped_start:clipped_end] = wanted


async def _stream(session: Session, replica: Replica, record: ChunkRecord, cursor: _Cursor) -> None:
    """Take from one replica what is still to come."""
    request = ReadRequest(
        record.chunk_id, cursor.position, cursor.end - cursor.position, frame_size_bytes=FRAME_SIZE_BYTES
    )
    chunks = session.peers.chunks(replica.address)
    if request.length_bytes <= WHOLE_RANGE_SIZE_BYTES_MAX:
        cursor.accept(await _in_time(chunks.read_range(request), replica))
        return
    frames = chunks.read_chunk(request)
    try:
        while cursor.position < cursor.end:
            frame = await _in_time(anext(frames, None), replica)
            if frame is None:
                raise Unavailable(
                    f"The chunkserver {replica.name} ended a read half-way. Use another replica.",
                    reason="STREAM_ENDED",
                )
            cursor.accept(frame)
        # Every byte is there and authenticated; how the stream ends changes nothing.
        with contextlib.suppress(DstoreError):
            await _in_time(anext(frames, None), replica)
    finally:
        close = getattr(frames, "aclose", None)
        if close is not None:
            await close()


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
