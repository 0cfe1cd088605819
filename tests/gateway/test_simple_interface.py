"""Upload, list, download, update, delete: what the first five minutes use."""

import httpx
import pytest
from gateway_in_process import GatewayInProcess, reason_of
from store_in_process import CHUNK_SIZE, pattern

from dstore.core.limits import INLINE_SIZE_BYTES_MAX

SIZES = [0, 1, INLINE_SIZE_BYTES_MAX, INLINE_SIZE_BYTES_MAX + 1, CHUNK_SIZE, CHUNK_SIZE + 1, 5 * CHUNK_SIZE + 7]


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_in_and_out(http: httpx.AsyncClient, gateway: GatewayInProcess, size: int) -> None:
    data = pattern(size)
    answer = await http.post("/upload", files={"file": ("a b.txt", data)})
    assert answer.status_code == 201, answer.text
    (info,) = answer.json()["files"]
    assert (info["name"], info["size_bytes"], info["content_type"]) == ("a b.txt", size, "text/plain")
    assert answer.headers["location"] == "/v1/files/a%20b.txt"
    assert await gateway.client.get("/a b.txt") == data
    listed = (await http.get("/list")).json()
    assert ([each["name"] for each in listed["files"]], listed["next_cursor"]) == (["a b.txt"], None)
    answer = await http.get("/download/a%20b.txt")
    assert (answer.status_code, answer.content) == (200, data)
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a%20b.txt"
    answer = await http.delete("/delete/a%20b.txt")
    assert (answer.status_code, answer.json()) == (200, {"path": "/a b.txt", "files": 1, "directories": 0})
    assert reason_of(await http.get("/download/a%20b.txt")) == (404, "FILE_NOT_FOUND")


async def test_several_files(http: httpx.AsyncClient, gateway: GatewayInProcess) -> None:
    large = pattern(3 * CHUNK_SIZE + 5)
    parts = [("file", ("1", b"one")), ("note", ("n", b"dropped")), ("file", ("ä", large)), ("file", ("3", b""))]
    answer = await http.post("/upload", files=parts, data={"comment": "dropped, too"})
    assert answer.status_code == 201
    assert [info["name"] for info in answer.json()["files"]] == ["1", "ä", "3"]
    assert "location" not in answer.headers
    assert await gateway.names() == ["1", "3", "ä"]
    assert await gateway.client.get("/ä") == large


async def test_a_name_that_is_taken(http: httpx.AsyncClient, gateway: GatewayInProcess) -> None:
    await gateway.client.put("/taken", b"first")
    for size, are_stored in ((5, True), (3 * CHUNK_SIZE, False)):
        answer = await http.post("/upload", files=[("file", ("new", b"1")), ("file", ("taken", b"x" * size))])
        assert reason_of(answer) == (409, "FILE_EXISTS")
        message = answer.json()["error"]["message"]
        assert "PUT /update/taken" in message
        # A large file is refused when it begins, when nothing was committed yet.
        assert ("Stored before that from the same form: new." in message) is are_stored
        assert await gateway.client.get("/taken") == b"first"
        assert await gateway.names() == (["new", "taken"] if are_stored else ["taken"])
        if are_stored:
            await gateway.client.remove("/new")


async def test_two_files_for_one_name(http: httpx.AsyncClient, gateway: GatewayInProcess) -> None:
    for size in (5, 3 * CHUNK_SIZE):
        parts = [("file", ("a", pattern(size))), ("file", ("a", b"2"))]
        assert reason_of(await http.post("/upload", files=parts)) == (400, "FORM_INVALID")
        assert await gateway.names() == []


async def test_the_type_of_a_part(http: httpx.AsyncClient) -> None:
    for name, said, kept in (
        ("a.csv", "text/csv", "text/csv"),
        ("b.csv", "application/octet-stream", "text/csv"),
        ("c", "image/png", "image/png"),
        ("d.txt", "text/plain; charset=utf-8", "text/plain; charset=utf-8"),
    ):
        stored = await http.post("/upload", files={"file": (name, b"x", said)})
        assert (stored.status_code, stored.json()["files"][0]["content_type"]) == (201, kept)
        answer = await http.get(f"/download/{name}")
        assert (answer.headers["content-type"], answer.content) == (kept, b"x")
        updated = await http.put(f"/update/{name}", content=b"y", headers={"Content-Type": "a/b"})
        assert (updated.status_code, updated.json()["content_type"]) == (200, "a/b")
        assert (await http.get(f"/download/{name}")).headers["content-type"] == "a/b"


@pytest.mark.parametrize("as_form", [False, True])
@pytest.mark.parametrize("size", [0, 7, 3 * CHUNK_SIZE])
async def test_an_update(http: httpx.AsyncClient, gateway: GatewayInProcess, size: int, as_form: bool) -> None:
    data = pattern(size)
    body = {"files": {"file": ("ignored/name", data)}} if as_form else {"content": data}
    assert reason_of(await http.put("/update/a", **body)) == (404, "FILE_NOT_FOUND")
    assert await gateway.names() == []
    await gateway.client.put("/a", b"first")
    answer = await http.put("/update/a", **body)
    assert (answer.status_code, answer.json()["size_bytes"]) == (200, size)
    assert await gateway.client.get("/a") == data


async def test_an_update_wants_one_file(http: httpx.AsyncClient, gateway: GatewayInProcess) -> None:
    await gateway.client.put("/a", b"first")
    for files, reason in (
        ([("other", ("x", b"1"))], "FIELD_MISSING"),
        ([("file", ("x", b"1")), ("file", ("y", b"2"))], "FORM_INVALID"),
    ):
        assert reason_of(await http.put("/update/a", files=files)) == (400, reason)
    assert await gateway.client.get("/a") == b"first"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a/b", "NAME_HAS_DIRECTORIES"),
        ("../a", "NAME_HAS_DIRECTORIES"),
        ("..\\a", "NAME_HAS_DIRECTORIES"),
        ("/etc/passwd", "NAME_HAS_DIRECTORIES"),
        ("..", "PATH_RELATIVE_NAME"),
        ("n" * 256, "NAME_TOO_LONG"),
    ],
)
async def test_names_of_uploads(http: httpx.AsyncClient, gateway: GatewayInProcess, name: str, reason: str) -> None:
    assert reason_of(await http.post("/upload", files={"file": (name, b"x")})) == (400, reason)
    assert await gateway.names() == []


async def test_what_is_no_upload(http: httpx.AsyncClient, gateway: GatewayInProcess) -> None:
    for options, expected in (
        ({"content": b"x"}, (415, "CONTENT_TYPE_UNSUPPORTED")),
        ({"data": {"file": "x"}}, (415, "CONTENT_TYPE_UNSUPPORTED")),
        ({"files": {"image": ("x", b"1")}}, (400, "FIELD_MISSING")),
        ({"files": {"file": (None, b"1")}}, (400, "FILE_NAME_MISSING")),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, (400, "FORM_INVALID")),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=a"}}, (400, "FORM_INVALID")),
    ):
        assert reason_of(await http.post("/upload", **options)) == expected
    assert await gateway.names() == []


async def test_directories_are_no_files(http: httpx.AsyncClient, gateway: GatewayInProcess) -> None:
    await gateway.client.make_directory("/d")
    assert reason_of(await http.get("/download/d")) == (409, "IS_A_DIRECTORY")
    assert reason_of(await http.put("/update/d", content=b"x")) == (409, "IS_A_DIRECTORY")
    assert reason_of(await http.delete("/delete/d")) == (409, "IS_A_DIRECTORY")
    assert reason_of(await http.post("/upload", files={"file": ("d", b"x")}))[0] == 409
    assert await gateway.names() == ["d"]
