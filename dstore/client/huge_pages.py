"""Large results in huge pages, as numpy has its arrays: one page fault for 2 MiB instead of 512 of them.

Most systems give huge pages only to those that ask for them. Where there are none, nothing changes.
"""

import ctypes
import functools
import mmap
import sys
from collections.abc import Callable

#: What is smaller is hardly faster, and rounded up to whole huge pages.
_SIZE_BYTES_MIN = 1 << 22
_MADV_HUGEPAGE = 14


def prefer_huge_pages(buffer: memoryview) -> None:
    """Ask for huge pages under a writable buffer that nobody has touched yet."""
    if len(buffer) < _SIZE_BYTES_MIN:
        return
    advise = _madvise()
    if advise is not None:
        start = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
        first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        last = (start + len(buffer)) // mmap.PAGESIZE * mmap.PAGESIZE
        # It is advice: an error says that there are no huge pages here.
        advise(first, last - first, _MADV_HUGEPAGE)


@functools.cache
def _madvise() -> Callable[[int, int, int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    function = ctypes.CDLL(None).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    function.restype = ctypes.c_int
    return function
