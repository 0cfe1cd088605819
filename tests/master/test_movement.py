"""What the status tells of what moves: rates of servers, copying, groups by state."""

import pytest
from master_harness import MasterHarness, server_id

from dstore.core.status import GroupStates, ServerStatus
from dstore.core.traffic import ByteCounts, Traffic, rate_per_s
from dstore.core.upkeep import CopyReport, ScrubReport


async def server(cluster: MasterHarness, number: int) -> ServerStatus:
    status = await cluster.master.admin.get_status()
    return next(each for each in status.servers if each.server_id == server_id(number))


async def move(cluster: MasterHarness, number: int, counts: ByteCounts) -> None:
    await cluster.beat(
        number,
        read_bytes=counts.read_bytes,
        write_bytes=counts.write_bytes,
        copying=CopyReport(0, 0, 0, counts.copied_bytes, ""),
        scrub=ScrubReport(0, 0.0, counts.scrubbed_bytes, None),
    )


async def test_rates_are_those_of_the_last_seconds(cluster: MasterHarness) -> None:
    assert (await server(cluster, 1)).traffic == Traffic()
    for second in range(1, 31):
        cluster.clock.now_s += 1
        await cluster.beat()
        busy = min(second, 20)
        await move(cluster, 1, ByteCounts(1_000 * busy, 200 * busy, 30 * busy, 4 * busy))
        if second == 20:
            rates = ByteCounts(1_000, 200, 30, 4)
            assert (await server(cluster, 1)).traffic == Traffic(ByteCounts(20_000, 4_000, 600, 80), rates)
            assert (await cluster.master.admin.get_status()).traffic.per_s == rates
    assert (await server(cluster, 1)).traffic == Traffic(ByteCounts(20_000, 4_000, 600, 80), ByteCounts())


async def test_a_server_that_is_not_heard_moves_nothing(cluster: MasterHarness) -> None:
    cluster.clock.now_s += 1
    await move(cluster, 1, ByteCounts(1_000))
    assert (await server(cluster, 1)).traffic.per_s == ByteCounts(1_000)
    cluster.clock.now_s += 4
    assert (await server(cluster, 1)).traffic == Traffic(ByteCounts(1_000), ByteCounts())
    assert (await cluster.master.admin.get_status()).traffic == Traffic()


@pytest.mark.parametrize(("elapsed_s", "expected"), [(0.0, 0), (0.5, 20), (1.0, 10), (2.0, 5)])
def test_a_rate_needs_time(elapsed_s: float, expected: int) -> None:
    assert rate_per_s(ByteCounts(5), ByteCounts(15), elapsed_s) == ByteCounts(expected)


async def test_every_group_is_in_one_state(cluster: MasterHarness) -> None:
    admin = cluster.master.admin
    await cluster.write("/x", chunk_count=3)
    assert (await admin.get_status()).group_states == GroupStates(whole=12)
    await cluster.stop(2)
    assert (await admin.get_status()).group_states == GroupStates(degraded=12)
    await cluster.stop(1)
    await cluster.stop(3)
    assert (await admin.get_status()).group_states == GroupStates(unavailable=12)
