"""What the services and the upkeep of one master have in common."""

from dataclasses import dataclass, field
from typing import Protocol

from dstore.core.environment import Clock, Random
from dstore.core.groups import GroupEpoch
from dstore.core.ids import ChunkId, ServerId
from dstore.core.status import HealthCheck
from dstore.core.upkeep import Heartbeat
from dstore.master.allocator import Allocator
from dstore.master.config import UpkeepConfig
from dstore.master.doubts import Doubts
from dstore.master.holdings import Holdings
from dstore.master.leader import Leadership
from dstore.master.leases import Leases
from dstore.master.membership import Membership
from dstore.master.orders import OrderBook
from dstore.master.progress import ProgressMeter
from dstore.master.refills import Refills
from dstore.master.store.base import Store
from dstore.master.store.schema import ClusterRecord
from dstore.master.switches import Switches


class Collection(Protocol):
    """Decides what chunkservers are to delete."""

    async def heard(self, heartbeat: Heartbeat) -> None:
        """Take note of a report of a server that has joined; called before its orders are made.

        Raises:
            DstoreError: the report is not answered, so that the server repeats what it did.
        """

    def orders_for(self, server_id: ServerId) -> tuple[tuple[ChunkId, ...], tuple[GroupEpoch, ...]]:
        """Return the chunks that the server is to discard, and the groups that it is to drop; without the store."""

    def checks(self) -> tuple[HealthCheck, ...]:
        """Return the reasons why nothing is deleted that an operator should know; without the store."""

    async def step(self, leader_epoch: int) -> None:
        """Do one round of planning; called once a second while this master leads.

        Raises:
            Conflict: reason ``LEADER_CHANGED``.
            LimitExceeded: the store is busy; the next round goes on.
        """


class NoCollection:
    """Deletes nothing."""

    async def heard(self, heartbeat: Heartbeat) -> None:
        """Do nothing."""

    def orders_for(self, server_id: ServerId) -> tuple[tuple[ChunkId, ...], tuple[GroupEpoch, ...]]:
        """Return that nothing is to be deleted."""
        return (), ()

    def checks(self) -> tuple[HealthCheck, ...]:
        """Return that nothing is wrong."""
        return ()

    async def step(self, leader_epoch: int) -> None:
        """Do nothing."""


@dataclass(slots=True)
class Shared:
    """Made by ``open_master``; ``collection`` is set once everything that it needs is there."""

    store: Store
    clock: Clock
    random: Random
    version: str
    cluster: ClusterRecord
    membership: Membership
    leases: Leases
    allocator: Allocator
    holdings: Holdings
    leadership: Leadership
    orders: OrderBook
    upkeep: UpkeepConfig
    switches: Switches
    progress: ProgressMeter = field(default_factory=ProgressMeter)
    collection: Collection = field(default_factory=NoCollection)
    doubts: Doubts = field(default_factory=Doubts)
    refills: Refills = field(default_factory=Refills)
