"""What servers owe that were away: bounded, however many they are."""

import pytest
from master_harness import MasterHarness, server_id

from dstore.core.limits import DISCARDS_OUTSTANDING_MAX, DISCARDS_PER_ORDER_MAX
from dstore.master import deletions
from dstore.master.deletions import _OWED_SHARE_MIN
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
