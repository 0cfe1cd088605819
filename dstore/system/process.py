"""A server process: its loop and its signals."""

import asyncio
import ctypes
import os
import resource
import signal
from collections.abc import Awaitable, Callable

import uvloop

_INTERRUPTED_EXIT_CODE = 130

#: glibc's mallopt parameters (malloc.h) with the values for a process that moves frames of 1 MiB: serve them from one
#: arena and keep freed ones, instead of mapping and unmapping each. Measured on the data path: 15 to 20 % less CPU per
#: byte, half the peak memory (benchmarks/README.md).
_MALLOC_TUNING = (
    (-3, 32 * 1024 * 1024),  # M_MMAP_THRESHOLD
    (-1, 64 * 1024 * 1024),  # M_TRIM_THRESHOLD
    (-8, 1),  # M_ARENA_MAX
)


def _tune_allocator() -> None:
    """Set glibc's allocator up for frames; other C libraries have no mallopt and are left alone."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in _MALLOC_TUNING:
            mallopt(parameter, value)


def run_server(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run ``main`` on an event loop until it returns.

    ``main`` gets an event that is set by SIGTERM or SIGINT; a second signal ends the process at once.

    Raises:
        DstoreError: as ``main``.
    """
    # A core dump would write whatever is in memory to a disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _tune_allocator()
    uvloop.run(_run_until_stopped(main))


async def _run_until_stopped(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stopping = asyncio.Event()

    def on_signal() -> None:
        if stopping.is_set():
            os._exit(_INTERRUPTED_EXIT_CODE)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    await main(stopping)
