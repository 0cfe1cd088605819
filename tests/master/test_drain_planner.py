"""What draining a server comes to, and when draining or removing one is refused."""

import pytest
from master_harness import server_id
from planner_model import group, policy, servers, shown

from dstore.master.drain import check_removable, plan_drain

#: (servers, groups, the changes) for draining server 1
DRAINS = {
    "nothing on it": ("1 2 3 4", ("2W 3W 4W",), ()),
    "one group": ("1 2 3 4", ("1W 2W 3W",), ("drain 1: +4 >1",)),
    "only its own groups": ("1 2 3 4", ("2W 3W 4W", "2W 1W 3W"), ("drain 2: +4 >1",)),
    "spread over the others": ("1 2 3 4 5", ("1W 2W 3W",) * 2, ("drain 1: +4 >1", "drain 2: +5 >1")),
    "under way": ("1:draining 2 3 4", ("1L 2W 3W 4F",), ()),
    "begun in one of two": ("1:draining 2 3 4", ("1L 2W 3W 4F", "1W 2W 3W"), ("drain 2: +4 >1",)),
    "still being filled": ("1 2 3 4", ("1F 2W 3W",), ("drain 1: +4",)),
    "one that is down": ("1:down 2 3 4", ("1W 2W 3W",), ("drain 1: +4 >1",)),
    "one that is out": ("1:out 2 3 4", ("1W 2W 3W",), ("drain 1: +4 -1",)),
    "another is lost as well": ("1 2:out 3 4 5", ("1W 2W 3W",), ("drain 1: +4 +5 >1 -2",)),
}


@pytest.mark.parametrize(("known", "members", "wanted"), DRAINS.values(), ids=DRAINS)
def test_what_a_drain_changes(known: str, members: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    groups = [group(text, number=number) for number, text in enumerate(members, start=1)]
    plan = plan_drain(server_id(1), servers(known), groups, policy())
    assert plan.refusal is None
    assert tuple(shown(change) for change in plan.changes) == wanted
    added = [each for change in plan.changes for each in change.add]
    assert len(set(added)) == len(added)
    assert plan.bytes == len(added) << 30


LAST_COPY = (
    "cs-1 cannot be drained now: it holds the only good copy of {}. Start or add chunkservers, wait until they have "
    "copies as well (dstore status shows it), then drain it."
)
NO_PLACE = (
    "cs-1 cannot be drained: {} would be left with too few members: for group 1, {}. Start or add a chunkserver, then "
    "drain it."
)

#: (servers, groups, the refusal) for draining server 1
REFUSALS = {
    "the only chunkserver": ("1", ("1W",), LAST_COPY.format("1 placement group")),
    "the last good copy": (
        "1 2:down 3:out 4 5",
        ("1W 2W 3W", "1W 2W 3W", "1W 4W 5W"),
        LAST_COPY.format("2 placement groups"),
    ),
    "nobody else": (
        "1 2 3",
        ("1W 2W 3W", "3W 2W 1W"),
        NO_PLACE.format("2 of its 2 placement groups", "of 3 chunkservers, 3 are in the group already"),
    ),
    "nobody who is up": (
        "1 2 3 4:down",
        ("1W 2W 3W",),
        NO_PLACE.format("1 of its 1 placement group", "of 4 chunkservers, 3 are in the group already, 1 is not up"),
    ),
    "one spare, two lost": (
        "1 2:out 3 4",
        ("1W 2W 3W",),
        NO_PLACE.format("1 of its 1 placement group", "of 4 chunkservers, 3 are in the group already, 1 is not up"),
    ),
}


@pytest.mark.parametrize(("known", "members", "wanted"), REFUSALS.values(), ids=REFUSALS)
def test_a_drain_that_cannot_work_is_refused(known: str, members: tuple[str, ...], wanted: str) -> None:
    groups = [group(text, number=number) for number, text in enumerate(members, start=1)]
    plan = plan_drain(server_id(1), servers(known), groups, policy())
    assert (plan.refusal, plan.changes, plan.bytes) == (wanted, (), 0)


def test_a_drain_that_does_not_fit_is_refused() -> None:
    groups = [group("1W 2W 3W", number=number, size=300 << 30) for number in range(1, 7)]
    known = servers("1 2 3 4")
    assert plan_drain(server_id(1), known, groups[:2], policy()).bytes == 600 << 30
    assert plan_drain(server_id(1), known, groups, policy()).refusal == (
        "cs-1 cannot be drained: 4 of its 6 placement groups would be left with too few members: the others have no "
        "room for all of it below 90%. Start or add a chunkserver, then drain it."
    )


def test_the_only_copy_may_move_where_the_policy_wants_one() -> None:
    plan = plan_drain(server_id(1), servers("1 2"), [group("1W")], policy(replicas=1))
    assert [shown(change) for change in plan.changes] == ["drain 1: +2 >1"]


def test_a_disk_of_the_same_host_may_take_over() -> None:
    rules = policy(failure_domain="host")
    plan = plan_drain(server_id(1), servers("1@a 2@b 3@c 4@a 5@b"), [group("1W 2W 3W")], rules)
    assert [shown(change) for change in plan.changes] == ["drain 1: +4 >1"]
    refusal = plan_drain(server_id(1), servers("1@a 2@b 3@c 5@b"), [group("1W 2W 3W")], rules).refusal
    assert refusal is not None and "1 is on the host of a member" in refusal


@pytest.mark.parametrize(
    ("known", "members", "wanted"),
    [
        ("1 2 3 4", ("2W 3W 4W",), None),
        ("1:out 2 3 4", ("2W 3W 4W",), None),
        (
            "1 2 3 4",
            ("2W 3W 4W", "1W 2W 3W"),
            "1 placement group, so removing it would cost copies; run `dstore node drain cs-1`, and wait for it.",
        ),
        (
            "1:draining 2 3 4",
            ("1L 2W 3W 4F", "1W 2W 3W"),
            "2 placement groups, so removing it would cost copies; wait until its drain is over (see dstore status).",
        ),
    ],
)
def test_a_server_with_groups_is_not_removed(known: str, members: tuple[str, ...], wanted: str | None) -> None:
    groups = [group(text, number=number) for number, text in enumerate(members, start=1)]
    refusal = check_removable(server_id(1), servers(known), groups)
    assert refusal == (wanted and f"cs-1 is still a member of {wanted}")
