"""The master's side of ``Cluster``: chunkservers join and report, and are told what is wanted of them."""

from dataclasses import replace

from dstore.core.groups import ServerIdentity
from dstore.core.ids import ChunkId, GroupId, ServerId
from dstore.core.limits import HEARTBEAT_INTERVAL_S
from dstore.core.upkeep import Heartbeat, Orders, Outcomes, Registration, Standing
from dstore.master import facts, outcomes, server_rows
from dstore.master.identity import check_identity
from dstore.master.server_rows import ServerRecord
from dstore.master.shared import Shared
from dstore.master.store.base import Transaction
from dstore.master.uninterrupted import uninterrupted

#: A corrupt chunk is looked up again after this time: its file may have been committed meanwhile.
_LOOK_AGAIN_S = 30.0


class ClusterService:
    """Implements ``dstore.core.interfaces.Cluster``."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        #: By server: the corrupt chunks whose rows are stored, and since when.
        self._corrupt: dict[ServerId, tuple[frozenset[ChunkId], float]] = {}

    @uninterrupted
    async def register(self, identity: ServerIdentity) -> Registration:
        """Let a chunkserver join or come back."""
        shared = self._shared
        check_identity(identity, shared.cluster.cluster_id)
        shared.membership.check_admission(identity, shared.clock.monotonic_s())
        now_ns = shared.clock.wall_ns()

        def run(tx: Transaction) -> tuple[ServerRecord, dict[GroupId, int]]:
            # What is committed by now, its disk has to hold.
            return server_rows.store_server(tx, identity, now_ns), facts.read_expected(tx, identity.server_id)

        # Nothing comes between the row and its copy in memory, where it would undo what an operator said meanwhile.
        record, expected = await shared.store.write(run)
        shared.holdings.joining(identity.server_id, expected, shared.clock.monotonic_s())
        if shared.membership.address(identity.server_id) != record.address:
            shared.orders.forget()
        shared.membership.joined(record, shared.clock.monotonic_s())
        return Registration(
            cluster_id=shared.cluster.cluster_id,
            heartbeat_interval_s=HEARTBEAT_INTERVAL_S,
            incarnation=record.incarnation,
            orders=self._orders(identity.server_id, b""),
        )

    @uninterrupted
    async def heartbeat(self, heartbeat: Heartbeat) -> Orders:
        """Take note of what a chunkserver reports, and tell it what is wanted."""
        shared = self._shared
        shared.membership.heard(heartbeat, shared.clock.monotonic_s(), shared.clock.wall_ns())
        shared.orders.heard(heartbeat, shared.allocator.groups)
        shared.doubts.heard(heartbeat, shared.allocator.groups)
        await self._end_absence(heartbeat)
        await self._take_outcomes(heartbeat)
        await shared.collection.heard(heartbeat)
        return self._orders(heartbeat.server_id, heartbeat.assignments_digest)

    async def _end_absence(self, heartbeat: Heartbeat) -> None:
        """Take a server back that was out; not while its disk takes no writes."""
        shared = self._shared
        state = shared.membership.state(heartbeat.server_id, shared.clock.monotonic_s())
        if state is None or not state.record.is_out or heartbeat.suspicion:
            return
        record = await shared.store.write(lambda tx: server_rows.clear_out(tx, heartbeat.server_id))
        if record is not None:
            shared.membership.changed(record)

    async def _take_outcomes(self, heartbeat: Heartbeat) -> None:
        """Store what the server did; an error leaves the report unanswered, so that it is repeated."""
        shared, server_id = self._shared, heartbeat.server_id
        now_s = shared.clock.monotonic_s()
        corrupt = frozenset(heartbeat.outcomes.corrupt)
        known, since_s = self._corrupt.get(server_id, (frozenset(), now_s))
        if now_s - since_s >= _LOOK_AGAIN_S:
            known, since_s = frozenset(), now_s
        # What is intact again may become corrupt once more.
        known -= set(heartbeat.outcomes.held)
        fresh = tuple(sorted(corrupt - known))
        news: Outcomes = replace(heartbeat.outcomes, corrupt=fresh)
        if outcomes.concerns_rows(news):
            changed = await shared.store.write(lambda tx: outcomes.take(tx, server_id, news))
            shared.allocator.adopt(changed)
        if corrupt:
            self._corrupt[server_id] = corrupt, since_s
        else:
            self._corrupt.pop(server_id, None)

    def _orders(self, server_id: ServerId, known_digest: bytes) -> Orders:
        shared = self._shared
        discards, drops = shared.collection.orders_for(server_id)
        orders = shared.orders.of(
            server_id,
            shared.allocator.groups,
            Standing(shared.leadership.epoch, shared.cluster.history_id, shared.orders.transaction),
            known_digest=known_digest,
            discards=discards,
            drops=drops,
        )
        examined = shared.doubts.examined(server_id)
        return replace(orders, examined=examined) if examined else orders
