"""What operators are told; above all, when HEALTH_OK must not be said."""

import dataclasses
from pathlib import Path

import pytest
from master_harness import CHUNK_SIZE, POLICY, SEALED_SIZE, MasterHarness, boot_id, identity, server_id

from dstore.core.files import Policy
from dstore.core.groups import Capacity, ServerLabels, ServerPhase
from dstore.core.ids import GroupId
from dstore.core.limits import UNSYNCED_AGE_TOLD_S
from dstore.core.status import ClusterStatus, Health
from dstore.core.upkeep import GroupDoubt, Heartbeat, UnsyncedReport


def codes(status: ClusterStatus) -> list[str]:
    return [check.code for check in status.checks]


async def status_of(cluster: MasterHarness) -> ClusterStatus:
    status = await cluster.master.admin.get_status()
    assert (status.health is Health.OK) == (status.checks == ())
    assert all(check.message and check.hint for check in status.checks)
    return status


async def test_a_cluster_without_servers_is_an_error_with_a_hint(empty: MasterHarness) -> None:
    status = await status_of(empty)
    assert status.health is Health.ERROR
    assert codes(status) == ["NO_SERVERS"]
    assert "dstore" in status.checks[0].hint
    assert (status.servers_up, status.servers_total, status.directory_count) == (0, 0, 1)


async def test_a_whole_cluster_is_well(cluster: MasterHarness) -> None:
    await cluster.make_directory("/dir")
    await cluster.write("/dir/x", chunk_count=3)
    intent = await cluster.begin("/y", chunk_count=2)
    status = await status_of(cluster)
    assert status.health is Health.OK
    assert status.summary == "3 of 3 chunkservers are up; every one of 3 chunks has 3 copies."
    assert (status.servers_up, status.servers_total, status.group_count) == (3, 3, 12)
    assert (status.file_count, status.directory_count, status.chunk_count) == (1, 2, 3)
    assert (status.logical_bytes, status.stored_bytes) == (3 * CHUNK_SIZE, 3 * 3 * SEALED_SIZE)
    assert (status.under_replicated_chunks, status.unavailable_chunks, status.deleted_chunks) == (0, 0, 0)
    assert status.writes_in_progress == 1
    assert status.capacity == Capacity(3_000_000, 300_000)
    assert status.policy == POLICY
    assert [server.name for server in status.servers] == ["cs-1", "cs-2", "cs-3"]
    await cluster.namespace.abandon_write(intent.intent_id, request_id=cluster.request_id())
    status = await status_of(cluster)
    assert (status.writes_in_progress, status.deleted_chunks) == (0, 2)


@pytest.mark.parametrize(
    ("chunk_count", "well", "lacking"),
    [
        (0, "3 of 3 chunkservers are up.", []),
        (1, "3 of 3 chunkservers are up; the only chunk has 3 copies.", ["1 chunk has fewer than 3 copies"]),
        (2, "3 of 3 chunkservers are up; every one of 2 chunks has 3 copies.", ["2 chunks have fewer than 3 copies"]),
    ],
)
async def test_numbers_and_their_nouns_agree(
    cluster: MasterHarness, chunk_count: int, well: str, lacking: list[str]
) -> None:
    await cluster.write("/x", chunk_count=chunk_count)
    assert (await status_of(cluster)).summary == well
    await cluster.stop(2)
    checks = (await status_of(cluster)).checks[1:]
    assert [check.message for check in checks] == [f"{words} on servers that are up." for words in lacking]


async def test_what_still_takes_space_after_a_removal_is_told(cluster: MasterHarness) -> None:
    def kept(status: ClusterStatus) -> tuple[int, int, int]:
        return status.retained_file_count, status.retained_bytes, status.deleted_chunks

    await cluster.write("/removed", chunk_count=2)
    await cluster.write("/replaced", chunk_count=3)
    assert kept(await status_of(cluster)) == (0, 0, 0)
    await cluster.remove("/removed")
    await cluster.write("/replaced", chunk_count=1)
    status = await status_of(cluster)
    assert kept(status) == (2, 5 * CHUNK_SIZE, 0)
    assert (status.file_count, status.logical_bytes, status.health) == (1, CHUNK_SIZE, Health.OK)
    await cluster.collect(retention_s=0)
    assert kept(await status_of(cluster)) == (0, 0, 5)
    held = await cluster.committed()
    await cluster.send(dataclasses.replace(cluster.report(1, held), trash_count=4))
    await cluster.send(dataclasses.replace(cluster.report(3, held), trash_count=5))
    assert (await status_of(cluster)).trashed_copies == 9


async def test_what_is_not_synced_yet_is_told(cluster: MasterHarness) -> None:
    for number, report in ((1, UnsyncedReport(2, 300, 0.5)), (2, UnsyncedReport(1, 100, 0.25))):
        await cluster.send(dataclasses.replace(cluster.report(number, await cluster.committed()), unsynced=report))
    status = await status_of(cluster)
    assert (status.unsynced_copies, status.unsynced_bytes, status.unsynced_age_s) == (3, 400, 0.5)
    assert [server.unsynced_chunk_count for server in status.servers] == [2, 1, 0]
    assert status.health is Health.OK, "that was asked for"
    late = dataclasses.replace(cluster.report(1, {}), unsynced=UnsyncedReport(2, 300, UNSYNCED_AGE_TOLD_S))
    await cluster.send(late)
    assert codes(await status_of(cluster)) == ["SYNCS_BEHIND"]


async def test_a_server_that_may_lack_something_is_never_ok(cluster: MasterHarness) -> None:
    await cluster.send(dataclasses.replace(cluster.report(1, {}), doubts=(GroupDoubt(GroupId(1), 1),)))
    status = await status_of(cluster)
    assert (status.health, codes(status)) == (Health.WARN, ["COPIES_IN_DOUBT"])
    assert "1 group is compared" in status.checks[0].message


async def test_a_suspect_server_is_never_ok(cluster: MasterHarness) -> None:
    cluster.clock.now_s += 3.0
    await cluster.beat(1, 3)
    status = await status_of(cluster)
    assert (status.health, codes(status)) == (Health.WARN, ["SERVER_SUSPECT"])


async def test_a_server_that_is_down_counts_every_chunk_that_it_holds(cluster: MasterHarness) -> None:
    await cluster.write("/x", chunk_count=5)
    await cluster.stop(2)
    status = await status_of(cluster)
    assert status.health is Health.WARN
    assert codes(status) == ["SERVER_DOWN", "CHUNKS_UNDER_REPLICATED"]
    assert [check.hint for check in status.checks] == ["dstore node start cs-2"] * 2
    assert (status.under_replicated_chunks, status.unavailable_chunks, status.servers_up) == (5, 0, 2)
    assert [server.phase for server in status.servers] == [ServerPhase.UP, ServerPhase.DOWN, ServerPhase.UP]
    await cluster.join(2)
    assert (await status_of(cluster)).health is Health.OK


async def test_missing_replicas_stay_a_warning_after_the_server_came_back(cluster: MasterHarness) -> None:
    await cluster.write("/whole", chunk_count=4)
    await cluster.write("/x", chunk_count=2, without=[server_id(3)])
    status = await status_of(cluster)
    assert (status.health, codes(status)) == (Health.WARN, ["CHUNKS_UNDER_REPLICATED"])
    assert status.under_replicated_chunks == 2
    assert status.checks[0].hint == "dstore status", "no server that could be started has them"
    assert [server.missing_chunk_count for server in status.servers] == [0, 0, 2]
    assert status.stored_bytes == (3 * 4 + 2 * 2) * SEALED_SIZE
    await cluster.remove("/x")
    assert (await status_of(cluster)).health is Health.WARN, "it can be restored"
    await cluster.collect_all()
    assert (await status_of(cluster)).health is Health.OK


async def test_a_chunk_that_lacks_copies_for_two_reasons_counts_once(cluster: MasterHarness) -> None:
    await cluster.write("/whole", chunk_count=1)
    await cluster.write("/x", chunk_count=1, without=[server_id(3)])
    await cluster.stop(1)
    status = await status_of(cluster)
    assert (status.under_replicated_chunks, status.unavailable_chunks) == (2, 0)


async def test_chunks_whose_only_copies_are_down_are_an_error(cluster: MasterHarness) -> None:
    await cluster.write("/whole", chunk_count=3)
    await cluster.write("/x", chunk_count=2, without=[server_id(3)])
    await cluster.stop(1, 2)
    status = await status_of(cluster)
    assert status.health is Health.ERROR
    assert codes(status)[:2] == ["CHUNKS_UNAVAILABLE", "WRITES_IMPOSSIBLE"]
    assert (status.under_replicated_chunks, status.unavailable_chunks) == (5, 2)
    assert "1 of 3 chunkservers are up" in status.summary
    await cluster.stop(3)
    assert (await status_of(cluster)).unavailable_chunks == 5


async def test_too_few_servers_are_never_ok(empty: MasterHarness) -> None:
    await empty.join(1, 2)
    assert codes(await status_of(empty)) == ["TOO_FEW_SERVERS"]
    await empty.write("/x", chunk_count=2)
    status = await status_of(empty)
    assert codes(status) == ["CHUNKS_UNDER_REPLICATED", "TOO_FEW_SERVERS"]
    assert status.under_replicated_chunks == 2
    assert status.checks[-1].hint == "dstore up --chunkservers 3"
    await empty.join(3)
    status = await status_of(empty)
    # What was written to two servers still lacks a copy.
    assert (status.health, codes(status)) == (Health.WARN, ["CHUNKS_UNDER_REPLICATED"])


async def test_one_server_cannot_be_written_to(empty: MasterHarness) -> None:
    await empty.join(1)
    status = await status_of(empty)
    assert status.health is Health.ERROR
    assert codes(status) == ["WRITES_IMPOSSIBLE", "TOO_FEW_SERVERS"]


@pytest.mark.parametrize(
    ("used_bytes", "expected"),
    [(899_999, []), (900_000, ["DISK_NEARLY_FULL"]), (949_999, ["DISK_NEARLY_FULL"]), (950_000, ["DISK_FULL"])],
)
async def test_full_disks_are_never_ok(cluster: MasterHarness, used_bytes: int, expected: list[str]) -> None:
    await cluster.join(2, capacity=Capacity(1_000_000, used_bytes))
    assert codes(await status_of(cluster)) == expected


async def test_corrupt_chunks_are_never_ok(cluster: MasterHarness) -> None:
    await cluster.beat(2, corrupt=3)
    status = await status_of(cluster)
    assert codes(status) == ["CHUNKS_CORRUPT"]
    assert status.checks[0].message.startswith("The disk of cs-2 holds 3 chunks")


async def test_corrupt_chunks_of_any_of_many_servers_are_never_ok(empty: MasterHarness) -> None:
    await empty.join(*range(10, 30))
    await empty.beat(29, corrupt=1)
    assert codes(await status_of(empty)) == ["CHUNKS_CORRUPT"]


@pytest.mark.parametrize(
    ("ahead_s", "wrong"),
    [
        ({1: 9.0, 2: -9.0}, []),
        ({1: 86_400.0}, ["cs-1 is 86,400 s ahead"]),
        ({1: -86_400.0, 3: 30.0}, ["cs-1 is 86,400 s behind", "cs-3 is 30 s ahead"]),
        ({1: 86_401.0, 2: 86_400.0, 3: 86_402.0}, ["the master is 86,400 s behind"]),
        ({1: 60.0, 2: 60.0, 3: 0.0}, ["cs-1 is 60 s ahead", "cs-2 is 60 s ahead"]),
    ],
)
async def test_wrong_clocks_are_told(cluster: MasterHarness, ahead_s: dict[int, float], wrong: list[str]) -> None:
    for number in (1, 2, 3):
        await cluster.beat(number, sent_ns=cluster.clock.wall_ns() + int(ahead_s.get(number, 0.0) * 1e9))
    status = await status_of(cluster)
    assert [check.message.partition("; nothing is decided by it")[0] for check in status.checks] == [
        f"The clock of {each}" for each in wrong
    ]
    assert set(codes(status)) <= {"CLOCK_WRONG"}
    # A server that is not heard has no clock to speak of, and one that was set is right with the next beat.
    await cluster.beat(sent_ns=cluster.clock.wall_ns())
    assert codes(await status_of(cluster)) == []


async def test_a_server_that_came_back_with_an_emptied_disk_is_never_ok(cluster: MasterHarness) -> None:
    await cluster.write("/x", chunk_count=5)
    await cluster.write("/y", chunk_count=1, without=[server_id(2)])
    await cluster.advance(1.0)
    await status_of(cluster)
    await cluster.stop(2)
    await status_of(cluster)
    cluster.clock.now_s += 0.5
    await cluster.master.cluster.register(identity(2, boot_id=boot_id(12)))
    assert codes(await status_of(cluster))[0] == "SERVER_SUSPECT", "what it holds now is not known yet"
    cluster.clock.now_s += 0.5
    held = await cluster.committed()
    short = [group_id for group_id, count in held.items() if count][:3]
    report = cluster.report(
        2,
        {group_id: count - (group_id in short) for group_id, count in held.items()},
        boot_id=boot_id(12),
        incarnation=2,
    )
    await cluster.send(report)
    status = await status_of(cluster)
    assert codes(status) == ["CHUNKS_UNDER_REPLICATED", "CHUNKS_LACKING"]
    assert status.under_replicated_chunks == 1 + 3
    assert [server.missing_chunk_count for server in status.servers] == [0, 1 + 3, 0]
    for _ in range(3):
        cluster.clock.now_s += 1.0
        await cluster.master.cluster.heartbeat(report)
        await cluster.beat(1, 3)
        assert "CHUNKS_LACKING" in codes(await status_of(cluster))
    await cluster.remove("/x")
    await cluster.collect_all()
    for _ in range(2):
        cluster.clock.now_s += 1.0
        await cluster.master.cluster.heartbeat(report)
        await cluster.beat(1, 3)
        status = await status_of(cluster)
    assert codes(status) == ["CHUNKS_UNDER_REPLICATED"]


async def test_a_disk_that_was_emptied_right_after_a_write_is_noticed_with_its_first_report(
    cluster: MasterHarness,
) -> None:
    await cluster.write("/x", chunk_count=5)
    await cluster.master.cluster.register(identity(2, boot_id=boot_id(12)))
    report = Heartbeat(server_id(2), boot_id(12), Capacity(1_000_000, 100_000), 0, incarnation=2)
    await cluster.master.cluster.heartbeat(report)
    status = await status_of(cluster)
    assert (codes(status), status.under_replicated_chunks) == (["CHUNKS_UNDER_REPLICATED", "CHUNKS_LACKING"], 5)


async def test_a_first_report_is_judged_by_the_last_write_however_often_it_is_looked_at(
    cluster: MasterHarness,
) -> None:
    await status_of(cluster)
    cluster.clock.now_s += 0.6
    await cluster.write("/x", chunk_count=5)
    await cluster.master.cluster.register(identity(2, boot_id=boot_id(12)))
    report = Heartbeat(server_id(2), boot_id(12), Capacity(1_000_000, 100_000), 0, incarnation=2)
    for _ in range(4):
        cluster.clock.now_s += 0.3
        await cluster.beat(1, 3)
        await cluster.master.cluster.heartbeat(report)
        for _ in range(2):
            assert "CHUNKS_LACKING" in codes(await status_of(cluster))


async def test_a_report_from_before_a_commit_is_not_held_against_a_server(cluster: MasterHarness) -> None:
    held = await cluster.committed()
    for number in range(6):
        # The reports were counted before the commit and arrive after it.
        await cluster.write(f"/{number}", chunk_count=2)
        await status_of(cluster)
        cluster.clock.now_s += 1.0
        await cluster.beat(held=held)
        assert (await status_of(cluster)).health is Health.OK
        cluster.clock.now_s += 0.1
        held = await cluster.committed()


async def test_after_a_restart_of_the_master_nothing_is_said_before_it_is_known(cluster: MasterHarness) -> None:
    await cluster.write("/x", chunk_count=2)
    await cluster.restart()
    status = await status_of(cluster)
    assert status.health is not Health.OK
    assert (status.servers_up, status.unavailable_chunks) == (0, 0)
    await cluster.beat()
    assert (await status_of(cluster)).health is Health.OK


async def test_too_few_failure_domains_are_never_ok(tmp_path: Path) -> None:
    cluster = MasterHarness(tmp_path, Policy("default", 3, 2, CHUNK_SIZE, "rack"))
    await cluster.open()
    for number in range(1, 5):
        await cluster.master.cluster.register(identity(number, labels=ServerLabels("h", f"r{number % 2}")))
    assert "TOO_FEW_SERVERS" in codes(await status_of(cluster))
    await cluster.store.close()


async def test_many_lost_servers_are_summed_up(empty: MasterHarness) -> None:
    await empty.join(*range(1, 30))
    await empty.stop(*range(1, 25))
    checks = (await status_of(empty)).checks
    assert len(checks) == 11
    assert checks[-1].message == "14 more chunkservers are not up."


async def test_describe_file_shows_where_its_chunks_are(cluster: MasterHarness) -> None:
    info = await cluster.write("/x", chunk_count=3, without=[server_id(2)])
    admin = cluster.master.admin
    whole = await admin.describe_file("/x", start_index=0, count=0)
    assert (whole.info, whole.policy, whole.key_ids, whole.next_chunk_index) == (info, POLICY, (b"8 bytes.",), None)
    assert [chunk.record.index for chunk in whole.chunks] == [0, 1, 2]
    for chunk in whole.chunks:
        assert chunk.missing == (server_id(2),)
        assert chunk.group.group_id == chunk.record.chunk_id.group_id
        assert {member.name for member in chunk.group.members} == {"cs-1", "cs-2", "cs-3"}
    first = await admin.describe_file("/x", start_index=0, count=2)
    assert (first.chunks, first.next_chunk_index) == (whole.chunks[:2], 2)
    rest = await admin.describe_file("/x", start_index=2, count=2)
    assert (rest.chunks, rest.next_chunk_index) == (whole.chunks[2:], None)
    assert (await admin.describe_file("/x", start_index=9, count=2)).chunks == ()
