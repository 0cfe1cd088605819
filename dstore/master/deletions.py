"""The rows behind the collection: what is due, who holds it, and the end of a row once every copy is gone.

Each function is the work of one transaction. Invariant 8 is checked where rows are chosen and again where they go:
a chunk that stands in ``chunks`` or ``intent_chunks`` is neither ordered nor forgotten, whatever else is written.
"""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from dstore.core.groups import MemberState
from dstore.core.ids import ChunkId, GroupId, ServerId
from dstore.core.limits import COLLECT_ROWS_MAX, DISCARDS_OUTSTANDING_MAX, DISCARDS_PER_ORDER_MAX
from dstore.master import counters, history, retention
from dstore.master.discards import DueChunk, Finished, Owed
from dstore.master.facts import read_settled_sequence
from dstore.master.store.base import Transaction, batches, expand
from dstore.master.strays import GroupFacts, Holding, Writing

#: Of what one server owes, at least so much is looked at in each round, however many owe something.
_OWED_SHARE_MIN = 16


@dataclass(frozen=True, slots=True)
class Unapproved:
    """How many rows are past their grace that no operator has approved.

    Attributes:
        approved_s, before_s: running times: rows after the first, up to the second, are counted.
        counts: by group.
    """

    approved_s: int
    before_s: int
    counts: Mapping[GroupId, int]

    def without(self, gone: Iterable[DueChunk]) -> "Unapproved":
        """Return what is left when the rows of these chunks are gone."""
        counts = Counter(self.counts)
        counts.subtract(chunk.chunk_id.group_id for chunk in gone if not chunk.is_approved)
        return replace(self, counts={group_id: count for group_id, count in counts.items() if count})


@dataclass(frozen=True, slots=True)
class Due:
    """What may be deleted now.

    Attributes:
        chunks: the oldest of them, up to a bound.
        unapproved: how many there are in all that no operator has approved.
        before_s: running time: rows up to it are past their grace.
        owed: copies that servers may have which were away when the rows went.
    """

    chunks: tuple[DueChunk, ...]
    unapproved: Unapproved
    before_s: int
    owed: tuple[Owed, ...]


def read_due(
    tx: Transaction,
    grace_s: int,
    approved_s: int,
    present: Container[ServerId] = frozenset(),
    known: Unapproved | None = None,
) -> Due:
    """Return what is due, with what servers owe: also those that are away, who have to hear it when they join.

    Of the latter, those that are ``present`` come first.

    Args:
        known: what was counted before, without the rows that are gone since then; only what is new is counted.
    """
    before_s = counters.read(tx, "running_s") - grace_s
    rows = tx.execute(
        "SELECT d.group_id, d.sequence, d.deleted_running_s FROM deleted_chunks d "
        "WHERE d.deleted_running_s <= ? "
        "AND NOT EXISTS (SELECT 1 FROM chunks c WHERE c.group_id = d.group_id AND c.sequence = d.sequence) "
        "AND NOT EXISTS (SELECT 1 FROM intent_chunks i WHERE i.sequence = d.sequence) "
        "ORDER BY d.deleted_running_s, d.group_id, d.sequence LIMIT ?",
        (before_s, DISCARDS_OUTSTANDING_MAX),
    )
    # A row is written with the running time of that moment: with a grace, none is added to what was counted.
    fits = known is not None and grace_s > 0 and known.approved_s == approved_s and known.before_s <= before_s
    return Due(
        tuple(DueChunk(ChunkId(group_id, sequence), at_s <= approved_s) for group_id, sequence, at_s in rows),
        _count(tx, known if fits and known is not None else Unapproved(approved_s, approved_s, {}), before_s),
        before_s,
        _read_owed(tx, present),
    )


def _count(tx: Transaction, known: Unapproved, before_s: int) -> Unapproved:
    counts = Counter(known.counts)
    if known.before_s < before_s:
        counts.update(
            dict(
                tx.execute(
                    "SELECT group_id, COUNT(*) FROM deleted_chunks WHERE deleted_running_s > ? "
                    "AND deleted_running_s <= ? GROUP BY group_id",
                    (known.before_s, before_s),
                )
            )
        )
    return Unapproved(known.approved_s, before_s, counts)


def _debtors(tx: Transaction) -> Iterator[ServerId]:
    """Yield the servers that owe something; one look into the index for each, however much it is."""
    last = ""
    while rows := tx.execute(
        "SELECT server_id FROM owed_discards WHERE server_id > ? ORDER BY server_id LIMIT 1", (last,)
    ):
        last = rows[0][0]
        yield ServerId(last)


def _read_owed(tx: Transaction, present: Container[ServerId]) -> tuple[Owed, ...]:
    """Return some of what each server owes, bounded in all: first those that can pay, then the others alike."""
    debtors = sorted(_debtors(tx), key=lambda each: each not in present)
    owed: list[Owed] = []
    for index, server_id in enumerate(debtors):
        left = DISCARDS_OUTSTANDING_MAX - len(owed)
        share = left if server_id in present else left // (len(debtors) - index)
        rows = tx.execute(
            "SELECT group_id, sequence FROM owed_discards WHERE server_id = ? LIMIT ?",
            (server_id, min(DISCARDS_PER_ORDER_MAX, max(_OWED_SHARE_MIN, share))),
        )
        owed += [Owed(server_id, ChunkId(group_id, sequence)) for group_id, sequence in rows]
    return tuple(owed)


def finish(
    tx: Transaction, finished: Sequence[Finished], away: frozenset[ServerId], unheard: frozenset[ServerId]
) -> frozenset[ChunkId]:
    """Remove the rows of chunks whose last copies are gone; return them.

    Servers that are ``away`` could not be asked, and former members that are ``unheard`` may have written since their
    last report: what they may still hold is remembered for them.
    """
    groups = read_groups(tx, {each.chunk.chunk_id.group_id for each in finished})
    gone = [
        each.chunk.chunk_id
        for each in finished
        if each.chunk.chunk_id.group_id in groups
        and groups[each.chunk.chunk_id.group_id].members.keys() - away <= each.confirmed
        and not _is_used(tx, each.chunk.chunk_id)
    ]
    if not gone:
        return frozenset()
    history.begin(tx)
    known = {server_id for (server_id,) in tx.execute("SELECT server_id FROM servers")}
    confirmed = {each.chunk.chunk_id: each.confirmed for each in finished}
    tx.execute_many(
        "INSERT INTO owed_discards (server_id, group_id, sequence) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [
            (server_id, each.group_id, each.sequence)
            for server_id in sorted((away | unheard) & known)
            for each in gone
            if server_id in away or server_id not in confirmed[each]
        ],
    )
    tx.execute_many(
        "DELETE FROM deleted_chunks WHERE group_id = ? AND sequence = ?",
        [(each.group_id, each.sequence) for each in gone],
    )
    counters.add(tx, "deleted_chunks", -len(gone))
    return frozenset(gone)


def forget_owed(tx: Transaction, paid: Iterable[Owed], dropped: Iterable[Holding]) -> None:
    """Remove what servers do not owe any more: chunks that they discarded, groups that they hold nothing of."""
    tx.execute_many(
        "DELETE FROM owed_discards WHERE server_id = ? AND group_id = ? AND sequence = ?",
        [(each.server_id, each.chunk_id.group_id, each.chunk_id.sequence) for each in paid],
    )
    tx.execute_many(
        "DELETE FROM owed_discards WHERE server_id = ? AND group_id = ?",
        [(each.server_id, each.group_id) for each in dropped],
    )
    known = {server_id for (server_id,) in tx.execute("SELECT server_id FROM servers")}
    removed = [server_id for server_id in _debtors(tx) if server_id not in known]
    tx.execute_many("DELETE FROM owed_discards WHERE server_id = ?", [(server_id,) for server_id in removed])


def has_ended(tx: Transaction, horizon_txn: int) -> bool:
    """Whether versions are past their retention."""
    return any(
        tx.execute(f"SELECT 1 FROM {view} WHERE to_txn <= ? LIMIT 1", (horizon_txn,))  # noqa: S608
        for view in ("ended_entries", "ended_inodes")
    )


def collect_versions(tx: Transaction, retention_s: int, now_ns: int) -> bool:
    """Give up versions that are past their retention, some at once; return whether that was all of them."""
    horizon_txn = retention.horizon(tx, retention_s)
    return not has_ended(tx, horizon_txn) or retention.collect(tx, horizon_txn, COLLECT_ROWS_MAX, now_ns=now_ns).is_done


def read_groups(tx: Transaction, group_ids: Iterable[GroupId]) -> dict[GroupId, GroupFacts]:
    """Return groups as the rows have them; those that do not exist are left out."""
    facts: dict[GroupId, GroupFacts] = {}
    for batch in batches(sorted(group_ids)):
        states: dict[GroupId, dict[ServerId, MemberState]] = {}
        for group_id, server_id, state in tx.execute(
            expand("SELECT group_id, server_id, state FROM group_members WHERE group_id IN (?*)", len(batch)),
            tuple(batch),
        ):
            states.setdefault(group_id, {})[server_id] = MemberState(state)
        for group_id, epoch, chunk_count, missing_count in tx.execute(
            expand(
                "SELECT group_id, epoch, chunk_count, missing_chunk_count FROM groups WHERE group_id IN (?*)",
                len(batch),
            ),
            tuple(batch),
        ):
            facts[group_id] = GroupFacts(epoch, chunk_count, missing_count, states.get(group_id, {}))
    return facts


def read_writing(tx: Transaction) -> Writing:
    """Return how far writes have come."""
    return Writing(counters.read(tx, "chunk_sequence"), read_settled_sequence(tx))


def _is_used(tx: Transaction, chunk_id: ChunkId) -> bool:
    return bool(
        tx.execute(
            "SELECT 1 FROM chunks WHERE group_id = ? AND sequence = ? UNION ALL "
            "SELECT 1 FROM intent_chunks WHERE sequence = ? LIMIT 1",
            (chunk_id.group_id, chunk_id.sequence, chunk_id.sequence),
        )
    )
