"""Calls to the master that need no key and no client: what operators ask."""

import asyncio
import time
from collections.abc import Collection

from dstore.client.retrying import Retries, RetryingAdmin
from dstore.core.errors import DeadlineExceeded
from dstore.core.groups import ServerPhase
from dstore.core.limits import HEARTBEAT_INTERVAL_S
from dstore.core.status import ClusterStatus, Health
from dstore.rpc.channel import Connection
from dstore.system.environment import SystemClock, SystemRandom

#: Whoever asks how a cluster is wants to hear at once that its master is away.
STATUS_PATIENCE_S = 1.0
#: How long a cluster whose chunkservers are all up may take to be healthy: a few heartbeats.
SETTLE_TIMEOUT_S = 3 * HEARTBEAT_INTERVAL_S
_POLL_INTERVAL_S = 0.05


def get_status(endpoint: str) -> ClusterStatus:
    """Return the state of the cluster whose master answers at ``endpoint``.

    Raises:
        Unavailable: with reason MASTER_UNREACHABLE, saying how to start it, when nobody answers.
        NotReady: with reason NOT_A_DSTORE_MASTER.
        DstoreError: what the master raises.
    """
    return asyncio.run(_get_status(endpoint))


async def _get_status(endpoint: str) -> ClusterStatus:
    connection = Connection(endpoint)
    retries = Retries(endpoint=endpoint, clock=SystemClock(), random=SystemRandom(), patience_s=STATUS_PATIENCE_S)
    try:
        return await RetryingAdmin(connection.admin, retries).get_status()
    finally:
        await connection.close()


def wait_up(endpoint: str, names: Collection[str], *, timeout_s: float, settle_timeout_s: float = 0.0) -> ClusterStatus:
    """Wait until the master says that all of these chunkservers are up; return its status.

    The health needs the first heartbeats too, so from then on it gets ``settle_timeout_s`` to become OK; other reasons
    may keep it from that, so it is no error when it does not.

    Raises:
        DeadlineExceeded: with reason CHUNKSERVERS_NOT_UP, naming those that are missing.
        DstoreError: what the master raises.
    """
    return asyncio.run(_wait_up(endpoint, frozenset(names), timeout_s, settle_timeout_s))


async def _wait_up(endpoint: str, names: frozenset[str], timeout_s: float, settle_timeout_s: float) -> ClusterStatus:
    deadline = time.monotonic() + timeout_s
    settled = None
    connection = Connection(endpoint)
    try:
        while True:
            status = await connection.admin.get_status()
            now = time.monotonic()
            up = {server.name for server in status.servers if server.phase is ServerPhase.UP}
            if names <= up:
                settled = now + settle_timeout_s if settled is None else settled
                if status.health is Health.OK or now >= settled:
                    return status
            elif now > deadline:
                missing = ", ".join(sorted(names - up))
                raise DeadlineExceeded(
                    f"Within {timeout_s:.0f} s these chunkservers did not join the cluster: {missing}. Their logs "
                    "say why; `dstore status` shows the cluster.",
                    reason="CHUNKSERVERS_NOT_UP",
                    metadata={"missing": missing},
                )
            await asyncio.sleep(_POLL_INTERVAL_S)
    finally:
        await connection.close()
