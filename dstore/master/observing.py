"""Reads what is stored, and brings what this master keeps in memory up to it."""

from dstore.master.facts import Facts, read_facts
from dstore.master.shared import Shared


async def observe(shared: Shared) -> Facts:
    """Return what is stored now; the groups in memory are at least as new."""
    now_s = shared.clock.monotonic_s()
    states = shared.membership.states(now_s)
    readable = frozenset(server_id for server_id, state in states.items() if state.is_readable)
    groups = shared.allocator.groups
    facts = await shared.store.read(lambda tx: read_facts(tx, groups, readable))
    await shared.allocator.catch_up(facts.counters["group_changes"])
    await shared.allocator.know(facts.groups)
    shared.leadership.see(facts.leader, now_s)
    shared.orders.settled_sequence = max(shared.orders.settled_sequence, facts.settled_sequence)
    shared.orders.transaction = max(shared.orders.transaction, facts.counters["txn"])
    return facts
