"""What comes back is what was removed, verified and sealed again; a master cannot pass off anything else for it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from store_in_process import CHUNK_SIZE, RANDOM, InProcessCluster, fail_times, pattern

from dstore.client.client import AsyncClient
from dstore.core.errors import (
    AlreadyExists,
    CommitUnknown,
    Conflict,
    DstoreError,
    InvalidRequest,
    NotFound,
    Unavailable,
    WrongKey,
)
from dstore.core.files import FileInfo
from dstore.core.ids import RequestId, Version
from dstore.core.removed import RemovalReason, Restore
from dstore.crypto.keys import Kek, Keyring
from dstore.master import retention

DATA = pattern(3 * CHUNK_SIZE + 1)


async def listed(client: AsyncClient, path: str = "/") -> list[str]:
    return [entry.path async for entry in client.list_removed(path)]


async def collect_all(cluster: InProcessCluster) -> None:
    """End the retention of everything."""
    await cluster.master.shared.store.write(
        lambda tx: retention.collect(tx, retention.horizon(tx, 0), 10_000, now_ns=0)
    )


class TestOneFile:
    @pytest.mark.parametrize("size", [0, 1, CHUNK_SIZE, CHUNK_SIZE + 1, len(DATA)])
    async def test_the_content_is_the_same(self, client: AsyncClient, cluster: InProcessCluster, size: int) -> None:
        before = await client.put("/x", DATA[:size])
        await client.remove("/x")
        result = await client.restore("/x")
        assert (result.files, result.directories) == (1, 0)
        assert result.info == replace(before, version=result.info.version)
        assert result.info.version > before.version
        assert await client.get("/x") == DATA[:size]
        # Somebody who has seen nothing yet verifies the same.
        assert await cluster.client().get("/x") == DATA[:size]

    async def test_another_place(self, client: AsyncClient) -> None:
        await client.make_directory("/dir")
        await client.put("/dir/x", b"old")
        await client.put("/dir/x", b"new")
        await client.restore("/dir/x", to="/y")
        assert (await client.get("/y"), await client.get("/dir/x")) == (b"old", b"new")

    async def test_each_of_several_versions(self, client: AsyncClient) -> None:
        versions = [(await client.put("/x", b"%d" % number)).version for number in range(4)]
        await client.remove("/x")
        assert [entry.version async for entry in client.list_removed("/x")] == versions
        for number, version in enumerate(versions):
            await client.restore("/x", to=f"/{number}", version=version)
            assert await client.get(f"/{number}") == b"%d" % number

    async def test_what_the_listing_says(self, client: AsyncClient) -> None:
        info = await client.put("/x", DATA)
        await client.put("/x", b"new")
        [entry] = [entry async for entry in client.list_removed()]
        assert (entry.path, entry.version, entry.size_bytes) == ("/x", info.version, len(DATA))
        assert entry.reason is RemovalReason.REPLACED
        assert not entry.is_directory
        assert entry.expires_in_s > 0

    async def test_it_can_be_removed_and_restored_again_and_again(self, client: AsyncClient) -> None:
        seen: list[Version] = []
        await client.put("/x", DATA)
        for _ in range(3):
            await client.remove("/x")
            assert await listed(client) == ["/x"]
            seen.append((await client.restore("/x")).info.version)
            assert await client.get("/x") == DATA
        assert seen == sorted(set(seen))

    async def test_a_reader_goes_on_when_its_file_is_replaced_or_removed(self, client: AsyncClient) -> None:
        await client.put("/x", DATA)
        async with await client.open_read("/x") as file:
            assert await file.read(10) == DATA[:10]
            await client.put("/x", b"new")
            assert await file.read(10) == DATA[10:20]
            await client.remove("/x")
            assert await file.read() == DATA[20:]

    async def test_a_reader_that_must_ask_again_where_the_chunks_are(
        self, client: AsyncClient, cluster: InProcessCluster
    ) -> None:
        await client.put("/x", DATA)
        async with await client.open_read("/x") as file:
            await client.remove("/x")
            for number in (1, 2, 3):
                cluster.faults(number).is_down = True
            cluster.calls.after["list_chunks"] = lambda: revive(cluster)
            assert await file.read() == DATA
        assert "list_chunks" in cluster.calls.names


def revive(cluster: InProcessCluster) -> None:
    for number in (1, 2, 3):
        cluster.faults(number).is_down = False


class TestTrees:
    async def test_all_that_was_removed_together_comes_back(self, client: AsyncClient) -> None:
        await client.make_directory("/top/sub/deep", parents=True)
        await client.make_directory("/top/empty")
        files = {f"/top/{name}": name.encode() for name in ("a", "b", "sub/c", "sub/deep/d")}
        for path, data in files.items():
            await client.put(path, data)
        await client.put("/top/before", b"")
        await client.remove("/top/before")
        await client.put("/top/a", b"replaced before")
        await client.put("/top/a", files["/top/a"])
        await client.remove("/top", recursive=True)
        result = await client.restore("/top")
        assert (result.files, result.directories) == (4, 4)
        assert result.info.path == "/top"
        for path, data in files.items():
            assert await client.get(path) == data
        assert [path async for path, _, _ in client.walk("/top")] == [
            "/top",
            "/top/empty",
            "/top/sub",
            "/top/sub/deep",
        ]
        # What was gone before stays so, and can be restored by itself.
        assert await listed(client) == ["/top/before", "/top/a", "/top/a"]

    async def test_a_tree_at_another_place(self, client: AsyncClient) -> None:
        await client.make_directory("/top/sub", parents=True)
        await client.put("/top/sub/x", DATA)
        await client.remove("/top", recursive=True)
        await client.make_directory("/top")
        result = await client.restore("/top", to="/back")
        assert (result.files, result.directories, result.info.path) == (1, 2, "/back")
        assert await client.get("/back/sub/x") == DATA

    async def test_more_than_a_page(self, client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dstore.client.answers.LIST_PAGE_SIZE_DEFAULT", 7)
        await client.make_directory("/top")
        for number in range(30):
            await client.put(f"/top/{number}", b"%d" % number)
        await client.remove("/top", recursive=True)
        assert (await client.restore("/top")).files == 30
        assert await client.get("/top/29") == b"29"

    async def test_what_stopped_half_way_is_finished_by_doing_it_again(
        self, client: AsyncClient, cluster: InProcessCluster
    ) -> None:
        await client.make_directory("/top/sub/deep", parents=True)
        for path in ("/top/a", "/top/sub/b", "/top/sub/deep/c"):
            await client.put(path, DATA)
        await client.remove("/top", recursive=True)
        for done in (2, 2):
            cluster.calls.before["restore"] = fail_after(done)
            with pytest.raises(InvalidRequest, match="Stop here"):
                await client.restore("/top")
        del cluster.calls.before["restore"]
        await client.restore("/top")
        for path in ("/top/a", "/top/sub/b", "/top/sub/deep/c"):
            assert await client.get(path) == DATA
        assert await listed(client) == []
        with pytest.raises(AlreadyExists, match="nothing to restore"):
            await client.restore("/top")

    async def test_what_cannot_come_back_does_not_keep_the_rest(
        self, client: AsyncClient, cluster: InProcessCluster
    ) -> None:
        other = cluster.client(keyring=Keyring([Kek(RANDOM.token_bytes(32))]))
        await client.make_directory("/top")
        for number in range(5):
            await (other if number == 2 else client).put(f"/top/{number}", DATA)
        await client.remove("/top", recursive=True)
        with pytest.raises(WrongKey) as caught:
            await client.restore("/top")
        assert caught.value.metadata["path"] == "/top/2"
        assert [info.name async for info in client.list("/top")] == ["0", "1", "3", "4"]
        # Whoever has the key brings it back.
        assert (await other.restore("/top")).files == 1
        assert await other.get("/top/2") == DATA

    async def test_something_else_at_a_path_stays_and_does_not_keep_the_rest(
        self, client: AsyncClient, cluster: InProcessCluster
    ) -> None:
        await client.make_directory("/top")
        for name in ("a", "b", "c"):
            await client.put(f"/top/{name}", b"old")
        await client.remove("/top", recursive=True)
        page = await cluster.master.namespace.list_removed("/top", recursive=False, page_size=0, page_token="")
        # Listed while it was still missing, and written by somebody else before its turn.
        cluster.calls.answers["list_removed"] = lambda _: page
        await cluster.master.namespace.restore(
            Restore("/top", "/top", *(await top_versions(cluster)), b""), request_id=RequestId("r")
        )
        await client.put("/top/b", b"new")
        with pytest.raises(AlreadyExists) as caught:
            await client.restore("/top")
        assert caught.value.metadata["path"] == "/top/b"
        assert [await client.get(f"/top/{name}") for name in ("a", "b", "c")] == [b"old", b"new", b"old"]


async def top_versions(cluster: InProcessCluster) -> tuple[Version, Version]:
    move = (await cluster.master.namespace.prepare_restore("/top", version=Version(0), target="")).move
    return move.source.version, move.version


def fail_after(count: int) -> Callable[[], None]:
    """Return a hook that raises from call ``count`` + 1 on."""
    left = count

    def hook() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise InvalidRequest("Stop here.")

    return hook


class TestRefusals:
    @pytest.mark.parametrize(
        ("path", "options", "kind", "reason"),
        [
            ("/never", {}, NotFound, "NOT_RESTORABLE"),
            ("/never/x", {}, NotFound, "NOT_RESTORABLE"),
            ("/", {}, InvalidRequest, "ROOT_IMMOVABLE"),
            ("x", {}, InvalidRequest, "PATH_NOT_ABSOLUTE"),
            ("/gone", {"to": "y"}, InvalidRequest, "PATH_NOT_ABSOLUTE"),
            ("/gone", {"version": 0}, InvalidRequest, "VERSION_INVALID"),
            ("/gone", {"version": -1}, InvalidRequest, "VERSION_INVALID"),
            ("/gone", {"version": 1 << 64}, InvalidRequest, "VERSION_INVALID"),
            ("/gone", {"version": (1 << 64) - 1}, NotFound, "NOT_RESTORABLE"),
            ("/gone", {"to": "/there"}, AlreadyExists, "FILE_EXISTS"),
            ("/gone", {"to": "/never/x"}, NotFound, "FILE_NOT_FOUND"),
            ("/there", {}, AlreadyExists, "FILE_EXISTS"),
            ("/dir/x", {}, NotFound, "PARENT_REMOVED"),
            ("/moved", {}, AlreadyExists, "STILL_LIVE"),
        ],
    )
    async def test_with_a_reason(
        self, client: AsyncClient, path: str, options: dict[str, Any], kind: type[DstoreError], reason: str
    ) -> None:
        await client.make_directory("/dir")
        for name in ("gone", "there", "dir/x", "moved"):
            await client.put(f"/{name}", b"")
        await client.remove("/gone")
        await client.remove("/dir", recursive=True)
        await client.rename("/moved", "/here")
        with pytest.raises(kind) as caught:
            await client.restore(path, **options)
        assert caught.value.reason == reason

    async def test_when_the_retention_is_over(self, client: AsyncClient, cluster: InProcessCluster) -> None:
        await client.put("/x", DATA)
        reader = await client.open_read("/x")
        await client.remove("/x")
        await collect_all(cluster)
        assert await listed(client) == []
        with pytest.raises(NotFound, match="retention is over") as caught:
            await client.restore("/x")
        assert caught.value.reason == "NOT_RESTORABLE"
        await reader.close()

    async def test_a_client_of_another_key_restores_nothing(
        self, client: AsyncClient, cluster: InProcessCluster
    ) -> None:
        await client.put("/x", DATA)
        await client.remove("/x")
        stranger = cluster.client(keyring=Keyring([Kek(RANDOM.token_bytes(32))]))
        with pytest.raises(WrongKey):
            await stranger.restore("/x")
        assert await listed(client) == ["/x"]
        await client.restore("/x")
        assert await client.get("/x") == DATA


class TestRaces:
    async def test_a_restore_and_puts_at_the_same_path(self, cluster: InProcessCluster) -> None:
        clients = [cluster.client() for _ in range(4)]
        await clients[0].put("/x", b"old")
        await clients[0].remove("/x")
        results = await asyncio.gather(
            clients[0].restore("/x"),
            *(client.put("/x", b"%d" % number) for number, client in enumerate(clients[1:])),
            return_exceptions=True,
        )
        assert [type(result) for result in results[1:]] == [FileInfo] * 3
        content = await cluster.client().get("/x")
        everywhere = {content} | {
            await cluster.client().get(
                (await clients[0].restore("/x", to=f"/{index}", version=entry.version)).info.path
            )
            for index, entry in enumerate([entry async for entry in clients[0].list_removed("/x")])
        }
        assert everywhere == {b"old", b"0", b"1", b"2"}, "nothing was lost"

    async def test_it_is_prepared_again_when_the_name_was_used_meanwhile(
        self, client: AsyncClient, cluster: InProcessCluster
    ) -> None:
        await client.put("/x", DATA)
        await client.remove("/x")
        cluster.calls.before["restore"] = fail_times(
            2, lambda: Conflict("Somebody was faster.", reason="VERSION_CHANGED")
        )
        await client.restore("/x")
        assert cluster.calls.names.count("prepare_restore") == 3
        assert await client.get("/x") == DATA

    async def test_a_lost_answer_is_asked_for_again(self, client: AsyncClient, cluster: InProcessCluster) -> None:
        await client.put("/x", DATA)
        await client.remove("/x")
        cluster.calls.after["restore"] = fail_times(
            1, lambda: Unavailable("The connection broke.", reason="UNAVAILABLE")
        )
        await client.restore("/x")
        assert await client.get("/x") == DATA

    async def test_an_unknown_outcome_can_be_resolved(self, cluster: InProcessCluster) -> None:
        client = cluster.client(patience_s=0.2)
        await client.put("/x", DATA)
        await client.remove("/x")
        cluster.calls.after["restore"] = fail_times(
            1_000, lambda: Unavailable("The connection broke.", reason="UNAVAILABLE")
        )
        with pytest.raises(CommitUnknown) as caught:
            await client.restore("/x")
        del cluster.calls.after["restore"]
        info = await client.resolve(caught.value.metadata["request_id"])  # type: ignore[arg-type]
        assert isinstance(info, FileInfo)
        assert await client.get("/x") == DATA
