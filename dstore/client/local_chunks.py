"""Reads chunks of chunkservers on the same machine from their files, without a byte going through a server.

Nothing depends on it: whatever does not work here is read over the network, and nobody hears of it. What is read passes
the same authenticated decryption (Invariant 5), in the thread that read it, so that several chunks use several cores.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from dstore.client.lent_file import LentFile
from dstore.client.local_socket import LocalSocketClient
from dstore.core.environment import Clock
from dstore.core.errors import DstoreError
from dstore.core.files import ChunkRecord
from dstore.core.groups import MemberState, Replica
from dstore.core.ids import ChunkId, ClusterId, ServerId
from dstore.core.limits import (
    LOCAL_AVOID_DURATION_S,
    LOCAL_FILE_AGE_MAX_S,
    LOCAL_FILE_IDLE_S,
    LOCAL_FILES_MAX,
    LOCAL_READ_SIZE_BYTES,
    LOCAL_READ_THREADS,
    LOCAL_STALL_TIMEOUT_S,
)


class Cursor(Protocol):
    """What is still to come of one range of a chunk's ciphertext: whole sealed segments, in order."""

    position: int
    end: int

    def decrypt(self, sealed: memoryview) -> None:
        """Take the next segments into place and move on.

        Raises:
            Corrupt: they do not authenticate; the cursor stays where it is.
        """


@dataclass(slots=True, eq=False)
class _Server:
    """A chunkserver that may be on this machine."""

    socket: LocalSocketClient
    #: Until then it is not asked.
    avoided_until_s: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class LocalChunks:
    """Belongs to one client and its event loop.

    Args:
        connect: makes the client's end of a server's local socket.
        turn: in [0, 1), says with which member of each group to begin. One client always reads the same copy, which is
            then in memory; several share the disks, and come upon copies that are damaged.
    """

    def __init__(
        self,
        connect: Callable[[ServerId], LocalSocketClient],
        clock: Clock,
        *,
        turn: float = 0.0,
        files_max: int = LOCAL_FILES_MAX,
        threads: int = LOCAL_READ_THREADS,
        stall_timeout_s: float = LOCAL_STALL_TIMEOUT_S,
        idle_s: float = LOCAL_FILE_IDLE_S,
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._turn = turn
        self._is_serving = False
        self._files_max = files_max
        self._stall_timeout_s = stall_timeout_s
        self._idle_s = idle_s
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="local-chunks")
        #: Calls that nobody waits for any more and that have not come to their end: a disk hangs.
        self._stuck: set[Future[None]] = set()
        self._servers: dict[ServerId, _Server] = {}
        #: Those that were used last are last.
        self._files: OrderedDict[tuple[ServerId, ChunkId], LentFile] = OrderedDict()
        self._buffers: list[bytearray] = []
        self._decrypting = threading.Lock()
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def is_serving(self) -> bool:
        """Whether the last range that was wanted came from this machine: the next one probably does, too."""
        return self._is_serving

    @property
    def file_count(self) -> int:
        """Files on loan, without those that were given back and are still being read."""
        return len(self._files)

    async def fill(
        self, members: tuple[Replica, ...], cluster_id: ClusterId, record: ChunkRecord, cursor: Cursor
    ) -> Replica | None:
        """Read what is still to come, as far as servers on this machine have it; the cursor says how far that was.

        Returns the replica whose file could not be read or held wrong bytes: its server, asked over the network, finds
        out and says so to whom it concerns.
        """
        shift = int(self._turn * len(members))
        for replica in members[shift:] + members[:shift]:
            if cursor.position == cursor.end or self._are_all_stuck():
                break
            # One that is being filled may lack the chunk.
            file = None if replica.state is MemberState.FILLING else await self._file(replica, cluster_id, record)
            if file is None:
                continue
            try:
                await self._read(file, cursor)
            except TimeoutError:
                self._avoid(replica.server_id)
            except (DstoreError, OSError):
                self._is_serving = False
                self._forget((replica.server_id, record.chunk_id))
                return replica
        self._is_serving = cursor.position == cursor.end
        return None

    async def close(self) -> None:
        """Give everything back. Threads that a disk holds up do not hold up the caller."""
        if self._expiry is not None:
            self._expiry.cancel()
        while self._files:
            self._files.popitem()[1].give_back()
        for server in self._servers.values():
            server.socket.close()
        self._servers.clear()
        self._pool.shutdown(wait=False)

    async def _file(self, replica: Replica, cluster_id: ClusterId, record: ChunkRecord) -> LentFile | None:
        key = replica.server_id, record.chunk_id
        file = self._cached(key)
        if file is not None:
            return file
        server = self._servers.get(replica.server_id)
        if server is None:
            server = self._servers[replica.server_id] = _Server(self._connect(replica.server_id))
        if self._clock.monotonic_s() < server.avoided_until_s:
            return None
        async with server.turn:
            # Somebody else may have asked meanwhile.
            file = self._cached(key)
            if file is not None or self._clock.monotonic_s() < server.avoided_until_s:
                return file
            try:
                file = await server.socket.ask(cluster_id, record.chunk_id, record.length_bytes)
            except (DstoreError, OSError):
                self._avoid(replica.server_id)
                return None
        if file is not None:
            self._keep(key, file)
        return file

    def _cached(self, key: tuple[ServerId, ChunkId]) -> LentFile | None:
        file = self._files.get(key)
        if file is None:
            return None
        now_s = self._clock.monotonic_s()
        # A chunk that was discarded or found damaged meanwhile is not lent again.
        if now_s >= file.lent_s + LOCAL_FILE_AGE_MAX_S:
            self._forget(key)
            return None
        file.used_s = now_s
        self._files.move_to_end(key)
        return file

    def _keep(self, key: tuple[ServerId, ChunkId], file: LentFile) -> None:
        self._files[key] = file
        while len(self._files) > self._files_max:
            self._files.popitem(last=False)[1].give_back()
        if self._expiry is None:
            self._expiry = asyncio.get_running_loop().call_later(self._idle_s, self._expire)

    def _expire(self) -> None:
        """Give back what nobody wanted for a while, and come again while there is more."""
        idle_since_s = self._clock.monotonic_s() - self._idle_s
        while self._files:
            key, file = next(iter(self._files.items()))
            if file.used_s > idle_since_s:
                break
            self._forget(key)
        self._expiry = None
        if self._files:
            self._expiry = asyncio.get_running_loop().call_later(self._idle_s, self._expire)
        else:
            for server in self._servers.values():
                if not server.turn.locked():
                    server.socket.close()

    def _forget(self, key: tuple[ServerId, ChunkId]) -> None:
        file = self._files.pop(key, None)
        if file is not None:
            file.give_back()

    def _avoid(self, server_id: ServerId) -> None:
        self._servers[server_id].avoided_until_s = self._clock.monotonic_s() + LOCAL_AVOID_DURATION_S
        for key in [key for key in self._files if key[0] == server_id]:
            self._forget(key)

    def _are_all_stuck(self) -> bool:
        self._stuck = {call for call in self._stuck if not call.done()}
        return len(self._stuck) >= self._threads

    async def _read(self, file: LentFile, cursor: Cursor) -> None:
        """Have a thread read and decrypt; when this returns or raises, no thread touches the destination any more.

        Raises:
            TimeoutError: nothing came for a while.
            DstoreError, OSError: as ``LentFile.read_into`` and ``Cursor.decrypt``.
        """
        reading = _Reading(file, cursor, self._buffers, self._decrypting)
        # It may wait for a thread while others need its place among the files on loan.
        file.hold()
        call = self._pool.submit(reading.run)
        call.add_done_callback(lambda _: file.release())
        finished = asyncio.wrap_future(call)
        try:
            while True:
                position = cursor.position
                await asyncio.wait([finished], timeout=self._stall_timeout_s)
                if finished.done():
                    return finished.result()
                # One that waits for a thread is not at fault, as long as there is one that may come back.
                if (call.running() and cursor.position == position) or self._are_all_stuck():
                    raise TimeoutError
        finally:
            if not call.done():
                finished.cancel()
                reading.abandon()
                self._stuck.add(call)


class _Reading:
    """One range on its way from a file into place, a piece at a time.

    The file is read into a buffer of the thread's own, so that a thread that is stuck in a read, and comes to life when
    nobody waits for it any more, has written nothing and writes nothing to where the bytes were wanted.

    One thread decrypts at a time, while others read: the cipher gives back the interpreter's lock for some microseconds
    with each segment, and two threads that decrypt would wake each other up every time.
    """

    def __init__(self, file: LentFile, cursor: Cursor, buffers: list[bytearray], decrypting: threading.Lock) -> None:
        self._file = file
        self._cursor = cursor
        self._buffers = buffers
        self._decrypting = decrypting
        self._lock = threading.Lock()
        self._is_abandoned = False

    def run(self) -> None:
        """Read and decrypt up to the end; blocks."""
        try:
            buffer = self._buffers.pop()
        except IndexError:
            buffer = bytearray(LOCAL_READ_SIZE_BYTES)
        cursor = self._cursor
        with memoryview(buffer) as view:
            while cursor.position < cursor.end:
                piece = view[: min(LOCAL_READ_SIZE_BYTES, cursor.end - cursor.position)]
                self._file.read_into(cursor.position, piece)
                with self._decrypting, self._lock:
                    if self._is_abandoned:
                        return
                    cursor.decrypt(piece)
        self._buffers.append(buffer)

    def abandon(self) -> None:
        """Let nothing be written from now on; waits for a piece that is being decrypted."""
        with self._lock:
            self._is_abandoned = True
