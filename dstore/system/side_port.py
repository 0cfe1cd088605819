"""The HTTP side port of a server: ``/metrics`` for Prometheus, ``/healthz`` and ``/readyz`` for probes.

A few GET requests a minute from machines: h11 parses them, one request per connection, with bounds on size and time.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass

import h11

from dstore.core.errors import Unavailable

_log = logging.getLogger(__name__)

_REQUEST_SIZE_BYTES_MAX = 16 * 1024
_REQUEST_TIMEOUT_S = 10.0
_CONNECTIONS_MAX = 64
_READ_SIZE_BYTES = 4096

_TEXT = "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether work should be sent here, and the state of each thing that it depends on."""

    ready: bool
    checks: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Answer:
    status_code: int
    content_type: str
    body: bytes


class SidePort:
    """Serves metrics and probes.

    Args:
        listen: host and port; port 0 takes a free one.
        metrics: returns the Prometheus text format.
        readiness: is asked at each probe.
    """

    def __init__(self, listen: str, *, metrics: Callable[[], bytes], readiness: Callable[[], Readiness]):
        self._listen = listen
        self._metrics = metrics
        self._readiness = readiness
        self._server: asyncio.Server | None = None
        self._connections = 0

    async def start(self) -> str:
        """Listen; return the bound ``host:port``.

        Raises:
            Unavailable: ADDRESS_IN_USE when the address cannot be bound.
        """
        host, _, port = self._listen.rpartition(":")
        try:
            self._server = await asyncio.start_server(self._serve, host, int(port))
        except OSError as error:
            raise Unavailable(
                f"Cannot listen on {self._listen} ({error.strerror}); stop what uses the port, "
                "or choose another with --http-listen.",
                reason="ADDRESS_IN_USE",
                metadata={"address": self._listen},
            ) from error
        return f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= _CONNECTIONS_MAX:
                async with asyncio.timeout(_REQUEST_TIMEOUT_S):
                    await self._serve_request(reader, writer)
        except (TimeoutError, ConnectionError, h11.ProtocolError) as error:
            _log.debug("A connection to the side port ended early: %r", error)
        finally:
            self._connections -= 1
            writer.close()

    async def _serve_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_REQUEST_SIZE_BYTES_MAX)
        answer = None
        while answer is None:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError as error:
                answer = _Answer(error.error_status_hint, _TEXT, b"This is no HTTP request that can be answered.\n")
                break
            match event:
                case h11.NEED_DATA:
                    connection.receive_data(await reader.read(_READ_SIZE_BYTES))
                case h11.Request():
                    answer = self._answer(event)
                case _:
                    return
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Connection", "close"),
        ]
        for message in (h11.Response(status_code=answer.status_code, headers=headers), h11.Data(data=answer.body)):
            writer.write(connection.send(message) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()

    def _answer(self, request: h11.Request) -> _Answer:
        if request.method != b"GET":
            return _Answer(405, _TEXT, b"Only GET is offered here.\n")
        match request.target.split(b"?")[0]:
            case b"/metrics":
                return _Answer(200, _METRICS, self._metrics())
            case b"/healthz":
                return _Answer(200, _TEXT, b"alive\n")
            case b"/readyz":
                readiness = self._readiness()
                body = json.dumps({"ready": readiness.ready, "checks": readiness.checks}, indent=2).encode()
                return _Answer(200 if readiness.ready else 503, _JSON, body + b"\n")
            case _:
                return _Answer(404, _TEXT, b"Offered here: /metrics, /healthz, /readyz.\n")
