"""Names and ranges that do not exist or cannot, through the command, the library and raw calls, on a live cluster."""

import random
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from clear_errors import check_logs, check_refusal, refused, refused_raw
from cluster import LocalTestCluster
from large_files import client_of

import dstore
from dstore.core.limits import INLINE_SIZE_BYTES_MAX, MESSAGE_SIZE_BYTES_MAX, NAME_SIZE_BYTES_MAX, PATH_DEPTH_MAX

CHUNK_SIZE_BYTES = 1024 * 1024
DATA = random.Random(5).randbytes(2 * CHUNK_SIZE_BYTES + 17)


@pytest.fixture(scope="module")
def cluster(small_chunks_cluster: LocalTestCluster) -> Iterator[LocalTestCluster]:
    with client_of(small_chunks_cluster) as client:
        client.put("/file", DATA)
        client.make_directory("/directory")
        client.put("/directory/inside", b"inside")
    yield small_chunks_cluster
    # Whatever was asked, what was there is there, nothing was added, and no server stumbled.
    with client_of(small_chunks_cluster) as client:
        assert client.get("/file") == DATA
        assert [info.name for info in client.list("/directory")] == ["inside"]
        assert sorted(info.name for info in client.list("/")) == ["directory", "file"]
        assert client.status().writes_in_progress == 0
    check_logs(small_chunks_cluster)


@pytest.fixture(scope="module")
def client(cluster: LocalTestCluster) -> Iterator[dstore.Client]:
    with client_of(cluster) as client:
        yield client


IMPOSSIBLE_PATHS = [
    ("relative", "PATH_NOT_ABSOLUTE"),
    ("", "PATH_NOT_ABSOLUTE"),
    ("/a//b", "PATH_EMPTY_NAME"),
    ("//", "PATH_EMPTY_NAME"),
    ("/a/../b", "PATH_RELATIVE_NAME"),
    ("/..", "PATH_RELATIVE_NAME"),
    ("/a/.", "PATH_RELATIVE_NAME"),
    ("/a\0b", "PATH_HAS_NUL"),
    ("/" + "n" * (NAME_SIZE_BYTES_MAX + 1), "NAME_TOO_LONG"),
    ("/" + "é" * (NAME_SIZE_BYTES_MAX // 2 + 1), "NAME_TOO_LONG"),
    ("/n" * 2049, "PATH_TOO_LONG"),
    ("/n" * (PATH_DEPTH_MAX + 1), "PATH_TOO_DEEP"),
]
SHORT_IDS = [f"{path[:8]!r}-{len(path)}" for path, _ in IMPOSSIBLE_PATHS]


@pytest.mark.parametrize(("path", "reason"), IMPOSSIBLE_PATHS, ids=SHORT_IDS)
def test_the_library_refuses_paths_that_cannot_be(client: dstore.Client, path: str, reason: str) -> None:
    for call in (
        lambda: client.put(path, b"x"),
        lambda: client.get(path),
        lambda: client.stat(path),
        lambda: client.list(path),
        lambda: client.make_directory(path, parents=True),
        lambda: client.remove(path, recursive=True),
        lambda: client.rename(path, "/new"),
        lambda: client.rename("/file", path),
        lambda: client.open(path, "wb"),
    ):
        with pytest.raises(ValueError, match="Not a valid path") as caught:
            call()
        assert isinstance(caught.value, dstore.InvalidRequest)
        assert caught.value.reason == reason


def text_field(number: int, value: bytes) -> bytes:
    """Encode one text field of a protobuf message, valid or not."""
    size = len(value)
    varint = bytes((size,)) if size < 0x80 else bytes((size & 0x7F | 0x80, size >> 7))
    return bytes((number << 3 | 2,)) + varint + value


@pytest.mark.parametrize(("path", "reason"), IMPOSSIBLE_PATHS, ids=SHORT_IDS)
def test_the_master_refuses_them_from_any_program(cluster: LocalTestCluster, path: str, reason: str) -> None:
    request = text_field(1, path.encode())
    for method in ("NamespaceService/Stat", "NamespaceService/OpenFile", "NamespaceService/List"):
        code, error = refused_raw(cluster.endpoint, method, request)
        assert (code, error.reason) == ("INVALID_ARGUMENT", reason)
    code, error = refused_raw(
        cluster.endpoint, "NamespaceService/BeginWrite", request + text_field(4, str(uuid.uuid4()).encode())
    )
    assert (code, error.reason) == ("INVALID_ARGUMENT", reason)


@pytest.mark.parametrize("path", [b"/\xff", b"/\xc3", b"/\xed\xa0\x80", b"/\xc0\xaf"])
def test_bytes_that_are_no_utf8(cluster: LocalTestCluster, path: bytes) -> None:
    for method in ("NamespaceService/Stat", "NamespaceService/BeginWrite", "AdminService/DescribeFile"):
        code, error = refused_raw(cluster.endpoint, method, text_field(1, path))
        assert (code, error.reason) == ("INVALID_ARGUMENT", "MESSAGE_INVALID")
        assert "UTF-8" in error.message


@pytest.mark.parametrize("arguments", [("cat", "/\udcff"), ("put", "-", "/a\udcc3"), ("mkdir", "/\udcff/b")])
def test_a_byte_argument_of_the_command(cluster: LocalTestCluster, arguments: tuple[str, ...]) -> None:
    # Python passes the surrogate on as the byte that it stands for.
    error = check_refusal(cluster.run(*arguments, "--json", stdin=b"x"), "PATH_NOT_UTF8", 2)
    assert "UTF-8" in error["message"]


def test_a_local_file_whose_name_is_no_text(cluster: LocalTestCluster, tmp_path: Path) -> None:
    local = tmp_path / "name-\udcff"
    local.write_bytes(b"x")
    refused(cluster, "put", str(local), "/directory/", reason="PATH_NOT_UTF8", code=2)
    finished = cluster.run("put", str(tmp_path / "missing-\udcff"), "/x")
    assert finished.returncode == 10
    assert b"LOCAL_FILE_NOT_FOUND" in finished.stderr


@pytest.mark.parametrize(
    ("arguments", "reason", "code"),
    [
        (("cat", "/missing"), "FILE_NOT_FOUND", 10),
        (("get", "/missing/deeper", "-"), "FILE_NOT_FOUND", 10),
        (("put", "/etc/hostname", "/missing/x"), "FILE_NOT_FOUND", 10),
        (("cat", "/directory"), "IS_A_DIRECTORY", 11),
        (("cat", "/file/x"), "NOT_A_DIRECTORY", 11),
        (("put", "/etc/hostname", "/file/x"), "NOT_A_DIRECTORY", 11),
        (("put", "-", "/"), "NAME_MISSING", 2),
        (("mkdir", "/file"), "FILE_EXISTS", 11),
        (("mkdir", "-p", "/file/x"), "NOT_A_DIRECTORY", 11),
        (("mv", "/directory", "/file"), "NOT_A_DIRECTORY", 11),
        (("mv", "/directory", "/directory"), "RENAME_INTO_ITSELF", 2),
        (("rm", "/directory"), "DIRECTORY_NOT_EMPTY", 11),
        (("rm", "-r", "/"), "ROOT_IMMOVABLE", 2),
        (("put", "{tmp}", "/x"), "LOCAL_IS_A_DIRECTORY", 11),
        (("get", "/file", "{tmp}/none/x"), "LOCAL_FILE_NOT_FOUND", 10),
    ],
    ids=str,
)
def test_files_and_directories_in_the_place_of_each_other(
    cluster: LocalTestCluster, tmp_path: Path, arguments: tuple[str, ...], reason: str, code: int
) -> None:
    given = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    refused(cluster, *given, reason=reason, code=code)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("offset", "length"), [(-1, None), (0, -1), (-1, -1), (-(2**70), 1)])
def test_negative_ranges(client: dstore.Client, offset: int, length: int | None) -> None:
    with pytest.raises(ValueError, match="negative") as caught:
        client.get("/file", offset, length)
    assert isinstance(caught.value, dstore.InvalidRequest)
    assert caught.value.reason == "RANGE_INVALID"
    with client.open("/file") as file, pytest.raises(ValueError, match="negative"):
        file.seek(-1)


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (len(DATA) - 1, 1),
        (len(DATA) - 1, 2),
        (len(DATA), 1),
        (len(DATA), None),
        (len(DATA) + 1, None),
        (2**63, None),
        (2**70, 2**70),
        (0, 2**70),
        (CHUNK_SIZE_BYTES - 1, 2),
        (CHUNK_SIZE_BYTES, 0),
    ],
)
def test_ranges_past_the_end_give_what_is_there(client: dstore.Client, offset: int, length: int | None) -> None:
    end = None if length is None else offset + length
    assert client.get("/file", offset, length) == DATA[offset:end]
    with client.open("/file") as file:
        file.seek(min(offset, 2**62))
        assert file.read(-1 if length is None else min(length, len(DATA))) == DATA[offset:end]


@pytest.mark.parametrize("size", [0, 1, CHUNK_SIZE_BYTES - 1, CHUNK_SIZE_BYTES, CHUNK_SIZE_BYTES + 1])
def test_sizes_around_a_chunk(client: dstore.Client, size: int) -> None:
    info = client.put("/directory/sized", DATA[:size])
    try:
        chunk_count = 0 if size <= INLINE_SIZE_BYTES_MAX else -(-size // CHUNK_SIZE_BYTES)
        assert (info.size_bytes, info.chunk_count) == (size, chunk_count)
        assert client.get("/directory/sized") == DATA[:size]
        assert client.get("/directory/sized", size, 1) == b""
        assert len(client.describe("/directory/sized").chunks) == info.chunk_count
    finally:
        client.remove("/directory/sized")


def test_messages_over_the_limit(cluster: LocalTestCluster) -> None:
    request = b"\x0a\x81\x80\x80\x02" + bytes(MESSAGE_SIZE_BYTES_MAX + 1)
    for address, method in (
        (cluster.endpoint, "NamespaceService/Stat"),
        (cluster.endpoint, "NamespaceService/CommitWrite"),
        (cluster.endpoint, "AdminService/DescribeFile"),
    ):
        code, error = refused_raw(address, method, request)
        assert (code, error.reason) == ("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE")
        assert str(MESSAGE_SIZE_BYTES_MAX) in error.message


def test_a_path_as_long_as_a_message_may_be(client: dstore.Client) -> None:
    with pytest.raises(ValueError, match="limit is 4096") as caught:
        client.stat("/" + "x" * (2 * MESSAGE_SIZE_BYTES_MAX))
    assert len(str(caught.value)) < 500
