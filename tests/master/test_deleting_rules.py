"""What may be deleted, decided without a store: discards and their confirmations, stray copies, the breaker."""

from collections.abc import Container, Iterable

import pytest
from master_harness import boot_id, server_id

from dstore.core.groups import GroupEpoch, MemberState
from dstore.core.ids import BootId, ChunkId, GroupId, ServerId
from dstore.core.limits import DISCARDS_PER_ORDER_MAX, DROPS_PER_ORDER_MAX
from dstore.master.breaker import Exposure, RecentLosses, is_excessive, worst
from dstore.master.discards import Discards, DueChunk, Owed
from dstore.master.strays import GroupFacts, Holding, StrayWatch, Writing, find_strays, lacks_nothing

G1, G2 = GroupId(1), GroupId(2)
A, B, C, D = (server_id(number) for number in range(1, 5))
WHOLE = MemberState.WHOLE


def chunk(sequence: int, group_id: GroupId = G1) -> ChunkId:
    return ChunkId(group_id, sequence)


def due(*sequences: int, group_id: GroupId = G1) -> list[DueChunk]:
    return [DueChunk(chunk(sequence, group_id), False) for sequence in sequences]


def finished(discards: Discards) -> list[int]:
    return [each.chunk.chunk_id.sequence for each in discards.finished(100)]


# --- Discards --------------------------------------------------------------------------------------------------


def plan(
    discards: Discards,
    due_now: list[DueChunk],
    owed: list[Owed],
    holders: dict[GroupId, frozenset[ServerId]],
    present: Container[ServerId] = (),
    now_s: float = 0.0,
) -> None:
    discards.plan(due_now, owed, holders, present, now_s=now_s, validity_s=10.0)


def hear(
    discards: Discards,
    server_id: ServerId,
    boot: BootId,
    discarded: Iterable[ChunkId],
    settled_sequence: int,
    now_s: float = 0.0,
) -> None:
    """A server that was told reports."""
    discards.orders_for(server_id, now_s)
    discards.heard(server_id, boot, discarded, settled_sequence)


def test_every_holder_is_told_until_it_has_confirmed() -> None:
    discards = Discards()
    plan(discards, due(5, 6), [], {G1: frozenset({A, B})})
    assert discards.orders_for(A, 0.0) == discards.orders_for(B, 0.0) == (chunk(5), chunk(6))
    assert discards.orders_for(C, 0.0) == ()
    hear(discards, A, boot_id(1), [chunk(5)], 100)
    assert (discards.orders_for(A, 0.0), discards.orders_for(B, 0.0)) == ((chunk(6),), (chunk(5), chunk(6)))
    assert finished(discards) == []
    plan(discards, due(5, 6), [], {G1: frozenset({A, B})})
    assert discards.orders_for(A, 0.0) == (chunk(6),)
    hear(discards, B, boot_id(2), [chunk(5), chunk(6)], 100)
    assert finished(discards) == [5]


@pytest.mark.parametrize(("settled_sequence", "counts"), [(0, False), (5, False), (6, True)])
def test_a_confirmation_counts_once_no_writer_can_come_back(settled_sequence: int, counts: bool) -> None:
    discards = Discards()
    plan(discards, due(5), [], {G1: frozenset({A})})
    hear(discards, A, boot_id(1), [chunk(5)], settled_sequence)
    assert finished(discards) == ([5] if counts else [])
    assert discards.orders_for(A, 0.0) == (() if counts else (chunk(5),))


def test_another_run_of_a_server_has_to_confirm_again() -> None:
    discards = Discards()
    plan(discards, due(5), [Owed(A, chunk(3))], {G1: frozenset({A})})
    hear(discards, A, boot_id(1), [chunk(5), chunk(3)], 100)
    assert (finished(discards), discards.paid(9)) == ([5], (Owed(A, chunk(3)),))
    hear(discards, A, boot_id(2), [], 100)
    assert (finished(discards), discards.paid(9)) == ([], ())


def test_what_a_server_owes_that_is_back_is_ordered_of_all_who_may_have_copied_it_again() -> None:
    discards, owed, holders = Discards(), [Owed(C, chunk(3))], {G1: frozenset({A, B})}
    plan(discards, [], owed, holders, present={A, B})
    assert [discards.orders_for(each, 0.0) for each in (A, B, C)] == [(), (), (chunk(3),)]
    plan(discards, [], owed, holders, present={A, B, C})
    assert [discards.orders_for(each, 0.0) for each in (A, B, C)] == [(chunk(3),)] * 3
    hear(discards, C, boot_id(3), [chunk(3)], 100)
    hear(discards, A, boot_id(1), [chunk(3)], 100)
    assert discards.paid(9) == ()
    plan(discards, [], owed, holders, present={A, B, C})
    assert [discards.orders_for(each, 0.0) for each in (A, B, C)] == [(), (chunk(3),), ()]
    hear(discards, B, boot_id(2), [chunk(3)], 100)
    assert discards.paid(9) == (Owed(C, chunk(3)),)


def test_a_new_member_has_to_confirm_too() -> None:
    discards = Discards()
    plan(discards, due(5), [], {G1: frozenset({A})})
    hear(discards, A, boot_id(1), [chunk(5)], 100)
    plan(discards, due(5), [], {G1: frozenset({A, B})})
    assert finished(discards) == []
    assert discards.orders_for(B, 0.0) == (chunk(5),)


def test_a_group_whose_holders_are_not_known_is_never_finished() -> None:
    discards = Discards()
    plan(discards, due(5), [], {})
    assert finished(discards) == []
    plan(discards, due(5), [], {G1: frozenset()})
    assert finished(discards) == [5]


def test_withdrawing_forgets_orders_and_confirmations() -> None:
    discards = Discards()
    plan(discards, due(5, 6), [Owed(B, chunk(3))], {G1: frozenset({A, B})})
    hear(discards, A, boot_id(1), [chunk(5)], 100)
    hear(discards, B, boot_id(2), [chunk(5), chunk(3)], 100)
    discards.withdraw()
    assert (discards.orders_for(A, 0.0), discards.orders_for(B, 0.0), discards.ordered_count) == ((), (), 0)
    assert (finished(discards), discards.paid(9)) == ([], ())
    plan(discards, due(5, 6), [], {G1: frozenset({A, B})})
    assert finished(discards) == []


def test_what_was_not_ordered_is_not_confirmed() -> None:
    discards = Discards()
    plan(discards, due(5), [], {G1: frozenset({A})})
    hear(discards, A, boot_id(1), [chunk(7)], 100)
    plan(discards, due(7), [], {G1: frozenset({A})})
    assert finished(discards) == []


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_orders_fit_a_message(extra: int) -> None:
    discards = Discards()
    count = DISCARDS_PER_ORDER_MAX + extra
    plan(discards, due(*range(count)), [], {G1: frozenset({A})})
    first = discards.orders_for(A, 0.0)
    assert len(first) == min(count, DISCARDS_PER_ORDER_MAX)
    hear(discards, A, boot_id(1), first, count)
    assert len(discards.orders_for(A, 0.0)) == max(0, extra)


def test_a_server_is_told_what_it_owes() -> None:
    discards = Discards()
    plan(discards, [], [Owed(A, chunk(3))], {})
    assert (discards.orders_for(A, 0.0), discards.orders_for(B, 0.0)) == ((chunk(3),), ())
    hear(discards, B, boot_id(2), [chunk(3)], 100)
    assert discards.paid(9) == ()
    hear(discards, A, boot_id(1), [chunk(3)], 100)
    assert discards.paid(9) == (Owed(A, chunk(3)),)
    assert discards.orders_for(A, 0.0) == ()


def test_confirmations_count_together_only_when_they_are_of_one_time() -> None:
    discards, holders = Discards(), {G1: frozenset({A, B})}
    plan(discards, due(5), [], holders)
    hear(discards, A, boot_id(1), [chunk(5)], 100)
    plan(discards, due(5), [], holders, now_s=10.0)
    assert discards.orders_for(A, 10.0) == ()
    plan(discards, due(5), [], holders, now_s=10.1)
    assert discards.orders_for(A, 10.1) == (chunk(5),), "it may have copied it again from the other"
    hear(discards, B, boot_id(2), [chunk(5)], 100, now_s=10.1)
    assert finished(discards) == []
    discards.heard(A, boot_id(1), [chunk(5)], 100)
    assert finished(discards) == [5]


def test_a_confirmation_is_as_old_as_its_order() -> None:
    discards, holders = Discards(), {G1: frozenset({A, B})}
    plan(discards, due(5), [], holders)
    assert discards.orders_for(A, 0.0) == (chunk(5),)
    plan(discards, due(5), [], holders, now_s=9.0)
    hear(discards, A, boot_id(1), [chunk(5)], 100, now_s=9.0)
    plan(discards, due(5), [], holders, now_s=11.0)
    assert discards.orders_for(A, 11.0) == (chunk(5),)


def test_what_was_never_told_is_not_confirmed() -> None:
    discards = Discards()
    plan(discards, due(5), [], {G1: frozenset({A})})
    discards.heard(A, boot_id(1), [chunk(5)], 100)
    assert finished(discards) == []
    assert discards.orders_for(A, 0.0) == (chunk(5),)


# --- Strays ----------------------------------------------------------------------------------------------------

MEMBERS = {A: WHOLE, B: WHOLE, C: WHOLE}
QUIET = Writing(7, 8)
REPORTS = {A: {G1: 5}, B: {G1: 5}, C: {G1: 6}, D: {G1: 4}}


def test_strays_are_copies_of_known_groups_on_servers_that_are_no_members() -> None:
    reports = {A: {G1: 5, G2: 1}, D: {G1: 4, GroupId(9): 1}}
    assert find_strays(reports, {A: {G1}}, {G1, G2}) == {Holding(A, G2), Holding(D, G1)}


@pytest.mark.parametrize(
    ("facts", "reports", "expected"),
    [
        (GroupFacts(4, 5, 0, MEMBERS), REPORTS, True),
        (GroupFacts(4, 5, 1, MEMBERS), REPORTS, False),
        (GroupFacts(4, 6, 0, MEMBERS), REPORTS, False),
        (GroupFacts(4, 5, 0, {A: WHOLE, B: WHOLE}), REPORTS, False),
        (GroupFacts(4, 5, 0, MEMBERS | {C: MemberState.FILLING}), REPORTS, False),
        (GroupFacts(4, 5, 0, MEMBERS | {C: MemberState.LEAVING}), REPORTS, False),
        (GroupFacts(4, 5, 0, MEMBERS), {A: {G1: 5}, B: {G1: 5}, D: {G1: 4}}, False),
        (GroupFacts(4, 0, 0, MEMBERS), {A: {}, B: {G1: 5}, C: {G1: 5}}, False),
    ],
    ids=[
        "whole",
        "missing",
        "too few chunks",
        "too few members",
        "filling",
        "leaving",
        "one not up",
        "one has nothing",
    ],
)
def test_a_copy_is_of_no_use_only_when_the_members_lack_nothing(
    facts: GroupFacts, reports: dict[ServerId, dict[GroupId, int]], expected: bool
) -> None:
    assert lacks_nothing(G1, facts, reports, replicas=3) is expected


def anything(holding: Holding, epoch: int, newest_sequence: int) -> bool:
    """As if everybody had looked at all disks."""
    return True


def test_what_was_looked_at_is_the_present_group_with_all_that_this_copy_may_have() -> None:
    watch, asked = StrayWatch(), []
    watch.see(frozenset({Holding(D, G1)}), 0.0, 0.0)

    def refuse(holding: Holding, epoch: int, newest_sequence: int) -> bool:
        asked.append((holding, epoch, newest_sequence))
        return False

    for newest_sequence in (70, 80):
        writing = Writing(newest_sequence, 100)
        facts = {G1: GroupFacts(4, 5, 0, MEMBERS)}
        watch.plan(facts, REPORTS, writing, replicas=3, now_s=0.0, grace_s=0.0, may_go=refuse)
        assert watch.orders_for(D) == ()
    assert asked == [(Holding(D, G1), 4, 70)] * 2


def test_a_stray_copy_is_dropped_after_its_grace() -> None:
    watch = StrayWatch()
    facts = {G1: GroupFacts(4, 5, 0, MEMBERS)}
    stray = frozenset({Holding(D, G1)})

    def orders(now_s: float, seen: frozenset[Holding]) -> tuple[GroupEpoch, ...]:
        ripe = watch.see(seen, now_s, 60.0)
        watch.plan({g: facts[g] for g in ripe}, REPORTS, QUIET, replicas=3, now_s=now_s, grace_s=60.0, may_go=anything)
        return watch.orders_for(D)

    assert orders(0.0, stray) == orders(59.9, stray) == ()
    assert orders(60.0, stray) == (GroupEpoch(G1, 4),)
    assert watch.orders_for(A) == ()
    assert orders(61.0, frozenset()) == (), "it became a member"
    assert orders(62.0, stray) == orders(121.9, stray) == ()
    assert orders(122.0, stray) == (GroupEpoch(G1, 4),)
    watch.withdraw()
    assert (watch.orders_for(D), watch.stray_count) == ((), 0)
    assert orders(123.0, stray) == ()


def test_a_stray_copy_is_kept_for_the_writes_that_were_in_progress_when_its_grace_was_over() -> None:
    watch = StrayWatch()
    stray = frozenset({Holding(D, G1)})

    def orders(now_s: float, newest_sequence: int, settled_sequence: int) -> int:
        watch.see(stray, now_s, 60.0)
        writing = Writing(newest_sequence, settled_sequence)
        facts = {G1: GroupFacts(4, 5, 0, MEMBERS)}
        watch.plan(facts, REPORTS, writing, replicas=3, now_s=now_s, grace_s=60.0, may_go=anything)
        return len(watch.orders_for(D))

    assert orders(0.0, 50, 51) == 0
    assert orders(60.0, 100, 3) == 0
    # Later ones do not matter: no write of them can have come here.
    assert [orders(61.0, 200, each) for each in (99, 100, 101)] == [0, 0, 1]
    watch.see(frozenset(), 62.0, 60.0)
    watch.see(stray, 63.0, 60.0)
    assert [orders(123.0, 200, each) for each in (101, 200, 201)] == [0, 0, 1]


def test_a_member_is_never_told_to_drop_its_group() -> None:
    watch = StrayWatch()
    assert watch.see(frozenset({Holding(C, G1)}), 0.0, 0.0) == {G1}
    facts = {G1: GroupFacts(4, 5, 0, MEMBERS)}
    watch.plan(facts, REPORTS, QUIET, replicas=3, now_s=0.0, grace_s=0.0, may_go=anything)
    assert watch.orders_for(C) == ()


def test_drops_of_one_server_are_bounded() -> None:
    watch = StrayWatch()
    ids = [GroupId(number) for number in range(1, DROPS_PER_ORDER_MAX + 2)]
    reports = {each: dict.fromkeys(ids, 5) for each in (A, B, C, D)}
    facts = {group_id: GroupFacts(4, 5, 0, MEMBERS) for group_id in ids}
    watch.see(frozenset(Holding(D, group_id) for group_id in ids), 0.0, 0.0)
    watch.plan(facts, reports, QUIET, replicas=3, now_s=0.0, grace_s=0.0, may_go=anything)
    assert len(watch.orders_for(D)) == DROPS_PER_ORDER_MAX


# --- The breaker -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "lost", "due_count", "expected"),
    [
        (10, 0, 10, False),
        (100, 0, 100, False),
        (101, 0, 101, True),
        (404, 0, 101, False),
        (403, 0, 101, True),
        (400, 0, 100, False),
        (303, 101, 0, False),
        (302, 101, 0, True),
        (300, 50, 50, False),
        (200, 50, 51, True),
        (0, 0, 101, False),
        (100, 0, 500, False),
        (101, 0, 500, True),
        (0, 0, 0, False),
    ],
)
def test_more_than_a_quarter_and_more_than_a_hundred_is_too_much(
    held: int, lost: int, due_count: int, expected: bool
) -> None:
    assert is_excessive(Exposure(A, held, lost, due_count)) is expected


def test_the_server_that_would_lose_most_is_named() -> None:
    fine, bad, worse = Exposure(A, 1000, 0, 200), Exposure(B, 1000, 0, 300), Exposure(C, 1000, 100, 400)
    assert worst([fine, bad, worse], 0.26) == worse
    assert worst([fine, bad, worse], 0.25) is None
    assert worst([fine], 1.0) is None
    assert worst([], 1.0) is None


def test_losses_count_for_an_hour() -> None:
    losses = RecentLosses()
    losses.add(A, 3, 0.0)
    losses.add(A, 4, 30.0)
    losses.add(A, 5, 1800.0)
    losses.add(B, 1, 1800.0)
    assert (losses.of(A, 1800.0), losses.of(B, 1800.0), losses.of(C, 1800.0)) == (12, 1, 0)
    assert losses.of(A, 3630.0) == 12
    assert losses.of(A, 3660.0) == 5
    assert losses.of(A, 5460.0) == 0
