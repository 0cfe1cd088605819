"""Calls to the master that need no key and no client: what operators ask."""

import asyncio
import time
from collections.abc import Callable, Collection

from dstore.core.errors import DeadlineExceeded, DstoreError, Unavailable
from dstore.core.groups import ServerPhase
from dstore.core.limits import CALL_TIMEOUT_S
from dstore.core.status import ClusterStatus
from dstore.rpc.channel import Connection

_POLL_INTERVAL_S = 0.05


def get_status(endpoint: str, *, timeout_s: float = CALL_TIMEOUT_S) -> ClusterStatus:
    """Return the state of the cluster whose master answers at ``endpoint``.

    Raises:
        Unavailable: with reason MASTER_UNREACHABLE, saying how to start it, when nobody answers.
        DstoreError: what the master raises.
    """
    return asyncio.run(_get_status(endpoint, timeout_s))


async def _get_status(endpoint: str, timeout_s: float) -> ClusterStatus:
    connection = Connection(endpoint)
    try:
        async with asyncio.timeout(timeout_s):
            return await connection.admin.get_status()
    except (Unavailable, TimeoutError) as error:
        raise unreachable(endpoint, error) from error
    finally:
        await connection.close()


def wait_up(
    endpoint: str, names: Collection[str], *, timeout_s: float, accept: Callable[[ClusterStatus], bool]
) -> ClusterStatus:
    """Wait until the master says that all of these chunkservers are up and ``accept`` holds; return its status.

    Raises:
        DeadlineExceeded: with reason CHUNKSERVERS_NOT_UP, naming those that are missing.
        DstoreError: what the master raises.
    """
    return asyncio.run(_wait_up(endpoint, frozenset(names), timeout_s, accept))


async def _wait_up(
    endpoint: str, names: frozenset[str], timeout_s: float, accept: Callable[[ClusterStatus], bool]
) -> ClusterStatus:
    deadline = time.monotonic() + timeout_s
    connection = Connection(endpoint)
    try:
        while True:
            status = await connection.admin.get_status()
            up = {server.name for server in status.servers if server.phase is ServerPhase.UP}
            if names <= up and accept(status):
                return status
            if time.monotonic() > deadline:
                missing = ", ".join(sorted(names - up)) or "none"
                raise DeadlineExceeded(
                    f"The cluster was not complete within {timeout_s:.0f} s; chunkservers that did not join: "
                    f"{missing}. Their logs say why; `dstore status` shows the cluster.",
                    reason="CHUNKSERVERS_NOT_UP",
                    metadata={"missing": missing},
                )
            await asyncio.sleep(_POLL_INTERVAL_S)
    finally:
        await connection.close()


def unreachable(endpoint: str, error: Exception) -> DstoreError:
    """Return the error for a master that does not answer."""
    why = error.message.rstrip(".") if isinstance(error, DstoreError) else "no answer in time"
    return Unavailable(
        f"The master at {endpoint} cannot be reached: {why}. For a cluster on this machine, `dstore up` starts "
        "it; otherwise check the endpoint (--endpoint, DSTORE_ENDPOINT or the profile).",
        reason="MASTER_UNREACHABLE",
        metadata={"endpoint": endpoint},
    )
