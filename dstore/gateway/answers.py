"""What handlers answer with: JSON about files, and files themselves as streams."""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dstore.client.files import AsyncReadFile
from dstore.core.files import FileInfo
from dstore.gateway.attributes import guess_type
from dstore.gateway.body import Disconnected
from dstore.gateway.conditions import entity_tag, iso_date
from dstore.gateway.limits import PIECE_SIZE_BYTES


class JsonResponse(Response):
    """A value as JSON in ASCII, which no name can break out of."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the bytes of the body."""
        return json.dumps(content).encode() + b"\n"


class FileResponse(Response):
    """A part of an open file, as it is read; whoever opened the file closes it.

    The first piece is read before the status is sent, so that what fails at once fails with a status. What fails later
    ends the connection before its end, which no client takes for a complete answer.
    """

    def __init__(
        self, file: AsyncReadFile, offset: int, length: int, *, status_code: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(None, status_code, headers)
        self._file = file
        self._offset = offset
        self._left = length
        self.headers["Content-Length"] = str(length)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it.

        Raises:
            DstoreError: as ``AsyncClient.get``.
            Disconnected: nobody reads on.
        """
        leaving = asyncio.create_task(_until_disconnected(receive), name="disconnect")
        try:
            self._file.seek(self._offset)
            piece = await self._read()
            start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await send(start)
            while self._left:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                # A server takes what nobody will read without a word.
                if leaving.done():
                    raise Disconnected
                piece = await self._read()
            await send({"type": "http.response.body", "body": piece})
        finally:
            leaving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leaving

    async def _read(self) -> bytes:
        piece = await self._file.read(min(self._left, PIECE_SIZE_BYTES))
        self._left -= len(piece)
        return piece


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def info_value(info: FileInfo, content_type: str | None = None) -> dict[str, object]:
    """Return what JSON says of a file or a directory; the type is that of its name unless another one is known."""
    value: dict[str, object] = {"path": info.path, "name": info.name, "kind": info.kind.value}
    if not info.is_directory:
        value |= {
            "size_bytes": info.size_bytes,
            "content_type": content_type or guess_type(info.name),
            "etag": entity_tag(info),
        }
    return value | {
        "version": info.version,
        "created": iso_date(info.created_ns),
        "modified": iso_date(info.modified_ns),
    }
