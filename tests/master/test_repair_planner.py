"""Which members groups get and lose when servers fail, drain or come back."""

import random

import pytest
from planner_model import Cluster, group, numbers, placed, policy, server, servers, shown

from dstore.core.groups import Duty, ServerPhase
from dstore.core.limits import FILLING_PER_SERVER_MAX
from dstore.master.placement import ServerView, plan_groups
from dstore.master.repair import explain, plan_repair, plan_settle
from dstore.master.triage import Scene
from dstore.master.views import ChangeReason, PlannedGroup, PlannerLimits

LIMITS = PlannerLimits()

#: (servers, group, members that lack chunks, the change)
REPAIRS = {
    "all is well": ("1 2 3 4", "1W 2W 3W", (), None),
    "a server that is down may come back": ("1 2 3:down 4", "1W 2W 3W", (), None),
    "a suspect one as well": ("1 2 3:suspect 4", "1W 2W 3W", (), None),
    "maintenance is no reason to replace": ("1 2 3:maintenance 4", "1W 2W 3W", (), None),
    "out is replaced at once": ("1 2 3:out 4", "1W 2W 3W", (), "repair 1: +4 -3"),
    "so is a server that nobody knows": ("1 2 4", "1W 2W 3W", (), "repair 1: +4 -3"),
    "two out": ("1 2:out 3:out 4 5", "1W 2W 3W", (), "repair 1: +4 +5 -2 -3"),
    "two out and one spare": ("1 2:out 3:out 4", "1W 2W 3W", (), "repair 1: +4 -2"),
    "out without a spare stays listed": ("1 2 3:out", "1W 2W 3W", (), None),
    "the last good copy is out: nobody is removed": ("1:out 2:out 3:out 4 5 6", "1W 2W 3W", (), "repair 1: +4 +5 +6"),
    "the other copies have gaps: nobody is removed": ("1 2 3:out 4", "1W 2W 3W", (1, 2), "repair 1: +4"),
    "one of the others is good": ("1 2 3:out 4", "1W 2W 3W", (1,), "repair 1: +4 -3"),
    "what is being filled is no good copy": ("1 2:out 3:out 4", "1F 2W 3W", (), "repair 1: +4"),
    "a replacement goes out as well": ("1 2 3:out 4", "1W 2W 3F", (), "repair 1: +4 -3"),
    "no good copy: replacements are bounded": ("1:out 2:out 3:out 4:out 5:out 6:out 7", "1W 2W 3W 4F 5F 6F", (), None),
    "no good copy: one more of at most six": ("1:out 2:out 3:out 4:out 5 6", "1W 2W 3W 4F 5F", (), "repair 1: +6"),
    "a short group is completed": ("1 2 3", "1W 2W", (), "repair 1: +3"),
    "a short group has nobody to take": ("1 2", "1W 2W", (), None),
    "a full disk takes nothing": ("1 2 3:out 4:full", "1W 2W 3W", (), None),
    "nor one that has not reported": ("1 2 3:out 4:silent", "1W 2W 3W", (), None),
    "nor one that drains": ("1 2 3:out 4:draining", "1W 2W 3W", (), None),
    "nor one in maintenance": ("1 2 3:out 4:maintenance", "1W 2W 3W", (), None),
    "nor one that is suspect": ("1 2 3:out 4:suspect", "1W 2W 3W", (), None),
    "draining": ("1 2 3:draining 4", "1W 2W 3W", (), "drain 1: +4 >3"),
    "draining under way": ("1 2 3:draining 4", "1W 2W 3L 4F", (), None),
    "draining without a spare": ("1 2 3:draining", "1W 2W 3W", (), None),
    "draining and out": ("1 2:out 3:draining 4 5", "1W 2W 3W", (), "repair 1: +4 +5 >3 -2"),
    "the lost one comes before the draining one": ("1 2:out 3:draining 4", "1W 2W 3W", (), "repair 1: +4 -2"),
    "draining while it is filled: it goes later": ("1 2 3:draining 4", "1W 2W 3F", (), "drain 1: +4"),
    "draining twice the servers": ("1 2:draining 3:draining 4 5", "1W 2W 3W", (), "drain 1: +4 +5 >2 >3"),
    "the newcomer of a move is lost: the old one is back": ("1 2 3 4:out", "1W 2W 3L 4F", (), "repair 1: <3 -4"),
    "the newcomer of a drain is lost: another one": ("1 2 3:draining 4:out 5", "1W 2W 3L 4F", (), "repair 1: +5 -4"),
    "the same without a spare": ("1 2 3:draining 4:out", "1W 2W 3L 4F", (), "repair 1: <3 -4"),
    "another member is lost during a move": ("1 2:out 3 4", "1W 2W 3L 4F", (), "repair 1: <3 -2"),
    "one that is leaving and down does not come back": ("1 2 3:down 4:out 5", "1W 2W 3L 4F", (), "repair 1: +5 -4"),
    "leaving and out": ("1 2 3:out 4", "1W 2W 3L 4F", (), "repair 1: -3"),
    "leaving and out, and nobody else is whole": ("1 2 3:out 4", "1F 2F 3L 4F", (), None),
    "too many: the fullest leaves": ("1 2 3:full 4", "1W 2W 3W 4W", (), "repair 1: >3"),
    "too many: one that is being filled goes": ("1 2 3 4", "1W 2W 3W 4F", (), "repair 1: -4"),
    "too many, but not enough good ones": ("1 2 3 4", "1W 2W 3W 4W", (1, 2), None),
    "the lost ones are back after all were replaced": ("1 2:out 4 5 6", "1W 2W 4F 5F 6F", (), "repair 1: -2"),
}


@pytest.mark.parametrize(("known", "members", "missing", "wanted"), REPAIRS.values(), ids=REPAIRS)
def test_one_group(known: str, members: str, missing: tuple[int, ...], wanted: str | None) -> None:
    changes = plan_repair(servers(known), [group(members, missing=missing)], policy(), limits=LIMITS)
    found = [shown(change) for change in changes]
    assert found == ([] if wanted is None else [wanted])
    assert all(change.epoch == 7 for change in changes)


#: (servers, group, the change) with the host as the failure domain
BY_HOST = {
    "another host": ("1@a 2@b 3:out@c 4@a 5@d", "1W 2W 3W", "repair 1: +5 -3"),
    "no other host": ("1@a 2@b 3:out@c 4@a 5@b", "1W 2W 3W", None),
    "the host of the lost one": ("1@a 2@b 3:out@c 4@c", "1W 2W 3W", "repair 1: +4 -3"),
    "draining to the other disk of the host": ("1@a 2@b 3:draining@c 4@c", "1W 2W 3W", "drain 1: +4 >3"),
    "not to a host that is taken": ("1@a 2@b 3:draining@c 4@a", "1W 2W 3W", None),
    "two on one host": ("1@a 2@b 3@b 4@c", "1W 2W 3W", "repair 1: +4 >3"),
    "two on one host, the one with gaps goes": ("1@a 2@b 3@b 4@c", "1W 2W! 3W", "repair 1: +4 >2"),
    "two on one host and nowhere to go": ("1@a 2@b 3@b", "1W 2W 3W", None),
    "back, but its host is taken by now": ("1 2@x 3 4@x", "1W 2W 3W 4L", None),
    "the lost one's disk mate, beside a draining one": (
        "1@a 2:draining@b 3:out@c 4@c 5@b", "1W 2W 3W", "repair 1: +4 +5 >2 -3",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("known", "members", "wanted"), BY_HOST.values(), ids=BY_HOST)
def test_one_group_on_hosts(known: str, members: str, wanted: str | None) -> None:
    missing = [int(each[:-2]) for each in members.split() if each.endswith("!")]
    found = group(members.replace("!", ""), missing=missing)
    changes = plan_repair(servers(known), [found], policy(failure_domain="host"), limits=LIMITS)
    assert [shown(change) for change in changes] == ([] if wanted is None else [wanted])


#: (servers, group, members that lack chunks, the change)
SETTLES = {
    "nothing leaves": ("1 2 3", "1W 2W 3W", (), None),
    "three others are good": ("1 2 3 4", "1W 2W 3L 4W", (), "settle 1: -3"),
    "the newcomer is being filled": ("1 2 3 4", "1W 2W 3L 4F", (), None),
    "the newcomer lacks chunks": ("1 2 3 4", "1W 2W 3L 4W", (4,), None),
    "one of the others is suspect": ("1 2:suspect 3 4", "1W 2W 3L 4W", (), None),
    "one of the others is down": ("1 2:down 3 4", "1W 2W 3L 4W", (), None),
    "the one that leaves may be down": ("1 2 3:down 4", "1W 2W 3L 4W", (), "settle 1: -3"),
    "the only member stays": ("1", "1L", (), None),
    "two leave": ("1 2 3 4 5", "1W 2L 3L 4W 5W", (), "settle 1: -2 -3"),
    "a group that was short": ("1 2 3", "1W 2W 3L", (), "settle 1: -3"),
    "drained while it was filled": ("1 2 3:draining 4", "1W 2W 3F 4W", (), "settle 1: -3"),
    "drained while it was filled, too early": ("1 2 3:draining 4", "1W 2W 3F 4F", (), None),
    "drained while it was filled, nobody else": ("1 2 3:draining", "1W 2W 3F", (), None),
}


@pytest.mark.parametrize(("known", "members", "missing", "wanted"), SETTLES.values(), ids=SETTLES)
def test_leaving_ends(known: str, members: str, missing: tuple[int, ...], wanted: str | None) -> None:
    changes = plan_settle(servers(known), [group(members, missing=missing)], policy())
    assert [shown(change) for change in changes] == ([] if wanted is None else [wanted])


@pytest.mark.parametrize(
    ("members", "missing", "up", "wanted"),
    [
        ("1W 2W 3W", (), (1, 2, 3), 3),
        ("1W 2W 3W", (), (1, 3), 2),
        ("1W 2W 3W", (2,), (1, 2, 3), 2),
        ("1W 2F 3L", (), (1, 2, 3), 1),
        ("1W 2F 3L", (1,), (1, 2, 3), 0),
    ],
)
def test_good_copies_are_counted(members: str, missing: tuple[int, ...], up: tuple[int, ...], wanted: int) -> None:
    known = " ".join(str(number) if number in up else f"{number}:down" for number in (1, 2, 3))
    assert len(Scene(servers(known), policy()).good_members(group(members, missing=missing))) == wanted


def test_the_most_endangered_groups_come_first() -> None:
    groups = [
        group("1W 2W 9W", number=1),
        group("1W 8W 9W", number=2),
        group("1W 2W 9W", number=3, missing=[1]),
        group("7W 8W 9W", number=4),
        group("1W 2W 6W", number=5),
    ]
    known = servers("1 2 3 4 5 6:draining 7:out 8:out 9:out")
    changes = plan_repair(known, groups, policy(), limits=LIMITS)
    assert [change.group_id for change in changes] == [4, 2, 3, 1, 5]
    few = plan_repair(known, groups, policy(), limits=PlannerLimits(changes_max=2))
    assert few == changes[:2]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_server_fills_so_many_groups_at_a_time(limit: int) -> None:
    groups = [group("1W 2W 3W", number=number) for number in range(1, 6)]
    changes = plan_repair(servers("1 2 3:out 4"), groups, policy(), limits=PlannerLimits(filling_per_server_max=limit))
    assert [change.group_id for change in changes] == list(range(1, limit + 1))
    assert plan_repair(servers("1 2 3:out 4"), groups, policy(), limits=PlannerLimits(filling_max=limit)) == changes


def test_moves_leave_room_for_repairs() -> None:
    limits = PlannerLimits(filling_per_server_max=3, moves_per_server_max=1)
    groups = [
        *(group("1W 2W 5W", number=number) for number in (1, 2)),
        *(group("1W 2W 3W", number=number) for number in (3, 4, 5, 6)),
    ]
    changes = plan_repair(servers("1 2 3:out 4 5:draining"), groups, policy(), limits=limits)
    assert [shown(change) for change in changes] == [f"repair {number}: +4 -3" for number in (3, 4, 5)]
    changes = plan_repair(servers("1 2 4 5:draining"), groups[:2], policy(), limits=limits)
    assert [shown(change) for change in changes] == ["drain 1: +4 >5"]


def test_what_is_being_filled_already_counts_against_the_limit() -> None:
    groups = [group("1W 2W 4F", number=1), group("1W 2W 3W", number=2)]
    assert not plan_repair(servers("1 2 3:out 4"), groups, policy(), limits=PlannerLimits(filling_per_server_max=1))


def test_a_disk_takes_no_more_than_fits() -> None:
    groups = [group("1W 2W 3W", number=number, size=300 << 30) for number in (1, 2, 3)]
    changes = plan_repair(servers("1 2 3:out 4"), groups, policy(), limits=LIMITS)
    assert [change.group_id for change in changes] == [1, 2], "100 GiB of 1000 are used, so 800 more may come"


def test_a_lost_server_is_rebuilt_by_all_others() -> None:
    known = [server(number, phase=ServerPhase.OUT if number == 1 else ServerPhase.UP) for number in range(1, 41)]
    others = random.Random(1)
    groups = [
        group(f"1W {first}W {second}W", number=number)
        for number in range(1, 38)
        for first, second in [others.sample(range(2, 41), 2)]
    ]
    changes = plan_repair(known, groups, policy(), limits=LIMITS)
    newcomers = [number for change in changes for number in numbers(change.add)]
    assert len(changes) == 37 == len(newcomers)
    assert max(map(newcomers.count, newcomers)) == 1


def test_newcomers_stand_on_other_hosts_and_racks_where_that_can_be_had() -> None:
    known = [server(number, rack=f"r{number % 3}") for number in range(1, 10)]
    found = [group("1W 2W 12W", number=number) for number in range(1, 4)]
    changes = plan_repair(known, found, policy(), limits=LIMITS)
    assert [known[number - 1].labels.rack for change in changes for number in numbers(change.add)] == ["r0"] * 3


@pytest.mark.parametrize(
    ("known", "members", "wanted"),
    [
        ("1 2 3 4", "1W 2W 3W", None),
        ("1 2 3:out 4", "1W 2W 3W", None),
        (
            "1 2 3:out 4:down 5:full 6:draining",
            "1W 2W 3W",
            "of 6, 2 are in the group already, 2 are not up, 1 is without room below 90%, 1 is draining",
        ),
        (
            "1@a 2@b 3:draining@c 4@a",
            "1W 2W 3W",
            "of 4, 3 are in the group already, 1 is on the host of a member",
        ),
        ("1@a 2@b 3:draining@c 4@c", "1W 2W 3W", None),
    ],
)
def test_the_reason_why_nothing_is_done(known: str, members: str, wanted: str | None) -> None:
    sentence = wanted and (
        f"Group 1 has 2 of 3 members that can stay, and no chunkserver can become one: {wanted}; start or add a "
        "chunkserver."
    )
    assert explain(servers(known), group(members), policy(failure_domain="host")) == sentence


def test_the_same_input_gives_the_same_plan() -> None:
    cluster = random_cluster(random.Random(3))
    for number in (1, 2):
        cluster.make(number, phase=ServerPhase.OUT)
    first = plan_repair(cluster.servers, cluster.view, cluster.rules, limits=LIMITS)
    again = plan_repair(reversed(cluster.servers), cluster.view[::-1], cluster.rules, limits=LIMITS)
    assert first == again
    assert first


def random_cluster(rng: random.Random) -> Cluster:
    """A cluster of 4 to 14 servers on some hosts, with groups as placement makes them."""
    replicas = rng.choice([1, 2, 3, 3, 3, 4])
    rules = policy(replicas, rng.choice(["server", "server", "host", "rack"]))
    count = rng.randint(replicas + 2, replicas + 10)
    hosts, racks = rng.randint(replicas + 2, count), rng.randint(replicas + 1, count)
    known = [server(number, host=f"h{number % hosts}", rack=f"r{number % racks}") for number in range(1, count + 1)]
    views = [ServerView(each.server_id, each.labels, each.phase, each.capacity) for each in known]
    return Cluster(known, placed(plan_groups(views, (), rules)), rules)


def upset(cluster: Cluster, rng: random.Random) -> None:
    """Let something happen to a server; so many may be away at once that groups have no copy left that is up."""
    number = rng.choice(numbers(cluster.known))
    phase = rng.choice([ServerPhase.UP, ServerPhase.UP, ServerPhase.SUSPECT, ServerPhase.DOWN, ServerPhase.OUT])
    away = [each for each in cluster.servers if each.phase is not ServerPhase.UP]
    if phase is not ServerPhase.UP and len(away) >= cluster.rules.replicas:
        number, phase = rng.choice(numbers(each.server_id for each in away)), ServerPhase.UP
    draining = [each for each in cluster.servers if each.duty is Duty.DRAINING]
    duty = Duty.ACTIVE if draining else rng.choice([Duty.ACTIVE, Duty.ACTIVE, Duty.MAINTENANCE, Duty.DRAINING])
    cluster.make(number, phase=phase, duty=duty)


def one_round(cluster: Cluster, limits: PlannerLimits) -> bool:
    """Plan and apply; return whether anything was to do."""
    changes = plan_repair(cluster.servers, cluster.view, cluster.rules, limits=limits)
    assert len({change.group_id for change in changes}) == len(changes) <= limits.changes_max
    for change in changes:
        cluster.apply(change)
    settles = plan_settle(cluster.servers, cluster.view, cluster.rules)
    assert all(change.reason is ChangeReason.SETTLE for change in settles)
    for change in settles:
        cluster.apply(change)
    return bool(changes or settles)


@pytest.mark.parametrize("seed", range(60))
def test_clusters_recover_and_never_lose_a_copy_that_they_need(seed: int) -> None:
    rng = random.Random(seed)
    cluster = random_cluster(rng)
    limits = PlannerLimits(filling_per_server_max=rng.choice([1, 2, 64]), moves_per_server_max=1)
    for _ in range(rng.randint(3, 25)):
        cluster.write()
        upset(cluster, rng)
        one_round(cluster, limits)
        cluster.write()
        cluster.copy(rng, chance=0.5)
    is_lost = any(not all(cluster.copies(group_id).values()) for group_id in cluster.groups)
    for each in cluster.servers:
        if each.phase is not ServerPhase.OUT or is_lost or rng.random() < 0.3:
            cluster.make(*numbers([each.server_id]), phase=ServerPhase.UP)
        if each.duty is Duty.MAINTENANCE:
            cluster.make(*numbers([each.server_id]), duty=Duty.ACTIVE)
    for _ in range(400):
        cluster.copy(rng)
        if not one_round(cluster, limits):
            break
    else:
        pytest.fail("it never ends")
    stuck = [each for each in cluster.view if not cluster.is_settled(each)]
    assert all(explain(cluster.servers, each, cluster.rules) for each in stuck), [shown_group(each) for each in stuck]
    apart = {cluster.domains[each.server_id] for each in cluster.servers if each.takes_members}
    assert not stuck or len(apart) < cluster.rules.replicas


def shown_group(each: PlannedGroup) -> str:
    return " ".join(f"{numbers([member.server_id])[0]}{member.state.value[0]}" for member in each.members)


def test_limits_are_in_order() -> None:
    assert PlannerLimits().filling_per_server_max == FILLING_PER_SERVER_MAX > PlannerLimits().moves_per_server_max
