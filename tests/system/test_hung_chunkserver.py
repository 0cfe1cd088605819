"""A chunkserver that hangs (SIGSTOP) is named by the server next to it, wherever in a chain it stands."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest
from cluster import LocalTestCluster
from large_files import client_of

from dstore.core.checksum import crc32c
from dstore.core.chunks import ChainMember, Durability, Frame, WriteFinish, WriteHeader
from dstore.core.errors import DstoreError
from dstore.core.ids import ChunkId, GroupId
from dstore.core.limits import FRAME_SIZE_BYTES_MAX
from dstore.core.status import ClusterStatus
from dstore.rpc.channel import Connections

#: More than the network and the servers take in while nothing moves on.
FRAME_COUNT = 16
STREAMS = 3
HUNG = "cs-2"


@pytest.fixture
def hung_cluster(own_cluster: LocalTestCluster) -> Iterator[tuple[LocalTestCluster, ClusterStatus]]:
    with client_of(own_cluster) as client:
        client.put("/first", bytes(8 * 1024 * 1024))
        status = client.status()
    pid = own_cluster.pid(HUNG)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield own_cluster, status
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("order", [("cs-1", "cs-3", HUNG), ("cs-1", HUNG, "cs-3")], ids=["last", "in the middle"])
async def test_the_hung_server_is_blamed(
    hung_cluster: tuple[LocalTestCluster, ClusterStatus], order: tuple[str, ...]
) -> None:
    _, status = hung_cluster
    servers = {server.name: server for server in status.servers}
    chain = tuple(ChainMember(servers[name].server_id, servers[name].address) for name in order)
    data = bytes(FRAME_SIZE_BYTES_MAX)
    length_bytes = FRAME_COUNT * len(data)
    whole_crc32c = crc32c(data * FRAME_COUNT)
    peers = Connections()

    async def write(sequence: int) -> None:
        header = WriteHeader(
            ChunkId(GroupId(1), sequence), status.cluster_id, 1, length_bytes, Durability.SYNCED, chain[1:], b""
        )
        writer = await peers.chunks(chain[0].address).write_chunk(header)
        try:
            for number in range(FRAME_COUNT):
                await writer.send(Frame(number * len(data), crc32c(data), data))
            await writer.finish(WriteFinish(length_bytes, whole_crc32c))
        finally:
            await writer.abort()

    try:
        async with asyncio.timeout(20):
            outcomes = await asyncio.gather(
                *(write(1000 + number) for number in range(STREAMS)), return_exceptions=True
            )
    finally:
        await peers.close()
    for outcome in outcomes:
        assert isinstance(outcome, DstoreError), outcome
        assert outcome.metadata.get("server_id") == servers[HUNG].server_id, outcome
