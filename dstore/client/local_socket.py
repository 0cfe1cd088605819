"""The client's end of a chunkserver's local socket: asks for open chunk files; docs/local-reads.md has the messages."""

import array
import asyncio
import os
import socket
import struct

from dstore.client.lent_file import LentFile
from dstore.core.environment import Clock
from dstore.core.errors import Unavailable
from dstore.core.ids import ChunkId, ClusterId, ServerId
from dstore.core.limits import LOCAL_ANSWER_TIMEOUT_S
from dstore.core.local_reads import LocalReads
from dstore.rpc.local_messages import (
    ANSWER_SIZE_BYTES_MAX,
    LocalRequest,
    decode_answer,
    encode_request,
    socket_name,
)

_CREDENTIALS = struct.Struct("3i")
#: Room for one descriptor: the kernel closes what does not fit.
_ANCILLARY_SIZE_BYTES = socket.CMSG_SPACE(array.array("i").itemsize)
#: What a server says of one chunk only; everything else is about the server.
_OF_THE_CHUNK = frozenset({"CHUNK_NOT_FOUND", "CHUNK_CORRUPT"})


class LocalSocketClient:
    """Talks to one chunkserver on this machine, one question at a time; connects when it has to.

    Whatever goes wrong ends the connection, so that no answer ever comes to another question.
    """

    def __init__(self, server_id: ServerId, clock: Clock, *, allowed: LocalReads, own_uid: int) -> None:
        self._server_id = server_id
        self._clock = clock
        self._allowed = allowed
        self._own_uid = own_uid
        self._connection: socket.socket | None = None

    async def ask(self, cluster_id: ClusterId, chunk_id: ChunkId, length_bytes: int) -> LentFile | None:
        """Return the open file of a chunk whose ciphertext has this length; None when the server does not serve it.

        Raises:
            OSError: there is no such server on this machine, or none that may be trusted, or it does not answer.
            InvalidRequest: reason ``LOCAL_MESSAGE_INVALID``: it answers something else.
        """
        request = LocalRequest(cluster_id, self._server_id, chunk_id)
        try:
            async with asyncio.timeout(LOCAL_ANSWER_TIMEOUT_S):
                packet, descriptors = await self._exchange(encode_request(request))
            return self._take(request, length_bytes, packet, descriptors)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection; the next question makes another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _exchange(self, packet: bytes) -> tuple[bytes, list[int]]:
        if self._connection is not None:
            try:
                return await _send_and_receive(self._connection, packet)
            except ConnectionError:
                # The server was started again, or took this client for asleep.
                self.close()
        self._connection = self._connect()
        return await _send_and_receive(self._connection, packet)

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.setblocking(False)
            # Does not wait: a listener has room in its queue at once, or this fails.
            connection.connect(socket_name(self._server_id))
            raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            uid = _CREDENTIALS.unpack(raw)[1]
            # Anybody can take the name. Wrong bytes would do no harm, but files that hang when they are read might.
            if not self._allowed.allows(uid, own_uid=self._own_uid):
                raise _untrusted(f"belongs to user {uid}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _take(self, request: LocalRequest, length_bytes: int, packet: bytes, descriptors: list[int]) -> LentFile | None:
        """Check an answer; what it brought is closed, or in the file that is returned."""
        try:
            answer = decode_answer(packet)
            if (answer.cluster_id, answer.server_id, answer.chunk_id) != (
                request.cluster_id,
                request.server_id,
                request.chunk_id,
            ):
                raise _untrusted("answers another question")
            if answer.refusal in _OF_THE_CHUNK:
                return None
            if answer.refusal or len(descriptors) != 1 or answer.length_bytes != length_bytes:
                raise _untrusted(f"does not give the chunk ({answer.refusal or 'another length'})")
            return LentFile(descriptors.pop(), answer.offset, length_bytes, self._clock.monotonic_s())
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


async def _send_and_receive(connection: socket.socket, packet: bytes) -> tuple[bytes, list[int]]:
    connection.send(packet)
    await _readable(connection)
    # Closed when another program is started; a child that is forked closes it by itself.
    flags = socket.MSG_CMSG_CLOEXEC
    answer, ancillary, _, _ = connection.recvmsg(ANSWER_SIZE_BYTES_MAX + 1, _ANCILLARY_SIZE_BYTES, flags)
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    if not answer:
        for descriptor in descriptors:
            os.close(descriptor)
        raise ConnectionResetError("The server closed the local socket.")
    return answer, descriptors.tolist()


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    arrived = loop.create_future()
    loop.add_reader(connection, _note, arrived)
    try:
        await arrived
    finally:
        loop.remove_reader(connection)


def _note(arrived: "asyncio.Future[None]") -> None:
    if not arrived.done():
        arrived.set_result(None)


def _untrusted(why: str) -> Unavailable:
    return Unavailable(f"The local socket {why}. Read over the network.", reason="LOCAL_SOCKET_REFUSED")
