"""What operators ask about deletions and damage, added to what else ``Admin`` answers."""

from collections.abc import AsyncIterator

from dstore.core.checking import CheckSummary, CollectionStatus, Finding, SafeModeStatus
from dstore.core.errors import LimitExceeded, Unavailable
from dstore.core.interfaces import Peers
from dstore.master.admin import AdminService
from dstore.master.collection import Collector
from dstore.master.fsck import Fsck
from dstore.master.shared import Shared


class CheckingAdminService(AdminService):
    """Implements all of ``dstore.core.interfaces.Admin``."""

    def __init__(self, shared: Shared, collector: Collector, peers: Peers | None) -> None:
        super().__init__(shared)
        self._collector = collector
        self._peers = peers
        self._is_checking = False

    async def get_collection(self) -> CollectionStatus:
        """Return how far deleted chunks are."""
        return await self._collector.status()

    async def approve_collection(self) -> CollectionStatus:
        """Let through what the collection stopped at."""
        return await self._collector.approve()

    async def get_safe_mode(self) -> SafeModeStatus:
        """Return whether safe mode is on."""
        return await self._collector.safe_mode.refresh()

    async def leave_safe_mode(self) -> SafeModeStatus:
        """Leave safe mode."""
        return await self._collector.safe_mode.leave()

    async def check_cluster(self, *, repair: bool) -> AsyncIterator[Finding | CheckSummary]:
        """Yield what is wrong with the cluster, then a summary.

        Raises:
            LimitExceeded: reason ``CHECK_RUNNING``.
            Unavailable: reason ``NO_PEERS``.
        """
        if self._peers is None:
            raise Unavailable(
                "This master is not set up to ask chunkservers; start it with `dstore master run`.", reason="NO_PEERS"
            )
        if self._is_checking:
            raise LimitExceeded("A check of this cluster is running; wait until it has ended.", reason="CHECK_RUNNING")
        self._is_checking = True
        try:
            async for message in Fsck(self._shared, self._peers, repair=repair).run():
                yield message
        finally:
            self._is_checking = False
