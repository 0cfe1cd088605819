"""One master: its services, put together over a store."""

from dataclasses import dataclass

from dstore.core.environment import Clock, Random
from dstore.core.files import Policy
from dstore.core.ids import ClusterId
from dstore.master import membership, server_rows, writes
from dstore.master.admin import AdminService
from dstore.master.allocator import Allocator
from dstore.master.group_map import load_groups
from dstore.master.holdings import Holdings
from dstore.master.leases import Leases
from dstore.master.reports import ClusterService
from dstore.master.service import NamespaceService
from dstore.master.shared import Shared
from dstore.master.store.base import Store
from dstore.master.store.schema import ClusterRecord, open_cluster


@dataclass(frozen=True, slots=True)
class Master:
    """The three services of a master, and what they share."""

    namespace: NamespaceService
    cluster: ClusterService
    admin: AdminService
    shared: Shared


async def open_master(store: Store, *, clock: Clock, random: Random, policy: Policy, version: str) -> Master:
    """Start a master on a store; an empty one becomes a new cluster with ``policy``, others keep theirs.

    Raises:
        NotReady: reason ``SCHEMA_TOO_NEW``.
        Unavailable, CommitUnknown: the store does not work.
    """
    fresh = ClusterRecord(ClusterId(random.uuid()), random.uuid(), policy)
    now_ns = clock.wall_ns()
    cluster = await store.write(lambda tx: open_cluster(tx, fresh, now_ns))
    servers = await store.read(server_rows.load_servers)
    intents = await store.read(writes.live_intents)
    groups = await store.read(load_groups)
    live = membership.Membership(servers, clock.monotonic_s())
    shared = Shared(
        store=store,
        clock=clock,
        random=random,
        version=version,
        cluster=cluster,
        membership=live,
        leases=Leases(intents, clock.monotonic_s()),
        allocator=Allocator(store=store, clock=clock, membership=live, policy=cluster.policy, groups=groups),
        holdings=Holdings(),
    )
    return Master(NamespaceService(shared), ClusterService(shared), AdminService(shared), shared)
