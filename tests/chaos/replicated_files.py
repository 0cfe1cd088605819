"""What was acknowledged as replicated: when it is synced, and what may become of it.

The end of a process loses nothing of it, and one disk that fails nothing that others have. Only when the one disk that
has it says that it could not sync it, a file may be gone: then the health says so, and it is not read as anything else.
"""

import asyncio
import time
from collections.abc import Callable, Collection

from chunk_files import has_unsynced
from server_processes import START_TIMEOUT_S, ServerCluster, complaints
from workload import Model, Step

import dstore
from dstore.core.errors import Unavailable
from dstore.core.status import Health

_POLL_S = 0.01
#: Longer than the background waits, and than a busy machine takes for a few syncs.
_SYNCED_WITHIN_S = 30.0


def replicated_contents(steps: Collection[Step]) -> frozenset[bytes]:
    """Return what these steps store as replicated; every step has content of its own."""
    return frozenset(step.content for step in steps if step.verb == "replicate")


def is_synced(cluster: ServerCluster) -> bool:
    """Return whether no chunkserver has anything unsynced, nor marks that say so: these go last."""
    return not any(
        has_unsynced(server.directory) for server in cluster.servers.values() if server is not cluster.master
    )


async def wait_synced(cluster: ServerCluster, is_over: Callable[[], bool]) -> None:
    """Wait until no chunkserver has anything unsynced, nor marks that say so; or until ``is_over``."""
    deadline = time.monotonic() + _SYNCED_WITHIN_S
    for server in cluster.servers.values():
        while server is not cluster.master and has_unsynced(server.directory) and not is_over():
            assert time.monotonic() < deadline, f"{server.name} does not sync what it acknowledged\n{cluster.logs()}"
            await asyncio.sleep(_POLL_S)


async def take_losses(cluster: ServerCluster, client: dstore.AsyncClient, model: Model, weak: Collection[bytes]) -> int:
    """Remove the files that are told to be lost from cluster and model, and return how many they were.

    Every chunkserver has joined. Returns when all that was in doubt was looked at and nothing is unavailable any more.

    Args:
        weak: the contents that may be lost.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    count = 0
    while True:
        status = await client.status()
        if not complaints(status) and status.servers_up == cluster.shape.chunkservers:
            return count
        if status.unavailable_chunks:
            assert status.health is Health.ERROR, f"chunks are unavailable, and the status is {status.summary}"
            for path in [path for path, content in model.items() if content in weak]:
                if await _is_lost(client, path, model[path]):
                    await client.remove(path)
                    del model[path]
                    count += 1
        assert time.monotonic() < deadline, f"not well within {START_TIMEOUT_S} s: {status.checks}\n{cluster.logs()}"
        await asyncio.sleep(_POLL_S)


async def _is_lost(client: dstore.AsyncClient, path: str, content: bytes | None) -> bool:
    try:
        found = await client.get(path)
    except Unavailable as error:
        # Anything else may be a server that was just started again.
        return "CHUNK_NOT_FOUND" in str(error)
    assert found == content, f"{path} was lost, and is read as something else"
    return False
