"""Membership: join the cluster, report every second or so, pass on the orders in the answers.

States: joining → member → joining again (the master does not know this server any more) → ended (another process
has taken this disk's place, an operator removed the server, or the master refuses it for a reason that retrying
cannot change).

Nothing here waits for the disk, except joining: a disk that hangs is reported, and does not silence the server.
"""

import asyncio
import logging
from dataclasses import replace

from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.obeying import Obedience
from dstore.chunkserver.reporting import Reporter
from dstore.core.backoff import Backoff
from dstore.core.environment import Random
from dstore.core.errors import DeadlineExceeded, DstoreError
from dstore.core.groups import ServerIdentity
from dstore.core.interfaces import Cluster
from dstore.core.limits import HEARTBEAT_INTERVAL_S, HEARTBEAT_TIMEOUT_S
from dstore.core.upkeep import Heartbeat, Orders

#: Refusals of the master that retrying cannot change. SERVER_ALREADY_RUNNING is none: after a crash, the master
#: believes for a few seconds that the earlier process is up.
_FINAL_REASONS = frozenset(
    {
        "WRONG_CLUSTER",
        "SERVER_NAME_TAKEN",
        "SERVER_IDENTITY_INVALID",
        "SERVER_REPLACED",
        "SERVER_REMOVED",
        "PERMISSION_DENIED",
    }
)

_log = logging.getLogger(__name__)


class Membership:
    """Keeps one chunkserver a member of its cluster.

    Args:
        identity: how the server presents itself; the disk's uuid and cluster are filled in from the store.
        reporter: says how things are.
        obedience: does what is ordered; its ``run`` is the caller's to start.
    """

    def __init__(
        self,
        cluster: Cluster,
        store: ChunkStore,
        random: Random,
        identity: ServerIdentity,
        reporter: Reporter,
        obedience: Obedience,
        *,
        backoff: Backoff | None = None,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._random = random
        self._identity = identity
        self._reporter = reporter
        self._obedience = obedience
        self._backoff = backoff or Backoff()
        self._interval_s = HEARTBEAT_INTERVAL_S
        self._incarnation = 0
        self._registered = False
        self._last_failure: str | None = None

    @property
    def registered(self) -> bool:
        """Whether the master has taken this server in; stays true while the master is away."""
        return self._registered

    @property
    def last_failure(self) -> str | None:
        """Why the last call to the master failed, or its orders are not obeyed; None when all is well."""
        return self._last_failure or self._obedience.failure

    async def run(self) -> None:
        """Join, report, join again; never returns.

        Raises:
            DstoreError: the master refuses this server for good, for example ``WRONG_CLUSTER``,
                ``SERVER_NAME_TAKEN``, ``SERVER_REPLACED`` or ``SERVER_REMOVED``; the process should end.
        """
        while True:
            await self._join()
            await self._report()

    async def _join(self) -> None:
        attempt = 0
        while True:
            disk = self._store.identity
            identity = replace(self._identity, server_id=disk.server_id, cluster_id=disk.cluster_id)
            try:
                registration = await self._cluster.register(identity)
                # Before anything else: whose disk this is must not depend on which master answers next.
                await self._store.bind_cluster(registration.cluster_id)
                await self._obedience.begin(registration.orders)
            except DstoreError as error:
                self._raise_if_final(error)
                self._note(error, "cannot join the cluster yet")
                await asyncio.sleep(self._backoff.delay_s(attempt, self._random.uniform()))
                attempt += 1
                continue
            self._interval_s = registration.heartbeat_interval_s
            self._incarnation = registration.incarnation
            self._registered = True
            self._note_success(f"joined cluster {registration.cluster_id}")
            return

    async def _report(self) -> None:
        """Send heartbeats until the master says that it does not know this server.

        The first one goes at once: before it, the master knows no capacity and places nothing here.
        """
        while True:
            if not await self._report_once():
                return
            await asyncio.sleep(self._interval_s)

    async def _report_once(self) -> bool:
        """Send one heartbeat; return False when this server must join again."""
        heartbeat = self._reporter.heartbeat(self._identity.boot_id, self._incarnation)
        try:
            orders = await self._call(heartbeat)
        except DstoreError as error:
            if error.reason == "SERVER_UNKNOWN":
                _log.warning("the master does not know this server any more; joining again")
                self._registered = False
                return False
            self._raise_if_final(error)
            self._note(error, "a heartbeat failed")
        else:
            self._reporter.forget(heartbeat)
            self._obedience.submit(orders)
            self._note_success("the master answers again")
        return True

    async def _call(self, heartbeat: Heartbeat) -> Orders:
        try:
            async with asyncio.timeout(HEARTBEAT_TIMEOUT_S):
                return await self._cluster.heartbeat(heartbeat)
        except TimeoutError as error:
            if isinstance(error, DstoreError):
                raise
            raise DeadlineExceeded(
                f"The master did not answer a heartbeat within {HEARTBEAT_TIMEOUT_S:g} s; the next one follows."
            ) from None

    def _raise_if_final(self, error: DstoreError) -> None:
        if error.reason in _FINAL_REASONS:
            self._registered = False
            self._last_failure = str(error)
            raise error

    def _note(self, error: DstoreError, what: str) -> None:
        # One line per outage, not one per attempt.
        if self._last_failure is None:
            _log.warning("%s: %s [%s]", what, error, error.reason)
        self._last_failure = str(error)

    def _note_success(self, what: str) -> None:
        if self._last_failure is not None or not what.endswith("again"):
            _log.info("%s", what)
        self._last_failure = None
