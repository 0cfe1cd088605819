"""Writes while servers die, hang, lie or are slow: the caller sees nothing of it, or one clear error and no file."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from store_in_process import CHUNK_SIZE, InProcessCluster, Wire, fail_times, in_process_cluster, pattern

from dstore.chunkserver.relay import StallTimeouts
from dstore.client import chunk_sending, placements, retries
from dstore.client.client import AsyncClient
from dstore.core.chunks import Frame, WriteResult
from dstore.core.errors import (
    AlreadyExists,
    CommitUnknown,
    Conflict,
    Corrupt,
    DstoreError,
    NotFound,
    OutOfSpace,
    Unavailable,
)
from dstore.core.limits import INLINE_SIZE_BYTES_MAX
from dstore.crypto.keys import unwrap_dek
from dstore.crypto.seal import open_descriptor, read_descriptor_front

DATA = pattern(5 * CHUNK_SIZE + 7)
#: The least that is written in chunks.
CHUNKED = pattern(INLINE_SIZE_BYTES_MAX + 1)
WAYS = pytest.mark.parametrize(("call", "data"), [("put_files", b"new"), ("commit_write", CHUNKED)])
#: Short, but with steps that a busy machine does not blur.
STALL = StallTimeouts(0.3, 0.2)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_sending, "STREAM_STALL_TIMEOUT_S", STALL.base_s)
    monkeypatch.setattr(chunk_sending, "STREAM_STALL_STEP_S", STALL.step_s)
    monkeypatch.setattr(placements, "ALLOCATE_PATIENCE_S", 0.2)
    monkeypatch.setattr(placements, "BEGIN_PATIENCE_S", 0.1)
    monkeypatch.setattr(retries, "FIRST_CONTACT_PATIENCE_S", 0.2)


async def nothing_is_visible(cluster: InProcessCluster, path: str) -> bool:
    """No name, and the intent is gone, so that its chunks will be collected."""
    assert await cluster.sql("SELECT COUNT(*) FROM intents") == [(0,)]
    with pytest.raises(NotFound):
        await cluster.client().stat(path)
    return True


@pytest.mark.parametrize("frames", [0, 1, 3])
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_server_that_dies_in_the_middle(cluster: InProcessCluster, number: int, frames: int) -> None:
    cluster.faults(number).write_frames_left = frames
    client = cluster.client()
    info = await client.put("/f", DATA)
    assert cluster.faults(number).is_down
    assert info.size_bytes == len(DATA)
    assert await client.get("/f") == DATA


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_server_that_hangs(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 14: the hop next to it notices, and everything goes on without it."""
    monkeypatch.setattr("dstore.client.chunk_fetching.STREAM_STALL_TIMEOUT_S", STALL.base_s)
    async with in_process_cluster(tmp_path, timeouts=STALL) as cluster:
        client = cluster.client()
        await client.put("/before", DATA)
        cluster.faults(number).hangs = True
        await client.put("/f", DATA)
        assert await client.get("/f") == DATA
        assert await client.get("/before") == DATA


async def test_two_servers_that_die_leave_nothing(cluster: InProcessCluster) -> None:
    for number in (1, 2):
        cluster.faults(number).write_frames_left = 2
    with pytest.raises(Unavailable) as caught:
        await cluster.client().put("/f", DATA)
    assert caught.value.reason == "CHUNK_NOT_WRITTEN"
    assert caught.value.metadata["path"] == "/f"
    assert "/f" in str(caught.value) and "dstore status" in str(caught.value)
    assert await nothing_is_visible(cluster, "/f")


async def test_a_frame_that_is_altered_on_the_way_is_written_again(
    cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered = 0
    sent = Wire.write_chunk

    async def write_chunk(self: Wire, header: object) -> object:
        writer = await sent(self, header)  # type: ignore[arg-type]
        original = writer.send

        async def send(frame: Frame) -> None:
            nonlocal altered
            if altered == 0:
                altered += 1
                data = bytearray(frame.data)
                data[100] ^= 1
                frame = replace(frame, data=bytes(data))
            await original(frame)

        writer.send = send  # type: ignore[method-assign]
        return writer

    monkeypatch.setattr(Wire, "write_chunk", write_chunk)
    client = cluster.client()
    await client.put("/f", DATA)
    assert altered == 1
    assert await client.get("/f") == DATA


async def test_one_missing_replica_is_recorded_not_hidden(cluster: InProcessCluster) -> None:
    for number in (1, 2, 3):
        cluster.faults(number).alter_result = lambda result: WriteResult(result.replicas[:2])
    await cluster.client().put("/f", CHUNKED)
    assert len(await cluster.sql("SELECT * FROM missing_replicas")) == 1


async def test_full_disks_are_said_to_be_full(cluster: InProcessCluster) -> None:
    def full() -> DstoreError:
        return OutOfSpace("The disk is full.")

    async def write_chunk(self: Wire, header: object) -> object:
        raise full()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Wire, "write_chunk", write_chunk)
        with pytest.raises(OutOfSpace) as caught:
            await cluster.client().put("/f", CHUNKED)
    assert caught.value.reason == "CHUNK_NOT_WRITTEN"
    assert await nothing_is_visible(cluster, "/f")


async def test_too_few_servers_fail_soon_and_clearly(tmp_path: Path) -> None:
    async with in_process_cluster(tmp_path, chunkservers=1) as cluster:
        with pytest.raises(Unavailable) as caught:
            await cluster.client().put("/f", CHUNKED)
        assert caught.value.reason == "NOT_ENOUGH_SERVERS"


class TestTheMaster:
    @pytest.mark.parametrize(
        "call", ["get_cluster", "begin_write", "allocate_chunks", "commit_write", "open_file", "make_directory"]
    )
    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_lost_calls_and_lost_answers_are_repeated(
        self, cluster: InProcessCluster, call: str, when: str
    ) -> None:
        getattr(cluster.calls, when)[call] = fail_times(2)
        client = cluster.client()
        await client.make_directory("/d")
        info = await client.put("/d/f", pattern(20 * CHUNK_SIZE), if_absent=True)
        assert await client.get("/d/f") == pattern(20 * CHUNK_SIZE)
        assert cluster.calls.names.count(call) >= 3
        # Invariant 4: it took effect once.
        assert await cluster.sql("SELECT COUNT(*) FROM inodes WHERE kind = 'file'") == [(1,)]
        assert (await client.stat("/d/f")).version == info.version

    @WAYS
    async def test_an_answer_that_never_comes_is_resolved_once(
        self, cluster: InProcessCluster, call: str, data: bytes
    ) -> None:
        client = cluster.client(patience_s=0.2)
        await client.put("/f", b"old")
        cluster.calls.after[call] = fail_times(1_000)
        with pytest.raises(CommitUnknown) as caught:
            await client.put("/f", data)
        request_id = caught.value.metadata["request_id"]
        assert request_id in str(caught.value)
        version = (await client.stat("/f")).version
        cluster.calls.after.clear()
        info = await client.resolve(request_id)  # type: ignore[arg-type]
        assert info.version == version  # type: ignore[union-attr]
        assert await client.get("/f") == data
        with pytest.raises(NotFound) as unknown:
            await client.resolve(request_id)  # type: ignore[arg-type]
        assert unknown.value.reason == "REQUEST_UNKNOWN"

    @WAYS
    async def test_a_commit_that_never_arrived_can_still_be_made(
        self, cluster: InProcessCluster, call: str, data: bytes
    ) -> None:
        client = cluster.client(patience_s=0.2)
        cluster.calls.before[call] = fail_times(1_000)
        with pytest.raises(CommitUnknown) as caught:
            await client.put("/f", data)
        assert not await client.exists("/f")
        cluster.calls.before.clear()
        await client.resolve(caught.value.metadata["request_id"])  # type: ignore[arg-type]
        assert await client.get("/f") == data

    async def test_a_mutation_that_surely_did_not_happen_is_not_unknown(self, cluster: InProcessCluster) -> None:
        client = cluster.client(patience_s=0.2)
        await client.cluster()
        cluster.calls.before["remove"] = fail_times(
            1_000, lambda: Unavailable("Too many calls.", reason="TOO_MANY_CALLS")
        )
        with pytest.raises(Unavailable) as caught:
            await client.remove("/f")
        assert caught.value.reason == "MASTER_UNREACHABLE"

    async def test_an_expired_intent_fails_cleanly(self, cluster: InProcessCluster) -> None:
        client = cluster.client()
        file = await client.open_write("/f")
        await file.write(DATA)
        intents = await cluster.sql("SELECT intent_id FROM intents")
        await cluster.calls.abandon_write(intents[0][0], request_id="collector")
        with pytest.raises(Conflict) as caught:
            await file.close()
        assert caught.value.reason == "INTENT_EXPIRED"
        assert await nothing_is_visible(cluster, "/f")

    async def test_a_renewal_that_fails_ends_the_write(
        self, cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dstore.client.writer.INTENT_RENEW_INTERVAL_S", 0.01)
        renewed = asyncio.Event()
        cluster.calls.after["renew_intent"] = renewed.set
        client = cluster.client()
        file = await client.open_write("/f")
        await renewed.wait()
        expired = asyncio.Event()

        def expire() -> None:
            expired.set()
            raise Conflict("gone", reason="INTENT_EXPIRED")

        cluster.calls.before["renew_intent"] = expire
        await expired.wait()
        await asyncio.sleep(0)
        with pytest.raises(Conflict):
            await file.write(DATA)
        with pytest.raises(DstoreError) as caught:
            await file.close()
        assert caught.value.reason == "FILE_DISCARDED"
        assert await nothing_is_visible(cluster, "/f")


async def test_every_chunk_says_what_it_is(cluster: InProcessCluster) -> None:
    """A rebuild from chunks alone needs the descriptors; only a key holder can read them."""
    client = cluster.client()
    info = await client.put("/written-at-once", DATA)
    async with await client.open("/written-piece-by-piece", "wb") as file:
        await file.write(DATA)
    for path, chunk_count in (("/written-at-once", 6), ("/written-piece-by-piece", 0)):
        for index, chunk in enumerate((await client.describe(path)).chunks):
            stored = await cluster.network.chunks(chunk.group.members[0].address).stat_chunk(chunk.record.chunk_id)
            assert path.encode() not in stored.descriptor
            front = read_descriptor_front(stored.descriptor)
            cluster_id = (await client.cluster()).cluster_id
            dek = unwrap_dek(cluster.keyring, front.wrapped_keys, cluster_id, front.file_id, path)
            opened = open_descriptor(dek, cluster_id, stored.descriptor)
            assert (opened.path, opened.chunk_index, opened.chunk_count) == (path, index, chunk_count)
    assert info.chunk_count == 6


class TestPreconditions:
    async def test_if_absent(self, client: AsyncClient) -> None:
        await client.put("/f", b"1", if_absent=True)
        with pytest.raises(AlreadyExists):
            await client.put("/f", b"2", if_absent=True)
        with pytest.raises(FileExistsError):
            await client.open("/f", "xb")
        assert await client.get("/f") == b"1"

    async def test_if_version(self, client: AsyncClient) -> None:
        first = await client.put("/f", b"1")
        second = await client.put("/f", b"2", if_version=first.version)
        with pytest.raises(Conflict) as caught:
            await client.put("/f", b"3", if_version=first.version)
        assert caught.value.reason == "VERSION_CHANGED"
        assert (await client.stat("/f")).version == second.version

    async def test_the_condition_is_checked_again_at_the_commit(self, client: AsyncClient) -> None:
        file = await client.open("/f", "xb")
        await file.write(b"slow")
        await client.put("/f", b"fast")
        with pytest.raises(AlreadyExists):
            await file.close()
        assert await client.get("/f") == b"fast"

    async def test_both_at_once_are_refused(self, client: AsyncClient) -> None:
        with pytest.raises(ValueError, match="if_absent or if_version"):
            await client.put("/f", b"", if_absent=True, if_version=3)


class TestSeveralWriters:
    async def test_the_last_commit_wins_and_every_reader_sees_one_whole_file(self, cluster: InProcessCluster) -> None:
        """Invariant 2."""
        contents = [bytes([number]) * (2 * CHUNK_SIZE) for number in range(8)]
        clients = [cluster.client() for _ in contents]
        infos = await asyncio.gather(*(client.put("/f", data) for client, data in zip(clients, contents, strict=True)))
        newest = max(range(8), key=lambda number: infos[number].version)
        assert await cluster.client().get("/f") == contents[newest]
        assert len({info.version for info in infos}) == 8

    async def test_a_version_that_was_overtaken_is_sealed_again(self, cluster: InProcessCluster) -> None:
        client = cluster.client()
        slow = await client.open_write("/f")
        await slow.write(b"slow")
        fast = await client.put("/f", b"fast")
        await slow.close()
        assert slow.info is not None and slow.info.version > fast.version
        assert await client.get("/f") == b"slow"

    async def test_two_clients_where_only_the_master_knows(self, cluster: InProcessCluster) -> None:
        slow = await cluster.client().open_write("/f")
        await slow.write(b"slow")
        await cluster.client().put("/f", b"fast")
        await slow.close()
        assert cluster.calls.names.count("commit_write") == 2
        assert await cluster.client().get("/f") == b"slow"


class TestDiscarding:
    async def test_leaving_through_an_exception(self, cluster: InProcessCluster) -> None:
        client = cluster.client()
        with pytest.raises(KeyError):
            async with await client.open("/f", "wb") as file:
                await file.write(DATA)
                raise KeyError
        assert await nothing_is_visible(cluster, "/f")

    async def test_cancelling_a_put(self, cluster: InProcessCluster) -> None:
        started = asyncio.Event()
        cluster.calls.after["begin_write"] = started.set
        for number in (1, 2, 3):
            cluster.faults(number).hangs = True
        client = cluster.client()
        task = asyncio.create_task(client.put("/f", DATA))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await nothing_is_visible(cluster, "/f")

    async def test_closing_the_client(self, cluster: InProcessCluster) -> None:
        client = cluster.client()
        file = await client.open_write("/f")
        await file.write(DATA)
        await client.close()
        assert await nothing_is_visible(cluster, "/f")
        with pytest.raises(DstoreError) as caught:
            await client.stat("/")
        assert caught.value.reason == "CLIENT_CLOSED"

    async def test_a_local_file_that_cannot_be_read(self, cluster: InProcessCluster, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            await cluster.client().put_file(tmp_path / "missing", "/f")
        with pytest.raises(IsADirectoryError):
            await cluster.client().put_file(tmp_path, "/f")
        assert await nothing_is_visible(cluster, "/f")

    async def test_a_progress_callback_that_raises(self, cluster: InProcessCluster, tmp_path: Path) -> None:
        local = tmp_path / "local"
        local.write_bytes(DATA)

        def refuse(done: int) -> None:
            raise KeyError(done)

        with pytest.raises(KeyError):
            await cluster.client().put_file(local, "/f", progress=refuse)
        assert await nothing_is_visible(cluster, "/f")


async def test_a_master_that_goes_back_behind_what_was_seen_is_refused_before_the_commit(
    cluster: InProcessCluster,
) -> None:
    client = cluster.client()
    info = await client.put("/f", b"1")
    await cluster.sql("UPDATE counters SET value = ? WHERE name = 'version'", info.version - 1)
    cluster.calls.answers["renew_intent"] = lambda lease: replace(lease, version=info.version)
    with pytest.raises(Corrupt) as caught, pytest.MonkeyPatch.context() as patch:
        patch.setattr("dstore.client.writer.COMMIT_ATTEMPTS_MAX", 3)
        await client.put("/f", CHUNKED)
    assert caught.value.reason == "VERSION_ROLLED_BACK"
