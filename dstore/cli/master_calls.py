"""Calls to the master that need no key and no client: what operators ask."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from dstore.client.retries import Retries
from dstore.client.retrying import RetryingAdmin
from dstore.core.errors import Conflict, DeadlineExceeded
from dstore.core.groups import Duty, ServerPhase
from dstore.core.interfaces import Admin
from dstore.core.limits import HEARTBEAT_INTERVAL_S
from dstore.core.status import ClusterStatus, Health
from dstore.rpc.channel import Connection
from dstore.system.environment import SystemClock, SystemRandom

T = TypeVar("T")

#: Operators want to hear soon that the master is away; longer than it takes to start again.
ASK_PATIENCE_S = 3.0
#: Whoever waits for a drain wants to go on waiting while the master starts again.
_DRAIN_PATIENCE_S = 60.0
_DRAIN_POLL_INTERVAL_S = 0.5
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
    return ask(endpoint, lambda admin: admin.get_status(), patience_s=STATUS_PATIENCE_S)


def ask(endpoint: str, call: Callable[[Admin], Awaitable[T]], *, patience_s: float = ASK_PATIENCE_S) -> T:
    """Return what the master at ``endpoint`` answers to ``call``, which is repeated while nobody answers.

    Raises:
        DstoreError: as ``get_status``.
    """
    return asyncio.run(ask_async(endpoint, call, patience_s=patience_s))


async def ask_async(endpoint: str, call: Callable[[Admin], Awaitable[T]], *, patience_s: float = ASK_PATIENCE_S) -> T:
    """Do the work of ``ask`` on a loop that runs."""
    connection = Connection(endpoint)
    retries = Retries(endpoint=endpoint, clock=SystemClock(), random=SystemRandom(), patience_s=patience_s)
    try:
        return await call(RetryingAdmin(connection.admin, retries))
    finally:
        await connection.close()


def wait_drained(endpoint: str, name: str, tell: Callable[[int], None]) -> None:
    """Wait until a chunkserver is a member of no placement group; ``tell`` gets how many are left when that changes.

    Raises:
        Conflict: with reason DRAIN_STOPPED, when somebody gave it another duty meanwhile.
        DstoreError: what the master raises.
    """

    ask(endpoint, lambda admin: watch_drain(admin, name, tell), patience_s=_DRAIN_PATIENCE_S)


async def watch_drain(
    admin: Admin, name: str, tell: Callable[[int], None], *, interval_s: float = _DRAIN_POLL_INTERVAL_S
) -> None:
    """Do the work of ``wait_drained``; looks once in ``interval_s``."""
    told: int | None = None
    while True:
        servers = (await admin.get_status()).servers
        server = next((server for server in servers if server.name == name), None)
        left = 0 if server is None else server.group_count
        if left != told:
            tell(left)
            told = left
        if server is None or left == 0:
            return
        if server.duty is not Duty.DRAINING:
            raise Conflict(
                f"{name} is not being drained any more: somebody gave it the duty {server.duty.value}, while it was in "
                f"{left} placement groups. `dstore node drain {name}` goes on.",
                reason="DRAIN_STOPPED",
                metadata={"name": name},
            )
        await asyncio.sleep(interval_s)


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
