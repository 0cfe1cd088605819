"""Transfers that end too early: nothing of an upload is visible, and no download looks complete."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from gateway_in_process import GatewayInProcess, gateway_in_process, reason_of
from store_in_process import CHUNK_SIZE, InProcessCluster, in_process_cluster, pattern

from dstore.gateway import body, protocol, server
from dstore.gateway.limits import PIECE_SIZE_BYTES

LARGE = 5 * CHUNK_SIZE
FORM_HEAD = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


async def until(condition: Callable[[], bool]) -> None:
    """Wait, as long as it takes; the time limit of the test ends what never comes."""
    while not condition():  # noqa: ASYNC110 - it happens on the other side of a socket
        await asyncio.sleep(0.005)


def head(target: str, *headers: str) -> bytes:
    method = "POST" if target == "/upload" else "PUT"
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


UPLOADS = [
    (head("/v1/files/a", f"Content-Length: {LARGE + 1}"), b""),
    (head("/v1/files/a", f"Content-Length: {LARGE + CHUNK_SIZE}"), b""),
    (head("/v1/files/a", "Transfer-Encoding: chunked"), b"%X\r\n" % LARGE),
    (head("/update/a", f"Content-Length: {LARGE + 1}"), b""),
    (head("/upload", f"Content-Length: {2 * LARGE}", "Content-Type: multipart/form-data; boundary=B"), FORM_HEAD),
]


def left_download(caplog: pytest.LogCaptureFixture) -> bool:
    """Return whether the log says that a reader went away in the middle of a download."""
    fields = [record.__dict__ for record in caplog.records if record.name == "dstore.gateway"]
    return ("/v1/files/{path}", "200 gone") in [(each.get("route"), each.get("outcome")) for each in fields]


@pytest.mark.parametrize(("request_head", "start"), UPLOADS)
@pytest.mark.parametrize("sent", [0, 1, CHUNK_SIZE - 1, LARGE - 1, LARGE])
async def test_an_aborted_upload_leaves_nothing(
    gateway: GatewayInProcess,
    cluster: InProcessCluster,
    caplog: pytest.LogCaptureFixture,
    request_head: bytes,
    start: bytes,
    sent: int,
) -> None:
    is_update = request_head.startswith(b"PUT /update")
    if is_update:
        await gateway.client.put("/a", b"before")
    with caplog.at_level("INFO", logger="dstore.gateway"):
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(request_head + start + pattern(sent))
        await writer.drain()
        writer.transport.abort()
        await until(lambda: "whoever asked went away" in caplog.text)
    assert await gateway.names() == (["a"] if is_update else [])
    if is_update:
        assert await gateway.client.get("/a") == b"before"
    assert "defect" not in caplog.text


async def test_an_upload_that_cannot_be_stored(
    http: httpx.AsyncClient, gateway: GatewayInProcess, cluster: InProcessCluster
) -> None:
    for number in (1, 2, 3):
        cluster.faults(number).is_down = True
    assert reason_of(await http.put("/v1/files/a", content=pattern(LARGE)))[0] == 503
    assert await gateway.names() == []


async def test_a_download_that_breaks_off_is_visibly_incomplete(
    cluster: InProcessCluster, caplog: pytest.LogCaptureFixture
) -> None:
    size = 6 * PIECE_SIZE_BYTES
    async with gateway_in_process(cluster, client=cluster.client(patience_s=0.1)) as gateway:
        await gateway.client.put("/a", pattern(size))
        async with gateway.connect() as http:
            received = 0
            with pytest.raises(httpx.RemoteProtocolError):
                async with http.stream("GET", "/v1/files/a") as answer:
                    assert answer.status_code == 200
                    async for piece in answer.aiter_bytes():
                        if not received:
                            for number in (1, 2, 3):
                                cluster.faults(number).is_down = True
                        received += len(piece)
            assert received < size
        assert "broke off" in caplog.text


async def test_a_download_of_nothing_good_has_a_status(
    http: httpx.AsyncClient, gateway: GatewayInProcess, cluster: InProcessCluster
) -> None:
    await gateway.client.put("/a", pattern(LARGE))
    for address, path in cluster.chunk_files():
        cluster.damage(address, path)
    assert reason_of(await http.get("/v1/files/a"))[0] in (502, 503)


async def start_download(cluster: InProcessCluster, gateway: GatewayInProcess) -> asyncio.StreamWriter:
    """Begin to get more than all buffers on the way can hold, and read a byte of it."""
    await gateway.client.put("/a", pattern(12 * PIECE_SIZE_BYTES))
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", gateway.port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=1024)
    writer.write(b"GET /v1/files/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.read(1)
    return writer


@pytest.fixture
async def large_chunks_gateway(tmp_path: Path) -> AsyncIterator[tuple[InProcessCluster, GatewayInProcess]]:
    async with (
        in_process_cluster(tmp_path, chunk_size_bytes=PIECE_SIZE_BYTES) as cluster,
        gateway_in_process(cluster) as gateway,
    ):
        yield cluster, gateway


async def test_a_reader_that_goes_away_ends_the_download(
    large_chunks_gateway: tuple[InProcessCluster, GatewayInProcess], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="dstore.gateway"):
        writer = await start_download(*large_chunks_gateway)
        assert not left_download(caplog), "it is under way"
        writer.transport.abort()
        await until(lambda: left_download(caplog))
    assert "defect" not in caplog.text


async def test_a_reader_that_stops_reading_is_cut_off(
    large_chunks_gateway: tuple[InProcessCluster, GatewayInProcess],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(protocol, "SEND_IDLE_TIMEOUT_S", 0.05)
    with caplog.at_level("INFO", logger="dstore.gateway"):
        writer = await start_download(*large_chunks_gateway)
        await until(lambda: left_download(caplog))
        writer.transport.abort()


async def test_a_body_that_stops_coming(gateway: GatewayInProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "BODY_IDLE_TIMEOUT_S", 0.05)
    status, _, answer = await gateway.send(
        head("/v1/files/a", f"Content-Length: {LARGE}", "Connection: close") + pattern(CHUNK_SIZE)
    )
    assert (status, b"BODY_TOO_SLOW" in answer) == (408, True)
    assert await gateway.names() == []


@pytest.mark.parametrize("start", [b"", b"GET /healthz HTTP/1.1\r\nHost: loc"])
async def test_headers_that_never_end(gateway: GatewayInProcess, monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr(protocol, "HEADERS_TIMEOUT_S", 0.05)
    status, headers, answer = await gateway.send(start)
    assert (status, headers["connection"], b"BODY_TOO_SLOW" in answer) == (408, "close", True)


async def test_uploads_wait_for_their_turn(cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    from dstore.gateway import exchange

    monkeypatch.setattr(exchange, "UPLOADS_MAX", 1)
    monkeypatch.setattr(exchange, "QUEUE_TIMEOUT_S", 0.05)
    async with gateway_in_process(cluster) as gateway, gateway.connect() as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(head("/v1/files/a", f"Content-Length: {LARGE}") + pattern(LARGE)[:-1])
        await writer.drain()
        await until(lambda: "begin_write" in cluster.calls.names)
        answer = await http.put("/v1/files/b", content=pattern(LARGE))
        assert reason_of(answer) == (503, "GATEWAY_BUSY")
        assert (await http.put("/v1/files/small", content=b"1")).status_code == 201
        writer.write(pattern(LARGE)[-1:])
        await reader.readuntil(b"\r\n")
        writer.close()
        assert (await http.put("/v1/files/b", content=pattern(LARGE))).status_code == 201
        assert await gateway.names() == ["a", "b", "small"]


async def test_a_gateway_that_stops_gives_up_what_does_not_end(
    cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "STOP_GRACE_S", 0)
    async with gateway_in_process(cluster) as gateway:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(head("/v1/files/a", f"Content-Length: {LARGE}") + pattern(LARGE)[:-1])
        await until(lambda: "begin_write" in cluster.calls.names)
    await until(lambda: "abandon_write" in cluster.calls.names)
    writer.close()
    assert await gateway.names() == []


@pytest.mark.parametrize("size", [1, LARGE])
async def test_a_form_that_breaks_off_leaves_nothing_of_the_files_before(
    gateway: GatewayInProcess, caplog: pytest.LogCaptureFixture, size: int
) -> None:
    with caplog.at_level("INFO", logger="dstore.gateway"):
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(head("/upload", f"Content-Length: {5 * LARGE}", "Content-Type: multipart/form-data; boundary=B"))
        writer.write(FORM_HEAD + pattern(size) + b"\r\n" + FORM_HEAD.replace(b'"a"', b'"b"') + pattern(size))
        await writer.drain()
        await asyncio.sleep(0)
        writer.transport.abort()
        await until(lambda: "whoever asked went away" in caplog.text)
    assert await gateway.names() == []
