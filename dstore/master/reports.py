"""The master's side of ``Cluster``: chunkservers join and report, and are told what is wanted of them."""

from dstore.core.groups import ServerIdentity
from dstore.core.ids import ServerId
from dstore.core.limits import (
    COPY_BYTES_PER_S_DEFAULT,
    HEARTBEAT_INTERVAL_S,
    SCRUB_PERIOD_DEFAULT_S,
    TRASH_DELAY_DEFAULT_S,
)
from dstore.core.upkeep import Heartbeat, Orders, Registration, Standing, UpkeepSettings
from dstore.master import server_rows, status
from dstore.master.identity import check_identity
from dstore.master.orders import assignments_digest, assignments_of
from dstore.master.shared import Shared


class ClusterService:
    """Implements ``dstore.core.interfaces.Cluster``."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def register(self, identity: ServerIdentity) -> Registration:
        """Let a chunkserver join or come back."""
        shared = self._shared
        check_identity(identity, shared.cluster.cluster_id)
        shared.membership.check_admission(identity, shared.clock.monotonic_s())
        now_ns = shared.clock.wall_ns()
        record = await shared.store.write(lambda tx: server_rows.store_server(tx, identity, now_ns))
        # Read before it has joined: whatever is committed by now, its disk has to hold.
        facts = await shared.store.read(lambda tx: status.read_facts(tx, shared.allocator.groups, frozenset()))
        expected = status.expected_chunks(facts, shared.allocator.groups)
        shared.holdings.joining(identity.server_id, expected.get(identity.server_id, 0))
        shared.membership.joined(record, shared.clock.monotonic_s())
        return Registration(
            cluster_id=shared.cluster.cluster_id,
            heartbeat_interval_s=HEARTBEAT_INTERVAL_S,
            incarnation=record.incarnation,
            orders=self._orders(identity.server_id, b""),
        )

    async def heartbeat(self, heartbeat: Heartbeat) -> Orders:
        """Take note that a chunkserver is alive."""
        self._shared.membership.heard(heartbeat, self._shared.clock.monotonic_s())
        await self._shared.collection.heard(heartbeat)
        return self._orders(heartbeat.server_id, heartbeat.assignments_digest)

    def _orders(self, server_id: ServerId, known_digest: bytes) -> Orders:
        shared = self._shared
        states = shared.membership.states(shared.clock.monotonic_s())
        assignments = assignments_of(server_id, shared.allocator.groups, states)
        digest = assignments_digest(assignments)
        discards, drops = shared.collection.orders_for(server_id)
        return Orders(
            standing=Standing(0, shared.cluster.history_id, 0),
            settled_sequence=0,
            assignments=None if digest == known_digest else assignments,
            assignments_digest=digest,
            missing=(),
            discards=discards,
            drops=drops,
            settings=UpkeepSettings(SCRUB_PERIOD_DEFAULT_S, False, COPY_BYTES_PER_S_DEFAULT, TRASH_DELAY_DEFAULT_S),
        )
