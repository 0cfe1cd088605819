"""The contract of a disk, run against every implementation; and what a power loss takes."""

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dstore.chunkserver.disk import LocalDisk
from dstore.chunkserver.memory import MemoryDisk
from dstore.chunkserver.quick_reads import READ_AT_ONCE_SIZE_BYTES_MAX
from dstore.core.environment import Disk
from dstore.system.file_systems import is_in_memory


@pytest.fixture(params=["local", "memory"])
async def disk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Disk]:
    if request.param == "memory":
        yield MemoryDisk()
        return
    local = LocalDisk(tmp_path)
    yield local
    local.close()


async def write(disk: Disk, path: str, data: bytes) -> None:
    file = await disk.create(path)
    await file.write_at(0, [data])
    await file.sync()
    await file.close()


async def read(disk: Disk, path: str) -> bytes:
    file = await disk.open(path)
    try:
        return bytes(await file.read_at(0, 1 << 20))
    finally:
        await file.close()


async def test_buffers_are_written_one_after_the_other(disk: Disk) -> None:
    file = await disk.create("a")
    await file.write_at(0, [b"one", bytearray(b"two"), b"", memoryview(b"three")])
    await file.write_at(3, [b"TWO"])
    assert await file.read_at(0, 100) == b"oneTWOthree"
    assert await file.size_bytes() == 11
    await file.close()


async def test_more_buffers_than_one_call_takes(disk: Disk) -> None:
    file = await disk.create("a")
    pieces = [bytes([index % 256]) for index in range(3000)]
    await file.write_at(0, pieces)
    assert await file.read_at(0, 3000) == b"".join(pieces)
    await file.close()


async def test_a_gap_reads_as_zeros(disk: Disk) -> None:
    file = await disk.create("a")
    await file.write_at(4, [b"x"])
    assert await file.read_at(0, 10) == b"\0\0\0\0x"
    await file.close()


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [(0, 0, b""), (0, 1, b"a"), (0, 3, b"abc"), (0, 4, b"abc"), (2, 1, b"c"), (3, 1, b""), (9, 1, b"")],
)
async def test_reads_are_short_only_at_the_end(disk: Disk, offset: int, length: int, expected: bytes) -> None:
    await write(disk, "a", b"abc")
    file = await disk.open("a")
    assert await file.read_at(offset, length) == expected
    await file.close()


@pytest.mark.parametrize("offset", [0, 3, 8, 9])
@pytest.mark.parametrize("sizes", [(), (0,), (1, 0, 2), (2, 5), (6, 1, 4)])
async def test_reading_into_several_buffers(disk: Disk, offset: int, sizes: tuple[int, ...]) -> None:
    data = b"abcdefgh"
    await write(disk, "a", data)
    file = await disk.open("a")
    buffers = [memoryview(bytearray(size)) for size in sizes]
    assert await file.read_into(offset, buffers) == min(sum(sizes), max(0, len(data) - offset))
    assert b"".join(buffers) == data[offset : offset + sum(sizes)].ljust(sum(sizes), b"\0")
    await file.close()


@pytest.mark.parametrize("size", [READ_AT_ONCE_SIZE_BYTES_MAX, READ_AT_ONCE_SIZE_BYTES_MAX + 1])
async def test_small_ranges_and_large_ones(disk: Disk, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 2)
    await write(disk, "a", data)
    file = await disk.open("a")
    assert await file.read_at(3, size) == data[3 : 3 + size]
    assert await file.read_at(len(data) - size + 1, size) == data[len(data) - size + 1 :]
    await file.close()


@pytest.mark.parametrize("answer", [BlockingIOError(), OSError(errno.EIO, "bad"), OSError(errno.EOPNOTSUPP, "no"), 2])
async def test_a_thread_reads_what_the_kernel_does_not_give_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: OSError | int
) -> None:
    calls = 0
    real = os.preadv

    def preadv(descriptor: int, buffers: tuple[bytearray], offset: int, *flags: int) -> int:
        nonlocal calls
        if not flags:  # in a thread
            return real(descriptor, buffers, offset)
        calls += 1
        if isinstance(answer, OSError):
            raise answer
        return answer

    disk = LocalDisk(tmp_path)
    await write(disk, "a", b"abcd")
    file = await disk.open("a")
    monkeypatch.setattr("dstore.chunkserver.quick_reads.os.preadv", preadv)
    assert [bytes(await file.read_at(1, 3)) for _ in range(3)] == [b"bcd"] * 3
    # Where it is not supported, it is not tried again.
    assert calls == (1 if isinstance(answer, OSError) and answer.errno == errno.EOPNOTSUPP else 3)
    await file.close()
    disk.close()


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        ("36 35 {device} / /mnt rw,noatime master:1 - tmpfs none rw", True),
        ("36 35 {device} / /mnt rw - ext4 /dev/root rw", False),
        ("36 35 0:9999 / /mnt rw - tmpfs none rw", False),
        ("36 35 {device} / /mnt rw", False),
        ("", False),
        (None, False),
    ],
)
def test_file_systems_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: str | None, expected: bool
) -> None:
    device = os.stat(tmp_path).st_dev
    listing = tmp_path / "mountinfo"
    if mounts is not None:
        listing.write_text(mounts.format(device=f"{os.major(device)}:{os.minor(device)}"))
    monkeypatch.setattr("dstore.system.file_systems._MOUNTS", listing)
    assert is_in_memory(tmp_path) is expected


async def test_names(disk: Disk) -> None:
    await disk.make_directory("groups/01/02")
    await disk.make_directory("groups/01/02")
    await write(disk, "groups/01/02/b", b"b")
    await write(disk, "groups/01/a", b"a")
    assert await disk.list("") == ("groups",)
    assert await disk.list("groups/01") == ("02", "a")
    assert await disk.list("nothing") == ()
    await disk.rename("groups/01/a", "groups/01/02/b")
    await disk.sync_directory("groups/01/02")
    assert await disk.list("groups/01") == ("02",)
    assert await read(disk, "groups/01/02/b") == b"a"
    await disk.remove("groups/01/02/b")
    assert await disk.list("groups/01/02") == ()


async def test_what_is_not_there_and_what_is(disk: Disk) -> None:
    await write(disk, "a", b"a")
    with pytest.raises(FileExistsError):
        await disk.create("a")
    with pytest.raises(FileExistsError):
        await disk.make_directory("a")
    with pytest.raises(NotADirectoryError):
        await disk.list("a")
    for missing in (
        disk.open("b"),
        disk.remove("b"),
        disk.rename("b", "c"),
        disk.create("no/b"),
        disk.rename("a", "no/b"),
        disk.sync_directory("no"),
    ):
        with pytest.raises(FileNotFoundError):
            await missing
    assert await read(disk, "a") == b"a"


async def test_a_file_opened_for_reading_cannot_be_written(disk: Disk) -> None:
    await write(disk, "a", b"a")
    file = await disk.open("a")
    with pytest.raises(OSError, match="Bad file descriptor"):
        await file.write_at(0, [b"b"])
    await file.close()
    assert await read(disk, "a") == b"a"


async def test_closing_twice_is_allowed_and_ends_the_use(disk: Disk) -> None:
    file = await disk.create("a")
    await file.close()
    await file.close()
    with pytest.raises(ValueError, match="closed"):
        await file.read_at(0, 1)


async def test_an_open_file_outlives_its_name(disk: Disk) -> None:
    await write(disk, "a", b"a")
    file = await disk.open("a")
    await disk.remove("a")
    assert await file.read_at(0, 1) == b"a"
    await file.close()


async def test_capacity(disk: Disk) -> None:
    before = await disk.capacity()
    assert 0 <= before.used_bytes <= before.total_bytes
    assert before.total_bytes > 0


def sizes(directory: Path) -> dict[str, int]:
    return {entry.name: entry.stat().st_size for entry in directory.iterdir()}


async def test_closing_waits_for_a_cancelled_call(tmp_path: Path) -> None:
    disk = LocalDisk(tmp_path, threads=2)
    file = await disk.create("a")
    size = 64 << 20
    task = asyncio.create_task(file.write_at(0, [bytes(size)]))
    await asyncio.sleep(0)
    task.cancel()
    await file.close()
    # If the descriptor were free already, these files would get it, and the write with it.
    others = [await disk.create(f"other-{index}") for index in range(4)]
    await asyncio.wait([task])
    disk.close()
    written = sizes(tmp_path)
    assert written.pop("a") in (0, size)
    assert written == {f"other-{index}": 0 for index in range(len(others))}


async def test_a_power_loss_takes_what_was_not_synced() -> None:
    disk = MemoryDisk()
    await disk.make_directory("d")
    await write(disk, "d/synced", b"content")
    await write(disk, "d/later", b"content")
    await disk.sync_directory("d")
    file = await disk.create("d/unsynced-name")
    await file.write_at(0, [b"x"])
    await file.sync()
    unsynced = await disk.create("d/unsynced-content")
    await unsynced.write_at(0, [b"x"])
    await disk.sync_directory("d")
    await disk.remove("d/later")
    await write(disk, "d/newest", b"x")
    disk.crash()
    assert await disk.list("d") == ("later", "synced", "unsynced-content", "unsynced-name")
    assert await read(disk, "d/synced") == b"content"
    assert await read(disk, "d/unsynced-name") == b"x"
    assert await read(disk, "d/unsynced-content") == b""
    with pytest.raises(OSError, match="restarted"):
        await file.sync()


async def test_a_rename_is_lost_until_its_directory_is_synced() -> None:
    disk = MemoryDisk()
    await disk.make_directory("from")
    await disk.make_directory("to")
    await write(disk, "from/a", b"a")
    await disk.sync_directory("from")
    await disk.rename("from/a", "to/a")
    disk.crash()
    assert disk.paths() == ("from/a",)
    await disk.rename("from/a", "to/a")
    await disk.sync_directory("to")
    disk.crash()
    assert disk.paths() == ("from/a", "to/a")


async def test_a_full_memory_disk_says_so() -> None:
    disk = MemoryDisk(total_bytes=10)
    file = await disk.create("a")
    await file.write_at(0, [bytes(10)])
    with pytest.raises(OSError, match="No space left"):
        await file.write_at(10, [b"x"])
    assert (await disk.capacity()).free_bytes == 0


async def test_the_queue_tells_what_waits_for_a_thread(tmp_path: Path) -> None:
    disk = LocalDisk(tmp_path, threads=2)
    go_on = threading.Event()
    calls = [disk._threads.call(go_on.wait) for _ in range(5)]
    assert disk.queue_depth == 3
    assert calls[4].cancel()
    await asyncio.sleep(0)
    assert disk.queue_depth == 2, "a call that is cancelled before it began waits no more"
    go_on.set()
    await asyncio.wait(calls)
    disk.close()
    assert disk.queue_depth == 0
    assert MemoryDisk().queue_depth == 0
