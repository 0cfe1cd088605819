"""Planning groups and choosing among them: pure, so at any size."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from master_harness import server_id

from dstore.core.errors import DstoreError, OutOfSpace, Unavailable
from dstore.core.files import Policy
from dstore.core.groups import Capacity, ServerLabels, ServerPhase
from dstore.core.ids import GroupId, ServerId
from dstore.core.limits import FILL_PLACEMENT_MAX, GROUPS_MADE_MAX
from dstore.master.placement import (
    PlacedGroup,
    ServerView,
    choose_placements,
    domain_of,
    explain_refusal,
    group_target,
    order_groups,
    plan_groups,
)
from dstore.master.spreader import Spreader

Plan = tuple[tuple[ServerId, ...], ...]


def policy(replicas: int = 3, min_replicas: int = 2, failure_domain: str = "server") -> Policy:
    return Policy("default", replicas, min_replicas, 16384, failure_domain)


def view(
    number: int,
    *,
    host: str | None = None,
    rack: str = "",
    phase: ServerPhase = ServerPhase.UP,
    total: int = 1000,
    used: int = 0,
) -> ServerView:
    labels = ServerLabels(host if host is not None else f"host-{number}", rack)
    return ServerView(server_id(number), labels, phase, Capacity(total, used))


def placed(plan: Plan) -> tuple[PlacedGroup, ...]:
    return order_groups(PlacedGroup(GroupId(index + 1), members) for index, members in enumerate(plan))


def by_id(servers: list[ServerView]) -> dict[ServerId, ServerView]:
    return {server.server_id: server for server in servers}


def plan_all(servers: list[ServerView], wanted: Policy) -> Plan:
    """Plan again and again, as with every write, until nothing more is made."""
    plan: Plan = ()
    while more := plan_groups(servers, placed(plan), wanted):
        assert len(more) <= GROUPS_MADE_MAX
        plan = (*plan, *more)
    return plan


def memberships(plan: Plan) -> Counter[ServerId]:
    return Counter(member for members in plan for member in members)


@pytest.mark.parametrize("count", [3, 4, 5, 7, 12, 100])
def test_equal_servers_get_equal_shares(count: int) -> None:
    plan = plan_all([view(number) for number in range(count)], policy())
    assert len(plan) == -(-max(12, count) * count // 3)
    assert all(len(set(members)) == 3 for members in plan)
    shares, leads = memberships(plan), Counter(members[0] for members in plan)
    assert len(shares) == len(leads) == count
    assert max(shares.values()) - min(shares.values()) <= 1
    assert max(leads.values()) - min(leads.values()) <= 2


def test_a_lost_server_shares_its_groups_with_many_others() -> None:
    plan = plan_all([view(number) for number in range(50)], policy())
    for number in range(50):
        partners = {member for members in plan if server_id(number) in members for member in members}
        assert len(partners) >= 30


def test_capacity_weighs() -> None:
    servers = [view(number, total=1000 if number < 10 else 3000) for number in range(20)]
    shares = memberships(plan_groups(servers, (), policy()))
    small = sum(shares[server_id(number)] for number in range(10))
    large = sum(shares[server_id(number)] for number in range(10, 20))
    assert 2.6 <= large / small <= 3.4


def test_a_huge_server_is_in_every_group_once() -> None:
    servers = [view(0, total=10**15), *(view(number) for number in range(1, 6))]
    plan = plan_groups(servers, (), policy())
    assert all(members.count(server_id(0)) == 1 for members in plan)


@pytest.mark.parametrize("failure_domain", ["host", "rack"])
def test_no_two_members_share_a_failure_domain(failure_domain: str) -> None:
    servers = [view(number, host=f"h{number % 8}", rack=f"r{number % 4}") for number in range(32)]
    plan = plan_groups(servers, (), policy(failure_domain=failure_domain))
    views = by_id(servers)
    for members in plan:
        domains = {domain_of(member, views[member].labels, failure_domain) for member in members}
        assert len(domains) == 3
    shares = memberships(plan)
    assert max(shares.values()) - min(shares.values()) <= 2


def test_racks_of_uneven_size_are_all_used() -> None:
    servers = [view(number, rack="big" if number < 90 else f"small-{number % 2}") for number in range(100)]
    plan = plan_groups(servers, (), policy(failure_domain="rack"))
    views = by_id(servers)
    assert all({views[member].labels.rack for member in members} == {"big", "small-0", "small-1"} for members in plan)


def test_hosts_and_racks_are_spread_even_where_the_policy_does_not_ask() -> None:
    servers = [view(number, host=f"h{number % 6}", rack=f"r{number % 3}") for number in range(12)]
    views = by_id(servers)
    for members in plan_groups(servers, (), policy()):
        assert len({views[member].labels.host for member in members}) == 3
        assert len({views[member].labels.rack for member in members}) == 3


def test_two_racks_hold_two_of_three_at_most() -> None:
    servers = [view(number, rack=f"r{number % 2}") for number in range(12)]
    views = by_id(servers)
    for members in plan_groups(servers, (), policy()):
        assert len({views[member].labels.rack for member in members}) == 2


def test_one_host_for_all_does_not_matter_to_a_policy_by_server() -> None:
    plan = plan_groups([view(number, host="laptop") for number in range(3)], (), policy())
    assert len(plan) == 12


def test_one_host_for_all_cannot_serve_a_policy_by_host() -> None:
    servers = [view(number, host="laptop") for number in range(3)]
    assert plan_groups(servers, (), policy(failure_domain="host")) == ()
    with pytest.raises(Unavailable, match="on different hosts"):
        choose(servers, (), policy(failure_domain="host"))


def test_servers_that_do_not_take_chunks_are_left_out() -> None:
    servers = [
        view(1),
        view(2),
        view(3),
        view(4, phase=ServerPhase.SUSPECT),
        view(5, phase=ServerPhase.DOWN),
        view(6, used=900),
        view(7, total=0),
    ]
    assert set(memberships(plan_groups(servers, (), policy()))) == {server_id(1), server_id(2), server_id(3)}


def test_nothing_is_planned_when_there_is_enough() -> None:
    servers = [view(number) for number in range(5)]
    plan = plan_groups(servers, (), policy())
    assert plan_groups(servers, placed(plan), policy()) == ()


def test_a_new_server_gets_groups() -> None:
    servers = [view(number) for number in range(3)]
    first = plan_groups(servers, (), policy())
    more = plan_groups([*servers, view(3)], placed(first), policy())
    assert len(more) == 4
    assert all(server_id(3) in members for members in more)


def test_short_groups_are_made_only_while_there_is_nothing_else() -> None:
    two = [view(1), view(2)]
    short = plan_groups(two, (), policy())
    assert short
    assert all(len(members) == 2 for members in short)
    assert plan_groups(two, placed(short), policy()) == ()
    whole = plan_groups([*two, view(3)], placed(short), policy())
    assert len(whole) == 12
    assert all(len(members) == 3 for members in whole)
    assert plan_groups([view(1)], (), policy()) == ()


def test_failures_that_leave_no_whole_group_make_a_few_new_ones() -> None:
    servers = [view(number) for number in range(6)]
    groups = placed(plan_groups(servers, (), policy()))
    for dead in ((0, 1, 2), (0, 2, 4), (3, 4, 5)):
        left = [view(n, phase=ServerPhase.DOWN if n in dead else ServerPhase.UP) for n in range(6)]
        alive = {server_id(n) for n in range(6) if n not in dead}
        more = plan_groups(left, groups, policy())
        if any(alive.issuperset(group.members) for group in groups):
            assert more == ()
        else:
            assert [set(members) for members in more] == [alive]


def test_the_surplus_is_bounded() -> None:
    down = [view(number, phase=ServerPhase.DOWN) for number in (7, 8, 9)]
    lost = (server_id(7), server_id(8), server_id(9))
    for known, planned in [(24, 1), (95, 1), (96, 0), (200, 0)]:
        groups = tuple(PlacedGroup(GroupId(number), lost) for number in range(1, known + 1))
        assert len(plan_groups([view(1), view(2), view(3), *down], groups, policy())) == planned


def test_a_thousand_servers_are_planned_fairly() -> None:
    servers = [view(number, host=f"h{number // 4}", rack=f"r{number // 40}") for number in range(1000)]
    plan = plan_groups(servers, (), policy(failure_domain="rack"))
    assert len(plan) == GROUPS_MADE_MAX
    shares, leads = memberships(plan), Counter(members[0] for members in plan)
    assert max(shares.values()) - min(shares.values()) <= 2
    assert max(leads.values()) - min(leads.values()) <= 2


def test_a_hundred_thousand_groups_are_drawn_fairly() -> None:
    servers = {server_id(n): (f"r{n % 25}", ServerLabels(f"h{n}", f"r{n % 25}")) for n in range(1000)}
    spreader = Spreader(servers, dict.fromkeys(servers, 1000), [])
    shares = memberships(tuple(spreader.next_group(3) for _ in range(100_000)))
    assert max(shares.values()) - min(shares.values()) <= 2


def test_the_same_inputs_give_the_same_plan_in_any_order() -> None:
    servers = [view(number, rack=f"r{number % 5}", total=1000 + number) for number in range(30)]
    shuffled = random.Random(1).sample(servers, len(servers))
    assert plan_groups(servers, (), policy()) == plan_groups(shuffled, (), policy())


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[ServerView], Policy]:
    count = draw(st.integers(0, 12))
    servers = [
        view(
            number,
            host=f"h{draw(st.integers(0, 5))}",
            rack=draw(st.sampled_from(["", "r1", "r2", "r3"])),
            phase=draw(st.sampled_from([ServerPhase.UP, ServerPhase.UP, ServerPhase.UP, *ServerPhase])),
            total=draw(st.sampled_from([0, 1000, 1000, 5000])),
            used=draw(st.integers(0, 1000)),
        )
        for number in range(count)
    ]
    replicas = draw(st.integers(1, 5))
    domain = draw(st.sampled_from(["server", "host", "rack"]))
    return servers, policy(replicas, draw(st.integers(1, replicas)), domain)


@settings(max_examples=300, deadline=None)
@given(clusters(), st.integers(0, 100), st.integers(1, 20), st.sets(st.integers(0, 12), max_size=3))
def test_whatever_the_cluster_every_choice_is_sound(
    cluster: tuple[list[ServerView], Policy], rotation: int, count: int, avoided: set[int]
) -> None:
    servers, wanted = cluster
    views = by_id(servers)
    groups = placed(plan_groups(servers, (), wanted))
    for group in groups:
        domains = [domain_of(member, views[member].labels, wanted.failure_domain) for member in group.members]
        assert len(set(domains)) == len(domains) <= wanted.replicas
        assert all(views[member].takes_chunks for member in group.members)
    avoid = frozenset(server_id(number) for number in avoided)
    try:
        choices = choose_placements(count, views, groups, wanted, avoid=avoid, rotation=rotation)
    except DstoreError as error:
        assert error.reason in ("NOT_ENOUGH_SERVERS", "CLUSTER_FULL")
        takers = [server for server in servers if server.takes_chunks]
        domains = [domain_of(taker.server_id, taker.labels, wanted.failure_domain) for taker in takers]
        # Without anything to avoid, a refusal means that there really are too few.
        assert avoid or len(set(domains)) < wanted.min_replicas
        return
    known = {group.group_id: group for group in groups}
    assert len(choices) == count
    for choice in choices:
        members = known[choice.group_id].members
        assert len(choice.chain) >= wanted.min_replicas
        assert not avoid.intersection(choice.chain)
        assert choice.chain == tuple(member for member in members if member in choice.chain)
    assert choices == choose_placements(count, views, groups, wanted, avoid=avoid, rotation=rotation)


def choose(
    servers: list[ServerView],
    groups: tuple[PlacedGroup, ...],
    wanted: Policy,
    *,
    count: int = 1,
    avoid: frozenset[ServerId] = frozenset(),
    rotation: int = 0,
) -> list[tuple[ServerId, ...]]:
    choices = choose_placements(count, by_id(servers), groups, wanted, avoid=avoid, rotation=rotation)
    return [choice.chain for choice in choices]


def test_consecutive_chunks_go_to_different_heads() -> None:
    servers = [view(number) for number in range(5)]
    groups = placed(plan_groups(servers, (), policy()))
    for rotation in range(0, 20, 5):
        heads = [chain[0] for chain in choose(servers, groups, policy(), count=5, rotation=rotation)]
        assert len(set(heads)) == 5


def test_whole_groups_without_avoided_servers_come_first() -> None:
    servers = [view(number) for number in range(4)]
    groups = placed(plan_groups(servers, (), policy()))
    for chain in choose(servers, groups, policy(), count=10, avoid=frozenset({server_id(0)})):
        assert set(chain) == {server_id(1), server_id(2), server_id(3)}


def test_degraded_chains_are_as_long_as_can_be() -> None:
    groups = placed(
        ((server_id(0), server_id(1), server_id(2), server_id(3)), (server_id(0), server_id(4), server_id(5)))
    )
    servers = [view(number, phase=ServerPhase.DOWN if number == 0 else ServerPhase.UP) for number in range(6)]
    chains = choose(servers, groups, policy(replicas=4), count=3)
    assert chains == [(server_id(1), server_id(2), server_id(3))] * 3


@pytest.mark.parametrize(("used", "takes"), [(899, True), (900, False), (1000, False)])
def test_the_fill_watermark(used: int, takes: bool) -> None:
    assert FILL_PLACEMENT_MAX == 0.90
    servers = [view(1), view(2), view(3, used=used)]
    groups = placed(((server_id(1), server_id(2), server_id(3)),))
    assert (len(choose(servers, groups, policy())[0]) == 3) is takes


def test_full_disks_and_missing_servers_are_told_apart() -> None:
    groups = placed(((server_id(1), server_id(2), server_id(3)),))
    with pytest.raises(OutOfSpace, match="1 of 3") as full:
        choose([view(1), view(2, used=950), view(3, used=990)], groups, policy())
    assert full.value.reason == "CLUSTER_FULL"
    down = ServerPhase.DOWN
    with pytest.raises(Unavailable, match=r"1 of 3 chunkservers .* needs 2") as few:
        choose([view(1), view(2, phase=down), view(3, phase=down)], groups, policy())
    assert few.value.reason == "NOT_ENOUGH_SERVERS"
    with pytest.raises(Unavailable, match="leaving out 2"):
        choose([view(1), view(2), view(3)], groups, policy(), avoid=frozenset({server_id(1), server_id(2)}))


def test_the_refusal_names_the_figures() -> None:
    error = explain_refusal([view(1), view(2, phase=ServerPhase.SUSPECT)], policy(), frozenset())
    assert error.metadata == {"up": "1", "joined": "2", "needed": "2"}


@pytest.mark.parametrize(
    ("count", "target"), [(0, 0), (2, 0), (3, 12), (4, 16), (5, 20), (13, 57), (999, 332_667), (1001, 333_667)]
)
def test_the_target(count: int, target: int) -> None:
    assert group_target([view(number) for number in range(count)], policy()) == target
