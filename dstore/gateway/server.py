"""uvicorn as a part of this process: without its signals, its log and its way to end."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from dstore.core.errors import InvalidRequest, Unavailable
from dstore.core.limits import STOP_GRACE_S
from dstore.gateway.limits import HEADERS_SIZE_BYTES_MAX, KEEP_ALIVE_S
from dstore.gateway.protocol import BoundedProtocol

_TICK_S = 1.0


class _Server(uvicorn.Server):
    """Leaves signals to the process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_listening = asyncio.Event()
        self.is_stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_listening.set()

    async def main_loop(self) -> None:
        while not self.is_stopping.is_set():
            # Renews the Date of answers.
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self.is_stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for each in (*self.servers, *(sockets or ())):
            each.close()


class HttpServer:
    """Serves one application.

    Args:
        certificate: files of certificate and key for TLS; None serves plain HTTP.
    """

    def __init__(
        self, application: ASGIApp, *, host: str, port: int, certificate: tuple[Path, Path] | None = None
    ) -> None:
        self._application = application
        self._host = host
        self._port = port
        self._certificate = certificate
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Listen; return the bound ``host:port``.

        Raises:
            Unavailable: reason ``ADDRESS_IN_USE``.
            InvalidRequest: reason ``CERTIFICATE_UNUSABLE``.
        """
        files = self._certificate
        config = uvicorn.Config(
            self._application,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            loop="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ssl_certfile=files and files[0],
            ssl_keyfile=files and files[1],
            h11_max_incomplete_event_size=HEADERS_SIZE_BYTES_MAX,
            timeout_keep_alive=int(KEEP_ALIVE_S),
            timeout_graceful_shutdown=int(STOP_GRACE_S),
        )
        try:
            config.load()
        except (OSError, ssl.SSLError) as error:
            raise InvalidRequest(
                f"The certificate or its key cannot be used: {error}. Check --tls-certificate and --tls-key.",
                reason="CERTIFICATE_UNUSABLE",
            ) from error
        listening = self._listen()
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]), name="http")
        await self._server.is_listening.wait()
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{listening.getsockname()[1]}"

    async def stop(self) -> None:
        """Take no new requests, give those under way some time, and end."""
        if self._server is not None and self._serving is not None:
            self._server.is_stopping.set()
            await self._serving

    def _listen(self) -> socket.socket:
        try:
            return socket.create_server(
                (self._host, self._port), family=socket.AF_INET6 if ":" in self._host else socket.AF_INET
            )
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else error
            raise Unavailable(
                f"Cannot listen on {self._host}:{self._port} ({why}); stop what uses the port, or "
                "choose another with --listen.",
                reason="ADDRESS_IN_USE",
                metadata={"address": f"{self._host}:{self._port}"},
            ) from error
