"""A master whose database was changed: whatever is altered, truncated, reordered, swapped or rolled back, the client
refuses (promise 2), and says what it found.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from store_in_process import CHUNK_SIZE, RANDOM, InProcessCluster, pattern

from dstore.client.high_water import SqliteHighWaterFile
from dstore.core.errors import Corrupt, DstoreError, WrongKey
from dstore.core.files import OpenedFile, RenameTicket
from dstore.crypto.keys import Kek, Keyring

DATA = pattern(4 * CHUNK_SIZE + 9)
TAKE_OVER = "UPDATE chunks SET group_id = ?, sequence = ?, crc32c = ?, header = ? WHERE file_id = ?"


async def put_two(cluster: InProcessCluster) -> tuple[int, int]:
    """Store /a and /b, of the same size, and return their file ids."""
    client = cluster.client()
    first = await client.put("/a", DATA)
    second = await client.put("/b", DATA[::-1])
    return first.file_id, second.file_id


async def refused(cluster: InProcessCluster, path: str = "/a", *, by: type[DstoreError] = Corrupt) -> DstoreError:
    """A client that knows nothing of the file but the key refuses it."""
    client = cluster.client()
    with pytest.raises(by) as caught:
        await client.get(path)
    with pytest.raises(by):
        await client.open(path)
    with pytest.raises(by):
        await client.rename(path, "/elsewhere")
    assert not await client.exists("/elsewhere")
    return caught.value


class TestTheDatabase:
    async def test_an_altered_manifest(self, cluster: InProcessCluster) -> None:
        a, _ = await put_two(cluster)
        [(sealed,)] = await cluster.sql("SELECT sealed_manifest FROM inodes WHERE file_id = ?", a)
        for position in (0, 4, 5, 20, len(sealed) // 2, len(sealed) - 1):
            altered = bytearray(sealed)
            altered[position] ^= 0x40
            await cluster.sql("UPDATE inodes SET sealed_manifest = ? WHERE file_id = ?", bytes(altered), a)
            assert (await refused(cluster)).reason == "MANIFEST_CORRUPT"

    async def test_a_truncated_manifest(self, cluster: InProcessCluster) -> None:
        a, _ = await put_two(cluster)
        [(sealed,)] = await cluster.sql("SELECT sealed_manifest FROM inodes WHERE file_id = ?", a)
        for length in (0, 10, len(sealed) - 1):
            await cluster.sql("UPDATE inodes SET sealed_manifest = ? WHERE file_id = ?", sealed[:length], a)
            assert (await refused(cluster)).reason == "MANIFEST_CORRUPT"

    async def test_manifest_and_keys_of_another_file(self, cluster: InProcessCluster) -> None:
        a, b = await put_two(cluster)
        [(sealed, keys)] = await cluster.sql("SELECT sealed_manifest, wrapped_keys FROM inodes WHERE file_id = ?", b)
        await cluster.sql("UPDATE inodes SET sealed_manifest = ? WHERE file_id = ?", sealed, a)
        assert (await refused(cluster)).reason == "MANIFEST_CORRUPT"
        await cluster.sql("UPDATE inodes SET wrapped_keys = ? WHERE file_id = ?", keys, a)
        assert (await refused(cluster)).reason == "WRAPPED_KEY_CORRUPT"

    async def test_two_names_exchanged(self, cluster: InProcessCluster) -> None:
        a, b = await put_two(cluster)
        await cluster.sql("UPDATE entries SET file_id = -1 WHERE file_id = ?", a)
        await cluster.sql("UPDATE entries SET file_id = ? WHERE file_id = ?", a, b)
        await cluster.sql("UPDATE entries SET file_id = ? WHERE file_id = -1", b)
        error = await refused(cluster)
        assert error.reason == "MANIFEST_MISMATCH" and error.metadata["what"] == "name"

    async def test_a_file_moved_to_another_directory(self, cluster: InProcessCluster) -> None:
        client = cluster.client()
        directory = await client.make_directory("/d")
        info = await client.put("/a", DATA)
        await cluster.sql("UPDATE entries SET parent_id = ? WHERE file_id = ?", directory.file_id, info.file_id)
        error = await refused(cluster, "/d/a")
        assert error.reason == "MANIFEST_MISMATCH" and error.metadata["what"] == "parent directory"

    async def test_chunks_in_another_order(self, cluster: InProcessCluster) -> None:
        a, _ = await put_two(cluster)
        for start, end in ((0, 99), (1, 0), (99, 1)):
            await cluster.sql("UPDATE chunks SET chunk_index = ? WHERE file_id = ? AND chunk_index = ?", end, a, start)
        assert (await refused_read(cluster)).reason == "MANIFEST_MISMATCH"

    async def test_a_chunk_of_another_file(self, cluster: InProcessCluster) -> None:
        a, b = await put_two(cluster)
        [row] = await cluster.sql(
            "SELECT group_id, sequence, crc32c, header FROM chunks WHERE file_id = ? AND chunk_index = 2", b
        )
        await cluster.sql(
            f"{TAKE_OVER} AND chunk_index = 2",
            *row,
            a,
        )
        assert (await refused_read(cluster)).reason == "MANIFEST_MISMATCH"

    async def test_a_chunk_of_the_version_before(self, cluster: InProcessCluster) -> None:
        """Versions never mix."""
        client = cluster.client()
        await client.put("/a", DATA)
        [row] = await cluster.sql("SELECT group_id, sequence, crc32c, header FROM chunks WHERE chunk_index = 0")
        info = await client.put("/a", DATA)
        await cluster.sql(
            f"{TAKE_OVER} AND chunk_index = 0",
            *row,
            info.file_id,
        )
        assert (await refused_read(cluster)).reason == "MANIFEST_MISMATCH"

    @pytest.mark.parametrize("what", ["cut", "cut_and_hidden"])
    async def test_a_file_that_was_cut(self, cluster: InProcessCluster, what: str) -> None:
        a, _ = await put_two(cluster)
        await cluster.sql("DELETE FROM chunks WHERE file_id = ? AND chunk_index >= 2", a)
        if what == "cut_and_hidden":
            await cluster.sql("UPDATE inodes SET chunk_count = 2, size_bytes = ? WHERE file_id = ?", 2 * CHUNK_SIZE, a)
        assert (await refused_read(cluster)).reason == "MANIFEST_MISMATCH"

    @pytest.mark.parametrize(
        "change",
        ["size_bytes = size_bytes - 1", "chunk_size_bytes = chunk_size_bytes * 2", "version = version + 1"],
    )
    async def test_fields_of_the_inode(self, cluster: InProcessCluster, change: str) -> None:
        a, _ = await put_two(cluster)
        await cluster.sql(f"UPDATE inodes SET {change} WHERE file_id = ?", a)
        error = await refused_read(cluster)
        assert error.reason == "MANIFEST_MISMATCH"
        assert "/a" in str(error) and "backup" in str(error)

    @pytest.mark.parametrize("field", ["length_bytes", "crc32c", "sequence"])
    async def test_fields_of_a_chunk(self, cluster: InProcessCluster, field: str) -> None:
        a, _ = await put_two(cluster)
        await cluster.sql(f"UPDATE chunks SET {field} = {field} + 1000 WHERE file_id = ? AND chunk_index = 1", a)
        assert (await refused_read(cluster)).reason == "MANIFEST_MISMATCH"


async def refused_read(cluster: InProcessCluster) -> DstoreError:
    """As ``refused``, for what a rename need not look at: the chunks stay as they are."""
    client = cluster.client()
    with pytest.raises(Corrupt) as caught:
        await client.get("/a")
    with pytest.raises(Corrupt):
        await client.open("/a")
    return caught.value


class TestLies:
    """A master that answers other than its database says."""

    @pytest.mark.parametrize(
        ("field", "value", "what"),
        [("cluster_id", "6b1f8a52-0c3d-4e9f-8a7b-112233445566", "cluster"), ("parent_id", 77, "parent directory")],
    )
    async def test_of_an_opened_file(self, cluster: InProcessCluster, field: str, value: object, what: str) -> None:
        await put_two(cluster)

        def lie(opened: OpenedFile) -> OpenedFile:
            return replace(opened, **{field: value})  # type: ignore[arg-type]

        cluster.calls.answers["open_file"] = lie
        assert (await refused_read(cluster)).metadata["what"] == what

    async def test_an_endless_list_of_chunks(self, cluster: InProcessCluster) -> None:
        await put_two(cluster)

        def lie(opened: OpenedFile) -> OpenedFile:
            return replace(opened, page=replace(opened.page, chunks=opened.page.chunks * 2))

        cluster.calls.answers["open_file"] = lie
        assert (await refused_read(cluster)).metadata["what"] == "number of chunk records"

    async def test_pages_of_chunks_are_put_together(self, cluster: InProcessCluster) -> None:
        await put_two(cluster)

        def first_two(opened: OpenedFile) -> OpenedFile:
            return replace(opened, page=replace(opened.page, chunks=opened.page.chunks[:2]))

        cluster.calls.answers["open_file"] = first_two
        assert await cluster.client().get("/a") == DATA
        cluster.calls.answers["list_chunks"] = lambda page: replace(page, chunks=())
        assert (await refused_read(cluster)).reason == "MANIFEST_MISMATCH"

    async def test_of_a_rename(self, cluster: InProcessCluster) -> None:
        await put_two(cluster)
        lies: list[dict[str, Any]] = [{"target_name": "other"}, {"version": 1}, {"source_parent_id": 9}]
        for lie in lies:

            def answer(ticket: RenameTicket, lie: dict[str, Any] = lie) -> RenameTicket:
                return replace(ticket, **lie)

            cluster.calls.answers["prepare_rename"] = answer
            with pytest.raises(Corrupt):
                await cluster.client().rename("/a", "/c")
        assert await cluster.client().get("/a") == DATA

    async def test_another_cluster_than_the_profile_says(self, cluster: InProcessCluster) -> None:
        pinned = "6b1f8a52-0c3d-4e9f-8a7b-112233445566"
        with pytest.raises(DstoreError) as caught:
            await cluster.client(cluster_id=pinned).stat("/")  # type: ignore[arg-type]
        assert caught.value.reason == "WRONG_CLUSTER"
        assert pinned in str(caught.value)


class TestKeys:
    async def test_a_wrong_key(self, cluster: InProcessCluster) -> None:
        await put_two(cluster)
        stranger = Keyring([Kek(RANDOM.token_bytes(32))])
        with pytest.raises(WrongKey, match=r"Wrong key for /a: this keyring has .*, the file wants"):
            await cluster.client(keyring=stranger).get("/a")
        with pytest.raises(PermissionError):
            await cluster.client(keyring=stranger).rename("/a", "/c")

    async def test_an_older_key_of_the_keyring(self, cluster: InProcessCluster) -> None:
        await put_two(cluster)
        both = Keyring([Kek(RANDOM.token_bytes(32)), *cluster.keyring.keys])
        assert await cluster.client(keyring=both).get("/a") == DATA

    async def test_names_need_no_key(self, cluster: InProcessCluster) -> None:
        await put_two(cluster)

        def refuse() -> Keyring:
            raise AssertionError("the key was loaded")

        client = cluster.client()
        client._contact._load_keyring = refuse
        assert [info.name async for info in client.list("/")] == ["a", "b"]
        assert (await client.status()).file_count == 2
        await client.remove("/a")

    async def test_secrets_are_not_shown(self, cluster: InProcessCluster) -> None:
        await put_two(cluster)
        client = cluster.client()
        reader = await client.open_read("/a")
        file = reader._reader.file
        assert file.dek.hex() not in repr(file) and repr(file.dek) not in repr(file)
        assert repr(client) == "AsyncClient(master.test:7070)"


class TestRollback:
    async def old_state(self, cluster: InProcessCluster) -> list[list[tuple[Any, ...]]]:
        return [await cluster.sql(f"SELECT * FROM {table}") for table in ("inodes", "entries", "chunks")]

    async def restore(self, cluster: InProcessCluster, state: list[list[tuple[Any, ...]]]) -> None:
        for table, rows in zip(("inodes", "entries", "chunks"), state, strict=True):
            await cluster.sql(f"DELETE FROM {table}")
            for row in rows:
                await cluster.sql(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", *row)

    async def test_is_noticed_by_whoever_saw_the_newer_version(self, cluster: InProcessCluster) -> None:
        writer, reader, stranger = cluster.client(), cluster.client(), cluster.client()
        await writer.put("/a", b"old")
        state = await self.old_state(cluster)
        await writer.put("/a", b"new")
        assert await reader.get("/a") == b"new"
        await self.restore(cluster, state)
        for client in (writer, reader):
            with pytest.raises(Corrupt) as caught:
                await client.get("/a")
            assert caught.value.reason == "VERSION_ROLLED_BACK"
            with pytest.raises(Corrupt):
                await client.rename("/a", "/c")
        # What a client that never saw the newer version cannot know.
        assert await stranger.get("/a") == b"old"

    async def test_is_noticed_after_a_restart(self, cluster: InProcessCluster, tmp_path: Path) -> None:
        state_directory = tmp_path / "state"
        first = cluster.client(file=SqliteHighWaterFile(state_directory))
        await first.put("/a", b"old")
        state = await self.old_state(cluster)
        await first.put("/a", b"new")
        await first.close()
        await self.restore(cluster, state)
        second = cluster.client(file=SqliteHighWaterFile(state_directory))
        with pytest.raises(Corrupt) as caught:
            await second.get("/a")
        assert caught.value.reason == "VERSION_ROLLED_BACK"
        assert "backup" in str(caught.value)

    async def test_an_answer_that_was_overtaken_is_no_rollback(self, cluster: InProcessCluster) -> None:
        client = cluster.client()
        await client.put("/a", b"1")
        overtaken = await cluster.master.namespace.open_file("/a")
        await client.put("/a", b"22")
        late = [overtaken]
        cluster.calls.answers["open_file"] = lambda opened: late.pop() if late else opened
        assert await client.get("/a") == b"22"
        ticket = await cluster.master.namespace.prepare_rename("/a", "/b")
        await client.put("/a", b"333")
        late_tickets = [ticket]
        cluster.calls.answers["prepare_rename"] = lambda fresh: late_tickets.pop() if late_tickets else fresh
        await client.rename("/a", "/b")
        assert await client.get("/b") == b"333"

    async def test_a_path_that_was_removed_and_made_again(self, cluster: InProcessCluster) -> None:
        client = cluster.client()
        for content in (b"1", b"2"):
            await client.put("/a", content)
            assert await client.get("/a") == content
            await client.remove("/a")
        await client.put("/b", b"3")
        await client.rename("/b", "/a")
        assert await client.get("/a") == b"3"
