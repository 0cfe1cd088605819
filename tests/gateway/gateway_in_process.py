"""Starts gateways for tests, and talks to them: with httpx, and byte by byte where httpx would never send that."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from store_in_process import RANDOM, InProcessCluster, RealClock

from dstore.client.client import AsyncClient
from dstore.gateway.exchange import make_gateway
from dstore.gateway.hosts import host_rule
from dstore.gateway.identities import Identities
from dstore.gateway.routes import make_application
from dstore.gateway.server import HttpServer


@dataclass(frozen=True)
class GatewayInProcess:
    """A gateway that runs.

    Attributes:
        client: of its own, for looking behind it.
    """

    address: str
    client: AsyncClient

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def connect(self, *, token: str = "") -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=f"http://{self.address}", headers=headers, timeout=60, trust_env=False)

    async def send(self, *pieces: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send bytes as they are, and return status, headers and body of the answer, at whose end it hangs up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return parse_answer(await reader.read())
        finally:
            writer.close()

    async def names(self, path: str = "/") -> list[str]:
        return [info.name async for info in self.client.list(path)]


def parse_answer(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split(" ")[1]), headers, body


def error_in(body: bytes, headers: httpx.Headers | dict[str, str]) -> dict[str, str]:
    """Return the error that a body says, which must be whole and have the id of the answer."""
    assert headers["content-type"] == "application/json"
    value = json.loads(body)
    assert set(value) == {"error"}
    error = value["error"]
    assert set(error) == {"reason", "message", "request_id"}
    assert error["request_id"] == headers["x-request-id"] != ""
    assert len(error["message"]) > 20
    assert isinstance(error, dict)
    return error


def reason_of(answer: httpx.Response) -> tuple[int, str]:
    """Return status and reason of an answer that must be an error."""
    assert answer.status_code >= 400, answer.text
    return answer.status_code, error_in(answer.content, answer.headers)["reason"]


@asynccontextmanager
async def gateway_in_process(
    cluster: InProcessCluster,
    *,
    identities: Identities | None = None,
    upload_size_bytes_max: int | None = None,
    client: AsyncClient | None = None,
) -> AsyncIterator[GatewayInProcess]:
    client = client or cluster.client()
    gateway = make_gateway(client, clock=RealClock(), random=RANDOM, upload_size_bytes_max=upload_size_bytes_max)
    application = make_application(
        gateway,
        identities,
        host_rule("127.0.0.1", (), has_tokens=identities is not None),
        clock=RealClock(),
        random=RANDOM,
    )
    server = HttpServer(application, host="127.0.0.1", port=0)
    address = await server.start()
    try:
        yield GatewayInProcess(address, cluster.client())
    finally:
        await server.stop()
        await gateway.view.close()
