"""Metrics and probes over HTTP, with bounds."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from dstore.core.errors import Unavailable
from dstore.system.side_port import Readiness, SidePort

state = {"ready": True}


@pytest.fixture
async def address() -> AsyncIterator[str]:
    state["ready"] = True
    port = SidePort(
        "127.0.0.1:0",
        metrics=lambda: b"dstore_up 1\n",
        readiness=lambda: Readiness(state["ready"], {"disk": "writable"}),
    )
    yield await port.start()
    await port.stop()


async def request(address: str, raw: bytes) -> tuple[int, bytes]:
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(raw)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def test_each_path_answers(address: str) -> None:
    assert await request(address, get("/metrics")) == (200, b"dstore_up 1\n")
    assert await request(address, get("/healthz?probe=1")) == (200, b"alive\n")
    status_code, body = await request(address, get("/readyz"))
    assert (status_code, json.loads(body)) == (200, {"ready": True, "checks": {"disk": "writable"}})
    state["ready"] = False
    assert (await request(address, get("/readyz")))[0] == 503
    assert (await request(address, get("/healthz")))[0] == 200


@pytest.mark.parametrize(
    ("raw", "status_code"),
    [
        (get("/etc/passwd"), 404),
        (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000, 431),
    ],
)
async def test_bad_requests_get_an_answer(address: str, raw: bytes, status_code: int) -> None:
    assert (await request(address, raw))[0] == status_code


async def test_a_taken_port_is_an_error(address: str) -> None:
    second = SidePort(address, metrics=lambda: b"", readiness=lambda: Readiness(True, {}))
    with pytest.raises(Unavailable) as caught:
        await second.start()
    assert caught.value.reason == "ADDRESS_IN_USE"
