"""Invariant 12 on real disks: a flipped byte is found by the server, and never reaches a reader."""

import asyncio
import random
from pathlib import Path

import pytest
from cluster import LocalTestCluster
from large_files import client_of

import dstore
from dstore.core.chunks import ReadRequest
from dstore.core.ids import ChunkId
from dstore.rpc.channel import Connections

DATA = random.Random(7).randbytes(2 * 1024 * 1024 + 5)


def chunk_files(cluster: LocalTestCluster, server: str, chunk_id: str) -> list[Path]:
    return list(cluster.directory(server).glob(f"groups/*/*/{chunk_id}"))


def flip(path: Path, offset: int) -> None:
    """Flip one bit of a file, where it is."""
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes((byte ^ 0x10,)))


async def reason_of_reading(address: str, chunk_id: ChunkId) -> str:
    """Ask one server for a whole chunk; return why it refuses, or "served"."""
    connections = Connections()
    try:
        async for _ in connections.chunks(address).read_chunk(ReadRequest(chunk_id, 0, 0)):
            pass
    except dstore.DstoreError as error:
        return error.reason
    finally:
        await connections.close()
    return "served"


@pytest.mark.parametrize("where", ["header", "first byte", "middle", "last byte of data", "footer"])
def test_one_bad_replica_is_detected_and_another_is_read(own_cluster: LocalTestCluster, where: str) -> None:
    with client_of(own_cluster) as client:
        client.put("/file", DATA)
        chunk = client.describe("/file").chunks[1]
        chunk_id, length_bytes = str(chunk.record.chunk_id), chunk.record.length_bytes
        offset = {
            "header": 20,
            "first byte": 4096,
            "middle": 4096 + length_bytes // 2,
            "last byte of data": 4096 + length_bytes - 1,
            "footer": 4096 + length_bytes + 3,
        }[where]
        victims = ("cs-1", "cs-2")
        for name in victims:
            (path,) = chunk_files(own_cluster, name, chunk_id)
            flip(path, offset)
    # A fresh client reads it from all three, in whatever order, several times.
    for _ in range(3):
        with client_of(own_cluster) as client:
            assert client.get("/file") == DATA
    for name in victims:
        (path,) = chunk_files(own_cluster, name, chunk_id)
        assert path.exists(), "a corrupt replica is kept, never deleted"
        address = next(member.address for member in chunk.group.members if member.name == name)
        assert asyncio.run(reason_of_reading(address, chunk.record.chunk_id)) == "CHUNK_CORRUPT"
        assert chunk_id in own_cluster.log(name), "the server says so in its log"


def test_all_replicas_bad_is_a_clear_error_and_never_wrong_bytes(own_cluster: LocalTestCluster) -> None:
    with client_of(own_cluster) as client:
        client.put("/file", DATA)
        record = client.describe("/file").chunks[1].record
        for name in ("cs-1", "cs-2", "cs-3"):
            (path,) = chunk_files(own_cluster, name, str(record.chunk_id))
            flip(path, 4096 + record.length_bytes // 2)
        with pytest.raises(dstore.Corrupt) as caught:
            client.get("/file")
        assert caught.value.reason == "CHUNK_CORRUPT"
        for part in ("/file", "Chunk 1", str(record.chunk_id)):
            assert part in caught.value.message
        # What is not damaged is still there.
        assert client.get("/file", 0, 1024 * 1024) == DATA[: 1024 * 1024]
    finished = own_cluster.run("get", "/file", str(own_cluster.home / "target"))
    assert finished.returncode == 14
    assert not (own_cluster.home / "target").exists()
    assert list(own_cluster.home.glob("*target*")) == [], "no temporary file is left behind"
