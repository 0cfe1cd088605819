"""A master and chunkservers that lie to a reader: a clear refusal, never wrong bytes, never a hang, never a name that
leads elsewhere.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from store_in_process import CHUNK_SIZE, RANDOM, InProcessCluster, Wire, pattern

from dstore.client.client import AsyncClient
from dstore.core.checksum import crc32c
from dstore.core.chunks import Frame, ReadRequest
from dstore.core.errors import Corrupt, DstoreError, Internal, Unavailable
from dstore.core.files import FileInfo, FileKind, FilePage, OpenedFile
from dstore.core.groups import Group, Replica, ServerPhase
from dstore.core.ids import FileId, GroupId, ServerId, Version
from dstore.core.limits import FRAME_SIZE_BYTES, REPLICAS_MAX

DATA = pattern(3 * CHUNK_SIZE + 7)
STALL_S = 0.2


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dstore.client.chunk_fetching.STREAM_STALL_TIMEOUT_S", STALL_S)


async def refused(cluster: InProcessCluster, path: str = "/f", *, after_opening: bool = False) -> DstoreError:
    """A fresh client refuses the file in every way to read it, in time, and says which file."""
    local = cluster.database.with_name("fetched")
    client = cluster.client()

    async def read_opened() -> object:
        async with await client.open(path) as file:
            assert after_opening, "it was opened"
            return await file.read()

    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: client.get(path),
        lambda: client.get(path, CHUNK_SIZE - 5, 10),
        lambda: client.get_file(path, local),
        read_opened,
    ]
    for attempt in attempts:
        with pytest.raises(DstoreError) as caught:
            async with asyncio.timeout(10):
                await attempt()
        assert isinstance(caught.value, (Corrupt, Unavailable)), repr(caught.value)
        assert path in caught.value.message and caught.value.message.endswith(".")
    assert list(cluster.database.parent.glob("*fetched*")) == []
    return caught.value


def in_info(**changes: Any) -> Callable[[OpenedFile], OpenedFile]:
    return lambda opened: replace(opened, info=replace(opened.info, **changes))


def in_records(**changes: Any) -> Callable[[OpenedFile], OpenedFile]:
    return lambda opened: replace(
        opened,
        page=replace(opened.page, chunks=tuple(replace(record, **changes) for record in opened.page.chunks)),
    )


OPENED: dict[str, Callable[[OpenedFile], OpenedFile]] = {
    "2^63 chunks": in_info(chunk_count=2**63),
    "no chunks": in_info(chunk_count=0),
    "negative chunks": in_info(chunk_count=-1),
    "huge": in_info(size_bytes=2**63),
    "negative size": in_info(size_bytes=-1),
    "version 0": in_info(version=Version(0)),
    "a newer version": in_info(version=Version(2**64 - 1)),
    "a directory": in_info(kind=FileKind.DIRECTORY),
    "another file id": in_info(file_id=FileId(2**64 - 1)),
    "no length": in_records(length_bytes=0),
    "huge length": in_records(length_bytes=2**70),
    "negative length": in_records(length_bytes=-1),
    "negative index": in_records(index=-1),
    "huge checksum": in_records(crc32c=2**32),
    "no header": in_records(header=b""),
    "long header": in_records(header=bytes(57)),
    "another chunk size": lambda opened: replace(opened, chunk_size_bytes=0),
    "another directory": lambda opened: replace(opened, parent_id=FileId(77)),
    "no keys": lambda opened: replace(opened, wrapped_keys=()),
    "a short key": lambda opened: replace(opened, wrapped_keys=(replace(opened.wrapped_keys[0], data=b"x"),)),
    "no manifest": lambda opened: replace(opened, sealed_manifest=b""),
    "a long manifest": lambda opened: replace(opened, sealed_manifest=opened.sealed_manifest[:5] + bytes(2**20)),
    "a manifest of version 0": lambda opened: replace(opened, sealed_manifest=b"DSSM\x00" + opened.sealed_manifest[5:]),
}


@pytest.mark.parametrize("what", OPENED)
async def test_what_a_master_says_of_a_file(cluster: InProcessCluster, what: str) -> None:
    await cluster.client().put("/f", DATA)
    cluster.calls.answers["open_file"] = OPENED[what]
    if what == "no keys":
        with pytest.raises(PermissionError, match="the file wants none"):
            await cluster.client().get("/f")
    else:
        await refused(cluster)


async def test_times_and_path_are_the_writers(cluster: InProcessCluster) -> None:
    await cluster.client().put("/f", DATA)
    cluster.calls.answers["open_file"] = in_info(created_ns=-(2**80), modified_ns=2**80, path="/../\x1b[2J")
    async with await cluster.client().open("/f") as file:
        assert file.info.path == "/f"
        assert 0 < file.info.created_ns <= file.info.modified_ns < 2**63


def with_groups(change: Callable[[Group], Group]) -> Callable[[Any], Any]:
    def answer(given: Any) -> Any:
        if isinstance(given, OpenedFile):
            return replace(given, page=answer(given.page))
        return replace(given, groups=tuple(change(group) for group in given.groups))

    return answer


async def test_groups_without_members(cluster: InProcessCluster) -> None:
    await cluster.client().put("/f", DATA)
    for call in ("open_file", "list_chunks"):
        cluster.calls.answers[call] = with_groups(lambda group: replace(group, members=()))
    error = await refused(cluster, after_opening=True)
    assert error.reason == "CHUNK_UNAVAILABLE" and "names none" in error.message


async def test_a_group_of_thousands_that_hang(cluster: InProcessCluster) -> None:
    """Each of them costs the time of a stall, so their number is bounded."""
    await cluster.client().put("/f", DATA[:CHUNK_SIZE])
    cluster.faults(1).hangs = True

    def crowd(group: Group) -> Group:
        address = "cs-1.test:7071"
        return replace(
            group,
            members=tuple(Replica(ServerId(RANDOM.uuid()), f"cs-{n}", address, ServerPhase.UP) for n in range(10_000)),
        )

    for call in ("open_file", "list_chunks"):
        cluster.calls.answers[call] = with_groups(crowd)
    with pytest.raises(Unavailable):
        # Ten times what it takes: thousands of stalls would take far longer on any machine.
        async with asyncio.timeout(STALL_S * 20 * REPLICAS_MAX):
            await cluster.client().get("/f")


async def test_groups_that_were_not_asked_for_are_not_kept(cluster: InProcessCluster) -> None:
    await cluster.client().put("/f", DATA)
    reader = await cluster.client().open_read("/f")
    for number in (1, 2, 3):
        cluster.faults(number).is_down = True

    def more(page: Any) -> Any:
        made_up = tuple(Group(GroupId(10_000 + number), 1, ()) for number in range(10_000))
        return replace(page, groups=page.groups + made_up)

    cluster.calls.answers["list_chunks"] = more
    with pytest.raises(Unavailable):
        await reader.read()
    assert len(reader._reader.file.groups) < 100


Drip = Callable[[Wire, ReadRequest], AsyncIterator[Frame]]


async def empty_for_ever(wire: Wire, request: ReadRequest) -> AsyncIterator[Frame]:
    while True:
        await asyncio.sleep(0)
        yield Frame(request.offset, 0, b"")


async def single_bytes(wire: Wire, request: ReadRequest) -> AsyncIterator[Frame]:
    async for frame in wire.inner.read_chunk(request):
        for position in range(len(frame.data)):
            data = bytes(frame.data[position : position + 1])
            yield Frame(frame.offset + position, crc32c(data), data)


async def one_huge_frame(wire: Wire, request: ReadRequest) -> AsyncIterator[Frame]:
    frames = [bytes(frame.data) async for frame in wire.inner.read_chunk(request)]
    data = b"".join(frames) + bytes(2**20)
    yield Frame(request.offset, crc32c(data), data)


async def backwards(wire: Wire, request: ReadRequest) -> AsyncIterator[Frame]:
    for frame in reversed([frame async for frame in wire.inner.read_chunk(request)]):
        yield replace(frame, offset=frame.offset + 16_400)


async def truncated(wire: Wire, request: ReadRequest) -> AsyncIterator[Frame]:
    return
    yield


async def from_the_start(wire: Wire, request: ReadRequest) -> AsyncIterator[Frame]:
    async for frame in wire.inner.read_chunk(replace(request, offset=0, length_bytes=0)):
        yield frame


async def offsets_beyond_all_numbers(wire: Wire, request: ReadRequest) -> AsyncIterator[Frame]:
    async for frame in wire.inner.read_chunk(request):
        yield replace(frame, offset=2**69)


STREAMS: list[Drip] = [
    empty_for_ever,
    single_bytes,
    one_huge_frame,
    backwards,
    truncated,
    from_the_start,
    offsets_beyond_all_numbers,
]


@pytest.mark.parametrize("largest_whole_range", [0, FRAME_SIZE_BYTES])
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.__name__)
async def test_streams(
    cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch, stream: Drip, largest_whole_range: int
) -> None:
    monkeypatch.setattr("dstore.client.chunk_fetching.WHOLE_RANGE_SIZE_BYTES_MAX", largest_whole_range)
    await cluster.client().put("/f", DATA)
    monkeypatch.setattr(Wire, "read_chunk", stream)
    await refused(cluster, after_opening=True)


async def test_ciphertext_of_elsewhere(cluster: InProcessCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 5: another chunk, another file, and the same chunk of an older version of the same content."""
    client = cluster.client()
    chunk_ids = []
    for path in ("/f", "/other", "/f"):
        await client.put(path, DATA)
        description = await client.describe(path)
        chunk_ids.append([chunk.record.chunk_id for chunk in description.chunks])
    older, other, now = chunk_ids
    real = Wire.read_chunk
    for elsewhere in (older, other, now[::-1]):
        swapped = dict(zip(now, elsewhere, strict=True))

        async def read_chunk(
            self: Wire, request: ReadRequest, swapped: dict[Any, Any] = swapped
        ) -> AsyncIterator[Frame]:
            async for frame in real(self, replace(request, chunk_id=swapped[request.chunk_id])):
                yield frame

        monkeypatch.setattr(Wire, "read_chunk", read_chunk)
        assert (await refused(cluster, after_opening=True)).reason == "CHUNK_CORRUPT"


class TestNames:
    def entry(self, path: str, kind: FileKind = FileKind.FILE) -> FileInfo:
        return FileInfo(path, kind, FileId(9), 1, Version(2), 0, 0, 1)

    async def listed(self, client: AsyncClient, path: str = "/d") -> list[str]:
        async with asyncio.timeout(10):
            return [info.path async for info in client.list(path)]

    @pytest.mark.parametrize(
        "path",
        [
            "",
            "x",
            "..",
            "/d",
            "/d/",
            "/d/.",
            "/d/..",
            "/d//x",
            "/d/a/b",
            "/d/../../etc/passwd",
            "/e/x",
            "/dx",
            "/d/a\0b",
        ],
    )
    async def test_that_lead_elsewhere(self, cluster: InProcessCluster, path: str) -> None:
        client = cluster.client()
        await client.make_directory("/d")
        cluster.calls.answers["list"] = lambda _: FilePage((self.entry(path),), "")
        with pytest.raises(Internal) as caught:
            await self.listed(client)
        assert caught.value.reason == "ANSWER_INVALID"
        with pytest.raises(Internal):
            [found async for found in client.walk("/d")]
        assert caught.value.message.isprintable()

    async def test_pages_without_end(self, cluster: InProcessCluster) -> None:
        client = cluster.client()
        await client.make_directory("/d")
        pages = [
            FilePage((self.entry("/d/a"),), "again"),
            FilePage((), "again"),
            FilePage((self.entry("/d/b"), self.entry("/d/a")), ""),
            FilePage((self.entry("/d/a"), self.entry("/d/a")), ""),
            FilePage(tuple(self.entry(f"/d/{number:05}") for number in range(5_000)), ""),
        ]
        for page in pages:

            async def answer(*_: object, page: FilePage = page, **__: object) -> FilePage:
                return page

            cluster.calls.list = answer  # type: ignore[attr-defined]
            with pytest.raises(Internal) as caught:
                await self.listed(client)
            assert caught.value.reason == "ANSWER_INVALID"

    async def test_a_directory_that_holds_itself(self, cluster: InProcessCluster) -> None:
        client = cluster.client()
        await client.make_directory("/d")
        cluster.calls.answers["list"] = lambda _: FilePage((self.entry("/d", FileKind.DIRECTORY),), "")
        with pytest.raises(Internal):
            async with asyncio.timeout(10):
                [found async for found in client.walk("/d")]

    async def test_stat_of_another_path(self, cluster: InProcessCluster) -> None:
        client = cluster.client()
        await client.put("/f", DATA)
        cluster.calls.answers["stat"] = lambda info: replace(info, path="/etc/passwd")
        with pytest.raises(Internal) as caught:
            await client.stat("/f")
        assert caught.value.reason == "ANSWER_INVALID"

    async def test_names_of_servers_cannot_steer_a_terminal(self, cluster: InProcessCluster) -> None:
        await cluster.client().put("/f", DATA)
        for number in (1, 2, 3):
            cluster.faults(number).is_down = True

        def rename(group: Group) -> Group:
            return replace(group, members=tuple(replace(each, name="\x1b[2J\x07") for each in group.members))

        for call in ("open_file", "list_chunks"):
            cluster.calls.answers[call] = with_groups(rename)
        error = await refused(cluster, after_opening=True)
        assert str(error).isprintable() and error.message.isprintable() and repr(error).isprintable()


async def test_a_description_without_end(cluster: InProcessCluster, tmp_path: Path) -> None:
    client = cluster.client()
    await client.put("/f", DATA)
    admin = cluster.master.admin
    real = await admin.describe_file("/f", start_index=0, count=2)

    for following in (0, 1, 2**63, len(real.chunks) + 1):

        async def describe_file(path: str, *, start_index: int, count: int, following: int = following) -> Any:
            return replace(real, next_chunk_index=following)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(admin), "describe_file", staticmethod(describe_file))
            with pytest.raises(Internal) as caught:
                async with asyncio.timeout(10):
                    await client.describe("/f")
        assert caught.value.reason == "ANSWER_INVALID"


async def test_the_limit_of_rollback_detection(cluster: InProcessCluster) -> None:
    """What docs/architecture.md admits: directories are not authenticated, so only those at the top are known."""
    client = cluster.client()
    await client.make_directory("/d")
    await client.put("/d/f", b"old")
    old = await cluster.master.namespace.open_file("/d/f")
    cluster.calls.answers["begin_write"] = lambda intent: replace(intent, parent_id=FileId(77))
    async with await client.open("/d/f", "wb") as file:
        await file.write(b"new")
    cluster.calls.answers["open_file"] = lambda _: old
    assert await client.get("/d/f") == b"old"
