"""What the upkeep is doing, as reasons for a health that is not OK: copying, draining, stuck, or led by nobody."""

from collections.abc import Iterable, Mapping, Sequence

from dstore.core.files import Policy
from dstore.core.groups import Duty, ServerPhase
from dstore.core.ids import ServerId
from dstore.core.limits import LEADER_LEASE_S
from dstore.core.sizes import format_size
from dstore.core.status import HealthCheck
from dstore.master.facts import Facts
from dstore.master.group_map import GroupMap
from dstore.master.membership import ServerState
from dstore.master.progress import Progress
from dstore.master.repair import explain
from dstore.master.repairing import view
from dstore.master.server_health import NAMED_MAX, warn


def about_upkeep(
    policy: Policy,
    facts: Facts,
    groups: GroupMap,
    states: Mapping[ServerId, ServerState],
    progress: Progress,
    *,
    leaderless_s: float,
) -> list[HealthCheck]:
    """Return the reasons. ``leaderless_s``: for how long no master was seen leading."""
    checks = _about_drains(groups, states.values())
    if progress.filling_count:
        what = (
            "1 copy of a placement group is"
            if progress.filling_count == 1
            else (f"{progress.filling_count} copies of placement groups are")
        )
        checks.append(warn("GROUPS_FILLING", f"{what} being made: {_how_long(progress)}.", "dstore status"))
    checks += _about_stuck_groups(policy, facts, groups, states)
    if leaderless_s > 2 * LEADER_LEASE_S:
        checks.append(
            warn(
                "NO_LEADER",
                f"No master has led for {leaderless_s:.0f} s, so nothing is repaired, balanced or collected.",
                "look at the log of the master",
            )
        )
    return checks


def _about_drains(groups: GroupMap, states: Iterable[ServerState]) -> list[HealthCheck]:
    checks = []
    draining = sorted(
        (state for state in states if state.record.duty is Duty.DRAINING), key=lambda state: state.record.name
    )
    for state in draining[:NAMED_MAX]:
        name, count = state.record.name, len(groups.of_server(state.record.server_id))
        if count:
            message = f"{name} is being drained: it is still in {count} placement group{'' if count == 1 else 's'}."
            hint = f"dstore status; dstore node activate {name} stops it"
        else:
            message = f"{name} is drained: nothing is kept on it any more."
            hint = f"dstore node remove {name}"
        checks.append(warn("SERVER_DRAINING", message, hint))
    return checks


def _how_long(progress: Progress) -> str:
    left = f"{format_size(progress.left_bytes)} to copy"
    if progress.left_s is None:
        return left
    return f"{left}, at {format_size(int(progress.bytes_per_s))}/s {_in_words(progress.left_s)}"


def _in_words(left_s: float) -> str:
    if left_s < 90:
        return f"{max(1, round(left_s))} s"
    return f"{left_s / 60:.0f} min" if left_s < 5400 else f"{left_s / 3600:.1f} h"


def _about_stuck_groups(
    policy: Policy, facts: Facts, groups: GroupMap, states: Mapping[ServerId, ServerState]
) -> list[HealthCheck]:
    """Say why groups on servers that are out or drain get no new members."""
    troubled = [
        state.record.server_id
        for state in states.values()
        if state.phase is ServerPhase.OUT or state.record.duty is Duty.DRAINING
    ]
    group_ids = sorted({group_id for server_id in troubled for group_id in groups.of_server(server_id)})
    if not group_ids:
        return []
    servers = [state.planned for state in states.values()]
    # Reasons are the same for most groups; a few of them tell enough.
    reasons: Sequence[str] = [
        why
        for group_id in group_ids[:NAMED_MAX]
        if (why := explain(servers, view(groups.by_id[group_id], facts, frozenset()), policy)) is not None
    ]
    return [warn("REPAIR_STUCK", reasons[0], "dstore node list")] if reasons else []
