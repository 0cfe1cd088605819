"""A server that takes bytes, gives bytes, and returns bytes: what loopback TCP can do from Python.

Says its two ports on standard output, one for bulk and one for small messages, and stops when standard input ends.
"""

import asyncio
import socket
import sys
import threading
from typing import cast

import uvloop

BLOCK_SIZE_BYTES = 1 << 20
#: The first byte of a bulk connection, before a size of eight bytes.
TAKE, GIVE = b"t", b"g"


def take(connection: socket.socket, size_bytes: int) -> None:
    """Receive so many bytes and throw them away.

    Raises:
        ConnectionError: fewer came.
    """
    buffer = bytearray(BLOCK_SIZE_BYTES)
    left = size_bytes
    while left:
        count = connection.recv_into(buffer, min(left, len(buffer)))
        if not count:
            raise ConnectionError(f"{left} bytes are missing.")
        left -= count


def give(connection: socket.socket, size_bytes: int) -> None:
    """Send so many bytes."""
    block = memoryview(bytes(BLOCK_SIZE_BYTES))
    for start in range(0, size_bytes, len(block)):
        connection.sendall(block[: min(len(block), size_bytes - start)])


class Echo(asyncio.Protocol):
    """Returns what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to send."""
        # Those of uvloop do not inherit from the class that they implement.
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self._transport.write(data)


def _serve_bulk(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            header = connection.recv(9, socket.MSG_WAITALL)
            size_bytes = int.from_bytes(header[1:])
            if header[:1] == TAKE:
                take(connection, size_bytes)
                connection.sendall(TAKE)
            else:
                give(connection, size_bytes)


async def main() -> None:
    """Entry point."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_serve_bulk, args=(listener,), daemon=True).start()
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(listener.getsockname()[1], server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)


if __name__ == "__main__":
    uvloop.run(main())
