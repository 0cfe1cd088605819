"""A client that is killed in the middle of a batch: what is visible is whole, and doing the same again finishes it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cluster import LocalTestCluster
from large_files import client_of

import dstore
from dstore.core.errors import AlreadyExists
from dstore.core.files import FileInfo
from dstore.core.limits import INLINE_SIZE_BYTES_MAX

COUNT = 20_000
#: So many have chunks.
LARGE_EVERY = 1_000
#: The batch takes seconds, even on a fast machine.
_TIMEOUT_S = 60


def content(number: int) -> bytes:
    return f"{number:08}".encode() * (INLINE_SIZE_BYTES_MAX // 4 if number % LARGE_EVERY == 0 else 16)


def batch() -> list[tuple[str, bytes]]:
    return [(f"/batch/{number:05}", content(number)) for number in range(COUNT)]


def put_batch() -> None:
    """What the client does that is killed."""
    with dstore.connect() as client:
        client.put_many(batch())


def names(client: dstore.Client) -> list[str]:
    return [info.name for info in client.list("/batch")]


@pytest.mark.timeout(240)
def test_a_client_that_is_killed_in_the_middle_of_a_batch(small_chunks_cluster: LocalTestCluster) -> None:
    with client_of(small_chunks_cluster) as client:
        client.make_directory("/batch")
        writer = subprocess.Popen([sys.executable, __file__], env=small_chunks_cluster.environ)
        try:
            deadline = time.monotonic() + _TIMEOUT_S
            while not names(client):
                assert writer.poll() is None and time.monotonic() < deadline
        finally:
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()
        visible = names(client)
        assert 0 < len(visible) < COUNT
        assert client.get_many(f"/batch/{name}" for name in visible) == [content(int(name)) for name in visible]
        results = client.put_many(batch(), if_absent=True)
        there = {
            Path(path).name
            for (path, _), result in zip(batch(), results, strict=True)
            if isinstance(result, AlreadyExists)
        }
        # A commit that was under way may have come after the list.
        assert there >= set(visible)
        assert all(isinstance(result, AlreadyExists | FileInfo) for result in results)
        assert client.get_many(path for path, _ in batch()) == [data for _, data in batch()]


if __name__ == "__main__":
    put_batch()
