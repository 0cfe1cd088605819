"""The blocking face: the same verbs from any thread, file objects as ``io`` and ``shutil`` know them."""

import asyncio
import gc
import io
import shutil
import signal
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import MappingProxyType

import pytest
from store_in_process import CHUNK_SIZE, InProcessCluster, in_process_cluster, pattern

from dstore.client.blocking import Client
from dstore.client.blocking_files import RawReadFile
from dstore.client.loop_thread import LoopThread
from dstore.core.errors import AlreadyExists, Conflict, InvalidRequest, NotFound
from dstore.core.files import FileInfo, RemoveResult

DATA = pattern(5 * CHUNK_SIZE + 3)


class Running:
    """A cluster on the client's own loop, which is a thread here."""

    def __init__(self, directory: Path) -> None:
        self.thread = LoopThread()
        self.context: AbstractAsyncContextManager[InProcessCluster] = in_process_cluster(directory)
        self.cluster = self.thread.run(self.context.__aenter__())
        self.client = self.new_client()

    def new_client(self) -> Client:
        client = Client(self.cluster.client())
        # The parts of the cluster belong to the loop that made them.
        client._loop_thread.stop()
        client._loop_thread = self.thread
        client._finalizer.detach()
        return client

    def close(self) -> None:
        self.thread.run(self.context.__aexit__(None, None, None))
        self.thread.stop()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    running.close()


@pytest.fixture
def client(running: Running) -> Client:
    return running.client


def test_every_verb(client: Client, tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.write_bytes(DATA)
    assert client.put("/f", DATA).size_bytes == len(DATA)
    assert client.get("/f") == DATA
    assert client.get("/f", 5, 10) == DATA[5:15]
    assert client.get("/f", ranges=[(7, 2), (0, 3)]) == [DATA[7:9], DATA[:3]]
    with client.open("/f") as file:
        assert file.raw.read_ranges([(7, 2), (0, 3)]) == [DATA[7:9], DATA[:3]]  # type: ignore[attr-defined]
    done: list[int] = []
    client.put_file(local, "/g", progress=done.append)
    assert done[-1] == len(DATA)
    client.get_file("/g", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == DATA
    assert client.stat("/g").chunk_count == 6
    assert client.exists("/g") and not client.exists("/missing")
    client.make_directory("/d/e", parents=True)
    client.rename("/g", "/d/g")
    assert [info.name for info in client.list("/")] == ["d", "f"]
    walked = [
        (path, [i.name for i in directories], [i.name for i in files]) for path, directories, files in client.walk("/")
    ]
    assert walked == [("/", ["d"], ["f"]), ("/d", ["e"], ["g"]), ("/d/e", [], [])]
    assert client.remove("/d", recursive=True).files == 1
    assert [entry.path for entry in client.list_removed()] == ["/d"]
    assert client.restore("/d").files == 1
    assert client.get("/d/g") == DATA
    assert list(client.list_removed()) == []
    infos = client.put_many({"/many/1": b"no such directory", "/small": b"2", "/large": DATA})
    assert isinstance(infos[0], NotFound) and infos[1:] == client.stat_many(["/small", "/large"])
    assert client.get_many(["/large", "/small"]) == [DATA, b"2"]
    assert [each == RemoveResult(1, 0) for each in client.remove_many(["/small", "/", "/large"])] == [True, False, True]
    assert client.remove("/d", recursive=True).files == 1
    assert client.status().file_count == 1
    assert len(client.describe("/f").chunks) == 6
    assert client.cluster().policy.replicas == 3
    assert repr(client) == "Client(master.test:7070)"
    with pytest.raises(AlreadyExists):
        client.put("/f", b"", if_absent=True)
    with pytest.raises(Conflict):
        client.put("/f", b"", if_version=1)


def test_listings_fail_where_they_are_asked_for(client: Client) -> None:
    with pytest.raises(NotFound):
        client.list("/missing")
    with pytest.raises(NotFound):
        client.walk("/missing")
    with pytest.raises(NotFound):
        client.list_removed("/missing")
    assert list(client.list("/")) == []


class TestReading:
    def test_as_io_knows_it(self, client: Client) -> None:
        lines = [f"line {number}\n" for number in range(20_000)]
        text = "".join(lines).encode()
        client.put("/f", text)
        with client.open("/f") as file:
            assert isinstance(file, io.BufferedReader)
            assert file.readable() and file.seekable() and not file.writable()
            assert file.readline() == b"line 0\n"
            assert file.tell() == 7
            assert [line.decode() for line in file] == lines[1:]
            assert file.seek(-7, io.SEEK_END) == len(text) - 7
            assert file.read() == text[-7:]
            buffer = bytearray(100)
            file.seek(3)
            assert file.readinto(buffer) == 100 and bytes(buffer) == text[3:103]
        with io.TextIOWrapper(client.open("/f"), encoding="utf-8") as reader:
            assert reader.readlines() == lines

    def test_what_the_writer_said_of_it(self, client: Client) -> None:
        with client.open("/f", "wb") as target:
            target.set_attributes({"author": b"Ada"})
            target.write(DATA)
        with client.open("/f") as file:
            assert isinstance(file.raw, RawReadFile)
            assert file.raw.attributes == {"author": b"Ada"}
        with pytest.raises(InvalidRequest) as caught:
            target.set_attributes({})
        assert caught.value.reason == "FILE_CLOSED"

    def test_a_library_that_seeks(self, client: Client) -> None:
        with client.open("/z", "wb") as target, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inner", DATA)
        with client.open("/z") as source, zipfile.ZipFile(source) as archive:
            assert archive.read("inner") == DATA

    def test_closed(self, client: Client) -> None:
        client.put("/f", b"data")
        file = client.open("/f")
        raw = file.raw
        file.close()
        file.close()
        with pytest.raises(ValueError, match="closed"):
            file.read()
        with pytest.raises(InvalidRequest):
            raw.tell()


class TestWriting:
    def test_small_and_large_writes(self, client: Client, tmp_path: Path) -> None:
        with client.open("/f", "wb") as file:
            assert file.writable() and not file.readable()
            for start in range(0, 10_000, 10):
                assert file.write(DATA[start : start + 10]) == 10
            assert file.tell() == 10_000
            file.flush()
            assert not client.exists("/f")
            file.write(DATA[10_000:])
            assert file.tell() == len(DATA)
        assert client.get("/f") == DATA
        assert file.info is not None and file.info.size_bytes == len(DATA)

    def test_copyfileobj(self, client: Client, tmp_path: Path) -> None:
        local = tmp_path / "local"
        local.write_bytes(DATA)
        with local.open("rb") as source, client.open("/f", "xb") as target:
            shutil.copyfileobj(source, target)
        with client.open("/f") as back, (tmp_path / "copy").open("wb") as sink:
            shutil.copyfileobj(back, sink)
        assert (tmp_path / "copy").read_bytes() == DATA

    def test_leaving_through_an_exception_discards(self, client: Client) -> None:
        with pytest.raises(KeyError), client.open("/f", "wb") as file:
            file.write(DATA)
            raise KeyError
        assert file.closed and not client.exists("/f")

    def test_what_is_forgotten_is_discarded(self, client: Client) -> None:
        file = client.open("/f", "wb")
        file.write(DATA)
        del file
        gc.collect()
        assert not client.exists("/f")

    def test_nothing_is_written_after_the_end(self, client: Client) -> None:
        file = client.open("/f", "wb")
        file.close()
        file.close()
        file.discard()
        with pytest.raises(ValueError, match="closed"):
            file.write(b"x")
        assert client.get("/f") == b""


def test_modes(client: Client) -> None:
    for mode in ("r", "w", "a", "ab", "rb+"):
        with pytest.raises(InvalidRequest) as caught:
            client.open("/f", mode)
        assert caught.value.reason == "MODE_INVALID"


def test_many_threads(client: Client) -> None:
    def work(number: int) -> bytes:
        client.put(f"/{number}", bytes([number]) * 100_000)
        return client.get(f"/{number}")

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(32)))
    assert results == [bytes([number]) * 100_000 for number in range(32)]


def test_a_callback_cannot_wait_for_its_own_client(client: Client, tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.write_bytes(DATA)

    def call_back(done: int) -> None:
        client.exists("/")

    with pytest.raises(InvalidRequest) as caught:
        client.put_file(local, "/f", progress=call_back)
    assert caught.value.reason == "CALLED_FROM_CALLBACK"
    assert not client.exists("/f")


def test_generators_of_items_may_call_the_client(client: Client) -> None:
    client.put("/a", b"1")
    copies = client.put_many((f"/{name}", client.get("/a") + name.encode()) for name in "bc")
    assert [info.path for info in copies if isinstance(info, FileInfo)] == ["/b", "/c"]
    paths = ["/a", "/b", "/c"]
    assert client.get_many(info.path for info in client.list("/")) == [b"1", b"1b", b"1c"]
    infos = client.stat_many(path for path in paths if client.exists(path))
    assert [info.path for info in infos if isinstance(info, FileInfo)] == paths
    assert client.remove_many(info.path for info in client.list("/")) == [RemoveResult(1, 0)] * 3
    assert client.put_many(MappingProxyType({"/d": b"4"})) and client.get_many({"/d": 0}) == [b"4"]
    with pytest.raises(InvalidRequest, match="a single one goes into a list"):
        client.remove_many("/d")


def test_an_interrupt_ends_the_call_and_leaves_nothing(running: Running) -> None:
    for number in (1, 2, 3):
        running.cluster.faults(number).hangs = True
    # The signal arrives when the write is certainly under way.
    running.cluster.calls.after["begin_write"] = lambda: signal.pthread_kill(
        threading.main_thread().ident or 0, signal.SIGINT
    )
    with pytest.raises(KeyboardInterrupt):
        running.client.put("/f", DATA)
    running.cluster.calls.after.clear()
    assert not running.client.exists("/f")
    assert running.thread.run(running.cluster.sql("SELECT COUNT(*) FROM intents")) == [(0,)]


def test_closing(tmp_path: Path) -> None:
    running = Running(tmp_path)
    other = Client(running.cluster.client())
    other.close()
    other.close()
    with pytest.raises(InvalidRequest) as caught:
        other.exists("/")
    assert caught.value.reason == "CLIENT_CLOSED"
    assert not other._loop_thread._thread.is_alive()
    running.close()


def test_a_forgotten_client_ends_its_thread() -> None:
    async def nothing() -> None:
        await asyncio.sleep(0)

    class NoClient:
        async def close(self) -> None:
            await nothing()

    client = Client(NoClient())  # type: ignore[arg-type]
    thread = client._loop_thread._thread
    assert thread.is_alive()
    del client
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()
