"""``/v1/files``: whole files and parts of them, versions, directories, pages."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from gateway_in_process import GatewayInProcess, reason_of
from store_in_process import CHUNK_SIZE, InProcessCluster, pattern

from dstore.core.limits import INLINE_SIZE_BYTES_MAX
from dstore.gateway.limits import PIECE_SIZE_BYTES

LARGE = 3 * CHUNK_SIZE + 5
SIZES = [0, 1, INLINE_SIZE_BYTES_MAX, INLINE_SIZE_BYTES_MAX + 1, LARGE, PIECE_SIZE_BYTES]
SIZES += [PIECE_SIZE_BYTES - 1, PIECE_SIZE_BYTES + 1, 2 * PIECE_SIZE_BYTES + 1]


async def in_pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_in_and_out(http: httpx.AsyncClient, gateway: GatewayInProcess, size: int) -> None:
    data = pattern(size)
    answer = await http.put("/v1/files/a.json", content=data)
    assert (answer.status_code, answer.headers["location"]) == (201, "/v1/files/a.json")
    first = answer.headers["etag"]
    assert first == answer.json()["etag"]
    # A body whose size nobody knows before its end.
    answer = await http.put("/v1/files/a.json", content=in_pieces(data, 10_007))
    assert (answer.status_code, "location" in answer.headers) == (200, False)
    assert answer.headers["etag"] != first
    assert await gateway.client.get("/a.json") == data
    got, head = await http.get("/v1/files/a.json"), await http.head("/v1/files/a.json")
    assert (got.status_code, got.content) == (200, data)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-type", "content-length", "last-modified", "accept-ranges", "content-disposition"):
        assert got.headers[name] == head.headers[name]
    assert got.headers["etag"] == answer.headers["etag"]
    assert (got.headers["content-type"], got.headers["content-length"]) == ("application/json", str(size))
    assert "sandbox" in got.headers["content-security-policy"]
    assert got.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        (f"bytes={CHUNK_SIZE - 1}-{CHUNK_SIZE}", CHUNK_SIZE - 1, CHUNK_SIZE + 1),
        (f"bytes={LARGE - 1}-", LARGE - 1, LARGE),
        ("bytes=100-", 100, LARGE),
        ("bytes=-100", LARGE - 100, LARGE),
        (f"bytes=0-{LARGE * 10}", 0, LARGE),
    ],
)
async def test_a_range(http: httpx.AsyncClient, gateway: GatewayInProcess, asked: str, start: int, end: int) -> None:
    data = pattern(LARGE)
    await gateway.client.put("/a", data)
    for address in ("/v1/files/a", "/download/a"):
        answer = await http.get(address, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, data[start:end])
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{LARGE}"


async def test_ranges_of_versions(http: httpx.AsyncClient, gateway: GatewayInProcess) -> None:
    await gateway.client.put("/a", b"0123456789")
    tag = (await http.head("/v1/files/a")).headers["etag"]
    answer = await http.get("/v1/files/a", headers={"Range": "bytes=10-"})
    assert reason_of(answer) == (416, "RANGE_NOT_SATISFIABLE")
    assert answer.headers["content-range"] == "bytes */10"
    answer = await http.get("/v1/files/a", headers={"Range": "bytes=8-", "If-Range": tag})
    assert (answer.status_code, answer.content) == (206, b"89")
    await gateway.client.put("/a", b"abcdefghij")
    answer = await http.get("/v1/files/a", headers={"Range": "bytes=8-", "If-Range": tag})
    assert (answer.status_code, answer.content) == (200, b"abcdefghij")
    answer = await http.get("/v1/files/a", headers={"Range": "bytes=8-", "If-Match": tag})
    assert reason_of(answer) == (412, "PRECONDITION_FAILED")


async def test_what_is_known_is_not_sent_again(http: httpx.AsyncClient, gateway: GatewayInProcess) -> None:
    await gateway.client.put("/a", b"1")
    tag = (await http.get("/v1/files/a")).headers["etag"]
    answer = await http.get("/v1/files/a", headers={"If-None-Match": f'"0", W/{tag}'})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert (await http.head("/v1/files/a", headers={"If-None-Match": tag})).status_code == 304
    await gateway.client.put("/a", b"2")
    assert (await http.get("/v1/files/a", headers={"If-None-Match": tag})).content == b"2"


@pytest.mark.parametrize("size", [1, LARGE])
async def test_conditional_writes(http: httpx.AsyncClient, gateway: GatewayInProcess, size: int) -> None:
    data, absent = pattern(size), {"If-None-Match": "*"}
    assert reason_of(await http.put("/v1/files/a", content=data, headers={"If-Match": "*"}))[0] == 412
    created = await http.put("/v1/files/a", content=data, headers=absent)
    assert created.status_code == 201
    assert reason_of(await http.put("/v1/files/a", content=b"x", headers=absent)) == (412, "PRECONDITION_FAILED")
    same = {"If-Match": created.headers["etag"]}
    replaced = await http.put("/v1/files/a", content=data + b"2", headers=same)
    assert replaced.status_code == 200
    assert reason_of(await http.put("/v1/files/a", content=b"x", headers=same)) == (412, "PRECONDITION_FAILED")
    assert reason_of(await http.delete("/v1/files/a", headers=same)) == (412, "PRECONDITION_FAILED")
    rename = {"rename_to": "/b"}
    assert reason_of(await http.post("/v1/files/a", json=rename, headers=same)) == (412, "PRECONDITION_FAILED")
    assert await gateway.client.get("/a") == data + b"2"
    same = {"If-Match": replaced.headers["etag"]}
    assert (await http.delete("/v1/files/a", headers=same)).status_code == 200
    assert reason_of(await http.delete("/v1/files/a", headers=same)) == (404, "FILE_NOT_FOUND")


async def test_a_write_is_compared_when_it_commits(cluster: InProcessCluster, gateway: GatewayInProcess) -> None:
    """Another writer comes after the look at the condition, and before the commit: it must not be overwritten."""
    created = await gateway.client.put("/a", b"1")

    async def body() -> AsyncIterator[bytes]:
        yield pattern(LARGE)
        await gateway.client.put("/a", b"of another")
        yield b"end"

    async with gateway.connect() as http:
        answer = await http.put("/v1/files/a", content=body(), headers={"If-Match": f'"{created.version}"'})
    assert reason_of(answer) == (412, "PRECONDITION_FAILED")
    assert await gateway.client.get("/a") == b"of another"


async def test_of_changes_at_once_under_one_condition_one_is_made(
    http: httpx.AsyncClient, gateway: GatewayInProcess
) -> None:
    same = {"If-Match": f'"{(await gateway.client.put("/a", b"1")).version}"'}
    rename = {"rename_to": "/b", "replace": True}
    answers = await asyncio.gather(
        *(http.delete("/v1/files/a", headers=same) for _ in range(4)),
        *(http.post("/v1/files/a", json=rename, headers=same) for _ in range(4)),
        *(http.put("/v1/files/a", content=b"2", headers=same) for _ in range(4)),
    )
    statuses = [answer.status_code for answer in answers]
    assert sum(status in (200, 201) for status in statuses) == 1
    assert set(statuses) <= {200, 201, 404, 412}


async def test_a_name_is_given_to_one_of_many_renames(http: httpx.AsyncClient, gateway: GatewayInProcess) -> None:
    for number in range(6):
        await gateway.client.put(f"/{number}", b"1")
    answers = await asyncio.gather(*(http.post(f"/v1/files/{n}", json={"rename_to": "/name"}) for n in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]
    assert len([each async for each in gateway.client.list("/")]) == 6


async def test_directories(http: httpx.AsyncClient, gateway: GatewayInProcess) -> None:
    assert reason_of(await http.put("/v1/files/d/e/f", content=b"1")) == (404, "FILE_NOT_FOUND")
    assert (await http.put("/v1/files/d/e/")).status_code == 201
    assert (await http.put("/v1/files/d/e/")).status_code == 200
    assert reason_of(await http.put("/v1/files/d/", content=b"1"))[0] in (400, 413)
    assert (await http.put("/v1/files/d/e/f", content=b"1")).status_code == 201
    assert reason_of(await http.put("/v1/files/d/e", content=b"1")) == (409, "IS_A_DIRECTORY")
    assert reason_of(await http.put("/v1/files/d/e/f/g", content=b"1")) == (409, "NOT_A_DIRECTORY")
    assert reason_of(await http.put("/v1/files/d/e/f/"))[0] == 409
    for address in ("/v1/files/d", "/v1/files/d/"):
        listing = (await http.get(address)).json()
        assert (listing["path"], [each["kind"] for each in listing["files"]]) == ("/d", ["directory"])
        assert (await http.head(address)).status_code == 200
    for address in ("/v1/files", "/v1/files/", "/list"):
        assert [each["path"] for each in (await http.get(address)).json()["files"]] == ["/d"]
    assert reason_of(await http.get("/v1/files/d/e/f/")) == (409, "NOT_A_DIRECTORY")
    assert (await http.head("/v1/files/d/e/f/")).status_code == 409
    assert reason_of(await http.delete("/v1/files/d")) == (409, "DIRECTORY_NOT_EMPTY")
    assert reason_of(await http.delete("/v1/files/d?recursive=maybe")) == (400, "QUERY_INVALID")
    answer = await http.delete("/v1/files/d?recursive=true")
    assert answer.json() == {"path": "/d", "files": 1, "directories": 2}
    assert reason_of(await http.get("/v1/files/d")) == (404, "FILE_NOT_FOUND")
    assert (await http.head("/v1/files/d")).status_code == 404


@pytest.mark.parametrize("limit", [1, 2, 5, 6, 1000])
async def test_pages(http: httpx.AsyncClient, gateway: GatewayInProcess, limit: int) -> None:
    names = ["a", "b c", "ä", "x\ny", "😀"]
    for name in names:
        await gateway.client.put(f"/{name}", b"1")
    found: list[str] = []
    query: dict[str, str | int] = {"limit": limit}
    for _ in range(10):
        page = (await http.get("/v1/files/", params=query)).json()
        assert len(page["files"]) <= limit
        found += [each["name"] for each in page["files"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == sorted(names, key=str.encode)


async def test_pages_that_are_none(http: httpx.AsyncClient) -> None:
    for limit in ("0", "-1", "1001", "x", "", "１"):
        assert reason_of(await http.get("/list", params={"limit": limit})) == (400, "LIMIT_INVALID")
    assert reason_of(await http.get("/list", params={"cursor": "made up"})) == (400, "PAGE_TOKEN_INVALID")


async def test_renames(http: httpx.AsyncClient, gateway: GatewayInProcess) -> None:
    await gateway.client.put("/a", b"1")
    await gateway.client.put("/taken", b"2")
    answer = await http.post("/v1/files/a", json={"rename_to": "/b c"})
    assert (answer.status_code, answer.headers["location"]) == (200, "/v1/files/b%20c")
    assert answer.headers["etag"] == (await http.head("/v1/files/b%20c")).headers["etag"]
    taken = {"rename_to": "/taken"}
    assert reason_of(await http.post("/v1/files/b%20c", json=taken)) == (409, "FILE_EXISTS")
    assert (await http.post("/v1/files/b%20c", json=taken | {"replace": True})).status_code == 200
    assert await gateway.client.get("/taken") == b"1"
    assert await gateway.names() == ["taken"]
    assert reason_of(await http.post("/v1/files/gone", json={"rename_to": "/x"})) == (404, "FILE_NOT_FOUND")
    for body in ({}, {"rename_to": 3}, {"rename_to": "/x", "replace": "yes"}, {"rename_to": "/x", "more": 1}):
        assert reason_of(await http.post("/v1/files/taken", json=body)) == (400, "RENAME_INVALID")
    assert reason_of(await http.post("/v1/files/taken", json=[1])) == (400, "JSON_INVALID")
    assert reason_of(await http.post("/v1/files/taken", json={"rename_to": "../x"}))[0] == 400
    text = {"Content-Type": "text/plain"}
    assert reason_of(await http.post("/v1/files/taken", content=b"{}", headers=text))[0] == 415


@pytest.mark.parametrize(
    "name", ["ä", "e\u0301", "😀", "a%b", "a?b", "a#b", "a&b=c", "a;b", "a\nb", "<b>", '"', "a\\b", "%2e"]
)
async def test_any_name(http: httpx.AsyncClient, gateway: GatewayInProcess, name: str) -> None:
    address = "/v1/files/" + "".join(f"%{byte:02X}" for byte in name.encode())
    assert (await http.put(address, content=b"1")).status_code == 201
    assert await gateway.names() == [name]
    assert (await http.get(address)).content == b"1"
    assert (await http.delete(address)).status_code == 200


@pytest.mark.parametrize("size", [1, LARGE])
async def test_metadata_stays_with_the_file(http: httpx.AsyncClient, gateway: GatewayInProcess, size: int) -> None:
    said = {"Content-Type": "text/x-own; a=b", "X-Dstore-Meta-Author": "me & you", "X-Dstore-Meta-empty": ""}
    stored = await http.put("/v1/files/a.txt", content=pattern(size), headers=said)
    assert (stored.status_code, stored.json()["content_type"]) == (201, said["Content-Type"])
    assert (await http.post("/v1/files/a.txt", json={"rename_to": "/b"})).status_code == 200
    await gateway.client.remove("/b")
    await gateway.client.restore("/b")
    for answer in (await http.get("/v1/files/b"), await http.head("/v1/files/b"), await http.get("/download/b")):
        assert {name: answer.headers[name] for name in said} == said
    assert (await http.put("/v1/files/b", content=b"2")).status_code == 200
    answer = await http.get("/v1/files/b")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "x-dstore-meta-author" not in answer.headers


async def test_metadata_that_is_refused(http: httpx.AsyncClient, gateway: GatewayInProcess) -> None:
    for headers, status, reason in (
        ([("Content-Type", "nonsense")], 400, "CONTENT_TYPE_INVALID"),
        ([("X-Dstore-Meta-" + "n" * 101, "1")], 400, "METADATA_INVALID"),
        ([("X-Dstore-Meta-a", "1"), ("X-Dstore-Meta-A", "2")], 400, "METADATA_INVALID"),
        ([("X-Dstore-Meta-a", "x" * 20_000)], 413, "ATTRIBUTES_TOO_LARGE"),
    ):
        assert reason_of(await http.put("/v1/files/a", content=b"1", headers=headers)) == (status, reason)
        assert await gateway.names() == []


async def test_attributes_of_others_are_no_headers(http: httpx.AsyncClient, gateway: GatewayInProcess) -> None:
    attributes = {
        "content-type": b"a/b\r\nX: 1",
        "meta.a": b"1\r\nX: 1",
        "meta.b c": b"1",
        "meta.d": b"ok",
        "other": b"\0",
    }
    async with await gateway.client.open_write("/a.txt") as file:
        file.set_attributes(attributes)
        await file.write(b"1")
    async with await gateway.client.open_read("/a.txt") as opened:
        assert opened.attributes == attributes
    answer = await http.get("/v1/files/a.txt")
    assert (answer.status_code, answer.headers["content-type"], answer.headers["x-dstore-meta-d"]) == (
        200,
        "text/plain",
        "ok",
    )
    assert not {"x", "x-dstore-meta-a", "x-dstore-meta-b c"} & set(answer.headers)


async def test_parts_and_compressed_bodies_replace_nothing(http: httpx.AsyncClient, gateway: GatewayInProcess) -> None:
    await gateway.client.put("/a", b"whole")
    for headers, status, reason in (
        ({"Content-Range": "bytes 2-4/5"}, 400, "CONTENT_RANGE_UNSUPPORTED"),
        ({"Content-Encoding": "gzip"}, 415, "CONTENT_ENCODING_UNSUPPORTED"),
    ):
        for address in ("/v1/files/a", "/update/a"):
            assert reason_of(await http.put(address, content=b"ole", headers=headers)) == (status, reason)
        answer = await http.post("/upload", files={"file": ("b", b"1")}, headers=headers)
        assert reason_of(answer) == (status, reason)
    assert await gateway.client.get("/a") == b"whole"
    assert await gateway.names() == ["a"]
    assert (await http.put("/v1/files/a", content=b"2", headers={"Content-Encoding": "identity"})).status_code == 200
