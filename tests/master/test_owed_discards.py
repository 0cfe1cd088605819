"""What is due and owed: counted and looked at within bounds, however much it is."""

import pytest
from master_harness import MasterHarness, server_id

from dstore.core.ids import ChunkId, GroupId
from dstore.core.limits import DISCARDS_OUTSTANDING_MAX, DISCARDS_PER_ORDER_MAX
from dstore.master import deletions
from dstore.master.deletions import _OWED_SHARE_MIN, Unapproved
from dstore.master.discards import DueChunk
from dstore.master.store.base import Transaction


@pytest.mark.parametrize(
    ("debtors", "present", "of_present", "of_others"),
    [
        (1, (), 0, DISCARDS_PER_ORDER_MAX),
        (2, (2,), DISCARDS_PER_ORDER_MAX, DISCARDS_PER_ORDER_MAX),
        (8, (), 0, DISCARDS_OUTSTANDING_MAX // 8),
        (8, (8,), DISCARDS_PER_ORDER_MAX, (DISCARDS_OUTSTANDING_MAX - DISCARDS_PER_ORDER_MAX) // 7),
        (7, (4, 5, 6, 7), DISCARDS_PER_ORDER_MAX, _OWED_SHARE_MIN),
    ],
)
async def test_who_is_there_pays_first_and_nobody_is_forgotten(
    empty: MasterHarness, debtors: int, present: tuple[int, ...], of_present: int, of_others: int
) -> None:
    def owe(tx: Transaction) -> None:
        tx.execute_many(
            "INSERT INTO owed_discards (server_id, group_id, sequence) VALUES (?, 1, ?)",
            [
                (server_id(number), sequence)
                for number in range(1, debtors + 1)
                for sequence in range(DISCARDS_PER_ORDER_MAX + 1)
            ],
        )

    await empty.store.write(owe)
    there = frozenset(server_id(number) for number in present)
    due = await empty.store.read(lambda tx: deletions.read_due(tx, 0, -1, there))
    counts = {number: sum(each.server_id == server_id(number) for each in due.owed) for number in range(1, debtors + 1)}
    for number, count in counts.items():
        wanted = of_present if number in present else of_others
        assert count == pytest.approx(wanted, abs=1), counts


async def delete_chunks(cluster: MasterHarness, sequences: range, *, at_s: int) -> None:
    def run(tx: Transaction) -> None:
        tx.execute_many(
            "INSERT INTO deleted_chunks (group_id, sequence, reason, deleted_ns, deleted_running_s) "
            "VALUES (?, ?, 'released', 0, ?)",
            [(1 + sequence % 2, sequence, at_s) for sequence in sequences],
        )
        tx.execute("UPDATE counters SET value = value + ? WHERE name = 'deleted_chunks'", (len(sequences),))

    await cluster.store.write(run)


async def set_running_time(cluster: MasterHarness, running_s: int) -> None:
    await cluster.store.write(
        lambda tx: tx.execute("UPDATE counters SET value = ? WHERE name = 'running_s'", (running_s,))
    )


@pytest.mark.parametrize("grace_s", [0, 1, 10])
async def test_what_is_counted_step_by_step_is_what_there_is(empty: MasterHarness, grace_s: int) -> None:
    known: Unapproved | None = None
    approved_s = -1
    for running_s in (0, 1, 5, 10, 11, 12, 20, 40):
        await set_running_time(empty, running_s)
        await delete_chunks(empty, range(running_s * 10 + 1, running_s * 10 + 8), at_s=running_s)
        if running_s == 12:
            approved_s = 1
        due = await empty.store.read(lambda tx: deletions.read_due(tx, grace_s, approved_s, frozenset(), known))  # noqa: B023
        fresh = await empty.store.read(lambda tx: deletions.read_due(tx, grace_s, approved_s))  # noqa: B023
        assert (due.unapproved, due.chunks) == (fresh.unapproved, fresh.chunks)
        known = due.unapproved
        if running_s == 11:
            gone = due.chunks[:9]
            await empty.store.write(
                lambda tx: tx.execute_many(
                    "DELETE FROM deleted_chunks WHERE group_id = ? AND sequence = ?",
                    [(each.chunk_id.group_id, each.chunk_id.sequence) for each in gone],  # noqa: B023
                )
            )
            await empty.store.write(
                lambda tx: tx.execute(
                    "UPDATE counters SET value = (SELECT COUNT(*) FROM deleted_chunks) WHERE name = 'deleted_chunks'"
                )
            )
            known = known.without(gone)
    assert sum(known.counts.values()) > 20 if known is not None else False


async def test_what_was_counted_is_not_counted_again(empty: MasterHarness) -> None:
    await set_running_time(empty, 100)
    await delete_chunks(empty, range(1, 8), at_s=50)
    known = Unapproved(-1, 60, {GroupId(7): 5})
    due = await empty.store.read(lambda tx: deletions.read_due(tx, 10, -1, frozenset(), known))
    assert due.unapproved == Unapproved(-1, 90, {GroupId(7): 5})


def test_only_rows_that_nobody_approved_are_taken_off() -> None:
    chunks = [DueChunk(ChunkId(GroupId(group), 1), approved) for group, approved in ((1, False), (1, True), (2, False))]
    assert Unapproved(3, 9, {GroupId(1): 3, GroupId(2): 1}).without(chunks) == Unapproved(3, 9, {GroupId(1): 2})


async def test_what_removed_servers_owe_is_forgotten_and_what_others_owe_is_not(cluster: MasterHarness) -> None:
    owing = [server_id(number) for number in (1, 2, 8, 9)]

    def run(tx: Transaction) -> list[object]:
        tx.execute_many(
            "INSERT INTO owed_discards (server_id, group_id, sequence) VALUES (?, 1, ?)",
            [(each, sequence) for each in owing for sequence in (1, 2)],
        )
        deletions.forget_owed(tx, (), ())
        return [row[0] for row in tx.execute("SELECT DISTINCT server_id FROM owed_discards ORDER BY server_id")]

    assert await cluster.store.write(run) == owing[:2]
