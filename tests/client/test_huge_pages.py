"""Large results lie in huge pages, where the system has some."""

import ctypes
import mmap
from pathlib import Path

import pytest

from dstore.client.huge_pages import prefer_huge_pages

MIB = 1 << 20


def flags_at(address: int) -> set[str]:
    """Return the flags of the mapping that an address belongs to, as the kernel names them."""
    is_there = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, _, rest = line.partition(" ")
        if "-" in first and ":" not in first:
            start, end = (int(part, 16) for part in first.split("-"))
            is_there = start <= address < end
        elif is_there and first == "VmFlags:":
            return set(rest.split())
    raise AssertionError("no mapping has this address")


@pytest.mark.parametrize(("size_bytes", "expected"), [(64 * MIB, True), (64 * MIB + 4097, True), (3 * MIB, False)])
def test_only_large_buffers_ask_for_huge_pages(size_bytes: int, expected: bool) -> None:
    # Of its own, since memory of the heap may have belonged to another large buffer.
    with mmap.mmap(-1, size_bytes) as memory, memoryview(memory) as view:
        prefer_huge_pages(view)
        middle = ctypes.addressof(ctypes.c_char.from_buffer(view, size_bytes // 2))
        has_any = Path("/sys/kernel/mm/transparent_hugepage").exists()
        assert ("hg" in flags_at(middle)) is (expected and has_any)
        assert not any(view[:: MIB // 2])


def test_a_part_of_a_buffer_asks_for_its_own_pages_alone() -> None:
    with mmap.mmap(-1, 64 * MIB) as memory, memoryview(memory) as view:
        with view[32 * MIB + 1 :] as part:
            prefer_huge_pages(part)
        addresses = [ctypes.addressof(ctypes.c_char.from_buffer(view, at)) for at in (16 * MIB, 48 * MIB)]
        has_any = Path("/sys/kernel/mm/transparent_hugepage").exists()
        assert ["hg" in flags_at(address) for address in addresses] == [False, has_any]
