"""A master and chunkservers that lie to a writer: nothing is stored wrongly in silence, nothing hangs, and every
refusal is one of ours.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from store_in_process import CHUNK_SIZE, InProcessCluster, Wire, pattern

from dstore.client import placements, renaming, writer
from dstore.core.backoff import Backoff
from dstore.core.chunks import ReplicaAck, WriteResult
from dstore.core.errors import Corrupt, DstoreError, Internal, InvalidRequest, Unavailable
from dstore.core.files import ChunkPlacement, ClusterInfo, FileInfo, FileKind, RenameTicket, WriteIntent
from dstore.core.ids import FileId, ServerId, Version
from dstore.core.limits import KIB, MIB

DATA = pattern(3 * CHUNK_SIZE + 7)
OTHER_CLUSTER = "6b1f8a52-0c3d-4e9f-8a7b-112233445566"
STRANGER = ServerId("5d1f8a52-0c3d-4e9f-8a7b-112233445566")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placements, "ALLOCATE_PATIENCE_S", 0.1)
    monkeypatch.setattr(writer, "COMMIT_ATTEMPTS_MAX", 3)
    monkeypatch.setattr(renaming, "RENAME_ATTEMPTS_MAX", 3)
    monkeypatch.setattr(writer, "Backoff", lambda: Backoff(0.001, 0.002))


def with_fields(answer: Any, **changes: object) -> Any:
    return replace(answer, **changes)


def instead(answer: Any, _: Any) -> Any:
    return answer


async def refused_write(cluster: InProcessCluster, path: str = "/f", *, reason: str) -> DstoreError:
    """Every way to write refuses, in time, and nothing appears under the name."""
    local = cluster.database.with_name("local")
    local.write_bytes(DATA)
    client = cluster.client()

    async def stream() -> None:
        async with await client.open(path, "wb") as file:
            await file.write(DATA)

    caught: pytest.ExceptionInfo[DstoreError]
    for write in (lambda: client.put(path, DATA), lambda: client.put_file(local, path), stream):
        with pytest.raises(DstoreError) as caught:
            async with asyncio.timeout(20):
                await write()
        assert caught.value.reason == reason, caught.value
        assert len(caught.value.message) > 30 and caught.value.message.endswith(".")
    assert await cluster.sql("SELECT COUNT(*) FROM entries") == [(0,)]
    return caught.value


POLICIES: list[dict[str, Any]] = [
    {"chunk_size_bytes": 0},
    {"chunk_size_bytes": 1},
    {"chunk_size_bytes": -1},
    {"chunk_size_bytes": 16 * KIB - 1},
    {"chunk_size_bytes": 64 * MIB + 1},
    {"chunk_size_bytes": 4096 * MIB},
    {"chunk_size_bytes": 2**63},
    {"min_replicas": 0},
    {"min_replicas": -1},
    {"min_replicas": 4},
    {"replicas": 0, "min_replicas": 0},
    {"replicas": 9},
]


class TestPolicies:
    @pytest.mark.parametrize("change", POLICIES, ids=str)
    async def test_of_a_write(self, cluster: InProcessCluster, change: dict[str, Any]) -> None:
        def lie(intent: WriteIntent) -> WriteIntent:
            return replace(intent, policy=replace(intent.policy, **change))

        cluster.calls.answers["begin_write"] = lie
        await refused_write(cluster, reason="POLICY_UNUSABLE")

    @pytest.mark.parametrize("change", POLICIES, ids=str)
    async def test_of_the_cluster(self, cluster: InProcessCluster, change: dict[str, Any]) -> None:
        def lie(info: ClusterInfo) -> ClusterInfo:
            return replace(info, policy=replace(info.policy, **change))

        cluster.calls.answers["get_cluster"] = lie
        await refused_write(cluster, reason="POLICY_UNUSABLE")

    @pytest.mark.parametrize("chunk_size_bytes", [16 * KIB, 16 * KIB + 1, CHUNK_SIZE - 1])
    async def test_an_odd_chunk_size_is_no_harm(self, cluster: InProcessCluster, chunk_size_bytes: int) -> None:
        def odd(intent: WriteIntent) -> WriteIntent:
            return replace(intent, policy=replace(intent.policy, chunk_size_bytes=chunk_size_bytes))

        cluster.calls.answers["begin_write"] = odd
        client = cluster.client()
        # The master refuses what it did not offer; with one that does not, whatever is read is what was written.
        try:
            await client.put("/f", DATA)
        except DstoreError as error:
            assert error.reason not in ("INTERNAL", "MANIFEST_INVALID")
        else:
            assert await client.get("/f") == DATA


def place(change: Callable[[ChunkPlacement], ChunkPlacement]) -> Callable[[Any], Any]:
    """Return an answer in which every placement is changed, of an intent or of an allocation."""

    def answer(given: Any) -> Any:
        if isinstance(given, WriteIntent):
            return replace(given, placements=tuple(change(each) for each in given.placements))
        return tuple(change(each) for each in given)

    return answer


CHAINS: dict[str, Callable[[ChunkPlacement], ChunkPlacement]] = {
    "empty": lambda each: replace(each, chain=()),
    "too short": lambda each: replace(each, chain=each.chain[:1]),
    "twice the same": lambda each: replace(each, chain=(each.chain[0],) * 3),
    "a stranger": lambda each: replace(each, chain=(each.chain[0], each.chain[1], STRANGER)),
    "only a stranger": lambda each: replace(each, chain=(STRANGER,)),
    "no members": lambda each: replace(each, group=replace(each.group, members=())),
    "endless": lambda each: replace(each, chain=each.chain * 1_000),
}


class TestPlacements:
    @pytest.mark.parametrize("what", CHAINS)
    async def test_chains(self, cluster: InProcessCluster, what: str) -> None:
        for call in ("begin_write", "allocate_chunks"):
            cluster.calls.answers[call] = place(CHAINS[what])
        await refused_write(cluster, reason="PLACEMENT_INVALID")
        assert sum(cluster.faults(number).writes for number in (1, 2, 3)) == 0

    async def test_one_server_under_three_names(self, cluster: InProcessCluster) -> None:
        """An honest chunkserver notices that it is not the one that was meant."""

        def all_at_one(each: ChunkPlacement) -> ChunkPlacement:
            members = each.group.members
            alike = tuple(replace(member, address=members[0].address) for member in members)
            return replace(each, group=replace(each.group, members=alike))

        for call in ("begin_write", "allocate_chunks"):
            cluster.calls.answers[call] = place(all_at_one)
        error = await refused_write(cluster, reason="CHUNK_NOT_WRITTEN")
        assert isinstance(error, Unavailable)

    async def test_none_at_all(self, cluster: InProcessCluster) -> None:
        cluster.calls.answers["begin_write"] = lambda intent: replace(intent, placements=())
        cluster.calls.answers["allocate_chunks"] = lambda given: ()
        await refused_write(cluster, reason="PLACEMENT_INVALID")

    async def test_one_chunk_id_for_several_chunks(self, cluster: InProcessCluster) -> None:
        """Invariant 6: a chunkserver keeps the first, and the other goes elsewhere or nowhere."""
        cluster.calls.answers["begin_write"] = lambda intent: replace(intent, placements=intent.placements[:1] * 8)
        client = cluster.client()
        await client.put("/f", DATA)
        assert await client.get("/f") == DATA
        assert await cluster.sql("SELECT COUNT(DISTINCT sequence) FROM chunks") == [(4,)]

    async def test_the_chunk_ids_of_another_file(self, cluster: InProcessCluster) -> None:
        client = cluster.client()
        given: list[WriteIntent] = []

        def same(intent: WriteIntent) -> WriteIntent:
            given.append(intent)
            return replace(intent, placements=given[0].placements)

        cluster.calls.answers["begin_write"] = same
        await client.put("/f", DATA)
        cluster.calls.answers["allocate_chunks"] = lambda _: given[0].placements
        with pytest.raises(DstoreError):
            await client.put("/g", DATA[::-1])
        assert await client.get("/f") == DATA
        assert not await client.exists("/g")


class TestIntents:
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"cluster_id": OTHER_CLUSTER}, "INTENT_INVALID"),
            ({"name": "other"}, "INTENT_INVALID"),
            ({"name": "../f"}, "INTENT_INVALID"),
            ({"parent_id": FileId(77)}, "INTENT_INVALID"),
        ],
        ids=str,
    )
    async def test_another_place(self, cluster: InProcessCluster, change: dict[str, Any], reason: str) -> None:
        cluster.calls.answers["begin_write"] = lambda intent: replace(intent, **change)
        await refused_write(cluster, reason=reason)

    async def test_the_directory_of_every_path_at_the_top_is_known(self, cluster: InProcessCluster) -> None:
        """Or a write could be sent to another directory, and the version before shown again as the newest."""
        client = cluster.client()
        await client.put("/f", b"old")
        old = await cluster.master.namespace.open_file("/f")
        cluster.calls.answers["begin_write"] = lambda intent: replace(intent, parent_id=FileId(77))
        with pytest.raises(Internal) as caught:
            await client.open("/f", "wb")
        assert caught.value.reason == "INTENT_INVALID"
        cluster.calls.answers["open_file"] = lambda _: old
        assert await client.get("/f") == b"old", "nothing newer was ever acknowledged"

    @pytest.mark.parametrize("lease_duration_s", [-1e9, -1.0, 0.0, 1e-9, 1e300, float("inf"), float("nan")])
    async def test_any_lease(self, cluster: InProcessCluster, lease_duration_s: float) -> None:
        for call in ("begin_write", "renew_intent"):
            cluster.calls.answers[call] = lambda given: replace(given, lease_duration_s=lease_duration_s)
        client = cluster.client()
        await client.put("/f", DATA)
        assert await client.get("/f") == DATA

    @pytest.mark.parametrize("seen", [True, False])
    async def test_versions_that_do_not_grow(self, cluster: InProcessCluster, seen: bool) -> None:
        client = cluster.client()
        if seen:
            await client.put("/f", b"seen")
        for version in (0, 1):
            cluster.calls.answers["begin_write"] = partial(with_fields, version=Version(version))
            cluster.calls.answers["renew_intent"] = partial(with_fields, version=Version(version))
            with pytest.raises(DstoreError) as caught:
                await client.put("/f", DATA)
            assert caught.value.reason in ("VERSION_ROLLED_BACK", "VERSION_SUPERSEDED", "VERSION_INVALID")
        assert await client.exists("/f") is seen

    async def test_one_file_id_for_two_files(self, cluster: InProcessCluster) -> None:
        """Every write has a key and salts of its own, so that nothing of one can be put into the other."""
        client = cluster.client()
        sealed: list[Any] = []
        first: list[WriteIntent] = []

        def same(intent: WriteIntent) -> WriteIntent:
            first.append(intent)
            return replace(intent, file_id=first[0].file_id)

        cluster.calls.answers["begin_write"] = same
        original = cluster.master.namespace.commit_write

        async def commit_write(commit: Any, *, request_id: Any) -> FileInfo:
            sealed.append(commit)
            return await original(commit, request_id=request_id)

        cluster.calls.commit_write = commit_write  # type: ignore[attr-defined]
        await client.put("/f", DATA)
        await client.put("/g", DATA)
        assert first[0].file_id != first[1].file_id, "the master gave two, and the client heard one"
        one, two = sealed
        assert one.wrapped_keys[0].data != two.wrapped_keys[0].data
        headers = [chunk.record.header for commit in sealed for chunk in commit.chunks]
        assert len(headers) == len(set(headers)) == 8
        assert await client.get("/f") == DATA
        opened = await cluster.master.namespace.open_file("/g")
        # The manifest of /f, where the client is told the same file id, is still not that of /g.
        for lie in (
            {"sealed_manifest": one.sealed_manifest},
            {"sealed_manifest": one.sealed_manifest, "wrapped_keys": one.wrapped_keys},
        ):
            answer = replace(opened, info=replace(opened.info, file_id=first[0].file_id), **lie)
            cluster.calls.answers["open_file"] = partial(instead, answer)
            with pytest.raises(Corrupt):
                await client.get("/g")


class TestAcknowledgements:
    @pytest.mark.parametrize(
        "lie",
        [
            lambda result: WriteResult(()),
            lambda result: WriteResult(result.replicas[:1]),
            lambda result: WriteResult((*result.replicas[:1], replace(result.replicas[0], server_id=STRANGER))),
            lambda result: WriteResult((*result.replicas, *result.replicas)),
            lambda result: WriteResult((*result.replicas, ReplicaAck(STRANGER, result.replicas[0].durability))),
        ],
        ids=["none", "one", "one and a stranger", "each twice", "all and a stranger"],
    )
    async def test_that_prove_nothing(self, cluster: InProcessCluster, lie: Any) -> None:
        for number in (1, 2, 3):
            cluster.faults(number).alter_result = lie
        await refused_write(cluster, reason="CHUNK_NOT_WRITTEN")

    async def test_of_one_server_that_says_that_the_client_is_wrong(
        self, cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One bad server must not end a write that others can take (Invariant 14)."""
        real = Wire.write_chunk

        async def write_chunk(self: Wire, header: Any) -> Any:
            if self.faults is cluster.faults(1):
                raise InvalidRequest("No.", reason="STREAM_INVALID")
            return await real(self, header)

        monkeypatch.setattr(Wire, "write_chunk", write_chunk)
        client = cluster.client()
        await client.put("/f", DATA)
        assert await client.get("/f") == DATA


class TestWhatIsReturned:
    async def test_a_commit_is_reported_in_the_words_of_the_writer(self, cluster: InProcessCluster) -> None:
        lie = FileInfo("/etc/passwd\x1b[2J", FileKind.DIRECTORY, FileId(9), 1, Version(1), 0, 0, 99)
        cluster.calls.answers["commit_write"] = lambda info: replace(lie, created_ns=info.created_ns)
        info = await cluster.client().put("/f", DATA)
        real = await cluster.client().stat("/f")
        assert (info.path, info.kind, info.size_bytes, info.chunk_count) == ("/f", FileKind.FILE, len(DATA), 4)
        assert (info.version, info.file_id) == (real.version, real.file_id)


class TestRenames:
    """The client seals again only what it verified, and only for the name that was asked for."""

    @pytest.mark.parametrize(
        "change",
        [
            {"target_name": "other"},
            {"target_name": "../b"},
            {"target_parent_id": FileId(77)},
            {"source_parent_id": FileId(77)},
            {"version": Version(0)},
            {"cluster_id": OTHER_CLUSTER},
        ],
        ids=str,
    )
    async def test_another_place(self, cluster: InProcessCluster, change: dict[str, Any]) -> None:
        client = cluster.client()
        await client.put("/a", DATA)
        cluster.calls.answers["prepare_rename"] = lambda ticket: replace(ticket, **change)
        with pytest.raises(Corrupt) as caught:
            await client.rename("/a", "/b")
        assert caught.value.metadata["path"] in ("/a", "/b")
        assert "rename" not in cluster.calls.names, "nothing was sealed for anybody"

    async def test_the_ticket_of_another_file(self, cluster: InProcessCluster) -> None:
        client = cluster.client()
        await client.put("/a", DATA)
        await client.put("/secret", b"other")
        real = await cluster.master.namespace.prepare_rename("/secret", "/b")
        lies: list[Callable[[RenameTicket], RenameTicket]] = [
            lambda _: real,
            lambda ticket: replace(ticket, sealed_manifest=real.sealed_manifest),
            lambda ticket: replace(ticket, sealed_manifest=real.sealed_manifest, wrapped_keys=real.wrapped_keys),
            lambda ticket: replace(real, source=replace(real.source, path="/a", version=ticket.source.version)),
        ]
        for lie in lies:
            cluster.calls.answers["prepare_rename"] = lie
            with pytest.raises(Corrupt):
                await client.rename("/a", "/b")
        assert "rename" not in cluster.calls.names

    async def test_a_version_behind_what_was_seen_at_the_target(self, cluster: InProcessCluster) -> None:
        client = cluster.client()
        await client.put("/a", DATA)
        seen = await client.put("/b", DATA)
        cluster.calls.answers["prepare_rename"] = lambda ticket: replace(ticket, version=seen.version)
        with pytest.raises(Corrupt) as caught:
            await client.rename("/a", "/b")
        assert caught.value.reason == "VERSION_ROLLED_BACK"
        assert "rename" not in cluster.calls.names


async def test_another_cluster_later_in_a_session(cluster: InProcessCluster, tmp_path: Path) -> None:
    client = cluster.client()
    await client.put("/f", DATA)
    for call in ("open_file", "prepare_rename", "begin_write"):
        cluster.calls.answers[call] = lambda answer: replace(answer, cluster_id=OTHER_CLUSTER)
    for attempt in (
        lambda: client.get("/f"),
        lambda: client.get("/f", 5, 9),
        lambda: client.open("/f"),
        lambda: client.get_file("/f", tmp_path / "local"),
        lambda: client.rename("/f", "/g"),
        lambda: client.put("/g", DATA),
    ):
        with pytest.raises((Corrupt, Internal)):
            await attempt()
    assert not (tmp_path / "local").exists()
