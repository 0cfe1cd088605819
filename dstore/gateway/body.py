"""The body of a request as it comes: piece by piece, bounded in size, and never waited for without end."""

import asyncio
import json
from collections import deque
from typing import Any, Self

from starlette.datastructures import Headers
from starlette.types import Receive

from dstore.core.errors import DeadlineExceeded, InvalidRequest, LimitExceeded
from dstore.gateway.limits import BODY_IDLE_TIMEOUT_S, DOCUMENT_SIZE_BYTES_MAX
from dstore.gateway.multipart import FormReader, PartBegin, PartData, PartEnd, PartEvent


class Disconnected(Exception):
    """The other side went away; there is nobody left to answer."""


class Body:
    """Iterates over the pieces of a body; several loops one after the other go on where the last one stopped."""

    def __init__(self, receive: Receive, headers: Headers, *, size_bytes_max: int | None) -> None:
        """Take what the server received.

        Args:
            size_bytes_max: None for any size.

        Raises:
            LimitExceeded: reason ``BODY_TOO_LARGE``: its length was given, and is too large.
        """
        self._receive = receive
        self._size_bytes_max = size_bytes_max
        self._size_bytes = 0
        self._is_over = False
        self._check(int(headers.get("content-length", "0")))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece.

        Raises:
            DeadlineExceeded: reason ``BODY_TOO_SLOW``.
            LimitExceeded: reason ``BODY_TOO_LARGE``.
            Disconnected: it will never be complete.
        """
        while not self._is_over:
            try:
                async with asyncio.timeout(BODY_IDLE_TIMEOUT_S):
                    message = await self._receive()
            except TimeoutError:
                raise DeadlineExceeded(
                    f"Nothing of the body came for {BODY_IDLE_TIMEOUT_S:.0f} s, so the request was given up; "
                    "nothing of it was stored. Send it again.",
                    reason="BODY_TOO_SLOW",
                ) from None
            if message["type"] != "http.request":
                raise Disconnected
            self._is_over = not message.get("more_body", False)
            piece: bytes = message.get("body", b"")
            if piece:
                self._size_bytes += len(piece)
                self._check(self._size_bytes)
                return piece
        raise StopAsyncIteration

    async def finish(self) -> None:
        """Read what is left, and drop it.

        Raises:
            DeadlineExceeded, LimitExceeded, Disconnected: as reading it.
        """
        async for _ in self:
            pass

    async def read_all(self, size_bytes_max: int, *, what: str) -> bytes:
        """Return a body that is known to be small.

        Raises:
            LimitExceeded: reason ``BODY_TOO_LARGE``.
        """
        content = bytearray()
        async for piece in self:
            content += piece
            if len(content) > size_bytes_max:
                raise _too_large(f"{what} may have {size_bytes_max} bytes")
        return bytes(content)

    async def read_json(self) -> dict[str, Any]:
        """Return a JSON object.

        Raises:
            InvalidRequest: reason ``JSON_INVALID``.
        """
        content = await self.read_all(DOCUMENT_SIZE_BYTES_MAX, what="A JSON body")
        try:
            value = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(f"The body is no JSON: {error}.", reason="JSON_INVALID") from error
        if not isinstance(value, dict):
            raise InvalidRequest("The body is no JSON object; write {…}.", reason="JSON_INVALID")
        return value

    def _check(self, size_bytes: int) -> None:
        if self._size_bytes_max is not None and size_bytes > self._size_bytes_max:
            raise _too_large(f"this gateway takes {self._size_bytes_max} bytes at most")


class FormParts:
    """The parts of a form: ``next_part``, then iterate over the content of that part, then the next."""

    def __init__(self, body: Body, boundary: bytes) -> None:
        self._body = body
        self._reader = FormReader(boundary)
        self._events: deque[PartEvent] = deque()
        self._is_in_part = False

    async def next_part(self) -> PartBegin | None:
        """Return the head of the next part, dropping what is left of the present one; None at the end of the form.

        Raises:
            InvalidRequest: reason ``FORM_INVALID``, also when the form ends in the middle.
            DstoreError, Disconnected: as reading the body.
        """
        async for _ in self:
            pass
        event = await self._next_event()
        assert event is None or isinstance(event, PartBegin), "nothing stands between two parts"
        self._is_in_part = event is not None
        return event

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> memoryview:
        """Return the next piece of the present part."""
        if self._is_in_part:
            event = await self._next_event()
            if isinstance(event, PartData):
                return event.data
            assert isinstance(event, PartEnd), "a part that began ends, or the form is refused"
            self._is_in_part = False
        raise StopAsyncIteration

    async def _next_event(self) -> PartEvent | None:
        while not self._events:
            try:
                piece = await anext(self._body)
            except StopAsyncIteration:
                self._reader.finish()
                return None
            self._events.extend(self._reader.feed(piece))
        return self._events.popleft()


def _too_large(limit: str) -> LimitExceeded:
    return LimitExceeded(
        f"The body is too large: {limit}. Nothing of it was stored; send less, or ask the operator of the gateway.",
        reason="BODY_TOO_LARGE",
    )
