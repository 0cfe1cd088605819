"""What goes wrong gets the right status, as JSON that says what to do; also what no decent client would send."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from gateway_in_process import GatewayInProcess, error_in, gateway_in_process, parse_answer, reason_of
from store_in_process import CHUNK_SIZE, InProcessCluster, pattern, unreachable

from dstore.core.errors import ALL_ERRORS, NotFound, Unavailable
from dstore.gateway.identities import parse_identities, token_table
from dstore.gateway.limits import HEADERS_SIZE_BYTES_MAX
from dstore.gateway.statuses import STATUSES, headers_of, status_of

HOST = b"Host: localhost\r\n"


def get(target: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"GET " + target + b" HTTP/1.1\r\n" + HOST + lines + b"Connection: close\r\n\r\n"


def put(target: bytes, *headers: bytes) -> bytes:
    return get(target, *headers).replace(b"GET", b"PUT", 1)


def test_every_error_has_a_status() -> None:
    assert set(STATUSES) == set(ALL_ERRORS)
    assert status_of(NotFound("x", reason="PARENT_REMOVED")) == 404
    assert headers_of(Unavailable("x")) == {"Retry-After": "2"}


@pytest.mark.parametrize(
    ("request_bytes", "status", "reason"),
    [
        (put(b"/v1/files/a", b"Content-Length: 1", b"Content-Length: 2") + b"xy", 400, "HTTP_INVALID"),
        (put(b"/v1/files/a", b"Content-Length: 1, 2") + b"xy", 400, "HTTP_INVALID"),
        (put(b"/v1/files/a", b"Content-Length: -1"), 400, "HTTP_INVALID"),
        (put(b"/v1/files/a", b"Content-Length: x"), 400, "HTTP_INVALID"),
        (
            put(b"/v1/files/a", b"Content-Length: 1", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
            400,
            "LENGTH_AMBIGUOUS",
        ),
        (put(b"/v1/files/a", b"Transfer-Encoding: gzip"), 400, "HTTP_INVALID"),
        (put(b"/v1/files/a", b"Transfer-Encoding: chunked") + b"zz\r\n", 400, "HTTP_INVALID"),
        (b"nonsense\r\n\r\n", 400, "HTTP_INVALID"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "HTTP_INVALID"),
        (get(b"/", b"X: " + b"x" * HEADERS_SIZE_BYTES_MAX), 431, "HEADERS_TOO_LARGE"),
        (get(b"/" + b"x" * HEADERS_SIZE_BYTES_MAX), 431, "HEADERS_TOO_LARGE"),
        (get(b"/v1/files/%FF"), 400, "TARGET_INVALID"),
        (get(b"/v1/files/%"), 400, "TARGET_INVALID"),
        (get(b"/v1/files/../../etc/passwd"), 400, "PATH_RELATIVE_NAME"),
        (get(b"/v1/files/%2e%2e/x"), 400, "PATH_RELATIVE_NAME"),
        (get(b"/v1/files/a/..%2Fb"), 400, "PATH_RELATIVE_NAME"),
        (get(b"/v1/files/a%00b"), 400, "PATH_HAS_NUL"),
        (get(b"/v1/files//a"), 400, "PATH_EMPTY_NAME"),
        (get(b"/v1/files/" + b"n" * 256), 400, "NAME_TOO_LONG"),
        (get(b"/download/..%2F..%2Fetc%2Fpasswd"), 400, "NAME_HAS_DIRECTORIES"),
        (get(b"/download/a%2Fb"), 400, "NAME_HAS_DIRECTORIES"),
        (get(b"/download/"), 400, "NAME_MISSING"),
        (get(b"/download/.."), 400, "PATH_RELATIVE_NAME"),
        (get(b"/v1/files/a", b"If-Match: 42"), 400, "CONDITION_INVALID"),
        (get(b"/nothing"), 404, "ADDRESS_NOT_FOUND"),
        (get(b"/page/nothing.js"), 404, "ADDRESS_NOT_FOUND"),
        (get(b"/v2/files/a"), 404, "ADDRESS_NOT_FOUND"),
        (get(b"/upload/x"), 404, "ADDRESS_NOT_FOUND"),
        (get(b"/upload"), 405, "METHOD_NOT_OFFERED"),
        (get(b"/delete/a"), 405, "METHOD_NOT_OFFERED"),
        (get(b"/v1/files/a").replace(b"GET", b"PATCH", 1), 405, "METHOD_NOT_OFFERED"),
        (get(b"/list").replace(b"localhost", b"evil.example", 1), 421, "HOST_UNKNOWN"),
        (get(b"/list", b"Origin: http://evil.example"), 403, "ORIGIN_FOREIGN"),
        (get(b"/list", b"Origin: null"), 403, "ORIGIN_FOREIGN"),
        (get(b"/list", b"Sec-Fetch-Site: cross-site"), 403, "ORIGIN_FOREIGN"),
    ],
)
async def test_bad_requests(gateway: GatewayInProcess, request_bytes: bytes, status: int, reason: str) -> None:
    answered, headers, body = await gateway.send(request_bytes)
    assert (answered, error_in(body, headers)["reason"]) == (status, reason)
    assert await gateway.names() == []


@pytest.mark.parametrize(
    "request_bytes",
    [
        get(b"/list", b"Origin: http://localhost"),
        get(b"/list").replace(b"localhost", b"127.0.0.1:8070", 1),
        get(b"/list").replace(b"localhost", b"[::1]:8070", 1),
        get(b"/list", b"Content-Length: 0", b"Content-Length: 0"),
        put(b"/v1/files/a", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
    ],
)
async def test_good_requests(gateway: GatewayInProcess, request_bytes: bytes) -> None:
    status, headers, _ = await gateway.send(request_bytes)
    assert status in (200, 201)
    assert headers["x-request-id"]


async def test_methods_that_are_offered(gateway: GatewayInProcess) -> None:
    _, headers, _ = await gateway.send(get(b"/upload"))
    assert headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("given", "is_taken"),
    [
        (b"a", True),
        (b"A-1.2_3:4/5+6=7@8", True),
        (b"x" * 128, True),
        (b"x" * 129, False),
        (b"a b", False),
        (b"", False),
    ],
)
async def test_request_ids(gateway: GatewayInProcess, given: bytes, is_taken: bool) -> None:
    for target in (b"/list", b"/v1/files/missing"):
        _, headers, body = await gateway.send(get(target, b"X-Request-Id: " + given))
        assert (headers["x-request-id"] == given.decode()) is is_taken
        assert headers["x-request-id"]
        if target != b"/list":
            error_in(body, headers)


WRITER, READER = "writer-token", "reader-token"


async def test_tokens(cluster: InProcessCluster) -> None:
    table = token_table("w", WRITER, ["read", "write"]) + token_table("r", READER, ["read"])
    identities = parse_identities(table.encode(), where="test")
    async with gateway_in_process(cluster, identities=identities) as gateway:
        async with gateway.connect() as nobody, gateway.connect(token="wrong") as wrong:
            for http, reason in ((nobody, "TOKEN_MISSING"), (wrong, "TOKEN_UNKNOWN")):
                for answer in (await http.get("/list"), await http.put("/v1/files/a", content=b"1")):
                    assert reason_of(answer) == (401, reason)
                    assert answer.headers["www-authenticate"].startswith('Bearer realm="dstore"')
            for address in ("/healthz", "/docs", "/openapi.json"):
                assert (await nobody.get(address)).status_code == 200
        async with gateway.connect(token=READER) as reader, gateway.connect(token=WRITER) as writer:
            assert (await writer.put("/v1/files/a", content=b"1")).status_code == 201
            assert (await reader.get("/v1/files/a")).content == b"1"
            for answer in (
                await reader.put("/v1/files/a", content=b"2"),
                await reader.delete("/v1/files/a"),
                await reader.post("/v1/files/a", json={"rename_to": "/b"}),
                await reader.post("/upload", files={"file": ("x", b"1")}),
                await reader.put("/update/a", content=b"2"),
                await reader.delete("/delete/a"),
            ):
                assert reason_of(answer) == (403, "RIGHT_MISSING")
                assert 'error="insufficient_scope", scope="write"' in answer.headers["www-authenticate"]
            # A browser adds no token by itself, so other hosts and origins are as good as any.
            foreign = {"Origin": "http://other.example", "Host": "files.example"}
            assert (await reader.get("/list", headers=foreign)).status_code == 200
        assert await gateway.names() == ["a"]
        assert await gateway.client.get("/a") == b"1"


@pytest.mark.parametrize("size", [999, 1_000, 1_001, 3 * CHUNK_SIZE])
async def test_the_largest_body(cluster: InProcessCluster, size: int) -> None:
    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 500):
            yield data[start : start + 500]

    data = pattern(size)
    async with gateway_in_process(cluster, upload_size_bytes_max=1_000) as gateway, gateway.connect() as http:
        for content in (data, in_pieces()):
            answer = await http.put("/v1/files/a", content=content)
            if size <= 1_000:
                assert answer.status_code in (200, 201)
            else:
                assert reason_of(answer) == (413, "BODY_TOO_LARGE")
                assert await gateway.names() == []


async def test_a_master_that_is_away(cluster: InProcessCluster) -> None:
    def fail() -> None:
        raise unreachable()

    client = cluster.client(patience_s=0.1)
    await client.cluster()
    async with gateway_in_process(cluster, client=client) as gateway, gateway.connect() as http:
        await gateway.client.put("/a", b"1")
        cluster.calls.before |= dict.fromkeys(("stat", "list", "open_file", "open_files", "stat_files"), fail)
        for answer in (
            await http.get("/list"),
            await http.get("/v1/files/a"),
            await http.put("/update/a", content=b"2"),
        ):
            assert reason_of(answer)[0] == 503
            assert answer.headers["retry-after"]


async def test_a_defect_tells_nobody_what_it_saw(
    gateway: GatewayInProcess, cluster: InProcessCluster, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("secret")

    caplog.set_level("INFO", "dstore.gateway")
    cluster.calls.before["list"] = fail
    status, headers, body = await gateway.send(get(b"/list", b"X-Request-Id: mine"))
    assert (status, error_in(body, headers)["reason"]) == (500, "INTERNAL")
    assert b"secret" not in body
    assert "a request met a defect" in caplog.text
    last = caplog.records[-1].__dict__
    assert (last["request"].request_id, last["status"], last["route"]) == ("mine", 500, "/list")


async def test_pipelined_requests_are_answered_in_order(gateway: GatewayInProcess) -> None:
    first = get(b"/healthz").replace(b"Connection: close\r\n", b"")
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(first + first + get(b"/nowhere"))
    answers = (await reader.read()).split(b"HTTP/1.1 ")[1:]
    writer.close()
    assert [parse_answer(b"HTTP/1.1 " + answer)[0] for answer in answers] == [200, 200, 404]
