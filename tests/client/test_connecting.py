"""``dstore.connect`` over real gRPC: first contact, wrong addresses, keys, forks, and what an import costs."""

import asyncio
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from store_in_process import RANDOM, in_process_cluster

import dstore
from dstore.crypto.keyring import create_keyring
from dstore.rpc.server import RpcServer


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[str]:
    """A real master on loopback; there is no chunkserver behind it."""
    directory = tmp_path / "master"
    directory.mkdir()
    async with in_process_cluster(directory) as cluster:
        server = RpcServer("127.0.0.1:0", namespace=cluster.master.namespace, admin=cluster.master.admin)
        address = await server.start()
        yield address
        await server.stop(0)


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENDPOINT", "PROFILE", "KEY_FILE", "PASSPHRASE", "PASSPHRASE_FILE"):
        monkeypatch.delenv(f"DSTORE_{name}", raising=False)
    monkeypatch.setenv("DSTORE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("DSTORE_STATE_DIR", str(tmp_path / "state"))


async def test_three_ways_to_get_an_asynchronous_client(endpoint: str, tmp_path: Path) -> None:
    create_keyring(tmp_path / "key", RANDOM)
    async with dstore.connect_async(endpoint, key_file=tmp_path / "key") as client:
        await client.put("/empty", b"")
        assert await client.get("/empty") == b""
    client = await dstore.connect_async(endpoint)
    assert await client.exists("/empty")
    await client.close()
    client = dstore.connect_async(endpoint)
    assert (await client.stat("/empty")).size_bytes == 0
    await client.close()
    assert (tmp_path / "state" / "versions.sqlite3").exists()


async def test_the_blocking_client(endpoint: str, tmp_path: Path) -> None:
    create_keyring(tmp_path / "key", RANDOM)

    def use() -> bytes:
        with dstore.connect(endpoint, key_file=tmp_path / "key") as client:
            client.put("/empty", b"")
            assert [info.name for info in client.list("/")] == ["empty"]
            return client.get("/empty")

    assert await asyncio.to_thread(use) == b""


class TestWrongAddresses:
    async def test_nothing_listens(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dstore.client.retries.FIRST_CONTACT_PATIENCE_S", 0.3)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            with pytest.raises(ConnectionError) as caught:
                await dstore.connect_async(address)
        assert str(caught.value) == (
            f"No dstore master answers at {address} (connection refused). Start one with `dstore up`, or set the "
            "endpoint with --endpoint or DSTORE_ENDPOINT."
        )

    async def test_a_server_that_is_no_dstore(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = dstore.connect_async(f"127.0.0.1:{port}")
        with pytest.raises(dstore.NotReady) as caught:
            await client.stat("/")
        assert caught.value.reason == "NOT_A_DSTORE_MASTER"
        await client.close()
        server.close()
        await server.wait_closed()

    async def test_another_kind_of_dstore_server(self) -> None:
        server = RpcServer("127.0.0.1:0")
        address = await server.start()
        client = dstore.connect_async(address)
        with pytest.raises(dstore.NotReady, match="no dstore master") as caught:
            await client.stat("/")
        assert caught.value.reason == "NOT_A_DSTORE_MASTER"
        await client.close()
        await server.stop(0)


class TestKeyFiles:
    @pytest.mark.parametrize(
        ("make", "reason"),
        [
            ("nothing", "NO_KEY_FILE"),
            ("missing", "KEY_FILE_MISSING"),
            ("exposed", "KEY_FILE_EXPOSED"),
            ("rubbish", "KEY_FILE_INVALID"),
            ("protected", "PASSPHRASE_REQUIRED"),
        ],
    )
    async def test_what_is_wrong_is_said_when_a_key_is_needed(
        self, endpoint: str, tmp_path: Path, make: str, reason: str
    ) -> None:
        path = tmp_path / "key"
        if make == "exposed":
            create_keyring(path, RANDOM)
            path.chmod(0o644)
        elif make == "rubbish":
            path.write_bytes(b"rubbish")
            path.chmod(0o600)
        elif make == "protected":
            create_keyring(path, RANDOM, "open sesame")
        async with dstore.connect_async(endpoint, key_file=None if make == "nothing" else path) as client:
            assert not await client.exists("/f")
            with pytest.raises(dstore.DstoreError) as caught:
                await client.put("/f", b"")
            assert caught.value.reason == reason

    @pytest.mark.parametrize("way", ["variable", "file"])
    async def test_passphrases(self, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
        create_keyring(tmp_path / "key", RANDOM, "open sesame")
        if way == "variable":
            monkeypatch.setenv("DSTORE_PASSPHRASE", "open sesame")
        else:
            (tmp_path / "passphrase").write_text("open sesame\n")
            monkeypatch.setenv("DSTORE_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
        async with dstore.connect_async(endpoint, key_file=tmp_path / "key") as client:
            await client.put("/f", b"")
        monkeypatch.setenv("DSTORE_PASSPHRASE_FILE", str(tmp_path / "missing"))
        async with dstore.connect_async(endpoint, key_file=tmp_path / "key") as client:
            with pytest.raises(dstore.PermissionDenied) as caught:
                await client.get("/f")
            assert caught.value.reason == "PASSPHRASE_FILE_UNREADABLE"


FORK = """
    import os, signal, sys, time
    import dstore

    client = dstore.connect(sys.argv[1], key_file=sys.argv[2])
    client.put("/f", b"")
    file = client.open("/f")
    target = client.open("/g", "wb")

    def expect_forked(call):
        try:
            call()
        except dstore.NotReady as error:
            assert error.reason == "FORKED" and "spawn" in str(error), error
        else:
            raise AssertionError("no error")

    child = os.fork()
    if child == 0:
        try:
            signal.alarm(20)
            expect_forked(lambda: client.get("/f"))
            expect_forked(lambda: client.list("/"))
            expect_forked(lambda: file.read(1))
            expect_forked(lambda: dstore.connect(sys.argv[1]))
            expect_forked(lambda: dstore.connect_async(sys.argv[1]))
            client.close()
            del file, target, client
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    target.close()
    assert client.get("/g") == b""
    client.close()
    sys.exit(code)
"""


async def run_script(script: str, *arguments: str) -> tuple[int, str]:
    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    finished = await asyncio.to_thread(run)
    return finished.returncode, finished.stdout + finished.stderr


async def test_a_forked_child_is_told_what_to_do(endpoint: str, tmp_path: Path) -> None:
    create_keyring(tmp_path / "key", RANDOM)
    code, output = await run_script(FORK, endpoint, str(tmp_path / "key"))
    assert code == 0, output


async def test_connecting_after_the_fork_works(endpoint: str) -> None:
    script = """
        import os, signal, sys
        import dstore
        child = os.fork()
        signal.alarm(20)
        with dstore.connect(sys.argv[1]) as client:
            assert not client.exists("/missing")
        if child:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    code, output = await run_script(script, endpoint)
    assert code == 0, output


async def test_a_process_may_end_without_closing(endpoint: str, tmp_path: Path) -> None:
    create_keyring(tmp_path / "key", RANDOM)
    script = """
        import sys
        import dstore
        client = dstore.connect(sys.argv[1], key_file=sys.argv[2])
        client.put("/kept", b"")
        file = client.open("/lost", "wb")
        file.write(b"")
    """
    assert await run_script(script, endpoint, str(tmp_path / "key")) == (0, "")
    async with dstore.connect_async(endpoint) as client:
        assert [info.name async for info in client.list("/")] == ["kept"]


class TestTheFace:
    async def test_importing_loads_neither_grpc_nor_cryptography(self) -> None:
        script = """
            import sys
            import dstore
            dir(dstore), dstore.__version__, dstore.NotFound, dstore.FileInfo
            heavy = {"grpc", "google.protobuf", "cryptography", "asyncio", "dstore.client"} & set(sys.modules)
            assert not heavy, heavy
        """
        assert await run_script(script) == (0, "")

    def test_every_name_is_there(self) -> None:
        for name in dstore.__all__:
            assert getattr(dstore, name) is not None
            assert name in dir(dstore)
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            _ = dstore.nothing  # type: ignore[attr-defined]

    def test_the_stub_says_the_same(self) -> None:
        stub = (Path(dstore.__file__).parent / "__init__.pyi").read_text()
        listed = stub.split("__all__ = [")[1].split("]")[0]
        assert sorted(name.strip().strip('"') for name in listed.split(",") if name.strip()) == sorted(dstore.__all__)
        for name in dstore.__all__:
            assert name in stub.split("__all__")[0]
