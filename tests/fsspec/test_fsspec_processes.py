"""Loops, threads, processes and keys: where a filesystem goes, and what it takes along."""

import asyncio
import concurrent.futures
import gc
import multiprocessing
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import fsspec
import pytest
from cluster import LocalTestCluster

from dstore.core.errors import InvalidRequest
from dstore.fsspec import DstoreFileSystem

LARGE = bytes(range(256)) * 10_000


def read_elsewhere(filesystem: DstoreFileSystem, path: str) -> bytes:
    content: bytes = filesystem.cat_file(path)
    return content


def rest_of(file: object) -> bytes:
    content: bytes = file.read()  # type: ignore[attr-defined]
    return content


def test_other_processes(fs: DstoreFileSystem, home: str) -> None:
    fs.pipe_file(f"{home}/f", LARGE)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(read_elsewhere, fs, f"{home}/f").result() == LARGE
        with fs.open(f"{home}/f", "rb") as file:
            file.seek(1_000_000)
            assert pool.submit(rest_of, file).result() == LARGE[1_000_000:]


def test_what_travels_names_the_key_and_does_not_hold_it(store: LocalTestCluster, tmp_path: Path) -> None:
    key_file = tmp_path / "copy.key"
    key_file.write_bytes(store.key_file.read_bytes())
    key_file.chmod(0o600)
    secrets = [line.split("'")[1] for line in key_file.read_text().splitlines() if line.startswith("secret")]
    assert secrets
    filesystems = DstoreFileSystem(), DstoreFileSystem(key_file=str(key_file))
    for filesystem, options in zip(filesystems, ({}, {"key_file": str(key_file)}), strict=True):
        filesystem.ls("/")
        shown = [pickle.dumps(filesystem).decode("latin-1"), filesystem.to_json(), repr(filesystem)]
        assert not [text for text in shown for secret in secrets if secret in text]
        assert filesystem.storage_options == options
        assert pickle.loads(pickle.dumps(filesystem)) is filesystem
        assert DstoreFileSystem.from_json(filesystem.to_json()) is filesystem


def test_different_keys_are_different_filesystems(
    store: LocalTestCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(store.key_file.read_bytes())
        (tmp_path / name).chmod(0o600)
    plain = DstoreFileSystem()
    assert DstoreFileSystem() is plain
    by_name = DstoreFileSystem(key_file=str(tmp_path / "a"))
    assert len({id(each) for each in (plain, by_name, DstoreFileSystem(key_file=str(tmp_path / "b")))}) == 3
    monkeypatch.setenv("DSTORE_KEY_FILE", str(tmp_path / "b"))
    by_environment = DstoreFileSystem()
    assert by_environment is not plain
    assert by_environment != plain
    assert DstoreFileSystem() is by_environment
    path = "/of-another-key"
    plain.pipe_file(path, b"1")
    assert by_environment.cat_file(path) == b"1"
    # Another file at the same path may hold another key.
    (tmp_path / "b").rename(tmp_path / "old")
    store.check("key", "init", "--key-file", str(tmp_path / "b"))
    assert DstoreFileSystem() is not by_environment
    assert by_environment.cat_file(path) == b"1"
    with pytest.raises(PermissionError, match="key"):
        DstoreFileSystem().cat_file(path)


@pytest.mark.parametrize("name", ["key", "password", "keyring", "secret_key", "passphrase"])
def test_keys_themselves_are_refused(store: LocalTestCluster, name: str) -> None:
    with pytest.raises(InvalidRequest, match="never passed as options"):
        fsspec.filesystem("dstore", **{name: "x"})


def test_options(store: LocalTestCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidRequest, match="did you mean endpoint"):
        DstoreFileSystem(end_point="127.0.0.1:1")
    with pytest.raises(InvalidRequest, match="name their file"):
        fsspec.filesystem("dstore", key_file=b"raw bytes of a key")
    with pytest.raises(InvalidRequest, match="no profile 'other'"):
        DstoreFileSystem(profile="other")
    assert fsspec.core.url_to_fs(f"dstore://{store.endpoint}/a")[0].ls("/") == DstoreFileSystem().ls("/")
    assert repr(DstoreFileSystem()) == f"DstoreFileSystem({store.endpoint})"
    monkeypatch.setitem(fsspec.config.conf, "dstore", {"profile": "other"})
    with pytest.raises(InvalidRequest, match="no profile 'other'"):
        DstoreFileSystem()


def test_no_cluster_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DSTORE_ENDPOINT", "DSTORE_PROFILE", "DSTORE_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DSTORE_CONFIG_DIR", str(tmp_path))
    with pytest.raises(InvalidRequest, match="`dstore up`"):
        fsspec.filesystem("dstore")


async def use(filesystem: DstoreFileSystem, path: str) -> bytes:
    await filesystem._pipe_file(path, LARGE)
    async with await filesystem.open_async(path) as source, await filesystem.open_async(path + "-copy", "xb") as target:
        while piece := await source.read(1_000_000):
            await target.write(piece)
        assert source.tell() == target.tell() == len(LARGE)
    with pytest.raises(FileExistsError):
        await filesystem.open_async(path + "-copy", "xb")
    with pytest.raises(KeyError):
        async with await filesystem.open_async(path + "-failed", "wb") as target:
            await target.write(LARGE)
            raise KeyError
    assert not await filesystem._exists(path + "-failed")
    content: bytes = (await filesystem._cat_ranges([path + "-copy"], [-1_000_000], [None], on_error="raise"))[0]
    return content


def test_one_object_on_many_loops(store: LocalTestCluster, home: str) -> None:
    filesystem = DstoreFileSystem(asynchronous=True)

    async def once(path: str) -> bytes:
        try:
            return await use(filesystem, path)
        finally:
            await filesystem.aclose()

    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        running = [threads.submit(asyncio.run, once(f"{home}/{number}")) for number in range(6)]
        assert [each.result() for each in running] == [LARGE[-1_000_000:]] * 6


def test_loops_that_end_without_a_word(fs: DstoreFileSystem, home: str) -> None:
    # As with libraries that know nothing of connections.
    for number in range(3):
        assert asyncio.run(use(fs, f"{home}/{number}")) == LARGE[-1_000_000:]
    # Connections that were left open would warn now, and warnings are errors.
    gc.collect()
    # Its blocking calls go on, on fsspec's own loop, also from threads that have a loop of their own.

    async def blocking() -> bytes:
        return read_elsewhere(fs, f"{home}/0")

    assert asyncio.run(blocking()) == LARGE


def test_many_threads_share_one(fs: DstoreFileSystem, home: str) -> None:
    def work(number: int) -> bytes:
        mine = fsspec.filesystem("dstore")
        assert mine is fs
        mine.pipe_file(f"{home}/{number}", bytes([number]) * 100_000)
        return read_elsewhere(mine, f"{home}/{number}")

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(32))) == [bytes([number]) * 100_000 for number in range(32)]


def run_script(script: str, store: LocalTestCluster) -> None:
    finished = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(script)],
        env=store.environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    # gRPC says a word of its own about forks.
    assert "Traceback" not in finished.stderr
    assert "Warning" not in finished.stderr


def test_a_forked_child_is_told_to_be_spawned(store: LocalTestCluster) -> None:
    run_script(
        """
        import os, signal
        import fsspec

        fs = fsspec.filesystem("dstore")
        fs.pipe_file("/forked", bytes(100_000))
        reading, writing = fs.open("/forked", "rb"), fs.open("/of-a-parent", "wb", block_size=1000)
        writing.write(bytes(50_000))

        def expect_refusal(call):
            try:
                call()
            except OSError as error:
                assert error.reason == "FORKED" and "spawn" in str(error), error
            else:
                raise AssertionError("no error")

        child = os.fork()
        if child == 0:
            try:
                signal.alarm(60)
                expect_refusal(lambda: fs.cat_file("/forked"))
                expect_refusal(lambda: fs.ls("/"))
                expect_refusal(lambda: reading.read(1))
                expect_refusal(lambda: writing.write(bytes(50_000)))
                expect_refusal(lambda: fsspec.filesystem("dstore").ls("/"))
                fs.__class__.clear_instance_cache()
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        writing.close()
        assert fs.size("/of-a-parent") == 50_000
        """,
        store,
    )


def test_a_process_that_was_told_nothing(store: LocalTestCluster) -> None:
    run_script(
        """
        import fsspec, sys

        assert "dstore" in fsspec.available_protocols()
        assert not any(name.startswith("dstore") for name in sys.modules)
        with fsspec.open("dstore:///told/nothing.csv", "w") as file:
            file.write("a,b\\n")
        with fsspec.open("dstore:///told/nothing.csv") as file:
            assert file.read() == b"a,b\\n"
        """,
        store,
    )
