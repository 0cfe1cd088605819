"""Runs the ``dstore`` command so that the n-th system call is the same one in every run.

``python launch.py FUNCTION ROLE dstore arguments…``

strace counts the calls of each thread and of each function by itself. So that one number means one call, the disk has
one thread here, and threads that are not swept make ``COUNT_FROM`` idle calls less than the swept ones: with
``when=COUNT_FROM+n`` only the n-th real call of the swept role is hit. ROLE is ``main`` (the event loop's thread, which
locks the directory and makes its parents) or ``pool`` (the threads that write); FUNCTION ``-``
makes no idle calls.
"""

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

from dstore.core import limits

#: More than any thread makes of one kind in a workload.
COUNT_FROM = 2_000

#: Long enough that a server which is killed right after an acknowledgement has not synced, and short enough that the
#: marks of doubt go while a workload still runs.
UNSYNCED_GATHER_S = 0.4
UNSYNCED_MARKS_LINGER_S = 0.1

#: Linux' prctl.h.
_PR_SET_PDEATHSIG = 1
#: No process has so many files open.
_NO_FILE = 1_000_000

#: Calls of each function that do nothing, but count.
IDLE_CALLS: dict[str, Callable[[], object]] = {
    "fsync": lambda: os.fsync(_NO_FILE),
    "fdatasync": lambda: os.fdatasync(_NO_FILE),
    "ftruncate": lambda: os.ftruncate(_NO_FILE, 0),
    "mkdir": lambda: os.mkdir(""),
    "openat": lambda: os.open("", os.O_RDONLY),
    "pwrite64": lambda: os.pwrite(_NO_FILE, b"", 0),
    "pwritev2": lambda: os.pwritev(_NO_FILE, [b""], 0),
    "rename": lambda: os.rename("", ""),
    "unlink": lambda: os.unlink(""),
    "write": lambda: os.write(_NO_FILE, b""),
}


def _count_up(function: str) -> None:
    call = IDLE_CALLS[function]
    for _ in range(COUNT_FROM):
        with contextlib.suppress(OSError):
            call()


def _count_up_in_pool_threads(function: str) -> None:
    run = threading.Thread.run

    def counting_run(self: threading.Thread) -> None:
        # The master's readers change nothing; their calls are not among those that are struck.
        if not self.name.startswith("metadata-reader"):
            _count_up(function)
        run(self)

    threading.Thread.run = counting_run  # type: ignore[method-assign]


def _main() -> int:
    function, role, *arguments = sys.argv[1:]
    # A server must not outlive the test that started it, however that ends.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Before anything else is imported, which would read the usual numbers.
    limits.DISK_THREADS = 1
    limits.UNSYNCED_GATHER_S = UNSYNCED_GATHER_S
    limits.UNSYNCED_MARKS_LINGER_S = UNSYNCED_MARKS_LINGER_S
    # Most of what a sweep writes is removed again.
    limits.COLLECTION_LOSS_CHUNKS_MAX = 1_000_000
    if function != "-" and role == "pool":
        _count_up_in_pool_threads(function)
    from dstore.cli.app import main

    if function != "-" and role == "main":
        _count_up(function)
    return main(arguments)


if __name__ == "__main__":
    sys.exit(_main())
