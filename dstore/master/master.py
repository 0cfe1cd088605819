"""One master: its services, put together over a store."""

from dataclasses import dataclass

from dstore.core.environment import Clock, Random
from dstore.core.files import Policy
from dstore.core.ids import ClusterId, IntentId
from dstore.core.interfaces import Peers
from dstore.master import counters, leader, membership, server_rows, switches, writes
from dstore.master.allocator import Allocator
from dstore.master.audit import Audit
from dstore.master.checking import CheckingAdminService
from dstore.master.collection import open_collector
from dstore.master.config import UPKEEP_DEFAULT, UpkeepConfig
from dstore.master.facts import read_settled_sequence
from dstore.master.group_map import GroupMap, load_groups
from dstore.master.holdings import Holdings
from dstore.master.leader import LeaderRow, Leadership
from dstore.master.leases import Leases
from dstore.master.orders import OrderBook
from dstore.master.reports import ClusterService
from dstore.master.server_rows import ServerRecord
from dstore.master.service import NamespaceService
from dstore.master.shared import Shared
from dstore.master.store.base import Store, Transaction
from dstore.master.store.schema import ClusterRecord, open_cluster
from dstore.master.switches import Switches


@dataclass(frozen=True, slots=True)
class Master:
    """The services of a master, what it does beside its upkeep, and what they share."""

    namespace: NamespaceService
    cluster: ClusterService
    admin: CheckingAdminService
    audit: Audit
    shared: Shared


@dataclass(frozen=True, slots=True)
class _Stored:
    """What a master starts with."""

    servers: tuple[ServerRecord, ...]
    intents: tuple[IntentId, ...]
    groups: GroupMap
    leader: LeaderRow
    switches: Switches
    settled_sequence: int
    transaction: int


async def open_master(
    store: Store,
    *,
    clock: Clock,
    random: Random,
    policy: Policy,
    version: str,
    upkeep: UpkeepConfig = UPKEEP_DEFAULT,
    peers: Peers | None = None,
) -> Master:
    """Start a master on a store; an empty one becomes a new cluster with ``policy``, others keep theirs.

    Args:
        peers: the chunkservers, for the check of the cluster; without them, there is none.

    Raises:
        NotReady: reason ``SCHEMA_TOO_NEW``.
        Unavailable, CommitUnknown: the store does not work.
    """
    fresh = ClusterRecord(ClusterId(random.uuid()), random.uuid(), policy)
    now_ns = clock.wall_ns()
    cluster = await store.write(lambda tx: open_cluster(tx, fresh, now_ns))
    stored = await store.read(_load)
    now_s = clock.monotonic_s()
    live = membership.Membership(stored.servers, now_s)
    leadership = Leadership(random.uuid())
    leadership.see(stored.leader, now_s)
    orders = OrderBook(live, upkeep.settings(scrub_is_paused=stored.switches.scrub_is_paused), now_s)
    orders.settled_sequence, orders.transaction = stored.settled_sequence, stored.transaction
    shared = Shared(
        store=store,
        clock=clock,
        random=random,
        version=version,
        cluster=cluster,
        membership=live,
        leases=Leases(stored.intents, now_s),
        allocator=Allocator(store=store, clock=clock, membership=live, policy=cluster.policy, groups=stored.groups),
        holdings=Holdings(),
        leadership=leadership,
        orders=orders,
        upkeep=upkeep,
        switches=stored.switches,
    )
    shared.collection = collector = await open_collector(shared)
    return Master(
        namespace=NamespaceService(shared),
        cluster=ClusterService(shared),
        admin=CheckingAdminService(shared, collector, peers),
        audit=Audit(shared, peers, collector.sightings),
        shared=shared,
    )


def _load(tx: Transaction) -> _Stored:
    return _Stored(
        servers=server_rows.load_servers(tx),
        intents=writes.live_intents(tx),
        groups=load_groups(tx),
        leader=leader.read(tx),
        switches=switches.read(tx),
        settled_sequence=read_settled_sequence(tx),
        transaction=counters.read(tx, "txn"),
    )
