"""How disks are filled evenly: with few moves, within the rules, and once."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from master_harness import server_id
from planner_model import FILLING, GIB, LEAVING, WHOLE, Cluster, group, numbers, placed, policy, server, servers

from dstore.core.groups import Capacity, Duty, ServerPhase
from dstore.core.ids import GroupId, ServerId
from dstore.core.limits import BALANCE_TOLERANCE, FILL_PLACEMENT_MAX
from dstore.master.balance import BalancePlan, Move, begin_moves, plan_balance
from dstore.master.placement import ServerView, domain_of, plan_groups
from dstore.master.repair import plan_repair, plan_settle
from dstore.master.views import PlannedGroup, PlannedMember, PlannedServer, PlannerLimits

NO_LIMITS = PlannerLimits(10_000, 10_000, 5_000, 5_000, 10_000)


def filled(known: Sequence[PlannedServer], groups: Iterable[PlannedGroup]) -> list[PlannedServer]:
    """Return the servers with what their groups take on the disk."""
    used = Counter({each.server_id: 0 for each in known})
    for each in groups:
        for member in each.members:
            used[member.server_id] += each.chunk_bytes
    return [replace(each, capacity=Capacity(each.capacity.total_bytes, used[each.server_id])) for each in known]


def moved(groups: Sequence[PlannedGroup], moves: Iterable[Move]) -> list[PlannedGroup]:
    """Return the groups as they are when all moves are done."""
    members = {each.group_id: [member.server_id for member in each.members] for each in groups}
    for move in moves:
        found = members[move.group_id]
        assert move.target not in found
        found[found.index(move.source)] = move.target
    return [
        replace(each, members=tuple(PlannedMember(found, WHOLE) for found in members[each.group_id])) for each in groups
    ]


def fills(known: Iterable[PlannedServer]) -> dict[ServerId, float]:
    return {each.server_id: each.capacity.fill for each in known}


def distance(known: Sequence[PlannedServer]) -> float:
    """Return how far the fullest or the emptiest disk is from the mean."""
    mean = sum(each.capacity.used_bytes for each in known) / sum(each.capacity.total_bytes for each in known)
    return max(abs(fill - mean) for fill in fills(known).values())


def memberships(groups: Iterable[PlannedGroup]) -> Counter[int]:
    return Counter(*(numbers(m.server_id for each in groups for m in each.members),))


def made(
    count: int, size: int, *, known: Sequence[PlannedServer], failure_domain: str = "server"
) -> list[PlannedGroup]:
    """Return so many groups on these servers, as placement would spread them."""
    views = [ServerView(each.server_id, each.labels, each.phase, Capacity(1000, 0)) for each in known]
    found: list[tuple[ServerId, ...]] = []
    while len(found) < count:
        found += plan_groups(views, (), policy(failure_domain=failure_domain))
    return placed(found[:count], size)


def shown(plan: BalancePlan) -> list[str]:
    return [f"{move.group_id}: {numbers([move.source])[0]}→{numbers([move.target])[0]}" for move in plan.moves]


def two_disks(first: int, second: int, total: int = 100, *, policy_replicas: int = 1) -> list[str]:
    """Return the moves for two disks with so many groups of one percent each."""
    known = [server(1, total=total * GIB), server(2, total=total * GIB)]
    groups = [group("1W", number=number) for number in range(1, first + 1)]
    groups += [group("2W", number=number) for number in range(first + 1, first + second + 1)]
    plan = plan_balance(filled(known, groups), groups, policy(policy_replicas))
    assert plan.refusal is None
    return shown(plan)


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [(50, 50, 0), (54, 46, 0), (55, 45, 0), (56, 44, 2), (57, 43, 3), (60, 40, 6), (44, 56, 2), (80, 20, 26)],
)
def test_fill_is_evened_out_past_the_tolerance_to_a_bit_within_it(first: int, second: int, count: int) -> None:
    moves = two_disks(first, second)
    assert len(moves) == count
    assert all(move.endswith("1→2" if first > second else "2→1") for move in moves)


def test_one_fitting_group_moves_and_not_several_small_ones() -> None:
    known = [server(1, total=100 * GIB), server(2, total=100 * GIB)]
    sizes = [1, 2, 3, 7, 9, 30]
    groups = [group("1W", number=number, size=size * GIB) for number, size in enumerate(sizes, start=1)]
    groups += [group("2W", number=number, size=8 * GIB) for number in range(7, 11)]
    plan = plan_balance(filled(known, groups), groups, policy(1))
    assert [move.bytes for move in plan.moves] == [7 * GIB], "of 52 and 32, 6 to 14 have to move"
    assert (round(plan.spread_before, 3), round(plan.spread_after, 3)) == (0.10, 0.03)
    assert plan.bytes == 7 * GIB


def test_a_group_that_is_too_large_stays() -> None:
    known = [server(1, total=100 * GIB), server(2, total=100 * GIB)]
    groups = [group("1W", number=1, size=60 * GIB), group("2W", number=2, size=20 * GIB)]
    plan = plan_balance(filled(known, groups), groups, policy(1))
    assert plan.moves == ()
    assert plan.refusal == (
        "Data cannot be spread more evenly: the data of cs-2 takes 20% of its disk and the mean is 40%, but no group "
        "that could move fits: the other chunkservers hold a copy of it, share a server with one, or would get too "
        "full; add chunkservers."
    )


#: (percent that three disks hold in groups of five percent, percent used by others, whether something moves)
FULL = [
    ([90, 90, 75], [0, 0, 0], True),
    ([95, 95, 85], [0, 0, 0], False),
    ([95, 95, 65], [0, 0, 19], True),
    ([95, 95, 65], [0, 0, 20], False),
    ([60, 60, 30], [30, 30, 54], True),
    ([60, 60, 30], [30, 30, 55], False),
]


@pytest.mark.parametrize(("groups_percent", "other_percent", "moves"), FULL)
def test_no_disk_is_filled_past_the_watermark(groups_percent: list[int], other_percent: list[int], moves: bool) -> None:
    texts = [f"{number}W" for number in (1, 2, 3) for _ in range(groups_percent[number - 1] // 5)]
    groups = [group(text, number=number, size=5 * GIB) for number, text in enumerate(texts, start=1)]
    known = [
        server(number, total=100 * GIB, used=(own + other) * GIB)
        for number, own, other in zip((1, 2, 3), groups_percent, other_percent, strict=True)
    ]
    plan = plan_balance(known, groups, policy(1))
    expected = {each.server_id: each.capacity.used_bytes for each in known}
    for move in plan.moves:
        expected[move.target] += move.bytes
        assert expected[move.target] < FILL_PLACEMENT_MAX * 100 * GIB
    assert bool(plan.moves) == moves
    if not moves:
        assert plan.refusal is not None
        assert plan.refusal.endswith(
            "but no disk that should take some has room below 90%; add chunkservers or remove files."
        )


def test_what_has_left_and_waits_in_the_trash_does_not_count() -> None:
    known = [server(1, total=100 * GIB, used=60 * GIB), server(2, total=100 * GIB, used=50 * GIB)]
    groups = [group(f"{1 + number % 2}W", number=number) for number in range(1, 101)]
    assert plan_balance(known, groups, policy(1)) == BalancePlan((), 0.0, 0.0, None)


@pytest.mark.parametrize(
    ("known", "members", "missing"),
    [
        ("1 2 3 4", "1W 2W 3L 4F", ()),
        ("1 2 3 4:down", "1W 2W 4W", ()),
        ("1 2 3 4:out", "1W 2W 4W", ()),
        ("1 2 3 4:draining", "1W 2W 4W", ()),
        ("1 2 3 4:maintenance", "1W 2W 4W", ()),
        ("1 2 3 4", "1W 2W 4F", ()),
        ("1 2 3 4", "1W 2W 4W", (2,)),
    ],
)
def test_groups_that_lack_a_copy_do_not_move(known: str, members: str, missing: tuple[int, ...]) -> None:
    groups = [group(members, number=number, size=50 * GIB, missing=missing) for number in range(1, 13)]
    assert plan_balance(filled(servers(known), groups), groups, policy()).moves == ()


def test_no_data_moves_to_servers_that_take_none() -> None:
    known = servers("1 2 3 4:suspect 5:draining 6:maintenance 7:silent")
    groups = [group("1W 2W 3W", number=number, size=50 * GIB) for number in range(1, 13)]
    assert plan_balance(filled(known, groups), groups, policy()).moves == ()


@pytest.mark.parametrize("count", [0, 1])
def test_there_is_nothing_to_balance_with_fewer_than_two_servers(count: int) -> None:
    assert plan_balance(servers("1")[:count], [], policy()) == BalancePlan((), 0.0, 0.0, None)


@pytest.mark.parametrize("copied", [0, 4, 7])
def test_moves_under_way_count(copied: int) -> None:
    known = [server(1, total=100 * GIB, used=60 * GIB), server(2, total=100 * GIB, used=(40 + copied) * GIB)]
    groups = [group("1L 2F", number=number) for number in range(1, 8)]
    groups += [group("1W", number=number) for number in range(8, 61)]
    groups += [group("2W", number=number) for number in range(61, 101)]
    assert plan_balance(known, groups, policy(1)).moves == ()


@pytest.mark.parametrize("size", [0, 1, GIB, 20 * GIB])
def test_three_servers_become_six(size: int) -> None:
    known = [server(number) for number in range(1, 7)]
    groups = made(12, size, known=known[:3])
    # New groups come to life with the new servers, most of them there.
    young = [replace(each, group_id=GroupId(each.group_id + 12)) for each in made(12, 0, known=known[3:])]
    groups = settled(known, groups + young)
    assert min(memberships(groups).values()) >= 10
    assert distance(filled(known, groups)) <= BALANCE_TOLERANCE


def test_a_new_empty_server_gets_its_share() -> None:
    known = [server(number) for number in range(1, 11)]
    groups = made(36, 4 * GIB, known=known[:9])
    assert distance(filled(known, groups)) <= BALANCE_TOLERANCE, "fill alone would be no reason"
    plan = plan_balance(filled(known, groups), groups, policy())
    assert {number for move in plan.moves for number in numbers([move.target])} == {10}
    assert len(plan.moves) == 10 == memberships(moved(groups, plan.moves))[10], "its share is 10.8"


def test_capacity_weighs() -> None:
    known = [server(1, total=3000 * GIB), *(server(number) for number in range(2, 10))]
    groups = settled(known, made(60, 10 * GIB, known=known[1:]))
    shares = memberships(groups)
    assert 2 <= shares[1] / (sum(shares.values()) - shares[1]) * 8 <= 3.6


def test_a_huge_server_is_a_member_of_every_group_at_most_once() -> None:
    known = [server(1, total=10**6 * GIB), *(server(number) for number in range(2, 6))]
    groups = settled(known, made(20, GIB, known=known[1:]))
    shares = memberships(groups)
    assert shares[1] >= 17
    assert max(shares[number] for number in range(2, 6)) - min(shares[number] for number in range(2, 6)) <= 4


def settled(known: Sequence[PlannedServer], groups: Sequence[PlannedGroup]) -> list[PlannedGroup]:
    """Return the groups when plan after plan was carried out, of which there must be few."""
    found = list(groups)
    for _ in range(4):
        plan = plan_balance(filled(known, found), found, policy())
        if not plan.moves:
            return found
        found = moved(found, plan.moves)
    raise AssertionError("it never ends")


def random_state(rng: random.Random) -> tuple[list[PlannedServer], list[PlannedGroup], str]:
    """Servers of different sizes, some new and empty, and groups of different sizes with a lean to some servers."""
    count = rng.randint(4, 30)
    failure_domain = rng.choice(["server", "server", "host", "rack"])
    known = [
        server(number, host=f"h{number % max(4, count // 2)}", rack=f"r{number % 4}", total=rng.choice([1, 1, 2]) << 40)
        for number in range(1, count + 1)
    ]
    old = known[: max(4, rng.randint(count // 2, count))]
    groups = made(rng.randint(20, 15 * count), 0, known=old, failure_domain=failure_domain)
    room = sum(each.capacity.total_bytes for each in old) * rng.uniform(0.02, 0.6) / 3 / len(groups)
    groups = [replace(each, chunk_bytes=int(room * rng.uniform(0.2, 1.8)), epoch=rng.randint(1, 9)) for each in groups]
    return known, groups, failure_domain


@pytest.mark.parametrize("seed", range(60))
def test_plans_follow_the_rules(seed: int) -> None:
    known, groups, failure_domain = random_state(random.Random(seed))
    before = filled(known, groups)
    rules = policy(failure_domain=failure_domain)
    plan = plan_balance(before, groups, rules)
    domains = {each.server_id: domain_of(each.server_id, each.labels, failure_domain) for each in known}
    after_groups = moved(groups, plan.moves)
    for each in after_groups:
        assert len({domains[member.server_id] for member in each.members}) == 3
    after = filled(known, after_groups)
    assert plan.spread_before == pytest.approx(distance(before))
    assert plan.spread_after == pytest.approx(distance(after))
    assert (plan.spread_after > BALANCE_TOLERANCE) == (plan.refusal is not None)
    assert plan.spread_after <= max(plan.spread_before, BALANCE_TOLERANCE) + 1e-9
    by_id = {each.group_id: each for each in groups}
    assert all(move.epoch == by_id[move.group_id].epoch for move in plan.moves)
    assert all(move.bytes == by_id[move.group_id].chunk_bytes for move in plan.moves)
    assert plan == plan_balance(before[::-1], groups[::-1], rules), "the order of the input does not matter"
    if failure_domain == "server" and len({each.capacity.total_bytes for each in known}) == 1:
        assert plan.refusal is None or max(each.chunk_bytes for each in groups) > 0.06 * (1 << 40)
    # Balanced is balanced, and what is not gets no worse.
    again = plan_balance(after, after_groups, rules)
    assert again.spread_after <= max(plan.spread_after, BALANCE_TOLERANCE)
    third = plan_balance(filled(known, moved(after_groups, again.moves)), moved(after_groups, again.moves), rules)
    assert len(third.moves) <= len(again.moves) <= len(plan.moves)


@pytest.mark.parametrize("seed", range(30))
def test_no_more_is_moved_than_must_be(seed: int) -> None:
    rng = random.Random(seed)
    known = [server(number) for number in range(1, rng.randint(8, 30))]
    old = known[: -rng.randint(1, 3)]
    size = rng.randint(1, 12) * GIB
    groups = made(6 * len(old), size, known=old)
    before = filled(known, groups)
    mean = sum(each.capacity.fill for each in before) / len(before)
    plan = plan_balance(before, groups, policy())
    outside = [abs(each.capacity.fill - mean) - 0.8 * BALANCE_TOLERANCE for each in before]
    lacking = [max(0.0, excess) * 1000 * GIB for excess in outside]
    share = 3 * len(groups) / len(known)
    fewest = max(sum(-(-int(each) // size) for each in lacking), (len(known) - len(old)) * int(0.9 * share))
    assert len(plan.moves) <= fewest + len(known)
    assert len({(move.group_id, move.source) for move in plan.moves}) == len(plan.moves)
    assert not {move.source for move in plan.moves} & {move.target for move in plan.moves}


def test_a_bounded_plan_is_the_beginning_of_the_whole() -> None:
    known = [server(number) for number in range(1, 13)]
    groups = made(48, 20 * GIB, known=known[:6])
    whole = plan_balance(filled(known, groups), groups, policy())
    part = plan_balance(filled(known, groups), groups, policy(), moves_max=5)
    assert len(part.moves) == 5 < len(whole.moves)
    assert part.refusal is None
    assert part.spread_after <= part.spread_before


FIVE = [server(number) for number in range(1, 6)]


def test_moves_begin_within_the_limits() -> None:
    moves = [Move(GroupId(number), 7, server_id(1), server_id(4 + number % 2), GIB) for number in range(1, 7)]
    groups = [group("1W 2W 3W", number=number) for number in range(1, 7)]
    changes = begin_moves(moves, FIVE, groups, limits=PlannerLimits(moves_per_server_max=2))
    assert [change.group_id for change in changes] == [1, 2, 3, 4]
    assert {(*numbers(change.add), *numbers(change.leave)) for change in changes} == {(4, 1), (5, 1)}
    assert begin_moves(moves, FIVE, groups, limits=PlannerLimits(moves_max=3)) == changes[:3]
    assert begin_moves(moves, FIVE, groups, limits=PlannerLimits(changes_max=1)) == changes[:1]
    assert begin_moves(moves, FIVE, groups[1:], limits=PlannerLimits(changes_max=3)) == changes[1:]
    busy = [*groups, group("4F 5F", number=9)]
    assert len(begin_moves(moves, FIVE, busy, limits=PlannerLimits(moves_per_server_max=2))) == 2


def test_a_move_of_a_group_that_has_changed_is_not_begun() -> None:
    move = Move(GroupId(1), 7, server_id(1), server_id(4), GIB)
    assert begin_moves([move], FIVE, [group("1W 2W 3W", epoch=8)], limits=PlannerLimits()) == ()


@pytest.mark.parametrize("number", [1, 4])
@pytest.mark.parametrize(
    "change", [{"duty": Duty.DRAINING}, {"duty": Duty.MAINTENANCE}, {"phase": ServerPhase.DOWN}, None]
)
def test_a_move_of_a_server_that_has_changed_is_not_begun(number: int, change: dict[str, Any] | None) -> None:
    move = Move(GroupId(1), 7, server_id(1), server_id(4), GIB)
    groups = [group("1W 2W 3W")]
    known = {each.server_id: each for each in FIVE}
    assert len(begin_moves([move], known.values(), groups, limits=PlannerLimits())) == 1
    changed = known.pop(server_id(number))
    if change is not None:
        known[server_id(number)] = replace(changed, **change)
    assert begin_moves([move], known.values(), groups, limits=PlannerLimits()) == ()


def test_of_two_moves_of_a_group_only_the_first_may_begin() -> None:
    moves = [
        Move(GroupId(1), 7, server_id(1), server_id(4), GIB),
        Move(GroupId(1), 7, server_id(2), server_id(5), GIB),
    ]
    groups = [group("1W 2W 3W")]
    assert len(begin_moves(moves, FIVE, groups, limits=PlannerLimits())) == 1
    busy = [*groups, *(group("4F", number=number) for number in range(2, 10))]
    assert begin_moves(moves, FIVE, busy, limits=PlannerLimits(moves_per_server_max=8)) == ()


@pytest.mark.parametrize("seed", range(10))
def test_moves_are_carried_out_without_losing_copies(seed: int) -> None:
    rng = random.Random(seed)
    known, groups, failure_domain = random_state(rng)
    cluster = Cluster(known, groups, policy(failure_domain=failure_domain))
    limits = PlannerLimits(moves_per_server_max=3)
    for _ in range(200):
        cluster.write()
        cluster.known = {each.server_id: each for each in filled(cluster.servers, cluster.groups.values())}
        plan = plan_balance(cluster.servers, cluster.view, cluster.rules, moves_max=100)
        changes = begin_moves(plan.moves, cluster.servers, cluster.view, limits=limits)
        changes += plan_settle(cluster.servers, cluster.view, cluster.rules)
        for change in changes:
            cluster.apply(change)
        assert plan_repair(cluster.servers, cluster.view, cluster.rules, limits=limits) == ()
        cluster.copy(rng)
        if not changes:
            break
    assert not any(member.state in {FILLING, LEAVING} for each in cluster.view for member in each.members)
    spread = distance(cluster.servers)
    assert spread <= BALANCE_TOLERANCE or plan_balance(cluster.servers, cluster.view, cluster.rules).refusal


def test_a_phase_or_a_duty_takes_a_server_out_of_the_mean() -> None:
    known = [server(number, total=100 * GIB, used=50 * GIB) for number in (1, 2)]
    groups = [group("1W", number=1), group("2W", number=2)]
    for other in (server(3, phase=ServerPhase.DOWN), server(3, duty=Duty.DRAINING), server(3, total=0)):
        assert plan_balance([*known, other], groups, policy(1)) == BalancePlan((), 0.0, 0.0, None)
