"""Writes one file: chunks in flight over several groups, then one commit that makes all of it visible.

    open ──write_chunk──▶ chunks in flight ──finish──▶ all durable ──commit──▶ visible
      └───────────────────────┴── any failure: discard ──────────┘ nothing is visible

Invariant 6: a chunk that failed is given up, and the same bytes go to a new id elsewhere, under a fresh salt.
"""

import asyncio
import contextlib
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

from dstore.client.answers import check_policy, invalid_answer, is_parent_possible
from dstore.client.chunk_buffers import FileBuffers
from dstore.client.chunk_sending import ChunkToSend, blamed_server, not_written, send_chunk
from dstore.client.flight_depth import FlightDepth
from dstore.client.opening import rolled_back
from dstore.client.placements import BEGIN_PATIENCE_S, Ledger, Placements, wait_for_servers
from dstore.client.session import Progress, Session
from dstore.core.backoff import Backoff
from dstore.core.chunks import Durability
from dstore.core.errors import (
    CommitUnknown,
    Conflict,
    DstoreError,
    InvalidRequest,
    LimitExceeded,
)
from dstore.core.files import Commit, FileInfo, FileKind, Precondition, WriteIntent, WrittenChunk
from dstore.core.ids import Version
from dstore.core.limits import (
    ABANDON_TIMEOUT_S,
    CHUNK_WRITE_ATTEMPTS_MAX,
    CHUNKS_IN_FLIGHT_WRITE,
    COMMIT_ATTEMPTS_MAX,
    INTENT_RENEW_INTERVAL_S,
    PLACEMENTS_AHEAD_MAX,
)
from dstore.core.manifest import Manifest
from dstore.crypto.cobblestone import SALT_SIZE_BYTES, ChunkSealer, chunk_context
from dstore.crypto.derivation import KEY_SIZE_BYTES, NONCE_SIZE_BYTES
from dstore.crypto.keys import wrap_dek
from dstore.crypto.seal import Descriptor, seal_descriptor, seal_manifest
from dstore.rpc.write_messages import WriteFrameBuffer


class FileWriter:
    """A file that is being written. Use as an asynchronous context manager: leaving it unfinished discards."""

    def __init__(
        self,
        session: Session,
        path: str,
        intent: WriteIntent,
        *,
        size_bytes: int | None,
        is_exact: bool,
        durability: Durability,
        progress: Progress | None,
    ) -> None:
        """Continue an intent; ``FileWriter.begin`` makes one."""
        expected = None if size_bytes is None else -(-size_bytes // intent.policy.chunk_size_bytes)
        self._session = session
        self._path = path
        self._intent = intent
        self._described_chunk_count = expected if expected is not None and is_exact else 0
        self._durability = durability
        self._progress = progress
        self._dek = session.random.token_bytes(KEY_SIZE_BYTES)
        nonce = session.random.token_bytes(NONCE_SIZE_BYTES)
        self._wrapped_keys = (wrap_dek(session.keyring.active, intent.cluster_id, intent.file_id, self._dek, nonce),)
        self._created_ns = session.clock.wall_ns()
        self._ledger = Ledger()
        self._placements = Placements(session, intent, self._ledger, expected=expected)
        self._slots = FlightDepth(CHUNKS_IN_FLIGHT_WRITE, intent.policy.chunk_size_bytes)
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewal = asyncio.create_task(self._renew())
        self._failure: BaseException | None = None
        self._frame_buffers: list[WriteFrameBuffer] = []
        self._buffers = FileBuffers(session.buffers, intent.policy.chunk_size_bytes)
        self._chunk_count = 0
        self._size_bytes = 0
        self._done_bytes = 0
        #: Of the user, sorted as a manifest has them; sealed by the commit, so they may be set until then.
        self.attributes: tuple[tuple[str, bytes], ...] = ()
        self._is_ended = False

    @classmethod
    async def begin(
        cls,
        session: Session,
        path: str,
        *,
        precondition: Precondition,
        size_bytes: int | None = None,
        is_exact: bool = False,
        durability: Durability = Durability.SYNCED,
        progress: Progress | None = None,
    ) -> Self:
        """Start to write ``path``.

        Args:
            size_bytes: how much will come, None when nobody knows.
            is_exact: whether exactly that much will come; else it is a hint.
            durability: what the acknowledgement of each chunk must promise.

        Raises:
            DstoreError: as ``Namespace.begin_write``.
        """
        check_policy(session.cluster.policy)
        chunk_size_bytes = session.cluster.policy.chunk_size_bytes
        first = 1 if size_bytes is None else min(-(-size_bytes // chunk_size_bytes), PLACEMENTS_AHEAD_MAX)
        request_id = session.request_id()
        intent = await wait_for_servers(
            session,
            lambda: session.namespace.begin_write(
                path, precondition=precondition, chunk_count=first, request_id=request_id
            ),
            patience_s=BEGIN_PATIENCE_S,
        )
        check_policy(intent.policy)
        if (
            intent.cluster_id != session.cluster.cluster_id
            or intent.name != path.rsplit("/", 1)[-1]
            or not is_parent_possible(path, intent.parent_id)
        ):
            raise invalid_answer(f"it began another write than that of {path}", reason="INTENT_INVALID")
        return cls(
            session, path, intent, size_bytes=size_bytes, is_exact=is_exact, durability=durability, progress=progress
        )

    @property
    def chunk_size_bytes(self) -> int:
        """Size of every chunk but the last."""
        return self._intent.policy.chunk_size_bytes

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._is_ended:
            await self.discard()

    async def take_buffer(self) -> bytearray:
        """Return a buffer of one chunk to be filled and passed to ``write_chunk``; waits for room, as FileBuffers."""
        return await self._buffers.take()

    async def write_chunk(self, plaintext: memoryview, *, buffer: bytearray | None = None) -> None:
        """Put the next chunk in flight; returns as soon as there is room, not when it is durable.

        The plaintext must not change before ``finish``; a ``buffer`` from ``take_buffer`` is used again when its
        chunk is durable. Every chunk but the last is full.

        Raises:
            DstoreError: an earlier chunk could not be written; the file must be discarded.
        """
        self._session.guard.check()
        await self._slots.acquire()
        try:
            self._check()
        except BaseException:
            self._slots.release()
            raise
        assert 0 < len(plaintext) <= self.chunk_size_bytes
        assert self._size_bytes == self._chunk_count * self.chunk_size_bytes, "the last chunk was already written"
        task = asyncio.create_task(self._write(self._chunk_count, plaintext, buffer))
        self._chunk_count += 1
        self._size_bytes += len(plaintext)
        self._tasks.add(task)
        is_full = len(plaintext) == self.chunk_size_bytes
        task.add_done_callback(partial(self._note_done, self._session.clock.monotonic_s() if is_full else None))

    async def settle(self) -> None:
        """Wait until everything that was written is durable, and let go of the buffers; no chunk may follow.

        Raises:
            DstoreError: something could not be written; the file must be discarded.
        """
        self._session.guard.check()
        while self._tasks and self._failure is None:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        self._check()
        self._frame_buffers.clear()
        self._buffers.give_all_back()

    async def finish(self) -> FileInfo:
        """Wait until everything is durable, and commit.

        Raises:
            Conflict: the precondition no longer holds, or the intent expired.
            CommitUnknown: the master did not say whether it committed.
            DstoreError: something could not be written; nothing is visible.
        """
        await self.settle()
        try:
            info = await self._commit()
        except CommitUnknown:
            # Invariant 4: abandoning now would change the outcome that the caller is to find out.
            self._is_ended = True
            await self._stop()
            raise
        self._is_ended = True
        await self._stop()
        return info

    async def discard(self) -> None:
        """Give up the write: nothing becomes visible. Never raises."""
        if self._is_ended:
            return
        self._is_ended = True
        await self._stop()
        # Best effort: an intent that the master does not hear of again expires.
        with contextlib.suppress(DstoreError, TimeoutError):
            async with asyncio.timeout(ABANDON_TIMEOUT_S):
                await self._session.namespace.abandon_write(
                    self._intent.intent_id, request_id=self._session.request_id()
                )

    async def _stop(self) -> None:
        tasks = [self._renewal, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._buffers.give_all_back()

    def _check(self) -> None:
        if self._failure is None and self._renewal.done():
            self._failure = self._renewal.exception()
        if self._failure is not None:
            raise self._failure
        if self._is_ended:
            raise InvalidRequest(f"The write of {self._path} is over; open it again.", reason="FILE_CLOSED")

    def _note_done(self, begun_s: float | None, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        failure = None if task.cancelled() else task.exception()
        if begun_s is None or task.cancelled() or failure is not None:
            self._slots.release()
        else:
            self._slots.release(self._session.clock.monotonic_s() - begun_s)
        self._failure = self._failure or failure

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(INTENT_RENEW_INTERVAL_S)
            await self._session.namespace.renew_intent(self._intent.intent_id, fresh_version=False)

    async def _write(self, index: int, plaintext: memoryview, buffer: bytearray | None) -> None:
        frame_buffer = self._frame_buffers.pop() if self._frame_buffers else WriteFrameBuffer()
        unused: bytearray | None = None
        try:
            self._ledger.add(await self._write_until_durable(index, plaintext, frame_buffer))
            unused = buffer
        finally:
            # After a failure, something may still read from it.
            if buffer is not None:
                self._buffers.give_back(unused)
        self._frame_buffers.append(frame_buffer)
        self._done_bytes += len(plaintext)
        if self._progress is not None:
            self._progress(self._done_bytes)

    async def _write_until_durable(self, index: int, plaintext: memoryview, buffer: WriteFrameBuffer) -> WrittenChunk:
        tried: list[str] = []
        backoff = Backoff()
        for attempt_index in range(CHUNK_WRITE_ATTEMPTS_MAX):
            placement = await self._placements.take()
            chunk = self._prepare(index, plaintext)
            try:
                return await send_chunk(
                    self._session.peers,
                    chunk,
                    placement,
                    cluster_id=self._intent.cluster_id,
                    min_replicas=self._intent.policy.min_replicas,
                    durability=self._durability,
                    buffer=buffer,
                )
            except DstoreError as error:
                # Also one that blames this client: a single bad server must not end what others can take.
                failure = error
            blamed = blamed_server(failure, placement)
            if blamed is not None:
                self._session.avoided.add(blamed)
            else:
                # The members of a group changed; the others that were placed before may be as old.
                self._placements.forget_ready()
            tried.append(f"{blamed or placement.chain[0]}: {failure.message}")
            if isinstance(failure, LimitExceeded):
                self._slots.back_off()
            if attempt_index > 0 or isinstance(failure, LimitExceeded):
                await asyncio.sleep(backoff.delay_s(attempt_index, self._session.random.uniform()))
        raise not_written(self._path, index, tried, failure) from failure

    def _prepare(self, index: int, plaintext: memoryview) -> ChunkToSend:
        """Draw a fresh salt, because a caller's buffer may have changed since the last attempt."""
        intent, random = self._intent, self._session.random
        descriptor = Descriptor(
            file_id=intent.file_id,
            version=intent.version,
            chunk_index=index,
            chunk_count=self._described_chunk_count,
            path=self._path,
        )
        return ChunkToSend(
            index,
            plaintext,
            ChunkSealer(
                self._dek,
                chunk_context(intent.cluster_id, intent.file_id, index),
                random.token_bytes(SALT_SIZE_BYTES),
            ),
            seal_descriptor(
                self._dek,
                intent.cluster_id,
                self._wrapped_keys,
                descriptor,
                random.token_bytes(NONCE_SIZE_BYTES),
            ),
        )

    async def _commit(self) -> FileInfo:
        session, intent = self._session, self._intent
        version = intent.version
        backoff = Backoff()
        for attempt_index in range(COMMIT_ATTEMPTS_MAX):
            seen = await session.marks.highest(intent.cluster_id, intent.parent_id, intent.name)
            # A version behind one that was seen would be refused by this client's own reads.
            if version > seen:
                try:
                    info = await session.namespace.commit_write(
                        self._sealed_commit(version), request_id=session.request_id()
                    )
                except Conflict as error:
                    if error.reason != "VERSION_SUPERSEDED":
                        raise
                else:
                    await session.marks.note(intent.cluster_id, intent.parent_id, intent.name, version)
                    return self._in_own_words(info, version)
            if attempt_index > 0:
                await asyncio.sleep(backoff.delay_s(attempt_index, session.random.uniform()))
            lease = await session.namespace.renew_intent(intent.intent_id, fresh_version=True)
            version = lease.version
        if version <= seen:
            raise rolled_back(self._path, version, seen)
        raise Conflict(
            f"{self._path} was replaced by others {COMMIT_ATTEMPTS_MAX} times while it was committed; write it again "
            "when they are done.",
            reason="VERSION_SUPERSEDED",
            metadata={"path": self._path},
        )

    def _in_own_words(self, info: FileInfo, version: Version) -> FileInfo:
        """Return what the master says of the commit, with what was sealed in place of what it says of that."""
        return replace(
            info,
            path=self._path,
            kind=FileKind.FILE,
            file_id=self._intent.file_id,
            size_bytes=self._size_bytes,
            version=version,
            chunk_count=self._chunk_count,
        )

    def _sealed_commit(self, version: Version) -> Commit:
        intent = self._intent
        manifest = Manifest(
            cluster_id=intent.cluster_id,
            file_id=intent.file_id,
            version=version,
            size_bytes=self._size_bytes,
            chunk_size_bytes=self.chunk_size_bytes,
            chunk_count=self._chunk_count,
            chunks_digest=self._ledger.digest(self._chunk_count),
            parent_id=intent.parent_id,
            name=intent.name,
            created_ns=self._created_ns,
            modified_ns=self._session.clock.wall_ns(),
            attributes=self.attributes,
        )
        nonce = self._session.random.token_bytes(NONCE_SIZE_BYTES)
        return Commit(
            intent_id=intent.intent_id,
            version=version,
            size_bytes=self._size_bytes,
            chunk_count=self._chunk_count,
            chunks=self._ledger.unsent(),
            sealed_manifest=seal_manifest(self._dek, manifest, nonce),
            wrapped_keys=self._wrapped_keys,
        )
