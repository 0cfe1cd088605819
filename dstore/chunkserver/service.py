"""``Chunks`` on one disk: admission, the own copy, the relay, reads; and what is counted about them."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from dstore.chunkserver.admission import check_header
from dstore.chunkserver.chunkreader import ChunkReader
from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.localwriter import open_local_writer
from dstore.chunkserver.metrics import ChunkserverMetrics
from dstore.chunkserver.openchunk import OpenChunk
from dstore.chunkserver.relay import STALL_TIMEOUTS, RelayWriter, StallTimeouts
from dstore.chunkserver.silence import SilenceLimit
from dstore.core.chunks import ChunkStat, Frame, ReadRequest, WriteFinish, WriteHeader, WriteResult
from dstore.core.digests import GroupDigest, HeldPage
from dstore.core.environment import Clock
from dstore.core.errors import DstoreError, LimitExceeded
from dstore.core.ids import ChunkId, GroupId
from dstore.core.interfaces import ChunkWriter, Peers
from dstore.core.limits import CONCURRENT_CHUNK_WRITES_MAX
from dstore.core.request_ids import bind_chunk


class ChunkService:
    """Implements ``core.interfaces.Chunks``.

    Attributes:
        reader: of the chunks that are served.
        write_streams: under way now.
        read_streams: under way now.
    """

    def __init__(
        self,
        store: ChunkStore,
        peers: Peers,
        clock: Clock,
        metrics: ChunkserverMetrics,
        *,
        timeouts: StallTimeouts = STALL_TIMEOUTS,
        write_streams_max: int = CONCURRENT_CHUNK_WRITES_MAX,
    ) -> None:
        self._store = store
        self.reader = ChunkReader(store)
        self._peers = peers
        self._clock = clock
        self._metrics = metrics
        self._timeouts = timeouts
        self._write_streams_max = write_streams_max
        self.write_streams = 0
        self.read_streams = 0

    async def write_chunk(self, header: WriteHeader) -> ChunkWriter:
        """See ``ChunkService.WriteChunk``."""
        bind_chunk(header.chunk_id)
        stream = _WriteStream(self, self._clock.monotonic_s())
        try:
            if self.write_streams > self._write_streams_max:
                raise LimitExceeded(
                    f"{self._write_streams_max} chunks are being written to {self._store.name} already. "
                    "Retry in a moment, or use another group.",
                    reason="TOO_MANY_STREAMS",
                )
            check_header(header, self._store.identity)
            self._store.require_reconciled()
            own = await open_local_writer(self._store, self.reader, header)
            stream.inner = RelayWriter(own, self._peers, header, self._timeouts) if header.chain else own
        except DstoreError as error:
            stream.end(error.reason)
            self._store.attribute(error)
            raise
        except BaseException:
            stream.end("CANCELLED")
            raise
        return SilenceLimit(stream, self._timeouts.from_writer_s, self._store.label)

    async def read_chunk(self, request: ReadRequest) -> AsyncIterator[Frame]:
        """See ``ChunkService.ReadChunk``."""
        bind_chunk(request.chunk_id)
        start_s = self._clock.monotonic_s()
        metrics = self._metrics
        self.read_streams += 1
        try:
            self._store.require_reconciled()
            # Closed here and now, not by the garbage collector: it holds an open file.
            async with aclosing(self.reader.read(request)) as frames:
                async for frame in frames:
                    metrics.read_bytes += len(frame.data)
                    yield frame
        except DstoreError as error:
            metrics.operation_failures.labels("read", error.reason).inc()
            self._store.attribute(error)
            raise
        finally:
            self.read_streams -= 1
            metrics.read_duration.observe(self._clock.monotonic_s() - start_s)

    async def read_range(self, request: ReadRequest) -> Frame:
        """See ``ChunkService.ReadRange``."""
        bind_chunk(request.chunk_id)
        start_s = self._clock.monotonic_s()
        metrics = self._metrics
        self.read_streams += 1
        try:
            self._store.require_reconciled()
            frame = await self.reader.read_range(request)
            metrics.read_bytes += len(frame.data)
            return frame
        except DstoreError as error:
            metrics.operation_failures.labels("read", error.reason).inc()
            self._store.attribute(error)
            raise
        finally:
            self.read_streams -= 1
            metrics.read_duration.observe(self._clock.monotonic_s() - start_s)

    async def stat_chunk(self, chunk_id: ChunkId) -> ChunkStat:
        """See ``ChunkService.StatChunk``."""
        async with self._answering("stat"):
            return await self.reader.stat(chunk_id)

    async def get_group_digest(self, group_id: GroupId) -> GroupDigest:
        """See ``ChunkService.GetGroupDigest``."""
        async with self._answering("digest"):
            return await self._store.holdings.digest(group_id)

    async def list_group(self, group_id: GroupId, *, bucket: int | None, after_sequence: int, count: int) -> HeldPage:
        """See ``ChunkService.ListGroup``."""
        async with self._answering("list"):
            return await self._store.holdings.page(group_id, bucket=bucket, after_sequence=after_sequence, count=count)

    @asynccontextmanager
    async def lend_chunk(self, chunk_id: ChunkId) -> AsyncIterator[OpenChunk]:
        """Open the file of a chunk for a client on this machine, which then reads it unseen.

        Not from a disk that is suspect: there, every byte is to be checked before it leaves.

        Raises:
            DstoreError: as ``read_chunk``.
        """
        async with self._answering("lend"):
            self._store.require_good_disk()
            async with self.reader.lend(chunk_id) as chunk:
                self._metrics.lent_chunks.inc()
                yield chunk

    @asynccontextmanager
    async def _answering(self, operation: str) -> AsyncIterator[None]:
        """Refuse before the server is reconciled; time the operation, count and attribute failures."""
        try:
            with self._metrics.operation(operation, self._clock):
                self._store.require_reconciled()
                yield
        except DstoreError as error:
            self._store.attribute(error)
            raise

    async def close(self) -> None:
        """Close the files that are kept open."""
        await self.reader.close()

    async def refresh_metrics(self) -> None:
        """Measure what is a state and not an event.

        Raises:
            Unavailable: ``DISK_FAILED``.
        """
        metrics, store = self._metrics, self._store
        metrics.chunks.set(store.chunk_count)
        metrics.corrupt_chunks.set(len(store.corrupt))
        unsynced = store.unsynced.report()
        metrics.unsynced_chunks.set(unsynced.chunk_count)
        metrics.unsynced_bytes.set(unsynced.size_bytes)
        metrics.disk_suspect.set(store.suspicion is not None)
        metrics.streams.labels("write").set(self.write_streams)
        metrics.streams.labels("read").set(self.read_streams)
        capacity = await store.capacity()
        metrics.disk_capacity_bytes.set(capacity.total_bytes)
        metrics.disk_used_bytes.set(capacity.used_bytes)


class _WriteStream:
    """A ``ChunkWriter`` that counts the stream, names the failed server, and drops the chunk on any error."""

    inner: ChunkWriter

    def __init__(self, service: ChunkService, start_s: float) -> None:
        self._service = service
        self._start_s = start_s
        self._ended = False
        service.write_streams += 1

    async def send(self, frame: Frame) -> None:
        try:
            await self.inner.send(frame)
        except DstoreError as error:
            await self._fail(error)
            raise
        self._service._metrics.write_bytes += len(frame.data)

    async def finish(self, finish: WriteFinish) -> WriteResult:
        try:
            result = await self.inner.finish(finish)
        except DstoreError as error:
            await self._fail(error)
            raise
        self.end(None)
        return result

    async def abort(self) -> None:
        try:
            await self.inner.abort()
        finally:
            self.end("ABORTED")

    async def _fail(self, error: DstoreError) -> None:
        self._service._store.attribute(error)
        try:
            await self.inner.abort()
        finally:
            self.end(error.reason)

    def end(self, reason: str | None) -> None:
        """Give the place to another stream; only the first call counts."""
        if self._ended:
            return
        self._ended = True
        service = self._service
        service.write_streams -= 1
        metrics = service._metrics
        metrics.operation_duration.labels("write").observe(service._clock.monotonic_s() - self._start_s)
        if reason is not None:
            metrics.operation_failures.labels("write", reason).inc()
