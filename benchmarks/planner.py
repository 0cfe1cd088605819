"""How long the planners of upkeep take to decide, for a large cluster that exists only as values."""

import argparse
import random
import time
from collections.abc import Callable, Sized
from dataclasses import replace
from pathlib import Path

from benchmarks.harness import Cell, Report, conditions, median, print_report, run_count
from benchmarks.model_cluster import TOTAL_BYTES, make_groups, make_servers, policy, with_phase, with_used
from dstore.core.groups import Capacity, Duty, ServerPhase
from dstore.master.balance import plan_balance
from dstore.master.drain import plan_drain
from dstore.master.repair import plan_repair, plan_settle
from dstore.master.views import PlannedGroup, PlannedServer, PlannerLimits

SERVERS_DEFAULT = 1_000
GROUPS_DEFAULT = 100_000
GOAL_S = 1.0

Case = tuple[str, Callable[[], Sized]]


def repair_cases(servers: list[PlannedServer], groups: list[PlannedGroup], domain: str) -> list[Case]:
    """Return what happens when servers fail or drain."""
    rules, limits = policy(domain), PlannerLimits()
    one_out = with_phase(servers, {0: ServerPhase.OUT})
    rack_out = with_phase(servers, dict.fromkeys(range(20), ServerPhase.OUT))
    draining = [replace(servers[0], duty=Duty.DRAINING), *servers[1:]]
    return [
        ("repair: all is well", lambda: plan_repair(servers, groups, rules, limits=limits)),
        ("repair: one server out", lambda: plan_repair(one_out, groups, rules, limits=limits)),
        ("repair: 20 servers out", lambda: plan_repair(rack_out, groups, rules, limits=limits)),
        ("repair: one server draining", lambda: plan_repair(draining, groups, rules, limits=limits)),
        ("settle: nothing to do", lambda: plan_settle(servers, groups, rules)),
        ("drain: the whole plan", lambda: plan_drain(servers[0].server_id, servers, groups, rules).changes),
    ]


def balance_cases(servers: list[PlannedServer], groups: list[PlannedGroup], domain: str) -> list[Case]:
    """Return what happens when disks fill unevenly; the seed makes it the same every time."""
    rules = policy(domain)
    rng = random.Random(1)
    even = TOTAL_BYTES * 45 // 100
    # Larger disks get more groups: then they are taken for disks of one size.
    lopsided = [replace(each, capacity=Capacity(rng.randint(35, 55), 0)) for each in servers]
    uneven = make_groups(lopsided, len(groups), groups[0].chunk_bytes, domain)
    new_count = len(servers) // 10
    new = with_used(servers, [0 if index < new_count else even for index in range(len(servers))])
    without = make_groups(new[new_count:], len(groups), groups[0].chunk_bytes, domain)
    return [
        ("balance: all is even", lambda: plan_balance(servers, groups, rules).moves),
        ("balance: fill from 35 % to 55 %", lambda: plan_balance(servers, uneven, rules).moves),
        (f"balance: {new_count} servers are new, first 1,024 moves", lambda: _first(new, without, domain)),
        (f"balance: {new_count} servers are new, all moves", lambda: plan_balance(new, without, rules).moves),
    ]


def _first(servers: list[PlannedServer], groups: list[PlannedGroup], domain: str) -> Sized:
    return plan_balance(servers, groups, policy(domain), moves_max=PlannerLimits().moves_max).moves


def measure(server_count: int, group_count: int, runs: int) -> Report:
    """Time each case and return the medians."""
    rows: list[tuple[Cell, ...]] = []
    size_bytes = TOTAL_BYTES * 45 // 100 * server_count // (group_count * 3)
    for domain in ("server", "rack"):
        servers = make_servers(server_count, TOTAL_BYTES * 45 // 100)
        groups = make_groups(servers, group_count, size_bytes, domain)
        for name, plan in repair_cases(servers, groups, domain) + balance_cases(servers, groups, domain):
            wall_s, cpu_s, count = [], [], 0
            for _ in range(runs):
                wall, cpu = time.perf_counter(), time.process_time()
                count = len(plan())
                wall_s.append(time.perf_counter() - wall)
                cpu_s.append(time.process_time() - cpu)
            result = "within" if median(cpu_s) <= GOAL_S else "above"
            rows.append((name, domain, count, round(median(wall_s), 3), round(median(cpu_s), 3), result))
    return Report(
        title="How long planning takes",
        conditions=conditions(Path(), "none, nothing is stored", servers=server_count, groups=group_count, runs=runs),
        columns=("plan", "failure domain", "changes", "median s", "median CPU s", f"goal {GOAL_S:.0f} s"),
        rows=tuple(rows),
    )


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planner", description=__doc__)
    parser.add_argument("--servers", type=int, default=SERVERS_DEFAULT, help=f"default {SERVERS_DEFAULT}")
    parser.add_argument("--groups", type=int, default=GROUPS_DEFAULT, help=f"default {GROUPS_DEFAULT}")
    parser.add_argument("--runs", type=run_count, default=5, help="of each case, default 5")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()
    print_report(measure(arguments.servers, arguments.groups, arguments.runs), as_json=arguments.json)


if __name__ == "__main__":
    main()
