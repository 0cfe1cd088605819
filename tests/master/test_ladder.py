"""The order of servers, compared with a plain sort."""

import random

import pytest
from master_harness import server_id
from planner_model import numbers

from dstore.core.ids import ServerId
from dstore.master.ladder import Ladder


def ladder(loads: dict[int, int], domains: dict[int, str]) -> Ladder:
    return Ladder(
        {server_id(number): domain for number, domain in domains.items()},
        {server_id(number): load for number, load in loads.items()},
    )


def anyone(_: ServerId) -> bool:
    return True


@pytest.mark.parametrize("seed", range(30))
def test_it_finds_what_a_sort_finds(seed: int) -> None:
    rng = random.Random(seed)
    domains = {number: f"d{rng.randint(1, 8)}" for number in range(20)}
    loads = {number: rng.randint(0, 9) for number in range(20)}
    tested = ladder(loads, domains)
    for _ in range(200):
        number = rng.randrange(20)
        if number in loads and rng.random() < 0.05:
            del loads[number]
            tested.discard(server_id(number))
        elif number in loads:
            loads[number] = rng.randint(0, 9)
            tested.move(server_id(number), loads[number])
        barred = {f"d{rng.randint(1, 8)}" for _ in range(rng.randint(0, 3))}
        refused = {rng.randrange(20) for _ in range(rng.randint(0, 6))}
        count = rng.randint(1, 9)
        # The least loaded acceptable server of each domain, in the order of the least loaded ones of all.
        firsts: dict[str, int] = {}
        heads: dict[str, tuple[int, int]] = {}
        for load, each in sorted((load, each) for each, load in loads.items()):
            heads.setdefault(domains[each], (load, each))
            if each not in refused:
                firsts.setdefault(domains[each], each)
        wanted = [firsts[domain] for domain in sorted(heads, key=lambda each: heads[each]) if domain in firsts]
        wanted = [each for each in wanted if domains[each] not in barred][:count]
        accepted = {server_id(each) for each in loads if each not in refused}
        found = tested.lowest(accepted.__contains__, barred=barred, count=count)
        assert numbers(found) == wanted
        assert len(tested) == len(loads)


def test_a_bounded_search_gives_up() -> None:
    tested = ladder({number: number for number in range(9)}, {number: f"d{number}" for number in range(9)})
    assert tested.lowest(lambda each: each == server_id(5), tries=5) == []
    assert tested.lowest(lambda each: each == server_id(5), tries=6) == [server_id(5)]
    assert tested.lowest(lambda each: each == server_id(5), barred={"d0"}, tries=5) == [server_id(5)]


def test_an_empty_one_finds_nothing() -> None:
    tested = ladder({1: 1}, {1: "a"})
    tested.discard(server_id(1))
    tested.discard(server_id(1))
    assert tested.lowest(anyone) == []
    assert server_id(1) not in tested
