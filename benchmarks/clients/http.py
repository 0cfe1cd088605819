"""Connections that speak as little HTTP as a benchmark needs, so that the client costs the peer nothing."""

import asyncio
import http.client
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

_BLOCK_SIZE_BYTES = 1 << 20


class HttpConnection:
    """One connection that is kept; one request at a time."""

    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._host = host
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: str) -> Self:
        """Connect to ``host:port``."""
        host, _, port = address.rpartition(":")
        return cls(address, *await asyncio.open_connection(host, int(port), limit=_BLOCK_SIZE_BYTES))

    async def request(self, method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
        """Return the body of the answer.

        Raises:
            RuntimeError: the answer is no success.
        """
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._host}", f"Content-Length: {len(body)}", *headers]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split()[1])
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        if method == "HEAD" or status in {204, 304}:
            content = b""
        elif fields.get("transfer-encoding") == "chunked":
            content = await self._chunks()
        else:
            content = await self._reader.readexactly(int(fields.get("content-length", "0")))
        if not 200 <= status < 300:
            raise RuntimeError(f"{method} {target} gave {status}: {content[:200]!r}")
        return content

    async def _chunks(self) -> bytes:
        content = bytearray()
        while size_bytes := int(await self._reader.readuntil(b"\r\n"), 16):
            content += await self._reader.readexactly(size_bytes)
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return bytes(content)

    def close(self) -> None:
        """Close it."""
        self._writer.close()


@asynccontextmanager
async def open_connections(address: str, count: int) -> AsyncIterator["asyncio.Queue[HttpConnection]"]:
    """Give connections to take from a queue and to put back."""
    pool: asyncio.Queue[HttpConnection] = asyncio.Queue()
    async with AsyncExitStack() as stack:
        for _ in range(count):
            connection = await HttpConnection.open(address)
            stack.callback(connection.close)
            pool.put_nowait(connection)
        yield pool


def upload(address: str, target: str, block: bytes, size_bytes: int) -> None:
    """Send one large file, made of the same block again and again; blocks the thread.

    Raises:
        RuntimeError: the answer is no success.
    """
    connection = http.client.HTTPConnection(address, blocksize=_BLOCK_SIZE_BYTES)
    try:
        # Cut into views, not copied.
        views = _views(memoryview(block), size_bytes)
        connection.request("PUT", target, body=views, headers={"Content-Length": str(size_bytes)})
        answer = connection.getresponse()
        content = answer.read()
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"PUT {target} gave {answer.status}: {content[:200]!r}")
    finally:
        connection.close()


def _views(block: memoryview, size_bytes: int) -> Iterator[memoryview]:
    sent = 0
    while sent < size_bytes:
        start = sent % len(block)
        view = block[start : start + min(_BLOCK_SIZE_BYTES, size_bytes - sent)]
        sent += len(view)
        yield view


def download(address: str, target: str) -> int:
    """Fetch one large file, throw it away, and return how many bytes came; blocks the thread.

    Raises:
        RuntimeError: the answer is no success.
    """
    connection = http.client.HTTPConnection(address)
    buffer = bytearray(_BLOCK_SIZE_BYTES)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"GET {target} gave {answer.status}.")
        received = 0
        while count := answer.readinto(buffer):
            received += count
        return received
    finally:
        connection.close()
