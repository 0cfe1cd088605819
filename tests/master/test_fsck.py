"""The check of a cluster finds each damage, says where, and says nothing on a whole cluster."""

from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
from checked_cluster import CheckedCluster, open_checked
from master_harness import SEALED_SIZE, server_id
from scripted_peers import CRC

from dstore.core.checking import CheckSummary, Finding, FindingKind, Severity
from dstore.core.errors import LimitExceeded
from dstore.core.ids import ChunkId, GroupId


@pytest.fixture
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CheckedCluster]:
    checked = await open_checked(tmp_path, monkeypatch)
    yield checked
    await checked.harness.store.close()


async def test_a_whole_cluster_is_clean(cluster: CheckedCluster) -> None:
    findings, summary = await cluster.check()
    assert findings == []
    assert summary == CheckSummary(3, 3, 31, 93, 0, 0, 0, 0, True)
    assert summary.is_clean


async def test_a_cluster_at_work_is_clean(cluster: CheckedCluster) -> None:
    """Retained and deleted files, small ones, writes in progress and abandoned ones are no damage."""
    small = await cluster.harness.seal("/small", "/gone", "/small", size_bytes=100)
    assert len(await cluster.harness.put(*small)) == 3
    await cluster.harness.remove("/gone")
    await cluster.write("/x", 3)
    await cluster.harness.remove("/x")
    await cluster.write("/dir/a", 2)
    intent = await cluster.harness.begin("/y", chunk_count=3)
    other = await cluster.harness.begin("/z", chunk_count=3)
    for server in cluster.servers.values():
        server.chunks |= {placement.chunk_id for placement in (*intent.placements, *other.placements)}
    await cluster.harness.namespace.abandon_write(other.intent_id, request_id=cluster.harness.request_id())
    findings, summary = await cluster.check()
    assert {each.kind for each in findings} == {FindingKind.DELETED_CHUNK_HELD}
    assert summary.is_clean
    assert all("still holds" in each.what for each in findings)


async def test_a_chunk_that_is_collected_during_the_check_is_not_unknown(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    await cluster.sql("DELETE FROM chunks WHERE sequence = ?", chunk_id.sequence)
    await cluster.sql("DELETE FROM inodes WHERE chunk_count = 1")
    await cluster.sql("DELETE FROM entries WHERE name = ?", b"b")
    asked: list[int] = []

    def discard(number: int, group_id: GroupId) -> None:
        if group_id == chunk_id.group_id:
            if number in asked:
                cluster.servers[number].chunks.discard(chunk_id)
            asked.append(number)

    cluster.peers.before = discard
    assert FindingKind.UNKNOWN_CHUNK not in {each.kind for each in (await cluster.check())[0]}


async def test_a_copy_that_a_server_does_not_list(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    number = cluster.holding([chunk_id])[0]
    cluster.servers[number].chunks.discard(chunk_id)
    finding = await cluster.only()
    assert (finding.kind, finding.severity) == (FindingKind.REPLICA_LOST, Severity.WARN)
    assert (finding.path, finding.chunk_id, finding.server) == ("/dir/deeper/b", chunk_id, f"cs-{number}")
    findings, summary = await cluster.check(repair=True)
    assert (findings[0].is_repaired, summary.repaired) == (True, 1)
    assert (await cluster.only()).kind is FindingKind.REPLICA_MISSING
    await cluster.harness.check_counters()


async def test_a_copy_that_appears_meanwhile_is_not_lost(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    server = cluster.servers[cluster.holding([chunk_id])[0]]
    server.chunks.discard(chunk_id)
    calls: list[int] = []

    def before(number: int, group_id: GroupId) -> None:
        if number == server.number and group_id == chunk_id.group_id:
            if calls:
                server.chunks.add(chunk_id)
            calls.append(number)

    cluster.peers.before = before
    assert (await cluster.check())[0] == []


async def test_a_copy_with_other_bytes(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    number = cluster.holding([chunk_id])[0]
    for altered in ((SEALED_SIZE - 1, CRC), (SEALED_SIZE, CRC ^ 1)):
        cluster.peers.altered = {(number, chunk_id): altered}
        finding = await cluster.only()
        assert (finding.kind, finding.server) == (FindingKind.REPLICA_DIFFERS, f"cs-{number}")


async def test_a_corrupt_copy_names_the_disk(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    number = cluster.holding([chunk_id])[0]
    cluster.servers[number].corrupt = (chunk_id,)
    await cluster.beat(number)
    finding = await cluster.only()
    assert finding.kind is FindingKind.REPLICA_CORRUPT
    assert f"cs-{number} (host-{number}, {server_id(number)})" in finding.what


async def test_a_chunk_without_a_good_copy_is_an_error(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    for number in cluster.holding([chunk_id]):
        cluster.servers[number].chunks.discard(chunk_id)
    findings, summary = await cluster.check()
    assert [each.kind for each in findings if each.severity is Severity.ERROR] == [FindingKind.CHUNK_LOST]
    assert (summary.errors, summary.warnings, summary.is_clean) == (1, 3, False)


async def test_a_copy_beside_the_members_saves_a_chunk(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    members = cluster.holding([chunk_id])
    stray = next(number for number in cluster.servers if number not in members)
    cluster.servers[stray].chunks.add(chunk_id)
    for number in members:
        cluster.servers[number].chunks.discard(chunk_id)
    await cluster.servers[stray].beat()
    kinds = {each.kind for each in (await cluster.check())[0]}
    assert kinds == {FindingKind.REPLICA_LOST, FindingKind.STRAY_GROUP}


async def test_chunks_that_no_record_names(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    unknown = ChunkId(chunk_id.group_id, 7_000)
    await cluster.sql("UPDATE counters SET value = 8000 WHERE name = 'chunk_sequence'")
    cluster.servers[cluster.holding([chunk_id])[0]].chunks |= {unknown, ChunkId(chunk_id.group_id, 9_000)}
    finding = await cluster.only()
    assert (finding.kind, finding.chunk_id, finding.path) == (FindingKind.UNKNOWN_CHUNK, unknown, "")


async def test_groups_that_no_record_names(cluster: CheckedCluster) -> None:
    await cluster.sql("UPDATE counters SET value = 1000 WHERE name IN ('chunk_sequence', 'group_id')")
    cluster.servers[2].chunks.add(ChunkId(GroupId(999), 5))
    await cluster.beat()
    finding = await cluster.only()
    assert (finding.kind, finding.server) == (FindingKind.UNKNOWN_GROUP, "cs-2")


async def test_servers_that_cannot_be_asked(cluster: CheckedCluster) -> None:
    cluster.peers.silent = {3}
    findings, summary = await cluster.check()
    assert [(each.kind, each.server) for each in findings] == [(FindingKind.NOT_CHECKED, "cs-3")]
    assert (summary.is_complete, summary.is_clean) == (False, False)
    cluster.peers.silent = set()
    cluster.away.add(3)
    await cluster.run(10)
    finding = await cluster.only()
    assert (finding.kind, finding.hint) == (FindingKind.NOT_CHECKED, "dstore node start cs-3")
    assert "it is down" in finding.what


@pytest.mark.parametrize(
    ("statement", "kind", "path"),
    [
        ("DELETE FROM inodes WHERE chunk_count = 1", FindingKind.ENTRY_WITHOUT_INODE, "/dir/deeper/b"),
        ("DELETE FROM entries WHERE name = x'62'", FindingKind.INODE_WITHOUT_ENTRY, ""),
        ("UPDATE inodes SET chunk_count = 2 WHERE chunk_count = 1", FindingKind.CHUNK_ROWS_INCOMPLETE, "/dir/deeper/b"),
        (
            "UPDATE chunks SET chunk_index = 99 WHERE chunk_index = 17",
            FindingKind.CHUNK_ROWS_INCOMPLETE,
            "/dir/a",
        ),
        (
            "UPDATE entries SET parent_id = (SELECT file_id FROM inodes WHERE chunk_count = 30) WHERE name = x'62'",
            FindingKind.ENTRY_OUTSIDE,
            "/dir/a/b",
        ),
        (
            "INSERT INTO deleted_chunks SELECT group_id, sequence, 'x', 0, 0 FROM chunks WHERE chunk_index = 17",
            FindingKind.CHUNK_USED_AND_DELETED,
            "/dir/a",
        ),
        ("UPDATE chunks SET group_id = 77 WHERE chunk_index = 17", FindingKind.CHUNK_IN_UNKNOWN_GROUP, "/dir/a"),
        ("DELETE FROM chunks WHERE chunk_index = 29", FindingKind.CHUNK_ROWS_INCOMPLETE, "/dir/a"),
        (
            "INSERT INTO missing_replicas SELECT group_id, 5000, server_id, 9 FROM group_members LIMIT 1",
            FindingKind.MISSING_ROW_WITHOUT_CHUNK,
            "",
        ),
    ],
)
async def test_tables_that_contradict_each_other(
    cluster: CheckedCluster, statement: str, kind: FindingKind, path: str
) -> None:
    await cluster.sql(statement)
    findings, summary = await cluster.check()
    found = [each for each in findings if each.kind is kind]
    assert found, findings
    assert path in ("", found[0].path)
    assert not summary.is_clean


async def test_counters_that_are_off_are_counted_anew_on_request(cluster: CheckedCluster) -> None:
    await cluster.sql("UPDATE counters SET value = value + 1 WHERE name IN ('files', 'logical_bytes')")
    await cluster.sql("UPDATE groups SET chunk_count = chunk_count + 2 WHERE group_id = 1")
    await cluster.sql("UPDATE servers SET missing_chunk_count = 5 WHERE name = 'cs-1'")
    await cluster.sql("INSERT INTO missing_replicas SELECT group_id, 5000, server_id, 9 FROM group_members LIMIT 1")
    findings, _ = await cluster.check()
    assert {each.kind for each in findings} == {FindingKind.COUNTER_OFF, FindingKind.MISSING_ROW_WITHOUT_CHUNK}
    assert "files is 4 and should be 3" in {each.what for each in findings}
    assert not any(each.is_repaired for each in findings)
    findings, summary = await cluster.check(repair=True)
    assert all(each.is_repaired for each in findings)
    assert summary.repaired == len(findings)
    assert (await cluster.check())[0] == []
    await cluster.harness.check_counters()


async def test_findings_of_one_kind_are_bounded(cluster: CheckedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dstore.master.fsck.FINDINGS_PER_KIND_MAX", 4)
    for server in cluster.servers.values():
        server.chunks.clear()
    messages = [each async for each in cluster.harness.master.admin.check_cluster(repair=False)]
    kinds = [each.kind for each in messages if isinstance(each, Finding)]
    assert (kinds.count(FindingKind.REPLICA_LOST), kinds.count(FindingKind.CHUNK_LOST)) == (5, 5)
    assert isinstance(messages[-1], CheckSummary)
    assert (messages[-1].errors, messages[-1].warnings) == (31, 93)


async def test_one_check_at_a_time(cluster: CheckedCluster) -> None:
    cluster.servers[1].chunks.clear()
    admin = cluster.harness.master.admin
    first = admin.check_cluster(repair=False)
    assert isinstance(first, AsyncGenerator)
    await anext(first)
    with pytest.raises(LimitExceeded) as caught:
        await anext(admin.check_cluster(repair=False))
    assert caught.value.reason == "CHECK_RUNNING"
    await first.aclose()
    assert not (await cluster.check())[1].is_clean


async def test_repair_deletes_nothing(cluster: CheckedCluster) -> None:
    chunk_id = await cluster.first_chunk()
    cluster.servers[1].chunks |= {ChunkId(GroupId(999), 5), ChunkId(chunk_id.group_id, 40)}
    await cluster.sql("UPDATE counters SET value = 1000 WHERE name IN ('chunk_sequence', 'group_id')")
    await cluster.check(repair=True)
    before = {number: set(server.chunks) for number, server in cluster.servers.items()}
    await cluster.rounds(5)
    assert before == {number: set(server.chunks) for number, server in cluster.servers.items()}
