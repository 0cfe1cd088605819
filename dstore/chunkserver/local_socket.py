"""Gives open chunk files to clients on the same machine, which then read the disk themselves.

The socket has an abstract name, made of the server's id: no file that could be left behind by a server that died, no
limit to the length of a data directory's path, and not to be found from another network namespace. Who is on the other
side the kernel says. What is given out is open for reading only, and was checked as if it were served; without the key
it is as good as random bytes. docs/local-reads.md describes the messages.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable

from dstore.chunkserver.disk import LocalDiskFile
from dstore.chunkserver.identity import DiskIdentity
from dstore.chunkserver.service import ChunkService
from dstore.core.errors import DstoreError, InvalidRequest
from dstore.core.limits import CHUNK_FILE_HEADER_SIZE_BYTES, LOCAL_CONNECTION_IDLE_S, LOCAL_CONNECTIONS_MAX
from dstore.core.local_reads import LocalReads
from dstore.rpc.local_messages import (
    REQUEST_SIZE_BYTES_MAX,
    LocalAnswer,
    LocalRequest,
    decode_request,
    encode_answer,
    socket_name,
)

_CREDENTIALS = struct.Struct("3i")
_BACKLOG = 64

_log = logging.getLogger(__name__)


class LocalSocket:
    """The local socket of one chunkserver. It does without when it cannot have one: nobody depends on it.

    Args:
        identity: of the disk, now.
        allowed: whose processes get files.
        own_uid: of this process.
    """

    def __init__(
        self,
        chunks: ChunkService,
        identity: Callable[[], DiskIdentity],
        *,
        allowed: LocalReads,
        own_uid: int,
        connections_max: int = LOCAL_CONNECTIONS_MAX,
        idle_s: float = LOCAL_CONNECTION_IDLE_S,
    ) -> None:
        self._chunks = chunks
        self._identity = identity
        self._allowed = allowed
        self._own_uid = own_uid
        self._connections_max = connections_max
        self._idle_s = idle_s
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._serving: dict[asyncio.Task[None], socket.socket] = {}

    async def start(self) -> bool:
        """Listen from now on, unless it is switched off; return whether it does."""
        if self._allowed is LocalReads.OFF:
            return False
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.setblocking(False)
        try:
            listener.bind(socket_name(self._identity().server_id))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            _log.warning("clients on this machine read over the network: no local socket can be had: %s", error)
            return False
        self._listener = listener
        self._accepting = asyncio.create_task(self._accept(listener))
        return True

    async def stop(self) -> None:
        """End all connections; allowed at any time."""
        tasks = [*self._serving] if self._accepting is None else [self._accepting, *self._serving]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._listener is not None:
            self._listener.close()
        self._listener = self._accepting = None

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                # Too many open files, for example: whoever waits in the queue is patient for a second.
                _log.warning("a client on this machine was not let in: %s", error)
                await asyncio.sleep(1)
                continue
            if len(self._serving) >= self._connections_max or not self._is_welcome(connection):
                connection.close()
                continue
            connection.setblocking(False)
            task = asyncio.create_task(self._serve(connection))
            self._serving[task] = connection
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        # Here, because a task that is cancelled before it begins closes nothing.
        self._serving.pop(task).close()

    def _is_welcome(self, connection: socket.socket) -> bool:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        uid = _CREDENTIALS.unpack(raw)[1]
        return self._allowed.allows(uid, own_uid=self._own_uid)

    async def _serve(self, connection: socket.socket) -> None:
        """Answer one client until it leaves, is silent for too long, or sends what is no request."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                async with asyncio.timeout(self._idle_s):
                    packet = await loop.sock_recv(connection, REQUEST_SIZE_BYTES_MAX + 1)
                if not packet:
                    return
                await self._answer(connection, decode_request(packet))
        except (OSError, InvalidRequest) as error:
            # The client finds its connection closed and reads over the network.
            _log.debug("a client on this machine is left: %s", error)

    async def _answer(self, connection: socket.socket, request: LocalRequest) -> None:
        try:
            objection = self._objection(request)
            if objection is not None:
                connection.send(encode_answer(_refuse(request, objection)))
                return
            async with self._chunks.lend_chunk(request.chunk_id) as chunk:
                assert isinstance(chunk.file, LocalDiskFile), "only files of a real disk have descriptors"
                answer = LocalAnswer(
                    request.cluster_id,
                    request.server_id,
                    request.chunk_id,
                    offset=CHUNK_FILE_HEADER_SIZE_BYTES,
                    length_bytes=chunk.header.length_bytes,
                )
                # Nobody waits for room: a client that sends more before it took its answers has to leave.
                socket.send_fds(connection, [encode_answer(answer)], [chunk.file.fileno()])
        except DstoreError as error:
            connection.send(encode_answer(_refuse(request, error.reason)))

    def _objection(self, request: LocalRequest) -> str | None:
        identity = self._identity()
        if request.cluster_id != identity.cluster_id:
            return "WRONG_CLUSTER"
        return None if request.server_id == identity.server_id else "WRONG_SERVER"


def _refuse(request: LocalRequest, reason: str) -> LocalAnswer:
    return LocalAnswer(request.cluster_id, request.server_id, request.chunk_id, refusal=reason)
